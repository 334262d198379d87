package pipeline

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// sourceFunc makes a source of a function.
type sourceFunc func(ctx context.Context, submit func(context.Context, *Batch) error) error

func (f sourceFunc) Run(ctx context.Context, submit func(context.Context, *Batch) error) error {
	return f(ctx, submit)
}

// batches is a source that submits what it holds and waits until all of it is done.
type batches []*Batch

func (s batches) Run(ctx context.Context, submit func(context.Context, *Batch) error) error {
	var open sync.WaitGroup
	for _, b := range s {
		then := b.Done
		open.Add(1)
		b.Done = func(o Outcome) {
			if then != nil {
				then(o)
			}
			open.Done()
		}
		if err := submit(ctx, b); err != nil {
			return err
		}
	}
	open.Wait()
	return nil
}

// batch holds these records.
func batch(data ...string) *Batch {
	b := &Batch{ShardID: "shardId-7"}
	for i, d := range data {
		b.Records = append(b.Records, Record{Data: []byte(d), SequenceNumber: fmt.Sprint(i)})
	}
	return b
}

// sinkFunc makes a sink of a function.
type sinkFunc func(ctx context.Context, f *Finding) error

func (f sinkFunc) Take(ctx context.Context, finding *Finding) error { return f(ctx, finding) }

// kept is a sink that keeps the ids of what it takes.
type kept struct{ ids []string }

func (s *kept) Take(_ context.Context, f *Finding) error {
	s.ids = append(s.ids, f.ID)
	return nil
}

// rig is a pipeline with what a test looks at.
type rig struct {
	*Pipeline
	registry *prometheus.Registry
}

func newRig(t *testing.T, cfg Config) *rig {
	t.Helper()
	r := &rig{registry: prometheus.NewRegistry()}
	cfg.Registerer = r.registry
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	var err error
	if r.Pipeline, err = New(cfg); err != nil {
		t.Fatal(err)
	}
	return r
}

// events gives rootwatch_events_total, without the zeros.
func (r *rig) events() map[string]int {
	got := map[string]int{}
	for name, n := range r.series("rootwatch_events_total") {
		if n != 0 {
			got[strings.TrimSuffix(strings.TrimPrefix(name, `result="`), `"`)] = int(n)
		}
	}
	return got
}

// series gives a metric's values by its labels.
func (r *rig) series(metric string) map[string]float64 {
	families, err := r.registry.Gather()
	if err != nil {
		panic(err)
	}
	got := map[string]float64{}
	for _, f := range families {
		if f.GetName() != metric {
			continue
		}
		for _, m := range f.GetMetric() {
			var labels []string
			for _, l := range m.GetLabel() {
				labels = append(labels, fmt.Sprintf("%s=%q", l.GetName(), l.GetValue()))
			}
			got[strings.Join(labels, ",")] = m.GetCounter().GetValue() + m.GetGauge().GetValue()
		}
	}
	return got
}

