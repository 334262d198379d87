// Package deploy tests what operators install: the stacks, the image's build file and the README's
// commands. It has no code of its own. What a linter can find is cfncheck's business; here is what
// a linter misses, because a template can be valid and yet lose root calls.
package deploy

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"
)

var templates = []string{"central", "forwarder", "service"}

// CloudFormation reads YAML without anchors and aliases.
func TestTemplatesHaveNoAliases(t *testing.T) {
	files, err := filepath.Glob("cloudformation/*.yaml")
	if err != nil || len(files) != len(templates) {
		t.Fatalf("templates: %v, %v", files, err)
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		var root yaml.Node
		if err := yaml.Unmarshal(text, &root); err != nil {
			t.Fatalf("%s: %v", file, err)
		}
		refuseAliases(t, file, &root)
	}
}

func refuseAliases(t *testing.T, file string, n *yaml.Node) {
	t.Helper()
	if n.Kind == yaml.AliasNode || n.Anchor != "" {
		t.Errorf("%s:%d: anchor or alias %s%s", file, n.Line, n.Anchor, n.Value)
	}
	if n.Tag == "!!merge" {
		t.Errorf("%s:%d: a merge key", file, n.Line)
	}
	for _, child := range n.Content {
		refuseAliases(t, file, child)
	}
}

// A rule of the same name would be refused when one replaces the other, and the roles trust rules
// by this prefix.
func TestRuleNames(t *testing.T) {
	for _, name := range []string{"central", "forwarder"} {
		seen := map[any]bool{}
		for id, r := range load(t, name).section("Resources") {
			if at(r, "Type") != "AWS::Events::Rule" {
				continue
			}
			rule, _ := at(r, "Properties", "Name").(string)
			if seen[rule] || !strings.HasPrefix(rule, "rootwatch-") || len(rule) > 64 {
				t.Errorf("%s: %s has the name %q: want one of its own, rootwatch-… of at most 64 characters", name, id, rule)
			}
			seen[rule] = true
		}
	}
}

// Copies of an event meet in one shard; a heartbeat has no such path, so it cannot share the rule.
func TestPartitionKeyPath(t *testing.T) {
	central := deploy(t, "central", map[string]string{"AcceptSchedulerHeartbeat": "yes"})
	for id, rule := range central.ofType("AWS::Events::Rule") {
		if id == "ForeignSourceRule" {
			continue // it sends nothing to the stream: TestForgedEventsAreCountedAndNotDelivered
		}
		var want any
		if id == "CloudTrailRule" {
			want = "$.detail.eventID"
		}
		if got := at(rule, "Targets", 0, "KinesisParameters", "PartitionKeyPath"); got != want {
			t.Errorf("%s: PartitionKeyPath is %v, want %v", id, got, want)
		}
		if got := at(rule, "Targets", 0, "Arn"); got != "att:Stream.Arn" {
			t.Errorf("%s sends to %v", id, got)
		}
	}
}

func TestStream(t *testing.T) {
	onDemand := deploy(t, "central", nil).properties("Stream")
	if at(onDemand, "RetentionPeriodHours") != "168" || at(onDemand, "StreamModeDetails", "StreamMode") != "ON_DEMAND" || onDemand["ShardCount"] != nil {
		t.Errorf("by default: %v", onDemand)
	}
	if at(onDemand, "StreamEncryption", "EncryptionType") != "KMS" || at(onDemand, "StreamEncryption", "KeyId") != "alias/aws/kinesis" {
		t.Errorf("by default: %v", onDemand["StreamEncryption"])
	}
	provisioned := deploy(t, "central", map[string]string{"StreamMode": "PROVISIONED", "ShardCount": "3", "StreamKeyArn": testKey})
	if got := provisioned.properties("Stream"); got["ShardCount"] != "3" || at(got, "StreamEncryption", "KeyId") != testKey {
		t.Errorf("provisioned, own key: %v", got)
	}
	writes := at(provisioned.properties("StreamWriter"), "Policies", 0, "PolicyDocument", "Statement", 1)
	if at(writes, "Action") != "kms:GenerateDataKey" || at(writes, "Resource") != testKey {
		t.Errorf("EventBridge may not write with the key: %v", writes)
	}
}

const testKey = "arn:aws:kms:eu-central-1:111122223333:key/00000000-1111-2222-3333-444444444444"

