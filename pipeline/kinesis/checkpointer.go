package kinesis

import (
	"errors"
	"runtime/debug"
	"sync"

	kcl "github.com/vmware/vmware-go-kcl-v2/clientlibrary/checkpoint"
	"github.com/vmware/vmware-go-kcl-v2/clientlibrary/partition"
)

// checkpointer is the library's view of the leases. It decides nothing and calls nobody: the coordinator acquires
// leases, and the library learns here which shards it may read. That takes the library's own lease handling, with
// its unconditional writes, out of the game.
type checkpointer struct {
	me       string
	changed  func(*Held)               // tells the coordinator that a tenure has ended
	finished func(shardID string) bool // whether a shard has been read to its end, by anybody

	mu       sync.Mutex
	holdings map[string]*holding // by shard id
}

// holding is a tenure with how far the library has gone in taking it up.
type holding struct {
	*Held
	offered bool                   // FetchCheckpoint has shown it to the library's event loop, which may now ask for the lease
	taken   bool                   // the library's consumer of the shard runs; RemoveLeaseOwner will end it
	by      *partition.ShardStatus // what the library's consumer knows the shard by
}

var _ kcl.Checkpointer = (*checkpointer)(nil)

func newCheckpointer(me string) *checkpointer {
	return &checkpointer{me: me, holdings: make(map[string]*holding)}
}

// hold adds a tenure, for the library to take up in one of its next passes.
func (c *checkpointer) hold(t *Held) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.holdings[t.shard.id] = &holding{Held: t}
}

// tenure returns the tenure of a shard, nil if none is held.
func (c *checkpointer) tenure(shardID string) *Held {
	c.mu.Lock()
	defer c.mu.Unlock()
	if h := c.holdings[shardID]; h != nil {
		return h.Held
	}
	return nil
}

// tenures returns all tenures that are not yet given back.
func (c *checkpointer) tenures() []*Held {
	c.mu.Lock()
	defer c.mu.Unlock()
	all := make([]*Held, 0, len(c.holdings))
	for _, h := range c.holdings {
		all = append(all, h.Held)
	}
	return all
}

// sweep ends the tenures whose reading has ended before the library took them up: nobody else would.
func (c *checkpointer) sweep() {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, h := range c.holdings {
		if !h.taken && h.reading.Err() != nil {
			h.taken = true
			go c.giveBack(h)
		}
	}
}

func (c *checkpointer) giveBack(h *holding) {
	defer func() {
		if v := recover(); v != nil { // the lease then expires
			h.Panicked("release", v, debug.Stack())
		}
		c.mu.Lock()
		delete(c.holdings, h.shard.id)
		c.mu.Unlock()
		c.changed(h.Held)
	}()
	h.finish()
}

// Init has nothing to do: the worker has made the table ready before the library starts.
func (c *checkpointer) Init() error { return nil }

// FetchCheckpoint resets what the library remembers of the shard to the truth: its memory runs ahead of failed writes
// (record-processor-checkpointer.go sets it before the write). It never names an owner: a worker that were told of
// itself would not ask for the shard again.
func (c *checkpointer) FetchCheckpoint(s *partition.ShardStatus) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	h := c.holdings[s.ID]
	switch {
	case h == nil && c.finished(s.ID):
		s.SetCheckpoint(ShardEnd)
		return nil
	case h == nil:
		s.SetCheckpoint("")
		return kcl.ErrSequenceIDNotFound
	}
	h.offered = true
	checkpoint := h.Checkpointed()
	s.SetCheckpoint(checkpoint)
	if checkpoint == "" {
		return kcl.ErrSequenceIDNotFound
	}
	return nil
}

// GetLease grants the shards that the coordinator holds. A first grant needs a FetchCheckpoint before it, so that a
// late renewal of an ended consumer cannot take up the next tenure; a renewal is answered from memory. The library makes
// itself another ShardStatus of a shard that ListShards did not show for a moment: that gets it no second consumer.
func (c *checkpointer) GetLease(s *partition.ShardStatus, workerID string) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	h := c.holdings[s.ID]
	if h == nil || workerID != c.me || h.reading.Err() != nil || !h.taken && !h.offered || h.taken && h.by != s {
		return kcl.ErrLeaseNotAcquired{}
	}
	h.taken, h.by = true, s
	s.SetLeaseOwner(c.me)
	return nil
}

// CheckpointSequence writes what the library asks for through the shard's tenure, with its conditions.
func (c *checkpointer) CheckpointSequence(s *partition.ShardStatus) error {
	t := c.tenure(s.ID)
	if t == nil {
		return errFenced
	}
	if s.GetCheckpoint() == ShardEnd {
		return t.WriteEnd()
	}
	return t.WriteCheckpoint(t.over)
}

// RemoveLeaseOwner is the library's last word on a shard, whichever way its consumer ended: the tenure ends here. It
// blocks while what is in flight is finished, and only the consumer's goroutine waits.
func (c *checkpointer) RemoveLeaseOwner(shardID string) error {
	c.mu.Lock()
	h := c.holdings[shardID]
	if h == nil || !h.taken {
		c.mu.Unlock()
		return nil
	}
	c.mu.Unlock()
	c.giveBack(h)
	return nil
}

// RemoveLeaseInfo does nothing: the coordinator removes the items of deleted shards, when it is sure.
func (c *checkpointer) RemoveLeaseInfo(string) error { return nil }

// GetLeaseOwner names us for a shard that we hold.
func (c *checkpointer) GetLeaseOwner(shardID string) (string, error) {
	if c.tenure(shardID) == nil {
		return "", kcl.ErrShardNotAssigned
	}
	return c.me, nil
}

var errOwnBalance = errors.New("the library's lease stealing is switched off: the coordinator balances the leases")

// ListActiveWorkers belongs to the library's lease stealing, which we do not use.
func (c *checkpointer) ListActiveWorkers(map[string]*partition.ShardStatus) (map[string][]*partition.ShardStatus, error) {
	return nil, errOwnBalance
}

// ClaimShard belongs to the library's lease stealing, which we do not use.
func (c *checkpointer) ClaimShard(*partition.ShardStatus, string) error { return errOwnBalance }