func TestEachEventEndsInOneResult(t *testing.T) {
	sink := new(kept)
	r := newRig(t, Config{Sinks: []Sink{sink}})
	done := 0
	b := batch(viaEventBridge(rootEvent), rootEvent, userEvent, "broken", `{}`, logged(withID(rootEvent, "root-2"), userEvent),
		wrapped(`"my.app"`, `"AWS API Call via CloudTrail"`, rootEvent), wrapped(`"aws.events"`, `"Scheduled Event"`, `{}`))
	b.Done = func(Outcome) { done++ }
	size := 0
	for _, rec := range b.Records {
		size += len(rec.Data)
	}
	if err := r.Run(t.Context(), batches{b}); err != nil {
		t.Fatal(err)
	}
	want := map[string]int{"root": 2, "duplicate": 1, "not_root": 2, "undecodable": 1, "not_cloudtrail": 1, "foreign_source": 1, "heartbeat": 1}
	if diff := cmp.Diff(want, r.events()); diff != "" {
		t.Errorf("events (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]string{"root-1", "root-2"}, sink.ids); diff != "" {
		t.Errorf("findings (-want +got):\n%s", diff)
	}
	if done != 1 {
		t.Errorf("Done was called %d times", done)
	}
	if n, bytes := r.series("rootwatch_records_total")[""], r.series("rootwatch_record_bytes_total")[""]; n != 8 || bytes != float64(size) {
		t.Errorf("%v records of %v bytes, want 8 of %d", n, bytes, size)
	}
}

func TestFindingsSayWhereTheyComeFrom(t *testing.T) {
	var got []*Finding
	r := newRig(t, Config{Sinks: []Sink{sinkFunc(func(_ context.Context, f *Finding) error { got = append(got, f); return nil })}})
	arrival := time.Date(2026, 11, 2, 9, 0, 0, 0, time.UTC)
	stream := batch(userEvent, rootEvent)
	stream.Records[1].Arrival = arrival
	file := batch(withID(rootEvent, "root-2"))
	file.ShardID, file.File, file.Records[0].SequenceNumber = "", "logs/a.json.gz", ""
	if err := r.Run(t.Context(), batches{stream, file}); err != nil {
		t.Fatal(err)
	}
	if len(got) != 2 {
		t.Fatalf("%d findings, want 2", len(got))
	}
	if f := got[0]; f.ShardID != "shardId-7" || f.SequenceNumber != "1" || !f.Arrival.Equal(arrival) || f.File != "" || f.AccountID != "111122223333" {
		t.Errorf("from the stream: %+v", f)
	}
	if f := got[1]; f.ShardID != "" || f.SequenceNumber != "" || !f.Arrival.IsZero() || f.File != "logs/a.json.gz" {
		t.Errorf("from the file: %+v", f)
	}
}

// A batch is Done after its findings were shown, written down and counted, and batches are Done in
// their order.
func TestDoneComesLast(t *testing.T) {
	var told []string
	ledger := &flakyLedger{}
	r := newRig(t, Config{Ledger: ledger, InOrder: true, Sinks: []Sink{
		sinkFunc(func(_ context.Context, f *Finding) error { told = append(told, "first sink "+f.ID); return nil }),
		sinkFunc(func(_ context.Context, f *Finding) error { told = append(told, "second sink "+f.ID); return nil }),
	}})
	ledger.record = func(f *Finding) (Recorded, error) { told = append(told, "ledger "+f.ID); return First, nil }
	var all batches
	for i := range 3 {
		b := batch(withID(rootEvent, fmt.Sprint("root-", i)))
		b.Done = func(Outcome) { told = append(told, fmt.Sprintf("done %d after %d", i, r.events()["root"])) }
		all = append(all, b)
	}
	if err := r.Run(t.Context(), all); err != nil {
		t.Fatal(err)
	}
	want := []string{
		"first sink root-0", "second sink root-0", "ledger root-0", "done 0 after 1",
		"first sink root-1", "second sink root-1", "ledger root-1", "done 1 after 2",
		"first sink root-2", "second sink root-2", "ledger root-2", "done 2 after 3",
	}
	if diff := cmp.Diff(want, told); diff != "" {
		t.Errorf("order (-want +got):\n%s", diff)
	}
}

// stageFunc makes a stage of a function.
type stageFunc func(ctx context.Context, w *work) error

func (f stageFunc) process(ctx context.Context, w *work) error { return f(ctx, w) }

func TestBatchesDecodedAtOnceComeOutInOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, stop := context.WithCancel(t.Context())
		var running sync.WaitGroup
		defer running.Wait()
		defer stop()
		const workers, n = 4, 100
		var busy, most atomic.Int32
		in := make(chan *Batch)
		out := parallel(ctx, &running, workers, stageFunc(func(_ context.Context, b *work) error {
			if now := busy.Add(1); now > most.Load() {
				most.Store(now)
			}
			// The earlier of any few batches take the longest.
			time.Sleep(time.Duration(workers-len(b.ShardID)%workers) * time.Second)
			busy.Add(-1)
			return nil
		}), in)
		running.Go(func() {
			for i := range n {
				if !send(ctx, in, &Batch{ShardID: strings.Repeat("x", i)}) {
					return
				}
			}
		})
		for i := range n {
			if b := <-out; len(b.ShardID) != i {
				t.Fatalf("batch %d came out as number %d", len(b.ShardID), i)
			}
		}
		if most.Load() != workers {
			t.Errorf("at most %d batches were decoded at once, want %d", most.Load(), workers)
		}
	})
}

func TestAFullPipelineHoldsItsSourceBack(t *testing.T) {
	for _, tt := range []struct {
		name    string
		inOrder bool
		least   int32
		most    int32
	}{{"in order", true, 2, 15}, {"many at a time", false, maxCalls, maxCalls + 15}} {
		t.Run(tt.name, func(t *testing.T) { testAFullPipeline(t, tt.inOrder, tt.least, tt.most) })
	}
}

