package pipeline

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"rootwatch/pipeline/envelope"
	"rootwatch/pipeline/envelope/envelopetest"
	"rootwatch/pipeline/scan/scantest"
)

const (
	rootEvent = envelopetest.RootEvent
	userEvent = envelopetest.UserEvent
)

var (
	wrapped        = envelopetest.Wrapped
	viaEventBridge = envelopetest.ViaEventBridge
	logged         = envelopetest.Logged
	lookedUp       = envelopetest.LookedUp
	inFile         = envelopetest.InFile
	zipped         = envelopetest.Zipped
	withID         = envelopetest.WithID
	distinct       = envelopetest.Distinct
	quote          = envelopetest.Quote
)

// named are counts by the names of rootwatch_events_total, without the zeros.
func named(counts Counts) map[string]int {
	got := map[string]int{}
	for r, n := range counts {
		if n > 0 {
			got[Result(r).String()] = n
		}
	}
	return got
}

// read takes one record through decode and filter and says what each thing in it counts as.
func read(t testing.TB, cfg Config, data string) (*work, map[string]int) {
	t.Helper()
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	cfg.setDefaults()
	w := &work{Batch: &Batch{ShardID: "shardId-7", Records: []Record{{Data: []byte(data), SequenceNumber: "42"}}}}
	d := newDecoder(&cfg)
	if err := d.process(context.Background(), w); err != nil {
		t.Fatal(err)
	}
	f := &rootFilter{log: cfg.Logger}
	if err := f.process(context.Background(), w); err != nil {
		t.Fatal(err)
	}
	got := named(w.outcome.Events)
	if n := len(w.events); n > 0 {
		got["root"] = n
	}
	return w, got
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
	if n := strings.Count(out.String(), "\n"); n != maxLogged+1 {
		t.Errorf("50 broken messages of one record are logged in %d lines, want %d and a summary", n, maxLogged)
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
	if n := strings.Count(out.String(), "\n"); n != maxLogged+1 || !strings.Contains(out.String(), `"events":40`) {
		t.Errorf("50 forged events of one record are logged in %d lines, want %d and a summary:\n%s", n, maxLogged, out.String())
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
	// Logging the forged event brings the fault out; the call before it is judged all the same.
	_, got := read(t, cfg, logged(rootEvent, wrapped(`"my.app"`, `"AWS API Call via CloudTrail"`, rootEvent), rootEvent))
	if got["root"] != 1 || got["undecodable"] != 1 {
		t.Errorf("results %v, want the first call and one undecodable", got)
	}
	if s := out.String(); !strings.Contains(s, "a fault of ours") || !strings.Contains(s, "decode.go") {
		t.Errorf("the log names neither the panic nor where it was: %s", s)
	}
}

// What does not tell events apart is no id: two calls under it would be one.
func TestIDsThatSayNothingMergeNoCalls(t *testing.T) {
	for _, id := range []string{`{}`, `[]`, `[7]`, `" "`, `""`, `"\n"`, `null`, `0`, `true`, "\"\xff\""} {
		one := strings.Replace(rootEvent, `"root-1"`, id, 1)
		other := strings.Replace(one, "CreateUser", "DeleteUser", 1)
		if a, b := firstID(t, one), firstID(t, other); a == b || !strings.HasPrefix(a, "sha256:") {
			t.Errorf("eventID %s: ids %q and %q, want two hashes", id, a, b)
		}
		if id == `"\n"` || strings.Contains(id, "\xff") {
			continue
		}
		update := func(own string) string {
			return strings.Replace(withID(rootEvent, own), "{", fmt.Sprintf(`{"addendum":{"reason":"UPDATED_DATA","originalEventID":%s},`, id), 1)
		}
		if a, b := firstID(t, update("a")), firstID(t, update("b")); a != "a" || b != "b" {
			t.Errorf("originalEventID %s: ids %q and %q, want the events' own", id, a, b)
		}
	}
}

// firstID is the id of the one root call in a record.
func firstID(t *testing.T, data string) string {
	t.Helper()
	b, _ := read(t, Config{}, data)
	if len(b.events) != 1 {
		t.Fatalf("%d root events in %s, want 1", len(b.events), data)
	}
	return b.events[0].id
}

func TestNothingIsAllocatedForEventsThatAreNotRoots(t *testing.T) {
	g := scantest.New(1)
	var events []string
	for range 20 {
		events = append(events, string(g.Bare(scantest.Ordinary)))
	}
	cfg := &Config{Logger: slog.New(slog.DiscardHandler)}
	cfg.setDefaults()
	d, m := newDecoder(cfg), envelope.New(newDecoder(cfg).cfg)
	for form, data := range map[string]string{
		"an envelope": string(g.Envelope(scantest.Ordinary)), "a bare event": events[0], "an S3 log file": inFile(events...),
		"a CloudWatch Logs payload": logged(events...), "a LookupEvents answer": lookedUp(events...),
	} {
		w := &work{Batch: batch(data)}
		record := func() { d.record(context.Background(), w, 0, m) }
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
	var got Outcome
	b.Done = func(o Outcome) { got = o }
	line, err := New(Config{Sinks: []Sink{NewLogSink(slog.New(slog.DiscardHandler))}, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	if err := line.Run(context.Background(), oneBatch{b}); err != nil {
		t.Fatal(err)
	}
	want := map[string]int{"root": 1, "duplicate": 1, "not_root": 6, "undecodable": 1, "not_cloudtrail": 1}
	if diff := cmp.Diff(want, named(got.Events)); diff != "" {
		t.Error(diff)
	}
	if len(got.Broken) != 1 || got.Broken[0].Record != 2 || got.Broken[0].Err.Error() != "the JSON text ends in the middle of a value" {
		t.Errorf("broken: %v", got.Broken)
	}
}

// oneBatch is a source of one batch.
type oneBatch struct{ *Batch }

func (s oneBatch) Run(ctx context.Context, submit func(context.Context, *Batch) error) error {
	done := make(chan struct{})
	tell := s.Done
	s.Batch.Done = func(o Outcome) {
		tell(o)
		close(done)
	}
	if err := submit(ctx, s.Batch); err != nil {
		return err
	}
	<-done
	return nil
}

func TestAggregatedEventsAreLoggedOnce(t *testing.T) {
	const aggregated = `{"eventId":"1","eventCategory":"Aggregated","eventType":"AwsAggregatedEvent","eventSource":"s3.amazonaws.com"}`
	var out bytes.Buffer
	r := newRig(t, Config{Sinks: []Sink{new(kept)}, Logger: slog.New(slog.NewJSONHandler(&out, nil))})
	if err := r.Run(t.Context(), batches{batch(inFile(aggregated, aggregated), aggregated), batch(viaEventBridge(aggregated))}); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(map[string]int{"not_cloudtrail": 4}, r.events()); diff != "" {
		t.Errorf("events (-want +got):\n%s", diff)
	}
	if s := out.String(); strings.Count(s, "\n") != 1 || !strings.Contains(s, `"level":"INFO"`) || !strings.Contains(s, "aggregated data events arrive") {
		t.Errorf("logged %s", s)
	}
}
