package kinesis

import (
	"context"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/vmware/vmware-go-kcl-v2/clientlibrary/config"

	"rootwatch/pipeline/awstest"
	"rootwatch/pipeline/dynamo"
	"rootwatch/pipeline/kinesis/metrics"
)

// hold is a pipeline that finishes batches only when it is told to.
type hold struct {
	mu    sync.Mutex
	on    bool
	taken []*batch
	ends  []context.Context // of the submits
}

func (h *hold) submit(ctx context.Context, _ *reader, b *batch) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	if !h.on {
		b.Done(outcome{})
		return nil
	}
	h.taken, h.ends = append(h.taken, b), append(h.ends, ctx)
	return nil
}

func (h *hold) set(on bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.on = on
}

// finish acknowledges what is held, the last first.
func (h *hold) finish() (n int) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, b := range slices.Backward(h.taken) {
		b.Done(outcome{})
	}
	n, h.taken = len(h.taken), nil
	return n
}

// polling-shard-consumer.go:103 returns when the lease is lost, and the record processor is never
// told: it goes on, a second one is made later.
func TestALostLeaseIsGivenUpAndIsReadFromItsCheckpointWhenItIsHeldAgain(t *testing.T) {
	bubble(t, func(t *testing.T) {
		c := newCloud(t, 1, awstest.Options{})
		var h hold
		r := c.start("worker", setup{config: trimHorizon, submit: h.submit})
		c.Put(10)
		c.readAll(time.Minute, r)
		until(t, time.Minute, "the first ten are checkpointed", func() bool { return c.Leases()[shardID(0)].Checkpoint != "" })
		checkpoint := c.Leases()[shardID(0)].Checkpoint
		h.set(true)
		c.Put(10)
		c.readAll(time.Minute, r)

		stolen := c.Item(shardID(0))
		stolen["AssignedTo"], stolen["LeaseEpoch"], stolen["LeaseCounter"] = dynamo.String("thief"), dynamo.Number(100), dynamo.Number(100)
		c.PutItem(stolen)
		until(t, 20*time.Second, "the worker has noticed it", func() bool { return len(r.holds()) == 0 })
		for _, ctx := range h.ends {
			if ctx.Err() == nil {
				t.Error("a submit of the lost lease would still be taken")
			}
		}
		if n := r.metric("rootwatch_lease_changes_total", metrics.LeaseLost); n != 1 {
			t.Errorf("%v leases are counted as lost", n)
		}
		until(t, time.Second, "rootwatch_leases_held is 0", func() bool { return r.metric("rootwatch_leases_held", "") == 0 })
		for _, b := range h.taken {
			if !b.Abandoned() {
				t.Error("the pipeline is not told that a batch will be read again by somebody else")
			}
		}
		h.finish() // too late
		c.Put(10)
		pass(t, 10*time.Second)
		if l := c.Leases()[shardID(0)]; l.Owner != "thief" || l.Epoch != 100 || l.Counter != 100 || l.Checkpoint != checkpoint {
			t.Errorf("the former owner has written the lease: %+v", l)
		}
		if n := len(r.records()); n != 20 {
			t.Errorf("the former owner has read on: %d records", n)
		}

		h.set(false) // the thief does nothing, and its lease expires
		c.readAll(time.Minute, r)
		until(t, time.Minute, "all is checkpointed", func() bool { return c.Leases()[shardID(0)].Checkpoint > checkpoint })
		counts := count(r)
		for i, s := range c.Everything() {
			want := 1
			if i >= 10 && i < 20 { // in flight when the lease was lost
				want = 2
			}
			if counts[s] != want {
				t.Errorf("%s was read %d times, want %d", s, counts[s], want)
			}
		}
		if l := c.Leases()[shardID(0)]; l.Epoch != 101 {
			t.Errorf("the next holding has the epoch %d, want 101", l.Epoch)
		}
	})
}

