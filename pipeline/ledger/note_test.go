package ledger

import (
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"rootwatch/classify"
	"rootwatch/pipeline"
	"rootwatch/pipeline/awstest"
)

// direct is a ledger on a table without a network between, so that made-up time passes.
func direct(t *testing.T, service *awstest.Service) *Ledger {
	t.Helper()
	l := taskAt(t, service.Direct("a"), time.Now())
	l.cfg.Now = time.Now
	return l
}

func TestABurstIsNotedOnceAHalfSecond(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		service := awstest.New(awstest.Options{})
		l := direct(t, service)
		before := writes(service)
		start := time.Now()
		var group sync.WaitGroup
		for i := range 2000 { // in two seconds, in two series
			f := call(fmt.Sprint("call ", i), classify.Unexplained, []classify.Severity{classify.High, classify.Critical}[i%2])
			f.Counted = time.Now().Truncate(time.Millisecond)
			group.Go(func() {
				if outcome, err := try(t, l, f); err != nil || outcome == 0 {
					t.Errorf("%s: %v", f.ID, err)
				}
			})
			time.Sleep(time.Millisecond)
		}
		group.Wait()
		puts, notes := writes(service)["PutItem"]-before["PutItem"], writes(service)["UpdateItem"]-before["UpdateItem"]
		if puts != 2000 || notes < 8 || notes > 12 {
			t.Errorf("%d puts and %d notes, want 2000 and about 10", puts, notes)
		}
		newest, err := l.Newest(t.Context())
		if err != nil || len(newest) != 2 {
			t.Fatalf("%v, %v", newest, err)
		}
		for _, n := range newest {
			if age := start.Add(2 * time.Second).Sub(n.Counted); age > 5*time.Millisecond {
				t.Errorf("the newest %s call is %v too old", n.Severity, age)
			}
		}
		if len(l.writings) != 0 || len(l.notes) != 0 {
			t.Errorf("%d calls and %d notes are kept", len(l.writings), len(l.notes))
		}
	})
}

func TestTheFirstCallOfASeriesIsNotedAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := direct(t, awstest.New(awstest.Options{}))
		for i := range 5 {
			f := unexplained(fmt.Sprint("call ", i))
			f.AccountID, f.Counted = fmt.Sprintf("11112222333%d", i), time.Now()
			start := time.Now()
			if record(t, l, f); time.Since(start) > 0 {
				t.Errorf("account %d waited %v", i, time.Since(start))
			}
		}
	})
}

// A burst of accounts must not ask a slow table for thousands of notes at once.
func TestAFewSeriesAreNotedAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		service := awstest.New(awstest.Options{})
		l := direct(t, service)
		before, accounts := writes(service)["UpdateItem"], 5*notesAtOnce
		service.Inject(awstest.Fault{Service: "dynamodb", Operation: "UpdateItem", Effect: awstest.Slow, Delay: time.Second})
		var group sync.WaitGroup
		for i := range accounts {
			f := unexplained(fmt.Sprint("call ", i))
			f.AccountID, f.Counted = fmt.Sprintf("1111222%05d", i), time.Now()
			group.Go(func() {
				if _, err := try(t, l, f); err != nil {
					t.Error(err)
				}
			})
		}
		time.Sleep(500 * time.Millisecond)
		if n := writes(service)["UpdateItem"] - before; n != notesAtOnce {
			t.Errorf("%d notes are written at once, want %d", n, notesAtOnce)
		}
		group.Wait()
		if newest, err := l.Newest(t.Context()); err != nil || len(newest) != accounts {
			t.Errorf("%d accounts of %d are noted: %v", len(newest), accounts, err)
		}
	})
}

// The clock was an hour ahead when a call was recorded, and is set before the call is settled. Its
// moment must not hide that of the call which shares its note, and is of no use to whoever restores
// it.
func TestAMomentInTheFutureIsNotNoted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := direct(t, awstest.New(awstest.Options{}))
		at := func(id string, counted time.Time) *pipeline.Finding {
			f := unexplained(id)
			f.Counted = counted
			return f
		}
		record(t, l, at("noted at once", time.Now()))
		time.Sleep(100 * time.Millisecond)
		sharing := time.Now()
		var group sync.WaitGroup
		for _, f := range []*pipeline.Finding{at("ahead", time.Now().Add(time.Hour)), at("right", sharing)} {
			group.Go(func() { record(t, l, f) })
		}
		group.Wait()
		newest, err := l.Newest(t.Context())
		if err != nil || len(newest) != 1 || newest[0].Counted.Before(sharing) || newest[0].Counted.After(time.Now()) {
			t.Errorf("%v is restored after %v: %v", newest, sharing, err)
		}
	})
}

// Those who share a note must not take it for made if who makes it panics.
func TestANoteThatPanicsIsNotMade(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := direct(t, awstest.New(awstest.Options{}))
		table := l.cfg.DynamoDB
		of := seriesOf("111122223333", classify.High)
		at := time.Now().UnixMilli()
		l.noted[of] = time.Now()
		l.cfg.DynamoDB = nil
		go func() {
			defer func() { recover() }()
			_ = l.note(t.Context(), newestCall{of, at, at})
			t.Error("the note does not panic")
		}()
		synctest.Wait()
		if err := l.note(t.Context(), newestCall{of, at, at}); err == nil {
			t.Error("who shares the note takes it for made")
		}
		l.cfg.DynamoDB = table
		if err := l.note(t.Context(), newestCall{of, at, at}); err != nil {
			t.Error(err)
		}
		if newest, err := l.Newest(t.Context()); err != nil || len(newest) != 1 {
			t.Errorf("%v is noted: %v", newest, err)
		}
	})
}

// writes counts the calls of each operation.
func writes(service *awstest.Service) map[string]int {
	counts := make(map[string]int)
	for c, n := range service.Calls() {
		counts[strings.TrimPrefix(c.Action, "dynamodb:")] += n
	}
	return counts
}
