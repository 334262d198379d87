package kcl

import (
	"errors"
	"sync"

	"rootwatch/pipeline/kinesis/lease"

	kcl "github.com/vmware/vmware-go-kcl-v2/clientlibrary/checkpoint"
	"github.com/vmware/vmware-go-kcl-v2/clientlibrary/partition"
)

// checkpointer is the library's view of the leases. It decides nothing and calls nobody: the
// coordinator acquires leases, and the library learns here which shards it may read. That takes the
// library's own lease handling, with its unconditional writes, out of the game.
type checkpointer struct {
	me       string
	leases   *lease.Registry
	finished func(shardID string) bool
	forget   func(*lease.Held) // gives up what was fetched and not taken

	mu     sync.Mutex
	offers map[string]*offer // by shard id
}

// offer is a held lease with how far the library has gone in taking it up.
type offer struct {
	*lease.Held
	by *partition.ShardStatus // what the library's consumer knows the shard by; nil: it has not asked for the lease
}

var _ kcl.Checkpointer = (*checkpointer)(nil)

func newCheckpointer(cfg Config) *checkpointer {
	return &checkpointer{me: cfg.Worker, leases: cfg.Leases, finished: cfg.Finished, forget: cfg.Fetcher.Forget, offers: make(map[string]*offer)}
}

// Init has nothing to do: the worker has made the table ready before the library starts.
func (c *checkpointer) Init() error { return nil }

// FetchCheckpoint resets what the library remembers of the shard to the truth: its memory runs
// ahead of failed writes (record-processor-checkpointer.go sets it before the write). It never
// names an owner: a worker that were told of itself would not ask for the shard again.
func (c *checkpointer) FetchCheckpoint(s *partition.ShardStatus) error {
	h := c.leases.Get(s.ID)
	c.mu.Lock()
	switch o := c.offers[s.ID]; {
	case h == nil:
		delete(c.offers, s.ID)
	case o == nil || o.Held != h:
		c.offers[s.ID] = &offer{Held: h}
	}
	c.mu.Unlock()
	checkpoint := ""
	switch {
	case h != nil:
		checkpoint = h.Checkpointed()
	case c.finished(s.ID):
		checkpoint = lease.ShardEnd
	}
	s.SetCheckpoint(checkpoint)
	if checkpoint == "" {
		return kcl.ErrSequenceIDNotFound
	}
	return nil
}

// GetLease grants the shards that the coordinator holds. A first grant needs a FetchCheckpoint
// before it, so that a late renewal of an ended consumer cannot take up the lease when it is held
// again; a renewal is answered from memory. The library makes itself another ShardStatus of a shard
// that ListShards did not show for a moment: that gets it no second consumer.
func (c *checkpointer) GetLease(s *partition.ShardStatus, workerID string) error {
	h := c.leases.Get(s.ID)
	c.mu.Lock()
	defer c.mu.Unlock()
	o := c.offers[s.ID]
	if h == nil || workerID != c.me || h.Reading().Err() != nil || o == nil || o.Held != h || o.by != nil && o.by != s {
		return kcl.ErrLeaseNotAcquired{}
	}
	if o.by == nil && !c.leases.TakeUp(h) {
		return kcl.ErrLeaseNotAcquired{}
	}
	o.by = s
	s.SetLeaseOwner(c.me)
	return nil
}

// CheckpointSequence writes what the library asks for through the held lease, with its conditions.
func (c *checkpointer) CheckpointSequence(s *partition.ShardStatus) error {
	h := c.leases.Get(s.ID)
	if h == nil {
		return lease.ErrLost
	}
	if s.GetCheckpoint() == lease.ShardEnd {
		return h.WriteEnd()
	}
	return h.WriteCheckpoint(h.Over())
}

// RemoveLeaseOwner is the library's last word on a shard, whichever way its consumer ended: the
// lease is given back here. It blocks while what is in flight is finished, and only the consumer's
// goroutine waits.
func (c *checkpointer) RemoveLeaseOwner(shardID string) error {
	c.mu.Lock()
	o := c.offers[shardID]
	if o == nil || o.by == nil {
		c.mu.Unlock()
		return nil
	}
	delete(c.offers, shardID)
	c.mu.Unlock()
	c.forget(o.Held)
	c.leases.GiveBack(o.Held)
	return nil
}

// RemoveLeaseInfo does nothing: the coordinator removes the items of deleted shards, when it is
// sure.
func (c *checkpointer) RemoveLeaseInfo(string) error { return nil }

// GetLeaseOwner names us for a shard that we hold.
func (c *checkpointer) GetLeaseOwner(shardID string) (string, error) {
	if c.leases.Get(shardID) == nil {
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