func testAFullPipeline(t *testing.T, inOrder bool, least, most int32) {
	synctest.Test(t, func(t *testing.T) {
		open := make(chan struct{})
		r := newRig(t, Config{DecodeWorkers: 2, InOrder: inOrder, Sinks: []Sink{sinkFunc(func(context.Context, *Finding) error { <-open; return nil })}})
		var taken atomic.Int32
		finished := make(chan error)
		go func() {
			var all batches
			for i := range 2 * maxCalls {
				all = append(all, batch(withID(rootEvent, fmt.Sprint("root-", i))))
			}
			finished <- r.Run(t.Context(), sourceFunc(func(ctx context.Context, submit func(context.Context, *Batch) error) error {
				return all.Run(ctx, func(ctx context.Context, b *Batch) error {
					err := submit(ctx, b)
					taken.Add(1)
					return err
				})
			}))
		}()
		synctest.Wait()
		if n := taken.Load(); n < least || n > most {
			t.Errorf("with a sink that hangs %d batches were taken, want %d to %d", n, least, most)
		}
		close(open)
		if err := <-finished; err != nil {
			t.Error(err)
		}
		if n := r.events()["root"]; n != 2*maxCalls {
			t.Errorf("%d root calls were counted, want all", n)
		}
	})
}

func TestSubmitGivesUpWithItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, Config{DecodeWorkers: 1, Sinks: []Sink{sinkFunc(func(ctx context.Context, _ *Finding) error { <-ctx.Done(); return ctx.Err() })}})
		err := r.Run(t.Context(), sourceFunc(func(ctx context.Context, submit func(context.Context, *Batch) error) error {
			ctx, cancel := context.WithTimeout(ctx, time.Minute)
			defer cancel()
			for {
				if err := submit(ctx, batch(rootEvent)); err != nil {
					return err
				}
			}
		}))
		if !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("submit to a full pipeline ends with %v, want its context's error", err)
		}
	})
}

func TestNothingIsTakenAfterTheEnd(t *testing.T) {
	r := newRig(t, Config{Sinks: []Sink{new(kept)}})
	var late func(context.Context, *Batch) error
	end := errors.New("the source's own error")
	err := r.Run(t.Context(), sourceFunc(func(_ context.Context, submit func(context.Context, *Batch) error) error {
		late = submit
		return end
	}))
	if !errors.Is(err, end) {
		t.Errorf("Run gives %v, want the source's error", err)
	}
	if err := late(context.Background(), batch(rootEvent)); !errors.Is(err, errStopped) {
		t.Errorf("submit after the end gives %v", err)
	}
}

// When the program is told to stop, the source stops reading and waits for what is in flight: the
// stages must work on for it.
func TestStagesWorkOnWhileTheSourceDrains(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, stop := context.WithCancel(t.Context())
		r := newRig(t, Config{Sinks: []Sink{sinkFunc(func(ctx context.Context, _ *Finding) error {
			select {
			case <-time.After(5 * time.Second):
				return nil
			case <-ctx.Done():
				return ctx.Err()
			}
		})}})
		err := r.Run(ctx, sourceFunc(func(ctx context.Context, submit func(context.Context, *Batch) error) error {
			done := make(chan struct{})
			b := batch(rootEvent)
			b.Done = func(Outcome) { close(done) }
			if err := submit(ctx, b); err != nil {
				return err
			}
			stop()
			<-ctx.Done()
			select {
			case <-done:
				return nil
			case <-time.After(20 * time.Second):
				return errors.New("the batch in flight was never done")
			}
		}))
		if err != nil {
			t.Error(err)
		}
		if n := r.events()["root"]; n != 1 {
			t.Errorf("%d root calls were counted, want 1", n)
		}
	})
}

// What the source gave up is not done, and only what was shown of it is counted.
func TestABatchCutShortIsNeverDone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ledger := &flakyLedger{}
		ledger.record = func(f *Finding) (Recorded, error) {
			if f.ID == "root-2" {
				return 0, errors.New("no answer")
			}
			return First, nil
		}
		sink := new(kept)
		r := newRig(t, Config{Ledger: ledger, Sinks: []Sink{sink}})
		err := r.Run(t.Context(), sourceFunc(func(ctx context.Context, submit func(context.Context, *Batch) error) error {
			b := batch(rootEvent, "broken", userEvent, withID(rootEvent, "root-2"), withID(rootEvent, "root-3"))
			b.Done = func(Outcome) { t.Error("the batch is done though the ledger never answered") }
			next := batch(userEvent)
			next.Done = func(Outcome) { t.Error("the batch behind it is done") }
			if err := errors.Join(submit(ctx, b), submit(ctx, next)); err != nil {
				return err
			}
			time.Sleep(time.Hour) // the source's deadline
			return nil
		}))
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(map[string]int{"root": 2}, r.events()); diff != "" {
			t.Errorf("events (-want +got):\n%s", diff)
		}
		if diff := cmp.Diff([]string{"root-1", "root-2", "root-3"}, sink.ids); diff != "" {
			t.Errorf("told (-want +got):\n%s", diff)
		}
		if n := r.series("rootwatch_records_total")[""]; n != 0 {
			t.Errorf("%v records are counted as finished", n)
		}
	})
}

