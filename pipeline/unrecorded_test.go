package pipeline

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus/testutil"
)

// A call that was judged pages without the ledger or a sink, once: what is recorded when they are
// back is what was shown.
func TestACallPagesThoughItIsNotRecorded(t *testing.T) {
	const paging = "rootwatch_last_unpushed_root_call_timestamp_seconds"
	for _, tt := range []struct {
		name         string
		sink, ledger bool // which of them fails
		after        time.Duration
	}{
		{"the ledger fails for a minute", false, true, time.Minute},
		{"the ledger fails for more than a day", false, true, 30 * time.Hour},
		{"the log fails", true, false, time.Hour},
		{"both fail", true, true, time.Hour},
		{"nothing fails for long", true, true, 2 * time.Second},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				start := time.Now()
				fails := func(does bool) bool { return does && time.Since(start) < tt.after }
				var recorded time.Time
				ledger := &flakyLedger{record: func(f *Finding) (Recorded, error) {
					if fails(tt.ledger) {
						return 0, errors.New("access denied")
					}
					recorded = f.Counted
					return First, nil
				}}
				sink := sinkFunc(func(context.Context, *Finding) error {
					if fails(tt.sink) {
						return errors.New("no space left on device")
					}
					return nil
				})
				r := newRig(t, Config{Ledger: ledger, Sinks: []Sink{sink}})
				ended := make(chan error)
				go func() { ended <- r.Run(t.Context(), batches{batch(rootEvent)}) }()
				time.Sleep(defaultPageAfter + time.Second)
				shown, early := r.series(paging), tt.after > defaultPageAfter
				if len(shown) != 1 {
					t.Errorf("%v is shown after %v", shown, time.Since(start))
				}
				if n := testutil.ToFloat64(r.emit.metrics.unrecorded); (n == 1) != early {
					t.Errorf("%v unrecorded calls after %v", n, time.Since(start))
				}
				if (r.Oldest() > 0) != early {
					t.Errorf("the oldest batch is %v old", r.Oldest())
				}
				if n := r.events()["root"]; (n == 0) != early {
					t.Errorf("%d calls are counted", n)
				}
				if err := <-ended; err != nil {
					t.Fatal(err)
				}
				if diff := cmp.Diff(shown, r.series(paging)); diff != "" {
					t.Errorf("it pages a second time (-before +after):\n%s", diff)
				}
				for _, at := range shown {
					if at != unixSeconds(recorded) {
						t.Errorf("%v was shown, %v is in the ledger", at, unixSeconds(recorded))
					}
				}
				if n := testutil.ToFloat64(r.emit.metrics.unrecorded); n != 0 || r.events()["root"] != 1 || r.Oldest() != 0 {
					t.Errorf("at the end %v unrecorded calls, events %v, oldest batch %v", n, r.events(), r.Oldest())
				}
				if n := testutil.ToFloat64(r.emit.metrics.sinkFailures); (n > 0) != tt.sink {
					t.Errorf("%v failures of the sink are counted", n)
				}
			})
		})
	}
}

// Copies that arrive while the ledger does not answer must not look like newer calls.
func TestACopyThatWaitsForItsOriginalDoesNotPageAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		ledger := &flakyLedger{record: func(*Finding) (Recorded, error) {
			if time.Since(start) < time.Hour {
				return 0, errors.New("access denied")
			}
			return First, nil
		}}
		ledger.seen = func(*Finding) bool { return time.Since(start) > time.Hour }
		r := newRig(t, Config{Ledger: ledger, Sinks: []Sink{new(kept)}})
		var first map[string]float64
		err := r.Run(t.Context(), sourceFunc(func(ctx context.Context, submit func(context.Context, *Batch) error) error {
			for i := range 20 {
				b := batch(rootEvent)
				b.ShardID = fmt.Sprint("shard ", i)
				if err := submit(ctx, b); err != nil {
					return err
				}
				time.Sleep(time.Minute)
				shown := r.series("rootwatch_last_unpushed_root_call_timestamp_seconds")
				if first == nil {
					first = shown
				}
				if diff := cmp.Diff(first, shown); diff != "" || len(first) != 1 {
					t.Errorf("after %d copies (-first +now):\n%s", i, diff)
				}
			}
			time.Sleep(time.Hour)
			return nil
		}))
		if err != nil || r.events()["root"] != 1 || r.events()["duplicate"] != 19 {
			t.Errorf("error %v, events %v", err, r.events())
		}
	})
}

