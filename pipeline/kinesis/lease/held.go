package lease

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"rootwatch/pipeline/kinesis/metrics"
	"rootwatch/pipeline/retry"
)

// Reasons for which a tenure takes no further records, as causes of its context.
var (
	ErrStop    = errors.New("the worker stops")
	ErrLost    = errors.New("the lease is lost")
	ErrHandoff = errors.New("the lease is being handed over")
	ErrGone    = errors.New("the shard was deleted")
	ErrUnread  = errors.New("no answer from Kinesis")
	ErrCut     = errors.New("the deadline for stopping has passed")
	ErrPanic   = errors.New("a callback panicked")
	ErrRefused = errors.New("the pipeline takes no more batches")

	ends = []error{ErrStop, ErrLost, ErrHandoff, ErrGone, ErrUnread, ErrCut, ErrPanic, ErrRefused}
)

// IsEnd reports whether an error is one of the reasons for which a held lease ends.
func IsEnd(err error) bool {
	return slices.ContainsFunc(ends, func(end error) bool { return errors.Is(err, end) })
}

// Held is one holding of one lease, from its acquisition to its end. The library's consumer of the shard, its
// record processor and the coordinator meet here.
//
// Two contexts end it: reading ends first (handoff, stop) and lets what is in flight be finished and
// checkpointed; over ends everything at once (lease lost, deadline passed): nothing is checkpointed after it
// but what was acknowledged before.
type Held struct {
	shard   *Shard
	epoch   int64
	table   *table
	metrics *metrics.Metrics
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
	acked    Position      // everything up to here is finished
	readTo   time.Time     // everything that had arrived by then is finished; zero if that is not known
	atEnd    bool          // all of the shard is finished: SHARD_END is due
	written  string        // the checkpoint in the table, as far as is known
	tried    []string      // those whose write failed since: each may be in the table, or come to be

	beginning Beginning
}

// StartAt is where a shard without a checkpoint begins.
type StartAt struct {
	Oldest bool // at TRIM_HORIZON; else at the first record that arrived at or after Time
	Time   time.Time
}

// Beginning is where the reading of a held lease begins.
type Beginning struct {
	Start          StartAt   // where there is no checkpoint
	Checkpoint     string    // "" if there is none
	CheckpointTime time.Time // arrival of the record there; zero if it is not known
	ReadTo         time.Time // everything that had arrived by then was finished; zero if that is not known
}

// ShardID is the shard that the lease is for.
func (h *Held) ShardID() string { return h.shard.ID }

// Epoch counts the acquisitions of the lease, by whomever: it tells this holding from others.
func (h *Held) Epoch() int64 { return h.epoch }

// Beginning is where its reading begins.
func (h *Held) Beginning() Beginning { return h.beginning }

// Log names the shard and the epoch in each line.
func (h *Held) Log() *slog.Logger { return h.log }

// Reading ends when no further record may be taken.
func (h *Held) Reading() context.Context { return h.reading }

// Over ends when nothing that is finished from then on counts.
func (h *Held) Over() context.Context { return h.over }

// Stalled reports whether the last write of the checkpoint has failed: reading waits for one that does not.
func (h *Held) Stalled() bool { return h.stalled.Load() }

// StopReading ends the reading, for a cause, and lets what is in flight be finished.
func (h *Held) StopReading(why error) { h.stopReading(why) }

// End ends everything at once, for a cause.
func (h *Held) End(why error) { h.end(why) }

// Position is a place in a shard, with the arrival of the record there.
type Position struct {
	SequenceNumber string
	Arrival        time.Time
	ReadTo         time.Time // everything that had arrived by then lies before it; zero if that is not known
}

// time is the arrival as the lease table has it, "" if it is not known.
func (p Position) time() string { return Stamp(p.Arrival) }

// handed is one batch in flight: when done, everything up to last is finished, once all before it is.
type handed struct {
	last Position
	done bool
}

