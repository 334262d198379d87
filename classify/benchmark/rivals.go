package main

import (
	"regexp"
	"slices"
	"strings"
	"time"
)

// rule is one way to tell that the root user was used.
type rule struct {
	Name   string `json:"rule"`
	Looks  string `json:"looks"`             // what it looks for, in words
	UsedBy string `json:"used_by,omitempty"` // products and templates that have it besides its source
	// Version is the rule's own version or date, else when its text was read.
	Version string            `json:"version"`
	Source  string            `json:"source"` // the address of its text
	alerts  func(record) bool // reports whether the rule alerts on the record alone
	// repeated are the parts of the rule that need several records.
	repeated []threshold
}

// rules are the rules in the order of the table. Each was written anew from its public text. A
// product's schedule, history window and deduplication are left out, in its favour. Only rules that
// speak of root are here, apart from one that speaks of every long-lived key.
var rules = []rule{
	{
		Name:    "CIS AWS Foundations 4.3, metric filter",
		Looks:   "type Root, no `invokedBy`, not AwsServiceEvent",
		UsedBy:  "Security Hub CloudWatch.1, Prowler, Landing Zone Accelerator, StreamAlert, alarm modules for Terraform",
		Version: "v1.5.0",
		Source:  "https://hub.powerpipe.io/mods/turbot/aws_compliance/controls/control.cis_v150_4_3",
		alerts:  cis,
	}, {
		Name:    "Sigma aws_root_account_usage",
		Looks:   "type Root, not AwsServiceEvent",
		UsedBy:  "TrailAlerts, Matano",
		Version: "2022-10-09",
		Source:  "https://github.com/SigmaHQ/sigma/blob/master/rules/cloud/aws/cloudtrail/aws_root_account_usage.yml",
		alerts:  sigma,
	}, {
		Name:    "Panther AWS.Root.Activity",
		Looks:   "as CIS, but successful writes only, and not CreateServiceLinkedRole",
		Version: "read 2026-07",
		Source:  "https://github.com/panther-labs/panther-analysis/blob/main/rules/aws_cloudtrail_rules/aws_root_activity.py",
		alerts:  pantherActivity,
	}, {
		Name:    "Panther, its five root rules together",
		Looks:   "the former; or a successful console login; or a key or a password made for root itself; or five failed logins at an account from an address within 15 minutes",
		Version: "read 2026-07",
		Source:  "https://github.com/panther-labs/panther-analysis/tree/main/rules/aws_cloudtrail_rules",
		alerts:  pantherAll,
		repeated: []threshold{{
			fits: failedLogin, per: func(r record) string { return r.text("sourceIPAddress") + " " + r.text("recipientAccountId") },
			count: eventID, least: 5, within: 15 * time.Minute,
		}},
	}, {
		Name:    "RunReveal root-account-usage",
		Looks:   "type Root, `userAgent` is not \"AWS Internal\"",
		Version: "read 2026-07",
		Source:  "https://github.com/runreveal/public-detection-packs/blob/main/detections/aws/cloudtrail/root_account_usage.sql",
		alerts:  runReveal,
	}, {
		Name:    "fivexl cloudtrail-to-slack",
		Looks:   "type Root, `eventName` does not begin with Get, List, Describe or Head",
		Version: "read 2026-06",
		Source:  "https://github.com/fivexl/terraform-aws-cloudtrail-to-slack/blob/master/src/rules.py",
		alerts:  fivexl,
	}, {
		Name:    "AWS's root activity monitor (EventBridge, ENABLED)",
		Looks:   "type Root, an API call or a console sign-in; a rule in this state gets no reads",
		Version: "2023-02",
		Source:  "https://github.com/aws-samples/aws-iam-root-user-activity-monitor/blob/main/spoke-stackset.yaml",
		alerts:  awsMonitor,
	}, {
		Name:    "Elastic, its root rules",
		Looks:   "a successful console login; a login profile made for root; a password recovery requested; ten failed logins at an account within 6 minutes, or at two accounts from one address within an hour",
		Version: "read 2026-09",
		Source:  "https://github.com/elastic/detection-rules/tree/main/rules/integrations/aws",
		alerts:  elastic, repeated: elasticLogins,
	}, {
		Name:    "Elastic, with its rule for a long-lived key",
		Looks:   "the former; or a successful call from an address with a key that begins AKIA",
		Version: "read 2026-09",
		Source:  "https://github.com/elastic/detection-rules/blob/main/rules/integrations/aws/credential_access_iam_long_term_access_key_first_seen_from_source_ip.toml",
		alerts:  elasticWithKey, repeated: elasticLogins,
	}, {
		Name:    "Falco, its two root rules",
		Looks:   "a successful console login without MFA; the root user's MFA device deactivated",
		Version: "read 2026-08",
		Source:  "https://github.com/falcosecurity/plugins/blob/main/plugins/cloudtrail/rules/aws_cloudtrail_rules.yaml",
		alerts:  falco,
	}, {
		Name:    "console login only",
		Looks:   "type Root and ConsoleLogin",
		UsedBy:  "Cloud Custodian's example, many templates",
		Version: "read 2026-08",
		Source:  "https://cloudcustodian.io/docs/aws/examples/accountrootlogin.html",
		alerts:  loginOnly,
	}, {
		Name:    "AWS's article to the letter: address or user agent",
		Looks:   "type Root, neither `sourceIPAddress` nor `userAgent` is a DNS name",
		Version: "read 2026-08",
		Source:  "https://aws.amazon.com/premiumsupport/knowledge-center/cloudtrail-root-action-logs/",
		alerts:  articleAddressOrAgent,
	}, {
		Name:    "AWS's article to the letter: address alone",
		Looks:   "type Root, `sourceIPAddress` is no DNS name",
		Version: "read 2026-08",
		Source:  "https://aws.amazon.com/premiumsupport/knowledge-center/cloudtrail-root-action-logs/",
		alerts:  articleAddress,
	}, {
		Name:    "invokedBy names a service other than signin",
		Looks:   "type Root, unless `invokedBy` is there and is not signin.amazonaws.com",
		Version: "a reading of the same article",
		Source:  "https://aws.amazon.com/premiumsupport/knowledge-center/cloudtrail-root-action-logs/",
		alerts:  notInvokedByService,
	}, {
		Name:    "EventBridge pattern type = Root, with reads",
		Looks:   "type Root; state ENABLED_WITH_ALL_CLOUDTRAIL_MANAGEMENT_EVENTS",
		Version: "read 2026-08",
		Source:  "https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-service-event-cloudtrail-management.html",
		alerts:  isTypeRoot,
	},
}

