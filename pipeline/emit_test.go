package pipeline

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"rootwatch/classify"
)

// flakyLedger is a ledger that a test can make fail.
type flakyLedger struct {
	seen   func(f *Finding) bool
	record func(f *Finding) (Recorded, error)
}

func (l *flakyLedger) Seen(f *Finding) bool { return l.seen != nil && l.seen(f) }

func (l *flakyLedger) Settle(context.Context, *Finding) error { return nil }

func (l *flakyLedger) Record(_ context.Context, f *Finding) (Recorded, error) { return l.record(f) }

// failing is a sink that fails so many times before it takes anything.
type failing struct {
	times    int
	panics   bool
	attempts int
	at       []time.Duration
	start    time.Time
}

func (s *failing) Take(context.Context, *Finding) error {
	if s.attempts == 0 {
		s.start = time.Now()
	}
	s.attempts++
	s.at = append(s.at, time.Since(s.start))
	if s.attempts > s.times {
		return nil
	}
	if s.panics {
		panic("sink")
	}
	return errors.New("disk full")
}

func TestASinkIsTriedUntilItTakesTheCall(t *testing.T) {
	for _, panics := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			sink, after := &failing{times: 20, panics: panics}, new(kept)
			r := newRig(t, Config{Sinks: []Sink{sink, after}})
			if err := r.Run(t.Context(), batches{batch(rootEvent), batch(userEvent)}); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(map[string]int{"root": 1, "not_root": 1}, r.events()); diff != "" {
				t.Errorf("events (-want +got):\n%s", diff)
			}
			if sink.attempts != 21 || len(after.ids) != 1 {
				t.Errorf("%d attempts, then %d at the next sink; want 21 and 1", sink.attempts, len(after.ids))
			}
			last := len(sink.at) - 1
			if pause := sink.at[last] - sink.at[last-1]; sink.at[1] > time.Second || pause < 2*time.Second || pause > 10*time.Second {
				t.Errorf("first pause %v, last pause %v; want short, then some seconds", sink.at[1], pause)
			}
		})
	}
}

func TestALedgerIsTriedUntilItAnswers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ledger, asked := &flakyLedger{}, []*Finding{}
		ledger.record = func(f *Finding) (Recorded, error) {
			if asked = append(asked, f); len(asked) < 10 {
				return 0, errors.New("throttled")
			}
			return First, nil
		}
		sink := new(kept)
		r := newRig(t, Config{Ledger: ledger, Sinks: []Sink{sink}})
		done := false
		b := batch(rootEvent)
		b.Done = func(Outcome) { done = len(asked) == 10 }
		if err := r.Run(t.Context(), batches{b}); err != nil {
			t.Fatal(err)
		}
		if !done || r.events()["root"] != 1 || len(sink.ids) != 1 {
			t.Errorf("done %v, events %v, told %d times; want one call, told once, done after the ledger's answer", done, r.events(), len(sink.ids))
		}
		for _, f := range asked {
			if f != asked[0] {
				t.Error("the ledger was asked again with another finding")
			}
		}
	})
}

func TestACallThatTheSinkNeverTookIsNotRemembered(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ledger, err := NewMemoryLedger(10)
		if err != nil {
			t.Fatal(err)
		}
		broken := newRig(t, Config{Ledger: ledger, Sinks: []Sink{&failing{times: 1 << 30}}})
		err = broken.Run(t.Context(), sourceFunc(func(ctx context.Context, submit func(context.Context, *Batch) error) error {
			for range 2 { // the call and, while it is being told, its copy
				b := batch(rootEvent)
				b.Done = func(Outcome) { t.Error("a batch is done that was never told") }
				if err := submit(ctx, b); err != nil {
					return err
				}
			}
			time.Sleep(time.Hour)
			return nil
		}))
		if err != nil {
			t.Fatal(err)
		}
		if len(broken.events()) != 0 {
			t.Errorf("counted %v, want nothing", broken.events())
		}
		// The batch is read again, by the same process or another.
		sink := new(kept)
		working := newRig(t, Config{Ledger: ledger, Sinks: []Sink{sink}})
		if err := working.Run(t.Context(), batches{batch(rootEvent), batch(rootEvent)}); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(map[string]int{"root": 1, "duplicate": 1}, working.events()); diff != "" || len(sink.ids) != 1 {
			t.Errorf("told %d times; events (-want +got):\n%s", len(sink.ids), diff)
		}
	})
}

func TestACopyThatComesMeanwhileWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		open, told := make(chan struct{}), 0
		r := newRig(t, Config{Sinks: []Sink{sinkFunc(func(context.Context, *Finding) error { told++; <-open; return nil })}})
		finished := make(chan error)
		copyDone := false
		second := batch(viaEventBridge(rootEvent))
		second.ShardID, second.Done = "another shard", func(Outcome) { copyDone = true }
		go func() { finished <- r.Run(t.Context(), batches{batch(rootEvent), second}) }()
		synctest.Wait()
		if copyDone || len(r.events()) != 0 {
			t.Error("the copy is finished before its original is")
		}
		close(open)
		if err := <-finished; err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(map[string]int{"root": 1, "duplicate": 1}, r.events()); diff != "" || told != 1 {
			t.Errorf("told %d times; events (-want +got):\n%s", told, diff)
		}
	})
}

func TestAllIsCountedBeforeDone(t *testing.T) {
	r := newRig(t, Config{Sinks: []Sink{new(kept)}})
	b := batch(userEvent, "broken", `{}`)
	var events map[string]int
	b.Done = func(Outcome) { events = r.events() }
	if err := r.Run(t.Context(), batches{b}); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(map[string]int{"not_root": 1, "undecodable": 1, "not_cloudtrail": 1}, events); diff != "" {
		t.Errorf("events when Done was called (-want +got):\n%s", diff)
	}
}

func TestABatchThatMeetsTheEndIsNotDone(t *testing.T) {
	r := newRig(t, Config{Sinks: []Sink{new(kept)}})
	ctx, stop := context.WithCancel(t.Context())
	stop()
	b := &work{Batch: batch(userEvent)}
	b.outcome.Events[ResultNotRoot] = 1
	b.Done = func(Outcome) { t.Error("the batch is done though the pipeline has ended") }
	newEmission(r.emit).admit(ctx, b)
	if events := r.events(); len(events) != 0 {
		t.Errorf("counted %v, want nothing", events)
	}
}

func TestACallThatAnotherTaskHasWrittenDownIsADuplicate(t *testing.T) {
	ledger := &flakyLedger{record: func(*Finding) (Recorded, error) { return Copy, nil }}
	r := newRig(t, Config{Ledger: ledger, Sinks: []Sink{new(kept)}})
	if err := r.Run(t.Context(), batches{batch(rootEvent)}); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(map[string]int{"duplicate": 1}, r.events()); diff != "" {
		t.Errorf("events (-want +got):\n%s", diff)
	}
	for labels, n := range r.series("rootwatch_root_calls_total") {
		if n != 0 {
			t.Errorf("rootwatch_root_calls_total{%s} is %v", labels, n)
		}
	}
	if s := r.series("rootwatch_last_unpushed_root_call_timestamp_seconds"); len(s) != 0 {
		t.Errorf("the duplicate pages: %v", s)
	}
}