// worker.go:311 passes over a shard that the table says is its own, and
// dynamodb-checkpointer.go:291 tells it so: after a write outage of its worker nobody reads the
// shard until somebody restarts.
func TestAWorkerThatCannotWriteItsLeasesGivesThemUpAndComesBackWithoutARestart(t *testing.T) {
	for name, fault := range map[string]awstest.Fault{
		"writes fail":                {Operation: "UpdateItem", Effect: awstest.Fail},
		"writes are throttled":       {Operation: "UpdateItem", Effect: awstest.Throttle},
		"the table does not answer":  {Effect: awstest.Hang},
		"the table is out of reach":  {Effect: awstest.Drop},
		"answers to writes are lost": {Operation: "UpdateItem", Effect: awstest.DropAfter},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				c := newCloud(t, 4, awstest.Options{})
				a := c.start("a", setup{config: trimHorizon})
				b := c.start("b", setup{config: trimHorizon})
				shared := func() bool { return len(a.holds()) == 2 && len(b.holds()) == 2 }
				until(t, time.Minute, "the shards are shared", shared)
				c.Put(100)
				c.readAll(time.Minute, a, b)
				pass(t, 5*time.Second) // all is checkpointed

				fault.Service, fault.AccessKeyID = "dynamodb", "a"
				outage := c.Inject(fault)
				cut := time.Now()
				if fault.Effect != awstest.DropAfter { // then a's renewals do move the counters: the leases stay its own until it gives up
					until(t, 50*time.Second, "the other worker has taken over", func() bool { return len(b.holds()) == 4 })
					if took := time.Since(cut); took > 26*time.Second { // a lease and a look
						t.Errorf("taking over took %s", took)
					}
				} else {
					pass(t, time.Minute)
				}
				if held := a.holds(); len(held) > 0 {
					t.Errorf("%v are still held without a renewal", held)
				}
				if lost := a.logs.Lines("level=ERROR", "lease lost", "three quarters"); len(lost) < 2 {
					t.Errorf("the losses are said so: %q", lost)
				}
				if a.metric("rootwatch_lease_table_failures_total", "") == 0 {
					t.Error("no failure of the lease table is counted")
				}
				c.Put(100)
				pass(t, 10*time.Second)
				outage.Remove()
				healed := time.Now()
				until(t, 2*time.Minute, "the shards are shared again", shared)
				if took := time.Since(healed); took > time.Minute {
					t.Errorf("sharing again took %s, more than 3 leases", took)
				}
				if err := a.Ready(); err != nil {
					t.Errorf("not ready after the outage: %v", err)
				}
				c.Put(100)
				c.readAll(time.Minute, a, b)
				a.endWell()
				b.endWell()
				c.once(a, b)
			})
		})
	}
}

// The moment of the first start goes with the table: made anew, it must not move past what nobody
// has read yet.
func TestATableMadeAnewKeepsTheFirstStart(t *testing.T) {
	bubble(t, func(t *testing.T) {
		c := newCloud(t, 2, awstest.Options{})
		r := c.start("worker", setup{})
		r.holding(2)
		first := dynamo.Text(c.Item("rootwatch/start"), "FirstStart")
		pass(t, time.Minute)
		c.Inject(awstest.Fault{Service: "kinesis", Operation: "GetRecords", Effect: awstest.Fail})
		c.Put(20)
		pass(t, 10*time.Second)
		if _, err := c.DynamoDB.DeleteTable(t.Context(), &dynamodb.DeleteTableInput{TableName: aws.String(testApp)}); err != nil {
			t.Fatal(err)
		}
		pass(t, 30*time.Second)
		c.ClearFaults()
		c.readAll(time.Minute, r)
		if got := dynamo.Text(c.Item("rootwatch/start"), "FirstStart"); got != first {
			t.Errorf("the first start has become %s, it was %s", got, first)
		}
	})
}