func isTypeRoot(r record) bool { return r.text("userIdentity", "type") == "Root" }

func isServiceEvent(r record) bool { return r.text("eventType") == "AwsServiceEvent" }

// failed reads the two members in which CloudTrail tells an error.
func failed(r record) bool { return r.text("errorCode") != "" || r.text("errorMessage") != "" }

// outcome is what a sign-in event says of its success, in a member with the event's own name.
func outcome(r record) string { return r.text("responseElements", r.text("eventName")) }

func cis(r record) bool {
	return isTypeRoot(r) && !r.has("userIdentity", "invokedBy") && !isServiceEvent(r)
}

func sigma(r record) bool { return isTypeRoot(r) && !isServiceEvent(r) }

func pantherActivity(r record) bool {
	readOnly, _ := r.field("readOnly")
	return cis(r) && !failed(r) && readOnly != true && r.text("eventName") != "CreateServiceLinkedRole"
}

func pantherAll(r record) bool {
	if !isTypeRoot(r) {
		return false
	}
	switch r.text("eventName") {
	case "ConsoleLogin":
		return outcome(r) == "Success" || pantherActivity(r)
	case "CreateAccessKey":
		return !r.has("requestParameters") || pantherActivity(r)
	case "PasswordUpdated":
		return outcome(r) == "Success" || pantherActivity(r)
	}
	return pantherActivity(r)
}

func runReveal(r record) bool { return isTypeRoot(r) && r.text("userAgent") != "AWS Internal" }

