package pipeline

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"rootwatch/pipeline/retry"
)

// emitter is the last stage. For each finding, in this order: is it a copy; the sinks; the ledger;
// the counters and gauges of root calls. When all findings of a batch have come to their end, the
// batch's other counters, and then Done: whatever a source checkpoints has been told, written down
// and counted.
//
// Accounts take turns, so that a burst in one does not hold up the call in another, and calls are
// written down many at a time. A copy that comes while its original is under way waits for its end,
// and is judged by that. Batches of one shard are done in the order in which they came.
//
// A call that the sinks or the ledger do not take is not given up: it pages without them after a
// while (unrecorded.go), and its batch is not done before they have it.
//
// Of a batch that is cut short only the root calls that were finished are counted. It is read again
// later: its other events are counted then, and those root calls are duplicates.
type emitter struct {
	sinks     []Sink
	ledger    Ledger
	metrics   *metrics
	log       *slog.Logger
	now       func() time.Time
	onCopy    func(*Finding)
	inOrder   bool          // one call after the other, in the order in which they came
	pageAfter time.Duration // how long a call waits for sinks and ledger before it pages without them
	ages      *ages
	waits     *waits
}

// What emit holds at the most of what has not come to its end: beyond that the pipeline is full.
const (
	maxCalls          = 2048
	maxCallBytes      = 16 << 20 // of their events' texts
	maxBatches        = 100_000  // they are judged, and hold no records
	maxBatchesInOrder = 2
)

// recordsAtOnce is how many calls are written down at a time at the most, and how many at the
// start.
const (
	recordsAtOnce      = 64
	recordsAtOnceStart = 16
	recordsAtOnceLeast = 2
)

// emission is the emitter's work during one run.
type emission struct {
	*emitter
	limiter *limiter

	mu         sync.Mutex // guards what follows, the batches' members that emit alone uses, and judged's members
	changed    *sync.Cond // whatever somebody may wait for has changed, or ctx has ended
	toSinks    *fairQueue[string, *judged]
	toRecord   *fairQueue[string, *judged]
	busy       map[string]*judged // by id: told, or being told, and not at its end
	lanes      map[string][]*work // by shard: batches that are not done, in order
	held       struct{ calls, callBytes, batches int }
	unrecorded []*judged            // in the order in which they came, those at their end among them
	shown      map[string][]*judged // by id: those that page and are not at their end
}

// judged is one root call on its way to its end.
type judged struct {
	f      *Finding // nil at the end
	w      *work    // the batch
	size   int      // bytes of its record
	since  time.Time
	behind []*judged // those with the same id that wait for this one

	counted time.Time // what Finding.Counted is to be; zero before the first try to record it, if it is not shown
	raised  bool      // it was shown in the paging series without being recorded
	known   Identity  // of a call that is shown
}

func newEmission(s *emitter) *emission {
	e := &emission{
		emitter: s, limiter: newLimiter(recordsAtOnceLeast, recordsAtOnceStart, recordsAtOnce),
		toSinks: newFairQueue[string, *judged](), toRecord: newFairQueue[string, *judged](),
		busy: make(map[string]*judged), lanes: make(map[string][]*work), shown: make(map[string][]*judged),
	}
	e.changed = sync.NewCond(&e.mu)
	return e
}

// start runs emit until ctx ends.
func (s *emitter) start(ctx context.Context, running *sync.WaitGroup, in <-chan *work) {
	e := newEmission(s)
	context.AfterFunc(ctx, func() {
		e.mu.Lock()
		defer e.mu.Unlock()
		e.changed.Broadcast()
	})
	running.Go(func() {
		for w := range each(ctx, in) {
			e.admit(ctx, w)
		}
	})
	running.Go(func() { e.sinkAll(ctx) })
	running.Go(func() { e.recordAll(ctx, running) })
	running.Go(func() { e.watch(ctx) })
}

