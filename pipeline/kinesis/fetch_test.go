package kinesis

import (
	"encoding/json"
	"slices"
	"testing"
	"time"

	"github.com/vmware/vmware-go-kcl-v2/clientlibrary/config"

	"rootwatch/pipeline/awstest"
	"rootwatch/pipeline/dynamo"
	"rootwatch/pipeline/kinesis/metrics"
	"rootwatch/pipeline/kinesis/streamtest"
)

// The library gives a shard up on a 5xx, a dropped connection or an expired iterator
// (polling-shard-consumer.go:205), and on the seventh throttled read, without telling anybody. Here
// none of them ends a lease: nothing is lost, and nothing is read twice.
func TestErrorsThatTimeHealsLoseAndDoubleNothing(t *testing.T) {
	for name, faults := range map[string][]awstest.Fault{
		"every read throttled for a while":     {{Operation: "GetRecords", Effect: awstest.Throttle, Count: 40}},
		"half of the reads throttled":          {{Operation: "GetRecords", Effect: awstest.Throttle, Probability: 0.5}},
		"500 before the effect":                {{Operation: "GetRecords", Effect: awstest.Fail, Probability: 0.5}},
		"500 after the effect":                 {{Operation: "GetRecords", Effect: awstest.FailAfter, Probability: 0.5}},
		"connections dropped before":           {{Operation: "GetRecords", Effect: awstest.Drop, Probability: 0.5}},
		"connections dropped after the effect": {{Operation: "GetRecords", Effect: awstest.DropAfter, Probability: 0.5}},
		"answers that never come":              {{Operation: "GetRecords", Effect: awstest.Hang, Count: 6}},
		"slow answers":                         {{Operation: "GetRecords", Effect: awstest.Slow, Delay: 3 * time.Second}},
		"answers slower than the client waits": {{Operation: "GetRecords", Effect: awstest.Slow, Delay: 45 * time.Second, Count: 4}},
		"every third iterator expired":         {{Operation: "GetRecords", Effect: awstest.ExpireIterator, Probability: 0.3}},
		"no iterator to be had":                {{Operation: "GetShardIterator", Effect: awstest.Fail, Probability: 0.7}, {Effect: awstest.ExpireIterator, Probability: 0.3}},
		"iterators throttled":                  {{Operation: "GetShardIterator", Effect: awstest.Throttle, Count: 20}, {Effect: awstest.ExpireIterator, Probability: 0.3}},
		"one shard is out of reach":            {{Shard: shardID(0), Effect: awstest.Drop, Count: 30}},
		"all of Kinesis is out of reach":       {{Effect: awstest.Drop, Count: 20}},
		"all at once": {
			{Operation: "GetRecords", Effect: awstest.Throttle, Probability: 0.15}, {Operation: "GetRecords", Effect: awstest.Fail, Probability: 0.15},
			{Effect: awstest.ExpireIterator, Probability: 0.15}, {Operation: "GetRecords", Effect: awstest.DropAfter, Probability: 0.15},
			{Operation: "GetShardIterator", Effect: awstest.Throttle, Probability: 0.2}, {Operation: "ListShards", Effect: awstest.Fail, Probability: 0.3},
		},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				c := newCloud(t, 3, awstest.Options{Seed: 1})
				r := c.start("worker", setup{config: func(cfg *Config) { trimHorizon(cfg); cfg.MaxRecords = 20 }})
				r.holding(3)
				var injected []*awstest.Injection
				for _, f := range faults {
					f.Service, f.AccessKeyID = "kinesis", "worker"
					injected = append(injected, c.Inject(f))
				}
				for range 10 {
					c.Put(60)
					pass(t, 2*time.Second)
				}
				pass(t, 10*time.Second)
				hits := 0
				for _, in := range injected {
					hits += in.Hits()
				}
				if hits < 2 {
					t.Errorf("%d calls have met the fault", hits)
				}
				c.readAll(5*time.Minute, r)
				if n := r.metric("rootwatch_lease_changes_total", metrics.LeaseLost) + r.metric("rootwatch_lease_changes_total", metrics.LeaseReleased); n != 0 &&
					len(r.logs.Lines("Kinesis does not answer with records")) == 0 { // longer than a lease, for all shards
					t.Errorf("%v leases were given up for it", n)
				}
				c.ClearFaults()
				r.endWell()
				c.once(r)
				for id, l := range c.Leases() {
					if got := r.recordsOf(id); len(got) != 200 || !slices.IsSorted(got) || l.Checkpoint == "" {
						t.Errorf("%s: %d records read, in order %v, lease %+v", id, len(got), slices.IsSorted(got), l)
					}
				}
			})
		})
	}
}

