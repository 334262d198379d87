package lease

import (
	"context"
	"errors"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"
)

// Renew renews all leases every quarter of their duration, and those whose renewal has failed sooner: there is only half a
// lease left for it. It starts a handoff where somebody asks for one.
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

// renewAll returns the tenures whose renewal must be tried again.
func (c *Coordinator) renewAll(ctx context.Context, due []*Held) (failed []*Held) {
	var mu sync.Mutex
	var group errgroup.Group
	group.SetLimit(32)
	for _, t := range due {
		group.Go(func() error {
			if !c.renew(ctx, t) {
				mu.Lock()
				failed = append(failed, t)
				mu.Unlock()
			}
			return nil
		})
	}
	group.Wait() //nolint:errcheck // its functions return none
	return failed
}

// renew reports whether the renewal has been answered, with success or with a refusal.
func (c *Coordinator) renew(ctx context.Context, t *Held) bool {
	if t.over.Err() != nil {
		return true
	}
	asked := time.Now()
	l, err := c.table.renew(ctx, t.shard.ID, t.epoch, t.finishedTo())
	switch {
	case t.releasing.Load(): // refused or not, it was given back meanwhile
	case errors.Is(err, errFenced):
		t.lose("another worker owns it")
	case err != nil:
		c.metrics.TableFailures.Inc()
		t.log.Warn("the lease could not be renewed", "err", err)
		return false
	default:
		t.renewed(asked)
		if l.claim != "" && l.claim != c.table.me && t.reading.Err() == nil {
			t.log.Info("another worker asks for the lease: finishing what is in flight", "claim", l.claim)
			c.wind(t, ErrHandoff)
		}
	}
	return true
}

// wind ends a tenure whose lease is to be given back: what is in flight may be finished, for the time of a handoff.
func (c *Coordinator) wind(t *Held, why error) {
	if t.reading.Err() != nil {
		return
	}
	t.stopReading(why)
	time.AfterFunc(c.cfg.Handoff, func() { t.end(ErrCut) })
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
		for _, t := range c.leases.All() {
			group.Go(func() error {
				if err := t.WriteCheckpoint(t.over); err != nil && t.over.Err() == nil {
					t.log.Warn("the checkpoint could not be written: trying again", "err", err)
				}
				return nil
			})
		}
		group.Wait() //nolint:errcheck // its functions return none
	}
}
