package pipeline

import (
	"bytes"
	"context"
	"log/slog"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"rootwatch/pipeline/scan/scantest"
)

// judged is what becomes of a record in decode and filter: the counts, and the ids of the root calls.
func judged(t testing.TB, data []byte, exhaustive bool) (map[string]int, []string) {
	t.Helper()
	cfg := &Config{Logger: slog.New(slog.DiscardHandler)}
	cfg.setDefaults()
	d := newDecoder(cfg)
	d.exhaustive = exhaustive
	b := &Batch{Records: []Record{{Data: data}}}
	for _, s := range []stage{d, &rootFilter{log: cfg.Logger}} {
		if err := s.process(context.Background(), b); err != nil {
			t.Fatal(err)
		}
	}
	var ids []string
	for _, e := range b.events {
		ids = append(ids, e.id)
	}
	return b.Events(), ids
}

// agree fails if the scanner changes what a record counts as.
func agree(t *testing.T, data []byte) {
	t.Helper()
	counts, ids := judged(t, data, false)
	wantCounts, wantIDs := judged(t, data, true)
	if diff := cmp.Diff(wantCounts, counts); diff != "" {
		t.Errorf("the scanner changes the counts (-without +with):\n%s\n%.500q", diff, data)
	}
	if diff := cmp.Diff(wantIDs, ids); diff != "" {
		t.Errorf("the scanner changes the root calls (-without +with):\n%s\n%.500q", diff, data)
	}
}

func TestTheScannerChangesNoResult(t *testing.T) {
	g := scantest.New(3)
	var events []string
	for _, s := range g.Workload(400) {
		agree(t, s.Data)
		agree(t, append(s.Data, " \n\t\r "...))
		agree(t, append(s.Data, " {}"...))
	}
	for i := range 60 {
		kind := scantest.Ordinary
		switch i % 10 {
		case 3:
			kind = scantest.Root
		case 5:
			kind = scantest.Escaped
		case 7:
			kind = scantest.Decoy
		}
		events = append(events, string(g.Bare(kind)))
	}
	file := inFile(events...)
	for _, document := range []string{
		file, logged(events...), lookedUp(events...), strings.ReplaceAll(file, `"Records":[`, `"Records": [ `),
		`{"logEvents":[` + strings.Join(events, ",") + `]}`, `{"Events":[` + strings.Join(events, ",") + `]}`,
		`{"Records":[],` + file[1:], file[:len(file)-1] + `,"eventSource":"a","eventName":"b"}`,
	} {
		agree(t, []byte(document))
		agree(t, []byte(zipped(document)))
		for _, part := range []int{1, 2, 3, 5, 8} { // broken off
			agree(t, []byte(document[:len(document)*part/9]))
		}
	}
}

