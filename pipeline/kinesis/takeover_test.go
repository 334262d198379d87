package kinesis

import (
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/vmware/vmware-go-kcl-v2/clientlibrary/config"

	"rootwatch/pipeline/awstest"
	"rootwatch/pipeline/dynamo"
)

// A process that ran on the bare library leaves rows without epoch and counter behind, whose owner
// may be alive.
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

// The items as the version before wrote them, literally: a worker of this one takes them over with
// all that they know, and leaves items of the same form behind, since a worker of the version
// before may run beside it.
func TestItemsOfTheVersionBeforeAreTakenOverAndKeepTheirForm(t *testing.T) {
	bubble(t, func(t *testing.T) {
		c := newCloud(t, 3, awstest.Options{})
		c.EnsureTable()
		first := c.Put(30)
		children := c.Split(shardID(2))
		after := c.SequenceNumbers(shardID(0))[4]
		started := time.Now().Add(-time.Hour).UTC().Format(time.RFC3339Nano)
		text := func(pairs ...string) dynamo.Item {
			item := dynamo.Item{}
			for pair := range slices.Chunk(pairs, 2) {
				item[pair[0]] = dynamo.String(pair[1])
			}
			return item
		}
		start := func(id string) string { return *c.Shard(id).SequenceNumberRange.StartingSequenceNumber }
		counted := func(item dynamo.Item, epoch, counter int64) dynamo.Item {
			item["LeaseEpoch"], item["LeaseCounter"] = dynamo.Number(epoch), dynamo.Number(counter)
			return item
		}
		c.PutItem(text("ShardID", "rootwatch/start", "FirstStart", started, "Stream", testStream))
		// Released in order, five records read.
		c.PutItem(counted(text("ShardID", shardID(0), "Checkpoint", after, "CheckpointTime", started, "ReadTime", started, "ShardStart", start(shardID(0))), 7, 4711))
		// Its owner has died, and who had asked for it, too.
		c.PutItem(counted(text("ShardID", shardID(1), "AssignedTo", "gone-8d7c", "LeaseTimeout", started, "ClaimRequest", "gone-1f2e", "ShardStart", start(shardID(1))), 2, 9))
		// Read to its end without a record for the application.
		c.PutItem(counted(text("ShardID", shardID(2), "Checkpoint", "SHARD_END", "CheckpointTime", "never", "ShardStart", start(shardID(2))), 1, 5))

		before := time.Now()
		r := c.start("worker", setup{})
		until(t, time.Minute, "what is free is held", func() bool { return len(r.holds()) == 3 })
		if took := time.Since(before); took > 10*time.Second {
			t.Errorf("the free leases were taken after %s", took)
		}
		until(t, time.Minute, "the dead owner's is held", func() bool { return len(r.holds()) == 4 })
		if took := time.Since(before); took < 20*time.Second || took > 23*time.Second {
			t.Errorf("the dead owner's lease was taken after %s, want a lease of 20s", took)
		}
		second := c.Put(40)
		pass(t, 30*time.Second)
		counts := count(r)
		for i, s := range slices.Concat(first, second) {
			want := 1 // the application began an hour ago, before all records
			if i < 30 && (i%3 == 0 && i/3 < 5 || i%3 == 2) {
				want = 0 // before the checkpoint, or in the finished shard
			}
			if counts[s] != want {
				t.Errorf("%s was read %d times, want %d", s, counts[s], want)
			}
		}
		r.endWell()

		names := func(id string) string { return strings.Join(slices.Sorted(maps.Keys(c.Item(id))), " ") }
		for id, want := range map[string]string{
			"rootwatch/start": "FirstStart ShardID Stream",
			shardID(0):        "Checkpoint CheckpointTime LeaseCounter LeaseEpoch ReadTime ShardID ShardStart",
			shardID(1):        "Checkpoint CheckpointTime LeaseCounter LeaseEpoch ReadTime ShardID ShardStart",
			shardID(2):        "Checkpoint CheckpointTime LeaseCounter LeaseEpoch ShardID ShardStart",
			children[0]:       "Checkpoint CheckpointTime LeaseCounter LeaseEpoch ParentShardId ReadTime ShardID ShardStart",
		} {
			if got := names(id); got != want {
				t.Errorf("%s has the attributes %s, want %s", id, got, want)
			}
		}
		if item := c.Item("rootwatch/start"); dynamo.Text(item, "FirstStart") != started {
			t.Errorf("the first start is %s, was %s", dynamo.Text(item, "FirstStart"), started)
		}
		leases := c.Leases()
		if l := leases[shardID(0)]; l.Epoch != 8 || l.Counter <= 4711 || l.Owner != "" || l.Checkpoint <= after {
			t.Errorf("the released lease is left as %+v", l)
		}
		if l := leases[shardID(1)]; l.Epoch != 3 || l.Claim != "" || l.Owner != "" {
			t.Errorf("the dead owner's lease is left as %+v", l)
		}
		if l := leases[shardID(2)]; l.Epoch != 1 || l.Counter != 5 || l.CheckedAt != "never" {
			t.Errorf("the finished lease was touched: %+v", l)
		}
	})
}

// A worker of the version before that renews its lease keeps it, and hands it over when it is
// asked: by the attributes alone.
func TestAWorkerOfTheVersionBeforeSharesWithOneOfThis(t *testing.T) {
	bubble(t, func(t *testing.T) {
		c := newCloud(t, 2, awstest.Options{})
		c.EnsureTable()
		c.PutItem(dynamo.Item{"ShardID": dynamo.String("rootwatch/start"), "FirstStart": dynamo.String(time.Now().UTC().Format(time.RFC3339Nano)), "Stream": dynamo.String(testStream)})
		owned := func(id string, counter int64) dynamo.Item {
			item := dynamo.Item{
				"ShardID": dynamo.String(id), "AssignedTo": dynamo.String("before"), "LeaseTimeout": dynamo.String(time.Now().Add(20 * time.Second).UTC().Format(time.RFC3339Nano)),
				"LeaseEpoch": dynamo.Number(3), "LeaseCounter": dynamo.Number(counter), "ShardStart": dynamo.String(*c.Shard(id).SequenceNumberRange.StartingSequenceNumber),
			}
			if claim := dynamo.Text(c.Item(id), "ClaimRequest"); claim != "" {
				item["ClaimRequest"] = dynamo.String(claim)
			}
			return item
		}
		c.PutItem(owned(shardID(0), 1))
		c.PutItem(owned(shardID(1), 1))
		r := c.start("worker", setup{})
		claimed := ""
		for counter := int64(2); counter < 20; counter++ { // it renews every quarter of a lease
			pass(t, 5*time.Second)
			for _, id := range []string{shardID(0), shardID(1)} {
				if id != claimed {
					c.PutItem(owned(id, counter))
				}
				if l := c.Leases()[id]; l.Claim != "" && claimed == "" {
					claimed = id
					released := owned(id, counter+1)
					delete(released, "AssignedTo")
					delete(released, "LeaseTimeout")
					c.PutItem(released)
				}
			}
		}
		if held := r.holds(); claimed == "" || !slices.Equal(held, []string{claimed}) {
			t.Errorf("%v are held, %q was asked for and handed over", held, claimed)
		}
		r.endWell()
	})
}
