package lease

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"sync"
	"time"

	"rootwatch/pipeline/kinesis/metrics"
	"rootwatch/pipeline/retry"
)

// Reasons for which a held lease takes no further records, as causes of its contexts.
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

// state is how far a held lease has come.
type state int

const (
	reading   state = iota // records are taken
	finishing              // none is taken any more; what is in flight is finished, while the lease is renewed
	cut                    // what is in flight is not waited for, and does not count any more when it is finished
	releasing              // the last checkpoint is written, the lease is being given back
	released
	lost // it is another worker's, or may be
)

// next are the states that may follow a state. Nothing follows released and lost.
var next = map[state][]state{
	reading:   {finishing, cut, lost},
	finishing: {cut, releasing, lost},
	cut:       {releasing},
	releasing: {released, lost},
}

// Held is one holding of one lease, from its acquisition to its end. The library's consumer of the
// shard, the record processor and the coordinator meet here.
type Held struct {
	shard     *shard
	epoch     int64
	table     *table
	metrics   *metrics.Metrics
	log       *slog.Logger
	beginning Beginning

	reading    context.Context
	endReading context.CancelCauseFunc
	over       context.Context // the parent of reading
	endAll     context.CancelCauseFunc
	fence      *time.Timer // loses the lease when renewals have failed for too long
	fenceAfter time.Duration

	inFlight   inFlight
	checkpoint checkpoint

	mu    sync.Mutex
	state state
	limit *time.Timer // of a handoff; nil before one begins
}

// to changes the state, for a cause; nothing else does. It reports false, and changes nothing,
// where the present state does not allow it.
//
//	         stop, handoff, shard deleted,
//	         no records from Kinesis                  all is finished
//	reading ------------------------------> finishing ----------------> releasing ---> released
//	 |   |                                   |    |                      ^    |
//	 |   | deadline, panic, batch refused    |    |                      |    | refused
//	 |   +---------------------> cut <-------+    |                      |    |
//	 |                            +---------------|----------------------+    |
//	 | a refused renewal or checkpoint,           |                           |
//	 | no renewal for 3/4 of the duration         v                           v
//	 +-----------------------------------------> lost <-----------------------+
//
// Reading ends with the first step. What is acknowledged after cut or lost does not count, and what
// was before is still written after cut, never after lost.
func (h *Held) to(s state, why error) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	if !slices.Contains(next[h.state], s) {
		return false
	}
	h.state = s
	switch s {
	case finishing:
		h.endReading(why)
	case cut:
		h.endAll(why)
	case releasing:
		h.fence.Stop()
	case released:
		h.metrics.LeaseChanges.WithLabelValues(metrics.LeaseReleased).Inc()
	case lost:
		h.endAll(why)
		h.metrics.LeaseChanges.WithLabelValues(metrics.LeaseLost).Inc()
	}
	return true
}

// beingReleased reports whether a renewal that is refused means nothing: the lease is, or was,
// given back meanwhile.
func (h *Held) beingReleased() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.state == releasing || h.state == released
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

// Stalled reports whether the last write of the checkpoint has failed: reading waits for one that
// does not.
func (h *Held) Stalled() bool { return h.checkpoint.isStalled() }

// StopReading ends the reading, for a cause, and lets what is in flight be finished.
func (h *Held) StopReading(why error) { h.to(finishing, why) }

// beginHandoff ends the reading of a lease that is to be given back: what is in flight may be
// finished, for the time of a handoff.
func (h *Held) beginHandoff(why error, limit time.Duration) {
	if !h.to(finishing, why) {
		return
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.limit = time.AfterFunc(limit, func() { h.End(ErrCut) })
}

// End ends everything at once, for a cause.
func (h *Held) End(why error) {
	if errors.Is(why, ErrLost) {
		h.to(lost, why)
		return
	}
	h.to(cut, why)
}

// newHeld begins the holding of a lease that was just acquired; asked is the time before the
// acquisition was sent.
func newHeld(s *shard, l *row, start StartAt, asked time.Time, t *table, m *metrics.Metrics, log *slog.Logger) *Held {
	h := &Held{
		shard: s, epoch: l.epoch, table: t, metrics: m,
		log:        log.With("shard_id", s.ID, "epoch", l.epoch),
		checkpoint: checkpoint{written: l.checkpoint, writing: make(chan struct{}, 1)},
		fenceAfter: t.duration * 3 / 4,
		beginning:  l.from(start),
	}
	h.checkpoint.write = func(ctx context.Context, sequenceNumber, at string, before []string) error {
		return t.checkpoint(ctx, s.ID, l.epoch, sequenceNumber, at, before)
	}
	h.over, h.endAll = context.WithCancelCause(context.Background())
	h.reading, h.endReading = context.WithCancelCause(h.over)
	h.fence = time.AfterFunc(h.fenceAfter-time.Since(asked), func() { h.lose("no renewal of it has succeeded for three quarters of its duration") })
	return h
}

// renewed moves the fence: the lease was ours at the time asked (before the answer came).
func (h *Held) renewed(asked time.Time) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.state == reading || h.state == finishing {
		h.fence.Reset(h.fenceAfter - time.Since(asked))
	}
}

