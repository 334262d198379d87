package lease

import (
	"errors"
	"math/rand/v2"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"rootwatch/pipeline/awstest"
	"rootwatch/pipeline/kinesis/metrics"
	"rootwatch/pipeline/kinesis/streamtest"
)

// testHeld is the holding of a lease that is in the table.
func testHeld(t *testing.T, c *streamtest.Cloud) *Held {
	t.Helper()
	c.EnsureTable()
	s, table := &shard{ID: "shard"}, tableOf(c, "me", 20*time.Second)
	l := must(t)(table.acquire(t.Context(), s, nil, false))
	return newHeld(s, l, StartAt{}, time.Now(), table, metrics.New(prometheus.NewPedanticRegistry(), time.Now), new(streamtest.Logs).Logger())
}

func TestTheCheckpointIsTheLastBatchBelowWhichAllAreFinished(t *testing.T) {
	streamtest.Bubble(t, func(t *testing.T) {
		c := streamtest.New(t, 1, awstest.Options{})
		h := testHeld(t, c)
		var done []func()
		for i := range 5 {
			done = append(done, h.Add(at(i)))
		}
		for _, step := range []struct {
			finish int
			want   string
		}{{2, ""}, {1, ""}, {0, "0002"}, {4, "0002"}, {3, "0004"}} {
			done[step.finish]()
			if err := h.WriteCheckpoint(t.Context()); err != nil {
				t.Fatal(err)
			}
			if l := rowOf(t, c, "shard"); l.checkpoint != step.want {
				t.Errorf("with batch %d finished the checkpoint is %q, want %q", step.finish, l.checkpoint, step.want)
			}
		}
		h.finish()
		if l := rowOf(t, c, "shard"); l.checkedAt != at(4).time() || l.owner != "" {
			t.Errorf("the lease is %+v", l)
		}
	})
}

// In whatever order batches are finished and checkpoints written: a checkpoint never goes back, and
// is never ahead of anything unfinished.
func TestCheckpointsNeverGoBackNorAhead(t *testing.T) {
	streamtest.Bubble(t, func(t *testing.T) {
		c := streamtest.New(t, 1, awstest.Options{})
		h := testHeld(t, c)
		dice := rand.New(rand.NewPCG(1, 3))
		open := map[int]func(){}
		added, last := 0, ""
		for range 500 {
			switch {
			case dice.IntN(3) > 0 || len(open) == 0:
				open[added] = h.Add(at(added))
				added++
			default:
				n := dice.IntN(len(open))
				for i, done := range open { // any of them
					if n--; n < 0 {
						done()
						delete(open, i)
						break
					}
				}
			}
			if dice.IntN(3) > 0 {
				continue
			}
			if err := h.WriteCheckpoint(t.Context()); err != nil {
				t.Fatal(err)
			}
			checkpoint := rowOf(t, c, "shard").checkpoint
			if checkpoint < last {
				t.Fatalf("the checkpoint went from %s to %s", last, checkpoint)
			}
			last = checkpoint
			for i := range open {
				if at(i).SequenceNumber <= checkpoint {
					t.Fatalf("the checkpoint is %s, batch %d is not finished", checkpoint, i)
				}
			}
		}
		for _, done := range open {
			done()
		}
		h.finish()
		if l := rowOf(t, c, "shard"); l.checkpoint != at(added-1).SequenceNumber {
			t.Errorf("the last checkpoint is %s, want %s", l.checkpoint, at(added-1).SequenceNumber)
		}
	})
}

