//go:build chaos

package main

import (
	"context"
	"net/http"
	"strings"
	"time"
)

const (
	outageFor  = 22 * time.Second
	truthAfter = 15 * time.Second // the longest that a worker may answer that it is ready though it cannot record or read
)

// suffer has every worker meet the scenario's outage, and compares what they answer with the truth.
func (c *chaos) suffer(ctx context.Context) {
	ready := func(w *process) bool { code, _ := w.ready(); return code == http.StatusOK }
	for slot, w := range c.workers { // one that has no shard has nothing to read or record
		took := eventually(c.t, 2*time.Minute, "the worker is ready and has a shard", func() bool { return ready(w) && w.metric("rootwatch_leases_held") > 0 })
		c.t.Logf("worker %d is ready and has a shard after %s", slot, took.Round(time.Millisecond))
	}
	c.rest(ctx, 2*time.Second) // what is counted since is recorded
	remove := c.injectAll(c.outage)
	began := time.Now()
	unready := make([]time.Duration, len(c.workers)) // since when the worker has answered that it is not; 0 if it has not, or no longer
	answers := make([]string, len(c.workers))
	for time.Since(began) < outageFor && ctx.Err() == nil {
		for slot, w := range c.workers {
			code, text := w.ready()
			switch {
			case code == http.StatusOK:
				if time.Since(began) > truthAfter {
					c.t.Errorf("worker %d answers that it is ready %s after the outage began", slot, time.Since(began).Round(time.Millisecond))
					remove()
					return
				}
				unready[slot] = 0
			case unready[slot] == 0:
				unready[slot], answers[slot] = time.Since(began), strings.TrimSpace(text)
			}
		}
		c.rest(ctx, 200*time.Millisecond)
	}
	if hits := remove(); hits == 0 {
		c.t.Error("the outage has hit nothing")
	}
	for slot := range c.workers {
		c.t.Logf("worker %d answers that it is not ready since %s after the outage began: %s", slot, unready[slot].Round(time.Millisecond), answers[slot])
	}
	for slot, w := range c.workers {
		took := eventually(c.t, 40*time.Second, "the worker is ready again", func() bool { return ready(w) })
		c.t.Logf("worker %d is ready again %s after the outage", slot, took.Round(time.Millisecond))
	}
}
