package kinesis

import (
	"context"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"rootwatch/pipeline/awstest"
	"rootwatch/pipeline/dynamo"
)

// dynamodb-checkpointer.go:142 compares the other host's LeaseTimeout with its own clock: hosts an hour apart steal
// each other's leases all the time, or never.
func TestExpiryDoesNotCompareHostsClocks(t *testing.T) {
	for name, wrong := range map[string]time.Duration{"an hour ahead": time.Hour, "an hour behind": -time.Hour, "a year behind": -365 * 24 * time.Hour} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				c := newCloud(t, 4, awstest.Options{})
				a := c.start("a", setup{config: trimHorizon, worker: func(w *Worker) {
					w.table.now = func() time.Time { return time.Now().Add(wrong) }
				}})
				b := c.start("b", setup{config: trimHorizon})
				until(t, 2*time.Minute, "the shards are shared", func() bool { return len(a.holds()) == 2 && len(b.holds()) == 2 })
				pass(t, 10*time.Second)
				lost := a.metric("rootwatch_lease_changes_total", LeaseLost) + b.metric("rootwatch_lease_changes_total", LeaseLost)
				acquired := a.metric("rootwatch_lease_changes_total", LeaseAcquired) + b.metric("rootwatch_lease_changes_total", LeaseAcquired)
				pass(t, 2*time.Minute)
				if n := a.metric("rootwatch_lease_changes_total", LeaseLost) + b.metric("rootwatch_lease_changes_total", LeaseLost); n != lost || n != 0 {
					t.Errorf("%v leases were lost", n)
				}
				if n := a.metric("rootwatch_lease_changes_total", LeaseAcquired) + b.metric("rootwatch_lease_changes_total", LeaseAcquired); n != acquired {
					t.Errorf("%v leases changed hands", n-acquired)
				}
				// A dead worker's leases expire all the same.
				c.Inject(awstest.Fault{AccessKeyID: "a", Effect: awstest.Drop})
				died := time.Now()
				until(t, time.Minute, "the dead worker's shards are taken over", func() bool { return len(b.holds()) == 4 })
				if took := time.Since(died); took > 23*time.Second {
					t.Errorf("taking over took %s: a lease of 20s and 3s are allowed", took)
				}
			})
		})
	}
}

func TestTheBareLibraryStealsByTheHostsClock(t *testing.T) {
	bubble(t, func(t *testing.T) {
		c := newCloud(t, 1, awstest.Options{})
		c.EnsureTable()
		c.PutItem(dynamo.Item{attrShardID: dynamo.String("shard"), attrOwner: dynamo.String("a worker whose clock is behind"),
			attrTimeout: dynamo.String(time.Now().Add(-time.Second).UTC().Format(time.RFC3339Nano))})
		if err := bareCheckpointer(c, "me", 20*time.Second).GetLease(status("shard"), "me"); err != nil {
			t.Errorf("the library has refused it (%v): the counter is not needed any more", err)
		}
	})
}

// sightings is a coordinator that only looks.
func sightings(lease time.Duration) *coordinator {
	c := newCoordinator()
	c.table = &table{duration: lease}
	return c
}

func TestALeaseExpiresWhenItHasNotMovedForItsWholeDuration(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := sightings(20 * time.Second)
		view := map[string]*row{"shard": {shardID: "shard", owner: "other", epoch: 1, counter: 1, hasCounter: true}}
		c.sight(view, time.Now())
		for range 8 { // looks every quarter, and the lease moves
			time.Sleep(5 * time.Second)
			view["shard"].counter++
			c.sight(view, time.Now())
			if n := c.unmoved("shard"); n != 2500*time.Millisecond {
				t.Fatalf("a lease that moved somewhere in the last 5s has stood still for %s", n)
			}
		}
		for range 3 { // it stands still from here on
			time.Sleep(5 * time.Second)
			c.sight(view, time.Now())
		}
		if n := c.unmoved("shard"); n != 17500*time.Millisecond {
			t.Errorf("unmoved for %s", n)
		}
		for name, change := range map[string]func(*row){
			"a renewal by the bare library moves the timeout alone": func(l *row) { l.timeout = "later" },
			"an acquisition":      func(l *row) { l.epoch++ },
			"a change of owner":   func(l *row) { l.owner = "third" },
			"a renewal":           func(l *row) { l.counter++ },
			"a release and after": func(l *row) { l.owner, l.timeout, l.counter = "", "", l.counter+1 },
		} {
			c.sight(view, time.Now())
			change(view["shard"])
			c.sight(view, time.Now())
			if n := c.unmoved("shard"); n != 0 {
				t.Errorf("%s counts as standing still for %s", name, n)
			}
			time.Sleep(5 * time.Second)
		}
		view["shard"].checkpoint, view["shard"].claim = "10", "third"
		c.sight(view, time.Now())
		if n := c.unmoved("shard"); n == 0 {
			t.Error("a checkpoint or a claim counts as a renewal: neither says that the owner is well")
		}
		c.sight(map[string]*row{}, time.Now())
		if n := c.unmoved("shard"); n != 0 {
			t.Errorf("a lease that is gone has stood still for %s", n)
		}
	})
}

// A worker that has not looked for long (its table was out of reach, its process was stopped) must not take what
// moved in between for half as old as its absence.
func TestAfterALongAbsenceALeaseThatMovedIsFresh(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := sightings(20 * time.Second)
		view := map[string]*row{"moved": {owner: "other", counter: 1}, "not moved": {owner: "dead", counter: 1}}
		c.sight(view, time.Now())
		time.Sleep(10 * time.Minute)
		view["moved"].counter = 100
		c.sight(view, time.Now())
		if n := c.unmoved("moved"); n > 2500*time.Millisecond {
			t.Errorf("a lease that moved has stood still for %s", n)
		}
		if n := c.unmoved("not moved"); n != 10*time.Minute {
			t.Errorf("a lease that did not move has stood still for %s", n)
		}
	})
}

// The owner gives a lease up before anybody may take it, whenever within their rhythms each of them looks.
func TestTheFenceIsAheadOfExpiry(t *testing.T) {
	const duration = 20 * time.Second
	for look := time.Duration(0); look < 5*time.Second; look += 250 * time.Millisecond {
		for _, latency := range []time.Duration{0, time.Second, 4 * time.Second} { // of the last renewal
			synctest.Test(t, func(t *testing.T) {
				start := time.Now()
				h := newHeld(&shard{id: "shard"}, &row{}, StartAt{}, start, &table{duration: duration}, NewMetrics(prometheusRegistry(), time.Now), new(logs).logger())
				fenced := make(chan time.Time, 1)
				context.AfterFunc(h.over, func() { fenced <- time.Now() })
				c := sightings(duration)
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
					c.sight(map[string]*row{"shard": {owner: "me", counter: counter.Load()}}, time.Now())
					wait := c.quarter()
					if left := duration - c.unmoved("shard"); left <= 0 {
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