// newHeld begins the tenure of a lease that was just acquired; asked is the time before the acquisition was sent.
func newHeld(s *Shard, l *row, start StartAt, asked time.Time, t *table, m *metrics.Metrics, log *slog.Logger) *Held {
	h := &Held{
		shard: s, epoch: l.epoch, table: t, metrics: m,
		log:        log.With("shard_id", s.ID, "epoch", l.epoch),
		writing:    make(chan struct{}, 1),
		written:    l.checkpoint,
		fenceAfter: t.duration * 3 / 4,
		beginning:  Beginning{Start: start, Checkpoint: l.checkpoint, CheckpointTime: parseTime(l.checkedAt), ReadTo: l.frontier(start)},
	}
	h.over, h.end = context.WithCancelCause(context.Background())
	h.reading, h.stopReading = context.WithCancelCause(h.over)
	h.fence = time.AfterFunc(h.fenceAfter-time.Since(asked), func() { h.lose("no renewal of it has succeeded for three quarters of its duration") })
	return h
}

// renewed moves the fence: the lease was ours at the time asked (before the answer came).
func (h *Held) renewed(asked time.Time) {
	h.fence.Reset(h.fenceAfter - time.Since(asked))
}

// lose ends the tenure: from now on the lease is, or may be, another's.
func (h *Held) lose(why string) {
	if h.over.Err() != nil {
		return
	}
	h.log.Error("lease lost: what is in flight will be read again by its next owner", "why", why)
	h.end(ErrLost)
}

// Panicked ends the tenure after a panic in a callback: the lease is given up, another try is made from the last
// checkpoint.
func (h *Held) Panicked(where string, value any, stack []byte) {
	h.metrics.Panics.Inc()
	h.log.Error("panic recovered: the lease is given up", "in", where, "panic", value, "stack", string(stack))
	h.end(ErrPanic)
}

// Add enters a batch whose last record is at p and returns what its Done must call. It must be called in the
// order of the shard, before the batch is handed on.
func (h *Held) Add(p Position) (done func()) {
	b := &handed{last: p}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.inFlight = append(h.inFlight, b)
	return func() { h.ack(b) }
}

// ack marks a batch finished, in any order; the checkpoint follows the last batch below which all are.
func (h *Held) ack(b *handed) {
	h.mu.Lock()
	defer h.mu.Unlock()
	b.done = true
	n := 0
	for n < len(h.inFlight) && h.inFlight[n].done {
		h.acked = h.inFlight[n].last
		h.readTo = later(h.readTo, h.acked.ReadTo)
		n++
	}
	h.inFlight = append(h.inFlight[:0], h.inFlight[n:]...)
	if len(h.inFlight) == 0 && h.idle != nil {
		close(h.idle)
		h.idle = nil
	}
}

// CaughtUp notes that nothing more had arrived by then than what was handed on.
func (h *Held) CaughtUp(at time.Time) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if n := len(h.inFlight); n > 0 {
		h.inFlight[n-1].last.ReadTo = at
		return
	}
	h.readTo = later(h.readTo, at)
}

// finishedTo is readTo, for the table.
func (h *Held) finishedTo() time.Time {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.readTo
}

// drain waits until everything handed on is finished. It fails when the tenure is over: what the last answer held may
// then never have been handed on, and nothing may be taken for finished.
func (h *Held) drain() error {
	if h.over.Err() != nil {
		return context.Cause(h.over)
	}
	h.mu.Lock()
	if len(h.inFlight) == 0 {
		h.mu.Unlock()
		return nil
	}
	if h.idle == nil {
		h.idle = make(chan struct{})
	}
	idle := h.idle
	h.mu.Unlock()
	select {
	case <-idle:
		return nil
	case <-h.over.Done():
		return context.Cause(h.over)
	}
}

// WriteCheckpoint brings the table up to what is finished, if it has moved.
func (h *Held) WriteCheckpoint(ctx context.Context) error {
	select {
	case h.writing <- struct{}{}:
		defer func() { <-h.writing }()
	case <-ctx.Done(): // a write that hangs must not hold up the end
		return context.Cause(ctx)
	}
	checkpoint, at, moved := h.due()
	if !moved {
		return nil
	}
	err := h.table.checkpoint(ctx, h.shard.ID, h.epoch, checkpoint, at, h.before())
	h.stalled.Store(err != nil)
	if err != nil {
		h.mu.Lock()
		if !slices.Contains(h.tried, checkpoint) {
			h.tried = append(h.tried, checkpoint)
		}
		h.mu.Unlock()
		h.metrics.CheckpointFailures.Inc()
		if errors.Is(err, errFenced) {
			h.lose("its checkpoint was refused: another worker owns it")
		}
		return err
	}
	h.metrics.Checkpoints.Inc()
	h.mu.Lock()
	h.written, h.tried = checkpoint, nil
	h.mu.Unlock()
	return nil
}