func TestUpdatesInEitherOrder(t *testing.T) {
	// The same call as CloudTrail first and later had it: a service by itself, and with the key of
	// a person.
	const service = `{"userIdentity":{"type":"Root","accountId":"111122223333","invokedBy":"autoscaling.amazonaws.com"},"eventType":"AwsApiCall",` +
		`"eventSource":"ec2.amazonaws.com","eventName":"RunInstances","sourceIPAddress":"autoscaling.amazonaws.com","eventID":"id-1"}`
	person := strings.Replace(service, `"invokedBy"`, `"accessKeyId":"AKIAIOSFODNN7EXAMPLE","invokedBy"`, 1)
	update := func(event string) string {
		return strings.Replace(event, `"eventID":"id-1"`, `"eventID":"id-2","addendum":{"reason":"UPDATED_DATA","originalEventID":"id-1"}`, 1)
	}
	failed := `{"userIdentity":{"type":"Root","accountId":"111122223333"},"eventType":"AwsConsoleSignIn","eventSource":"signin.amazonaws.com",` +
		`"eventName":"ConsoleLogin","errorMessage":"Failed authentication","eventID":"id-1"}`
	success := strings.Replace(failed, `"errorMessage":"Failed authentication"`, `"responseElements":{"ConsoleLogin":"Success"}`, 1)
	renamed := strings.Replace(person, `"RunInstances"`, `"StartInstances"`, 1)
	noARN := strings.Replace(failed, `"type":"Root"`, `"type":"Root","arn":""`, 1)
	for _, tt := range []struct {
		name   string
		events []string
		told   int
		paged  []classify.Severity
	}{
		{"an update that changes nothing", []string{person, update(person)}, 1, []classify.Severity{"critical"}},
		{"an update that changes nothing, before its original", []string{update(person), person}, 1, []classify.Severity{"critical"}},
		{"an update that shows a person", []string{service, update(person)}, 2, []classify.Severity{"critical"}},
		{"an update that shows a person, and its copies", []string{service, update(person), update(person), person, service}, 2, []classify.Severity{"critical"}},
		{"an update that shows a person, before its original", []string{update(person), service}, 1, []classify.Severity{"critical"}},
		{"an update that shows a service", []string{person, update(service)}, 1, []classify.Severity{"critical"}},
		{"an update that shows a service, before its original", []string{update(service), person}, 2, []classify.Severity{"critical"}},
		{"an update alone", []string{update(person)}, 1, []classify.Severity{"critical"}},
		{"an update that makes a success of a failed sign-in", []string{failed, update(success)}, 2, []classify.Severity{"high", "medium"}},
		{"an update that makes a failure of a sign-in", []string{success, update(failed)}, 1, []classify.Severity{"high"}},
		{"an update that names the account's root", []string{noARN, update(failed)}, 2, []classify.Severity{"low", "medium"}},
		{"a delivery without an addendum that is worse", []string{failed, success}, 2, []classify.Severity{"high", "medium"}},
		{"an update under another name", []string{person, update(renamed)}, 1, []classify.Severity{"critical"}},
		{"an update under another name, before its original", []string{update(renamed), person}, 1, []classify.Severity{"critical"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			sink := new(kept)
			r := newRig(t, Config{Sinks: []Sink{sink}})
			if err := r.Run(t.Context(), batches{batch(tt.events...)}); err != nil {
				t.Fatal(err)
			}
			if got := r.events(); got["root"] != 1 || got["root"]+got["duplicate"] != len(tt.events) || len(sink.ids) != tt.told {
				t.Errorf("told %d times, events %v; want %d, one root call and the others duplicates", len(sink.ids), got, tt.told)
			}
			var paged []classify.Severity
			for labels := range r.series("rootwatch_last_unpushed_root_call_timestamp_seconds") {
				for _, severity := range classify.Severities() {
					if strings.Contains(labels, string(severity)) {
						paged = append(paged, severity)
					}
				}
			}
			slices.Sort(paged)
			if !slices.Equal(paged, tt.paged) {
				t.Errorf("the paging series are %v, want %v", paged, tt.paged)
			}
		})
	}
}

