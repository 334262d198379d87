package kinesis

import (
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	"rootwatch/pipeline/awstest"
	"rootwatch/pipeline/kinesis/fetch"
	"rootwatch/pipeline/kinesis/lease"
	"rootwatch/pipeline/kinesis/streamtest"
)

// The whole way: through the stand-in, the fetcher, the library and the processor.
func TestABadAggregateCostsNoOtherRecord(t *testing.T) {
	bubble(t, func(t *testing.T) {
		c := newCloud(t, 1, awstest.Options{})
		r := c.start("worker", setup{config: trimHorizon})
		var want []string
		put := func(data []byte, records ...string) {
			c.PutData(shardID(0), data)
			want = append(want, records...)
		}
		put([]byte("first"), "first")
		for name, bad := range streamtest.BadAggregates() {
			put(bad, string(bad))
			put([]byte("after "+name), "after "+name)
			put(streamtest.AggregateOf("1 after "+name, "2 after "+name), "1 after "+name, "2 after "+name)
		}
		put(streamtest.Seal(streamtest.Keyed("key"))) // with nothing in it, at the end
		until(t, time.Minute, "all is read", func() bool { return len(r.records()) >= len(want) })
		pass(t, 5*time.Second)
		if got := r.records(); !slices.Equal(got, want) {
			t.Errorf("%d records were read, want %d", len(got), len(want))
		}
		if n := r.metric("rootwatch_panics_recovered_total", ""); n != 0 {
			t.Errorf("%v panics", n)
		}
		if n := r.metric("rootwatch_fetch_memory_bytes", ""); n != 0 {
			t.Errorf("%v bytes are still reserved", n)
		}
		r.endWell()
		after := c.start("after", setup{config: trimHorizon})
		after.holding(1)
		pass(t, 5*time.Second)
		if got := after.records(); len(got) != 0 {
			t.Errorf("%d records were read again", len(got))
		}
	})
}

// A restart in the middle of an aggregate reads the whole of it again: checkpoints are whole
// sequence numbers.
func TestAnAggregateIsCheckpointedAsAWhole(t *testing.T) {
	bubble(t, func(t *testing.T) {
		c := newCloud(t, 1, awstest.Options{})
		c.PutData(shardID(0), []byte("x"))
		h := hold{}
		r := c.start("worker", setup{config: trimHorizon, submit: h.submit})
		until(t, time.Minute, "one record", func() bool { return len(r.records()) == 1 })
		h.set(true)
		c.PutData(shardID(0), streamtest.AggregateOf("a", "b", "c"))
		until(t, time.Minute, "three more", func() bool { return len(r.records()) == 4 })
		r.end() //nolint:errcheck // it is stuck, and says so
		after := c.start("after", setup{config: trimHorizon})
		until(t, time.Minute, "the aggregate again", func() bool { return slices.Equal(after.records(), []string{"a", "b", "c"}) })
	})
}

// The memory of what an aggregate is expanded to is booked, and given back whatever becomes of it.
func TestMemoryOfExpandedAggregatesIsBooked(t *testing.T) {
	bubble(t, func(t *testing.T) {
		c := newCloud(t, 1, awstest.Options{})
		h := hold{on: true}
		r := c.start("worker", setup{config: trimHorizon, submit: h.submit})
		data := make([]string, 1000)
		for i := range data {
			data[i] = strings.Repeat("x", 100)
		}
		c.PutData(shardID(0), streamtest.AggregateOf(data...))
		until(t, time.Minute, "a thousand records", func() bool { return len(r.records()) == 1000 })
		if n := r.metric("rootwatch_fetch_memory_bytes", ""); n < 1000*(100+256) {
			t.Errorf("%v bytes are reserved for a thousand records of 100 bytes", n)
		}
		h.finish()
		pass(t, 5*time.Second)
		if n := r.metric("rootwatch_fetch_memory_bytes", ""); n != 0 {
			t.Errorf("%v bytes are still reserved", n)
		}
	})
}

// The last answer of a closed shard may come when the lease is lost: there is no next fetch to give
// its memory back.
func TestMemoryOfAnAnswerThatNobodyTakesIsGivenBack(t *testing.T) {
	for name, last := range map[string][]byte{"records": []byte("x"), "an empty aggregate": streamtest.Seal(streamtest.Keyed("key"))} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				c := newCloud(t, 1, awstest.Options{})
				r := c.start("worker", setup{config: trimHorizon, tune: func(_ *lease.Config, f *fetch.Config) {
					ended := f.ShardEnded
					f.ShardEnded = func() { // between the last answer and its processing
						ended()
						if last[0] == 'x' {
							f.Leases.Get(shardID(0)).End(lease.ErrLost)
						}
					}
				}, submit: func(_ context.Context, _ *reader, b *batch) error { b.Done(outcome{}); return nil }})
				r.holding(1)
				until(t, time.Minute, "it reads", func() bool { return c.CallsBy("worker")["kinesis:GetRecords"] > 3 })
				fault := c.Inject(awstest.Fault{Operation: "GetRecords", Effect: awstest.Throttle})
				c.PutData(shardID(0), last)
				c.Split(shardID(0))
				fault.Remove()
				until(t, time.Minute, "the children are read", func() bool { return !slices.Contains(r.holds(), shardID(0)) })
				pass(t, 10*time.Second)
				if n := r.metric("rootwatch_fetch_memory_bytes", ""); n != 0 {
					t.Errorf("%v bytes are still reserved", n)
				}
			})
		})
	}
}
