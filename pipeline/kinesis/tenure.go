package kinesis

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"rootwatch/pipeline/retry"
)

// Reasons for which a tenure takes no further records, as causes of its context.
var (
	errStop    = errors.New("the worker stops")
	errLost    = errors.New("the lease is lost")
	errHandoff = errors.New("the lease is being handed over")
	errGone    = errors.New("the shard was deleted")
	errUnread  = errors.New("no answer from Kinesis")
	errCut     = errors.New("the deadline for stopping has passed")
	errPanic   = errors.New("a callback panicked")
	errRefused = errors.New("the pipeline takes no more batches")

	tenureEnds = []error{errStop, errLost, errHandoff, errGone, errUnread, errCut, errPanic, errRefused}
)

// tenure is one holding of one lease, from its acquisition to its end. The library's consumer of the shard, its
// record processor and the coordinator meet here.
//
// Two contexts end it: reading ends first (handoff, stop) and lets what is in flight be finished and
// checkpointed; over ends everything at once (lease lost, deadline passed): nothing is checkpointed after it
// but what was acknowledged before.
type tenure struct {
	shard   *shard
	epoch   int64
	table   *table
	metrics *metrics
	log     *slog.Logger

	reading     context.Context
	stopReading context.CancelCauseFunc
	over        context.Context // the parent of reading
	end         context.CancelCauseFunc
	fence       *time.Timer // loses the lease when renewals have failed for too long
	fenceAfter  time.Duration
	releasing   atomic.Bool // the lease is about to be given back: a renewal that is refused means nothing

	stalled atomic.Bool // the last write of the checkpoint failed: reading waits for the next that does not

	writing chan struct{} // full during a write of the checkpoint, so that an older one never follows a newer one

	mu       sync.Mutex
	inFlight []*handed     // batches handed to the pipeline, in the order of the shard
	idle     chan struct{} // non-nil while somebody waits for inFlight to get empty
	acked    position      // everything up to here is finished
	readTo   time.Time     // everything that had arrived by then is finished; zero if that is not known
	atEnd    bool          // all of the shard is finished: SHARD_END is due
	written  string        // the checkpoint in the table, as far as is known
	tried    []string      // those whose write failed since: each may be in the table, or come to be

	from fetchState // only the library's consumer goroutine of this tenure touches it
}

// position is a place in a shard, with the arrival of the record there.
type position struct {
	sequenceNumber string
	arrival        time.Time
	readTo         time.Time // everything that had arrived by then lies before it; zero if that is not known
}

// time is the arrival as the lease table has it, "" if it is not known.
func (p position) time() string { return stamp(p.arrival) }

// handed is one batch in flight: when done, everything up to last is finished, once all before it is.
type handed struct {
	last position
	done bool
}

// newTenure begins the tenure of a lease that was just acquired; asked is the time before the acquisition was sent.
func newTenure(s *shard, l *lease, start startAt, asked time.Time, t *table, m *metrics, log *slog.Logger) *tenure {
	te := &tenure{
		shard: s, epoch: l.epoch, table: t, metrics: m,
		log:        log.With("shard_id", s.id, "epoch", l.epoch),
		writing:    make(chan struct{}, 1),
		written:    l.checkpoint,
		fenceAfter: t.duration * 3 / 4,
		from:       fetchState{resume: l.checkpoint, resumeTime: l.checkedAt, start: start, read: l.frontier(start)},
	}
	te.over, te.end = context.WithCancelCause(context.Background())
	te.reading, te.stopReading = context.WithCancelCause(te.over)
	te.fence = time.AfterFunc(te.fenceAfter-time.Since(asked), func() { te.lose("no renewal of it has succeeded for three quarters of its duration") })
	m.lag.set(s.id, 0)
	return te
}

// renewed moves the fence: the lease was ours at the time asked (before the answer came).
func (te *tenure) renewed(asked time.Time) {
	te.fence.Reset(te.fenceAfter - time.Since(asked))
}

