package kinesis

import (
	"context"
	"sync/atomic"
	"testing"
	"time"

	"rootwatch/pipeline/awstest"
	"rootwatch/pipeline/kinesis/fetch"
	"rootwatch/pipeline/kinesis/lease"
	"rootwatch/pipeline/kinesis/metrics"
)

const day = 24 * time.Hour // the retention of a stream, unless somebody pays for more

// calendar is a clock for Kinesis and the worker that can be set forward: days of polling would be
// too many calls.
type calendar struct{ ahead atomic.Int64 }

func (c *calendar) now() time.Time { return time.Now().Add(time.Duration(c.ahead.Load())) }

func (c *calendar) forward(d time.Duration) { c.ahead.Add(int64(d)) }

// live goes through d in steps that a worker that reads has time to notice.
func (c *calendar) live(t *testing.T, d time.Duration) {
	t.Helper()
	for step := 8 * time.Hour; d > 0; d -= step {
		c.forward(min(step, d))
		pass(t, 10*time.Second)
	}
}

func (c *calendar) cloud(t *testing.T) *cloud {
	t.Helper()
	return newCloud(t, 1, awstest.Options{Clock: c.now})
}

func (c *calendar) set(_ *lease.Config, f *fetch.Config) { f.Now = c.now }

// What is deleted unread is counted once, wherever the application stood; what was only quiet is
// not.
func TestWhatTheRetentionDeletesUnreadIsCounted(t *testing.T) {
	losses := func(r *reader) float64 { return r.metric("rootwatch_data_loss_total", metrics.LossExpiredCheckpoint) }
	readTen := func(c *cloud, first *reader, _ *calendar) {
		c.Put(10)
		c.readAll(time.Minute, first)
	}
	for _, test := range []struct {
		name   string
		before func(c *cloud, first *reader, clock *calendar) // while the first worker reads
		during func(c *cloud)                                 // after it has stopped
		gone   time.Duration                                  // from its stop to the next start
		want   float64
		taken  bool // Kinesis takes a sequence number that it has deleted
	}{
		{"a quiet shard", func(c *cloud, first *reader, clock *calendar) {
			c.Put(10)
			c.readAll(time.Minute, first)
			clock.live(c.t, 2*day)
		}, nil, time.Hour, 0, false},
		{"a shard without a record ever", func(c *cloud, _ *reader, clock *calendar) { clock.live(c.t, 2*day) }, nil, time.Hour, 0, false},
		{"nobody has watched for longer than the retention", readTen, func(c *cloud) { c.Put(10) }, 2 * day, 1, false},
		{"the same, and Kinesis takes the deleted sequence number", readTen, func(c *cloud) { c.Put(10) }, 2 * day, 1, true},
		{"nobody has watched for a while", readTen, func(c *cloud) { c.Put(10) }, 20 * time.Hour, 0, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				var clock calendar
				c := newCloud(t, 1, awstest.Options{Clock: clock.now, TrimmedIterators: test.taken})
				first := c.start("first", setup{tune: clock.set})
				first.holding(1)
				test.before(c, first, &clock)
				pass(t, 10*time.Second)
				first.endWell()
				if test.during != nil {
					test.during(c)
				}
				clock.forward(test.gone)
				for i, name := range []string{"second", "third"} {
					r := c.start(name, setup{tune: clock.set})
					r.holding(1)
					before := len(r.records())
					c.Put(5)
					until(t, time.Minute, "what is put now is read", func() bool { return len(r.records()) >= before+5 })
					pass(t, time.Minute)
					want := test.want
					if i > 0 {
						want = 0 // counted by the one before
					}
					if n := losses(r); n != want {
						t.Errorf("the %s worker counts %v losses, want %v: %q", name, n, want, r.logs.Lines("level=ERROR"))
					}
					if named := r.logs.Lines("level=ERROR", "gap_from=", "gap_to="); len(named) != int(want) {
						t.Errorf("the gap is named in %q", named)
					}
					r.endWell()
				}
			})
		})
	}
}

// A lease that never got a checkpoint, because the pipeline never finished, has lost what its shard
// had.
func TestALeaseWithoutACheckpointKnowsWhatItHasLost(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var clock calendar
		c := clock.cloud(t)
		a := c.start("a", setup{tune: clock.set, submit: takeOnly, config: func(cfg *Config) { cfg.ShutdownTimeout = 5 * time.Second }})
		a.holding(1)
		c.Put(50)
		pass(t, 5*time.Second)
		a.end() //nolint:errcheck // it is stuck
		clock.forward(2 * day)
		b := c.start("b", setup{tune: clock.set})
		b.holding(1)
		pass(t, time.Minute)
		if n := b.metric("rootwatch_data_loss_total", metrics.LossExpiredCheckpoint); n != 1 || len(b.records()) != 0 {
			t.Errorf("%v losses are counted, %d records read", n, len(b.records()))
		}
		b.endWell()
	})
}

// Records that are deleted before a worker that is behind comes to them: its iterator moves over
// them without a word.
func TestAWorkerThatFallsBehindTheRetentionSaysSo(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var clock calendar
		c := clock.cloud(t)
		var stuck atomic.Bool
		r := c.start("worker", setup{config: trimHorizon, tune: clock.set, submit: func(ctx context.Context, _ *reader, b *batch) error {
			for stuck.Load() {
				pass(t, time.Second)
				if ctx.Err() != nil {
					return ctx.Err()
				}
			}
			b.Done(outcome{})
			return nil
		}})
		c.Put(10)
		c.readAll(time.Minute, r)
		stuck.Store(true)
		c.Put(10) // taken, and the pipeline stands
		pass(t, 5*time.Second)
		c.Put(10) // never read
		clock.forward(2 * day)
		stuck.Store(false)
		c.Put(10)
		pass(t, time.Minute)
		if n := r.metric("rootwatch_data_loss_total", metrics.LossExpiredCheckpoint); n != 1 {
			t.Errorf("%v losses are counted: %q", n, r.logs.Lines("level=ERROR"))
		}
		if n := len(r.records()); n != 30 {
			t.Errorf("%d records were read, want 30 of 40", n)
		}
		r.endWell()
	})
}

// At the oldest record of a full stream some seconds always pass between two reads: that is no gap.
func TestCatchingUpFromTheOldestRecordIsNoLoss(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var clock calendar
		c := clock.cloud(t)
		for range 48 {
			c.Put(20)
			clock.forward(time.Hour)
		}
		r := c.start("worker", setup{tune: clock.set, config: func(cfg *Config) { trimHorizon(cfg); cfg.MaxRecords = 5 }})
		until(t, 5*time.Minute, "what is left is read", func() bool { return len(r.records()) >= 23*20 })
		pass(t, 2*time.Minute)
		if n := r.metric("rootwatch_data_loss_total", metrics.LossExpiredCheckpoint); n != 0 {
			t.Errorf("%v losses are counted: %q", n, r.logs.Lines("level=ERROR"))
		}
		r.endWell()
	})
}