// lose ends the holding: from now on the lease is, or may be, another's.
func (h *Held) lose(why string) {
	if h.to(lost, ErrLost) {
		h.log.Error("lease lost: what is in flight will be read again by its next owner", "why", why)
	}
}

// Panicked ends the holding after a panic in a callback: the lease is given up, another try is made
// from the last checkpoint.
func (h *Held) Panicked(where string, value any, stack []byte) {
	h.metrics.Panics.Inc()
	h.log.Error("panic recovered: the lease is given up", "in", where, "panic", value, "stack", string(stack))
	h.End(ErrPanic)
}

// Add enters a batch whose last record is at p and returns what its Done must call. It is called in
// the order of the shard, before the batch is handed on.
func (h *Held) Add(p Position) (done func()) { return h.inFlight.add(p) }

// CaughtUp notes that nothing more had arrived by then than what was handed on.
func (h *Held) CaughtUp(at time.Time) { h.inFlight.caughtUp(at) }

// Checkpointed is the checkpoint that the table holds.
func (h *Held) Checkpointed() string { return h.checkpoint.inTable() }

// WriteCheckpoint brings the table up to what is finished, if it has moved.
func (h *Held) WriteCheckpoint(ctx context.Context) error {
	wrote, err := h.checkpoint.bring(ctx, h.inFlight.position)
	switch {
	case !wrote:
		return err
	case err == nil:
		h.metrics.Checkpoints.Inc()
		return nil
	}
	h.metrics.CheckpointFailures.Inc()
	if errors.Is(err, errFenced) {
		h.lose("its checkpoint was refused: another worker owns it")
	}
	return err
}

// WriteEnd closes the shard: it waits until all of it is finished and writes SHARD_END, again and
// again while the lease is ours, since the children wait for it. A stop does not wait for a table
// that does not take it: the next owner finds the end again.
func (h *Held) WriteEnd() error {
	if err := h.inFlight.wait(h.over); err != nil {
		return err
	}
	h.checkpoint.end()
	ctx, cancel := lingering(h.reading, stopGrace)
	defer cancel()
	defer context.AfterFunc(h.over, cancel)()
	err := retry.Do(ctx, time.Second, func() error {
		err := h.WriteCheckpoint(ctx)
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

// ReleaseTimeout bounds the last two writes of a held lease, so that the stop's deadline can allow
// for them.
const ReleaseTimeout = 2 * time.Second

// finish gives the lease back: it lets what is in flight be finished, writes the last checkpoint
// and releases the lease, each as far as its state allows. It is called once, when nobody reads the
// shard any more.
func (h *Held) finish() {
	defer h.metrics.Lag.Drop(h.shard.ID)
	defer h.stopTimers()
	h.to(finishing, ErrHandoff)
	if err := h.inFlight.wait(h.over); errors.Is(err, ErrLost) {
		return
	}
	// The lease is still ours: also after the deadline what was acknowledged may be written, and
	// the others need not wait for it to expire.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(h.over), min(h.table.timeout, ReleaseTimeout))
	defer cancel()
	if err := h.WriteCheckpoint(ctx); err != nil {
		h.log.Warn("the last checkpoint could not be written: records since the one before will be read again", "err", err)
	}
	if !h.to(releasing, nil) {
		return // lost meanwhile
	}
	switch err := h.table.release(ctx, h.shard.ID, h.epoch); {
	case err == nil:
		h.to(released, nil)
		h.log.Info("lease released", "checkpoint", h.Checkpointed())
	case errors.Is(err, errFenced):
		h.to(lost, ErrLost)
	default:
		h.log.Warn("the lease could not be released: it will expire", "err", err)
	}
}

func (h *Held) stopTimers() {
	h.fence.Stop()
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.limit != nil {
		h.limit.Stop()
	}
}

// readUpTo is up to when the application has finished everything that arrived in the shard, as the
// lease shows it; zero if it does not. A lease that was held before and has no checkpoint has
// finished nothing since the start.
func (l *row) readUpTo(start StartAt) time.Time {
	read := later(parseTime(l.readTime), parseTime(l.checkedAt))
	if read.IsZero() && l.checkpoint == "" && l.epoch > 1 && !start.Oldest {
		return start.Time
	}
	return read
}
