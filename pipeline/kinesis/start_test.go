package kinesis

import (
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/vmware/vmware-go-kcl-v2/clientlibrary/config"

	"rootwatch/pipeline/awstest"
	"rootwatch/pipeline/dynamo"
	"rootwatch/pipeline/kinesis/streamtest"
)

// The library begins at LATEST wherever there is no checkpoint (config.go:61,
// common-shard-consumer.go:94): in a shard that it has held without finding a record, everything
// that comes until the next start is lost.
func TestRecordsPutBeforeTheFirstCheckpointAreReadAfterARestart(t *testing.T) {
	bubble(t, func(t *testing.T) {
		c := newCloud(t, 2, awstest.Options{})
		first := c.start("first", setup{})
		first.holding(2)
		pass(t, 10*time.Second)
		first.endWell()

		c.Put(100)
		pass(t, time.Minute)
		second := c.start("second", setup{})
		c.readAll(time.Minute, second)
		second.endWell()
		c.once(first, second)
	})
}

func TestTheBareLibraryLosesRecordsPutBeforeTheFirstCheckpoint(t *testing.T) {
	bubble(t, func(t *testing.T) {
		c := newCloud(t, 1, awstest.Options{})
		first := c.startBare("first", nil)
		until(t, 5*time.Minute, "the shard is polled", func() bool { return c.CallsBy("first")["kinesis:GetRecords"] > 3 })
		first.Shutdown()
		c.Put(100)
		second := c.startBare("second", nil)
		until(t, 5*time.Minute, "the shard is polled", func() bool { return c.CallsBy("second")["kinesis:GetRecords"] > 3 })
		second.Shutdown()
		if n := len(second.records()); n != 0 {
			t.Errorf("the library has read %d records: the wrapper's start position is not needed any more", n)
		}
	})
}

func TestRecordsBeforeTheFirstStartAreNotRead(t *testing.T) {
	bubble(t, func(t *testing.T) {
		c := newCloud(t, 2, awstest.Options{})
		c.Put(50)
		pass(t, time.Minute)
		r := c.start("worker", setup{})
		r.holding(2)
		pass(t, time.Second)
		wanted := c.Put(10)
		until(t, time.Minute, "the new records are read", func() bool { return len(r.records()) >= 10 })
		pass(t, 10*time.Second)
		if got := r.records(); len(got) != 10 || slices.Max(got) != slices.Max(wanted) || slices.Min(got) != slices.Min(wanted) {
			t.Errorf("read %q", got)
		}
	})
}

func TestStartAtTheTrimHorizonReadsAll(t *testing.T) {
	bubble(t, func(t *testing.T) {
		c := newCloud(t, 3, awstest.Options{})
		c.Put(50)
		pass(t, time.Hour)
		c.OnCall(func(k *streamtest.Call) {
			if k.Action == "kinesis:GetShardIterator" && !strings.Contains(string(k.Request), `"ShardIteratorType":"TRIM_HORIZON"`) {
				t.Errorf("an iterator is asked for with %s", k.Request)
			}
		})
		r := c.start("worker", setup{config: trimHorizon})
		c.readAll(time.Minute, r)
		c.once(r)
	})
}

func TestStartAtATimeReadsFromThereOn(t *testing.T) {
	bubble(t, func(t *testing.T) {
		c := newCloud(t, 2, awstest.Options{})
		c.Put(20)
		pass(t, time.Hour)
		at := time.Now()
		wanted := c.Put(20)
		pass(t, time.Hour)
		r := c.start("worker", setup{config: func(cfg *Config) { cfg.Start.Time = at }})
		until(t, time.Minute, "the records from then on", func() bool { return len(r.records()) >= len(wanted) })
		pass(t, 10*time.Second)
		got := r.records()
		slices.Sort(got)
		if !slices.Equal(got, wanted) {
			t.Errorf("read %q, want %q", got, wanted)
		}
	})
}

