package pipeline

import (
	"context"
	"fmt"
	"log/slog"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"rootwatch/pipeline/envelope"
)

// crowd is a record with so many small root calls, gzipped into very little.
func crowd(from, n int) string {
	events := make([]string, n)
	for i := range events {
		events[i] = fmt.Sprintf(`{"eventSource":"iam.amazonaws.com","eventName":"CreateUser","eventID":"e%07d","userIdentity":{"type":"Root","accessKeyId":"AKIAX"}}`, from+i)
	}
	return zipped(inFile(events...))
}

func TestALargeBatchGoesInPartsAndIsDoneOnce(t *testing.T) {
	sink, done := new(kept), 0
	r := newRig(t, Config{DecodeWorkers: 3, InOrder: true, Sinks: []Sink{sink}})
	const n = 2*partEvents + 100
	var all batches
	for i := range 4 {
		b := batch(userEvent, crowd(i*n, n), "broken", crowd(i*n, 10))
		b.Done = func(o Outcome) {
			done++
			if len(sink.ids) != done*n {
				t.Errorf("batch %d is done after %d calls, want %d", done, len(sink.ids), done*n)
			}
			want := map[string]int{"root": n, "duplicate": 10, "not_root": 1, "undecodable": 1}
			if diff := cmp.Diff(want, named(o.Events)); diff != "" {
				t.Errorf("what has become of the batch (-want +got):\n%s", diff)
			}
			if len(o.Broken) != 1 || o.Broken[0].Record != 2 {
				t.Errorf("broken: %v", o.Broken)
			}
		}
		all = append(all, b)
	}
	if err := r.Run(t.Context(), all); err != nil {
		t.Fatal(err)
	}
	for i, id := range sink.ids {
		if want := fmt.Sprintf("e%07d", i); id != want {
			t.Fatalf("call %d is %s, want %s", i, id, want)
		}
	}
	want := map[string]int{"root": 4 * n, "duplicate": 40, "not_root": 4, "undecodable": 4}
	if diff := cmp.Diff(want, r.events()); diff != "" || done != 4 {
		t.Errorf("%d batches are done; events (-want +got):\n%s", done, diff)
	}
	if n := r.series("rootwatch_records_total")[""]; n != 16 {
		t.Errorf("%v records are counted, want 16", n)
	}
}

func TestABatchIsLeftBetweenItsParts(t *testing.T) {
	var abandoned atomic.Bool
	told := 0
	r := newRig(t, Config{Sinks: []Sink{sinkFunc(func(context.Context, *Finding) error { told++; abandoned.Store(true); return nil })}})
	b := batch(crowd(0, 5*partEvents))
	b.Abandoned = abandoned.Load
	if err := r.Run(t.Context(), batches{b}); err != nil { // it waits until the batch is given back
		t.Fatal(err)
	}
	if told == 0 || told >= partEvents || r.events()["root"] != told || r.series("rootwatch_records_total")[""] != 0 {
		t.Errorf("%d calls are told, %v are counted; want those alone that were under way", told, r.events())
	}
}

// A source's deadline comes while decode waits for room.
func TestABatchInPartsIsCutShort(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, Config{DecodeWorkers: 2, Sinks: []Sink{sinkFunc(func(ctx context.Context, _ *Finding) error { <-ctx.Done(); return ctx.Err() })}})
		err := r.Run(t.Context(), sourceFunc(func(ctx context.Context, submit func(context.Context, *Batch) error) error {
			for i := range 2 {
				b := batch(crowd(i, 20*partEvents))
				b.Done = func(Outcome) { t.Error("a batch is done that was never told") }
				if err := submit(ctx, b); err != nil {
					return err
				}
			}
			time.Sleep(time.Minute)
			return nil
		}))
		if err != nil || len(r.events()) != 0 {
			t.Errorf("error %v, counted %v; want nothing", err, r.events())
		}
	})
}

// liveMemory is what is reachable.
func liveMemory() int {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int(m.HeapAlloc)
}

// What somebody packs into a few hundred KB must not end the process: the batch would be read
// again, and end the next one.
func TestManyRootCallsInABatchAreNotHeldAtOnce(t *testing.T) {
	record := crowd(0, 20_000)
	before, most, n := liveMemory(), 0, 0
	quiet := slog.New(slog.DiscardHandler)
	r := newRig(t, Config{DedupSize: 10, Logger: quiet, DecodeWorkers: 2, Sinks: []Sink{sinkFunc(func(context.Context, *Finding) error {
		if n++; n%10_000 == 0 {
			most = max(most, liveMemory()-before)
		}
		return nil
	})}})
	if err := r.Run(t.Context(), batches{batch(record, record), batch(record)}); err != nil {
		t.Fatal(err)
	}
	if most > 48<<20 || most == 0 {
		t.Errorf("%d MB were held for %d calls, want a part of them at a time", most>>20, n)
	}
}

// Texts that do not fit into a kept buffer are expanded one at a time, those in front first, and
// nobody waits for ever.
func TestOneLargeTextIsExpandedAtATime(t *testing.T) {
	bomb := zipped(strings.Repeat(" ", 40<<20))
	cfg := &Config{Logger: slog.New(slog.DiscardHandler)}
	cfg.setDefaults()
	d := newDecoder(cfg)
	ctx, stop := context.WithCancel(t.Context())
	var running sync.WaitGroup
	defer running.Wait()
	defer stop()
	in := make(chan *Batch)
	out := parallel(ctx, &running, 4, stageFunc(func(ctx context.Context, b *work) error {
		err := d.process(ctx, b)
		select {
		case <-b.slot.first:
		default:
			t.Error("a large text was expanded before its batch's turn")
		}
		return err
	}), in)
	running.Go(func() {
		for range 3 {
			send(ctx, in, batch(bomb, crowd(0, 3*partEvents), bomb))
		}
	})
	for range 3 {
		roots := 0
		for part := range each(ctx, out) {
			roots += len(part.events)
			if part.whole == nil {
				if part.outcome.Events[ResultUndecodable] != 2 {
					t.Errorf("%d texts are broken, want 2", part.outcome.Events[ResultUndecodable])
				}
				break
			}
		}
		if roots != 3*partEvents {
			t.Errorf("%d root calls, want %d", roots, 3*partEvents)
		}
	}
}

func TestALargeTextWaitsForItsTurn(t *testing.T) {
	large := zipped(strings.Repeat(" ", envelope.KeptBytes))
	for name, tt := range map[string]struct {
		data               string
		alone, turn, waits bool
	}{
		"a large one":                  {data: large, waits: true},
		"a small one":                  {data: zipped(userEvent)},
		"a large one whose turn it is": {data: large, turn: true},
		"one that is alone":            {data: large, alone: true},
	} {
		synctest.Test(t, func(t *testing.T) {
			cfg := &Config{Logger: slog.New(slog.DiscardHandler)}
			cfg.setDefaults()
			ctx, stop := context.WithCancel(t.Context())
			b, done := &work{Batch: batch(tt.data)}, false
			if !tt.alone {
				b.slot = &slot{first: make(chan struct{})}
			}
			if tt.turn {
				close(b.slot.first)
			}
			go func() {
				_ = newDecoder(cfg).process(ctx, b)
				done = true
			}()
			synctest.Wait()
			if done == tt.waits {
				t.Errorf("%s: waits %v, want %v", name, !done, tt.waits)
			}
			stop()
			synctest.Wait()
			if !done || tt.waits && b.outcome.Events != (Counts{}) {
				t.Errorf("%s: done %v, counted %v after the batch was cut short", name, done, b.outcome.Events)
			}
		})
	}
}
