package classify

import (
	"encoding/json"
	"strings"
	"testing"
)

// change is one edit of a record: the value goes to the dotted path, and nil takes the path away.
type change struct {
	path  string
	value any
}

func set(path string, value any) change { return change{path, value} }
func drop(path string) change           { return change{path, nil} }

// null is a JSON null, which a nil in a change is not.
var null = json.RawMessage("null")

// literal is a JSON value as it stands.
func literal(text string) json.RawMessage { return json.RawMessage(text) }

const (
	longLived = "AKIAIOSFODNN7EXAMPLE"
	temporary = "ASIAIOSFODNN7EXAMPLE"
	office    = "203.0.113.7"
	rootARN   = "arn:aws:iam::111122223333:root"
)

// The records that the tables start from: the least of each kind.

// serviceCall is Auto Scaling acting as root by itself.
func serviceCall() map[string]any {
	return map[string]any{
		"eventVersion": "1.05", "eventTime": "2016-03-01T10:00:00Z", "eventID": "6f9b0a52-0001-4c1e-9a55-000000000001",
		"eventSource": "ec2.amazonaws.com", "eventName": "RunInstances", "awsRegion": "eu-west-1", "eventType": "AwsApiCall",
		"sourceIPAddress": "autoscaling.amazonaws.com", "userAgent": "autoscaling.amazonaws.com",
		"recipientAccountId": "111122223333",
		"userIdentity": map[string]any{
			"type": "Root", "principalId": "111122223333", "arn": rootARN, "accountId": "111122223333",
			"invokedBy": "autoscaling.amazonaws.com",
		},
	}
}

// bareCall is a root call that tells nothing about its caller.
func bareCall() map[string]any {
	return edit(serviceCall(), drop("userIdentity.invokedBy"), set("sourceIPAddress", office), set("userAgent", "aws-cli/2.15.0"))
}

// sessionCall is a person's call with a temporary key.
func sessionCall() map[string]any {
	return edit(bareCall(), set("userIdentity.accessKeyId", temporary), set("userIdentity.sessionContext", map[string]any{
		"sessionIssuer": map[string]any{}, "webIdFederationData": map[string]any{},
		"attributes": map[string]any{"creationDate": "2024-05-01T08:00:00Z", "mfaAuthenticated": "true"},
	}))
}

// signIn is a root user's successful sign-in at the console.
func signIn() map[string]any {
	return edit(bareCall(), set("eventSource", "signin.amazonaws.com"), set("eventName", "ConsoleLogin"),
		set("eventType", "AwsConsoleSignIn"), set("userIdentity.accessKeyId", ""), set("userAgent", "Mozilla/5.0"),
		set("responseElements", map[string]any{"ConsoleLogin": "Success"}), set("additionalEventData", map[string]any{"MFAUsed": "Yes"}))
}

// edit applies the changes in place and returns the record.
func edit(record map[string]any, changes ...change) map[string]any {
	for _, c := range changes {
		at := record
		keys := strings.Split(c.path, ".")
		for _, key := range keys[:len(keys)-1] {
			next, ok := at[key].(map[string]any)
			if !ok {
				next = map[string]any{}
				at[key] = next
			}
			at = next
		}
		if last := keys[len(keys)-1]; c.value == nil {
			delete(at, last)
		} else {
			at[last] = c.value
		}
	}
	return record
}

// decode reads a record as the pipeline does.
func decode(t testing.TB, record any) *Event {
	t.Helper()
	var data []byte
	switch r := record.(type) {
	case string:
		data = []byte(r)
	default:
		var err error
		if data, err = json.Marshal(r); err != nil {
			t.Fatal(err)
		}
	}
	ev := new(Event)
	if err := json.Unmarshal(data, ev); err != nil {
		t.Fatalf("decoding %s: %v", data, err)
	}
	return ev
}

// judge decodes and classifies a record that must be root's.
func judge(t testing.TB, record any) Finding {
	t.Helper()
	ev := decode(t, record)
	if !IsRoot(ev) {
		t.Fatalf("not judged root: %v", record)
	}
	return Classify(ev)
}