// lose ends the tenure: from now on the lease is, or may be, another's.
func (te *tenure) lose(why string) {
	if te.over.Err() != nil {
		return
	}
	te.log.Error("lease lost: what is in flight will be read again by its next owner", "why", why)
	te.end(errLost)
}

// panicked ends the tenure after a panic in a callback: the lease is given up, another try is made from the last
// checkpoint.
func (te *tenure) panicked(where string, value any, stack []byte) {
	te.metrics.panics.Inc()
	te.log.Error("panic recovered: the lease is given up", "in", where, "panic", value, "stack", string(stack))
	te.end(errPanic)
}

// add enters a batch whose last record is at p and returns what its Done must call. It must be called in the
// order of the shard, before the batch is handed on.
func (te *tenure) add(p position) (done func()) {
	h := &handed{last: p}
	te.mu.Lock()
	defer te.mu.Unlock()
	te.inFlight = append(te.inFlight, h)
	return func() { te.ack(h) }
}

// ack marks a batch finished, in any order; the checkpoint follows the last batch below which all are.
func (te *tenure) ack(h *handed) {
	te.mu.Lock()
	defer te.mu.Unlock()
	h.done = true
	n := 0
	for n < len(te.inFlight) && te.inFlight[n].done {
		te.acked = te.inFlight[n].last
		te.readTo = later(te.readTo, te.acked.readTo)
		n++
	}
	te.inFlight = append(te.inFlight[:0], te.inFlight[n:]...)
	if len(te.inFlight) == 0 && te.idle != nil {
		close(te.idle)
		te.idle = nil
	}
}

// caughtUp notes that nothing more had arrived by then than what was handed on.
func (te *tenure) caughtUp(at time.Time) {
	te.mu.Lock()
	defer te.mu.Unlock()
	if n := len(te.inFlight); n > 0 {
		te.inFlight[n-1].last.readTo = at
		return
	}
	te.readTo = later(te.readTo, at)
}

// finishedTo is readTo, for the table.
func (te *tenure) finishedTo() time.Time {
	te.mu.Lock()
	defer te.mu.Unlock()
	return te.readTo
}

// drain waits until everything handed on is finished. It fails when the tenure is over: what the last answer held may
// then never have been handed on, and nothing may be taken for finished.
func (te *tenure) drain() error {
	if te.over.Err() != nil {
		return context.Cause(te.over)
	}
	te.mu.Lock()
	if len(te.inFlight) == 0 {
		te.mu.Unlock()
		return nil
	}
	if te.idle == nil {
		te.idle = make(chan struct{})
	}
	idle := te.idle
	te.mu.Unlock()
	select {
	case <-idle:
		return nil
	case <-te.over.Done():
		return context.Cause(te.over)
	}
}

// writeCheckpoint brings the table up to what is finished, if it has moved.
func (te *tenure) writeCheckpoint(ctx context.Context) error {
	select {
	case te.writing <- struct{}{}:
		defer func() { <-te.writing }()
	case <-ctx.Done(): // a write that hangs must not hold up the end
		return context.Cause(ctx)
	}
	checkpoint, at, moved := te.due()
	if !moved {
		return nil
	}
	err := te.table.checkpoint(ctx, te.shard.id, te.epoch, checkpoint, at, te.before())
	te.stalled.Store(err != nil)
	if err != nil {
		te.mu.Lock()
		if !slices.Contains(te.tried, checkpoint) {
			te.tried = append(te.tried, checkpoint)
		}
		te.mu.Unlock()
		te.metrics.checkpointFailures.Inc()
		if errors.Is(err, errFenced) {
			te.lose("its checkpoint was refused: another worker owns it")
		}
		return err
	}
	te.metrics.checkpoints.Inc()
	te.mu.Lock()
	te.written, te.tried = checkpoint, nil
	te.mu.Unlock()
	return nil
}

