package kinesis

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"rootwatch/pipeline/awstest"
	"rootwatch/pipeline/kinesis/metrics"
)

// even reports whether the readers hold all of n shards, each as many as the others but for one.
func even(n int, readers ...*reader) bool {
	sum, least, most := 0, n, 0
	for _, r := range readers {
		held := len(r.holds())
		sum, least, most = sum+held, min(least, held), max(most, held)
	}
	return sum == n && most-least <= 1
}

// producer puts records until it is stopped.
func (c *cloud) producer(every time.Duration, n int) (stop func()) {
	end, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		ticker := time.NewTicker(every)
		defer ticker.Stop()
		for {
			select {
			case <-end:
				return
			case <-ticker.C:
				c.Put(n)
			}
		}
	}()
	return func() { close(end); <-ended }
}

// The library balances only with its lease stealing (off by default), which does nothing while any
// shard has no checkpoint (dynamodb-checkpointer.go:361): with idle shards a new worker gets
// nothing.
func TestWorkersShareTheShardsEvenly(t *testing.T) {
	const lease = 20 * time.Second
	for _, shards := range []int{7, 8} {
		for _, idle := range []bool{true, false} {
			t.Run(fmt.Sprintf("%d shards, idle %v", shards, idle), func(t *testing.T) {
				bubble(t, func(t *testing.T) {
					c := newCloud(t, shards, awstest.Options{})
					stop := func() {}
					if !idle {
						stop = c.producer(300*time.Millisecond, 2*shards)
					}
					var all, running []*reader
					join := func() {
						r := c.start(fmt.Sprint("worker ", len(all)+1), setup{config: trimHorizon})
						all, running = append(all, r), append(running, r)
					}
					shared := func(what string) {
						t.Helper()
						began := time.Now()
						until(t, 3*lease, what, func() bool { return even(shards, running...) })
						t.Logf("%s: after %s", what, time.Since(began))
						pass(t, lease) // and it stays so
						if !even(shards, running...) {
							t.Errorf("%s: the balance does not last", what)
						}
					}
					join()
					shared("one worker holds all")
					join()
					shared("two workers")
					join()
					shared("three workers")
					running[0].endWell()
					running = running[1:]
					shared("two of three are left")
					stop()
					c.readAll(time.Minute, all...)
					for _, r := range running {
						r.endWell()
					}
					// All handoffs were quiet: the owner finished what it had.
					c.once(all...)
				})
			})
		}
	}
}

func TestManyWorkersStartingAtOnceShareEvenly(t *testing.T) {
	bubble(t, func(t *testing.T) {
		const shards = 16
		c := newCloud(t, shards, awstest.Options{})
		stop := c.producer(time.Second, shards)
		var all []*reader
		for i := range 5 {
			all = append(all, c.start(fmt.Sprint("worker ", i), setup{config: trimHorizon}))
		}
		until(t, time.Minute, "five workers share 16 shards", func() bool { return even(shards, all...) })
		// Steals must settle: no lease goes round.
		pass(t, 10*time.Second)
		before := stolen(all)
		pass(t, time.Minute)
		if after := stolen(all); after != before {
			t.Errorf("%v leases were handed over between workers that share evenly", after-before)
		}
		stop()
		c.readAll(time.Minute, all...)
		for _, r := range all {
			r.endWell()
		}
		c.once(all...)
	})
}

func stolen(readers []*reader) (n float64) {
	for _, r := range readers {
		n += r.metric("rootwatch_lease_changes_total", metrics.LeaseStolen)
	}
	return n
}

// worker.go:331 means to steal one shard at a time, and its guard never holds. Here two newcomers
// may ask for many at once, but never for the same, and for few more than bring them level: neither
// knows at first how many they are, and what was too much is asked back.
func TestTwoNewcomersNeverAskForTheSameLease(t *testing.T) {
	bubble(t, func(t *testing.T) {
		const shards = 9
		c := newCloud(t, shards, awstest.Options{})
		first := c.start("first", setup{config: trimHorizon})
		first.holding(shards)
		pass(t, 10*time.Second)
		second, third := c.start("second", setup{config: trimHorizon}), c.start("third", setup{config: trimHorizon})
		until(t, time.Minute, "three each", func() bool { return even(shards, first, second, third) })
		pass(t, time.Minute)
		if !even(shards, first, second, third) {
			t.Error("the balance does not last")
		}
		all := []*reader{first, second, third}
		asked := 0
		for _, r := range all {
			asked += len(r.logs.Lines("asked for a lease"))
		}
		if n := stolen(all); n != float64(asked) || asked < 6 || asked > 10 {
			t.Errorf("%d leases were asked for and %v handed over, 6 are enough", asked, n)
		}
		for id, l := range c.Leases() {
			if l.Claim != "" {
				t.Errorf("a claim on %s is left: %+v", id, l)
			}
		}
	})
}

