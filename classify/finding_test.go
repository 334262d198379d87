package classify

import (
	"fmt"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"
)

func TestExplanations(t *testing.T) {
	const (
		session = "userIdentity.sessionContext"
		invoked = "userIdentity.invokedBy"
		key     = "userIdentity.accessKeyId"
	)
	for _, tt := range []struct {
		name    string
		record  map[string]any
		changes []change
		want    string
	}{
		{"known service", elbCall(), nil,
			"elasticloadbalancing.amazonaws.com called ec2 DeleteNetworkInterface as root on its own: no key and no session were used"},
		{"other service", serviceCall(), []change{set(invoked, "rds.amazonaws.com"), set("sourceIPAddress", "rds.amazonaws.com")},
			"rds.amazonaws.com called ec2 RunInstances as root on its own: no key and no session were used, but it is not known to do so and worth a look"},
		{"no root ARN", signIn(), []change{set("userIdentity.arn", "")},
			"signin ConsoleLogin was recorded as root from 203.0.113.7, but the record names no account's root"},
		{"no root ARN and a key", bareCall(), []change{set("userIdentity.arn", ""), set(key, longLived)},
			"ec2 RunInstances was recorded as root from 203.0.113.7, but the record names no account's root, although the long-lived key AKIAIOSFODNN7EXAMPLE was used"},
		{"no root ARN and a session", sessionCall(), []change{set("userIdentity.arn", "")},
			"ec2 RunInstances was recorded as root from 203.0.113.7, but the record names no account's root, although a key or a session was used"},
		{"sign-in with a long-lived key", signIn(), []change{set(key, longLived)},
			"somebody at 203.0.113.7 is at the root sign-in page (signin ConsoleLogin), with MFA, with the long-lived key AKIAIOSFODNN7EXAMPLE"},
		{"a console's own sign-in event", signIn(), []change{set("eventSource", "billingconsole.amazonaws.com"), set("eventName", "SetContactAddress"), drop("responseElements")},
			"somebody at 203.0.113.7 acts in the console as root (billingconsole SetContactAddress), with MFA"},
		{"central root access with a long-lived key", sessionCall(), []change{set(session+".assumedRoot", "true"), set(key, longLived)},
			"ec2 RunInstances was called from 203.0.113.7 in a session of central root access, which the organisation's management account or its delegate opened, with the long-lived key AKIAIOSFODNN7EXAMPLE"},
		{"a long-lived key in CloudShell", bareCall(), []change{set(key, longLived), set("userAgent", "aws-cli/2 exec-env/CloudShell")},
			"somebody in CloudShell called ec2 RunInstances as root with the long-lived key AKIAIOSFODNN7EXAMPLE: the address 203.0.113.7 is AWS's, not the person's"},
		{"CloudShell with the console's session", sessionCall(), []change{set("sessionCredentialFromConsole", "true"), set("userAgent", "aws-cli/2 exec-env/CloudShell")},
			"somebody in CloudShell called ec2 RunInstances as root with the console's session: the address 203.0.113.7 is AWS's, not the person's"},
		{"a sign-in without the console", sessionCall(), []change{set(session+".signInSessionArn", "arn:aws:signin:eu-west-1:111122223333:session/0c5d")},
			"somebody at 203.0.113.7 called ec2 RunInstances as root with the credentials of a sign-in"},
		{"sign-in with MFA", signIn(), nil,
			"somebody at 203.0.113.7 is at the root sign-in page (signin ConsoleLogin), with MFA"},
		{"sign-in without MFA", signIn(), []change{set("additionalEventData.MFAUsed", "No")},
			"somebody at 203.0.113.7 is at the root sign-in page (signin ConsoleLogin), without MFA"},
		{"failed sign-in", signIn(), []change{set("responseElements.ConsoleLogin", "Failure")},
			"somebody at 203.0.113.7 failed at the root sign-in page (signin ConsoleLogin), which takes the root user's e-mail address"},
		{"central root access", sessionCall(), []change{set(session+".assumedRoot", "true")},
			"ec2 RunInstances was called from 203.0.113.7 in a session of central root access, which the organisation's management account or its delegate opened"},
		{"long-lived key", bareCall(), []change{set(key, longLived)},
			"ec2 RunInstances was called as root from 203.0.113.7 with the long-lived key AKIAIOSFODNN7EXAMPLE"},
		{"long-lived key through a service", serviceCall(), []change{set(key, longLived)},
			"ec2 RunInstances was called as root through autoscaling.amazonaws.com with the long-lived key AKIAIOSFODNN7EXAMPLE"},
		{"long-lived key through a service, from an address", serviceCall(), []change{set(key, longLived), set("sourceIPAddress", office)},
			"ec2 RunInstances was called as root from 203.0.113.7 through autoscaling.amazonaws.com with the long-lived key AKIAIOSFODNN7EXAMPLE"},
		{"redacted key", bareCall(), []change{set(key, "xx")},
			"ec2 RunInstances was called as root from 203.0.113.7 with the key xx and without a session, as only long-lived keys are used"},
		{"forwarded", sessionCall(), []change{set(invoked, "glue.amazonaws.com")},
			"glue.amazonaws.com called ec2 RunInstances as root for somebody whose key or session is in the record"},
		{"forwarded by an agent", serviceCall(), []change{set(invoked, "cloudshell.amazonaws.com")},
			"cloudshell.amazonaws.com called ec2 RunInstances as root, and it only ever acts for whoever is signed in"},
		{"console", sessionCall(), []change{set("sessionCredentialFromConsole", "true")},
			"the console called ec2 RunInstances as root for somebody signed in at 203.0.113.7"},
		{"console inside AWS", sessionCall(), []change{set("sessionCredentialFromConsole", "true"), set("sourceIPAddress", "AWS Internal")},
			"the console called ec2 RunInstances as root for somebody signed in inside AWS's network"},
		{"command line", sessionCall(), nil,
			"somebody at 203.0.113.7 called ec2 RunInstances as root with a temporary key"},
		{"session without its key", sessionCall(), []change{drop(key)},
			"somebody at 203.0.113.7 called ec2 RunInstances as root with a session"},
		{"federated by root", sessionCall(), []change{set("userIdentity.type", "FederatedUser"), set(session+".sessionIssuer.type", "Root")},
			"somebody at 203.0.113.7 called ec2 RunInstances as a user federated by root with a temporary key"},
		{"CloudShell", sessionCall(), []change{set("userAgent", "aws-cli/2.15.0 exec-env/CloudShell")},
			"somebody in CloudShell called ec2 RunInstances as root with a temporary key: the address 203.0.113.7 is AWS's, not the person's"},
		{"CloudShell without an address", sessionCall(), []change{set("userAgent", "exec-env/CloudShell"), drop("sourceIPAddress")},
			"somebody in CloudShell called ec2 RunInstances as root with a temporary key"},
		{"AWS Internal", bareCall(), []change{set("sourceIPAddress", "AWS Internal")},
			"ec2 RunInstances was called as root inside AWS's network, and the record does not say for whom: such calls turned out to be people's"},
		{"unattributed", bareCall(), nil,
			"ec2 RunInstances was called as root from 203.0.113.7, and the record does not say by whom or with which credential"},
		{"a service's name and a person's address", serviceCall(), []change{set("sourceIPAddress", office)},
			"autoscaling.amazonaws.com names itself as the caller of ec2 RunInstances as root, but the call did not come from a service: it came from 203.0.113.7"},
		{"a service's name and no address", serviceCall(), []change{drop("sourceIPAddress")},
			"autoscaling.amazonaws.com names itself as the caller of ec2 RunInstances as root, but the call did not come from a service"},
		{"a service's name and a client's TLS", serviceCall(), []change{set("tlsDetails.tlsVersion", "TLSv1.3")},
			"autoscaling.amazonaws.com names itself as the caller of ec2 RunInstances as root, but only a client's call has tlsDetails"},
		{"a service's name and another event type", serviceCall(), []change{set("eventType", "AwsVpceEvent")},
			"autoscaling.amazonaws.com names itself as the caller of ec2 RunInstances as root, but its event type is not that of a service's own call"},
		{"nothing named", bareCall(), []change{drop("eventSource"), drop("eventName"), drop("sourceIPAddress")},
			"an unnamed event was called as root, and the record does not say by whom or with which credential"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := judge(t, edit(tt.record, tt.changes...)).Explanation; got != tt.want {
				t.Errorf("got  %s\nwant %s", got, tt.want)
			}
		})
	}
}

