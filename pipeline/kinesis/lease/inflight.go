package lease

import (
	"context"
	"slices"
	"sync"
	"time"
)

// Position is a place in a shard, with the arrival of the record there.
type Position struct {
	SequenceNumber string
	Arrival        time.Time
	ReadTo         time.Time // everything that had arrived by then lies before it; zero if that is not known
}

// time is the arrival as the lease table has it, "" if it is not known.
func (p Position) time() string { return Stamp(p.Arrival) }

// inFlight are the batches that were handed to the pipeline and are not finished, in the order of
// the shard. They are acknowledged in any order. What counts is the last position below which all
// is acknowledged: it never goes back, and never passes a batch that is not finished.
type inFlight struct {
	mu       sync.Mutex
	batches  []*handed
	finished Position      // everything up to here is acknowledged
	readTo   time.Time     // everything that had arrived by then is finished; zero if that is not known
	empty    chan struct{} // closed when batches gets empty; nil while nobody waits for it
}

// handed is one batch in flight: when it is done, everything up to last is finished, once all
// before it is.
type handed struct {
	last  Position
	since time.Time // when it was handed to the pipeline
	done  bool
}

// add enters a batch that ends at last, and returns what acknowledges it. It is called in the order
// of the shard, before the batch is handed on.
func (q *inFlight) add(last Position) (acknowledge func()) {
	b := &handed{last: last, since: time.Now()}
	q.mu.Lock()
	defer q.mu.Unlock()
	q.batches = append(q.batches, b)
	return func() { q.acknowledge(b) }
}

func (q *inFlight) acknowledge(b *handed) {
	q.mu.Lock()
	defer q.mu.Unlock()
	b.done = true
	n := 0
	for n < len(q.batches) && q.batches[n].done {
		q.finished = q.batches[n].last
		q.readTo = later(q.readTo, q.finished.ReadTo)
		n++
	}
	q.batches = slices.Delete(q.batches, 0, n)
	if len(q.batches) == 0 && q.empty != nil {
		close(q.empty)
		q.empty = nil
	}
}

// caughtUp notes that nothing more had arrived by then than what was handed on.
func (q *inFlight) caughtUp(at time.Time) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if n := len(q.batches); n > 0 {
		q.batches[n-1].last.ReadTo = at
		return
	}
	q.readTo = later(q.readTo, at)
}

// waiting is how long the oldest batch that is not finished has been in the pipeline, 0 if there is
// none.
func (q *inFlight) waiting() time.Duration {
	q.mu.Lock()
	defer q.mu.Unlock()
	if len(q.batches) == 0 {
		return 0
	}
	return time.Since(q.batches[0].since)
}

// position is that up to which all is finished.
func (q *inFlight) position() Position {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.finished
}

// finishedUpTo is the time by which everything that had arrived is finished, zero if it is not
// known.
func (q *inFlight) finishedUpTo() time.Time {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.readTo
}

// wait waits until everything handed on is finished. It fails when ctx has ended, also if nothing
// is in flight: what was fetched last may then never have been handed on, and nothing may be taken
// for finished.
func (q *inFlight) wait(ctx context.Context) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	q.mu.Lock()
	if len(q.batches) == 0 {
		q.mu.Unlock()
		return nil
	}
	if q.empty == nil {
		q.empty = make(chan struct{})
	}
	empty := q.empty
	q.mu.Unlock()
	select {
	case <-empty:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
