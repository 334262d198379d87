package lease

import (
	"context"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"rootwatch/pipeline/kinesis/metrics"
	"rootwatch/pipeline/kinesis/streamtest"
)

// looker looks at leases every quarter of their duration.
type looker struct {
	observations
	duration time.Duration
}

func newLooker(duration time.Duration) *looker { return &looker{make(observations), duration} }

func (l *looker) quarter() time.Duration { return l.duration / 4 }

func (l *looker) look(rows map[string]*row) { l.observe(rows, time.Now(), l.quarter()) }

func (l *looker) unchanged(id string) time.Duration { return l.unchangedFor(id, time.Now()) }

func TestALeaseExpiresWhenItHasNotMovedForItsWholeDuration(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newLooker(20 * time.Second)
		view := map[string]*row{"shard": {shardID: "shard", owner: "other", epoch: 1, counter: 1, hasCounter: true}}
		c.look(view)
		for range 8 { // looks every quarter, and the lease moves
			time.Sleep(5 * time.Second)
			view["shard"].counter++
			c.look(view)
			if n := c.unchanged("shard"); n != 2500*time.Millisecond {
				t.Fatalf("a lease that moved somewhere in the last 5s has stood still for %s", n)
			}
		}
		for range 3 { // it stands still from here on
			time.Sleep(5 * time.Second)
			c.look(view)
		}
		if n := c.unchanged("shard"); n != 17500*time.Millisecond {
			t.Errorf("unchanged for %s", n)
		}
		for name, change := range map[string]func(*row){
			"a renewal by the bare library moves the timeout alone": func(l *row) { l.timeout = "later" },
			"an acquisition":      func(l *row) { l.epoch++ },
			"a change of owner":   func(l *row) { l.owner = "third" },
			"a renewal":           func(l *row) { l.counter++ },
			"a release and after": func(l *row) { l.owner, l.timeout, l.counter = "", "", l.counter+1 },
		} {
			c.look(view)
			change(view["shard"])
			c.look(view)
			if n := c.unchanged("shard"); n != 0 {
				t.Errorf("%s counts as standing still for %s", name, n)
			}
			time.Sleep(5 * time.Second)
		}
		view["shard"].checkpoint, view["shard"].claim = "10", "third"
		c.look(view)
		if n := c.unchanged("shard"); n == 0 {
			t.Error("a checkpoint or a claim counts as a renewal: neither says that the owner is well")
		}
		c.look(map[string]*row{})
		if n := c.unchanged("shard"); n != 0 {
			t.Errorf("a lease that is gone has stood still for %s", n)
		}
	})
}

// A worker that has not looked for long (its table was out of reach, its process was stopped) must
// not take what moved in between for half as old as its absence.
func TestAfterALongAbsenceALeaseThatMovedIsFresh(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newLooker(20 * time.Second)
		view := map[string]*row{"moved": {owner: "other", counter: 1}, "not moved": {owner: "dead", counter: 1}}
		c.look(view)
		time.Sleep(10 * time.Minute)
		view["moved"].counter = 100
		c.look(view)
		if n := c.unchanged("moved"); n > 2500*time.Millisecond {
			t.Errorf("a lease that moved has stood still for %s", n)
		}
		if n := c.unchanged("not moved"); n != 10*time.Minute {
			t.Errorf("a lease that did not move has stood still for %s", n)
		}
	})
}

// The owner gives a lease up before anybody may take it, whenever within their rhythms each of them
// looks.
func TestTheFenceIsAheadOfExpiry(t *testing.T) {
	const duration = 20 * time.Second
	for look := time.Duration(0); look < 5*time.Second; look += 250 * time.Millisecond {
		for _, latency := range []time.Duration{0, time.Second, 4 * time.Second} { // of the last renewal
			synctest.Test(t, func(t *testing.T) {
				start := time.Now()
				h := newHeld(&shard{ID: "shard"}, &row{}, StartAt{}, start, &table{duration: duration}, metrics.New(prometheus.NewPedanticRegistry(), time.Now), new(streamtest.Logs).Logger())
				fenced := make(chan time.Time, 1)
				context.AfterFunc(h.over, func() { fenced <- time.Now() })
				c := newLooker(duration)
				var counter atomic.Int64
				var expired time.Time
				go func() { // the last renewal: asked at 10s, written at once, heard of later
					time.Sleep(10 * time.Second)
					asked := time.Now()
					counter.Add(1)
					time.Sleep(latency)
					h.renewed(asked)
				}()
				time.Sleep(look)
				for expired.IsZero() {
					synctest.Wait()
					c.look(map[string]*row{"shard": {owner: "me", counter: counter.Load()}})
					wait := c.quarter()
					if left := duration - c.unchanged("shard"); left <= 0 {
						expired = time.Now()
					} else {
						wait = min(wait, left)
					}
					time.Sleep(wait)
				}
				if given := <-fenced; expired.Sub(given) < duration/8 {
					t.Errorf("look at %s, latency %s: given up after %s, free after %s", look, latency, given.Sub(start), expired.Sub(start))
				}
			})
		}
	}
}