// Sanitised logs and documentation repeat ids: what differs in time, service, name or account is
// another call.
func TestDifferentCallsOfOneIDAreAllTold(t *testing.T) {
	const call = `{"userIdentity":{"type":"Root","accountId":"111122223333"},"eventTime":"2026-11-02T08:00:00Z",` +
		`"eventSource":"iam.amazonaws.com","eventName":"ListUsers","eventID":"redacted"}`
	events := []string{
		call,
		strings.Replace(call, "08:00:00Z", "08:00:01Z", 1),
		strings.Replace(call, "iam.", "s3.", 1),
		strings.Replace(call, "ListUsers", "ListRoles", 1),
		strings.Replace(call, "111122223333", "444455556666", 1),
	}
	for name, at := range map[string]func(...string) batches{
		"in one batch": func(events ...string) batches { return batches{batch(events...)} },
		"in a batch each": func(events ...string) (list batches) {
			for _, e := range events {
				list = append(list, batch(e))
			}
			return list
		},
		"the other way": func(events ...string) batches { slices.Reverse(events); return batches{batch(events...)} },
	} {
		t.Run(name, func(t *testing.T) {
			sink, copies := new(kept), 0
			r := newRig(t, Config{Sinks: []Sink{sink}, Copy: func(*Finding) { copies++ }})
			if err := r.Run(t.Context(), at(slices.Concat(events, events)...)); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(map[string]int{"root": 5, "duplicate": 5}, r.events()); diff != "" || len(sink.ids) != 5 || copies != 5 {
				t.Errorf("told %d times, %d copies; events (-want +got):\n%s", len(sink.ids), copies, diff)
			}
		})
	}
}

func TestTheMemoryLedgerIsBounded(t *testing.T) {
	l, err := NewMemoryLedger(2)
	if err != nil {
		t.Fatal(err)
	}
	record := func(id string) bool {
		outcome, err := l.Record(t.Context(), &Finding{ID: id, Event: &classify.Event{}})
		if err != nil {
			t.Fatal(err)
		}
		return outcome == First
	}
	seen := func(id string) bool { return l.Seen(&Finding{ID: id, Event: &classify.Event{}}) }
	if !record("a") || !record("b") || record("a") || !record("c") {
		t.Error("a known call is first, or a new one is not")
	}
	if seen("b") || !seen("a") || !seen("c") {
		t.Error("it should have forgotten b, which it has not met for the longest time")
	}
	if _, err := NewMemoryLedger(0); err == nil {
		t.Error("a ledger for no calls: no error")
	}
}

// The next owner of the shard reads it again: to tell it here too would tell it twice.
func TestAnAbandonedBatchIsLeft(t *testing.T) {
	sink := new(kept)
	r := newRig(t, Config{Sinks: []Sink{sink}})
	given, taken := batch(rootEvent, userEvent), batch(withID(rootEvent, "root-2"))
	given.Abandoned = func() bool { return true }
	taken.Abandoned = func() bool { return false }
	if err := r.Run(t.Context(), batches{given, taken}); err != nil { // it waits for both to be done
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"root-2"}, sink.ids); diff != "" {
		t.Errorf("told (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(map[string]int{"root": 1}, r.events()); diff != "" {
		t.Errorf("events (-want +got):\n%s", diff)
	}
}

// A stage that never ends must not take the program's end with it.
func TestRunEndsThoughASinkHangs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		open, deadline := make(chan struct{}), errors.New("the source's deadline")
		r := newRig(t, Config{Sinks: []Sink{sinkFunc(func(context.Context, *Finding) error { <-open; return nil })}})
		start := time.Now()
		err := r.Run(t.Context(), sourceFunc(func(ctx context.Context, submit func(context.Context, *Batch) error) error {
			if err := submit(ctx, batch(rootEvent)); err != nil {
				return err
			}
			time.Sleep(time.Minute)
			return deadline
		}))
		if !errors.Is(err, errHangs) || !errors.Is(err, deadline) || time.Since(start) != time.Minute+stopTimeout {
			t.Errorf("error %v after %v, want the source's and that a sink hangs", err, time.Since(start))
		}
		close(open)
	})
}

// Each root call waits for its own answer of the ledger, and a burst of them must not ask for more
// than it can bear.
func TestTheLedgerIsAskedForAFewCallsAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var mu sync.Mutex
		asking, most := 0, 0
		ledger := &flakyLedger{record: func(*Finding) (Recorded, error) {
			mu.Lock()
			asking++
			most = max(most, asking)
			mu.Unlock()
			time.Sleep(time.Second)
			mu.Lock()
			asking--
			mu.Unlock()
			return First, nil
		}}
		r := newRig(t, Config{Ledger: ledger, Sinks: []Sink{new(kept)}})
		if err := r.Run(t.Context(), batches{batch(inFile(distinct(2500)...))}); err != nil {
			t.Fatal(err)
		}
		if most != recordsAtOnce {
			t.Errorf("%d calls were written down at once, want %d", most, recordsAtOnce)
		}
	})
}

