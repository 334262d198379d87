package classify

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"
)

func TestOnlyTheWayToTheVerdictIsStrict(t *testing.T) {
	for _, tt := range []struct {
		name, record string
		typeError    bool // a JSON type error, not a syntax error
	}{
		{"a record that is a string", `"Root"`, true},
		{"a record that is a list", `[]`, true},
		{"a record that is a number", `7`, true},
		{"userIdentity is a string", `{"userIdentity":"Root"}`, true},
		{"userIdentity is a list", `{"userIdentity":[{"type":"Root"}]}`, true},
		{"userIdentity is a boolean", `{"userIdentity":true}`, true},
		{"the type is a number", `{"userIdentity":{"type":1}}`, true},
		{"the type is a list", `{"userIdentity":{"type":["Root"]}}`, true},
		{"the type is an object", `{"userIdentity":{"type":{}}}`, true},
		{"the type is a boolean", `{"userIdentity":{"type":true}}`, true},
		{"cut short", `{"userIdentity":{"type":"Root"`, false},
		{"two values", `{} {}`, false},
		{"no value", ``, false},
		{"nested beyond what the decoder takes", `{"userIdentity":{"sessionContext":` + strings.Repeat(`[`, 20000) + strings.Repeat(`]`, 20000) + `}}`, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			err := json.Unmarshal([]byte(tt.record), new(Event))
			var typeErr *json.UnmarshalTypeError
			if err == nil || errors.As(err, &typeErr) != tt.typeError {
				t.Errorf("error %v, want one of the JSON type: %t", err, tt.typeError)
			}
		})
	}
}

func TestAnyOtherFieldTakesAnyJSONType(t *testing.T) {
	fields := []string{
		"eventVersion", "eventTime", "eventSource", "eventName", "awsRegion", "sourceIPAddress", "userAgent", "errorCode",
		"errorMessage", "readOnly", "eventID", "eventType", "recipientAccountId", "sharedEventID", "addendum", "addendum.reason",
		"addendum.originalEventID", "additionalEventData", "additionalEventData.MFAUsed", "additionalEventData.signInSessionArn",
		"additionalEventData.success", "responseElements", "responseElements.ConsoleLogin", "requestParameters",
		"requestParameters.userName", "requestParameters.PublicAccessBlockConfiguration", "requestParameters.PublicAccessBlockConfiguration.BlockPublicAcls",
		"sessionCredentialFromConsole", "tlsDetails", "signInSessionArn", "userIdentity.arn", "userIdentity.accountId",
		"userIdentity.principalId", "userIdentity.userName", "userIdentity.accessKeyId", "userIdentity.sessionContext",
		"userIdentity.sessionContext.sessionIssuer", "userIdentity.sessionContext.sessionIssuer.type",
		"userIdentity.sessionContext.sessionIssuer.arn", "userIdentity.sessionContext.attributes",
		"userIdentity.sessionContext.attributes.creationDate", "userIdentity.sessionContext.attributes.mfaAuthenticated",
		"userIdentity.sessionContext.assumedRoot", "userIdentity.sessionContext.signInSessionArn",
		"userIdentity.sessionContext.sourceIdentity", "userIdentity.sessionContext.webIdFederationData", "userIdentity.invokedBy",
		"userIdentity.invokedByDelegate", "userIdentity.onBehalfOf", "userIdentity.inScopeOf", "userIdentity.credentialId",
		"userIdentity.signInSessionArn",
	}
	values := []string{`null`, `"x"`, `""`, `5`, `-1.5e3`, `true`, `false`, `[]`, `["x"]`, `[1,{"a":[]}]`, `{}`, `{"x":{"y":1}}`}
	for _, field := range fields {
		for _, value := range values {
			// decode fails the test on an error, and so does a lost root call.
			judge(t, edit(sessionCall(), set(field, literal(value))))
			judge(t, edit(serviceCall(), set(field, literal(value))))
		}
	}
}

func TestAbsentAndNullAreTheSame(t *testing.T) {
	for _, record := range []string{`{"userIdentity":null}`, `{}`, `{"userIdentity":{"type":null}}`, `{"userIdentity":{}}`, `null`} {
		if ev := decode(t, record); ev.UserIdentity.Type != "" || IsRoot(ev) {
			t.Errorf("%s: type %q, root %t", record, ev.UserIdentity.Type, IsRoot(ev))
		}
	}
}