func TestTheBareLibraryForgetsItsRecordProcessorOnAnExpiredIterator(t *testing.T) {
	bubble(t, func(t *testing.T) {
		c := newCloud(t, 1, awstest.Options{})
		b := c.startBare("worker", func(cfg *config.KinesisClientLibConfiguration) {
			cfg.ShardSyncIntervalMillis = 1000
			cfg.WithInitialPositionInStream(config.TRIM_HORIZON)
		})
		c.Put(10)
		until(t, time.Minute, "ten records", func() bool { return len(b.records()) == 10 })
		b.mu.Lock()
		before := b.processors
		b.mu.Unlock()
		c.ExpireIterators()
		pass(t, time.Minute)
		b.mu.Lock()
		after, told := b.processors, b.told
		b.mu.Unlock()
		c.endBare(b)
		if after == before || told != 0 {
			t.Errorf("%d record processors were made after the first %d, %d were told of their end: the fetcher need not hide expired iterators any more", after-before, before, told)
		}
	})
}

// The position is after the last record that was handed on, not after the checkpoint: what is in
// flight is not read again.
func TestAnExpiredIteratorResumesAfterTheLastRecordHandedOn(t *testing.T) {
	bubble(t, func(t *testing.T) {
		c := newCloud(t, 1, awstest.Options{})
		h := hold{on: true}
		r := c.start("worker", setup{config: trimHorizon, submit: h.submit})
		for range 5 {
			c.Put(10)
			c.readAll(time.Minute, r)
			c.ExpireIterators()
			pass(t, 5*time.Second)
		}
		if n := r.metric("rootwatch_fetches_total", metrics.FetchExpiredIterator); n != 5 {
			t.Errorf("%v expired iterators are counted, want 5", n)
		}
		if l := c.Leases()[shardID(0)]; l.Checkpoint != "" {
			t.Errorf("what is in flight is checkpointed: %+v", l)
		}
		c.once(r)
		h.set(false)
		h.finish()
		until(t, time.Minute, "all is checkpointed", func() bool { return c.Leases()[shardID(0)].Checkpoint != "" })
		r.endWell()
	})
}

func TestFetchesAreCountedByTheirResult(t *testing.T) {
	bubble(t, func(t *testing.T) {
		c := newCloud(t, 1, awstest.Options{})
		r := c.start("worker", setup{config: trimHorizon})
		r.holding(1)
		pass(t, 5*time.Second)
		for result, effect := range map[string]awstest.Effect{metrics.FetchThrottled: awstest.Throttle, metrics.FetchFailed: awstest.Fail, metrics.FetchExpiredIterator: awstest.ExpireIterator} {
			before := r.metric("rootwatch_fetches_total", result)
			c.Inject(awstest.Fault{Operation: "GetRecords", Effect: effect, Count: 3})
			pass(t, 20*time.Second)
			if n := r.metric("rootwatch_fetches_total", result) - before; n != 3 {
				t.Errorf("3 calls with the effect %s are counted %v times as %s", effect, n, result)
			}
		}
		if n := r.metric("rootwatch_fetches_total", metrics.FetchOK); n < 30 {
			t.Errorf("%v good fetches in a minute", n)
		}
		if complaints := r.logs.Lines("level=WARN", "fetching records failed"); len(complaints) == 0 || len(complaints) > 6 {
			t.Errorf("a shard complains at most once in ten seconds: %q", complaints)
		}
	})
}

