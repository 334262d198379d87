package envelope

import (
	"bytes"
	"encoding/json"
	"maps"
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"rootwatch/classify"
	"rootwatch/pipeline/scan"
)

// oracle is what a record that is no list counts as, by encoding/json.
func oracle(data []byte) string {
	var d struct {
		DetailType    json.RawMessage `json:"detail-type"`
		Source        json.RawMessage `json:"source"`
		Detail        json.RawMessage `json:"detail"`
		EventSource   json.RawMessage `json:"eventSource"`
		EventName     json.RawMessage `json:"eventName"`
		EventType     json.RawMessage `json:"eventType"`
		EventCategory json.RawMessage `json:"eventCategory"`
	}
	str := func(value json.RawMessage) (string, bool) {
		var s *string
		if json.Unmarshal(value, &s) != nil || s == nil {
			return "", false
		}
		return *s, true
	}
	if !json.Valid(data) {
		return "undecodable"
	}
	if json.Unmarshal(data, &d) != nil {
		return "not_cloudtrail"
	}
	record := data
	category, _ := str(d.EventCategory)
	eventType, _ := str(d.EventType)
	if d.DetailType != nil && string(d.DetailType) != "null" {
		detailType, _ := str(d.DetailType)
		source, _ := str(d.Source)
		switch {
		case detailType == "Scheduled Event" && source == "aws.events":
			return "heartbeat"
		case !strings.HasSuffix(detailType, " via CloudTrail"):
			return "not_cloudtrail"
		case !scan.FromAWS(source):
			return "foreign_source"
		case len(d.Detail) == 0 || d.Detail[0] != '{':
			return "undecodable"
		}
		record = d.Detail
	} else {
		source, hasSource := str(d.EventSource)
		_, hasName := str(d.EventName)
		switch {
		case !(hasSource && hasName) && category != "Insight" && eventType != "AwsCloudTrailInsight":
			return "not_cloudtrail"
		case strings.HasPrefix(source, "aws:"):
			return "not_cloudtrail"
		}
	}
	var kind struct{ EventName, EventType, EventCategory any }
	if err := json.Unmarshal(record, &kind); err != nil {
		return "undecodable"
	}
	_, hasName := kind.EventName.(string)
	var identity struct{ UserIdentity map[string]any }
	_ = json.Unmarshal(record, &identity) // of a wrong type: refused below
	var e classify.Event
	switch {
	case json.Unmarshal(record, &e) != nil:
		return "undecodable"
	case classify.IsRoot(&e):
		return "root"
	case !reflect.ValueOf(e.UserIdentity).IsZero(), speaks(identity.UserIdentity):
		return "not_root"
	case (kind.EventCategory == "Aggregated" || kind.EventType == "AwsAggregatedEvent") && !hasName:
		return "not_cloudtrail"
	case kind.EventCategory == "Insight", kind.EventType == "AwsCloudTrailInsight", kind.EventType == "AwsServiceEvent":
		return "not_root"
	}
	return "undecodable"
}

// speaks reports whether there is anything but null, "" and what holds nothing else.
func speaks(v any) bool {
	switch v := v.(type) {
	case nil:
		return false
	case string:
		return v != ""
	case map[string]any:
		return slices.ContainsFunc(slices.Collect(maps.Values(v)), speaks)
	case []any:
		return slices.ContainsFunc(v, speaks)
	}
	return true
}

// pieces are what the events are disturbed with.
var pieces = []string{
	`"type":"Root",`, `"Type":"Root",`, `"\u0074ype":"Root",`, `"type":"IAMUser",`, `"type":null,`,
	`"userIdentity":{"type":"Root"},`, `"userIdentity":{"type":"AssumedRole"},`, `"USERIDENTITY":null,`, `"userIdentity":[],`,
	`"detail":{"userIdentity":{"type":"Root"}},`, `"Detail":{},`, `"detail":null,`,
	`"detail-type":"AWS API Call via CloudTrail",`, `"detail-type":"",`, `"detail-type":null,`,
	`"source":"aws.s3",`, `"source":"evil",`, `"ſource":"evil",`, `"source":"aws.partner/x",`, `"source":"aws. x",`,
	`"eventSource":"x",`, `"eventName":7,`, `"eventName":null,`, `"eventCategory":"Insight",`, `"eventCategory":null,`,
	`"userIdentity":{},`, `"userIdentity":null,`, `"eventSource":"aws:s3",`, `"eventType":"AwsServiceEvent",`, `"eventType":"AwsAggregatedEvent",`,
	`"eventCategory":"Aggregated",`,
	`{`, `}`, `[`, `]`, `"`, `\`, `,`, `:`, ` `, "\n", "\x00", "\xff", `\u`, `0`, `-`, `1e9`, `.`,
	`true`, `null`, `{}`, `[]`, `""`, "\xed\xa0\x80", `\ud800`,
}

func TestASingleEventIsJudgedAsEncodingJSONReadsIt(t *testing.T) {
	rng := rand.New(rand.NewPCG(9, 9))
	bases := []string{rootEvent, userEvent, viaEventBridge(rootEvent), viaEventBridge(userEvent), insight, aggregated, viaEventBridge(aggregated), lost, viaEventBridge(lost)}
	stop := time.Now().Add(time.Second)
	for n := 0; n < 300 || time.Now().Before(stop); n++ {
		data := []byte(bases[rng.IntN(len(bases))])
		for range 1 + rng.IntN(3) {
			at := rng.IntN(len(data) + 1)
			if rng.IntN(4) > 0 { // where a member may stand
				if i := bytes.IndexByte(data[at:], '{'); i >= 0 {
					at += i + 1
				}
			}
			data = append(append(bytes.Clone(data[:at]), pieces[rng.IntN(len(pieces))]...), data[at:]...)
		}
		want := oracle(data)
		if got := read(t, Config{}, string(data)).counts; len(got) != 1 || got[want] != 1 {
			t.Fatalf("results %v, want one %s: %q", got, want, data)
		}
	}
}