// maxTried bounds how many of the failed checkpoints a write allows for. One beyond them costs the lease and a second
// reading, not a record.
const maxTried = 50

// before are the checkpoints that may be in the table: the last that was written, and those whose write failed since. A
// write on any other must be refused, or one that was given up could land after its successor and take it back.
func (te *tenure) before() []string {
	te.mu.Lock()
	defer te.mu.Unlock()
	if len(te.tried) > maxTried {
		te.tried = te.tried[len(te.tried)-maxTried:]
	}
	return append([]string{te.written}, te.tried...)
}

// due is the checkpoint that belongs into the table, with its time, and whether it may not be there yet. Once the shard
// is at its end nothing else is due: SHARD_END may have been written without our knowing it, and would refuse it.
func (te *tenure) due() (checkpoint, at string, moved bool) {
	te.mu.Lock()
	defer te.mu.Unlock()
	checkpoint, at = te.acked.sequenceNumber, te.acked.time()
	if te.atEnd {
		if checkpoint == "" && te.written == "" {
			at = neverRead
		}
		checkpoint = shardEnd
	}
	return checkpoint, at, checkpoint != "" && checkpoint != te.written
}

// writeEnd closes the shard: it waits until all of it is finished and writes SHARD_END, again and again while the
// lease is ours, since the children wait for it.
func (te *tenure) writeEnd() error {
	if err := te.drain(); err != nil {
		return err
	}
	te.mu.Lock()
	te.atEnd = true
	te.mu.Unlock()
	err := retry.Do(te.over, time.Second, func() error {
		err := te.writeCheckpoint(te.over)
		if errors.Is(err, errFenced) {
			return retry.Stop(err)
		}
		return err
	}, func(err error, _ time.Duration) {
		te.log.Warn("the end of the shard could not be written yet", "err", err)
	})
	if err == nil {
		te.log.Info("shard finished")
	}
	return err
}

// checkpointed is the checkpoint that the table holds.
func (te *tenure) checkpointed() string {
	te.mu.Lock()
	defer te.mu.Unlock()
	return te.written
}

// finish gives the lease back: it lets what is in flight be done, writes the last checkpoint and releases the lease,
// each as far as the tenure's contexts allow. It is called once, when the library's consumer has ended.
func (te *tenure) finish() {
	defer te.fence.Stop()
	defer te.metrics.lag.drop(te.shard.id)
	te.stopReading(errHandoff) // no effect where a cause is set already
	te.from.memory.resize(0)   // an answer that nobody has taken

	err := te.drain()
	if errors.Is(err, errLost) {
		te.metrics.leaseChanges.WithLabelValues(leaseLost).Inc()
		return
	}
	// The lease is still ours: also after the deadline what was acknowledged may be written, and the others need
	// not wait for it to expire.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(te.over), min(te.table.timeout, releaseTimeout))
	defer cancel()
	if err := te.writeCheckpoint(ctx); err != nil {
		te.log.Warn("the last checkpoint could not be written: records since the one before will be read again", "err", err)
	}
	if cause := context.Cause(te.over); errors.Is(cause, errLost) {
		te.metrics.leaseChanges.WithLabelValues(leaseLost).Inc()
		return
	}
	te.releasing.Store(true)
	switch err := te.table.release(ctx, te.shard.id, te.epoch); {
	case err == nil:
		te.metrics.leaseChanges.WithLabelValues(leaseReleased).Inc()
		te.log.Info("lease released", "checkpoint", te.checkpointed())
	case errors.Is(err, errFenced):
		te.metrics.leaseChanges.WithLabelValues(leaseLost).Inc()
	default:
		te.log.Warn("the lease could not be released: it will expire", "err", err)
	}
}

// releaseTimeout bounds the last two writes of a tenure, so that the stop's deadline can allow for them.
const releaseTimeout = 2 * time.Second