func fivexl(r record) bool {
	return isTypeRoot(r) && !hasPrefix(r.text("eventName"), "Get", "List", "Describe", "Head")
}

// awsMonitor: EventBridge tells the kinds of events apart by detail-type, which follows from
// eventType. A rule in the state ENABLED gets no management events that only read: those whose
// names begin with Get, List or Describe, except the two STS calls that make credentials (Amazon
// EventBridge User Guide, "Receiving read-only management events").
func awsMonitor(r record) bool {
	eventType, name := r.text("eventType"), r.text("eventName")
	read := hasPrefix(name, "Get", "List", "Describe") && r.text("eventCategory") != "Data" &&
		name != "GetSessionToken" && name != "GetFederationToken"
	return isTypeRoot(r) && slices.Contains([]string{"", "AwsApiCall", "AwsConsoleSignIn"}, eventType) && !read
}

// elastic: its event.outcome is a failure where CloudTrail tells an error or a sign-in event says
// Failure.
func elastic(r record) bool {
	signIn := r.text("eventSource") == "signin.amazonaws.com"
	if !isTypeRoot(r) || failed(r) || outcome(r) == "Failure" {
		return false
	}
	switch r.text("eventName") {
	case "ConsoleLogin", "PasswordRecoveryRequested":
		return signIn
	case "CreateLoginProfile":
		return r.text("eventSource") == "iam.amazonaws.com" && !r.has("requestParameters", "userName")
	}
	return false
}

// elasticLogins are its two rules for failed logins.
var elasticLogins = []threshold{
	{fits: failedLogin, per: accountOf, count: eventID, least: 10, within: 6 * time.Minute},
	{fits: failedLogin, per: func(r record) string { return r.text("sourceIPAddress") }, count: accountOf, least: 2, within: time.Hour},
}

func failedLogin(r record) bool {
	return isTypeRoot(r) && r.text("eventName") == "ConsoleLogin" && outcome(r) == "Failure"
}

func eventID(r record) string { return r.text("eventID") }

func accountOf(r record) string { return r.text("recipientAccountId") }

// elasticWithKey: the second rule looks for a key at an address that is new for it, whoever's key
// it is; a service's name is no address.
func elasticWithKey(r record) bool {
	key := strings.HasPrefix(r.text("userIdentity", "accessKeyId"), "AKIA")
	return elastic(r) || isTypeRoot(r) && key && !failed(r) && isAddress(r.text("sourceIPAddress"))
}

func falco(r record) bool {
	if !isTypeRoot(r) || r.has("errorCode") {
		return false
	}
	switch r.text("eventName") {
	case "ConsoleLogin":
		return r.text("additionalEventData", "MFAUsed") == "No" && outcome(r) == "Success"
	case "DeactivateMFADevice":
		return r.text("requestParameters", "userName") == "AWS ROOT USER"
	}
	return false
}

func loginOnly(r record) bool { return isTypeRoot(r) && r.text("eventName") == "ConsoleLogin" }

func articleAddressOrAgent(r record) bool {
	return articleAddress(r) && !isDNSName(r.text("userAgent"))
}

func articleAddress(r record) bool { return isTypeRoot(r) && !isDNSName(r.text("sourceIPAddress")) }

func notInvokedByService(r record) bool {
	invokedBy := r.has("userIdentity", "invokedBy")
	return isTypeRoot(r) && !(invokedBy && r.text("userIdentity", "invokedBy") != "signin.amazonaws.com")
}

var (
	dnsName = regexp.MustCompile(`(?i)^([a-z0-9-]+\.)+[a-z]{2,}$`)
	address = regexp.MustCompile(`^[0-9.]+$|^[0-9a-fA-F:.]*:[0-9a-fA-F:.]*$`)
)

func isDNSName(s string) bool { return dnsName.MatchString(s) }

func isAddress(s string) bool { return address.MatchString(s) }

func hasPrefix(s string, prefixes ...string) bool {
	return slices.ContainsFunc(prefixes, func(prefix string) bool { return strings.HasPrefix(s, prefix) })
}