func TestAWorkerWithoutItsTableIsNotReadyAndSaysSo(t *testing.T) {
	bubble(t, func(t *testing.T) {
		c := newCloud(t, 2, awstest.Options{})
		r := c.start("worker", setup{config: trimHorizon})
		r.holding(2)
		until(t, time.Minute, "it is ready", func() bool { return r.Ready() == nil })
		outage := c.Inject(awstest.Fault{Service: "dynamodb", Effect: awstest.Drop})
		until(t, time.Minute, "it is not", func() bool { return r.Ready() != nil })
		pass(t, time.Minute)
		if len(r.logs.Lines("level=ERROR", "the lease table cannot be read")) == 0 {
			t.Error("nothing is logged about the table")
		}
		if held := r.holds(); len(held) > 0 {
			t.Errorf("%v are still held", held)
		}
		if n := r.metric("rootwatch_leases_held", ""); n != 0 {
			t.Errorf("rootwatch_leases_held is %v", n)
		}
		outage.Remove()
		until(t, time.Minute, "it is ready again", func() bool { return r.Ready() == nil })
		r.holding(2)
	})
}

func TestTheBareLibraryNeverReadsAShardAgainAfterAWriteOutage(t *testing.T) {
	bubble(t, func(t *testing.T) {
		c := newCloud(t, 1, awstest.Options{})
		b := c.startBare("worker", func(cfg *config.KinesisClientLibConfiguration) {
			cfg.ShardSyncIntervalMillis = 1000
			cfg.WithInitialPositionInStream(config.TRIM_HORIZON)
		})
		c.Put(10)
		until(t, time.Minute, "ten records", func() bool { return len(b.records()) == 10 })
		c.Inject(awstest.Fault{Service: "dynamodb", Operation: "PutItem", Effect: awstest.Fail})
		c.Inject(awstest.Fault{Service: "dynamodb", Operation: "UpdateItem", Effect: awstest.Fail})
		pass(t, time.Minute)
		c.ClearFaults()
		c.Put(10)
		pass(t, 10*time.Minute)
		n := len(b.records())
		c.endBare(b)
		if n != 10 {
			t.Errorf("the library has read on: %d records; FetchCheckpoint may name owners again", n)
		}
	})
}

// Throttled and failing writes shorter than a lease are nobody's business.
func TestAShortOutageOfTheTableChangesNothing(t *testing.T) {
	for name, fault := range map[string]awstest.Fault{
		"throttled": {Effect: awstest.Throttle}, "failing": {Effect: awstest.Fail}, "failing afterwards": {Effect: awstest.FailAfter},
		"cut": {Effect: awstest.Drop}, "cut afterwards": {Effect: awstest.DropAfter}, "hanging": {Effect: awstest.Hang},
		"half of the calls failing": {Effect: awstest.Fail, Probability: 0.5},
		"slow":                      {Effect: awstest.Slow, Delay: 2 * time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				c := newCloud(t, 4, awstest.Options{})
				r := c.start("worker", setup{config: trimHorizon})
				r.holding(4)
				fault.Service = "dynamodb"
				for range 3 {
					c.Put(40)
					outage := c.Inject(fault)
					pass(t, 7*time.Second)
					outage.Remove()
					pass(t, 15*time.Second)
				}
				c.readAll(time.Minute, r)
				if n := r.metric("rootwatch_lease_changes_total", metrics.LeaseLost); n != 0 {
					t.Errorf("%v leases were lost", n)
				}
				r.endWell()
				c.once(r)
				for id, l := range c.Leases() {
					if l.Owner != "" || l.Checkpoint == "" {
						t.Errorf("the lease of %s is left as %+v", id, l)
					}
				}
			})
		})
	}
}

// The lease table is all that the others see: a worker that renews its leases and cannot read must
// give them up itself.
func TestAWorkerThatIsCutOffFromKinesisLeavesItsShardsToOthers(t *testing.T) {
	for _, effect := range []awstest.Effect{awstest.Drop, awstest.Hang, awstest.Fail} {
		t.Run(string(effect), func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				c := newCloud(t, 4, awstest.Options{})
				a, b := c.start("a", setup{config: trimHorizon}), c.start("b", setup{config: trimHorizon})
				until(t, time.Minute, "the shards are shared", func() bool { return even(4, a, b) })
				cut := c.Inject(awstest.Fault{Service: "kinesis", AccessKeyID: "a", Effect: effect})
				c.Put(40)
				c.readAll(90*time.Second, b) // a lease, a poll, and what the calls take that get no answer
				if held := len(b.holds()); held != 4 {
					t.Errorf("%d shards are held by the worker that can read", held)
				}
				if len(a.logs.Lines("level=ERROR", "Kinesis does not answer")) == 0 || a.Ready() == nil {
					t.Errorf("it is not said: ready %v", a.Ready())
				}
				cut.Remove()
				until(t, time.Minute, "the shards are shared again", func() bool { return even(4, a, b) })
				c.Put(40)
				c.readAll(time.Minute, a, b)
				a.endWell()
				b.endWell()
				c.once(a, b)
			})
		})
	}
}

