package policy

import (
	"encoding/json"
	"testing"
	"time"

	"rootwatch/classify"
)

var now = time.Date(2026, 12, 1, 12, 0, 0, 0, time.UTC)

// parsed is a policy of one text.
func parsed(t *testing.T, text string) *Policy {
	t.Helper()
	p, err := Parse([]byte(text), now)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// entry is a policy of one entry, which expects account 111122223333 on the first of December, with
// these keys besides.
func entry(t *testing.T, keys string) *Policy {
	t.Helper()
	return parsed(t, `expected: [{name: move, accounts: ["111122223333"], from: 2026-12-01T00:00:00Z, until: 2026-12-02T00:00:00Z`+keys+`}]`)
}

// judged is a record and its judgement.
func judged(t *testing.T, record string) (*classify.Event, *classify.Finding) {
	t.Helper()
	var ev classify.Event
	if err := json.Unmarshal([]byte(record), &ev); err != nil {
		t.Fatal(err)
	}
	f := classify.Classify(&ev)
	return &ev, &f
}

// The members of a record that decide; a later one of the same name takes the place of an earlier
// one.
const (
	base = `"eventID":"one","eventTime":"2026-12-01T08:00:00Z","eventSource":"ec2.amazonaws.com","eventName":"DescribeInstances","sourceIPAddress":"203.0.113.7",` +
		`"eventType":"AwsApiCall"`
	session   = `,"userIdentity":{"type":"Root","accountId":"111122223333","arn":"arn:aws:iam::111122223333:root","accessKeyId":"ASIAX","sessionContext":{"attributes":{"creationDate":"2026-12-01T07:00:00Z"}}}`
	rootKey   = `,"userIdentity":{"type":"Root","accountId":"111122223333","arn":"arn:aws:iam::111122223333:root","accessKeyId":"AKIAX"}`
	keySignIn = rootKey + `,"eventType":"AwsConsoleSignIn"`
	makesKey  = `,"eventSource":"iam.amazonaws.com","eventName":"CreateAccessKey"`
)

func at(t string) string   { return `,"eventTime":"` + t + `"` }
func from(a string) string { return `,"sourceIPAddress":"` + a + `"` }

func TestWhatAnEntryExpects(t *testing.T) {
	for _, tt := range []struct {
		name   string
		keys   string // of the entry
		record string
		want   string // why not, "" if the call is expected
	}{
		{"a call of its account in its time", "", base + session, ""},
		{"another account", "", base + `,"userIdentity":{"type":"Root","accountId":"444455556666","accessKeyId":"ASIAX"}`, "account 444455556666 is not among its accounts"},
		{"no account", "", base + `,"userIdentity":{"type":"Root","accessKeyId":"ASIAX"}`, "the call names no account"},
		{"a service's own call", "", base + `,"userIdentity":{"type":"Root","accountId":"111122223333","invokedBy":"autoscaling.amazonaws.com"},"sourceIPAddress":"autoscaling.amazonaws.com"`,
			"the call is service_invoked, and only an unexplained one can be expected"},

		{"its first moment", "", base + session + at("2026-12-01T00:00:00Z"), ""},
		{"a second before", "", base + session + at("2026-11-30T23:59:59Z"), "the call was made before it begins, at 2026-12-01T00:00:00Z"},
		{"a time that is no time", "", base + session + at("yesterday"), "the call's time is not understood"},
		{"no time", "", base + session + at(""), "the call's time is not understood"},
		{"a time that is a number", "", base + session + `,"eventTime":20261201`, "the call's time is not understood"},
		{"a time just ahead", "", base + session + at("2026-12-01T12:05:00Z"), ""},
		{"a time to come", "", base + session + at("2026-12-01T12:05:01Z"), "the call's time lies in the future"},

		{"a reason that it names", ", reasons: [cli_session]", base + session, ""},
		{"a reason that it does not name", ", reasons: [console_session, sign_in]", base + session, "reason cli_session is not among its reasons"},
		{"an event that it names", ", event_names: [DescribeInstances]", base + session, ""},
		{"an event that it does not name", ", event_names: [DescribeVolumes]", base + session, "the event is not among its event_names"},
		{"an event in another spelling", ", event_names: [describeinstances]", base + session, "the event is not among its event_names"},
		{"an event's name that is a number", ", event_names: ['7']", base + session + `,"eventName":7`, "the event is not among its event_names"},

		{"from its network", ", source_networks: [203.0.113.0/24]", base + session, ""},
		{"from one of two", ", source_networks: [198.51.100.0/24, 203.0.113.7/32]", base + session, ""},
		{"from elsewhere", ", source_networks: [203.0.113.0/29]", base + session + from("203.0.113.8"), "the call came from outside its source_networks"},
		{"IPv6", ", source_networks: ['2001:db8::/32']", base + session + from("2001:db8::7"), ""},
		{"an IPv4 address as an IPv6 one", ", source_networks: [203.0.113.0/24]", base + session + from("::ffff:203.0.113.7"), "the call came from outside its source_networks"},
		{"an address with a zone", ", source_networks: ['fe80::/10']", base + session + from("fe80::1%eth0"), "the call came from outside its source_networks"},
		{"a service's name", ", source_networks: [0.0.0.0/0, '::/0']", base + session + from("cloudformation.amazonaws.com"), "the call did not come from an address"},
		{"AWS Internal", ", source_networks: [0.0.0.0/0, '::/0']", base + session + from("AWS Internal"), "the call did not come from an address"},
		{"an address with blanks", ", source_networks: [0.0.0.0/0]", base + session + from(" 203.0.113.7"), "the call did not come from an address"},
		{"an address of another base", ", source_networks: [0.0.0.0/0]", base + session + from("203.0.113.07"), "the call did not come from an address"},
		{"an address that is a number", ", source_networks: [0.0.0.0/0]", base + session + `,"sourceIPAddress":7`, "the call did not come from an address"},
		{"no address", ", source_networks: [0.0.0.0/0]", base + session + from(""), "the call did not come from an address"},
		{"no address, and none asked for", "", base + session + from(""), ""},

		{"a root key that it does not name", "", base + rootKey, "a long-lived root key was used, and its reasons do not name access_key"},
		{"a root key that it names", ", reasons: [access_key]", base + rootKey, ""},
		{"a root key under another reason", ", reasons: [sign_in]", base + keySignIn, "a long-lived root key was used, and its reasons do not name access_key"},
		{"a root key under another reason, both named", ", reasons: [sign_in, access_key]", base + keySignIn, ""},
		{"a root key under another reason, the key alone", ", reasons: [access_key]", base + keySignIn, "reason sign_in is not among its reasons"},
		{"a critical event that it does not name", "", base + session + makesKey, "the call is critical by what it does, and its event_names do not name the event"},
		{"a critical event that it names", ", event_names: [CreateAccessKey]", base + session + makesKey, ""},
		{"a critical event by its reason alone", ", reasons: [cli_session]", base + session + makesKey, "the call is critical by what it does, and its event_names do not name the event"},
		{"a critical event with a root key, the key named alone", ", reasons: [access_key]", base + rootKey + makesKey, "the call is critical by what it does, and its event_names do not name the event"},
		{"a critical event with a root key, the event named alone", ", event_names: [CreateAccessKey]", base + rootKey + makesKey, "a long-lived root key was used, and its reasons do not name access_key"},
		{"a critical event with a root key, both named", ", reasons: [access_key], event_names: [CreateAccessKey]", base + rootKey + makesKey, ""},
		{"a critical event that failed", "", base + session + makesKey + `,"errorCode":"AccessDenied"`, ""},
		{"a grave event that is not critical", "", base + session + makesKey + `,"requestParameters":{"userName":"ada"}`, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			p := entry(t, tt.keys)
			ev, f := judged(t, "{"+tt.record+"}")
			if got := p.Entries[0].Refuses(ev, f, now); got != tt.want {
				t.Errorf("refused because %q, want %q (%s, %s, %s)", got, tt.want, f.Verdict, f.Reason, f.Impact)
			}
			want := "move"
			if tt.want != "" {
				want = ""
			}
			if got := p.Expects(ev, f, now); got != want {
				t.Errorf("expected by %q, want %q", got, want)
			}
		})
	}
}

