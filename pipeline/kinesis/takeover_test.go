package kinesis

import (
	"strings"
	"testing"
	"time"

	"github.com/vmware/vmware-go-kcl-v2/clientlibrary/config"

	"rootwatch/pipeline/awstest"
)

// A process that ran on the bare library leaves rows without epoch and counter behind, whose owner may be alive.
func TestRowsOfTheBareLibraryAreTakenOverWithTheirCheckpoints(t *testing.T) {
	bubble(t, func(t *testing.T) {
		c := newCloud(t, 2, awstest.Options{})
		c.Put(100)
		stock := c.startBare("stock", func(cfg *config.KinesisClientLibConfiguration) {
			cfg.ShardSyncIntervalMillis = 1000
			cfg.WithInitialPositionInStream(config.TRIM_HORIZON)
		})
		until(t, time.Minute, "the library reads all", func() bool { return len(stock.records()) == 100 })
		r := c.start("worker", setup{config: func(cfg *Config) { cfg.Start.TrimHorizon = true }})
		pass(t, 2*time.Minute)
		if held := r.holds(); len(held) > 0 {
			t.Fatalf("%v were taken from a worker that renews them", held)
		}
		c.Put(100)
		until(t, time.Minute, "the library reads on", func() bool { return len(stock.records()) == 200 })
		stock.Shutdown()
		c.Put(100)
		r.holding(2)
		until(t, time.Minute, "the worker reads on", func() bool { return len(r.records()) >= 100 })
		pass(t, 10*time.Second)
		if n := len(r.records()); n != 100 {
			t.Errorf("%d records were read after the library's checkpoints, want 100", n)
		}
		r.endWell()
		for id, l := range c.Leases() {
			if l.Owner != "" || l.Epoch != 1 || l.Checkpoint == "" || !strings.HasPrefix(id, "shardId-") {
				t.Errorf("the lease of %s is left as %+v", id, l)
			}
		}
	})
}
