package envelope

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"rootwatch/classify"
	"rootwatch/pipeline/envelope/envelopetest"
)

const (
	rootEvent = envelopetest.RootEvent
	userEvent = envelopetest.UserEvent
)

var (
	wrapped        = envelopetest.Wrapped
	viaEventBridge = envelopetest.ViaEventBridge
	quote          = envelopetest.Quote
	logged         = envelopetest.Logged
	lookedUp       = envelopetest.LookedUp
	inFile         = envelopetest.InFile
	zipped         = envelopetest.Zipped
	withID         = envelopetest.WithID
	distinct       = envelopetest.Distinct
)

// found is what a record holds, its events judged by encoding/json and package classify.
type found struct {
	counts map[string]int // by the names of rootwatch_events_total
	roots  []*classify.Event
	broken []error
	order  []Kind
}

// read takes one record through a decoder.
func read(t testing.TB, cfg Config, data string) *found {
	t.Helper()
	return readBy(t, New(cfg.orDefault()), []byte(data), false)
}

// orDefault allows as much as the pipeline does.
func (c Config) orDefault() Config {
	if c.MaxExpanded == 0 {
		c.MaxExpanded = 32 << 20
	}
	if c.MaxEvents == 0 {
		c.MaxEvents = 100_000
	}
	return c
}

func readBy(t testing.TB, d *Decoder, data []byte, inFile bool) *found {
	t.Helper()
	f := &found{counts: map[string]int{}}
	for u := range d.Units(data, inFile) {
		f.order = append(f.order, u.Kind)
		switch u.Kind {
		case LargeText:
		case NotRoot:
			f.counts["not_root"] += u.Events
		case NotCloudTrail, Aggregated:
			f.counts["not_cloudtrail"]++
		case Heartbeat:
			f.counts["heartbeat"]++
		case ForeignSource:
			f.counts["foreign_source"]++
		case Undecodable:
			f.counts["undecodable"]++
			f.broken = append(f.broken, u.Err)
		case Event:
			e := new(classify.Event)
			if err := json.Unmarshal(u.Text, e); err != nil {
				f.counts["undecodable"]++
				f.broken = append(f.broken, err)
				continue
			}
			if e.EnvelopeAccount = u.Account; !classify.IsRoot(e) {
				f.counts["not_root"]++
				continue
			}
			f.counts["root"]++
			f.roots = append(f.roots, e)
		default:
			t.Fatalf("a unit of the kind %v", u.Kind)
		}
	}
	return f
}

