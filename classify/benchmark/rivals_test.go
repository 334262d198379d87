package main

import (
	"encoding/json"
	"testing"
)

// made is a record from JSON, with root as caller unless it says otherwise.
func made(t *testing.T, text string) record {
	t.Helper()
	var r record
	if err := json.Unmarshal([]byte(text), &r); err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	if !r.has("userIdentity") {
		r["userIdentity"] = map[string]any{}
	}
	if who := r["userIdentity"].(map[string]any); who["type"] == nil {
		who["type"] = "Root"
	}
	return r
}

const (
	write      = `{"eventName": "RunInstances", "eventType": "AwsApiCall", "sourceIPAddress": "192.0.2.1", "userAgent": "aws-cli", "readOnly": false}`
	read       = `{"eventName": "DescribeInstances", "eventType": "AwsApiCall", "sourceIPAddress": "192.0.2.1", "userAgent": "aws-cli", "readOnly": true}`
	denied     = `{"eventName": "RunInstances", "eventType": "AwsApiCall", "errorCode": "AccessDenied", "userIdentity": {"accessKeyId": "AKIAIOSFODNN7EXAMPLE"}, "sourceIPAddress": "192.0.2.1"}`
	otherUser  = `{"eventName": "ConsoleLogin", "eventType": "AwsConsoleSignIn", "eventSource": "signin.amazonaws.com", "responseElements": {"ConsoleLogin": "Success"}, "userIdentity": {"type": "IAMUser"}, "additionalEventData": {"MFAUsed": "No"}}`
	byService  = `{"eventName": "RunInstances", "eventType": "AwsApiCall", "userIdentity": {"invokedBy": "autoscaling.amazonaws.com"}, "sourceIPAddress": "autoscaling.amazonaws.com", "userAgent": "autoscaling.amazonaws.com"}`
	bySignIn   = `{"eventName": "RunInstances", "eventType": "AwsApiCall", "userIdentity": {"invokedBy": "signin.amazonaws.com"}, "sourceIPAddress": "192.0.2.1", "userAgent": "signin.amazonaws.com"}`
	event      = `{"eventName": "RotateKey", "eventType": "AwsServiceEvent"}`
	internal   = `{"eventName": "StopInstances", "eventType": "AwsApiCall", "userAgent": "AWS Internal"}`
	linkedRole = `{"eventName": "CreateServiceLinkedRole", "eventType": "AwsApiCall", "readOnly": false}`
	noMFA      = `{"eventName": "ConsoleLogin", "eventType": "AwsConsoleSignIn", "eventSource": "signin.amazonaws.com", "responseElements": {"ConsoleLogin": "Success"}, "additionalEventData": {"MFAUsed": "No"}}`
	withMFA    = `{"eventName": "ConsoleLogin", "eventType": "AwsConsoleSignIn", "eventSource": "signin.amazonaws.com", "responseElements": {"ConsoleLogin": "Success"}, "additionalEventData": {"MFAUsed": "Yes"}}`
	refused    = `{"eventName": "ConsoleLogin", "eventType": "AwsConsoleSignIn", "eventSource": "signin.amazonaws.com", "errorMessage": "Failed authentication", "responseElements": {"ConsoleLogin": "Failure"}, "additionalEventData": {"MFAUsed": "No"}}`
	recovery   = `{"eventName": "PasswordRecoveryRequested", "eventType": "AwsConsoleSignIn", "eventSource": "signin.amazonaws.com", "responseElements": {"PasswordRecoveryRequested": "Success"}}`
	password   = `{"eventName": "PasswordUpdated", "eventType": "AwsConsoleSignIn", "readOnly": true, "responseElements": {"PasswordUpdated": "Success"}}`
	ownKey     = `{"eventName": "CreateAccessKey", "eventType": "AwsApiCall", "userIdentity": {"invokedBy": "signin.amazonaws.com"}, "requestParameters": null}`
	usersKey   = `{"eventName": "CreateAccessKey", "eventType": "AwsApiCall", "userIdentity": {"invokedBy": "signin.amazonaws.com"}, "requestParameters": {"userName": "a"}}`
	ownLogin   = `{"eventName": "CreateLoginProfile", "eventType": "AwsApiCall", "eventSource": "iam.amazonaws.com", "requestParameters": null}`
	usersLogin = `{"eventName": "CreateLoginProfile", "eventType": "AwsApiCall", "eventSource": "iam.amazonaws.com", "requestParameters": {"userName": "a"}}`
	longKey    = `{"eventName": "ListUsers", "eventType": "AwsApiCall", "userIdentity": {"accessKeyId": "AKIAIOSFODNN7EXAMPLE"}, "sourceIPAddress": "2001:db8::7"}`
	longKeyVia = `{"eventName": "ListUsers", "eventType": "AwsApiCall", "userIdentity": {"accessKeyId": "AKIAIOSFODNN7EXAMPLE"}, "sourceIPAddress": "athena.amazonaws.com"}`
	shortKey   = `{"eventName": "ListUsers", "eventType": "AwsApiCall", "userIdentity": {"accessKeyId": "ASIAIOSFODNN7EXAMPLE"}, "sourceIPAddress": "192.0.2.1"}`
	rootsMFA   = `{"eventName": "DeactivateMFADevice", "eventType": "AwsApiCall", "requestParameters": {"userName": "AWS ROOT USER"}}`
	usersMFA   = `{"eventName": "DeactivateMFADevice", "eventType": "AwsApiCall", "requestParameters": {"userName": "a"}}`
	action     = `{"eventName": "UpdateAccount", "eventType": "AwsConsoleAction"}`
	head       = `{"eventName": "HeadObject", "eventType": "AwsApiCall", "eventCategory": "Data"}`
	dataRead   = `{"eventName": "GetObject", "eventType": "AwsApiCall", "eventCategory": "Data"}`
	getToken   = `{"eventName": "GetSessionToken", "eventType": "AwsApiCall"}`
	lookup     = `{"eventName": "LookupEvents", "eventType": "AwsApiCall", "readOnly": true}`
	nullBy     = `{"eventName": "RunInstances", "eventType": "AwsApiCall", "userIdentity": {"invokedBy": null}}`
)