// What a dead worker leaves is shared by the others as it expires, not taken by the first and
// handed on.
func TestFreeLeasesBeyondTheShareAreLeftToTheOthers(t *testing.T) {
	bubble(t, func(t *testing.T) {
		const shards = 9
		c := newCloud(t, shards, awstest.Options{})
		var all []*reader
		for i := range 3 {
			all = append(all, c.start(fmt.Sprint("worker ", i), setup{config: trimHorizon}))
		}
		until(t, time.Minute, "three each", func() bool { return even(shards, all...) })
		pass(t, 10*time.Second)
		before := stolen(all)
		c.Inject(awstest.Fault{AccessKeyID: "worker 0", Effect: awstest.Drop})
		until(t, time.Minute, "two share all", func() bool { return even(shards, all[1:]...) })
		pass(t, 20*time.Second)
		if n := stolen(all) - before; n != 0 {
			t.Errorf("%v leases were handed on", n)
		}
	})
}

func TestAKilledWorkersShardsAreReadAgainWithinALeaseAndThreeSeconds(t *testing.T) {
	bubble(t, func(t *testing.T) {
		c := newCloud(t, 4, awstest.Options{})
		a, b := c.start("a", setup{config: trimHorizon}), c.start("b", setup{config: trimHorizon})
		until(t, time.Minute, "the shards are shared", func() bool { return even(4, a, b) })
		for range 5 { // at any point of the rhythm of renewals
			pass(t, 1300*time.Millisecond)
			killed := c.Inject(awstest.Fault{AccessKeyID: "a", Effect: awstest.Drop})
			at := time.Now()
			wanted := c.Put(40)
			until(t, time.Minute, "all is read by the survivor", func() bool {
				counts := count(b)
				return !slices.ContainsFunc(wanted, func(s string) bool { return counts[s] == 0 })
			})
			if took := time.Since(at); took > 23*time.Second {
				t.Errorf("taking over took %s", took)
			}
			killed.Remove()
			until(t, 2*time.Minute, "the shards are shared again", func() bool { return even(4, a, b) })
		}
	})
}

func TestAHandoffWaitsForWhatIsInFlight(t *testing.T) {
	bubble(t, func(t *testing.T) {
		c := newCloud(t, 2, awstest.Options{})
		h := hold{on: true}
		a := c.start("a", setup{config: trimHorizon, submit: h.submit})
		a.holding(2)
		c.Put(100)
		c.readAll(time.Minute, a)
		b := c.start("b", setup{config: trimHorizon})
		until(t, time.Minute, "a is asked for a lease", func() bool { return len(a.logs.Lines("another worker asks")) == 1 })
		asked := time.Now()
		c.Put(100)               // goes to b where the lease is handed over
		pass(t, 25*time.Second)  // longer than a lease: it is renewed meanwhile
		if len(b.holds()) != 0 { // b has taken nothing
			t.Errorf("b holds %v before a has finished", b.holds())
		}
		h.set(false)
		if h.finish() == 0 {
			t.Fatal("nothing was in flight")
		}
		until(t, 10*time.Second, "b has its share", func() bool { return len(b.holds()) == 1 })
		t.Logf("handed over after %s", time.Since(asked))
		c.readAll(time.Minute, a, b)
		a.endWell()
		b.endWell()
		c.once(a, b)
	})
}

// The library hands over whatever is in flight (and loses the claim at the next checkpoint); here a
// stuck pipeline cannot keep a lease from the others.
func TestAHandoffHasALimit(t *testing.T) {
	bubble(t, func(t *testing.T) {
		c := newCloud(t, 2, awstest.Options{})
		h := hold{on: true}
		a := c.start("a", setup{config: func(cfg *Config) { trimHorizon(cfg); cfg.HandoffTimeout = 30 * time.Second }, submit: h.submit})
		a.holding(2)
		c.Put(100)
		c.readAll(time.Minute, a)
		b := c.start("b", setup{config: trimHorizon})
		until(t, time.Minute, "a is asked for a lease", func() bool { return len(a.logs.Lines("another worker asks")) == 1 })
		asked := time.Now()
		until(t, time.Minute, "b has its share", func() bool { return len(b.holds()) == 1 })
		if took := time.Since(asked); took < 30*time.Second || took > 33*time.Second {
			t.Errorf("the handoff took %s, its limit is 30s", took)
		}
		id := b.holds()[0]
		until(t, time.Minute, "b reads it from the beginning", func() bool { return len(b.recordsOf(id)) == 50 })
		if l := c.Leases()[a.holds()[0]]; l.Checkpoint != "" {
			t.Errorf("what was never finished is checkpointed: %+v", l)
		}
		a.end() //nolint:errcheck // it is stuck, and says so
	})
}

// A worker that has asked for a lease and died must not keep it from the others for longer than a
// lease.
func TestAClaimOfADeadWorkerExpires(t *testing.T) {
	bubble(t, func(t *testing.T) {
		c := newCloud(t, 2, awstest.Options{})
		a := c.start("a", setup{config: trimHorizon})
		a.holding(2)
		c.Set(shardID(0), "ClaimRequest", "dead")
		until(t, 20*time.Second, "it is handed over", func() bool { return len(a.holds()) == 1 })
		began := time.Now()
		a.holding(2)
		if took := time.Since(began); took < 15*time.Second || took > 25*time.Second {
			t.Errorf("the lease was taken back after %s, want about a lease of 20s", took)
		}
	})
}