func TestHostileValuesAreHarmless(t *testing.T) {
	hostile := map[string]string{
		"a line break and a forged line": "x\nlevel=info msg=\"all is well\"",
		"a terminal's escape sequence":   "\x1b[2J\x1b]0;owned\x07",
		"a right-to-left override":       "\u202egnp.exe",
		"line and paragraph separators":  "a\u2028b\u2029c",
		"a zero-width joiner":            "a\u200db",
		"a NUL":                          "a\x00b",
		"a quote and a new sentence":     `" called nothing: no key and no session were used`,
		"an escaped quote":               `\" and \n`,
		"half a surrogate pair":          "\ufffd",
		"a very long name":               strings.Repeat("Long", 1<<12),
		"a very long run of controls":    strings.Repeat("\x01", 1<<12),
		"a long run of three-byte runes": strings.Repeat("中", 1<<11),
	}
	fields := []string{
		"eventSource", "eventName", "sourceIPAddress", "userAgent", "errorCode", "errorMessage", "eventType", "tlsDetails",
		"userIdentity.invokedBy", "userIdentity.accessKeyId", "userIdentity.type", "userIdentity.sessionContext",
		"userIdentity.sessionContext.attributes.creationDate", "userIdentity.signInSessionArn", "userIdentity.credentialId",
		"userIdentity.invokedByDelegate", "sessionCredentialFromConsole", "additionalEventData",
	}
	records := map[string]func() map[string]any{"service": serviceCall, "session": sessionCall, "sign-in": signIn, "bare": bareCall}
	for name, value := range hostile {
		t.Run(name, func(t *testing.T) {
			for kind, record := range records {
				for _, field := range fields {
					checkHarmless(t, kind+" "+field, Classify(decode(t, edit(record(), set(field, value)))))
				}
			}
		})
	}
}

