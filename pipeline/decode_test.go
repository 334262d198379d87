package pipeline

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// Events that the cases are made of.
const (
	rootEvent = `{"eventVersion":"1.11","userIdentity":{"type":"Root","arn":"arn:aws:iam::111122223333:root","accountId":"111122223333",` +
		`"accessKeyId":"AKIAIOSFODNN7EXAMPLE"},"eventTime":"2026-11-02T08:00:00Z","eventSource":"iam.amazonaws.com",` +
		`"eventName":"CreateUser","awsRegion":"us-east-1","sourceIPAddress":"203.0.113.7","userAgent":"aws-cli/2","eventID":"root-1"}`
	userEvent = `{"eventVersion":"1.11","userIdentity":{"type":"IAMUser","arn":"arn:aws:iam::111122223333:user/ann"},` +
		`"eventSource":"ec2.amazonaws.com","eventName":"RunInstances","eventID":"user-1"}`
)

func wrapped(source, detailType, detail string) string {
	return fmt.Sprintf(`{"version":"0","id":"x","detail-type":%s,"source":%s,"account":"444455556666","time":"2026-11-02T08:00:01Z",`+
		`"region":"us-east-1","resources":[],"detail":%s}`, detailType, source, detail)
}

func viaEventBridge(detail string) string {
	return wrapped(`"aws.iam"`, `"AWS API Call via CloudTrail"`, detail)
}

// quote makes a JSON string of a text.
func quote(s string) string {
	b, err := json.Marshal(s)
	if err != nil {
		panic(err)
	}
	return string(b)
}

// logged is a CloudWatch Logs payload with these messages.
func logged(messages ...string) string {
	events := make([]string, len(messages))
	for i, m := range messages {
		events[i] = fmt.Sprintf(`{"id":"%d","timestamp":1790000000000,"message":%s}`, i, quote(m))
	}
	return `{"messageType":"DATA_MESSAGE","owner":"777788889999","logGroup":"g","logStream":"s","subscriptionFilters":["f"],"logEvents":[` +
		strings.Join(events, ",") + `]}`
}

// lookedUp is an answer of LookupEvents with these events.
func lookedUp(events ...string) string {
	elements := make([]string, len(events))
	for i, e := range events {
		elements[i] = fmt.Sprintf(`{"EventId":"%d","EventName":"CreateUser","ReadOnly":"false","EventSource":"iam.amazonaws.com","Username":"root","Resources":[],"CloudTrailEvent":%s}`, i, quote(e))
	}
	return `{"Events":[` + strings.Join(elements, ",") + `],"NextToken":"t"}`
}

func inFile(events ...string) string { return `{"Records":[` + strings.Join(events, ",") + `]}` }

// zipped is the gzip of a text.
func zipped(s string) string {
	var buf bytes.Buffer
	w := gzip.NewWriter(&buf)
	if _, err := w.Write([]byte(s)); err != nil {
		panic(err)
	}
	if err := w.Close(); err != nil {
		panic(err)
	}
	return buf.String()
}

// withID gives an event another id.
func withID(event, id string) string {
	for _, was := range []string{"root-1", "user-1"} {
		event = strings.Replace(event, quote(was), quote(id), 1)
	}
	return event
}