func TestText(t *testing.T) {
	for _, tt := range []struct {
		name, json string
		want       Text
		empty      bool
	}{
		{"null is absent", `null`, Text{}, true},
		{"an empty string is present", `""`, Text{Present: true}, true},
		{"a string", `"a b"`, Text{Value: "a b", Present: true}, false},
		{"a string of blanks says something", `" "`, Text{Value: " ", Present: true}, false},
		{"a string with escapes", `"\u0052oot\n"`, Text{Value: "Root\n", Present: true}, false},
		{"a boolean is kept as text", `false`, Text{Value: "false", Present: true, Odd: true}, false},
		{"a number says something, zero too", `0`, Text{Value: "0", Present: true, Odd: true}, false},
		{"an empty object", `{ }`, Text{Value: "{}", Present: true, Odd: true}, true},
		{"an empty list", `[]`, Text{Value: "[]", Present: true, Odd: true}, true},
		{"an object of empty members", `{"a": {}, "b": "", "c": null, "d": [{}, ""]}`,
			Text{Value: `{"a":{},"b":"","c":null,"d":[{},""]}`, Present: true, Odd: true}, true},
		{"an object with one member", `{"a": {"b": false}}`, Text{Value: `{"a":{"b":false}}`, Present: true, Odd: true}, false},
		{"a list with one member", `["x"]`, Text{Value: `["x"]`, Present: true, Odd: true}, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var got struct{ V Text }
			if err := json.Unmarshal([]byte(`{"V":`+tt.json+`}`), &got); err != nil {
				t.Fatal(err)
			}
			if got.V != tt.want || got.V.Empty() != tt.empty {
				t.Errorf("got %+v, empty %t; want %+v, empty %t", got.V, got.V.Empty(), tt.want, tt.empty)
			}
		})
	}
}

func TestTextMeetsEveryStringAsTheJSONPackageReadsIt(t *testing.T) {
	for _, s := range []string{`"plain"`, `"\"quoted\""`, `"\\"`, `"\ud83d\ude00"`, `"\ud83d"`, `"` + "\xff\xfe" + `"`, `"Zoë 中"`, `"` + "\u2028" + `"`} {
		var got Text
		var want string
		if err := json.Unmarshal([]byte(s), &want); err != nil {
			t.Fatal(err)
		}
		if err := json.Unmarshal([]byte(s), &got); err != nil || got.Value != want {
			t.Errorf("%q: got %q, %v; want %q", s, got.Value, err, want)
		}
	}
}

func TestAccessors(t *testing.T) {
	const signInARN = "arn:aws:signin:us-east-1:111122223333:session/0c5d"
	for _, tt := range []struct {
		name   string
		record map[string]any
		get    func(*Event) string
		want   string
	}{
		{"MFA of a sign-in that used it", signIn(), (*Event).MFA, "true"},
		{"MFA of a sign-in that did not", edit(signIn(), set("additionalEventData.MFAUsed", "No")), (*Event).MFA, "false"},
		{"MFA of a session that had it", sessionCall(), (*Event).MFA, "true"},
		{"MFA of a session that had not", edit(sessionCall(), set("userIdentity.sessionContext.attributes.mfaAuthenticated", "false")), (*Event).MFA, "false"},
		{"MFA as a boolean", edit(sessionCall(), set("userIdentity.sessionContext.attributes.mfaAuthenticated", true)), (*Event).MFA, "true"},
		{"MFA of a key alone", edit(bareCall(), set("userIdentity.accessKeyId", longLived)), (*Event).MFA, ""},
		{"MFA not understood", edit(signIn(), set("additionalEventData.MFAUsed", "Perhaps")), (*Event).MFA, ""},
		{"session's start", sessionCall(), (*Event).SessionStarted, "2024-05-01T08:00:00Z"},
		{"no session", bareCall(), (*Event).SessionStarted, ""},
		{"key", sessionCall(), (*Event).Key, temporary},
		{"no key", bareCall(), (*Event).Key, ""},
		{"sign-in session in additionalEventData", edit(bareCall(), set("additionalEventData.signInSessionArn", signInARN)), (*Event).SignInSession, signInARN},
		{"sign-in session in userIdentity", edit(bareCall(), set("userIdentity.signInSessionArn", signInARN)), (*Event).SignInSession, signInARN},
		{"sign-in session in the record", edit(bareCall(), set("signInSessionArn", signInARN)), (*Event).SignInSession, signInARN},
		{"ordinary record", bareCall(), (*Event).AddendumReason, ""},
		{"late record", edit(bareCall(), set("addendum.reason", "DELIVERY_DELAY")), (*Event).AddendumReason, "DELIVERY_DELAY"},
		{"addendum of another type", edit(bareCall(), set("addendum", 5)), (*Event).AddendumReason, "5"},
		{"late record is no copy", edit(bareCall(), set("addendum.reason", "DELIVERY_DELAY"), set("addendum.originalEventID", "e1")), (*Event).UpdateOf, ""},
		{"corrected copy", edit(bareCall(), set("addendum.reason", "UPDATED_DATA"), set("addendum.originalEventID", "e1")), (*Event).UpdateOf, "e1"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := tt.get(decode(t, tt.record)); got != tt.want {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
}