// The bus takes events of the organisation, and of nobody else.
func TestBusPolicy(t *testing.T) {
	alone := deploy(t, "central", nil).ofType("AWS::Events::EventBusPolicy")
	own := `{"Action":"events:PutEvents","Effect":"Allow","Principal":{"AWS":"arn:aws:iam::111122223333:root"},"Resource":"att:Bus.Arn"}`
	if got := asJSON(t, alone["AccountPolicy"]["Statement"]); len(alone) != 1 || got != own {
		t.Errorf("without an organisation: %v", alone)
	}
	central := deploy(t, "central", map[string]string{"OrganizationId": "o-a1b2c3d4e5"})
	if all := central.ofType("AWS::Events::EventBusPolicy"); len(all) != 1 {
		t.Errorf("with an organisation: %v", all)
	}
	statement := central.properties("BusPolicy")["Statement"]
	want := `{"Action":"events:PutEvents","Condition":{"StringEquals":{"aws:PrincipalOrgID":"o-a1b2c3d4e5"}},"Effect":"Allow","Principal":"*","Resource":"att:Bus.Arn"}`
	if got := asJSON(t, statement); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

func TestArchiveKeepsCloudTrailEventsAlone(t *testing.T) {
	archive := deploy(t, "central", nil).properties("Archive")
	if archive["RetentionDays"] != "30" {
		t.Errorf("RetentionDays: %v", archive["RetentionDays"])
	}
	for _, s := range samples() {
		if got := mustMatch(t, archive["EventPattern"].(object), fromJSON(t, s.event)); got != s.cloudTrail {
			t.Errorf("%s: kept %v, want %v", s.name, got, s.cloudTrail)
		}
	}
}

// What does not arrive is kept for 14 days, in a queue that EventBridge can write to; heartbeats
// are not kept.
func TestDeadLetters(t *testing.T) {
	stacks := map[string]*stack{
		"central":   deploy(t, "central", map[string]string{"AcceptSchedulerHeartbeat": "yes"}),
		"forwarder": deploy(t, "forwarder", forwarderParameters(map[string]string{"AlarmTopicName": "security"})),
	}
	for name, s := range stacks {
		queue := s.properties("DeadLetters")
		if queue["MessageRetentionPeriod"] != 1209600 || queue["SqsManagedSseEnabled"] != true || queue["KmsMasterKeyId"] != nil {
			t.Errorf("%s: %v", name, queue)
		}
		allow := at(s.properties("DeadLettersPolicy"), "PolicyDocument", "Statement", 0)
		want := `{"Action":"sqs:SendMessage","Condition":{"ArnEquals":{"aws:SourceArn":"att:CloudTrailRule.Arn"}},"Effect":"Allow","Principal":{"Service":"events.amazonaws.com"},"Resource":"att:DeadLetters.Arn"`
		if got := asJSON(t, allow); !strings.HasPrefix(got, want) {
			t.Errorf("%s: %s", name, got)
		}
		for id, rule := range s.ofType("AWS::Events::Rule") {
			var want any
			if id == "CloudTrailRule" {
				want = "att:DeadLetters.Arn"
			}
			if got := at(rule, "Targets", 0, "DeadLetterConfig", "Arn"); got != want {
				t.Errorf("%s: dead letters of %s go to %v, want %v", name, id, got, want)
			}
		}
		alarm := s.properties("DeadLettersAlarm")
		if at(alarm, "Dimensions", 0, "Value") != "att:DeadLetters.QueueName" || alarm["Threshold"] != 0 || alarm["ComparisonOperator"] != "GreaterThanThreshold" {
			t.Errorf("%s: %v", name, alarm)
		}
	}
	if got := at(stacks["forwarder"].properties("DeadLettersAlarm"), "AlarmActions", 0); got != "arn:aws:sns:eu-central-1:111122223333:security" {
		t.Errorf("forwarder's alarm tells %v", got)
	}
}

// One account sends the heartbeat, by one way, to the central bus and with the role that
// CloudTrail's events go by.
func TestHeartbeat(t *testing.T) {
	tests := []struct {
		name, account, via string
		want               []string
	}{
		{"this account, scheduled rule", testAccount, "scheduled-rule", []string{"HeartbeatRule"}},
		{"another account", "999988887777", "scheduled-rule", nil},
		{"another account, scheduler", "999988887777", "scheduler", nil},
		{"every account", "every-account", "scheduled-rule", []string{"HeartbeatRule"}},
		{"none", "none", "scheduler", nil},
		{"the default", "", "scheduled-rule", nil},
		{"this account, scheduler", testAccount, "scheduler", []string{"HeartbeatSchedule", "Scheduler", "SchedulerHeartbeatRule"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			given := forwarderParameters(map[string]string{"HeartbeatAccountId": tt.account, "HeartbeatVia": tt.via})
			if tt.account == "" {
				delete(given, "HeartbeatAccountId")
			}
			forwarder := deploy(t, "forwarder", given)
			var got []string
			for id := range forwarder.resources {
				if strings.Contains(id, "Heartbeat") || id == "Scheduler" {
					got = append(got, id)
				}
			}
			slices.Sort(got)
			if !slices.Equal(got, tt.want) {
				t.Fatalf("made: %v, want %v", got, tt.want)
			}
			for _, id := range got {
				p := forwarder.properties(id)
				if rate := p["ScheduleExpression"]; rate != nil && rate != "rate(1 minute)" {
					t.Errorf("%s: %v", id, rate)
				}
				if target := at(p, "Targets", 0); target != nil && (at(target, "Arn") != forwarderParameters(nil)["CentralBusArn"] || at(target, "RoleArn") != "att:Forwarder.Arn") {
					t.Errorf("%s sends to %v", id, target)
				}
			}
		})
	}
}

// Scheduled rules exist on the default bus alone, and every rule of the forwarder listens there.
func TestForwarderListensOnTheDefaultBus(t *testing.T) {
	for id, r := range load(t, "forwarder").section("Resources") {
		if bus := at(r, "Properties", "EventBusName"); bus != nil {
			t.Errorf("%s is on %v", id, bus)
		}
	}
}