// read takes one record through decode and filter and says what each thing in it counts as.
func read(t testing.TB, cfg Config, data string) (*Batch, map[string]int) {
	t.Helper()
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	cfg.setDefaults()
	b := &Batch{ShardID: "shardId-7", Records: []Record{{Data: []byte(data), SequenceNumber: "42"}}}
	d := newDecoder(&cfg)
	if err := d.process(context.Background(), b); err != nil {
		t.Fatal(err)
	}
	f := &rootFilter{log: cfg.Logger}
	if err := f.process(context.Background(), b); err != nil {
		t.Fatal(err)
	}
	got := map[string]int{}
	for r, n := range b.counts {
		if n > 0 {
			got[result(r).String()] = n
		}
	}
	if n := len(b.events); n > 0 {
		got["root"] = n
	}
	return b, got
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
		{"an empty detail has no identity", viaEventBridge(`{}`), one("not_root")},
		{"identity null", viaEventBridge(`{"eventSource":"a","eventName":"b","userIdentity":null}`), one("not_root")},
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
		{"a bare event without an identity", `{"eventSource":"a","eventName":"b"}`, one("not_root")},
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
			_, got := read(t, cfg, tt.data)
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

// distinct gives root events that do not compress into nothing.
func distinct(n int) []string {
	events := make([]string, n)
	for i := range events {
		events[i] = withID(rootEvent, hashed([]byte{byte(i), byte(i >> 8)}))
	}
	return events
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
			b, got := read(t, tt.cfg, tt.data)
			if diff := cmp.Diff(tt.want, got); diff != "" {
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
			b, _ := read(t, Config{}, tt.data)
			if len(b.events) != 1 {
				t.Fatalf("%d root events, want 1", len(b.events))
			}
			if got := b.events[0].EnvelopeAccount; got != tt.want {
				t.Errorf("account %q, want %q", got, tt.want)
			}
		})
	}
	t.Run("one envelope's account is not the next one's", func(t *testing.T) {
		b, _ := read(t, Config{}, logged(viaEventBridge(rootEvent), rootEvent))
		if got := b.events[1].EnvelopeAccount; got != "777788889999" {
			t.Errorf("account %q, want the owner of the log group", got)
		}
	})
}

func TestCopiesShareAnID(t *testing.T) {
	id := func(data string) string {
		b, _ := read(t, Config{}, data)
		if len(b.events) != 1 {
			t.Fatalf("%d root events in %s, want 1", len(b.events), data)
		}
		return b.events[0].id
	}
	if got := id(rootEvent); got != "root-1" {
		t.Errorf("an event's id is %q, want its eventID", got)
	}
	update := strings.Replace(rootEvent, `"eventID":"root-1"`, `"eventID":"root-2","addendum":{"reason":"UPDATED_DATA","originalEventID":"root-1"}`, 1)
	if got := id(update); got != "root-1" {
		t.Errorf("an update's id is %q, want that of what it updates", got)
	}
	late := strings.Replace(rootEvent, `"eventID":"root-1"`, `"eventID":"root-2","addendum":{"reason":"DELIVERY_DELAY","originalEventID":"root-1"}`, 1)
	if got := id(late); got != "root-2" {
		t.Errorf("a late event's id is %q, want its own", got)
	}
	anonymous := strings.Replace(rootEvent, `,"eventID":"root-1"`, ``, 1)
	if id(anonymous) != id(viaEventBridge(anonymous)) {
		t.Error("an event without an eventID has another id in an envelope")
	}
	if id(anonymous) == id(strings.Replace(anonymous, "CreateUser", "DeleteUser", 1)) {
		t.Error("two events without an eventID have the same id")
	}
	long := func(end string) string { return withID(rootEvent, strings.Repeat("x", 500)+end) }
	if a := id(long("a")); len(a) > maxIDSize || a == id(long("b")) || a != id(viaEventBridge(long("a"))) {
		t.Errorf("an id that is too long becomes %q, want a short one that tells it from others", a)
	}
}

func TestHeartbeatsAreKeptWithTheirTime(t *testing.T) {
	b, _ := read(t, Config{}, wrapped(`"aws.events"`, `"Scheduled Event"`, `{}`))
	want := []heartbeat{{"us-east-1", time.Date(2026, 11, 2, 8, 0, 1, 0, time.UTC)}}
	if diff := cmp.Diff(want, b.heartbeats, cmp.AllowUnexported(heartbeat{})); diff != "" {
		t.Errorf("heartbeats (-want +got):\n%s", diff)
	}
}

