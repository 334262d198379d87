package kinesis

import (
	"context"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awskinesis "github.com/aws/aws-sdk-go-v2/service/kinesis"
	"github.com/vmware/vmware-go-kcl-v2/clientlibrary/config"

	"rootwatch/pipeline/awstest"
	"rootwatch/pipeline/dynamo"
	"rootwatch/pipeline/kinesis/lease"
	"rootwatch/pipeline/kinesis/metrics"
)

// common-shard-consumer.go:115 waits for the parent of a leased child without a look at the stop:
// with the parent unfinished elsewhere, Shutdown hangs for ever.
func TestStopDoesNotWaitForAParentThatIsUnfinishedElsewhere(t *testing.T) {
	bubble(t, func(t *testing.T) {
		c := newCloud(t, 1, awstest.Options{})
		c.Put(10)
		owner := c.start("owner", setup{config: trimHorizon, submit: takeOnly})
		owner.holding(1)
		c.Split(shardID(0))
		other := c.start("other", setup{config: trimHorizon})
		pass(t, time.Minute)
		if held := other.holds(); len(held) > 0 {
			t.Errorf("%v are held before their parent is finished", held)
		}
		if err := other.Ready(); err != nil {
			t.Errorf("a worker that only waits for a parent is not ready: %v", err)
		}
		if took, err := other.end(); took > time.Second || err != nil {
			t.Errorf("the stop took %s: %v", took, err)
		}
		owner.end() //nolint:errcheck // it is stuck, and says so
	})
}

func TestTheBareLibraryHangsOnAParentThatIsUnfinishedElsewhere(t *testing.T) {
	bubble(t, func(t *testing.T) {
		c := newCloud(t, 1, awstest.Options{})
		c.Split(shardID(0))
		c.EnsureTable()
		c.PutItem(dynamo.Item{"ShardID": dynamo.String(shardID(0)), "AssignedTo": dynamo.String("owner"), "LeaseTimeout": dynamo.String("2100-01-01T00:00:00Z"), "Checkpoint": dynamo.String("10")})
		b := c.startBare("worker", func(cfg *config.KinesisClientLibConfiguration) { cfg.ShardSyncIntervalMillis = 1000 })
		until(t, time.Minute, "the children are leased", func() bool { return len(c.Leases()) == 3 })
		asked, ended := time.Now(), make(chan struct{})
		go func() { defer close(ended); b.Shutdown() }()
		pass(t, 10*time.Minute)
		select {
		case <-ended:
			t.Errorf("Shutdown took %s: the parent gate is not needed for it any more", time.Since(asked))
		default:
		}
		c.Set(shardID(0), "Checkpoint", lease.ShardEnd)
		<-ended
	})
}

// A parent without a checkpoint counts as deleted in the library (polling-shard-consumer.go:114),
// and of the two parents of a merge it knows one.
func TestAChildStartsOnlyAfterBothParentsOfAMerge(t *testing.T) {
	for name, slow := range map[string]string{"first parent is slow": shardID(0), "second parent is slow": shardID(1)} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				c := newCloud(t, 2, awstest.Options{})
				c.Put(100)
				child := c.Merge(shardID(0), shardID(1))
				c.PutInto(100, child)
				open := make(chan struct{})
				r := c.start("worker", setup{config: trimHorizon, submit: func(ctx context.Context, r *reader, b *batch) error {
					if b.ShardID != slow {
						b.Done(outcome{})
						return nil
					}
					go func() { <-open; b.Done(outcome{}) }()
					return nil
				}})
				pass(t, time.Minute)
				if got := r.recordsOf(child); len(got) > 0 {
					t.Errorf("%d records of the child were read before %s was finished", len(got), slow)
				}
				if l := c.Leases()[slow]; l.Checkpoint != "" {
					t.Errorf("the lease of the unfinished parent is %+v", l)
				}
				close(open)
				c.readAll(time.Minute, r)
				r.endWell()
				c.once(r)
			})
		})
	}
}

func TestAParentWithoutALeaseIsReadBeforeItsChild(t *testing.T) {
	bubble(t, func(t *testing.T) {
		c := newCloud(t, 1, awstest.Options{})
		c.Put(5000)
		children := c.Split(shardID(0))
		c.PutInto(100, children...)
		r := c.start("worker", setup{config: func(cfg *Config) { trimHorizon(cfg); cfg.MaxRecords = 100 }})
		c.readAll(10*time.Minute, r)
		r.endWell()
		c.once(r)
		got := r.records()
		last := slices.Index(got, "record 004999")
		first := slices.IndexFunc(got, func(s string) bool { return s >= "record 005000" })
		if first < last {
			t.Errorf("the first record of a child came as number %d, the last of the parent as %d", first, last)
		}
	})
}