// A checkpoint older than the retention is InvalidArgument for ever: the library retries without an
// end.
func TestACheckpointOlderThanTheRetentionGoesOnAtTheOldestRecordAndSaysWhatIsLost(t *testing.T) {
	bubble(t, func(t *testing.T) {
		c := newCloud(t, 1, awstest.Options{})
		first := c.start("first", setup{config: trimHorizon})
		c.Put(10)
		c.readAll(time.Minute, first)
		first.endWell()
		stopped := c.Leases()[shardID(0)]
		c.Put(50) // lost
		if err := c.Trim(testStream); err != nil {
			t.Fatal(err)
		}
		wanted := c.Put(20)
		second := c.start("second", setup{config: trimHorizon})
		until(t, time.Minute, "what is left is read", func() bool { return len(second.records()) >= 20 })
		pass(t, 10*time.Second)
		if got := second.records(); !slices.Equal(got, wanted) {
			t.Errorf("read %q", got)
		}
		if n := second.metric("rootwatch_data_loss_total", metrics.LossExpiredCheckpoint); n != 1 {
			t.Errorf("rootwatch_data_loss_total is %v", n)
		}
		gap := second.logs.Lines("level=ERROR", "older than the stream's retention", shardID(0), "checkpoint="+stopped.Checkpoint, "gap_from="+stopped.CheckedAt, "gap_to=")
		if len(gap) != 1 || stopped.CheckedAt == "" {
			t.Errorf("the gap is named: %q", second.logs.Lines("level=ERROR"))
		}
		second.endWell()
		if l := c.Leases()[shardID(0)]; l.Checkpoint <= stopped.Checkpoint {
			t.Errorf("the checkpoint is still %+v", l)
		}
	})
}

func TestACheckpointThatIsNoSequenceNumberOfTheStreamGoesOnAtTheOldestRecord(t *testing.T) {
	bubble(t, func(t *testing.T) {
		c := newCloud(t, 1, awstest.Options{})
		c.EnsureTable()
		c.PutItem(dynamo.Item{"ShardID": dynamo.String(shardID(0)), "Checkpoint": dynamo.String("no number at all"), "LeaseEpoch": dynamo.Number(1), "LeaseCounter": dynamo.Number(2)})
		r := c.start("worker", setup{config: trimHorizon})
		c.Put(10)
		c.readAll(time.Minute, r)
		c.once(r)
		if n := r.metric("rootwatch_data_loss_total", metrics.LossExpiredCheckpoint); n != 1 {
			t.Errorf("rootwatch_data_loss_total is %v", n)
		}
	})
}

// common-shard-consumer.go dereferences MillisBehindLatest unchecked; the field is optional.
func TestAnAnswerWithoutMillisBehindLatestIsTaken(t *testing.T) {
	bubble(t, func(t *testing.T) {
		c := newCloud(t, 1, awstest.Options{})
		c.OnCall(func(k *streamtest.Call) {
			if k.Action != "kinesis:GetRecords" {
				return
			}
			var answer map[string]json.RawMessage
			if err := json.NewDecoder(k.Response.Body).Decode(&answer); err != nil {
				t.Error(err)
			}
			delete(answer, "MillisBehindLatest")
			b, err := json.Marshal(answer)
			if err != nil {
				t.Error(err)
			}
			k.Say(200, string(b))
		})
		r := c.start("worker", setup{config: trimHorizon})
		c.Put(10)
		c.readAll(time.Minute, r)
		c.once(r)
		if n := r.metric("rootwatch_panics_recovered_total", ""); n != 0 {
			t.Errorf("%v panics", n)
		}
	})
}

// AWS allows 5 reads a second of a shard, and the stand-in keeps to it here: the worker must
// neither be refused nor stay far below.
func TestReadingKeepsToTheRateOfAShard(t *testing.T) {
	bubble(t, func(t *testing.T) {
		c := newCloud(t, 1, awstest.Options{Limits: true})
		c.Put(100)
		began := time.Now()
		r := c.start("worker", setup{config: func(cfg *Config) { trimHorizon(cfg); cfg.MaxRecords = 1 }})
		c.readAll(time.Minute, r)
		if took := time.Since(began); took < 19*time.Second || took > 22*time.Second {
			t.Errorf("100 reads took %s", took)
		}
		if n := r.metric("rootwatch_fetches_total", metrics.FetchThrottled); n > 5 {
			t.Errorf("%v of 100 reads were refused", n)
		}
	})
}