func TestACheckpointThatHasNotMovedIsNotWritten(t *testing.T) {
	streamtest.Bubble(t, func(t *testing.T) {
		c := streamtest.New(t, 1, awstest.Options{})
		h := testHeld(t, c)
		h.Add(at(1))()
		h.Add(at(2)) // not finished
		c.ResetCalls()
		for range 5 {
			if err := h.WriteCheckpoint(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		if n := c.CallsBy("me")["dynamodb:UpdateItem"]; n != 1 || testutil.ToFloat64(h.metrics.Checkpoints) != 1 {
			t.Errorf("the checkpoint was written %d times, counted %v times", n, testutil.ToFloat64(h.metrics.Checkpoints))
		}
		h.End(ErrCut)
		h.finish()
	})
}

func TestALeaseWithoutRenewalsIsLostAfterThreeQuarters(t *testing.T) {
	streamtest.Bubble(t, func(t *testing.T) {
		h := testHeld(t, streamtest.New(t, 1, awstest.Options{}))
		for range 5 {
			streamtest.Pass(t, 10*time.Second)
			h.renewed(time.Now().Add(-time.Second)) // asked a second ago
		}
		streamtest.Pass(t, 14*time.Second-time.Millisecond)
		if h.over.Err() != nil {
			t.Fatal("lost too early")
		}
		streamtest.Pass(t, time.Millisecond)
		if h.over.Err() == nil || h.reading.Err() == nil {
			t.Error("not lost 15s after the last renewal was asked for, of 20s")
		}
		h.finish()
		if n := testutil.ToFloat64(h.metrics.LeaseChanges.WithLabelValues(metrics.LeaseLost)); n != 1 {
			t.Errorf("%v losses are counted", n)
		}
	})
}

// A renewal that was under way when the lease was given back is refused: that is no loss.
func TestARenewalThatTheReleaseOvertakesIsNoLoss(t *testing.T) {
	streamtest.Bubble(t, func(t *testing.T) {
		c := streamtest.New(t, 1, awstest.Options{})
		h := testHeld(t, c)
		said := new(streamtest.Logs)
		h.log = said.Logger()
		heart := &Coordinator{}
		heart.table, heart.metrics = h.table, h.metrics
		c.Inject(awstest.Fault{AccessKeyID: "me", Operation: "UpdateItem", Effect: awstest.Slow, Delay: time.Second, Count: 1})
		renewed := make(chan bool)
		go func() { renewed <- heart.renew(t.Context(), h) }()
		synctest.Wait()
		h.finish()
		if !<-renewed {
			t.Error("the renewal would be tried again")
		}
		if lost := said.Lines("lease lost"); len(lost) > 0 {
			t.Errorf("logged %q", lost)
		}
		if l := rowOf(t, c, "shard"); l.owner != "" {
			t.Errorf("the lease belongs to %s", l.owner)
		}
	})
}

// A write of the checkpoint that hangs must not keep a lease from being released in time.
func TestAHangingCheckpointDoesNotHoldUpTheEnd(t *testing.T) {
	streamtest.Bubble(t, func(t *testing.T) {
		c := streamtest.New(t, 1, awstest.Options{})
		h := testHeld(t, c)
		h.Add(at(1))()
		c.Inject(awstest.Fault{AccessKeyID: "me", Operation: "UpdateItem", Effect: awstest.Hang})
		hangs := make(chan error)
		go func() { hangs <- h.WriteCheckpoint(h.over) }()
		synctest.Wait()
		began := time.Now()
		h.finish()
		if took := time.Since(began); took > ReleaseTimeout {
			t.Errorf("the end took %s", took)
		}
		h.End(ErrCut)
		if err := <-hangs; err == nil {
			t.Error("the hanging write has succeeded")
		}
	})
}

// The states as they are drawn over Held.to: no other change is possible, and each ends what it
// must.
func TestAHeldLeaseChangesAsItIsDrawn(t *testing.T) {
	type step struct {
		from, to       state
		reading, going bool // Reading and Over go on afterwards
	}
	allowed := map[[2]state]step{}
	for _, s := range []step{
		{reading, finishing, false, true}, {reading, cut, false, false}, {reading, lost, false, false},
		{finishing, cut, false, false}, {finishing, releasing, false, true}, {finishing, lost, false, false},
		{cut, releasing, false, false},
		{releasing, released, false, true}, {releasing, lost, false, false},
	} {
		allowed[[2]state{s.from, s.to}] = s
	}
	ways := map[state][]state{reading: {}, finishing: {finishing}, cut: {cut}, releasing: {finishing, releasing}, released: {finishing, releasing, released}, lost: {lost}}
	for from, way := range ways {
		for to := reading; to <= lost; to++ {
			synctest.Test(t, func(t *testing.T) {
				h := newHeld(&shard{ID: "shard"}, &row{}, StartAt{}, time.Now(), &table{duration: time.Minute}, metrics.New(prometheus.NewPedanticRegistry(), time.Now), new(streamtest.Logs).Logger())
				defer h.stopTimers()
				for _, s := range way {
					if !h.to(s, ErrStop) {
						t.Fatalf("no way to %d", from)
					}
				}
				over := h.over.Err() != nil
				want, may := allowed[[2]state{from, to}]
				if h.to(to, ErrHandoff) != may {
					t.Fatalf("from %d to %d: possible %t, want %t", from, to, !may, may)
				}
				if !may {
					if h.state != from || (h.over.Err() != nil) != over {
						t.Errorf("a refused change from %d to %d has changed it to %d", from, to, h.state)
					}
					return
				}
				if h.state != to || (h.reading.Err() == nil) != want.reading || (h.over.Err() == nil) != want.going {
					t.Errorf("from %d to %d: state %d, reading goes on %t, all goes on %t", from, to, h.state, h.reading.Err() == nil, h.over.Err() == nil)
				}
			})
		}
	}
}

// A refusal that the item contradicts is no loss: a storm of them would end every lease.
func TestARefusalThatTheItemContradictsIsNotBelieved(t *testing.T) {
	for name, body := range map[string]string{
		"without the item": `{"__type":"com.amazonaws.dynamodb.v20120810#ConditionalCheckFailedException","message":"The conditional request failed"}`,
		"with another item": `{"__type":"com.amazonaws.dynamodb.v20120810#ConditionalCheckFailedException","message":"The conditional request failed",
			"Item":{"ShardID":{"S":"shard"},"AssignedTo":{"S":"me"},"LeaseEpoch":{"N":"1"},"LeaseCounter":{"N":"1"}}}`,
	} {
		t.Run(name, func(t *testing.T) {
			streamtest.Bubble(t, func(t *testing.T) {
				c := streamtest.New(t, 1, awstest.Options{})
				h := testHeld(t, c)
				done := h.Add(at(1))
				done()
				var refusing atomic.Bool
				refusing.Store(true)
				c.OnCall(func(k *streamtest.Call) {
					if k.Action == "dynamodb:UpdateItem" && refusing.Load() {
						k.Say(400, body)
					}
				})
				if _, err := h.table.renew(t.Context(), "shard", h.epoch, time.Time{}); err == nil || errors.Is(err, errFenced) {
					t.Errorf("the renewal: %v", err)
				}
				if err := h.WriteCheckpoint(t.Context()); err == nil || errors.Is(err, errFenced) || h.over.Err() != nil {
					t.Errorf("the checkpoint: %v, the lease is over: %v", err, h.over.Err())
				}
				refusing.Store(false)
				if err := h.WriteCheckpoint(t.Context()); err != nil {
					t.Errorf("the next checkpoint: %v", err)
				}
				c.Set("shard", attrOwner, "other")
				refusing.Store(true)
				if _, err := h.table.renew(t.Context(), "shard", h.epoch, time.Time{}); name == "without the item" && !errors.Is(err, errFenced) {
					t.Errorf("a renewal of another's lease: %v", err)
				}
			})
		})
	}
}