func TestWhatEachRecordCountsAs(t *testing.T) {
	const api = `"AWS API Call via CloudTrail"`
	one := func(result string) map[string]int { return map[string]int{result: 1} }
	tests := []struct {
		name string
		data string
		want map[string]int
	}{
		// EventBridge.
		{"root in an EventBridge envelope", viaEventBridge(rootEvent), one("root")},
		{"a user in an EventBridge envelope", viaEventBridge(userEvent), one("not_root")},
		{"console sign-in", wrapped(`"aws.signin"`, `"AWS Console Sign In via CloudTrail"`, rootEvent), one("root")},
		{"console sign-in in the other spelling", wrapped(`"aws.signin"`, `"AWS Console Signin via CloudTrail"`, rootEvent), one("root")},
		{"a detail-type that AWS has yet to invent", wrapped(`"aws.new"`, `"AWS Something via CloudTrail"`, rootEvent), one("root")},
		{"an insight has no identity", wrapped(`"aws.cloudtrail"`, `"AWS Insight via CloudTrail"`, `{"eventType":"AwsCloudTrailInsight","eventCategory":"Insight"}`), one("not_root")},
		{"an empty detail has no identity", viaEventBridge(`{}`), one("undecodable")},
		{"identity null", viaEventBridge(`{"eventSource":"a","eventName":"b","userIdentity":null}`), one("undecodable")},
		{"another detail-type of AWS", wrapped(`"aws.ec2"`, `"EC2 Instance State-change Notification"`, `{}`), one("not_cloudtrail")},
		{"via CloudTrail not at the end", wrapped(`"aws.ec2"`, `"AWS API Call via CloudTrail "`, rootEvent), one("not_cloudtrail")},
		{"a detail-type that is a number", wrapped(`"aws.ec2"`, `7`, rootEvent), one("not_cloudtrail")},
		{"a detail without a detail-type", `{"source":"aws.iam","detail":` + rootEvent + `}`, one("not_cloudtrail")},
		{"keys in another order", `{"detail":` + rootEvent + `,"source":"aws.iam","detail-type":` + api + `}`, one("root")},
		{"keys in capitals", `{"Detail-Type":` + api + `,"SOURCE":"aws.iam","Detail":` + rootEvent + `}`, one("root")},
		{"keys in letters that fold to ASCII", `{"detail-type":` + api + `,"ſource":"aws.iam","detail":` + rootEvent + `}`, one("root")},
		{"keys with escapes", `{"detail\u002dtype":` + api + `,"sourc\u0065":"aws.iam","d\u0065tail":` + rootEvent + `}`, one("root")},
		{"values with escapes", `{"detail-type":"AWS API Call via\u0020CloudTrail","source":"\u0061ws.iam","detail":` + strings.Replace(rootEvent, "Root", `\u0052oot`, 1) + `}`, one("root")},
		{"of two details the last holds", `{"detail-type":` + api + `,"source":"aws.iam","detail":` + userEvent + `,"detail":` + rootEvent + `}`, one("root")},
		{"of two details the last holds, root first", `{"detail-type":` + api + `,"source":"aws.iam","detail":` + rootEvent + `,"detail":` + userEvent + `}`, one("not_root")},
		{"of two identities the last holds", viaEventBridge(`{"userIdentity":{"type":"IAMUser"},"userIdentity":{"type":"Root"}}`), one("root")},
		{"Root somewhere else is not root", viaEventBridge(`{"requestParameters":{"userIdentity":{"type":"Root"}},"userIdentity":{"type":"IAMUser","userName":"\"type\":\"Root\""}}`), one("not_root")},
		{"lists beside a detail-type are not looked at", `{"detail-type":"x","source":"aws.iam","Records":[` + rootEvent + `]}`, one("not_cloudtrail")},
		{"white space around", " \r\n\t" + viaEventBridge(rootEvent) + " \n", one("root")},

		// Who put it on the bus.
		{"source of a forger", wrapped(`"my.app"`, api, rootEvent), one("foreign_source")},
		{"source of a forger, event not by root", wrapped(`"my.app"`, api, userEvent), one("foreign_source")},
		{"source of a forger, detail broken", wrapped(`"my.app"`, api, `7`), one("foreign_source")},
		{"no source", `{"detail-type":` + api + `,"detail":` + rootEvent + `}`, one("foreign_source")},
		{"source null", wrapped(`null`, api, rootEvent), one("foreign_source")},
		{"source a number", wrapped(`1`, api, rootEvent), one("foreign_source")},
		{"source a list", wrapped(`["aws.iam"]`, api, rootEvent), one("foreign_source")},
		{"source empty", wrapped(`""`, api, rootEvent), one("foreign_source")},
		{"source of a partner, which begins like AWS's", wrapped(`"aws.partner/evil.example/x"`, api, rootEvent), one("foreign_source")},
		{"source aws with a space", wrapped(`"aws. evil"`, api, rootEvent), one("foreign_source")},
		{"source aws without a service", wrapped(`"aws."`, api, rootEvent), one("foreign_source")},
		{"source aws without a dot", wrapped(`"aws"`, api, rootEvent), one("foreign_source")},
		{"source in capitals, which PutEvents does not refuse", wrapped(`"AWS.iam"`, api, rootEvent), one("foreign_source")},
		{"source with a space before", wrapped(`" aws.iam"`, api, rootEvent), one("foreign_source")},
		{"source that contains aws.", wrapped(`"my.aws.iam"`, api, rootEvent), one("foreign_source")},
		{"source that the operator trusts", wrapped(`"org.republisher"`, api, rootEvent), one("root")},
		{"source that begins as a trusted one", wrapped(`"org.republisher.x"`, api, rootEvent), one("foreign_source")},
		{"a forger's other event", wrapped(`"my.app"`, `"Order placed"`, `{}`), one("not_cloudtrail")},

		// Heartbeats.
		{"a heartbeat", wrapped(`"aws.events"`, `"Scheduled Event"`, `{}`), one("heartbeat")},
		{"a heartbeat without a time or a region", `{"detail-type":"Scheduled Event","source":"aws.events"}`, one("heartbeat")},
		{"a scheduled event of somebody else", wrapped(`"my.app"`, `"Scheduled Event"`, `{}`), one("not_cloudtrail")},

		// Bare events.
		{"a bare event by root", rootEvent, one("root")},
		{"a bare event by a user", userEvent, one("not_root")},
		{"a bare event by the arn of a root", `{"eventSource":"a","eventName":"b","userIdentity":{"arn":"arn:aws:iam::111122223333:root"}}`, one("root")},
		{"a bare event without an identity", `{"eventSource":"a","eventName":"b"}`, one("undecodable")},
		{"a bare event with names in capitals", strings.NewReplacer(`"eventSource"`, `"EventSource"`, `"eventName"`, `"EventName"`).Replace(rootEvent), one("root")},
		{"detail-type null is no detail-type", strings.Replace(rootEvent, "{", `{"detail-type":null,`, 1), one("root")},
		{"lists inside a bare event are not looked at", strings.Replace(userEvent, "{", `{"Records":[`+rootEvent+`],"logEvents":[],`, 1), one("not_root")},
		{"eventName is not a string", `{"eventSource":"a","eventName":7,"userIdentity":{"type":"Root"}}`, one("not_cloudtrail")},
		{"eventSource is missing", `{"eventName":"b","userIdentity":{"type":"Root"}}`, one("not_cloudtrail")},

		// Wrong types on the way to the verdict.
		{"detail is a string", viaEventBridge(quote(rootEvent)), one("undecodable")},
		{"detail is a list", viaEventBridge(`[` + rootEvent + `]`), one("undecodable")},
		{"detail is null", viaEventBridge(`null`), one("undecodable")},
		{"detail is missing", `{"detail-type":` + api + `,"source":"aws.iam"}`, one("undecodable")},
		{"identity is a string", viaEventBridge(`{"userIdentity":"Root"}`), one("undecodable")},
		{"identity is a list", viaEventBridge(`{"userIdentity":[{"type":"Root"}]}`), one("undecodable")},
		{"identity is a string in a bare event", `{"eventSource":"a","eventName":"b","userIdentity":"Root"}`, one("undecodable")},
		{"the identity's type is a number", viaEventBridge(`{"userIdentity":{"type":1}}`), one("undecodable")},
		{"the identity's type is a list", viaEventBridge(`{"userIdentity":{"type":["Root"]}}`), one("undecodable")},
		{"wrong types elsewhere do no harm", viaEventBridge(`{"eventID":5,"eventTime":[],"userIdentity":{"type":"Root","arn":7},"addendum":"x"}`), one("root")},

		// Other JSON.
		{"an object that is nothing of this", `{"hello":"world"}`, one("not_cloudtrail")},
		{"an empty object", `{}`, one("not_cloudtrail")},
		{"a list", `[` + rootEvent + `]`, one("not_cloudtrail")},
		{"a number", `12.5e3`, one("not_cloudtrail")},
		{"a string", quote(rootEvent), one("not_cloudtrail")},
		{"null", `null`, one("not_cloudtrail")},
		{"a digest file", `{"awsAccountId":"111122223333","digestStartTime":"2026-11-02T08:00:00Z","logFiles":[]}`, one("not_cloudtrail")},

		// Broken records.
		{"an empty record", ``, one("undecodable")},
		{"white space alone", " \n", one("undecodable")},
		{"text", `hello`, one("undecodable")},
		{"a truncated envelope", viaEventBridge(rootEvent)[:300], one("undecodable")},
		{"a truncated bare event", rootEvent[:len(rootEvent)-1], one("undecodable")},
		{"a truncated list", `[1,2`, one("undecodable")},
		{"two values", rootEvent + rootEvent, one("undecodable")},
		{"two values in two lines", rootEvent + "\n" + userEvent, one("undecodable")},
		{"a value and a zero byte", rootEvent + "\x00", one("undecodable")},
		{"a byte order mark", "\ufeff" + rootEvent, one("undecodable")},
		{"a comma too many", `{"eventSource":"a","eventName":"b",}`, one("undecodable")},
		{"a bracket of the wrong kind", `{"eventSource":"a","eventName":"b","x":[1}]}`, one("undecodable")},
		{"a control character in a string", "{\"eventSource\":\"a\n\",\"eventName\":\"b\"}", one("undecodable")},
		{"deeper than encoding/json goes", strings.Repeat("[", 20_000) + strings.Repeat("]", 20_000), one("undecodable")},
		{"invalid UTF-8 is replaced, not refused", strings.Replace(rootEvent, "aws-cli", "\xff", 1), one("root")},

		// CloudWatch Logs.
		{"a CloudWatch Logs payload", zipped(logged(rootEvent, userEvent, rootEvent)), map[string]int{"root": 2, "not_root": 1}},
		{"a CloudWatch Logs payload already expanded", logged(rootEvent, userEvent), map[string]int{"root": 1, "not_root": 1}},
		{"messages in EventBridge envelopes", logged(viaEventBridge(rootEvent), wrapped(`"my.app"`, api, rootEvent)), map[string]int{"root": 1, "foreign_source": 1}},
		{"messageType after the events", `{"logEvents":[{"message":` + quote(rootEvent) + `}],"messageType":"DATA_MESSAGE"}`, one("root")},
		{"no messageType", `{"logEvents":[{"message":` + quote(rootEvent) + `}]}`, one("root")},
		{"a control message", zipped(`{"messageType":"CONTROL_MESSAGE","owner":"CloudwatchLogs","logGroup":"","logStream":"","subscriptionFilters":[],"logEvents":[{"id":"","timestamp":1,"message":"CWL CONTROL MESSAGE: Checking health of destination Kinesis stream."}]}`), one("not_cloudtrail")},
		{"a control message, messageType last", `{"logEvents":[{"message":"CWL CONTROL MESSAGE"}],"messageType":"CONTROL_MESSAGE"}`, one("not_cloudtrail")},
		{"one broken message among others", logged(userEvent, rootEvent[:50], "plain text", rootEvent), map[string]int{"root": 1, "not_root": 1, "undecodable": 2}},
		{"an empty message", logged("", userEvent), map[string]int{"undecodable": 1, "not_root": 1}},
		{"a message with two events", logged(rootEvent + rootEvent), one("undecodable")},
		{"a message that is not CloudTrail's", logged(`{"a":1}`, `[]`), map[string]int{"not_cloudtrail": 2}},
		{"a message that is a list itself", logged(inFile(rootEvent)), one("not_cloudtrail")},
		{"a message that is not a string", `{"logEvents":[{"message":7},{"message":` + rootEvent + `},{},5]}`, map[string]int{"undecodable": 4}},
		{"a payload without events", `{"messageType":"DATA_MESSAGE","logEvents":[]}`, one("not_cloudtrail")},
		{"a payload whose events are missing", `{"messageType":"DATA_MESSAGE"}`, one("undecodable")},
		{"a payload whose events are no list", `{"messageType":"DATA_MESSAGE","logEvents":{}}`, one("undecodable")},
		{"another messageType", `{"messageType":"OTHER"}`, one("not_cloudtrail")},

		// S3 log files and LookupEvents.
		{"an S3 log file", zipped(inFile(rootEvent, userEvent, userEvent)), map[string]int{"root": 1, "not_root": 2}},
		{"an S3 log file, plain", inFile(rootEvent), one("root")},
		{"an empty S3 log file", inFile(), one("not_cloudtrail")},
		{"Records is not a list", `{"Records":{}}`, one("not_cloudtrail")},
		{"odd elements", inFile(`5`, `null`, `[]`, `{}`, `{"eventSource":"a","eventName":"b","userIdentity":7}`, rootEvent), map[string]int{"not_cloudtrail": 4, "undecodable": 1, "root": 1}},
		{"a LookupEvents answer", lookedUp(rootEvent, userEvent), map[string]int{"root": 1, "not_root": 1}},
		{"one element of a LookupEvents answer is no bare event", strings.TrimSuffix(strings.TrimPrefix(lookedUp(rootEvent), `{"Events":[`), `],"NextToken":"t"}`), one("root")},
		{"a broken event in a LookupEvents answer", lookedUp(rootEvent[:20], rootEvent), map[string]int{"undecodable": 1, "root": 1}},
		{"elements without CloudTrailEvent", `{"Events":[{"a":1},7,{"CloudTrailEvent":null}]}`, map[string]int{"not_cloudtrail": 3}},
		{"CloudTrailEvent is not a string", `{"Events":[{"CloudTrailEvent":` + rootEvent + `}]}`, one("undecodable")},

		// Breaks: what stands before them is judged.
		{"a truncated S3 log file", inFile(rootEvent, userEvent, rootEvent)[:len(inFile(rootEvent, userEvent))+5], map[string]int{"root": 1, "not_root": 1, "undecodable": 1}},
		{"an S3 log file cut between two events", strings.TrimSuffix(inFile(rootEvent, userEvent), `]}`) + `,`, map[string]int{"root": 1, "not_root": 1, "undecodable": 1}},
		{"an S3 log file without its last bracket", strings.TrimSuffix(inFile(rootEvent), `}`), map[string]int{"root": 1, "undecodable": 1}},
		{"a broken event in an S3 log file ends it", `{"Records":[` + rootEvent + `,{"a":tru},` + rootEvent + `]}`, map[string]int{"root": 1, "undecodable": 1}},
		{"more behind an S3 log file", inFile(rootEvent) + `x`, map[string]int{"root": 1, "undecodable": 1}},
		{"a truncated CloudWatch Logs payload", logged(rootEvent, rootEvent)[:len(logged(rootEvent))+20], map[string]int{"root": 1, "undecodable": 1}},
		{"a truncated envelope with a list in it", `{"detail-type":"x","Records":[` + rootEvent + `],`, one("undecodable")},
		{"a truncated bare event with a list in it", rootEvent[:len(rootEvent)-1] + `,"Records":[` + rootEvent + `]`, one("undecodable")},
		{"a truncated control message", `{"messageType":"CONTROL_MESSAGE","logEvents":[{"message":"x"}`, one("undecodable")},
		{"a truncated LookupEvents answer", strings.TrimSuffix(lookedUp(rootEvent), `}`), map[string]int{"root": 1, "undecodable": 1}},
		{"a truncated gzip", zipped(inFile(distinct(200)...))[:3000], nil},
		{"a gzip without its checksum", strings.TrimSuffix(zipped(inFile(rootEvent)), zipped(inFile(rootEvent))[len(zipped(inFile(rootEvent)))-8:]), map[string]int{"root": 1, "undecodable": 1}},
		{"a gzip with a wrong checksum", damaged(zipped(rootEvent), -5), map[string]int{"root": 1, "undecodable": 1}},
		{"a gzip and more behind it", zipped(inFile(rootEvent)) + "more", map[string]int{"root": 1, "undecodable": 1}},

		// gzip.
		{"a gzipped envelope", zipped(viaEventBridge(rootEvent)), one("root")},
		{"a gzipped bare event", zipped(userEvent), one("not_root")},
		{"two gzip members are one text", zipped(rootEvent[:100]) + zipped(rootEvent[100:]), one("root")},
		{"gzip in gzip", zipped(zipped(rootEvent)), one("undecodable")},
		{"gzip of nothing", zipped(""), one("undecodable")},
		{"the first two bytes of a gzip", "\x1f\x8b", one("undecodable")},
		{"a gzip of text", zipped("hello"), one("undecodable")},
	}
	cfg := Config{TrustedSources: []string{"org.republisher"}}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got := read(t, cfg, tt.data).counts
			if tt.want == nil {
				if got["root"] == 0 || got["root"] >= 200 || got["undecodable"] != 1 || len(got) != 2 {
					t.Errorf("got %v, want some of the events and one break", got)
				}
				return
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("results (-want +got):\n%s", diff)
			}
		})
	}
}