// checkHarmless holds everything a person reads to one line of valid, visible text of bounded
// length.
func checkHarmless(t *testing.T, where string, f Finding) {
	t.Helper()
	texts := map[string]string{"explanation": f.Explanation, "service": f.Service, "account": f.AccountID}
	limits := map[string]int{"explanation": 1600, "service": 253, "account": 12}
	for i, e := range f.Evidence {
		id := fmt.Sprint(i, e.Field)
		texts[id], limits[id] = e.Value, 5*maxEvidence // an escape takes up to 4 bytes for one, and a cut is marked
		texts[id+" says"], limits[id+" says"] = e.Says, 700
	}
	for name, text := range texts {
		if len(text) > limits[name] {
			t.Errorf("%s: %s has %d bytes", where, name, len(text))
		}
		if !utf8.ValidString(text) {
			t.Errorf("%s: %s is not valid UTF-8: %q", where, name, text)
		}
		if i := strings.IndexFunc(text, func(r rune) bool { return !unicode.IsPrint(r) }); i >= 0 {
			t.Errorf("%s: %s has an invisible character at %d: %q", where, name, i, text[:min(len(text), 200)])
		}
	}
}

func TestAValueCannotPassForTheSentence(t *testing.T) {
	got := judge(t, edit(bareCall(), set("eventName", `RunInstances as root on its own: no key was used" x`))).Explanation
	const want = `ec2 "RunInstances as root on its own: no key was used\" x" was called as root from 203.0.113.7, and the record does not say by whom or with which credential`
	if got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

func TestEvidenceHoldsTheFiveFieldsAndTheCredential(t *testing.T) {
	always := []string{
		"userIdentity.type", "userIdentity.invokedBy", "eventSource", "eventName", "sourceIPAddress", "userAgent",
		"userIdentity.accessKeyId", "userIdentity.sessionContext",
	}
	for name, record := range map[string]map[string]any{
		"a service's call": serviceCall(), "a session": sessionCall(), "a sign-in": signIn(), "next to nothing": {"userIdentity": map[string]any{"type": "Root"}},
	} {
		t.Run(name, func(t *testing.T) {
			var order []string
			for _, e := range judge(t, record).Evidence {
				if e.Says == "" {
					t.Errorf("%s says nothing", e.Field)
				}
				if e.Field != "eventType" {
					order = append(order, e.Field)
				}
			}
			if got, want := strings.Join(order, " "), strings.Join(always, " "); got != want {
				t.Errorf("fields %s\nwant   %s", got, want)
			}
		})
	}
}

func TestWhatEvidenceSays(t *testing.T) {
	for _, tt := range []struct {
		name        string
		record      map[string]any
		changes     []change
		field, want string
	}{
		{"a service in invokedBy", serviceCall(), nil, "userIdentity.invokedBy", "a service names itself"},
		{"nobody in invokedBy", bareCall(), nil, "userIdentity.invokedBy", "no service names itself"},
		{"an agent in invokedBy", serviceCall(), []change{set("userIdentity.invokedBy", "aws-mcp.amazonaws.com")}, "userIdentity.invokedBy", "a service that calls for whoever is signed in"},
		{"the sign-in in invokedBy", serviceCall(), []change{set("userIdentity.invokedBy", "signin.amazonaws.com")}, "userIdentity.invokedBy", "the console, which calls for whoever is signed in"},
		{"a look-alike in invokedBy", serviceCall(), []change{set("userIdentity.invokedBy", "evilamazonaws.com")}, "userIdentity.invokedBy", "not a service's name"},
		{"AWS Internal", bareCall(), []change{set("sourceIPAddress", "AWS Internal")}, "sourceIPAddress", "AWS's own network, for whom is not told: people's calls carry it too"},
		{"a service's name in the user agent", serviceCall(), nil, "userAgent", "the client chooses it, so it never speaks for a service"},
		{"the console's user agent", bareCall(), []change{set("userAgent", "console.amazonaws.com")}, "userAgent", "names the console; the client chooses it, so it never speaks for a service"},
		{"CloudShell", sessionCall(), []change{set("userAgent", "aws-cli/2.15.0 exec-env/CloudShell")}, "userAgent", "names CloudShell: the address is then AWS's, not the person's"},
		{"no user agent", bareCall(), []change{drop("userAgent")}, "userAgent", "absent"},
		{"no key", serviceCall(), nil, "userIdentity.accessKeyId", "no key, or CloudTrail left it out: its absence alone proves nothing"},
		{"a long-lived key", bareCall(), []change{set("userIdentity.accessKeyId", longLived)}, "userIdentity.accessKeyId", "a long-lived root key exists and was used"},
		{"a temporary key", sessionCall(), nil, "userIdentity.accessKeyId", "a temporary key was used"},
		{"a redacted key", bareCall(), []change{set("userIdentity.accessKeyId", "xx")}, "userIdentity.accessKeyId", "a key was used"},
		{"no session", serviceCall(), nil, "userIdentity.sessionContext", "no session"},
		{"a session", sessionCall(), nil, "userIdentity.sessionContext", "somebody had a session since 2024-05-01T08:00:00Z, with MFA"},
		{"a session that tells nothing", sessionCall(), []change{set("userIdentity.sessionContext", "x")}, "userIdentity.sessionContext", "somebody had a session"},
		{"a client's TLS", sessionCall(), []change{set("tlsDetails.tlsVersion", "TLSv1.3")}, "tlsDetails", "a client opened a TLS connection"},
		{"the console's session", sessionCall(), []change{set("sessionCredentialFromConsole", "true")}, "sessionCredentialFromConsole", "the session is the console's"},
		{"a console flag not understood", sessionCall(), []change{set("sessionCredentialFromConsole", 7)}, "sessionCredentialFromConsole", "not understood, so it counts against a service"},
		{"central root access", sessionCall(), []change{set("userIdentity.sessionContext.assumedRoot", true)}, "userIdentity.sessionContext.assumedRoot", "the session is one of central root access"},
		{"no account's root", bareCall(), []change{set("userIdentity.arn", "")}, "userIdentity.arn", "names no account's root"},
		{"type Unknown", bareCall(), []change{set("userIdentity.type", "Unknown")}, "userIdentity.type", "does not say who called"},
		{"root's ARN under type Unknown", bareCall(), []change{set("userIdentity.type", "Unknown")}, "userIdentity.arn", "names an account's root"},
		{"federated by root", sessionCall(), []change{set("userIdentity.type", "FederatedUser"), set("userIdentity.sessionContext.sessionIssuer.type", "Root")}, "userIdentity.sessionContext.sessionIssuer.type", "root issued the credentials"},
		{"a sign-in", signIn(), nil, "eventSource", "AWS Sign-In: somebody is at the root sign-in page"},
		{"a failed sign-in", signIn(), []change{set("responseElements.ConsoleLogin", "Failure")}, "eventName", "what was tried, in vain"},
		{"a failed call", elbCall(), nil, "eventName", "what was called; it failed with Client.InvalidParameterValue"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			for _, e := range judge(t, edit(tt.record, tt.changes...)).Evidence {
				if e.Field == tt.field {
					if e.Says != tt.want {
						t.Errorf("%s %q says %q, want %q", e.Field, e.Value, e.Says, tt.want)
					}
					return
				}
			}
			t.Errorf("no evidence of %s", tt.field)
		})
	}
}