// admit takes a batch, or a part of one, and waits until there is room for more.
func (e *emission) admit(ctx context.Context, w *work) {
	left := w.Abandoned != nil && w.Abandoned()
	e.mu.Lock()
	defer e.mu.Unlock()
	if ctx.Err() != nil {
		return
	}
	batch := w
	if w.whole != nil {
		batch = w.whole
	}
	if !batch.admitted {
		batch.admitted = true
		e.held.batches++
		e.lanes[w.ShardID] = append(e.lanes[w.ShardID], batch)
	}
	batch.total.add(w.outcome)
	batch.left = batch.left || left
	if !left {
		e.hold(batch, w.events)
	}
	if batch.complete = w.whole == nil; batch.complete {
		w.judged()
	}
	e.settle(w.ShardID)
	e.changed.Broadcast()
	for e.full() && e.held.calls > 0 && ctx.Err() == nil { // without calls it waits for the rest of this very batch
		e.changed.Wait()
	}
}

// full reports whether emit holds as much as it may. e.mu is held.
func (e *emission) full() bool {
	batches := maxBatches
	if e.inOrder {
		batches = maxBatchesInOrder
	}
	return e.held.calls > maxCalls || e.held.callBytes > maxCallBytes || e.held.batches > batches
}

// hold puts calls into the queue. e.mu is held.
func (e *emission) hold(batch *work, events []event) {
	now := time.Now()
	for _, ev := range events {
		j := &judged{f: ev.finding, w: batch, size: ev.size, since: now}
		e.held.calls++
		e.held.callBytes += j.size
		batch.calls++
		e.unrecorded = append(e.unrecorded, j)
		e.toSinks.push(e.turn(j.f), j)
	}
}

// turn is what shares a turn in the queues: an account.
func (e *emission) turn(f *Finding) string {
	if e.inOrder {
		return ""
	}
	return f.AccountID
}

// next waits for a call in one of the queues; it is nil when ctx has ended. A call whose id is
// under way waits behind it.
func (e *emission) next(ctx context.Context, queue *fairQueue[string, *judged]) *judged {
	e.mu.Lock()
	defer e.mu.Unlock()
	for ctx.Err() == nil {
		j, ok := queue.pop()
		if !ok {
			e.changed.Wait()
			continue
		}
		switch ahead := e.busy[j.f.ID]; {
		case ahead == j:
			return j
		case ahead == nil:
			e.busy[j.f.ID] = j
			return j
		default:
			ahead.behind = append(ahead.behind, j)
		}
	}
	return nil
}

// sinkAll takes each call to the sinks, one at a time.
func (e *emission) sinkAll(ctx context.Context) {
	for j := e.next(ctx, e.toSinks); j != nil; j = e.next(ctx, e.toSinks) {
		switch {
		case j.w.Abandoned != nil && j.w.Abandoned():
			e.end(j, nil)
			continue
		case e.ledger.Seen(j.f):
			e.end(j, e.copied(j.f))
			continue
		}
		if e.sink(ctx, j.f) != nil {
			return
		}
		if e.inOrder {
			e.record(ctx, j)
			continue
		}
		e.mu.Lock()
		e.toRecord.push(e.turn(j.f), j)
		e.changed.Broadcast()
		e.mu.Unlock()
	}
}

