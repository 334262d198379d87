package envelope

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

const (
	// lost is an event that has lost its identity.
	lost = `{"eventVersion":"1.11","eventTime":"2026-11-02T08:00:00Z","eventSource":"iam.amazonaws.com","eventName":"CreateUser",` +
		`"awsRegion":"us-east-1","sourceIPAddress":"203.0.113.7","eventID":"lost-1","eventType":"AwsApiCall"}`
	// aggregated is an event by AWS's description of aggregated events.
	aggregated = `{"eventVersion":"1.0","accountId":"111122223333","eventId":"0f5b0000-0000-4000-8000-000000000001","eventCategory":"Aggregated",` +
		`"eventType":"AwsAggregatedEvent","awsRegion":"us-east-1","eventSource":"s3.amazonaws.com","timeWindow":{"windowStart":"2026-11-02T08:00:00Z",` +
		`"windowEnd":"2026-11-02T08:05:00Z","windowSize":"PT5M"},"summary":{"primaryDimension":{"dimension":"userIdentity",` +
		`"statistics":[{"name":"arn:aws:iam::111122223333:root","value":120}]},"details":[]}}`
	// serviceEvent is what a service did without a call, as AWS Organizations writes it.
	serviceEvent = `{"eventVersion":"1.11","userIdentity":{"accountId":"111122223333","invokedBy":"AWS Internal"},"eventSource":"organizations.amazonaws.com",` +
		`"eventName":"CloseAccountResult","eventID":"s","eventType":"AwsServiceEvent"}`
	// notification is S3's message about an object.
	notification = `{"eventVersion":"2.1","eventSource":"aws:s3","awsRegion":"us-east-1","eventTime":"2026-11-02T08:00:00.000Z","eventName":"ObjectCreated:Put",` +
		`"userIdentity":{"principalId":"AWS:AIDAEXAMPLE"},"s3":{"bucket":{"name":"trail"},"object":{"key":"AWSLogs/a.json.gz"}}}`
	// lambdaRecord is an element of what a Kinesis stream invokes a Lambda function with.
	lambdaRecord = `{"eventSource":"aws:kinesis","eventVersion":"1.0","eventID":"shardId-000000000000:1","eventName":"aws:kinesis:record",` +
		`"invokeIdentityArn":"arn:aws:iam::111122223333:role/lambda","awsRegion":"us-east-1","kinesis":{"partitionKey":"a","data":"e30="}}`
)

// identity puts an identity into an event that has lost its own.
func identity(value string) string {
	return strings.Replace(lost, "{", `{"userIdentity":`+value+`,`, 1)
}

// member puts a member in front of an event's.
func member(event, name, value string) string {
	return strings.Replace(event, "{", fmt.Sprintf(`{"%s":%s,`, name, value), 1)
}

func TestWhoCannotBeJudgedIsUndecodable(t *testing.T) {
	typed := func(event, eventType string) string { return strings.Replace(event, "AwsApiCall", eventType, 1) }
	tests := []struct{ name, event, want string }{
		{"an event without userIdentity", lost, "undecodable"},
		{"userIdentity null", identity(`null`), "undecodable"},
		{"userIdentity a string", identity(`"Root"`), "undecodable"},
		{"userIdentity empty", identity(`{}`), "undecodable"},
		{"userIdentity empty, with white space", identity("{ \n }"), "undecodable"},
		{"userIdentity of empty members", identity(`{"type":"","arn":null,"sessionContext":{"attributes":{}}}`), "undecodable"},
		{"userIdentity with an account alone", identity(`{"accountId":"111122223333"}`), "not_root"},
		{"userIdentity with a member in the depth", identity(`{"sessionContext":{"attributes":{"creationDate":"2026-11-02T08:00:00Z"}}}`), "not_root"},
		{"userIdentity with the ARN of a root alone", identity(`{"arn":"arn:aws:iam::111122223333:root"}`), "root"},
		{"a root, and an empty identity behind it", member(identity(`{}`), "userIdentity", `{"type":"Root"}`), "root"},
		{"a root, and null behind it", member(identity(`null`), "userIdentity", `{"type":"Root"}`), "root"},
		{"a root, and an empty identity before it", member(identity(`{"type":"Root"}`), "userIdentity", `{}`), "root"},
		{"userIdentity in another case", member(lost, "USERIDENTITY", `{"type":"Root"}`), "root"},
		{"userIdentity in another object alone", member(lost, "requestParameters", `{"userIdentity":{"type":"Root"}}`), "undecodable"},
		{"an insight by its category", member(lost, "eventCategory", `"Insight"`), "not_root"},
		{"an insight by its type", typed(lost, "AwsCloudTrailInsight"), "not_root"},
		{"an insight with an empty identity", typed(identity(`{}`), "AwsCloudTrailInsight"), "not_root"},
		{"a service event", serviceEvent, "not_root"},
		{"a service event without userIdentity", typed(lost, "AwsServiceEvent"), "not_root"},
		{"a service event with an empty identity", typed(identity(`{}`), "AwsServiceEvent"), "not_root"},
		{"a service event, its type with an escape", typed(lost, `AwsService\u0045vent`), "not_root"},
		{"a service event by root", typed(identity(`{"type":"Root"}`), "AwsServiceEvent"), "root"},
		{"a service event, its type in another case", typed(lost, "awsserviceevent"), "undecodable"},
		{"a category of calls", member(lost, "eventCategory", `"Management"`), "undecodable"},
	}
	for _, tt := range tests {
		for form, data := range forms(tt.event) {
			t.Run(tt.name+", "+form, func(t *testing.T) {
				got := read(t, Config{}, data)
				if got.counts[tt.want] != 1 || len(got.counts) != 1 {
					t.Errorf("results %v, want one %s", got.counts, tt.want)
				}
				for _, err := range got.broken {
					if err != errNoIdentity && !strings.Contains(tt.name, "a string") {
						t.Errorf("the reason is %v, want %v", err, errNoIdentity)
					}
				}
				agree(t, []byte(data))
			})
		}
	}
}

