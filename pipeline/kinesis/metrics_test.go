package kinesis

import (
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"

	"rootwatch/pipeline/awstest"
)

func TestLagIsThatOfTheShardsHeld(t *testing.T) {
	bubble(t, func(t *testing.T) {
		c := newCloud(t, 2, awstest.Options{})
		r := c.start("worker", setup{config: trimHorizon})
		r.holding(2)
		pass(t, 10*time.Second)
		if n := r.metric("rootwatch_shard_behind_latest_seconds", shardID(0)); n > 1 {
			t.Errorf("an idle shard that is polled every second is %v seconds behind", n)
		}
		fault := c.Inject(awstest.Fault{Operation: "GetRecords", Shard: shardID(0), Effect: awstest.Throttle})
		pass(t, time.Minute)
		if n := r.metric("rootwatch_shard_behind_latest_seconds", shardID(0)); n < 60 || n > 61 {
			t.Errorf("a shard without an answer for a minute is %v seconds behind", n)
		}
		if err := r.Ready(); err == nil || !strings.Contains(err.Error(), shardID(0)) {
			t.Errorf("ready with a shard that gives no answer: %v", err)
		}
		fault.Remove()
		pass(t, 10*time.Second)
		if err := r.Ready(); err != nil {
			t.Errorf("not ready: %v", err)
		}
		if n := r.metric("rootwatch_shards", ""); n != 2 {
			t.Errorf("rootwatch_shards is %v", n)
		}
		if n := r.metric("rootwatch_leases_held", ""); n != 2 {
			t.Errorf("rootwatch_leases_held is %v", n)
		}
		r.endWell()
		if n := testutil.CollectAndCount(r.metrics.Lag); n != 0 {
			t.Errorf("%d shards have a lag after the stop", n)
		}
	})
}

// With a pipeline that finishes nothing (its log is full, its ledger denied) reading goes on, and
// Kinesis says that the shard is caught up: what was read and is not finished must show.
func TestLagGrowsWithTheOldestBatchThatIsNotFinished(t *testing.T) {
	bubble(t, func(t *testing.T) {
		c := newCloud(t, 1, awstest.Options{})
		h := hold{on: true}
		r := c.start("worker", setup{config: trimHorizon, submit: h.submit})
		r.holding(1)
		c.Put(1)
		c.readAll(time.Minute, r)
		pass(t, 5*time.Minute)
		c.Put(1)
		c.readAll(time.Minute, r)
		if n := r.metric("rootwatch_shard_behind_latest_seconds", shardID(0)); n < 299 || n > 305 {
			t.Errorf("with a batch that waits for five minutes the shard is %v seconds behind", n)
		}
		h.set(false)
		h.finish()
		if n := r.metric("rootwatch_shard_behind_latest_seconds", shardID(0)); n > 2 {
			t.Errorf("with all finished the shard is %v seconds behind", n)
		}
	})
}