// The end is what lets nothing slip: it holds for the time of the call, whenever it is read.
func TestAnEntryEnds(t *testing.T) {
	p := entry(t, "")
	later := now.AddDate(0, 1, 0)
	for when, want := range map[string]string{
		"2026-12-01T23:59:59Z": "move", "2026-12-02T00:00:00Z": "", "2026-12-02T01:00:00+02:00": "move", "2026-12-31T00:00:00Z": "",
	} {
		ev, f := judged(t, "{"+base+session+at(when)+"}")
		if got := p.Expects(ev, f, later); got != want {
			t.Errorf("a call at %s is expected by %q, want %q", when, got, want)
		}
	}
}

func TestAnEntryThatDoesNotSayWhenItBegins(t *testing.T) {
	p := parsed(t, `expected: [{name: move, accounts: ["111122223333"], until: 2026-12-02T00:00:00Z}]`)
	if e := p.Entries[0]; e.Until.Sub(e.From) != MaxLength {
		t.Errorf("it lasts from %s to %s", e.From, e.Until)
	}
}

func TestTheFirstEntryThatFitsIsNamed(t *testing.T) {
	p := parsed(t, `
expected:
  - {name: other, accounts: ["444455556666"], until: 2026-12-02T00:00:00Z}
  - {name: first, accounts: ["444455556666", "111122223333"], until: 2026-12-02T00:00:00Z}
  - {name: second, accounts: ["111122223333"], until: 2026-12-02T00:00:00Z}
`)
	ev, f := judged(t, "{"+base+session+"}")
	if got := p.Expects(ev, f, now); got != "first" {
		t.Errorf("expected by %q, want the first", got)
	}
	if got := new(Policy).Expects(ev, f, now); got != "" {
		t.Errorf("a policy without entries expects it by %q", got)
	}
}

// A word that classify has no grade for counts as critical.
func TestAnImpactThatIsNotKnownIsCritical(t *testing.T) {
	ev, f := judged(t, "{"+base+session+"}")
	f.Impact = "does something new"
	if why := entry(t, "").Entries[0].Refuses(ev, f, now); why == "" {
		t.Error("it is expected though its event is not named")
	}
}
