package deploy

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"rootwatch/classify"
)

// sample is an event as EventBridge delivers it.
type sample struct {
	name  string
	event string
	// root: the event may have to do with root, so that it must pass in root-only mode too.
	root bool
	// cloudTrail: the event came from CloudTrail, so that it passes where all do.
	cloudTrail bool
}

// wrapped is a CloudTrail record in the envelope of an API call.
func wrapped(record string) string {
	return `{"version":"0","id":"1","detail-type":"AWS API Call via CloudTrail","source":"aws.ec2","account":"111122223333",
		"time":"2026-01-02T03:04:05Z","region":"us-east-1","resources":[],"detail":` + record + `}`
}

// called is a record of an ec2 call by an identity.
func called(identity string) string {
	return wrapped(`{"eventID":"e","eventSource":"ec2.amazonaws.com","eventName":"RunInstances","eventType":"AwsApiCall",
		"requestParameters":{"type":"Root","note":"arn:aws:iam::111122223333:root"},"userIdentity":` + identity + `}`)
}

const heartbeat = `{"version":"0","id":"h","detail-type":"Scheduled Event","source":"aws.events","account":"111122223333",
	"time":"2026-01-02T03:04:05Z","region":"eu-north-1","resources":["arn:aws:events:eu-north-1:111122223333:rule/rootwatch-heartbeat"],"detail":{}}`

// samples has one event of each kind that decides whether the patterns are right.
func samples() []sample {
	signIn := func(detailType string) string {
		return `{"version":"0","id":"1","detail-type":"` + detailType + `","source":"aws.signin","account":"111122223333",
			"time":"2026-01-02T03:04:05Z","region":"us-east-1","resources":[],"detail":{"eventID":"e","eventSource":"signin.amazonaws.com",
			"eventName":"ConsoleLogin","eventType":"AwsConsoleSignIn","userIdentity":{"type":"Root","accountId":"111122223333"}}}`
	}
	federated := func(issuer string) string {
		return called(`{"type":"FederatedUser","arn":"arn:aws:sts::111122223333:federated-user/x","sessionContext":{"sessionIssuer":` + issuer + `}}`)
	}
	sts := func(source, name string) string {
		return wrapped(`{"eventID":"e","eventSource":"` + source + `","eventName":"` + name + `","userIdentity":{"type":"AssumedRole",
			"arn":"arn:aws:sts::111122223333:assumed-role/admin/x","sessionContext":{"assumedRoot":"true","sessionIssuer":{"type":"Role"}}}}`)
	}
	return []sample{
		{"a root API call", called(`{"type":"Root","arn":"arn:aws:iam::111122223333:root"}`), true, true},
		{"a root call that only reads", wrapped(`{"eventID":"e","eventSource":"ec2.amazonaws.com","eventName":"DescribeInstances","readOnly":true,"userIdentity":{"type":"Root"}}`), true, true},
		{"a service acting as root", called(`{"type":"Root","invokedBy":"elasticloadbalancing.amazonaws.com"}`), true, true},
		{"a sign-in as AWS documents it", signIn("AWS Console Sign In via CloudTrail"), true, true},
		{"a sign-in as it is really spelt", signIn("AWS Console Signin via CloudTrail"), true, true},
		{"a service event about root", strings.Replace(called(`{"type":"Root"}`), "API Call", "Service Event", 1), true, true},
		{"an unknown identity with root's ARN", called(`{"type":"Unknown","arn":"arn:aws:iam::111122223333:root"}`), true, true},
		{"an unknown identity", called(`{"type":"Unknown"}`), true, true},
		{"no type, root's ARN", called(`{"arn":"arn:aws:iam::111122223333:root"}`), true, true},
		{"an empty type, root's ARN", called(`{"type":"","arn":"arn:aws-cn:iam::111122223333:root"}`), true, true},
		{"a type that is not known yet, root's ARN", called(`{"type":"RootSession","arn":"arn:aws:iam::111122223333:root"}`), true, true},
		{"root in another spelling", called(`{"type":"ROOT"}`), true, true},
		{"a federated user of root", federated(`{"type":"Root"}`), true, true},
		{"a federated user of root, by the issuer's ARN", federated(`{"arn":"arn:aws:iam::111122223333:root"}`), true, true},
		{"the call that opens a root session in a member account", sts("sts.amazonaws.com", "AssumeRoot"), true, true},

		{"no type, a role's ARN", called(`{"arn":"arn:aws:sts::111122223333:assumed-role/admin/x"}`), false, true},
		{"a federated user of an IAM user", federated(`{"type":"IAMUser","arn":"arn:aws:iam::111122223333:user/x"}`), false, true},
		{"another STS call", sts("sts.amazonaws.com", "AssumeRole"), false, true},
		{"a call of the same name to another service", sts("example.amazonaws.com", "AssumeRoot"), false, true},
		{"an ordinary IAM user", called(`{"type":"IAMUser","userName":"Root","arn":"arn:aws:iam::111122223333:user/Root"}`), false, true},
		{"a role", called(`{"type":"AssumedRole","arn":"arn:aws:sts::111122223333:assumed-role/root/root","sessionContext":{"sessionIssuer":{"type":"Role","userName":"root","arn":"arn:aws:iam::111122223333:role/root"}}}`), false, true},
		{"an AWS service", called(`{"type":"AWSService","invokedBy":"ec2.amazonaws.com"}`), false, true},
		{"an insight, which has no identity", strings.Replace(wrapped(`{"eventID":"e","eventType":"AwsCloudTrailInsight"}`), "API Call", "Insight", 1), false, true},

		{"a heartbeat", heartbeat, false, false},
		{"another service's event", `{"detail-type":"EC2 Instance State-change Notification","source":"aws.ec2","detail":{"userIdentity":{"type":"Root"}}}`, false, false},
		{"CloudTrail's name in the middle", strings.Replace(called(`{"type":"Root"}`), "via CloudTrail", "via CloudTrail (test)", 1), false, false},
	}
}