// The row of a parent may be gone (somebody deleted it) while Kinesis still has the shard: it is
// read again, and its children wait for it.
func TestAMissingRowOfAParentThatStillExistsClosesTheGate(t *testing.T) {
	bubble(t, func(t *testing.T) {
		c := newCloud(t, 1, awstest.Options{})
		c.Put(10)
		r := c.start("first", setup{config: trimHorizon})
		c.readAll(time.Minute, r)
		c.Split(shardID(0))
		r.holding(2)
		r.endWell()
		c.DeleteItem(shardID(0))
		stuck := c.start("second", setup{config: trimHorizon, submit: takeOnly})
		pass(t, time.Minute)
		if held := stuck.holds(); !slices.Equal(held, []string{shardID(0)}) {
			t.Errorf("%v are held, want the parent alone", held)
		}
		stuck.end() //nolint:errcheck // it is stuck, and says so
	})
}

// record-processor-checkpointer.go:70 remembers SHARD_END before it has been written: when the
// write fails, the shard may be skipped for good, or never be closed.
func TestTheEndOfAShardIsWrittenAgainUntilItIsThere(t *testing.T) {
	for name, fault := range map[string]awstest.Fault{
		"refused":                {Effect: awstest.Fail},
		"written, answer lost":   {Effect: awstest.FailAfter},
		"connection cut":         {Effect: awstest.Drop},
		"written, and cut":       {Effect: awstest.DropAfter},
		"throttled":              {Effect: awstest.Throttle},
		"slower than the client": {Effect: awstest.Slow, Delay: 6 * time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				c := newCloud(t, 1, awstest.Options{})
				r := c.start("worker", setup{config: trimHorizon})
				c.Put(100)
				c.readAll(time.Minute, r)
				fault.Service, fault.Operation, fault.AccessKeyID = "dynamodb", "UpdateItem", "worker"
				outage := c.Inject(fault)
				c.PutInto(100, c.Split(shardID(0))...)
				pass(t, 10*time.Second) // shorter than what loses the lease
				outage.Remove()
				c.readAll(2*time.Minute, r)
				r.holding(2)
				until(t, time.Minute, "the parent's lease is closed", func() bool {
					l := c.Leases()[shardID(0)]
					return l.Checkpoint == lease.ShardEnd && l.Owner == ""
				})
				if lost := r.logs.Lines("level=ERROR"); len(lost) > 0 {
					t.Errorf("a late answer was taken for a loss: %q", lost)
				}
				r.endWell()
				c.once(r)
			})
		})
	}
}

func TestFinishedShardsAreClosedAndReadNoMore(t *testing.T) {
	bubble(t, func(t *testing.T) {
		c := newCloud(t, 2, awstest.Options{})
		r := c.start("worker", setup{config: trimHorizon})
		r.holding(2)
		c.Put(100)
		child := c.Merge(shardID(0), shardID(1))
		until(t, 3*time.Second, "only the child is held, soon", func() bool { return slices.Equal(r.holds(), []string{child}) })
		for _, id := range []string{shardID(0), shardID(1)} {
			if l := c.Leases()[id]; l.Checkpoint != lease.ShardEnd || l.Owner != "" {
				t.Errorf("the lease of %s is %+v", id, l)
			}
		}
		if n := r.metric("rootwatch_shards", ""); n != 1 {
			t.Errorf("rootwatch_shards is %v, want 1", n)
		}
		before := len(r.records())
		pass(t, time.Minute)
		if after := len(r.records()); after != before {
			t.Errorf("%d records were read again", after-before)
		}
		c.once(r)
	})
}

// Split, merge and UpdateShardCount while records come, with two workers: nothing lost, nothing
// doubled, and in each line of descent nothing of a child before its parents' last.
func TestReshardingUnderLoadLosesAndDoublesNothing(t *testing.T) {
	bubble(t, func(t *testing.T) {
		c := newCloud(t, 2, awstest.Options{UpdateDuration: 2 * time.Second})
		a := c.start("a", setup{config: trimHorizon})
		b := c.start("b", setup{config: trimHorizon})
		stop, stopped := make(chan struct{}), make(chan struct{})
		go func() {
			defer close(stopped)
			ticker := time.NewTicker(200 * time.Millisecond)
			defer ticker.Stop()
			for {
				select {
				case <-stop:
					return
				case <-ticker.C:
					c.Put(40)
				}
			}
		}()
		for _, n := range []int{4, 8, 4, 3} {
			pass(t, 10*time.Second)
			c.Rescale(n)
		}
		pass(t, 10*time.Second)
		close(stop)
		<-stopped
		c.readAll(2*time.Minute, a, b)
		until(t, 2*time.Minute, "the three shards that are left are shared", func() bool {
			n, m := len(a.holds()), len(b.holds())
			return n+m == 3 && min(n, m) == 1
		})
		a.endWell()
		b.endWell()
		c.once(a, b)
	})
}

