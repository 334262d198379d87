package kinesis

import (
	"testing"
	"time"

	"rootwatch/pipeline/awstest"
	"rootwatch/pipeline/kinesis/lease"
)

// After a lease is released nothing may call it lost any more.
func TestAReleasedLeaseIsNotLostLater(t *testing.T) {
	bubble(t, func(t *testing.T) {
		c := newCloud(t, 1, awstest.Options{})
		r := c.start("worker", setup{config: trimHorizon})
		r.holding(1)
		pass(t, 10*time.Second)
		r.endWell()
		pass(t, 5*time.Minute)
		if said := r.logs.Lines("level=ERROR"); len(said) > 0 {
			t.Errorf("after the stop: %q", said)
		}
	})
}

// Emit leaves a batch that its source has given up, and calls its Done: it is not finished.
func TestABatchThatThePipelineLeavesIsNotCheckpointed(t *testing.T) {
	bubble(t, func(t *testing.T) {
		c := newCloud(t, 1, awstest.Options{})
		h := hold{on: true}
		r := c.start("worker", setup{config: trimHorizon, submit: h.submit})
		for i := range 2 {
			c.Put(1)
			until(t, time.Minute, "it is read", func() bool { return len(r.records()) == i+1 })
		}
		first, second := h.taken[0], h.taken[1]
		if first.Abandoned() {
			t.Error("a batch is abandoned while its lease is held")
		}
		first.Done(outcome{})
		r.leases.Get(shardID(0)).End(lease.ErrCut)
		if !second.Abandoned() {
			t.Error("a batch of a lease that is over is not abandoned")
		}
		second.Done(outcome{})
		until(t, time.Minute, "it is read again", func() bool { return len(r.records()) == 3 })
		if l := c.Leases()[shardID(0)]; l.Checkpoint != first.Records[0].SequenceNumber {
			t.Errorf("the checkpoint is %q, want that of the first batch", l.Checkpoint)
		}
		r.end() //nolint:errcheck // it is stuck, and says so
	})
}

// What a batch's records expand to counts as memory of fetches, until it is gone or the batch is
// done.
func TestExpandedTextsCountAsFetchMemory(t *testing.T) {
	bubble(t, func(t *testing.T) {
		c := newCloud(t, 1, awstest.Options{})
		h := hold{on: true}
		r := c.start("worker", setup{config: trimHorizon, submit: h.submit})
		c.Put(1)
		until(t, time.Minute, "it is read", func() bool { return len(r.records()) == 1 })
		reserved := func() float64 { return r.metric("rootwatch_fetch_memory_bytes", "") }
		b, before := h.taken[0], reserved()
		for _, bytes := range []int{10 << 20, 30 << 20, 0, 20 << 20} {
			b.Expanded(bytes)
			if got := reserved() - before; got != float64(bytes) {
				t.Errorf("%v bytes more are reserved, want %d", got, bytes)
			}
		}
		b.Done(outcome{})
		if got := reserved(); got >= before {
			t.Errorf("%v bytes are reserved after the batch, %v were before", got, before)
		}
		r.endWell()
	})
}
