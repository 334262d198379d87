package scan

import (
	"bytes"
	"math/rand/v2"
	"testing"

	"rootwatch/pipeline/scan/scantest"
)

// pieces are what mutations put into an event: all that could turn its verdict, and all that could
// break it.
var pieces = []string{
	`"type":"Root",`, `"Type":"Root",`, `"\u0074ype":"Root",`, `"type":"IAMUser",`, `"type":null,`,
	`"userIdentity":{"type":"Root"},`, `"userIdentity":{"type":"AssumedRole"},`, `"USERIDENTITY":null,`, `"userIdentity":[],`,
	`"detail":{"userIdentity":{"type":"Root"}},`, `"detail-type":"AWS API Call via CloudTrail",`, `"detail-type":"",`, `"Detail":{},`,
	`"source":"aws.s3",`, `"source":"evil",`, `"ſource":"evil",`, `"eventSource":"x",`, `"eventName":7,`, `"Records":[],`, `"messageType":"DATA_MESSAGE",`,
	`"userIdentity":{},`, `"userIdentity":null,`, `"eventSource":"aws:s3",`, `"eventSource":"aws\u003as3",`, `"type":"",`,
	`"eventType":"AwsServiceEvent",`, `"eventCategory":"Aggregated",`,
	`{`, `}`, `[`, `]`, `"`, `\`, `,`, `:`, ` `, "\n", "\x00", "\x1f", "\xff", "é", `\u`, `\u00e9`, `\"`, `\ud800`, `0`, `-`, `1e9`, `.`, `true`, `null`, `{}`, `[]`, `""`,
	`{"a":`, `[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[`, `"0123456789abcdef"`,
}

// mutate changes an event in one place; mostly so that it stays valid JSON.
func mutate(rng *rand.Rand, data []byte) []byte {
	at := rng.IntN(len(data) + 1)
	piece := pieces[rng.IntN(len(pieces))]
	switch rng.IntN(7) {
	case 0, 1, 2: // a piece where a member may begin
		if brace := bytes.IndexByte(data[at:], '{'); brace >= 0 {
			at += brace + 1
		}
	case 3: // a bit of a letter: another case, another letter
		if at < len(data) {
			data = bytes.Clone(data)
			data[at] ^= 1 << rng.IntN(8)
			return data
		}
	case 4: // a stretch cut out
		end := min(len(data), at+1+rng.IntN(12))
		return append(bytes.Clone(data[:at]), data[end:]...)
	case 5: // the end cut off
		return bytes.Clone(data[:at])
	}
	return append(append(bytes.Clone(data[:at]), piece...), data[at:]...)
}

func TestMutatedEventsAreReadAsByEncodingJSON(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	g := scantest.New(5)
	seen := map[Verdict]int{}
	for range 6000 {
		var data []byte
		switch kind := scantest.Kind(rng.IntN(4)); rng.IntN(4) {
		case 0:
			data = g.Envelope(kind)
		case 1:
			data = g.Bare(kind)
		case 2:
			data = []byte(wrap(byUser))
		default:
			data = []byte(byUser)
		}
		if len(data) > 8000 {
			continue
		}
		for range rng.IntN(3) {
			data = mutate(rng, data)
		}
		check(t, data)
		_, v := Next(data)
		seen[v]++
	}
	for v := Unsure; v <= Invalid; v++ {
		if seen[v] < 100 {
			t.Errorf("only %d mutants were %v: the test has lost its teeth", seen[v], v)
		}
	}
}

// The seeds are short: the engine spends its time on minimising long ones. Real sizes are the
// business of TestMutatedEventsAreReadAsByEncodingJSON, the deepest values that of TestVerdicts.
func FuzzNext(f *testing.F) {
	for _, tt := range verdicts {
		if len(tt.data) < 500 {
			f.Add([]byte(tt.data))
		}
	}
	for _, piece := range pieces {
		f.Add([]byte(`{` + piece + byUser[1:]))
		f.Add([]byte(wrap(byUser[:len(byUser)-1] + `,"x":` + piece + `}`)))
	}
	f.Fuzz(check)
}
