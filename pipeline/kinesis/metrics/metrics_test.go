package metrics

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
)

// A gauge that is set with each answer would stand still while none comes: the dead shard would
// look caught up.
func TestLagGrowsWhileNoAnswerComes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		registry := prometheus.NewPedanticRegistry()
		m := New(registry, time.Now)
		check := func(want string) {
			t.Helper()
			const head = `
# HELP rootwatch_shard_behind_latest_seconds How far reading is behind the newest record of a shard that this worker holds, including the time since the last answer, or how long the oldest batch in flight has waited, if that is longer.
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
		m.Lag.Set("c", time.Second) // an answer that comes when the shard is another's
		check("")
		waiting := time.Duration(0)
		m.Lag.Hold("a", func() time.Duration { return 0 })
		m.Lag.Set("a", 2*time.Second)
		time.Sleep(time.Second)
		m.Lag.Hold("b", func() time.Duration { return waiting })
		check("rootwatch_shard_behind_latest_seconds{shard_id=\"a\"} 3\nrootwatch_shard_behind_latest_seconds{shard_id=\"b\"} 0\n")
		time.Sleep(9 * time.Second)
		m.Lag.Set("b", 500*time.Millisecond)
		check("rootwatch_shard_behind_latest_seconds{shard_id=\"a\"} 12\nrootwatch_shard_behind_latest_seconds{shard_id=\"b\"} 0.5\n")
		if id, age := m.Lag.Oldest(); id != "a" || age != 10*time.Second {
			t.Errorf("the oldest answer is that of %s, %s ago", id, age)
		}
		waiting = 40 * time.Second // answers come, and nothing is finished
		check("rootwatch_shard_behind_latest_seconds{shard_id=\"a\"} 12\nrootwatch_shard_behind_latest_seconds{shard_id=\"b\"} 40\n")
		waiting = 0
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

func TestCountersAreThereFromTheStart(t *testing.T) {
	registry := prometheus.NewPedanticRegistry()
	New(registry, time.Now)
	for name, want := range map[string]int{
		"rootwatch_shards": 1, "rootwatch_leases_held": 1, "rootwatch_lease_changes_total": 5, "rootwatch_checkpoints_total": 1,
		"rootwatch_checkpoint_failures_total": 1, "rootwatch_lease_table_failures_total": 1, "rootwatch_fetches_total": 5,
		"rootwatch_data_loss_total": 2, "rootwatch_panics_recovered_total": 1, "rootwatch_fetch_memory_bytes": 1,
	} {
		if n, err := testutil.GatherAndCount(registry, name); err != nil || n != want {
			t.Errorf("%s has %d series at the start, want %d: %v", name, n, want, err)
		}
	}
}
