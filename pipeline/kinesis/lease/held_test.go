package lease

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"rootwatch/pipeline/awstest"
	"rootwatch/pipeline/kinesis/metrics"
	"rootwatch/pipeline/kinesis/streamtest"
)

// testHeld is a tenure of a lease that is in the table.
func testHeld(t *testing.T, c *streamtest.Cloud) *Held {
	t.Helper()
	c.EnsureTable()
	s, table := &Shard{ID: "shard"}, tableOf(c, "me", 20*time.Second)
	l := must(t)(table.acquire(t.Context(), s, nil, false))
	return newHeld(s, l, StartAt{}, time.Now(), table, metrics.New(prometheus.NewPedanticRegistry(), time.Now), new(streamtest.Logs).Logger())
}

func at(n int) Position {
	return Position{SequenceNumber: fmt.Sprintf("%04d", n), Arrival: time.Unix(int64(n), 0)}
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

// In whatever order batches are finished and checkpoints written: a checkpoint never goes back, and is never ahead of
// anything unfinished.
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
		h.end(ErrCut)
		h.finish()
	})
}

func TestDrainWaitsForAllThatIsInFlight(t *testing.T) {
	streamtest.Bubble(t, func(t *testing.T) {
		h := testHeld(t, streamtest.New(t, 1, awstest.Options{}))
		if err := h.drain(); err != nil {
			t.Errorf("with nothing in flight: %v", err)
		}
		first, second := h.Add(at(1)), h.Add(at(2))
		drained := make(chan error, 2)
		for range 2 {
			go func() { drained <- h.drain() }()
		}
		second()
		synctest.Wait()
		if len(drained) > 0 {
			t.Error("drained with a batch in flight")
		}
		first()
		for range 2 {
			if err := <-drained; err != nil {
				t.Error(err)
			}
		}
		h.Add(at(3))
		go func() { drained <- h.drain() }()
		synctest.Wait()
		h.end(ErrCut)
		if err := <-drained; !errors.Is(err, ErrCut) {
			t.Errorf("drained by %v", err)
		}
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
		h.end(ErrCut)
		if err := <-hangs; err == nil {
			t.Error("the hanging write has succeeded")
		}
	})
}