// damaged flips a byte, counted from the end if at is negative.
func damaged(s string, at int) string {
	b := []byte(s)
	b[(at+len(b))%len(b)] ^= 0xff
	return string(b)
}

func TestLimits(t *testing.T) {
	many := inFile(distinct(20)...)
	tests := []struct {
		name string
		cfg  Config
		data string
		want map[string]int
	}{
		{"as many events as allowed", Config{MaxEvents: 20}, many, map[string]int{"root": 20}},
		{"one event too many", Config{MaxEvents: 19}, many, map[string]int{"root": 19, "undecodable": 1}},
		{"too many events in a truncated payload are one break", Config{MaxEvents: 5}, many[:len(many)-10], map[string]int{"root": 5, "undecodable": 1}},
		{"too many messages", Config{MaxEvents: 2}, logged(rootEvent, userEvent, rootEvent), map[string]int{"root": 1, "not_root": 1, "undecodable": 1}},
		{"expands to as much as allowed", Config{MaxExpanded: len(many)}, zipped(many), map[string]int{"root": 20}},
		{"expands to a byte more", Config{MaxExpanded: len(many) - 1}, zipped(many), map[string]int{"root": 20, "undecodable": 1}},
		{"expands to much more", Config{MaxExpanded: len(many) / 2}, zipped(many), map[string]int{"root": 9, "undecodable": 1}},
		{"a gzip bomb", Config{MaxExpanded: 1 << 20}, zipped(strings.Repeat(" ", 16<<20)), map[string]int{"undecodable": 1}},
		{"the limit is for gzip alone", Config{MaxExpanded: 10}, rootEvent, map[string]int{"root": 1}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			b := read(t, tt.cfg, tt.data)
			if diff := cmp.Diff(tt.want, b.counts); diff != "" {
				t.Errorf("results (-want +got):\n%s", diff)
			}
			for _, err := range b.broken {
				if !strings.HasPrefix(err.Error(), "limit exceeded: ") {
					t.Errorf("the reason is %v, want the limit", err)
				}
			}
		})
	}
}

