package pipeline

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"log/slog"
	"runtime"
	"slices"
	"strings"
	"testing"

	"rootwatch/pipeline/envelope"
)

// hostileEvent is one way to make an event expensive. filled makes one of at least size bytes, and
// a few more.
type hostileEvent struct {
	name   string
	filled func(size int) string
}

// members repeats pieces with a comma between them, up to size bytes. Each # in a piece becomes a
// number of its own.
func members(piece string, size int) string {
	var b strings.Builder
	for i := 0; b.Len() < size; i++ {
		if i > 0 {
			b.WriteByte(',')
		}
		b.WriteString(strings.ReplaceAll(piece, "#", fmt.Sprint(i)))
	}
	return b.String()
}

// nested is a list of values that have depth levels.
func nested(open, end string, depth, size int) string {
	return "[" + members(strings.Repeat(open, depth)+"[]"+strings.Repeat(end, depth), size) + "]"
}

const rootCall = `{"eventSource":"s3.amazonaws.com","eventName":"GetObject","eventID":"e","userIdentity":{"type":"Root","arn":"arn:aws:iam::111122223333:root"`

// callWith is a root call's record with a value in one more member.
func callWith(member, value string) string {
	if rest, ok := strings.CutPrefix(member, "userIdentity."); ok {
		return rootCall + `,"` + rest + `":` + value + `}}`
	}
	return rootCall + `},"` + member + `":` + value + `}`
}

func hostileEvents() (events []hostileEvent) {
	add := func(name string, filled func(int) string) { events = append(events, hostileEvent{name, filled}) }
	for _, member := range []string{"userIdentity.sessionContext", "tlsDetails", "requestParameters", "responseElements", "additionalEventData", "addendum", "other"} {
		add("empty objects in "+member, func(n int) string { return callWith(member, "{"+members(`"#":{}`, n)+"}") })
		add("empty objects of one name in "+member, func(n int) string { return callWith(member, "{"+members(`"a":{}`, n)+"}") })
		add("empty lists in "+member, func(n int) string { return callWith(member, `{"a":[`+members(`[]`, n)+"]}") })
		add("deep lists in "+member, func(n int) string { return callWith(member, `{"a":`+nested("[", "]", 5000, n)+"}") })
		add("deep objects in "+member, func(n int) string { return callWith(member, `{"a":`+nested(`{"":`, "}", 5000, n)+"}") })
	}
	add("empty objects in an identity that says nothing", func(n int) string {
		return `{"eventSource":"a","eventName":"b","userIdentity":{` + members(`"#":{}`, n) + `}}`
	})
	add("identities that say nothing", func(n int) string {
		return `{"eventSource":"a","eventName":"b",` + members(`"userIdentity":{"a":{}}`, n) + `}`
	})
	add("names in another case", func(n int) string {
		return rootCall + `},` + members(`"USERIDENTITY":{"SessionContext":{"ATTRIBUTES":{}}}`, n) + `}`
	})
	add("names with the Kelvin sign and long s", func(n int) string {
		return rootCall + `},` + members("\"u\u017feridentity\":{\"\u017fessioncontext\":{\"\u017fessionissuer\":{}}}", n) + `}`
	})
	add("names that are not known", func(n int) string { return rootCall + `},` + members(`"A#":1`, n) + `}` })
	add("escapes in a text", func(n int) string { return callWith("userAgent", `"`+strings.Repeat(`\u0041`, n/6)+`"`) })
	add("half surrogates in a text", func(n int) string { return callWith("userAgent", `"`+strings.Repeat(`\ud800`, n/6)+`"`) })
	add("quotes in a text", func(n int) string { return callWith("userAgent", `"`+strings.Repeat(`\"`, n/2)+`"`) })
	add("escapes in names", func(n int) string { return rootCall + `},` + members(`"\u0061#":1`, n) + `}` })
	add("bytes that are not UTF-8", func(n int) string { return callWith("userAgent", `"`+strings.Repeat("\xff", n)+`"`) })
	add("outcomes", func(n int) string { return callWith("responseElements", "{"+members(`"#":"Success"`, n)+"}") })
	add("overwritten members", func(n int) string {
		return callWith("tlsDetails", "{"+members(`"#":1`, n/2)+","+members(`"#":""`, n/2)+"}")
	})
	add("a long number", func(n int) string { return callWith("requestParameters", strings.Repeat("1", n)) })
	add("white space", func(n int) string {
		return callWith("tlsDetails", `{"a":[`+members("                                {}", n)+`]}`)
	})
	add("plain text", func(n int) string { return callWith("userAgent", `"`+strings.Repeat("a", n)+`"`) })
	return events
}

