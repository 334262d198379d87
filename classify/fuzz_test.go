package classify

import (
	"bytes"
	"encoding/json"
	"regexp"
	"strings"
	"testing"
	"unicode"
)

// FuzzEvent holds the verdict that is dangerous, service_invoked, against the conditions read a
// second time, naively, out of the record's JSON; and every finding against what all findings
// promise.
func FuzzEvent(f *testing.F) {
	for _, record := range []any{
		serviceCall(), bareCall(), sessionCall(), signIn(), elbCall(),
		edit(serviceCall(), set("userIdentity.sessionContext", map[string]any{"sessionIssuer": map[string]any{}})),
		edit(serviceCall(), set("tlsDetails", map[string]any{"tlsVersion": "TLSv1.3"})),
		edit(serviceCall(), set("userIdentity.invokedBy", "cloudshell.amazonaws.com")),
		edit(serviceCall(), set("userIdentity.invokedBy", "eu-west-1.q.amazonaws.com")),
		edit(serviceCall(), set("sessionCredentialFromConsole", true)),
		edit(serviceCall(), set("sessionCredentialFromConsole", literal("[1]"))),
		edit(serviceCall(), set("userIdentity.credentialId", "EXAMPLEVHULj")),
		edit(serviceCall(), set("userIdentity.onBehalfOf.userId", "u")),
		edit(serviceCall(), set("userIdentity.inScopeOf.issuerType", "AWS::EC2::Instance")),
		edit(serviceCall(), set("eventSource", "us-east-1.signin.amazonaws.com")),
		edit(serviceCall(), set("userIdentity.accessKeyId", literal("[1]"))),
		edit(sessionCall(), set("userIdentity.type", "Unknown")),
		edit(serviceCall(), set("userIdentity.sessionContext.assumedRoot", "true")),
		edit(serviceCall(), set("additionalEventData.signInSessionArn", "arn:aws:signin:eu-west-1:111122223333:session/0c5d")),
		edit(serviceCall(), set("additionalEventData", "x"), set("addendum", 5), set("responseElements", literal("[]"))),
		edit(signIn(), set("userIdentity.arn", ""), set("responseElements.ConsoleLogin", "Failure")),
		edit(serviceCall(), set("userIdentity.invokedBy", "wor\u212amail.amazonaws.com"), set("eventName", "a\u202eb\n\x00")),
	} {
		data, err := json.Marshal(record)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		var ev Event
		if json.Unmarshal(data, &ev) != nil || !IsRoot(&ev) {
			return
		}
		got := Classify(&ev)
		if !inClosedList(got) {
			t.Errorf("%s/%s/%s is not in the closed list", got.Verdict, got.Reason, got.Severity)
		}
		checkHarmless(t, "fuzz", got)
		if got.AccountID != UnknownAccount && !IsAccountID(got.AccountID) {
			t.Errorf("account %q is no account", got.AccountID)
		}
		record, repeated := readFolded(json.NewDecoder(bytes.NewReader(data)))
		if repeated {
			return // which of two values counts is the decoder's choice: the naive reading would be about another record
		}
		if why := naivelyUnexplained(record.(map[string]any)); got.Verdict == ServiceInvoked && why != "" {
			t.Errorf("service_invoked, though %s", why)
		}
	})
}

// serviceName is rule 2 as a pattern.
var serviceName = regexp.MustCompile(`^([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\.)+(amazonaws\.com|amazonaws\.com\.cn|amazonaws\.eu)$`)

// namedForSomebody is a name of those that act for whoever is signed in, and of customers' hosts.
var namedForSomebody = regexp.MustCompile(`(^|\.)(signin|console|aws-mcp|cloud9|cloudshell|q|compute|compute-1|elb)\.`)