// A batch that is larger than all that emit may hold comes in parts, and the first must not wait
// for the last.
func TestABatchThatIsLargerThanEmitMayHoldIsDone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, Config{Sinks: []Sink{new(kept)}})
		const n = maxCalls + 3*partEvents
		b, done := batch(distinct(n)...), false
		b.Done = func(Outcome) { done = true }
		err := r.Run(t.Context(), sourceFunc(func(ctx context.Context, submit func(context.Context, *Batch) error) error {
			err := submit(ctx, b)
			time.Sleep(time.Minute)
			return err
		}))
		if counted := r.events()["root"]; err != nil || !done || counted != n {
			t.Errorf("error %v, done %v, %d root calls of %d", err, done, counted, n)
		}
	})
}

func TestTheMomentOfCountingHasWholeMilliseconds(t *testing.T) {
	var counted []time.Time
	ledger := &flakyLedger{record: func(f *Finding) (Recorded, error) { counted = append(counted, f.Counted); return First, nil }}
	now := time.Unix(1_790_000_000, 123_456_789)
	r := newRig(t, Config{Ledger: ledger, Now: func() time.Time { return now }, Sinks: []Sink{new(kept)}})
	if err := r.Run(t.Context(), batches{batch(rootEvent)}); err != nil {
		t.Fatal(err)
	}
	want := time.Unix(1_790_000_000, 123_000_000)
	if len(counted) != 1 || !counted[0].Equal(want) {
		t.Errorf("counted at %v, want %v", counted, want)
	}
	for series, at := range r.series("rootwatch_last_unpushed_root_call_timestamp_seconds") {
		if at != unixSeconds(want) {
			t.Errorf("%s shows %v, want %v", series, at, unixSeconds(want))
		}
	}
}

// Whenever the end comes, what is done has been written down, and as much is counted as was.
func TestWhatIsDoneWasWrittenDownWheneverTheEndComes(t *testing.T) {
	for i := range 10 {
		synctest.Test(t, func(t *testing.T) {
			rng := rand.New(rand.NewPCG(uint64(i), 1))
			var mu sync.Mutex // guards what follows, and rng
			recorded := map[string]bool{}
			ledger := &flakyLedger{record: func(f *Finding) (Recorded, error) {
				mu.Lock()
				defer mu.Unlock()
				if rng.IntN(10) == 0 {
					return 0, errors.New("throttled")
				}
				recorded[f.ID] = true
				return First, nil
			}}
			r := newRig(t, Config{Ledger: ledger, DecodeWorkers: 3, Sinks: []Sink{new(kept)}})
			ctx, stop := context.WithTimeout(t.Context(), time.Duration(rng.IntN(3000))*time.Millisecond)
			defer stop()
			err := r.Run(ctx, sourceFunc(func(ctx context.Context, submit func(context.Context, *Batch) error) error {
				var shards sync.WaitGroup
				for shard := range 4 {
					shards.Go(func() {
						for n := 0; ctx.Err() == nil; n++ {
							id := fmt.Sprintf("%d-%d", shard, n)
							b := batch(withID(rootEvent, id), userEvent)
							b.Done = func(Outcome) {
								mu.Lock()
								defer mu.Unlock()
								if !recorded[id] {
									t.Errorf("%s is done and not written down", id)
								}
							}
							if submit(ctx, b) != nil {
								return
							}
							time.Sleep(5 * time.Millisecond)
						}
					})
				}
				shards.Wait()
				return nil
			}))
			if n := r.events()["root"]; err != nil || n != len(recorded) {
				t.Errorf("error %v; %d calls are counted, %d written down", err, n, len(recorded))
			}
		})
	}
}
