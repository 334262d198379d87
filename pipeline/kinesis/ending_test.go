package kinesis

import (
	"sync/atomic"
	"testing"
	"time"

	"rootwatch/pipeline/awstest"
	"rootwatch/pipeline/kinesis/fetch"
	"rootwatch/pipeline/kinesis/lease"
	"rootwatch/pipeline/kinesis/streamtest"
)

// The lease ends between the answer with a shard's last records and the record processor that takes
// them: nobody has seen them, so the shard is not finished.
func TestTheEndOfAShardIsNotWrittenOverRecordsThatNobodySaw(t *testing.T) {
	for name, cause := range map[string]error{"cut at a deadline": lease.ErrCut, "lease lost": lease.ErrLost, "a panic": lease.ErrPanic} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				c := newCloud(t, 1, awstest.Options{})
				c.Put(10)
				c.Split(shardID(0))
				ended := false
				r := c.start("worker", setup{config: trimHorizon, tune: func(_ *lease.Config, f *fetch.Config) {
					wake := f.ShardEnded
					f.ShardEnded = func() {
						if h := f.Leases.Get(shardID(0)); h != nil && !ended {
							ended = true
							h.End(cause)
						}
						wake()
					}
				}})
				c.readAll(2*time.Minute, r)
				until(t, time.Minute, "the shard is finished", func() bool { return c.Leases()[shardID(0)].Finished() })
				if !ended {
					t.Fatal("the end of the shard was never handed on")
				}
				r.endWell()
			})
		})
	}
}

// SIGTERM while a table that does not answer is asked for many leases: each would take the time of
// a call.
func TestAStopWhileLeasesAreTakenTakesNoMore(t *testing.T) {
	bubble(t, func(t *testing.T) {
		c := newCloud(t, 300, awstest.Options{})
		var hangs atomic.Bool
		c.OnCall(func(k *streamtest.Call) {
			if k.Action == "dynamodb:Scan" && k.ID == "worker" && hangs.CompareAndSwap(false, true) {
				c.Inject(awstest.Fault{Operation: "UpdateItem", AccessKeyID: "worker", Effect: awstest.Hang})
			}
		})
		r := c.start("worker", setup{config: trimHorizon})
		until(t, time.Minute, "the table was read", hangs.Load)
		pass(t, time.Second)
		before := c.CallsBy("worker")["dynamodb:UpdateItem"]
		took, err := r.end()
		if took > 6*time.Second || err != nil { // those under way have 5 s
			t.Errorf("the stop took %s: %v", took, err)
		}
		pass(t, 2*time.Minute)
		if n := c.CallsBy("worker")["dynamodb:UpdateItem"] - before; n > 0 {
			t.Errorf("%d more leases were asked for", n)
		}
		c.ClearFaults()
	})
}

// A worker that has asked for leases and stops in order must not leave them waiting for it.
func TestAWorkerThatStopsTakesItsClaimsBack(t *testing.T) {
	bubble(t, func(t *testing.T) {
		c := newCloud(t, 4, awstest.Options{})
		a := c.start("a", setup{config: trimHorizon})
		a.holding(4)
		pass(t, 30*time.Second)
		b := c.start("b", setup{config: trimHorizon})
		until(t, time.Minute, "it has asked for two", func() bool { return len(b.logs.Lines("asked for a lease")) == 2 })
		b.endWell()
		for id, l := range c.Leases() {
			if l.Claim != "" {
				t.Errorf("%s is still claimed by %s", id, l.Claim)
			}
		}
		var unread time.Duration
		for range 400 {
			pass(t, 100*time.Millisecond)
			if len(a.holds()) < 4 {
				unread += 100 * time.Millisecond
			}
		}
		if unread > 3*time.Second {
			t.Errorf("shards were nobody's for %s after an orderly stop", unread)
		}
		a.endWell()
	})
}