// naivelyUnexplained says which condition for service_invoked a record breaks, "" if none. Its keys
// are folded.
func naivelyUnexplained(record map[string]any) string {
	at := func(path string) any {
		var v any = record
		for _, key := range strings.Split(path, ".") {
			m, _ := v.(map[string]any)
			v = m[fold(key)]
		}
		return v
	}
	service := func(path string) bool {
		name, _ := at(path).(string)
		name = strings.Trim(name, " \t\r\n")
		if strings.IndexFunc(name, func(r rune) bool { return r > 127 }) >= 0 {
			return false
		}
		name = strings.ToLower(name)
		return serviceName.MatchString(name) && !namedForSomebody.MatchString(name) && !strings.HasPrefix(name, "internal.amazonaws.com")
	}
	eventType := at("eventType")
	source, _ := at("eventSource").(string)
	switch {
	case at("userIdentity.type") != "Root":
		return "the type is not Root"
	case eventType != nil && eventType != "" && eventType != "AwsApiCall" && eventType != "AwsServiceEvent":
		return "the event type is another"
	case regexp.MustCompile(`(^|\.)signin\.`).MatchString(strings.ToLower(strings.Trim(source, " \t\r\n"))):
		return "it is a sign-in"
	case !service("userIdentity.invokedBy"):
		return "no service is in invokedBy"
	case !service("sourceIPAddress"):
		return "no service is in sourceIPAddress"
	case !emptyValue(at("userIdentity.accessKeyId")):
		return "there is a key"
	case !emptyValue(at("userIdentity.sessionContext")):
		return "there is a session"
	}
	flag := at("sessionCredentialFromConsole")
	if text, _ := flag.(string); flag != false && !emptyValue(flag) && !strings.EqualFold(strings.TrimSpace(text), "false") {
		return "the session may be the console's"
	}
	for _, mark := range []string{
		"tlsDetails", "userIdentity.invokedByDelegate", "userIdentity.sessionContext.assumedRoot", "signInSessionArn",
		"userIdentity.signInSessionArn", "userIdentity.sessionContext.signInSessionArn", "additionalEventData.signInSessionArn",
		"userIdentity.credentialId", "userIdentity.onBehalfOf", "userIdentity.inScopeOf",
	} {
		if !emptyValue(at(mark)) {
			return "there is " + mark
		}
	}
	return ""
}

// readFolded reads the next JSON value with its keys folded as encoding/json compares them to field
// names, and reports whether an object has a key twice.
func readFolded(dec *json.Decoder) (value any, repeated bool) {
	token, err := dec.Token()
	if err != nil {
		return nil, true
	}
	switch token {
	case json.Delim('{'):
		object := map[string]any{}
		for dec.More() {
			key, err := dec.Token()
			if err != nil {
				return nil, true
			}
			name := fold(key.(string))
			_, twice := object[name]
			member, inside := readFolded(dec)
			object[name] = member
			repeated = repeated || twice || inside
		}
		value = object
	case json.Delim('['):
		list := []any{}
		for dec.More() {
			element, inside := readFolded(dec)
			list = append(list, element)
			repeated = repeated || inside
		}
		value = list
	default:
		return token, false
	}
	_, err = dec.Token() // the closing delimiter
	return value, repeated || err != nil
}

// fold maps a string to the smallest of those that Unicode holds equal to it but for case.
func fold(s string) string {
	return strings.Map(func(r rune) rune {
		for {
			next := unicode.SimpleFold(r)
			if next <= r {
				return next
			}
			r = next
		}
	}, s)
}

func BenchmarkDecode(b *testing.B) {
	data, err := json.Marshal(sessionCall())
	if err != nil {
		b.Fatal(err)
	}
	b.SetBytes(int64(len(data)))
	b.ReportAllocs()
	for b.Loop() {
		if err := json.Unmarshal(data, new(Event)); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkIsRoot(b *testing.B) {
	ev := decode(b, sessionCall())
	b.ReportAllocs()
	for b.Loop() {
		IsRoot(ev)
	}
}

func BenchmarkClassify(b *testing.B) {
	ev := decode(b, sessionCall())
	b.ReportAllocs()
	for b.Loop() {
		Classify(ev)
	}
}