// sink fails only when ctx ends.
func (e *emission) sink(ctx context.Context, f *Finding) error {
	for _, sink := range e.sinks {
		err := e.untilTaken(ctx, f, sinks, func() error {
			err := recovered(func() error { return sink.Take(ctx, f) })
			if err != nil && ctx.Err() == nil {
				e.metrics.sinkFailures.Inc()
			}
			return err
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// recordAll writes told calls down, as many at a time as the limiter lets.
func (e *emission) recordAll(ctx context.Context, running *sync.WaitGroup) {
	if e.inOrder {
		return
	}
	for e.limiter.acquire(ctx) == nil {
		j := e.next(ctx, e.toRecord)
		if j == nil {
			return
		}
		running.Go(func() { e.record(ctx, j) })
	}
}

// record writes a call down and counts it. The first try has a turn of the limiter's already,
// unless calls go in order; between two tries the turn is somebody else's, so that a call which the
// ledger refuses holds up no other.
func (e *emission) record(ctx context.Context, j *judged) {
	f, turn := j.f, !e.inOrder
	var outcome Recorded
	err := e.untilTaken(ctx, f, theLedger, func() (err error) {
		if !turn {
			if err := e.limiter.acquire(ctx); err != nil {
				return err
			}
		}
		turn = false
		f.Counted = e.countedAt(j)
		err = recovered(func() error { outcome, err = e.ledger.Record(ctx, f); return err })
		e.limiter.answered(err == nil)
		return err
	})
	if err != nil {
		return
	}
	result := ResultRoot
	switch outcome {
	case First:
		e.metrics.rootCall(f)
	case Correction: // one call still, but it pages as what it is now
		e.metrics.corrected(f)
		result = ResultDuplicate
	default:
		result = *e.copied(f)
	}
	err = e.untilTaken(ctx, f, theLedger, func() error {
		return recovered(func() error { return e.ledger.Settle(ctx, f) })
	})
	if err != nil {
		return
	}
	e.end(j, &result)
}

// copied tells of a copy whoever asked.
func (e *emission) copied(f *Finding) *Result {
	if e.onCopy != nil {
		e.onCopy(f)
	}
	result := ResultDuplicate
	return &result
}

// end brings a call to its end: as a result, or left to the next owner of the shard.
func (e *emission) end(j *judged, result *Result) {
	e.mu.Lock()
	defer e.mu.Unlock()
	delete(e.busy, j.f.ID)
	for _, waiting := range j.behind {
		e.toSinks.push(e.turn(waiting.f), waiting)
	}
	e.hide(j)
	e.held.calls--
	e.held.callBytes -= j.size
	w := j.w
	*j = judged{} // what still leads to it must not hold the record
	for len(e.unrecorded) > 0 && e.unrecorded[0].f == nil {
		e.unrecorded[0], e.unrecorded = nil, e.unrecorded[1:]
	}
	w.calls--
	if result == nil {
		w.left = true
	} else {
		w.total.Events[*result]++
	}
	e.settle(w.ShardID)
	e.changed.Broadcast()
}

// settle ends the first batches of a shard, as far as nothing of them is under way. e.mu is held,
// so that they are done in their order.
func (e *emission) settle(shard string) {
	lane := e.lanes[shard]
	for len(lane) > 0 && lane[0].complete && lane[0].calls == 0 {
		w := lane[0]
		lane[0], lane = nil, lane[1:]
		e.held.batches--
		e.ages.remove(w.Batch)
		if w.left {
			w.done(Outcome{})
			continue
		}
		e.metrics.batch(w, w.total.Events, e.now())
		w.done(w.total)
	}
	if e.lanes[shard] = lane; len(lane) == 0 {
		delete(e.lanes, shard)
	}
}

// untilTaken repeats try, with growing pauses, until it succeeds or ctx ends: a root call is not
// given up.
func (s *emitter) untilTaken(ctx context.Context, f *Finding, by taker, try func() error) error {
	failed, end := s.waits.begin(by)
	defer end()
	return retry.Do(ctx, longestPause, try, func(err error, pause time.Duration) {
		failed(err) // before the log, which may be what hangs
		s.log.Error(string(by)+" did not take a root call: trying again", "err", err, "in", pause.Round(time.Millisecond),
			"id", f.ID, "shard_id", f.ShardID, "sequence_number", f.SequenceNumber, "file", f.File)
	})
}

// longestPause is between two tries of a sink or the ledger.
const longestPause = 5 * time.Second
