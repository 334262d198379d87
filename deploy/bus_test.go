package deploy

import (
	"regexp"
	"strings"
	"testing"

	"rootwatch/pipeline/scan"
)

// from is a root call of an envelope with the given source and detail-type.
func from(source, detailType string) string {
	event := strings.Replace(called(`{"type":"Root","arn":"arn:aws:iam::111122223333:root"}`), `"aws.ec2"`, `"`+source+`"`, 1)
	return strings.Replace(event, "AWS API Call via CloudTrail", detailType, 1)
}

// forgeries are events that anybody in the organisation with events:PutEvents can put on the bus:
// any detail-type and any detail, but no source that begins with `aws.`.
// https://docs.aws.amazon.com/eventbridge/latest/APIReference/API_PutEventsRequestEntry.html
func forgeries() []sample {
	const api = "AWS API Call via CloudTrail"
	reading := strings.Replace(from("com.example", api), "RunInstances", "DescribeInstances", 1)
	return []sample{
		{name: "a root call", event: from("com.example", api)},
		{name: "a root call that only reads", event: reading},
		{name: "a root sign-in", event: from("com.example", "AWS Console Sign In via CloudTrail")},
		{name: "a service event", event: from("com.example", "AWS Service Event via CloudTrail")},
		{name: "a call of a role", event: strings.Replace(from("com.example", api), `"type":"Root"`, `"type":"AssumedRole"`, 1)},
		{name: "AWS's prefix in capitals", event: from("AWS.ec2", api)},
		{name: "AWS's prefix after a space", event: from(" aws.ec2", api)},
		{name: "AWS's prefix in the middle", event: from("my.aws.ec2", api)},
		{name: "AWS's prefix without its dot", event: from("aws", api)},
		{name: "AWS's prefix with another letter", event: from("awsx.ec2", api)},
		{name: "a source that begins as a trusted one", event: from("org.republisher.x", api)},
		{name: "the heartbeat's source", event: from("rootwatch.heartbeat", api)},
	}
}

// Whoever can put events on the bus must not be able to fill the stream, nor the archive, nor use
// up the invocations.
func TestForgedEventsAreCountedAndNotDelivered(t *testing.T) {
	for _, mode := range []string{"root-only", "all"} {
		for _, trusted := range []string{"", "org.republisher"} {
			given := map[string]string{"CloudTrailEvents": mode, "AcceptSchedulerHeartbeat": "yes", "TrustedSources": trusted}
			central := deploy(t, "central", given)
			delete(given, "AcceptSchedulerHeartbeat")
			given["HeartbeatVia"] = "scheduler"
			forwarder := deploy(t, "forwarder", forwarderParameters(given))
			archive := central.properties("Archive")["EventPattern"].(object)
			for _, s := range forgeries() {
				if got := matchedBy(t, central, s.event); got != "ForeignSourceRule" {
					t.Errorf("%s, trusted %q, %s: the central bus gives it to %q", mode, trusted, s.name, got)
				}
				if got := matchedBy(t, forwarder, s.event); got != "" {
					t.Errorf("%s, trusted %q, %s: forwarded by %q", mode, trusted, s.name, got)
				}
				if mustMatch(t, archive, fromJSON(t, s.event)) {
					t.Errorf("%s, trusted %q, %s: archived", mode, trusted, s.name)
				}
			}
			if targets := central.properties("ForeignSourceRule")["Targets"]; targets != nil {
				t.Errorf("counted events are sent to %v: each is an invocation", targets)
			}
		}
	}
}