// hostileRecord is a log file of eight of these events, as large as a record may be.
func hostileRecord(e hostileEvent) []byte {
	const events, total = 8, 31 << 20
	var record bytes.Buffer
	w, begin := gzip.NewWriter(&record), `{"Records":[`
	for i := range events {
		if i > 0 {
			begin = ","
		}
		fmt.Fprint(w, begin, e.filled(total/events-1024))
	}
	fmt.Fprint(w, "]}")
	w.Close()
	return record.Bytes()
}

// BenchmarkHostile is what a record costs that somebody has made as expensive as possible, from
// decode to the verdict. All expand to the same size: the cost should be about that of "plain
// text", whatever is in them.
func BenchmarkHostile(b *testing.B) {
	for _, e := range hostileEvents() {
		b.Run(e.name, func(b *testing.B) {
			record := hostileRecord(e)
			cfg := &Config{Logger: slog.New(slog.DiscardHandler)}
			cfg.setDefaults()
			stages := []stage{newDecoder(cfg), &rootFilter{log: cfg.Logger}, &classifier{log: cfg.Logger}}
			b.ReportAllocs()
			for b.Loop() {
				w := &work{Batch: &Batch{Records: []Record{{Data: record}}}}
				for _, s := range stages {
					if s.process(b.Context(), w) != nil {
						b.Fatal("not processed")
					}
				}
				if w.outcome.Events.Total()+len(w.events) != 8 {
					b.Fatalf("%v and %d root calls, want eight events", w.outcome.Events, len(w.events))
				}
			}
			b.ReportMetric(float64(len(record))/1024, "KiB/record")
		})
	}
}

// What a text costs in memory is bounded by its size: copies of its fields, and no value for each
// of its members.
func TestHostileRecordsTakeAFewTimesTheirSize(t *testing.T) {
	const size = 512 << 10
	for _, e := range hostileEvents() {
		t.Run(e.name, func(t *testing.T) {
			text := e.filled(size)
			cfg := &Config{Logger: slog.New(slog.DiscardHandler)}
			cfg.setDefaults()
			stages := []stage{newDecoder(cfg), &rootFilter{log: cfg.Logger}, &classifier{log: cfg.Logger}}
			run := func() {
				w := &work{Batch: &Batch{Records: []Record{{Data: []byte(text)}}}}
				for _, s := range stages {
					if s.process(t.Context(), w) != nil {
						t.Fatal("not processed")
					}
				}
			}
			run() // the buffers that are kept
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			run()
			runtime.ReadMemStats(&after)
			times := 10
			if e.name == "outcomes" { // which are kept, each of them
				times = 20
			}
			if took := after.TotalAlloc - before.TotalAlloc; took > uint64(times*len(text)) {
				t.Errorf("%d bytes are allocated for a text of %d", took, len(text))
			}
		})
	}
}

// The source learns of a large text before it is in memory, and that it is gone before the batch is
// done. A text that a decoder may keep is not told of.
func TestTheSourceLearnsOfLargeTexts(t *testing.T) {
	large := zipped(strings.Repeat(" ", 2*envelope.KeptBytes))
	for name, tt := range map[string]struct {
		records []string
		want    []int
	}{
		"large ones":  {[]string{userEvent, large, large}, []int{2*envelope.KeptBytes + 1, 0}},
		"a small one": {[]string{zipped(userEvent)}, []int{0}},
	} {
		var told []int
		b := batch(tt.records...)
		b.Expanded = func(bytes int) { told = append(told, bytes) }
		b.Done = func(Outcome) {
			if !slices.Equal(told, tt.want) {
				t.Errorf("%s: told of %d bytes when the batch is done, want %d", name, told, tt.want)
			}
		}
		r := newRig(t, Config{Sinks: []Sink{NewLogSink(slog.New(slog.DiscardHandler))}})
		if err := r.Run(t.Context(), batches{b}); err != nil {
			t.Fatal(err)
		}
	}
}