// With no right to list shards, but to read them, there is nothing that others could do better.
func TestAWorkerThatCanReadKeepsItsShardsWhateverListShardsSays(t *testing.T) {
	bubble(t, func(t *testing.T) {
		c := newCloud(t, 4, awstest.Options{})
		r := c.start("worker", setup{config: trimHorizon})
		r.holding(4)
		c.Inject(awstest.Fault{Operation: "ListShards", AccessKeyID: "worker", Effect: awstest.Fail})
		c.Put(40)
		c.readAll(time.Minute, r)
		pass(t, 2*time.Minute)
		if held := r.holds(); len(held) != 4 {
			t.Errorf("%v are held", held)
		}
	})
}

// What is read while no checkpoint can be written is read again by the next owner, when the lease
// goes too.
func TestReadingWaitsWhileNoCheckpointCanBeWritten(t *testing.T) {
	bubble(t, func(t *testing.T) {
		c := newCloud(t, 1, awstest.Options{})
		r := c.start("worker", setup{config: func(cfg *Config) { trimHorizon(cfg); cfg.LeaseDuration = 2 * time.Minute }})
		c.Put(10)
		c.readAll(time.Minute, r)
		pass(t, 5*time.Second)
		outage := c.Inject(awstest.Fault{Service: "dynamodb", Operation: "UpdateItem", Effect: awstest.Fail})
		c.Put(10)
		pass(t, 10*time.Second)
		before, calls := len(r.records()), c.CallsBy("worker")["kinesis:GetRecords"]
		c.Put(10)
		pass(t, 20*time.Second)
		if n := len(r.records()); n != before || before != 20 || c.CallsBy("worker")["kinesis:GetRecords"] != calls {
			t.Errorf("%d records were read while the checkpoint stood still", n-before)
		}
		outage.Remove()
		c.readAll(10*time.Second, r)
		r.endWell()
		c.once(r)
	})
}

func TestATableThatIsDeletedIsMadeAnewAndTheWorkersRecover(t *testing.T) {
	bubble(t, func(t *testing.T) {
		c := newCloud(t, 4, awstest.Options{CreateDuration: 3 * time.Second})
		pass(t, 5*time.Second)
		a := c.start("a", setup{config: trimHorizon})
		b := c.start("b", setup{config: trimHorizon})
		shared := func() bool { return len(a.holds()) == 2 && len(b.holds()) == 2 }
		until(t, time.Minute, "the shards are shared", shared)
		c.Put(100)
		c.readAll(time.Minute, a, b)
		if _, err := c.DynamoDB.DeleteTable(t.Context(), &dynamodb.DeleteTableInput{TableName: aws.String(testApp)}); err != nil {
			t.Fatal(err)
		}
		pass(t, 30*time.Second)
		if len(a.logs.Lines("level=ERROR", "the lease table is gone"))+len(b.logs.Lines("level=ERROR", "the lease table is gone")) == 0 {
			t.Error("nothing is logged about the table")
		}
		c.Put(100)
		c.readAll(2*time.Minute, a, b)
		until(t, 2*time.Minute, "the shards are shared again", shared)
		until(t, time.Minute, "all shards have checkpoints again", func() bool {
			leases := c.Leases()
			for _, l := range leases {
				if l.Checkpoint == "" {
					return false
				}
			}
			return len(leases) == 4
		})
		// The checkpoints are lost, so all is read again: from the application's start, and that is
		// the trim horizon.
		counts := count(a, b)
		for i, s := range c.Everything() {
			if i < 100 && counts[s] < 2 || counts[s] < 1 {
				t.Errorf("%s was read %d times", s, counts[s])
			}
		}
		a.endWell()
		b.endWell()
	})
}