func TestAPanicInAStageCostsOneEvent(t *testing.T) {
	w := &work{Batch: batch(userEvent, rootEvent)}
	ok := guard(slog.New(slog.DiscardHandler), w, &event{record: 1}, func() { panic("oops") })
	if ok || w.outcome.Events[ResultUndecodable] != 1 || len(w.outcome.Broken) != 1 || w.outcome.Broken[0].Record != 1 {
		t.Errorf("ok %v, outcome %v; want one undecodable, of the second record", ok, w.outcome)
	}
}

func TestNewChecksItsConfiguration(t *testing.T) {
	sink := []Sink{new(kept)}
	tests := []struct {
		name string
		cfg  Config
		want string // part of the error, "" for none
	}{
		{"all defaults", Config{Sinks: sink}, ""},
		{"no sink", Config{}, "no sink"},
		{"a nil sink", Config{Sinks: []Sink{nil}}, "no sink"},
		{"a negative number of workers", Config{Sinks: sink, DecodeWorkers: -1}, "DecodeWorkers is -1"},
		{"a negative limit", Config{Sinks: sink, MaxExpanded: -5}, "MaxExpanded is -5"},
		{"an empty trusted source", Config{Sinks: sink, TrustedSources: []string{""}}, "trusted source"},
		{"a heartbeat region that is none", Config{Sinks: sink, HeartbeatRegions: []string{"eu-west-1", "Ireland"}}, `"Ireland"`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := New(tt.cfg)
			switch {
			case tt.want == "" && err != nil:
				t.Error(err)
			case tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want)):
				t.Errorf("error %v, want one with %q", err, tt.want)
			}
		})
	}
	reg := prometheus.NewRegistry()
	if _, err := New(Config{Sinks: sink, Registerer: reg}); err != nil {
		t.Fatal(err)
	}
	if _, err := New(Config{Sinks: sink, Registerer: reg}); err == nil {
		t.Error("two pipelines on one registry: no error")
	}
}

// Many sources at once, under the race detector: each shard's findings come out in its order, and
// everything is counted.
func TestManyShards(t *testing.T) {
	const shards, each = 8, 50
	bySource := map[string][]string{}
	r := newRig(t, Config{DecodeWorkers: 2 * runtime.GOMAXPROCS(0), Sinks: []Sink{sinkFunc(func(_ context.Context, f *Finding) error {
		bySource[f.ShardID] = append(bySource[f.ShardID], f.ID)
		return nil
	})}})
	err := r.Run(t.Context(), sourceFunc(func(ctx context.Context, submit func(context.Context, *Batch) error) error {
		var wg sync.WaitGroup
		var failed atomic.Int32
		for s := range shards {
			wg.Go(func() {
				var all batches
				for i := range each {
					b := batch(userEvent, zipped(logged(withID(rootEvent, fmt.Sprintf("%d-%03d", s, i)), userEvent)))
					b.ShardID = fmt.Sprint("shard-", s)
					all = append(all, b)
				}
				if all.Run(ctx, submit) != nil {
					failed.Add(1)
				}
			})
		}
		wg.Wait()
		if failed.Load() > 0 {
			return errors.New("a shard was not finished")
		}
		return nil
	}))
	if err != nil {
		t.Fatal(err)
	}
	for s, ids := range bySource {
		if len(ids) != each || !slices.IsSorted(ids) {
			t.Errorf("%s: %d findings, in order: %v", s, len(ids), slices.IsSorted(ids))
		}
	}
	if diff := cmp.Diff(map[string]int{"root": shards * each, "not_root": 2 * shards * each}, r.events()); diff != "" {
		t.Errorf("events (-want +got):\n%s", diff)
	}
	if n := testutil.ToFloat64(r.emit.metrics.records); n != 2*shards*each {
		t.Errorf("%v records, want %d", n, 2*shards*each)
	}
}