// A first start by a local clock that is ahead of Kinesis's would pass over what arrives in
// between.
func TestTheFirstStartIsKinesisTimeAndKept(t *testing.T) {
	bubble(t, func(t *testing.T) {
		c := newCloud(t, 1, awstest.Options{})
		kinesisTime := time.Now().Add(-10 * time.Minute).UTC().Truncate(time.Second)
		c.OnCall(func(k *streamtest.Call) { k.Response.Header.Set("Date", kinesisTime.Format(http.TimeFormat)) })
		c.start("first", setup{}).holding(1)
		want := kinesisTime.Format(time.RFC3339Nano)
		if got := dynamo.Text(c.Item("rootwatch/start"), "FirstStart"); got != want {
			t.Errorf("the first start is noted as %s, want %s", got, want)
		}
		c.OnCall(nil)
		pass(t, 30*time.Second)
		second := c.start("second", setup{})
		until(t, time.Minute, "the second worker is at work", func() bool { return second.Ready() == nil })
		if got := dynamo.Text(c.Item("rootwatch/start"), "FirstStart"); got != want {
			t.Errorf("the first start has become %s, want %s", got, want)
		}
	})
}

// After a split the library starts the children at LATEST too, once it has seen them.
func TestChildrenOfASplitAreReadFromTheirBeginning(t *testing.T) {
	bubble(t, func(t *testing.T) {
		c := newCloud(t, 1, awstest.Options{})
		first := c.start("first", setup{})
		first.holding(1)
		c.Put(10)
		c.readAll(time.Minute, first)
		first.endWell()

		children := c.Split(shardID(0))
		c.PutInto(1000, children...)
		pass(t, time.Hour)
		second := c.start("second", setup{})
		c.readAll(time.Minute, second, first)
		second.holding(2)
		second.endWell()
		c.once(first, second)
	})
}

func TestTheBareLibraryLosesWhatIsPutIntoTheChildrenOfASplit(t *testing.T) {
	bubble(t, func(t *testing.T) {
		c := newCloud(t, 1, awstest.Options{})
		b := c.startBare("worker", func(cfg *config.KinesisClientLibConfiguration) { cfg.ShardSyncIntervalMillis = 2000 })
		until(t, 5*time.Minute, "the shard is polled", func() bool { return c.CallsBy("worker")["kinesis:GetRecords"] > 3 })
		c.Put(10)
		until(t, time.Minute, "the parent's records", func() bool { return len(b.records()) == 10 })
		c.PutInto(1000, c.Split(shardID(0))...)
		until(t, 10*time.Minute, "both children are leased", func() bool { return len(c.Leases()) == 3 })
		pass(t, time.Minute)
		n := len(b.records())
		c.endBare(b)
		if n != 10 {
			t.Errorf("the library has read %d of the children's records: the wrapper's start position is not needed any more", n-10)
		}
	})
}

// A reshard before the first start must not turn "from now on" into "from the reshard on": the
// finished parent was never read.
func TestAFirstStartAfterAReshardReadsNothingOlder(t *testing.T) {
	bubble(t, func(t *testing.T) {
		c := newCloud(t, 2, awstest.Options{})
		c.Put(10)
		children := append(c.Split(shardID(0)), c.Split(shardID(1))...)
		grandchild := c.Merge(children[0], children[1])
		c.Put(10)
		pass(t, time.Hour)
		r := c.start("worker", setup{})
		r.holding(3)
		pass(t, 10*time.Second)
		wanted := c.PutInto(9, grandchild, children[2], children[3])
		until(t, time.Minute, "the new records are read", func() bool { return len(r.records()) >= 9 })
		pass(t, 10*time.Second)
		if got := r.records(); len(got) != len(wanted) {
			t.Errorf("read %q, want %q", got, wanted)
		}
	})
}

// The same, but a start time that is later than the reshard: what the parent had was read, so its
// children are read from their beginning.
func TestAChildOfAReadParentIsReadFromItsBeginningWhateverTheStartIs(t *testing.T) {
	bubble(t, func(t *testing.T) {
		c := newCloud(t, 1, awstest.Options{})
		first := c.start("first", setup{})
		first.holding(1)
		c.Put(10)
		c.readAll(time.Minute, first)
		first.endWell()
		c.PutInto(10, c.Split(shardID(0))...)
		pass(t, time.Hour)
		second := c.start("second", setup{config: func(cfg *Config) { cfg.Start.Time = time.Now() }})
		c.readAll(time.Minute, first, second)
		c.once(first, second)
	})
}
