package kinesis

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/vmware/vmware-go-kcl-v2/clientlibrary/interfaces"

	"rootwatch/pipeline/awstest"
)

// testHeld is a tenure of a lease that is in the table.
func testHeld(t *testing.T, c *Cloud) *Held {
	t.Helper()
	c.EnsureTable()
	s, table := &shard{id: "shard"}, c.table("me", 20*time.Second)
	l := must(t)(table.acquire(t.Context(), s, nil, false))
	return newHeld(s, l, StartAt{}, time.Now(), table, NewMetrics(prometheusRegistry(), time.Now), new(logs).logger())
}

func at(n int) position {
	return position{sequenceNumber: fmt.Sprintf("%04d", n), arrival: time.Unix(int64(n), 0)}
}

func TestTheCheckpointIsTheLastBatchBelowWhichAllAreFinished(t *testing.T) {
	bubble(t, func(t *testing.T) {
		c := newCloud(t, 1, awstest.Options{})
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
			if l := c.Leases()["shard"]; l.checkpoint != step.want {
				t.Errorf("with batch %d finished the checkpoint is %q, want %q", step.finish, l.checkpoint, step.want)
			}
		}
		h.finish()
		if l := c.Leases()["shard"]; l.checkedAt != at(4).time() || l.owner != "" {
			t.Errorf("the lease is %+v", l)
		}
	})
}

// In whatever order batches are finished and checkpoints written: a checkpoint never goes back, and is never ahead of
// anything unfinished.
func TestCheckpointsNeverGoBackNorAhead(t *testing.T) {
	bubble(t, func(t *testing.T) {
		c := newCloud(t, 1, awstest.Options{})
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
			checkpoint := c.Leases()["shard"].checkpoint
			if checkpoint < last {
				t.Fatalf("the checkpoint went from %s to %s", last, checkpoint)
			}
			last = checkpoint
			for i := range open {
				if at(i).sequenceNumber <= checkpoint {
					t.Fatalf("the checkpoint is %s, batch %d is not finished", checkpoint, i)
				}
			}
		}
		for _, done := range open {
			done()
		}
		h.finish()
		if l := c.Leases()["shard"]; l.checkpoint != at(added-1).sequenceNumber {
			t.Errorf("the last checkpoint is %s, want %s", l.checkpoint, at(added-1).sequenceNumber)
		}
	})
}

func TestACheckpointThatHasNotMovedIsNotWritten(t *testing.T) {
	bubble(t, func(t *testing.T) {
		c := newCloud(t, 1, awstest.Options{})
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
	bubble(t, func(t *testing.T) {
		h := testHeld(t, newCloud(t, 1, awstest.Options{}))
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
	bubble(t, func(t *testing.T) {
		h := testHeld(t, newCloud(t, 1, awstest.Options{}))
		for range 5 {
			pass(t, 10*time.Second)
			h.renewed(time.Now().Add(-time.Second)) // asked a second ago
		}
		pass(t, 14*time.Second-time.Millisecond)
		if h.over.Err() != nil {
			t.Fatal("lost too early")
		}
		pass(t, time.Millisecond)
		if h.over.Err() == nil || h.reading.Err() == nil {
			t.Error("not lost 15s after the last renewal was asked for, of 20s")
		}
		h.finish()
		if n := testutil.ToFloat64(h.metrics.LeaseChanges.WithLabelValues(LeaseLost)); n != 1 {
			t.Errorf("%v losses are counted", n)
		}
	})
}

// After the end of a tenure nothing may call it lost any more.
func TestAFinishedTenureIsNotLostLater(t *testing.T) {
	bubble(t, func(t *testing.T) {
		c := newCloud(t, 1, awstest.Options{})
		r := c.start("worker", setup{config: trimHorizon})
		r.holding(1)
		pass(t, 10*time.Second)
		r.endWell()
		pass(t, 5*time.Minute)
		if said := r.logs.lines("level=ERROR"); len(said) > 0 {
			t.Errorf("after the stop: %q", said)
		}
	})
}

// A renewal that was under way when the lease was given back is refused: that is no loss.
func TestARenewalThatTheReleaseOvertakesIsNoLoss(t *testing.T) {
	bubble(t, func(t *testing.T) {
		c := newCloud(t, 1, awstest.Options{})
		h := testHeld(t, c)
		said := new(logs)
		h.log = said.logger()
		heart := newCoordinator()
		heart.table, heart.metrics = h.table, h.metrics
		c.Inject(awstest.Fault{AccessKeyID: "me", Operation: "UpdateItem", Effect: awstest.Slow, Delay: time.Second, Count: 1})
		renewed := make(chan bool)
		go func() { renewed <- heart.renew(t.Context(), h) }()
		synctest.Wait()
		h.finish()
		if !<-renewed {
			t.Error("the renewal would be tried again")
		}
		if lost := said.lines("lease lost"); len(lost) > 0 {
			t.Errorf("logged %q", lost)
		}
		if l := c.Leases()["shard"]; l.owner != "" {
			t.Errorf("the lease belongs to %s", l.owner)
		}
	})
}

// Emit leaves a batch that its source has given up, and calls its Done: it is not finished.
func TestABatchThatThePipelineLeavesIsNotCheckpointed(t *testing.T) {
	bubble(t, func(t *testing.T) {
		c := newCloud(t, 1, awstest.Options{})
		h := testHeld(t, c)
		leases := newCheckpointer("me")
		leases.hold(h)
		var taken []*batch
		s := (&sessions{leases: leases, submit: func(_ context.Context, b *batch) error { taken = append(taken, b); return nil }}).CreateProcessor()
		s.Initialize(&interfaces.InitializationInput{ShardId: "shard"})
		for i := range 2 {
			h.from.last = at(i + 1)
			s.ProcessRecords(&interfaces.ProcessRecordsInput{Records: records([]byte("x"))})
		}
		if taken[0].Abandoned() {
			t.Error("a batch is abandoned while its tenure lasts")
		}
		taken[0].Done(outcome{})
		h.end(ErrCut)
		if !taken[1].Abandoned() {
			t.Error("a batch of a tenure that has ended is not abandoned")
		}
		taken[1].Done(outcome{})
		h.finish()
		if l := c.Leases()["shard"]; l.checkpoint != at(1).sequenceNumber {
			t.Errorf("the checkpoint is %q, want that of the first batch", l.checkpoint)
		}
	})
}

// A write of the checkpoint that hangs must not keep a lease from being released in time.
func TestAHangingCheckpointDoesNotHoldUpTheEnd(t *testing.T) {
	bubble(t, func(t *testing.T) {
		c := newCloud(t, 1, awstest.Options{})
		h := testHeld(t, c)
		h.Add(at(1))()
		c.Inject(awstest.Fault{AccessKeyID: "me", Operation: "UpdateItem", Effect: awstest.Hang})
		hangs := make(chan error)
		go func() { hangs <- h.WriteCheckpoint(h.over) }()
		synctest.Wait()
		began := time.Now()
		h.finish()
		if took := time.Since(began); took > releaseTimeout {
			t.Errorf("the end took %s", took)
		}
		h.end(ErrCut)
		if err := <-hangs; err == nil {
			t.Error("the hanging write has succeeded")
		}
	})
}