func TestRivalsDoWhatTheirTextsSay(t *testing.T) {
	tests := map[string]struct{ alerts, quiet []string }{
		"CIS AWS Foundations 4.3, metric filter": {[]string{write, read, denied, noMFA, refused, internal, action, nullBy}, []string{otherUser, byService, bySignIn, event}},
		"Sigma aws_root_account_usage":           {[]string{write, read, byService, bySignIn, refused}, []string{otherUser, event}},
		"Panther AWS.Root.Activity":              {[]string{write, noMFA, internal, action}, []string{read, denied, byService, bySignIn, event, linkedRole, refused, lookup, otherUser}},
		"Panther, its five root rules together":  {[]string{write, noMFA, withMFA, ownKey, password}, []string{read, denied, refused, byService, bySignIn, usersKey, linkedRole, otherUser}},
		"RunReveal root-account-usage":           {[]string{write, read, byService, event, action}, []string{internal, otherUser}},
		"fivexl cloudtrail-to-slack":             {[]string{write, denied, byService, noMFA, lookup, event}, []string{read, head, getToken, otherUser}},
		"AWS's root activity monitor (EventBridge, ENABLED)": {
			[]string{write, byService, noMFA, lookup, getToken, dataRead, head}, []string{read, event, action, otherUser}},
		"Elastic, its root rules":                            {[]string{noMFA, withMFA, recovery, ownLogin}, []string{refused, usersLogin, write, longKey, otherUser}},
		"Elastic, with its rule for a long-lived key":        {[]string{noMFA, recovery, ownLogin, longKey}, []string{denied, longKeyVia, shortKey, write, otherUser}},
		"Falco, its two root rules":                          {[]string{noMFA, rootsMFA}, []string{withMFA, refused, usersMFA, write, otherUser}},
		"console login only":                                 {[]string{noMFA, withMFA, refused}, []string{write, recovery, otherUser}},
		"AWS's article to the letter: address or user agent": {[]string{write, read, longKey}, []string{byService, bySignIn, otherUser}},
		"AWS's article to the letter: address alone":         {[]string{write, bySignIn, internal}, []string{byService, otherUser}},
		"invokedBy names a service other than signin":        {[]string{write, bySignIn, nullBy}, []string{byService, otherUser}},
		"EventBridge pattern type = Root, with reads":        {[]string{write, read, byService, event, action}, []string{otherUser}},
	}
	for _, r := range rules {
		tt, ok := tests[r.Name]
		if !ok {
			if r.Name != "rootwatch" {
				t.Errorf("no test for %s", r.Name)
			}
			continue
		}
		delete(tests, r.Name)
		for _, text := range tt.alerts {
			if !r.alerts(made(t, text)) {
				t.Errorf("%s is quiet about %s", r.Name, text)
			}
		}
		for _, text := range tt.quiet {
			if r.alerts(made(t, text)) {
				t.Errorf("%s alerts on %s", r.Name, text)
			}
		}
	}
	for name := range tests {
		t.Errorf("there is no rule %s", name)
	}
}

// Each rule alerts on some of the records and not on others: one that is broken altogether shows.
func TestRivalsTellRecordsApart(t *testing.T) {
	all := scoreAll(loaded(t))
	for _, r := range all.Rules {
		wrong := len(r.PeopleMissed) + all.Totals.Services - len(r.ServicesAlerted)
		if wrong == 0 || len(r.PeopleMissed) == all.Totals.People && len(r.ServicesAlerted) == 0 {
			t.Errorf("%s alerts on all records or on none", r.Name)
		}
	}
}

func TestRulesNameTheirTexts(t *testing.T) {
	names := map[string]bool{}
	for _, r := range rules {
		if r.Name == "" || names[r.Name] || r.Looks == "" || r.Version == "" || r.Source == "" {
			t.Errorf("incomplete, or there twice: %+v", r)
		}
		names[r.Name] = true
	}
}