func TestUndecodableRecordsAreToldOf(t *testing.T) {
	var out bytes.Buffer
	cfg := Config{Logger: slog.New(slog.NewJSONHandler(&out, nil))}
	read(t, cfg, "\x01\"no JSON\xff"+strings.Repeat("x", 1000))
	var line map[string]any
	if err := json.Unmarshal(out.Bytes(), &line); err != nil {
		t.Fatalf("%v in %s", err, out.Bytes())
	}
	if line["level"] != "WARN" || line["shard_id"] != "shardId-7" || line["sequence_number"] != "42" || line["size"] != 1010.0 {
		t.Errorf("logged %v", line)
	}
	if begins, _ := line["begins"].(string); !strings.HasPrefix(begins, `"\x01\"no JSON\xff`) || len(begins) > 200 {
		t.Errorf("begins %q", begins)
	}
	if line["err"] == "" {
		t.Error("no reason given")
	}

	out.Reset()
	broken := make([]string, 50)
	for i := range broken {
		broken[i] = "no JSON"
	}
	read(t, cfg, logged(broken...))
	if n := strings.Count(out.String(), "\n"); n != maxTold+1 {
		t.Errorf("50 broken messages of one record are told in %d lines, want %d and a summary", n, maxTold)
	}
	if !strings.Contains(out.String(), `"units":40`) {
		t.Errorf("the summary does not say how many more: %s", out.String())
	}
}

func TestAForeignSourceIsToldOf(t *testing.T) {
	var out bytes.Buffer
	read(t, Config{Logger: slog.New(slog.NewJSONHandler(&out, nil))}, wrapped(quote("evil\n"+strings.Repeat("x", 5000)), `"AWS API Call via CloudTrail"`, rootEvent))
	if s := out.String(); !strings.Contains(s, `"source":"evil\nxxx`) || !strings.Contains(s, `"sequence_number":"42"`) || len(s) > 1000 {
		t.Errorf("logged %s", s)
	}
}

func TestManyForeignSourcesInOneRecordAreSummedUp(t *testing.T) {
	var out bytes.Buffer
	forged := make([]string, 50)
	for i := range forged {
		forged[i] = wrapped(`"my.app"`, `"AWS API Call via CloudTrail"`, rootEvent)
	}
	_, got := read(t, Config{Logger: slog.New(slog.NewJSONHandler(&out, nil))}, logged(forged...))
	if diff := cmp.Diff(map[string]int{"foreign_source": 50}, got); diff != "" {
		t.Errorf("results (-want +got):\n%s", diff)
	}
	if n := strings.Count(out.String(), "\n"); n != maxTold+1 || !strings.Contains(out.String(), `"events":40`) {
		t.Errorf("50 forged events of one record are told in %d lines, want %d and a summary:\n%s", n, maxTold, out.String())
	}
}

// panicsOnce is a log handler that brings a fault into the middle of a record.
type panicsOnce struct {
	slog.Handler
	over *bool
}

func (h panicsOnce) Handle(ctx context.Context, r slog.Record) error {
	if !*h.over {
		*h.over = true
		panic("a fault of ours")
	}
	return h.Handler.Handle(ctx, r)
}

func TestAPanicWhileDecodingCostsOneRecord(t *testing.T) {
	var out bytes.Buffer
	over := false
	cfg := Config{Logger: slog.New(panicsOnce{slog.NewJSONHandler(&out, nil), &over})}
	// Telling of the forged event brings the fault out; the call before it is judged all the same.
	_, got := read(t, cfg, logged(rootEvent, wrapped(`"my.app"`, `"AWS API Call via CloudTrail"`, rootEvent), rootEvent))
	if got["root"] != 1 || got["undecodable"] != 1 {
		t.Errorf("results %v, want the first call and one undecodable", got)
	}
	if s := out.String(); !strings.Contains(s, "a fault of ours") || !strings.Contains(s, "envelope.go") {
		t.Errorf("the log names neither the panic nor where it was: %s", s)
	}
}
