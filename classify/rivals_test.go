package classify

import (
	"regexp"
	"testing"
)

// rival is a public rule for the same question, or a literal reading of AWS's article: it reports whether the rule
// leaves the root call alone.
type rival func(ev *Event) bool

var dnsName = regexp.MustCompile(`(?i)^([a-z0-9-]+\.)+[a-z]{2,}$`)

// The CIS benchmark's metric filter (Security Hub CloudWatch.1): root, no invokedBy, not AwsServiceEvent.
func cisIsQuiet(ev *Event) bool {
	return ev.UserIdentity.Type != "Root" || ev.UserIdentity.InvokedBy.Present || ev.EventType.Value == "AwsServiceEvent"
}

// Sigma's aws_root_account_usage: root, not AwsServiceEvent.
func sigmaIsQuiet(ev *Event) bool {
	return ev.UserIdentity.Type != "Root" || ev.EventType.Value == "AwsServiceEvent"
}

// Panther's AWS.Root.Activity: as CIS, but successful writes alone.
func pantherIsQuiet(ev *Event) bool {
	return cisIsQuiet(ev) || ev.ErrorCode.Present || ev.ErrorMessage.Present || ev.ReadOnly.Value == "true"
}

// An EventBridge pattern on userIdentity.type.
func patternIsQuiet(ev *Event) bool { return ev.UserIdentity.Type != "Root" }

// The article by the letter: a DNS name in sourceIPAddress or userAgent is a service.
func articleIsQuiet(ev *Event) bool {
	return dnsName.MatchString(ev.SourceIPAddress.Value) || dnsName.MatchString(ev.UserAgent.Value)
}

// The article by the letter, the address alone.
func addressIsQuiet(ev *Event) bool { return dnsName.MatchString(ev.SourceIPAddress.Value) }

// invokedBy present and not the sign-in.
func invokedByIsQuiet(ev *Event) bool {
	return ev.UserIdentity.InvokedBy.Present && ev.UserIdentity.InvokedBy.Value != "signin.amazonaws.com"
}

func TestWhereRivalRulesAreWrong(t *testing.T) {
	consoleCall := func() map[string]any {
		return edit(sessionCall(), set("userIdentity.invokedBy", "signin.amazonaws.com"), set("userAgent", "signin.amazonaws.com"))
	}
	glueCall := func() map[string]any {
		return edit(sessionCall(), set("userIdentity.invokedBy", "glue.amazonaws.com"), set("sourceIPAddress", "glue.amazonaws.com"), set("userAgent", "glue.amazonaws.com"))
	}
	keyCall := func() map[string]any { return edit(bareCall(), set("userIdentity.accessKeyId", longLived)) }
	for _, tt := range []struct {
		name   string
		rival  rival
		record map[string]any
		want   Verdict // ours; the rival says the opposite
	}{
		{"CIS misses a person in the console who changes the MFA device", cisIsQuiet, edit(consoleCall(), set("eventSource", "iam.amazonaws.com"), set("eventName", "DeactivateMFADevice")), Unexplained},
		{"CIS misses a person behind Glue", cisIsQuiet, glueCall(), Unexplained},
		{"CIS misses a person behind AWS Internal", cisIsQuiet, edit(sessionCall(), set("userIdentity.invokedBy", "AWS Internal")), Unexplained},
		{"CIS misses a sign-in recorded as a service's event", cisIsQuiet, edit(signIn(), set("eventType", "AwsServiceEvent")), Unexplained},
		{"CIS misses a federated user of root", cisIsQuiet, edit(sessionCall(), set("userIdentity.type", "FederatedUser"), set("userIdentity.sessionContext.sessionIssuer.type", "Root")), Unexplained},
		{"CIS misses root's ARN under type Unknown", cisIsQuiet, edit(bareCall(), set("userIdentity.type", "Unknown")), Unexplained},
		{"Sigma alerts on Auto Scaling", sigmaIsQuiet, serviceCall(), ServiceInvoked},
		{"Sigma alerts on a load balancer", sigmaIsQuiet, elbCall(), ServiceInvoked},
		{"Sigma misses a person in a service's event", sigmaIsQuiet, edit(sessionCall(), set("eventType", "AwsServiceEvent")), Unexplained},
		{"Panther misses a read with a long-lived key", pantherIsQuiet, edit(keyCall(), set("readOnly", true), set("eventName", "ListUsers")), Unexplained},
		{"Panther misses a failed call with a long-lived key", pantherIsQuiet, edit(keyCall(), set("errorCode", "AccessDenied")), Unexplained},
		{"Panther misses a failed login", pantherIsQuiet, edit(signIn(), set("responseElements.ConsoleLogin", "Failure"), set("errorMessage", "Failed authentication")), Unexplained},
		{"the EventBridge pattern alerts on Auto Scaling", patternIsQuiet, serviceCall(), ServiceInvoked},
		{"the EventBridge pattern misses a federated user of root", patternIsQuiet, edit(sessionCall(), set("userIdentity.type", "FederatedUser"), set("userIdentity.sessionContext.sessionIssuer.type", "Root")), Unexplained},
		{"the article misses a person in the console", articleIsQuiet, edit(sessionCall(), set("userAgent", "console.amazonaws.com")), Unexplained},
		{"the article misses whoever writes a service's name into the user agent", articleIsQuiet, edit(keyCall(), set("userAgent", "autoscaling.amazonaws.com")), Unexplained},
		{"the article misses any DNS name", articleIsQuiet, edit(keyCall(), set("userAgent", "evil.example.org")), Unexplained},
		{"the address alone misses a person behind Glue", addressIsQuiet, glueCall(), Unexplained},
		{"the address alone misses a person behind Connect", addressIsQuiet, edit(sessionCall(), set("sourceIPAddress", "connect.amazonaws.com"), set("userAgent", "connect.amazonaws.com")), Unexplained},
		{"the address alone misses aws.internal", addressIsQuiet, edit(sessionCall(), set("sourceIPAddress", "aws.internal")), Unexplained},
		{"invokedBy alone misses a person behind CloudFormation", invokedByIsQuiet, edit(sessionCall(), set("userIdentity.invokedBy", "cloudformation.amazonaws.com")), Unexplained},
		{"invokedBy alone misses a long-lived key behind a service", invokedByIsQuiet, edit(serviceCall(), set("userIdentity.accessKeyId", longLived)), Unexplained},
	} {
		t.Run(tt.name, func(t *testing.T) {
			ev := decode(t, tt.record)
			if tt.rival(ev) != (tt.want == Unexplained) {
				t.Fatal("the rival is right about this record: it shows nothing")
			}
			if !IsRoot(ev) {
				t.Fatal("not judged root")
			}
			if got := Classify(ev).Verdict; got != tt.want {
				t.Errorf("verdict %s, want %s", got, tt.want)
			}
		})
	}
}

// Where the rivals are right, so are we: the table above could be met by contradicting them everywhere.
func TestWhereRivalRulesAreRight(t *testing.T) {
	rivals := map[string]rival{
		"CIS": cisIsQuiet, "the article": articleIsQuiet, "the address": addressIsQuiet, "invokedBy": invokedByIsQuiet,
	}
	for name, record := range map[string]map[string]any{"a service's call": serviceCall(), "the article's example": elbCall(), "a person's call": sessionCall()} {
		ev := decode(t, record)
		quiet := Classify(ev).Verdict == ServiceInvoked
		for rule, isQuiet := range rivals {
			if isQuiet(ev) != quiet {
				t.Errorf("%s: quiet %t, %s says %t", name, quiet, rule, !quiet)
			}
		}
	}
}
