package pipeline

import (
	"cmp"
	"slices"
	"sync"
	"time"
)

// taker is what a root call is given to before it counts.
type taker string

const (
	sinks     taker = "a sink"
	theLedger taker = "the ledger"
)

// waits knows which calls are with a sink or the ledger, since when, and what the last try ended
// with.
type waits struct {
	mu    sync.Mutex // guards what follows
	under map[*wait]bool
}

type wait struct {
	taker taker
	since time.Time
	err   error // nil: no try has ended yet
}

func newWaits() *waits { return &waits{under: make(map[*wait]bool)} }

// begin notes a call. failed is to be told of each try that fails, and end of the end.
func (w *waits) begin(t taker) (failed func(error), end func()) {
	call := &wait{taker: t, since: time.Now()}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.under[call] = true
	return func(err error) {
			w.mu.Lock()
			defer w.mu.Unlock()
			call.err = err
		}, func() {
			w.mu.Lock()
			defer w.mu.Unlock()
			delete(w.under, call)
		}
}

// overdue is, for each taker that has not taken a call for longer than limit, the oldest of such
// calls.
func (w *waits) overdue(limit time.Duration) []wait {
	w.mu.Lock()
	defer w.mu.Unlock()
	oldest := make(map[taker]wait)
	for call := range w.under {
		if known, ok := oldest[call.taker]; time.Since(call.since) > limit && (!ok || call.since.Before(known.since)) {
			oldest[call.taker] = *call
		}
	}
	var all []wait
	for _, call := range oldest {
		all = append(all, call)
	}
	slices.SortFunc(all, func(a, b wait) int { return cmp.Compare(a.taker, b.taker) })
	return all
}
