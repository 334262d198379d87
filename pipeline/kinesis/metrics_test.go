package kinesis

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"

	"rootwatch/pipeline/awstest"
)

// A gauge that is set with each answer would stand still while none comes: the dead shard would look caught up.
func TestLagGrowsWhileNoAnswerComes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		registry := prometheusRegistry()
		m := NewMetrics(registry, time.Now)
		check := func(want string) {
			t.Helper()
			const head = `
# HELP rootwatch_shard_behind_latest_seconds How far reading is behind the newest record of a shard that this worker holds, including the time since the last answer.
# TYPE rootwatch_shard_behind_latest_seconds gauge
`
			if want != "" {
				want = head + want
			}
			if err := testutil.GatherAndCompare(registry, strings.NewReader(want), "rootwatch_shard_behind_latest_seconds"); err != nil {
				t.Error(err)
			}
		}
		check("")
		m.Lag.Set("a", 2*time.Second)
		time.Sleep(time.Second)
		m.Lag.Set("b", 0)
		check("rootwatch_shard_behind_latest_seconds{shard_id=\"a\"} 3\nrootwatch_shard_behind_latest_seconds{shard_id=\"b\"} 0\n")
		time.Sleep(9 * time.Second)
		m.Lag.Set("b", 500*time.Millisecond)
		check("rootwatch_shard_behind_latest_seconds{shard_id=\"a\"} 12\nrootwatch_shard_behind_latest_seconds{shard_id=\"b\"} 0.5\n")
		if id, age := m.Lag.Oldest(); id != "a" || age != 10*time.Second {
			t.Errorf("the oldest answer is that of %s, %s ago", id, age)
		}
		time.Sleep(time.Second)
		m.Lag.Drop("a")
		check("rootwatch_shard_behind_latest_seconds{shard_id=\"b\"} 1.5\n")
		m.Lag.Drop("b")
		check("")
		if id, age := m.Lag.Oldest(); id != "" || age != 0 {
			t.Errorf("the oldest answer of no shard is that of %q, %s ago", id, age)
		}
	})
}

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

func TestCountersAreThereFromTheStart(t *testing.T) {
	registry := prometheusRegistry()
	NewMetrics(registry, time.Now)
	for name, want := range map[string]int{
		"rootwatch_shards": 1, "rootwatch_leases_held": 1, "rootwatch_lease_changes_total": 4, "rootwatch_checkpoints_total": 1,
		"rootwatch_checkpoint_failures_total": 1, "rootwatch_lease_table_failures_total": 1, "rootwatch_fetches_total": 4,
		"rootwatch_data_loss_total": 2, "rootwatch_panics_recovered_total": 1, "rootwatch_fetch_memory_bytes": 1,
	} {
		if n, err := testutil.GatherAndCount(registry, name); err != nil || n != want {
			t.Errorf("%s has %d series at the start, want %d: %v", name, n, want, err)
		}
	}
}