func TestTheEnvelopeNamesTheAccountOfLastResort(t *testing.T) {
	tests := []struct{ name, data, want string }{
		{"EventBridge's account", viaEventBridge(rootEvent), "444455556666"},
		{"the owner of the log group", logged(rootEvent), "777788889999"},
		{"the owner, named behind the events", `{"logEvents":[{"message":` + quote(rootEvent) + `}],"owner":"777788889999"}`, "777788889999"},
		{"EventBridge's account inside a log group", logged(viaEventBridge(rootEvent)), "444455556666"},
		{"the owner, if the envelope inside names none", logged(`{"detail-type":"AWS API Call via CloudTrail","source":"aws.iam","detail":` + rootEvent + `}`), "777788889999"},
		{"none for a bare event", rootEvent, ""},
		{"none for a file", inFile(rootEvent), ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			b := read(t, Config{}, tt.data)
			if len(b.roots) != 1 {
				t.Fatalf("%d root events, want 1", len(b.roots))
			}
			if got := b.roots[0].EnvelopeAccount; got != tt.want {
				t.Errorf("account %q, want %q", got, tt.want)
			}
		})
	}
	t.Run("one envelope's account is not the next one's", func(t *testing.T) {
		b := read(t, Config{}, logged(viaEventBridge(rootEvent), rootEvent))
		if got := b.roots[1].EnvelopeAccount; got != "777788889999" {
			t.Errorf("account %q, want the owner of the log group", got)
		}
	})
}

