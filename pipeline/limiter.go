package pipeline

import (
	"context"
	"sync"
)

// limiter bounds how many calls to the ledger are under way, by additive increase and
// multiplicative decrease: each round of successes allows one more, each failure halves the bound,
// at most once a round. So a table that throttles is asked less, and one that answers is asked
// more, without a setting.
type limiter struct {
	least, most int

	mu      sync.Mutex
	limit   float64
	busy    int
	waiting []chan struct{} // in order
	rest    int             // answers until the next failure halves the bound again
}

func newLimiter(least, start, most int) *limiter {
	return &limiter{least: least, most: most, limit: float64(start)}
}

// acquire waits for a turn; it fails when ctx ends first.
func (l *limiter) acquire(ctx context.Context) error {
	l.mu.Lock()
	if l.busy < int(l.limit) && len(l.waiting) == 0 {
		l.busy++
		l.mu.Unlock()
		return nil
	}
	turn := make(chan struct{})
	l.waiting = append(l.waiting, turn)
	l.mu.Unlock()
	select {
	case <-turn:
		return nil
	case <-ctx.Done():
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	for i, w := range l.waiting {
		if w == turn {
			l.waiting = append(l.waiting[:i], l.waiting[i+1:]...)
			return ctx.Err()
		}
	}
	l.release() // the turn came at the same moment
	return ctx.Err()
}

// answered gives a turn back, and adjusts the bound to how the call ended.
func (l *limiter) answered(ok bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.rest > 0 {
		l.rest--
	}
	switch {
	case ok:
		l.limit = min(l.limit+1/l.limit, float64(l.most))
	case l.rest == 0:
		l.limit = max(l.limit/2, float64(l.least))
		l.rest = l.busy
	}
	l.release()
}

// release lets the next ones in. l.mu is held.
func (l *limiter) release() {
	l.busy--
	for len(l.waiting) > 0 && l.busy < int(l.limit) {
		close(l.waiting[0])
		l.waiting = l.waiting[1:]
		l.busy++
	}
}
