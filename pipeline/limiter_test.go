package pipeline

import (
	"context"
	"errors"
	"math/rand/v2"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

func TestTheLimiterFollowsTheTable(t *testing.T) {
	l := newLimiter(2, 16, 64)
	answer := func(times int, ok bool) {
		for range times {
			if err := l.acquire(t.Context()); err != nil {
				t.Fatal(err)
			}
			l.answered(ok)
		}
	}
	answer(10_000, true)
	if l.limit != 64 {
		t.Errorf("the bound after 10,000 successes is %v, want 64", l.limit)
	}
	answer(1, false)
	if l.limit != 32 {
		t.Errorf("the bound after a failure is %v, want 32", l.limit)
	}
	answer(100, false)
	if l.limit != 2 {
		t.Errorf("the bound after 100 failures is %v, want 2", l.limit)
	}
	answer(200, true)
	if l.limit < 16 {
		t.Errorf("the bound has not come back after 200 successes: %v", l.limit)
	}
}

func TestARoundOfFailuresHalvesTheBoundOnce(t *testing.T) {
	l := newLimiter(1, 16, 64)
	for range 16 {
		if err := l.acquire(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	for range 16 {
		l.answered(false)
	}
	if l.limit != 8 {
		t.Errorf("the bound after 16 failures at once is %v, want 8", l.limit)
	}
}

func TestTheLimiterLosesNoTurn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLimiter(1, 4, 8)
		random := rand.New(rand.NewPCG(3, 4))
		var mu sync.Mutex // guards what follows
		busy, most, done, given := 0, 0, 0, 0
		var group sync.WaitGroup
		for range 500 {
			patience, work, ok := time.Duration(random.IntN(2000))*time.Millisecond, time.Duration(random.IntN(50))*time.Millisecond, random.IntN(5) > 0
			group.Go(func() {
				ctx, cancel := context.WithTimeout(t.Context(), patience)
				defer cancel()
				if err := l.acquire(ctx); err != nil {
					if !errors.Is(err, context.DeadlineExceeded) {
						t.Error(err)
					}
					mu.Lock()
					given++
					mu.Unlock()
					return
				}
				mu.Lock()
				busy++
				most = max(most, busy)
				mu.Unlock()
				time.Sleep(work)
				mu.Lock()
				busy--
				done++
				mu.Unlock()
				l.answered(ok)
			})
		}
		group.Wait()
		if most > 8 || done+given != 500 || done == 0 || given == 0 || l.busy != 0 || len(l.waiting) != 0 {
			t.Errorf("%d at once, %d done, %d gave up, %d busy and %d waiting at the end", most, done, given, l.busy, len(l.waiting))
		}
	})
}