// While the log hangs no copy is asked for: neither those of a call that pages nor those of one
// that was recorded before may look like newer calls. A correction that makes a call worse pages
// once, however often it comes.
func TestCopiesDoNotPageWhileASinkHangs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		reads := make(chan struct{}) // closed when somebody reads the log again
		var hangs atomic.Bool
		r := newRig(t, Config{Sinks: []Sink{sinkFunc(func(context.Context, *Finding) error {
			if hangs.Load() {
				<-reads
			}
			return nil
		})}})
		recorded := strings.ReplaceAll(withID(rootEvent, "recorded"), "111122223333", "444455556666")
		milder := strings.Replace(withID(rootEvent, "corrected"), `"accessKeyId":"AKIAIOSFODNN7EXAMPLE"`, `"accessKeyId":"ASIAIOSFODNN7EXAMPLE"`, 1)
		milder = strings.ReplaceAll(milder, "111122223333", "777788889999")
		worse := strings.Replace(milder, "ASIA", "AKIA", 1)
		err := r.Run(t.Context(), sourceFunc(func(ctx context.Context, submit func(context.Context, *Batch) error) error {
			round := func(records ...string) map[string]float64 {
				for _, record := range records {
					if err := submit(ctx, batch(record)); err != nil {
						t.Error(err)
					}
				}
				time.Sleep(time.Minute)
				return r.series("rootwatch_last_unpushed_root_call_timestamp_seconds")
			}
			round(recorded)
			hangs.Store(true)
			first := round(rootEvent, milder, worse)
			if len(first) != 4 {
				t.Errorf("four series are to page: %v", first)
			}
			for i := range 5 {
				if diff := cmp.Diff(first, round(recorded, rootEvent, worse, milder)); diff != "" {
					t.Errorf("after copy %d (-first +now):\n%s", i, diff)
				}
			}
			close(reads)
			time.Sleep(time.Minute)
			return nil
		}))
		if diff := cmp.Diff(map[string]int{"root": 3, "duplicate": 21}, r.events()); diff != "" || err != nil || len(r.emit.ages.batches) != 0 {
			t.Errorf("error %v, events (-want +got):\n%s", err, diff)
		}
		if n := testutil.ToFloat64(r.emit.metrics.unrecorded); n != 0 {
			t.Errorf("%v unrecorded calls at the end", n)
		}
	})
}

// What is shown is what the ledger keeps, also if it was asked before the call was shown and
// answers after that, or if the clock is set meanwhile. A moment in the future would be in the way
// of the calls until then, here and in the ledger.
func TestTheLedgerKeepsTheMomentThatWasShown(t *testing.T) {
	for _, tt := range []struct {
		name         string
		takes, fails time.Duration // the ledger
		set          time.Duration // how the clock is set after half a minute
		wrong        time.Duration // how far it is wrong before that
		giveWay      bool
	}{
		{name: "the first answer takes 12 s", takes: 12 * time.Second},
		{name: "each answer takes 12 s, and the first ones are failures", takes: 12 * time.Second, fails: time.Minute},
		{name: "a clock that is set forward", fails: time.Minute, set: time.Hour},
		{name: "a clock that was an hour behind", fails: time.Minute, wrong: -time.Hour},
		{name: "a clock that was an hour ahead", fails: time.Minute, wrong: time.Hour, giveWay: true},
		{name: "a clock that was a second ahead", fails: time.Minute, wrong: time.Second},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				start := time.Now()
				var recorded time.Time
				ledger := &flakyLedger{record: func(f *Finding) (Recorded, error) {
					recorded = f.Counted
					failed := time.Since(start) < tt.fails
					if time.Sleep(tt.takes); failed {
						return 0, errors.New("throttled")
					}
					return First, nil
				}}
				now := func() time.Time {
					if time.Since(start) < 30*time.Second {
						return time.Now().Add(tt.wrong)
					}
					return time.Now().Add(tt.set)
				}
				r := newRig(t, Config{Ledger: ledger, Sinks: []Sink{new(kept)}, Now: now})
				ended := make(chan error)
				go func() { ended <- r.Run(t.Context(), batches{batch(rootEvent)}) }()
				time.Sleep(defaultPageAfter + time.Second)
				shown := r.series("rootwatch_last_unpushed_root_call_timestamp_seconds")
				if err := <-ended; err != nil || len(shown) != 1 {
					t.Errorf("error %v, shown %v", err, shown)
				}
				at := r.series("rootwatch_last_unpushed_root_call_timestamp_seconds")
				if same := cmp.Equal(shown, at); same == tt.giveWay {
					t.Errorf("%v is shown first, %v at the end", shown, at)
				}
				for _, at := range at {
					if at != unixSeconds(recorded) || recorded.After(now()) {
						t.Errorf("%v is shown, %v in the ledger", at, unixSeconds(recorded))
					}
				}
			})
		})
	}
}

// What was cut short is read again: nothing of it is left in the metrics.
func TestNothingIsUnrecordedAfterTheRun(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ledger := &flakyLedger{record: func(*Finding) (Recorded, error) { return 0, errors.New("access denied") }}
		r := newRig(t, Config{Ledger: ledger, Sinks: []Sink{new(kept)}})
		err := r.Run(t.Context(), sourceFunc(func(ctx context.Context, submit func(context.Context, *Batch) error) error {
			err := submit(ctx, batch(distinct(3)...))
			time.Sleep(time.Minute)
			if n := testutil.ToFloat64(r.emit.metrics.unrecorded); n != 3 {
				t.Errorf("%v calls are unrecorded, want 3", n)
			}
			return err
		}))
		if n := testutil.ToFloat64(r.emit.metrics.unrecorded); err != nil || n != 0 || r.Oldest() != 0 {
			t.Errorf("error %v; %v calls are unrecorded after the run, the oldest batch is %v old", err, n, r.Oldest())
		}
	})
}