// maxTried bounds how many of the failed checkpoints a write allows for. One beyond them costs the lease and a second
// reading, not a record.
const maxTried = 50

// before are the checkpoints that may be in the table: the last that was written, and those whose write failed since. A
// write on any other must be refused, or one that was given up could land after its successor and take it back.
func (h *Held) before() []string {
	h.mu.Lock()
	defer h.mu.Unlock()
	if len(h.tried) > maxTried {
		h.tried = h.tried[len(h.tried)-maxTried:]
	}
	return append([]string{h.written}, h.tried...)
}

// due is the checkpoint that belongs into the table, with its time, and whether it may not be there yet. Once the shard
// is at its end nothing else is due: SHARD_END may have been written without our knowing it, and would refuse it.
func (h *Held) due() (checkpoint, at string, moved bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	checkpoint, at = h.acked.SequenceNumber, h.acked.time()
	if h.atEnd {
		if checkpoint == "" && h.written == "" {
			at = neverRead
		}
		checkpoint = ShardEnd
	}
	return checkpoint, at, checkpoint != "" && checkpoint != h.written
}

// WriteEnd closes the shard: it waits until all of it is finished and writes SHARD_END, again and again while the
// lease is ours, since the children wait for it.
func (h *Held) WriteEnd() error {
	if err := h.drain(); err != nil {
		return err
	}
	h.mu.Lock()
	h.atEnd = true
	h.mu.Unlock()
	err := retry.Do(h.over, time.Second, func() error {
		err := h.WriteCheckpoint(h.over)
		if errors.Is(err, errFenced) {
			return retry.Stop(err)
		}
		return err
	}, func(err error, _ time.Duration) {
		h.log.Warn("the end of the shard could not be written yet", "err", err)
	})
	if err == nil {
		h.log.Info("shard finished")
	}
	return err
}

// Checkpointed is the checkpoint that the table holds.
func (h *Held) Checkpointed() string {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.written
}

// finish gives the lease back: it lets what is in flight be done, writes the last checkpoint and releases the lease,
// each as far as the tenure's contexts allow. It is called once, when the library's consumer has ended.
func (h *Held) finish() {
	defer h.fence.Stop()
	defer h.metrics.Lag.Drop(h.shard.ID)
	h.stopReading(ErrHandoff) // no effect where a cause is set already

	err := h.drain()
	if errors.Is(err, ErrLost) {
		h.metrics.LeaseChanges.WithLabelValues(metrics.LeaseLost).Inc()
		return
	}
	// The lease is still ours: also after the deadline what was acknowledged may be written, and the others need
	// not wait for it to expire.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(h.over), min(h.table.timeout, ReleaseTimeout))
	defer cancel()
	if err := h.WriteCheckpoint(ctx); err != nil {
		h.log.Warn("the last checkpoint could not be written: records since the one before will be read again", "err", err)
	}
	if cause := context.Cause(h.over); errors.Is(cause, ErrLost) {
		h.metrics.LeaseChanges.WithLabelValues(metrics.LeaseLost).Inc()
		return
	}
	h.releasing.Store(true)
	switch err := h.table.release(ctx, h.shard.ID, h.epoch); {
	case err == nil:
		h.metrics.LeaseChanges.WithLabelValues(metrics.LeaseReleased).Inc()
		h.log.Info("lease released", "checkpoint", h.Checkpointed())
	case errors.Is(err, errFenced):
		h.metrics.LeaseChanges.WithLabelValues(metrics.LeaseLost).Inc()
	default:
		h.log.Warn("the lease could not be released: it will expire", "err", err)
	}
}

// ReleaseTimeout bounds the last two writes of a tenure, so that the stop's deadline can allow for them.
const ReleaseTimeout = 2 * time.Second

// frontier is up to when the application has finished everything that arrived in the shard, as the lease tells it; zero if
// it does not. A lease that was held before and has no checkpoint has finished nothing since the start.
func (l *row) frontier(start StartAt) time.Time {
	read := later(parseTime(l.readTime), parseTime(l.checkedAt))
	if read.IsZero() && l.checkpoint == "" && l.epoch > 1 && !start.Oldest {
		return start.Time
	}
	return read
}
