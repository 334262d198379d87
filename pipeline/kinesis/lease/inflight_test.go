package lease

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"testing"
	"testing/synctest"
	"time"
)

// In whatever order batches are handed on and acknowledged, some of them twice: the position is
// that of the last batch below which all are acknowledged, it never goes back, and the queue is
// empty when all are.
func TestTheFinishedPositionIsTheLastBelowWhichAllIsAcknowledged(t *testing.T) {
	const queues, steps = 2000, 60
	for seed := range uint64(queues) {
		dice := rand.New(rand.NewPCG(seed, 5))
		var q inFlight
		var acknowledge []func()
		var done []bool
		before := 0
		check := func() {
			t.Helper()
			want := 0
			for want < len(done) && done[want] {
				want++
			}
			got, readTo := q.position(), q.finishedUpTo()
			if want == 0 && got != (Position{}) || want > 0 && got.SequenceNumber != at(want).SequenceNumber {
				t.Fatalf("queue %d: finished up to %q, want %d of %d", seed, got.SequenceNumber, want, len(done))
			}
			if want < before {
				t.Fatalf("queue %d: the position went back from %d to %d", seed, before, want)
			}
			if want > 0 && !readTo.Equal(time.Unix(int64(want), 0)) {
				t.Fatalf("queue %d: read up to %s, want %d", seed, readTo, want)
			}
			before = want
		}
		for range steps {
			if len(done) == 0 || dice.IntN(2) == 0 {
				p := at(len(done) + 1)
				p.ReadTo = p.Arrival
				acknowledge, done = append(acknowledge, q.add(p)), append(done, false)
			} else {
				i := dice.IntN(len(done))
				acknowledge[i]()
				done[i] = true
			}
			check()
		}
		for _, i := range dice.Perm(len(done)) {
			acknowledge[i]()
			done[i] = true
			check()
		}
		if err := q.wait(t.Context()); err != nil || len(q.batches) != 0 {
			t.Fatalf("queue %d: %d batches are left: %v", seed, len(q.batches), err)
		}
	}
	t.Logf("%d queues of up to %d batches", queues, steps)
}

func TestWaitingForTheQueueEndsWhenItIsEmptyOrItsContextEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var q inFlight
		ctx, end := context.WithCancelCause(t.Context())
		if err := q.wait(ctx); err != nil {
			t.Errorf("with nothing in flight: %v", err)
		}
		first, second := q.add(at(1)), q.add(at(2))
		waited := make(chan error, 2)
		for range 2 {
			go func() { waited <- q.wait(ctx) }()
		}
		second()
		synctest.Wait()
		if len(waited) > 0 {
			t.Error("the wait is over with a batch in flight")
		}
		first()
		for range 2 {
			if err := <-waited; err != nil {
				t.Error(err)
			}
		}
		q.add(at(3))
		go func() { waited <- q.wait(ctx) }()
		synctest.Wait()
		end(ErrCut)
		if err := <-waited; !errors.Is(err, ErrCut) {
			t.Errorf("the wait was ended by %v", err)
		}
		var none inFlight
		if err := none.wait(ctx); !errors.Is(err, ErrCut) {
			t.Errorf("with nothing in flight and the lease over: %v", err)
		}
	})
}

func TestHavingCaughtUpCountsWhenWhatIsInFlightIsFinished(t *testing.T) {
	var q inFlight
	q.caughtUp(time.Unix(5, 0))
	done := q.add(at(6))
	q.caughtUp(time.Unix(9, 0))
	if readTo := q.finishedUpTo(); !readTo.Equal(time.Unix(5, 0)) {
		t.Errorf("read up to %s with a batch in flight", readTo)
	}
	done()
	if readTo := q.finishedUpTo(); !readTo.Equal(time.Unix(9, 0)) {
		t.Errorf("read up to %s", readTo)
	}
	q.caughtUp(time.Unix(7, 0))
	if readTo := q.finishedUpTo(); !readTo.Equal(time.Unix(9, 0)) {
		t.Errorf("read up to %s: it has gone back", readTo)
	}
}

func at(n int) Position {
	return Position{SequenceNumber: fmt.Sprintf("%04d", n), Arrival: time.Unix(int64(n), 0)}
}
