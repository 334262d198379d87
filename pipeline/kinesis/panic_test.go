package kinesis

import (
	"context"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"rootwatch/pipeline/awstest"
	"rootwatch/pipeline/kinesis/fetch"
	"rootwatch/pipeline/kinesis/lease"
)

// common-shard-consumer.go:175 calls the record processor without a recover: a panic there ends the
// process, and after its restart it comes again.
func TestAPanicGivesTheLeaseUpAndTheProcessLives(t *testing.T) {
	bubble(t, func(t *testing.T) {
		c := newCloud(t, 2, awstest.Options{})
		var broken atomic.Bool
		r := c.start("worker", setup{config: trimHorizon, submit: func(_ context.Context, _ *reader, b *batch) error {
			if broken.Load() && b.ShardID == shardID(0) {
				panic("a broken pipeline")
			}
			b.Done(outcome{})
			return nil
		}})
		r.holding(2)
		c.Put(20)
		c.readAll(time.Minute, r)
		pass(t, 5*time.Second)
		before := c.Leases()

		broken.Store(true)
		c.Put(20)
		pass(t, time.Minute)
		panics := r.metric("rootwatch_panics_recovered_total", "")
		if panics < 2 || panics > 20 {
			t.Errorf("%v panics in a minute: it is tried again, with pauses", panics)
		}
		said := r.logs.Lines("level=ERROR", "panic recovered", "a broken pipeline", "ProcessRecords", shardID(0))
		if len(said) != int(panics) || !strings.Contains(said[0], "panic_test.go") {
			t.Errorf("it is logged with its stack: %q", said)
		}
		if epoch := c.Leases()[shardID(0)].Epoch; epoch < before[shardID(0)].Epoch+int64(panics)-1 {
			t.Errorf("the lease was not given up: epoch %d after %v panics", epoch, panics)
		}
		if l := c.Leases()[shardID(0)]; l.Checkpoint != before[shardID(0)].Checkpoint {
			t.Errorf("what has panicked is checkpointed: %+v", l)
		}
		if n := len(r.recordsOf(shardID(1))); n != 20 {
			t.Errorf("the other shard has %d records read, want 20", n)
		}
		if l := c.Leases()[shardID(1)]; l.Epoch != before[shardID(1)].Epoch {
			t.Errorf("the other shard's lease has changed hands: %+v", l)
		}
		if n := r.metric("rootwatch_fetch_memory_bytes", ""); n != 0 {
			t.Errorf("%v bytes are still reserved", n)
		}

		broken.Store(false)
		healed := len(r.recordsOf(shardID(0)))
		until(t, time.Minute, "the shard is read on", func() bool { return len(r.recordsOf(shardID(0))) >= healed+10 })
		r.endWell()
		got := r.recordsOf(shardID(0))
		if last := got[len(got)-10:]; !slices.IsSorted(last) || last[9] != "record 000038" {
			t.Errorf("the last ten are %q", last)
		}
	})
}

func TestAPanicWhileAnotherWorkerIsWellHandsTheShardOver(t *testing.T) {
	bubble(t, func(t *testing.T) {
		c := newCloud(t, 2, awstest.Options{})
		a := c.start("a", setup{config: trimHorizon, submit: func(context.Context, *reader, *batch) error { panic("a broken pipeline") }})
		b := c.start("b", setup{config: trimHorizon})
		until(t, time.Minute, "the shards are shared", func() bool { return even(2, a, b) })
		c.Put(20)
		until(t, 2*time.Minute, "the other worker reads all", func() bool { return len(count(b)) == 20 })
		if n := a.metric("rootwatch_panics_recovered_total", ""); n == 0 {
			t.Error("no panic is counted")
		}
	})
}

// A panic elsewhere that the library calls us.
func TestAPanicInFetchIsRecovered(t *testing.T) {
	bubble(t, func(t *testing.T) {
		c := newCloud(t, 1, awstest.Options{})
		var broken atomic.Bool
		r := c.start("worker", setup{config: trimHorizon, tune: func(_ *lease.Config, f *fetch.Config) {
			wake := f.ShardEnded
			f.ShardEnded = func() {
				if broken.Swap(false) {
					panic("a broken fetcher")
				}
				wake()
			}
		}})
		c.Put(10)
		c.readAll(time.Minute, r)
		broken.Store(true)
		c.PutInto(10, c.Split(shardID(0))...)
		c.readAll(time.Minute, r)
		if n := r.metric("rootwatch_panics_recovered_total", ""); n != 1 {
			t.Errorf("%v panics are counted", n)
		}
		if n := r.metric("rootwatch_fetch_memory_bytes", ""); n != 0 {
			t.Errorf("%v bytes are still reserved", n)
		}
		r.endWell()
		c.once(r)
	})
}
