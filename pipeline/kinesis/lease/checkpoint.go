package lease

import (
	"context"
	"errors"
	"slices"
	"time"

	"rootwatch/pipeline/retry"
)

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

// maxTried bounds how many of the failed checkpoints a write allows for. One beyond them costs the
// lease and a second reading, not a record.
const maxTried = 50

// before are the checkpoints that may be in the table: the last that was written, and those whose
// write failed since. A write on any other must be refused, or one that was given up could land
// after its successor and take it back.
func (h *Held) before() []string {
	h.mu.Lock()
	defer h.mu.Unlock()
	if len(h.tried) > maxTried {
		h.tried = h.tried[len(h.tried)-maxTried:]
	}
	return append([]string{h.written}, h.tried...)
}

// due is the checkpoint that belongs into the table, with its time, and whether it may not be there
// yet. Once the shard is at its end nothing else is due: SHARD_END may have been written without
// our knowing it, and would refuse it.
func (h *Held) due() (checkpoint, at string, moved bool) {
	finished, _ := h.inFlight.state()
	h.mu.Lock()
	defer h.mu.Unlock()
	checkpoint, at = finished.SequenceNumber, finished.time()
	if h.atEnd {
		if checkpoint == "" && h.written == "" {
			at = neverRead
		}
		checkpoint = ShardEnd
	}
	return checkpoint, at, checkpoint != "" && checkpoint != h.written
}

// WriteEnd closes the shard: it waits until all of it is finished and writes SHARD_END, again and
// again while the lease is ours, since the children wait for it.
func (h *Held) WriteEnd() error {
	if err := h.inFlight.wait(h.over); err != nil {
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
