package lease

import (
	"context"
	"errors"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"
)

// Renew renews all leases every quarter of their duration, and those whose renewal has failed
// sooner: there is only half a lease left for it. It starts a handoff where somebody asks for one.
func (c *Coordinator) Renew(ctx context.Context) {
	ticker := time.NewTicker(c.quarter() / 4)
	defer ticker.Stop()
	last := time.Now()
	var due []*Held
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		if time.Since(last) > c.quarter()*7/8 { // the next tick would be late
			last, due = time.Now(), c.leases.All()
		}
		due = c.renewAll(ctx, due)
	}
}

// renewAll returns the leases whose renewal must be tried again.
func (c *Coordinator) renewAll(ctx context.Context, due []*Held) (failed []*Held) {
	var mu sync.Mutex
	var group errgroup.Group
	group.SetLimit(32)
	for _, h := range due {
		group.Go(func() error {
			if !c.renew(ctx, h) {
				mu.Lock()
				failed = append(failed, h)
				mu.Unlock()
			}
			return nil
		})
	}
	group.Wait() //nolint:errcheck // its functions return none
	return failed
}

// renew reports whether the renewal has been answered, with success or with a refusal.
func (c *Coordinator) renew(ctx context.Context, h *Held) bool {
	if h.over.Err() != nil {
		return true
	}
	asked := time.Now()
	l, err := c.table.renew(ctx, h.shard.ID, h.epoch, h.inFlight.finishedUpTo())
	switch {
	case h.beingReleased(): // refused or not, it was given back meanwhile
	case errors.Is(err, errFenced):
		h.lose("another worker owns it")
	case err != nil:
		c.metrics.TableFailures.Inc()
		h.log.Warn("the lease could not be renewed", "err", err)
		return false
	default:
		h.renewed(asked)
		if l.claim != "" && l.claim != c.table.me && h.reading.Err() == nil {
			h.log.Info("another worker asks for the lease: finishing what is in flight", "claim", l.claim)
			h.beginHandoff(ErrHandoff, c.cfg.Handoff)
		}
	}
	return true
}

// WriteCheckpoints writes all checkpoints that have moved, again and again until ctx ends.
func (c *Coordinator) WriteCheckpoints(ctx context.Context, every time.Duration) {
	ticker := time.NewTicker(every)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		var group errgroup.Group
		group.SetLimit(32)
		for _, h := range c.leases.All() {
			group.Go(func() error {
				writing, cancel := context.WithCancel(h.over)
				defer cancel()
				defer context.AfterFunc(ctx, cancel)()
				if err := h.WriteCheckpoint(writing); err != nil && writing.Err() == nil {
					h.log.Warn("the checkpoint could not be written: trying again", "err", err)
				}
				return nil
			})
		}
		group.Wait() //nolint:errcheck // its functions return none
	}
}