// The main rule knows CloudTrail's events by the beginning of the source, so every service's must
// have it. The worker decides by the same list: what it believes reaches it, and what does not
// reach it is not believed.
func TestEveryKindOfCloudTrailEventReachesTheStream(t *testing.T) {
	detailTypes := []string{
		"AWS API Call via CloudTrail", "AWS Service Event via CloudTrail", "AWS Console Action via CloudTrail",
		"AWS Console Sign In via CloudTrail", "AWS Console Signin via CloudTrail", "AWS Insight via CloudTrail",
		"AWS Network Activity Event via CloudTrail", "Whatever AWS adds via CloudTrail",
	}
	sources := []string{
		"aws.signin", "aws.iam", "aws.sts", "aws.ec2", "aws.s3", "aws.kms", "aws.organizations", "aws.cloudtrail", "aws.events",
		"aws.access-analyzer", "aws.elasticloadbalancing", "aws.route53", "aws.resource-explorer-2", "aws.partnercentral",
	}
	for _, mode := range []string{"root-only", "all"} {
		for _, trusted := range []string{"", "org.republisher"} {
			given := map[string]string{"CloudTrailEvents": mode, "TrustedSources": trusted}
			central := deploy(t, "central", given)
			forwarder := deploy(t, "forwarder", forwarderParameters(given))
			for _, source := range sources {
				if !scan.FromAWS(source) {
					t.Errorf("%s: the worker takes it for a forgery", source)
				}
				for _, detailType := range detailTypes {
					for hop, s := range map[string]*stack{"forwarder": forwarder, "central": central} {
						if got := matchedBy(t, s, from(source, detailType)); got != "CloudTrailRule" {
							t.Errorf("%s, %s, trusted %q: %s of %s is matched by %q", hop, mode, trusted, detailType, source, got)
						}
					}
				}
			}
		}
	}
	for _, s := range forgeries() {
		if source := at(fromJSON(t, s.event), "source").(string); scan.FromAWS(source) {
			t.Errorf("%s: the worker would judge source %q, which no longer reaches it", s.name, source)
		}
	}
}

// A partner's source begins as AWS's do, and a pattern cannot ask for a beginning and exclude
// another. The worker can.
func TestPartnersEventsAreTheWorkersToRefuse(t *testing.T) {
	const source = "aws.partner/example.com/x"
	if got := matchedBy(t, deploy(t, "central", nil), from(source, "AWS API Call via CloudTrail")); got != "CloudTrailRule" {
		t.Errorf("matched by %q", got)
	}
	if scan.FromAWS(source) {
		t.Error("the worker believes a partner")
	}
}

// Who republishes names the source once, for both hops and the worker: then its events go the way
// of AWS's own.
func TestTrustedSourcesReachTheStream(t *testing.T) {
	const api = "AWS API Call via CloudTrail"
	for _, mode := range []string{"root-only", "all"} {
		given := map[string]string{"CloudTrailEvents": mode, "TrustedSources": "org.republisher,org.example/other"}
		central := deploy(t, "central", given)
		for _, source := range []string{"org.republisher", "org.example/other"} {
			for hop, rule := range hops(t, mode, "org.republisher", "org.example/other") {
				if !mustMatch(t, rule["EventPattern"].(object), fromJSON(t, from(source, api))) {
					t.Errorf("%s, %s: %s is held back", hop, mode, source)
				}
			}
			if got := matchedBy(t, central, from(source, api)); got != "CloudTrailRule" {
				t.Errorf("%s: %s is matched by %q", mode, source, got)
			}
			if !mustMatch(t, central.properties("Archive")["EventPattern"].(object), fromJSON(t, from(source, api))) {
				t.Errorf("%s: %s is not archived", mode, source)
			}
		}
		// What others than root did is no forgery either, and in root-only mode goes nowhere.
		want := map[string]string{"root-only": "", "all": "CloudTrailRule"}[mode]
		if got := matchedBy(t, central, strings.Replace(called(`{"type":"IAMUser"}`), "aws.ec2", "org.republisher", 1)); got != want {
			t.Errorf("%s: another user's call is matched by %q, want %q", mode, got, want)
		}
	}
	service := deploy(t, "service", serviceParameters(map[string]string{"TrustedSources": "org.republisher,org.example/other"}))
	if got := environment(service)["ROOTWATCH_EVENTBRIDGE_TRUSTED_SOURCE"]; got != "org.republisher,org.example/other" {
		t.Errorf("the worker trusts %q", got)
	}
	if got, ok := environment(deploy(t, "service", serviceParameters(nil)))["ROOTWATCH_EVENTBRIDGE_TRUSTED_SOURCE"]; ok {
		t.Errorf("by default the worker trusts %q", got)
	}
}

