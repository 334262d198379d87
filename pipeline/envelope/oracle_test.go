package envelope

import (
	"bytes"
	"encoding/json"
	"math/rand/v2"
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
		_, source := str(d.EventSource)
		_, name := str(d.EventName)
		category, _ := str(d.EventCategory)
		eventType, _ := str(d.EventType)
		if !(source && name) && category != "Insight" && eventType != "AwsCloudTrailInsight" {
			return "not_cloudtrail"
		}
	}
	var e classify.Event
	switch {
	case json.Unmarshal(record, &e) != nil:
		return "undecodable"
	case classify.IsRoot(&e):
		return "root"
	}
	return "not_root"
}

// pieces are what the events are disturbed with.
var pieces = []string{
	`"type":"Root",`, `"Type":"Root",`, `"\u0074ype":"Root",`, `"type":"IAMUser",`, `"type":null,`,
	`"userIdentity":{"type":"Root"},`, `"userIdentity":{"type":"AssumedRole"},`, `"USERIDENTITY":null,`, `"userIdentity":[],`,
	`"detail":{"userIdentity":{"type":"Root"}},`, `"Detail":{},`, `"detail":null,`,
	`"detail-type":"AWS API Call via CloudTrail",`, `"detail-type":"",`, `"detail-type":null,`,
	`"source":"aws.s3",`, `"source":"evil",`, `"ſource":"evil",`, `"source":"aws.partner/x",`, `"source":"aws. x",`,
	`"eventSource":"x",`, `"eventName":7,`, `"eventName":null,`, `"eventCategory":"Insight",`, `"eventCategory":null,`,
	`{`, `}`, `[`, `]`, `"`, `\`, `,`, `:`, ` `, "\n", "\x00", "\xff", `\u`, `0`, `-`, `1e9`, `.`,
	`true`, `null`, `{}`, `[]`, `""`, "\xed\xa0\x80", `\ud800`,
}

func TestASingleEventIsJudgedAsEncodingJSONReadsIt(t *testing.T) {
	rng := rand.New(rand.NewPCG(9, 9))
	bases := []string{rootEvent, userEvent, viaEventBridge(rootEvent), viaEventBridge(userEvent), insight}
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