// hops are the rules that a CloudTrail event goes through. Sources besides AWS's own are trusted
// where they are named.
func hops(t *testing.T, events string, trusted ...string) map[string]object {
	t.Helper()
	given := map[string]string{"CloudTrailEvents": events, "TrustedSources": strings.Join(trusted, ",")}
	central := deploy(t, "central", given)
	forwarder := deploy(t, "forwarder", forwarderParameters(given))
	return map[string]object{
		"forwarder": forwarder.properties("CloudTrailRule"),
		"central":   central.properties("CloudTrailRule"),
	}
}

func forwarderParameters(more map[string]string) map[string]string {
	given := map[string]string{
		"CentralBusArn":      "arn:aws:events:eu-central-1:999988887777:event-bus/rootwatch",
		"HeartbeatAccountId": testAccount,
	}
	for key, value := range more {
		given[key] = value
	}
	return given
}

func TestCloudTrailPatterns(t *testing.T) {
	for _, mode := range []string{"root-only", "all"} {
		for hop, rule := range hops(t, mode) {
			for _, s := range samples() {
				t.Run(mode+"/"+hop+"/"+s.name, func(t *testing.T) {
					want := s.cloudTrail && (mode == "all" || s.root)
					if got := mustMatch(t, rule["EventPattern"].(object), fromJSON(t, s.event)); got != want {
						t.Errorf("got %v, want %v", got, want)
					}
				})
			}
		}
	}
}

// What the classifier calls root must never be filtered away before it: the pattern may let more
// through.
func TestRootOnlyLetsThroughWhateverTheClassifierCallsRoot(t *testing.T) {
	roots := 0
	for _, s := range samples() {
		var envelope struct{ Detail classify.Event }
		if err := json.Unmarshal([]byte(s.event), &envelope); err != nil {
			t.Fatalf("%s: %v", s.name, err)
		}
		if !s.cloudTrail || !classify.IsRoot(&envelope.Detail) {
			continue
		}
		roots++
		for hop, rule := range hops(t, "root-only") {
			if !mustMatch(t, rule["EventPattern"].(object), fromJSON(t, s.event)) {
				t.Errorf("%s: the %s's rule loses it", s.name, hop)
			}
		}
	}
	if roots < 10 {
		t.Errorf("only %d samples are root's: the test shows nothing", roots)
	}
}

// A root call that only reads arrives only with this state, and only if both hops have it.
func TestReadOnlyCallsPassBothHops(t *testing.T) {
	for _, mode := range []string{"root-only", "all"} {
		for hop, rule := range hops(t, mode) {
			if got := rule["State"]; got != "ENABLED_WITH_ALL_CLOUDTRAIL_MANAGEMENT_EVENTS" {
				t.Errorf("%s, %s: State is %v", hop, mode, got)
			}
		}
	}
}