// An element that is whole counts, whatever breaks the list behind it.
func TestTheScannerChangesNoBrokenList(t *testing.T) {
	ends := []string{
		"01", "0", "-", "-0", "-x", "1.", "1.5", "1.x", "1e", "1e+5", "1e5x", "12true", "t", "tru", "true", "truex", "truefalse", "nullnull",
		`"a`, `"a"`, `"a"b`, `"a\`, "{}", "{}x", "{", "{]", "[}", "[]1", userEvent + "x", userEvent + userEvent, rootEvent + "x", rootEvent + rootEvent,
		"", " ", ",", ":", "}", "]", "\x00", "\xff", "nul", "nulL", "+1", ".5", "'a'",
	}
	for _, end := range ends {
		for _, list := range []string{`{"Records":[`, `{"Events":[`, `{"logEvents":[`, `{"messageType":`, `{"a":`, `[`, ``} {
			for _, element := range []string{"", "7,", userEvent + ",", rootEvent + ","} {
				agree(t, []byte(list+element+end))
				agree(t, []byte(list+element+end+" "))
				agree(t, []byte(list+element+end+"]}"))
			}
		}
	}
}

func FuzzTheScannerChangesNoResult(f *testing.F) {
	for _, s := range []string{
		rootEvent, userEvent, viaEventBridge(rootEvent), viaEventBridge(userEvent), logged(rootEvent, userEvent),
		lookedUp(rootEvent, userEvent), inFile(rootEvent, userEvent), inFile(viaEventBridge(rootEvent), viaEventBridge(userEvent)),
		strings.Replace(rootEvent, "Root", `\u0052oot`, 1), strings.Replace(rootEvent, `"type"`, `"Type"`, 1),
		strings.Replace(userEvent, `"type":"IAMUser"`, `"type":"IAMUser","type":"Root"`, 1), inFile(userEvent)[:60], userEvent + "\x00", "[]", "",
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, data []byte) { agree(t, data) })
}

// BenchmarkDecodeAndFilter is what an event costs that root did not make, in the forms of the worker's stream and of
// log files.
func BenchmarkDecodeAndFilter(b *testing.B) {
	g := scantest.New(1)
	var wrapped, bare [][]byte
	for range 2000 {
		wrapped = append(wrapped, g.Envelope(scantest.Ordinary))
		bare = append(bare, g.Bare(scantest.Ordinary))
	}
	file := append(append([]byte(`{"Records":[`), bytes.Join(bare, []byte(","))...), "]}"...)
	var texts []string
	var payloads, answers [][]byte
	for _, event := range bare {
		texts = append(texts, string(event))
	}
	for fifty := range slices.Chunk(texts, 50) { // as many as a look-up's answer has at most
		payloads = append(payloads, []byte(logged(fifty...)))
		answers = append(answers, []byte(lookedUp(fifty...)))
	}
	for _, c := range []struct {
		name    string
		records [][]byte
		events  int
	}{
		{"envelopes", wrapped, len(wrapped)},
		{"bare", bare, len(bare)},
		{"S3 log file", [][]byte{file}, len(bare)},
		{"CloudWatch Logs payloads", payloads, len(bare)},
		{"LookupEvents answers", answers, len(bare)},
	} {
		b.Run(c.name, func(b *testing.B) {
			cfg := &Config{Logger: slog.New(slog.DiscardHandler)}
			cfg.setDefaults()
			decode, filter := newDecoder(cfg), &rootFilter{log: cfg.Logger}
			batch := &Batch{Records: make([]Record, len(c.records))}
			size := 0
			for i, data := range c.records {
				batch.Records[i].Data = data
				size += len(data)
			}
			b.SetBytes(int64(size))
			b.ReportAllocs()
			for b.Loop() {
				batch.counts = resultCounts{}
				if decode.process(context.Background(), batch) != nil || filter.process(context.Background(), batch) != nil {
					b.Fatal("not processed")
				}
			}
			if n := batch.counts[resultNotRoot]; n != c.events {
				b.Fatalf("%d events were not root's, want %d", n, c.events)
			}
		})
	}
}

func TestNothingIsAllocatedForEventsThatAreNotRoots(t *testing.T) {
	g := scantest.New(1)
	var events []string
	for range 20 {
		events = append(events, string(g.Bare(scantest.Ordinary)))
	}
	cfg := &Config{Logger: slog.New(slog.DiscardHandler)}
	cfg.setDefaults()
	d, m := newDecoder(cfg), new(memory)
	for form, data := range map[string]string{
		"an envelope": string(g.Envelope(scantest.Ordinary)), "a bare event": events[0], "an S3 log file": inFile(events...),
		"a CloudWatch Logs payload": logged(events...), "a LookupEvents answer": lookedUp(events...),
	} {
		b := batch(data)
		record := func() { d.record(context.Background(), b, &b.Records[0], m) }
		record() // makes room
		allowed := 0.0
		if form == "a CloudWatch Logs payload" {
			allowed = 1 // its owner
		}
		if n := testing.AllocsPerRun(20, record); n > allowed {
			t.Errorf("%s: %v allocations", form, n)
		}
	}
}

func TestABatchTellsWhatHasBecomeOfIt(t *testing.T) {
	b := &Batch{File: "f", NotRoot: 5, Records: []Record{
		{Data: []byte(inFile(rootEvent, userEvent))}, {Data: []byte(rootEvent)}, {Data: []byte(`{"a":`)}, {Data: []byte(`[]`)},
	}}
	var events map[string]int
	var broken []error
	b.Done = func() { events, broken = b.Events(), b.Broken() }
	line, err := New(Config{Sinks: []Sink{NewLogSink(slog.New(slog.DiscardHandler))}, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	if err := line.Run(context.Background(), oneBatch{b}); err != nil {
		t.Fatal(err)
	}
	want := map[string]int{"root": 1, "duplicate": 1, "not_root": 6, "undecodable": 1, "not_cloudtrail": 1}
	if diff := cmp.Diff(want, events); diff != "" {
		t.Error(diff)
	}
	if len(broken) != 1 || broken[0] != errTruncated {
		t.Errorf("broken: %v", broken)
	}
}

// oneBatch is a source of one batch.
type oneBatch struct{ *Batch }

func (s oneBatch) Run(ctx context.Context, submit func(context.Context, *Batch) error) error {
	done := make(chan struct{})
	tell := s.Done
	s.Batch.Done = func() {
		tell()
		close(done)
	}
	if err := submit(ctx, s.Batch); err != nil {
		return err
	}
	<-done
	return nil
}