// A deleted shard's lease is of no use any more; one that was not read to its end is a loss that
// must be said, and not asked for for ever.
func TestLeasesOfDeletedShardsAreRemoved(t *testing.T) {
	unfinished := func(_ context.Context, _ *reader, b *batch) error { // what is in the parent is never finished
		if b.ShardID != shardID(0) {
			b.Done(outcome{})
		}
		return nil
	}
	for name, test := range map[string]struct {
		submit func(context.Context, *reader, *batch) error
		fault  awstest.Fault
		lost   bool
	}{
		"read to the end":                     {},
		"its last batch was never finished":   {submit: unfinished, lost: true},
		"its last records were never fetched": {fault: awstest.Fault{Operation: "GetRecords", Shard: shardID(0), Effect: awstest.Fail}, lost: true},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				var ahead atomic.Int64
				c := newCloud(t, 1, awstest.Options{Clock: func() time.Time { return time.Now().Add(time.Duration(ahead.Load())) }})
				r := c.start("worker", setup{config: trimHorizon, submit: test.submit})
				r.holding(1)
				if test.fault.Effect != "" {
					c.Inject(test.fault)
				}
				c.Put(10)
				children := c.Split(shardID(0))
				pass(t, time.Minute)
				ahead.Store(int64(25 * time.Hour)) // past the retention
				c.ClearFaults()
				c.PutInto(10, children...)
				pass(t, 2*time.Minute)
				if l := c.Leases()[shardID(0)]; l != nil {
					t.Errorf("the lease of a deleted shard is still there: %+v", l)
				}
				if held := r.holds(); !slices.Equal(held, children) {
					t.Errorf("%v are held, want the children", held)
				}
				if n := len(r.recordsOf(children[0])) + len(r.recordsOf(children[1])); n != 10 {
					t.Errorf("%d records of the children were read, want 10", n)
				}
				losses := r.metric("rootwatch_data_loss_total", metrics.LossShardDeleted)
				errors := r.logs.Lines("level=ERROR", "deleted before it was read to its end", shardID(0))
				if want := map[bool]int{true: 1}[test.lost]; losses != float64(want) || len(errors) != want {
					t.Errorf("data loss is counted as %v and logged as %q", losses, errors)
				}
			})
		})
	}
}

// A stream that was deleted and made anew has shards of the same names. Their leases say nothing
// about them, the finished ones least of all.
func TestAStreamMadeAnewIsReadFromItsStart(t *testing.T) {
	bubble(t, func(t *testing.T) {
		c := newCloud(t, 1, awstest.Options{})
		first := c.start("first", setup{config: trimHorizon})
		c.Put(10)
		c.Split(shardID(0))
		c.Put(10)
		c.readAll(time.Minute, first)
		first.holding(2)
		first.endWell()
		if _, err := c.Kinesis.DeleteStream(t.Context(), &awskinesis.DeleteStreamInput{StreamName: aws.String(testStream)}); err != nil {
			t.Fatal(err)
		}
		pass(t, time.Minute)
		c.CreateStream(3)
		c.Put(30)
		second := c.start("second", setup{config: trimHorizon})
		c.readAll(time.Minute, first, second)
		second.holding(3)
		c.once(first, second)
		if warned := second.logs.Lines("level=WARN", "deleted stream"); len(warned) != 3 {
			t.Errorf("three leases of the old stream were replaced, and it was said so: %q", warned)
		}
		if n := second.metric("rootwatch_data_loss_total", metrics.LossExpiredCheckpoint); n != 0 {
			t.Errorf("data loss is counted %v times", n)
		}
		for id, l := range c.Leases() {
			if start := *c.Shard(id).SequenceNumberRange.StartingSequenceNumber; l.ShardStart != start {
				t.Errorf("the lease of %s is of the shard that starts with %s, not %s", id, l.ShardStart, start)
			}
		}
	})
}

func TestAStreamMadeAnewUnderARunningWorkerIsReadFromItsStart(t *testing.T) {
	bubble(t, func(t *testing.T) {
		c := newCloud(t, 2, awstest.Options{})
		r := c.start("worker", setup{config: trimHorizon})
		c.Put(10)
		c.readAll(time.Minute, r)
		pass(t, 5*time.Second)
		if _, err := c.Kinesis.DeleteStream(t.Context(), &awskinesis.DeleteStreamInput{StreamName: aws.String(testStream)}); err != nil {
			t.Fatal(err)
		}
		pass(t, time.Minute)
		c.CreateStream(3)
		c.Put(30)
		c.readAll(2*time.Minute, r)
		until(t, 2*time.Minute, "all leases are of the new stream", func() bool {
			for id, l := range c.Leases() {
				if l.ShardStart != *c.Shard(id).SequenceNumberRange.StartingSequenceNumber {
					return false
				}
			}
			return len(c.Leases()) == 3
		})
		r.holding(3)
	})
}

func trimHorizon(cfg *Config) { cfg.Start.TrimHorizon = true }

// takeOnly is a pipeline that takes every batch and finishes none.
func takeOnly(context.Context, *reader, *batch) error { return nil }