// An asterisk or a backslash would be a wildcard in the rule that counts; an empty name or a space
// would match nothing.
func TestTrustedSourcesAreNames(t *testing.T) {
	for _, name := range templates {
		declaration := load(t, name).section("Parameters")["TrustedSources"]
		format := regexp.MustCompile(at(declaration, "AllowedPattern").(string))
		for _, good := range []string{"", "org.republisher", "a,b", "my_app/x-1"} {
			if !format.MatchString(good) {
				t.Errorf("%s refuses %q", name, good)
			}
		}
		for _, bad := range []string{"*", "org.*", `a\`, "a,,b", ",a", "a,", "a, b", "a b", `"`} {
			if format.MatchString(bad) {
				t.Errorf("%s takes %q", name, bad)
			}
		}
	}
}

// Who sends the forgeries is seen in a queue, for as long as the operator wants.
func TestForeignEventsAreKeptWhenAsked(t *testing.T) {
	byDefault := deploy(t, "central", nil)
	if byDefault.resources["ForeignSourceEvents"] != nil || byDefault.resources["ForeignSourceEventsPolicy"] != nil {
		t.Error("by default there is a queue")
	}
	s := deploy(t, "central", map[string]string{"KeepForeignEvents": "yes"})
	targets := s.properties("ForeignSourceRule")["Targets"].([]any)
	if len(targets) != 1 || at(targets, 0, "Arn") != "att:ForeignSourceEvents.Arn" {
		t.Fatalf("targets %v", targets)
	}
	allow := at(s.properties("ForeignSourceEventsPolicy"), "PolicyDocument", "Statement", 0)
	want := `{"Action":"sqs:SendMessage","Condition":{"ArnEquals":{"aws:SourceArn":"att:ForeignSourceRule.Arn"}},"Effect":"Allow","Principal":{"Service":"events.amazonaws.com"},"Resource":"att:ForeignSourceEvents.Arn"`
	if got := asJSON(t, allow); !strings.HasPrefix(got, want) {
		t.Errorf("the rule may not write: %s", got)
	}
}

// Ref of a rule on a bus of its own is BUS|RULE, which is no dimension: the names are compared
// here.
// https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/aws-resource-events-rule.html
func TestForeignSourceAlarmWatchesTheRule(t *testing.T) {
	s := deploy(t, "central", map[string]string{"AlarmTopicArn": "arn:aws:sns:eu-central-1:111122223333:security"})
	rule, alarm := s.properties("ForeignSourceRule"), s.properties("ForeignSourceAlarm")
	dimensions := map[any]any{}
	for _, d := range alarm["Dimensions"].([]any) {
		dimensions[at(d, "Name")] = at(d, "Value")
	}
	if len(dimensions) != 2 || dimensions["RuleName"] != rule["Name"] || dimensions["EventBusName"] != rule["EventBusName"] {
		t.Errorf("watches %v, the rule is %v on %v", dimensions, rule["Name"], rule["EventBusName"])
	}
	if alarm["Namespace"] != "AWS/Events" || alarm["MetricName"] != "MatchedEvents" || alarm["Statistic"] != "Sum" {
		t.Errorf("watches %v", alarm)
	}
	if alarm["Threshold"] != 0 || alarm["ComparisonOperator"] != "GreaterThanThreshold" || alarm["TreatMissingData"] != "notBreaching" {
		t.Errorf("one event must raise it, and none must end it: %v", alarm)
	}
	if got := at(alarm, "AlarmActions", 0); got != "arn:aws:sns:eu-central-1:111122223333:security" {
		t.Errorf("tells %v", got)
	}
	if got := rule["State"]; got != "ENABLED_WITH_ALL_CLOUDTRAIL_MANAGEMENT_EVENTS" {
		t.Errorf("State %v", got)
	}
}