// While the ledger is gone a shard with a call that is not recorded has ever more batches waiting
// behind it. They must not keep the calls of other shards from paging, however long it takes, and
// must not hold their records.
func TestALedgerThatIsGoneForHoursSilencesNobody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		var judged, done atomic.Int32
		ledger := &flakyLedger{record: func(*Finding) (Recorded, error) {
			if time.Since(start) < 3*time.Hour {
				return 0, errors.New("access denied")
			}
			return First, nil
		}}
		r := newRig(t, Config{Ledger: ledger, Sinks: []Sink{new(kept)}, Logger: slog.New(slog.DiscardHandler)})
		err := r.Run(t.Context(), sourceFunc(func(ctx context.Context, submit func(context.Context, *Batch) error) error {
			send := func(shard, record string) {
				b := batch(record)
				b.ShardID, b.Judged, b.Done = shard, func() { judged.Add(1) }, func(Outcome) { done.Add(1) }
				if err := submit(ctx, b); err != nil {
					t.Error(err)
				}
			}
			send("stuck", rootEvent)
			for range 2 * 3600 {
				send("stuck", userEvent)
				time.Sleep(time.Second)
			}
			send("other", strings.ReplaceAll(withID(rootEvent, "other"), "111122223333", "444455556666"))
			time.Sleep(defaultPageAfter + time.Second)
			paging := r.series("rootwatch_last_unpushed_root_call_timestamp_seconds")
			if len(paging) != 2 || judged.Load() != 2*3600+2 || done.Load() != 0 {
				t.Errorf("after two hours %d batches are judged and %d done, and the paging series are %v", judged.Load(), done.Load(), paging)
			}
			time.Sleep(2 * time.Hour)
			return nil
		}))
		if err != nil || r.events()["root"] != 2 || done.Load() != 2*3600+2 || r.series("rootwatch_records_total")[""] != 2*3600+2 {
			t.Errorf("error %v, %d done, events %v", err, done.Load(), r.events())
		}
	})
}

// A burst in one account, and a ledger that takes its time: the call of another account does not
// wait for it.
func TestABurstDoesNotHoldUpAnotherAccount(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ledger := &flakyLedger{record: func(*Finding) (Recorded, error) { time.Sleep(5 * time.Millisecond); return First, nil }}
		r := newRig(t, Config{Ledger: ledger, Sinks: []Sink{new(kept)}})
		start, burst := time.Now(), distinct(10_000)
		other := strings.ReplaceAll(withID(rootEvent, "other"), "111122223333", "444455556666")
		var counted, all time.Duration
		err := r.Run(t.Context(), sourceFunc(func(ctx context.Context, submit func(context.Context, *Batch) error) error {
			var waiting sync.WaitGroup
			for i, records := range [][]string{burst[:5000], {other}, burst[5000:]} {
				b := batch(records...)
				b.ShardID = fmt.Sprint("shard ", i)
				waiting.Add(1)
				b.Done = func(Outcome) {
					if all = time.Since(start); i == 1 {
						counted = all
					}
					waiting.Done()
				}
				if err := submit(ctx, b); err != nil {
					return err
				}
			}
			waiting.Wait()
			return nil
		}))
		if err != nil || r.events()["root"] != 10_001 {
			t.Errorf("error %v, events %v", err, r.events())
		}
		if counted > 2*time.Second || all < 10_000/recordsAtOnce*5*time.Millisecond || all > 5*time.Second {
			t.Errorf("the other account's call took %v, all together %v", counted, all)
		}
	})
}

// A call that the ledger refuses for ever must not take the turns of the others.
func TestARefusedCallHoldsUpItsOwnShardAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ledger := &flakyLedger{record: func(f *Finding) (Recorded, error) {
			if strings.HasPrefix(f.ID, "refused") {
				return 0, errors.New("item refused")
			}
			return First, nil
		}}
		r := newRig(t, Config{Ledger: ledger, Sinks: []Sink{new(kept)}})
		done := map[string]int{}
		err := r.Run(t.Context(), sourceFunc(func(ctx context.Context, submit func(context.Context, *Batch) error) error {
			for i := range 300 {
				shard, record := "good", withID(rootEvent, fmt.Sprint("good-", i))
				if i%3 == 0 {
					shard, record = "bad", withID(rootEvent, fmt.Sprint("refused-", i))
				}
				b := batch(record)
				b.ShardID, b.Done = shard, func(Outcome) { done[shard]++ }
				if err := submit(ctx, b); err != nil {
					return err
				}
			}
			time.Sleep(time.Minute)
			return nil
		}))
		if err != nil || done["good"] != 200 || done["bad"] != 0 || r.events()["root"] != 200 {
			t.Errorf("error %v, done %v, events %v; want the good shard's 200", err, done, r.events())
		}
	})
}
