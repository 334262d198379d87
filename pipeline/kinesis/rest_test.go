package kinesis

import (
	"maps"
	"slices"
	"testing"
	"time"

	"github.com/vmware/vmware-go-kcl-v2/clientlibrary/config"

	"rootwatch/pipeline/awstest"
	"rootwatch/pipeline/kinesis/metrics"
)

// worker.go:276 sleeps before anything and takes one lease a pass: of 64 shards one a minute, by
// default.
func TestSixtyFourShardsAreHeldAndReadWithinAMinute(t *testing.T) {
	bubble(t, func(t *testing.T) {
		const shards = 64
		c := newCloud(t, shards, awstest.Options{})
		c.Put(2 * shards)
		began := time.Now()
		r := c.start("worker", setup{config: trimHorizon})
		c.readAll(time.Minute, r)
		t.Logf("all of %d shards are read %s after the start", shards, time.Since(began))
		if took := time.Since(began); took > 10*time.Second {
			t.Errorf("reading %d shards took %s", shards, took)
		}
		calls := c.CallsBy("worker")
		if calls["dynamodb:UpdateItem"] > 2*shards+10 || calls["dynamodb:Scan"] > 5 || calls["dynamodb:GetItem"] > 0 {
			t.Errorf("calls until then: %v", calls)
		}
		if err := r.Ready(); err != nil {
			t.Errorf("not ready: %v", err)
		}
		r.endWell()
		c.once(r)
	})
}

func TestTheBareLibraryHoldsFewOfSixtyFourShardsAfterAMinute(t *testing.T) {
	bubble(t, func(t *testing.T) {
		c := newCloud(t, 64, awstest.Options{})
		b := c.startBare("worker", func(cfg *config.KinesisClientLibConfiguration) { cfg.WithInitialPositionInStream(config.TRIM_HORIZON) })
		pass(t, time.Minute)
		n := len(c.Leases())
		c.endBare(b)
		if n > 3 {
			t.Errorf("the library holds %d leases after a minute: leases of our own taking are not needed any more", n)
		}
	})
}

// At rest a worker looks once a quarter of a lease, and renews each lease as often. These figures
// are the bill.
func TestAtRestTheTableIsScannedOnceAQuarterOfALease(t *testing.T) {
	bubble(t, func(t *testing.T) {
		const shards, quarters, quarter = 200, 6, 5 * time.Second
		c := newCloud(t, shards, awstest.Options{})
		r := c.start("worker", setup{config: func(cfg *Config) { cfg.PollInterval = 20 * time.Second }})
		r.holding(shards)
		until(t, time.Minute, "all shards are read", func() bool { return r.metric("rootwatch_fetches_total", metrics.FetchOK) >= shards })
		pass(t, quarter)
		c.ResetCalls()
		pass(t, quarters*quarter)
		calls := c.CallsBy("worker")
		t.Logf("%d shards in %s: %v", shards, quarters*quarter, calls)
		if n := calls["dynamodb:Scan"]; n > quarters || n < quarters-1 {
			t.Errorf("%d scans in %d quarters of a lease", n, quarters)
		}
		if n := calls["dynamodb:UpdateItem"]; n > shards*quarters || n < shards*(quarters-1) {
			t.Errorf("%d updates in %d quarters of a lease, want one for each shard and quarter", n, quarters)
		}
		if n := calls["kinesis:ListShards"]; n > quarters {
			t.Errorf("%d calls of ListShards in %d quarters of a lease", n, quarters)
		}
		allowed := []string{"dynamodb:Scan", "dynamodb:UpdateItem", "kinesis:ListShards", "kinesis:GetRecords"}
		for _, action := range slices.Sorted(maps.Keys(calls)) {
			if !slices.Contains(allowed, action) {
				t.Errorf("%s is called %d times", action, calls[action])
			}
		}
	})
}

// Two workers that share everything evenly have no more to do.
func TestAtRestTwoWorkersScanOnceAQuarterEach(t *testing.T) {
	bubble(t, func(t *testing.T) {
		c := newCloud(t, 8, awstest.Options{})
		a, b := c.start("a", setup{}), c.start("b", setup{})
		until(t, time.Minute, "the shards are shared", func() bool { return even(8, a, b) })
		pass(t, 20*time.Second)
		c.ResetCalls()
		pass(t, time.Minute)
		for _, id := range []string{"a", "b"} {
			if n := c.CallsBy(id)["dynamodb:Scan"]; n > 12 {
				t.Errorf("worker %s has scanned %d times in 12 quarters of a lease", id, n)
			}
			if n := c.CallsBy(id)["dynamodb:UpdateItem"]; n > 4*12 {
				t.Errorf("worker %s has updated %d times, 4 leases for 12 quarters", id, n)
			}
		}
	})
}