func TestBothHopsHaveTheSamePattern(t *testing.T) {
	for _, mode := range []string{"root-only", "all"} {
		for _, trusted := range [][]string{nil, {"org.republisher", "org.example/other"}} {
			rules := hops(t, mode, trusted...)
			forwarder, central := asJSON(t, rules["forwarder"]["EventPattern"]), asJSON(t, rules["central"]["EventPattern"])
			if forwarder != central {
				t.Errorf("%s, trusted %v: forwarder %s, central %s", mode, trusted, forwarder, central)
			}
			// https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-quota.html: 2,048
			// characters
			if len(forwarder) > 2048 {
				t.Errorf("%s, trusted %v: the pattern has %d characters, EventBridge takes 2,048", mode, trusted, len(forwarder))
			}
		}
	}
}

func asJSON(t *testing.T, value any) string {
	t.Helper()
	text, err := json.Marshal(value)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// Two rules that match one event would put it into the stream twice.
func TestEachEventHasAtMostOneRuleOfTheCentralBus(t *testing.T) {
	schedulerHeartbeat := strings.Replace(heartbeat, "aws.events", "rootwatch.heartbeat", 1)
	want := map[string]string{heartbeat: "HeartbeatRule", schedulerHeartbeat: "SchedulerHeartbeatRule"}
	// Nobody's heartbeat: anybody in the organisation may send the first, and the second is another
	// service's.
	events := []string{schedulerHeartbeat, strings.Replace(heartbeat, "aws.events", "com.example", 1), strings.Replace(heartbeat, "aws.events", "aws.scheduler", 1)}
	for _, s := range samples() {
		events = append(events, s.event)
		if s.cloudTrail {
			want[s.event] = "CloudTrailRule"
		}
	}
	for _, s := range forgeries() {
		events = append(events, s.event)
		want[s.event] = "ForeignSourceRule"
	}
	for _, trusted := range []string{"", "org.republisher"} {
		central := deploy(t, "central", map[string]string{"CloudTrailEvents": "all", "AcceptSchedulerHeartbeat": "yes", "TrustedSources": trusted})
		for _, event := range append(events, heartbeat) {
			if got := matchedBy(t, central, event); got != want[event] {
				t.Errorf("trusted %q, %s: matched by %q, want %q", trusted, event, got, want[event])
			}
		}
	}
}

// matchedBy names the rules of a stack that match an event, separated by commas.
func matchedBy(t *testing.T, s *stack, event string) string {
	t.Helper()
	var matched []string
	for id, rule := range s.ofType("AWS::Events::Rule") {
		if pattern, ok := rule["EventPattern"].(object); ok && mustMatch(t, pattern, fromJSON(t, event)) {
			matched = append(matched, id)
		}
	}
	slices.Sort(matched)
	return strings.Join(matched, ", ")
}

// The worker knows a heartbeat by source and detail-type, and times it by region: the rewritten one
// must have them.
func TestSchedulerHeartbeatIsRewrittenAsTheWorkerKnowsIt(t *testing.T) {
	central := deploy(t, "central", map[string]string{"AcceptSchedulerHeartbeat": "yes"})
	forwarder := deploy(t, "forwarder", forwarderParameters(map[string]string{"HeartbeatVia": "scheduler"}))

	// What the schedule puts on the default bus.
	target := forwarder.properties("HeartbeatSchedule")["Target"]
	event := fromJSON(t, heartbeat).(object)
	event["source"] = at(target, "EventBridgeParameters", "Source")
	event["detail-type"] = at(target, "EventBridgeParameters", "DetailType")
	event["detail"] = fromJSON(t, at(target, "Input").(string))
	event["resources"] = []any{}

	for name, rule := range map[string]object{"forwarder": forwarder.properties("SchedulerHeartbeatRule"), "central": central.properties("SchedulerHeartbeatRule")} {
		if !mustMatch(t, rule["EventPattern"].(object), event) {
			t.Errorf("the %s's rule does not take %v", name, event)
		}
	}
	transformer := at(central.properties("SchedulerHeartbeatRule"), "Targets", 0, "InputTransformer")
	text := at(transformer, "InputTemplate").(string)
	for variable, path := range at(transformer, "InputPathsMap").(object) {
		value := event[strings.TrimPrefix(path.(string), "$.")]
		text = strings.ReplaceAll(text, "<"+variable+">", asJSON(t, value))
	}
	got := fromJSON(t, text).(object)
	want := fromJSON(t, heartbeat).(object)
	want["resources"] = []any{}
	if asJSON(t, got) != asJSON(t, want) {
		t.Errorf("the stream gets\n%s\nwant\n%s", asJSON(t, got), asJSON(t, want))
	}
	// It has been through the central bus; a copy of it must not pass for CloudTrail's.
	if mustMatch(t, central.properties("CloudTrailRule")["EventPattern"].(object), got) {
		t.Error("the rewritten heartbeat matches the CloudTrail rule")
	}
}