// forms are all that an event may be wrapped in.
func forms(event string) map[string]string {
	return map[string]string{
		"bare": event, "in EventBridge's envelope": viaEventBridge(event), "in an S3 log file": inFile(event), "gzipped": zipped(inFile(event)),
		"in a CloudWatch Logs payload": logged(event), "in a LookupEvents answer": lookedUp(event),
		"in an envelope in a payload": logged(viaEventBridge(event)), "in an envelope in a file": inFile(viaEventBridge(event)),
	}
}

func TestNotificationsOfOtherServicesAreNotCloudTrails(t *testing.T) {
	for name, event := range map[string]string{
		"S3's":                             notification,
		"a Lambda function's from Kinesis": lambdaRecord,
		"a Lambda function's from SQS":     `{"messageId":"m","receiptHandle":"r","body":"{}","eventSource":"aws:sqs","eventSourceARN":"arn:aws:sqs:us-east-1:111122223333:q","eventName":"x"}`,
		"SNS's, which writes capitals":     `{"EventSource":"aws:sns","EventVersion":"1.0","EventName":"x","Sns":{"Message":"m"}}`,
		"its source with an escape":        strings.Replace(notification, "aws:", `aws\u003a`, 1),
		"one that names a user":            strings.Replace(notification, `"principalId"`, `"type":"IAMUser","principalId"`, 1),
	} {
		for form, data := range map[string]string{"bare": event, "in Records": inFile(event), "in a payload": logged(event), "looked up": lookedUp(event)} {
			t.Run(name+", "+form, func(t *testing.T) {
				if diff := cmp.Diff(map[string]int{"not_cloudtrail": 1}, read(t, Config{}, data).counts); diff != "" {
					t.Errorf("results (-want +got):\n%s", diff)
				}
				agree(t, []byte(data))
			})
		}
	}
	t.Run("CloudTrail's events beside it are judged", func(t *testing.T) {
		got := read(t, Config{}, inFile(notification, rootEvent, lambdaRecord, userEvent)).counts
		if diff := cmp.Diff(map[string]int{"not_cloudtrail": 2, "root": 1, "not_root": 1}, got); diff != "" {
			t.Errorf("results (-want +got):\n%s", diff)
		}
	})
	t.Run("CloudTrail's record of a call to S3 is none", func(t *testing.T) {
		if got := read(t, Config{}, strings.Replace(userEvent, "ec2.", "s3.", 1)).counts; got["not_root"] != 1 {
			t.Errorf("results %v, want not root", got)
		}
	})
}

func TestAggregatedEventsAreNoCallsAndNoDamage(t *testing.T) {
	kinds := func(data string) []Kind { return read(t, Config{}, data).order }
	for form, data := range forms(aggregated) {
		if diff := cmp.Diff([]Kind{Aggregated}, kinds(data)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", form, diff)
		}
		agree(t, []byte(data))
	}
	for name, tt := range map[string]struct {
		event string
		want  Kind
	}{
		"by its category alone":            {strings.Replace(aggregated, "AwsAggregatedEvent", "x", 1), Aggregated},
		"by its type alone":                {strings.Replace(aggregated, `"Aggregated"`, `"x"`, 1), Aggregated},
		"with an empty identity":           {member(aggregated, "userIdentity", `{}`), Aggregated},
		"that names who called":            {member(aggregated, "userIdentity", `{"type":"Root"}`), Event},
		"that names a call, and nobody":    {member(aggregated, "eventName", `"GetObject"`), Undecodable},
		"whose category and type are gone": {strings.NewReplacer("AwsAggregatedEvent", "x", `"Aggregated"`, `"x"`).Replace(aggregated), NotCloudTrail},
	} {
		if diff := cmp.Diff([]Kind{tt.want}, kinds(inFile(tt.event))); diff != "" {
			t.Errorf("one %s (-want +got):\n%s", name, diff)
		}
	}
	if got := kinds(strings.Replace(aggregated, "{", `{"Records":[`+rootEvent+`],`, 1)); len(got) != 1 || got[0] != Event {
		t.Errorf("a list beside one is %v, want the event in it", got)
	}
}

// Whether an identity says something must not take long, whatever its shape: a text of many levels
// is read a few times, not once for each level.
func TestADeepIdentityThatSaysNothingIsReadInLinearTime(t *testing.T) {
	const levels = 9_000
	deep := identity(strings.Repeat(`{"a":`, levels) + `"" ` + strings.Repeat(" ", 2<<20) + strings.Repeat("}", levels))
	if got := read(t, Config{}, deep).counts; got["undecodable"] != 1 {
		t.Errorf("results %v, want undecodable", got)
	}
}
