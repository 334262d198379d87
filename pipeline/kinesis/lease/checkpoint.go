package lease

import (
	"context"
	"slices"
	"sync"
)

// checkpoint is that of a held lease: what the table has, as far as is known, and what is to come.
type checkpoint struct {
	// write is the table's: it succeeds if the checkpoint there is one of before, or the same
	// already.
	write   func(ctx context.Context, sequenceNumber, at string, before []string) error
	writing chan struct{} // full during a write, so that an older one never follows a newer one

	mu      sync.Mutex
	written string   // the checkpoint in the table, as far as is known
	tried   []string // those whose write failed since: each may be in the table, or come to be
	atEnd   bool     // all of the shard is finished: SHARD_END is due
	stalled bool     // the last write failed
}

// bring brings the table up to what is finished, and reports whether that took a write. finished is
// asked when no other write is under way.
func (c *checkpoint) bring(ctx context.Context, finished func() Position) (wrote bool, err error) {
	select {
	case c.writing <- struct{}{}:
		defer func() { <-c.writing }()
	case <-ctx.Done(): // a write that hangs must not hold up the end
		return false, context.Cause(ctx)
	}
	due, at, moved := c.due(finished())
	if !moved {
		return false, nil
	}
	err = c.write(ctx, due, at, c.before())
	c.mu.Lock()
	defer c.mu.Unlock()
	c.stalled = err != nil
	if err == nil {
		c.written, c.tried = due, nil
	} else if !slices.Contains(c.tried, due) {
		c.tried = append(c.tried, due)
	}
	return true, err
}

// maxTried bounds how many of the failed checkpoints a write allows for. One beyond them costs the
// lease and a second reading, not a record.
const maxTried = 50

// before are the checkpoints that may be in the table: the last that was written, and those whose
// write failed since. A write on any other must be refused, or one that was given up could land
// after its successor and take it back.
func (c *checkpoint) before() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.tried) > maxTried {
		c.tried = c.tried[len(c.tried)-maxTried:]
	}
	return append([]string{c.written}, c.tried...)
}

// due is the checkpoint that belongs into the table, with its time, and whether it may not be there
// yet. Once the shard is at its end nothing else is due: SHARD_END may have been written without
// our knowing it, and would refuse it.
func (c *checkpoint) due(finished Position) (due, at string, moved bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	due, at = finished.SequenceNumber, finished.time()
	if c.atEnd {
		if due == "" && c.written == "" {
			at = neverRead
		}
		due = ShardEnd
	}
	return due, at, due != "" && due != c.written
}

// end makes the shard's end due.
func (c *checkpoint) end() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.atEnd = true
}

// inTable is the checkpoint that the table holds, as far as is known.
func (c *checkpoint) inTable() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.written
}

// isStalled reports whether the last write failed.
func (c *checkpoint) isStalled() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.stalled
}
