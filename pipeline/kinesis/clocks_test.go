package kinesis

import (
	"testing"
	"time"

	"rootwatch/pipeline/awstest"
	"rootwatch/pipeline/kinesis/fetch"
	"rootwatch/pipeline/kinesis/lease"
	"rootwatch/pipeline/kinesis/metrics"
)

// dynamodb-checkpointer.go:142 compares the other host's LeaseTimeout with its own clock: hosts an
// hour apart steal each other's leases all the time, or never.
func TestExpiryDoesNotCompareHostsClocks(t *testing.T) {
	for name, wrong := range map[string]time.Duration{"an hour ahead": time.Hour, "an hour behind": -time.Hour, "a year behind": -365 * 24 * time.Hour} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				c := newCloud(t, 4, awstest.Options{})
				a := c.start("a", setup{config: trimHorizon, tune: func(l *lease.Config, _ *fetch.Config) {
					l.Now = func() time.Time { return time.Now().Add(wrong) }
				}})
				b := c.start("b", setup{config: trimHorizon})
				until(t, 2*time.Minute, "the shards are shared", func() bool { return len(a.holds()) == 2 && len(b.holds()) == 2 })
				pass(t, 10*time.Second)
				lost := a.metric("rootwatch_lease_changes_total", metrics.LeaseLost) + b.metric("rootwatch_lease_changes_total", metrics.LeaseLost)
				acquired := a.metric("rootwatch_lease_changes_total", metrics.LeaseAcquired) + b.metric("rootwatch_lease_changes_total", metrics.LeaseAcquired)
				pass(t, 2*time.Minute)
				if n := a.metric("rootwatch_lease_changes_total", metrics.LeaseLost) + b.metric("rootwatch_lease_changes_total", metrics.LeaseLost); n != lost || n != 0 {
					t.Errorf("%v leases were lost", n)
				}
				if n := a.metric("rootwatch_lease_changes_total", metrics.LeaseAcquired) + b.metric("rootwatch_lease_changes_total", metrics.LeaseAcquired); n != acquired {
					t.Errorf("%v leases changed hands", n-acquired)
				}
				// A dead worker's leases expire all the same.
				c.Inject(awstest.Fault{AccessKeyID: "a", Effect: awstest.Drop})
				died := time.Now()
				until(t, time.Minute, "the dead worker's shards are taken over", func() bool { return len(b.holds()) == 4 })
				if took := time.Since(died); took > 23*time.Second {
					t.Errorf("taking over took %s: a lease of 20s and 3s are allowed", took)
				}
			})
		})
	}
}