// whole are the units of a record, with copies of their texts.
func whole(d *Decoder, data []byte) []Unit {
	var units []Unit
	for u := range d.Units(data, false) {
		u.Text = []byte(string(u.Text))
		units = append(units, u)
	}
	return units
}

// holds checks what every sequence promises.
func holds(t *testing.T, data []byte) {
	t.Helper()
	cfg := Config{MaxExpanded: 1 << 20, MaxEvents: 50}
	d := New(cfg)
	units := whole(d, data)
	things, events := 0, 0
	for i, u := range units {
		switch u.Kind {
		case LargeText:
			continue
		case Event:
			if !json.Valid(u.Text) || u.Text[0] != '{' {
				t.Errorf("an event that is no JSON object: %.200q in %.500q", u.Text, data)
			}
		case Undecodable:
			if u.Err == nil {
				t.Errorf("unit %d is undecodable without a reason: %.500q", i, data)
			}
		}
		if u.Events < 1 {
			t.Errorf("unit %d, %v, stands for %d things: %.500q", i, u.Kind, u.Events, data)
		}
		things++
		events += u.Events
	}
	if things == 0 || events > cfg.MaxEvents+2 { // an event beside lists, and the break
		t.Errorf("%d units for %d things: %.500q", things, events, data)
	}
	// Whoever leaves has seen the same beginning, and the next record is read as if nothing had
	// been before it.
	for _, n := range []int{1, 2, len(units) / 2} {
		seen := 0
		for u := range d.Units(data, false) {
			if seen < len(units) && (u.Kind != units[seen].Kind || string(u.Text) != string(units[seen].Text)) {
				t.Errorf("unit %d is %v on the second reading, was %v: %.500q", seen, u.Kind, units[seen].Kind, data)
			}
			if seen++; seen >= n {
				break
			}
		}
	}
	if diff := cmp.Diff(units, whole(d, data), sameError); diff != "" {
		t.Errorf("the decoder remembers what it read before (-first +again):\n%s\n%.500q", diff, data)
	}
}

// FuzzUnits holds a decoder to the promises of a sequence, and to the exhaustive one.
func FuzzUnits(f *testing.F) {
	for _, s := range []string{
		rootEvent, userEvent, viaEventBridge(rootEvent), wrapped(`"my.app"`, `"AWS API Call via CloudTrail"`, rootEvent),
		wrapped(`"aws.events"`, `"Scheduled Event"`, `{}`), logged(rootEvent, userEvent, "{"), lookedUp(rootEvent, userEvent),
		inFile(rootEvent, userEvent, `{}`), inFile(viaEventBridge(userEvent), insight), zipped(logged(rootEvent, "{")), zipped(inFile(rootEvent))[:60],
		`{"messageType":"CONTROL_MESSAGE","logEvents":[]}`, `{"messageType":"DATA_MESSAGE"}`, inFile(rootEvent)[:80], "\x1f\x8b", "null", "",
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		holds(t, data)
		agree(t, data)
	})
}

// sameError compares errors by their texts.
var sameError = cmp.Comparer(func(a, b error) bool { return a == b || a != nil && b != nil && a.Error() == b.Error() })
