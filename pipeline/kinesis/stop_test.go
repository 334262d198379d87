package kinesis

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"rootwatch/pipeline/awstest"
)

// The library looks at its stop channel only after an answer: throttled it took 20 s
// (polling-shard-consumer.go:157), and its pauses of up to 5 s cannot be cut short.
func TestStopIsQuickWhateverTheFetchesWaitFor(t *testing.T) {
	hour := func(cfg *Config) { trimHorizon(cfg); cfg.PollInterval = time.Hour }
	for name, test := range map[string]struct {
		config func(*Config)
		fault  awstest.Fault
		put    int // records in each shard
	}{
		"nothing":                      {},
		"between polls":                {config: hour},
		"throttled":                    {fault: awstest.Fault{Operation: "GetRecords", Effect: awstest.Throttle}},
		"failing":                      {fault: awstest.Fault{Operation: "GetRecords", Effect: awstest.Fail}},
		"an answer that does not come": {fault: awstest.Fault{Operation: "GetRecords", Effect: awstest.Hang}},
		"an iterator that is not had":  {fault: awstest.Fault{Operation: "GetShardIterator", Effect: awstest.Hang}},
		"the pace of calls":            {config: func(cfg *Config) { trimHorizon(cfg); cfg.MaxRecords = 1 }, put: 100},
		"memory":                       {config: func(cfg *Config) { trimHorizon(cfg); cfg.FetchMemory = 16 << 20 }, fault: awstest.Fault{Operation: "GetRecords", Effect: awstest.Hang}},
		"ListShards":                   {fault: awstest.Fault{Operation: "ListShards", Effect: awstest.Hang}},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				c := newCloud(t, 3, awstest.Options{})
				c.Put(3 * test.put)
				if test.config == nil {
					test.config = trimHorizon
				}
				if op := test.fault.Operation; op == "GetShardIterator" {
					test.fault.AccessKeyID = "worker"
					c.Inject(test.fault)
				}
				r := c.start("worker", setup{config: test.config})
				r.holding(3)
				pass(t, 3*time.Second)
				if op := test.fault.Operation; op != "" && op != "GetShardIterator" {
					test.fault.AccessKeyID = "worker"
					c.Inject(test.fault)
				}
				pass(t, 12300*time.Millisecond)
				if took, err := r.end(); took > time.Second || err != nil {
					t.Errorf("the stop took %s: %v", took, err)
				}
				c.ClearFaults()
				for id, l := range c.Leases() {
					if l.Owner != "" {
						t.Errorf("the lease of %s is not released: %+v", id, l)
					}
				}
			})
		})
	}
}

// The library has no drain in Shutdown: what is in flight is forgotten, and read again after the
// restart.
func TestStopFinishesWhatIsInFlight(t *testing.T) {
	bubble(t, func(t *testing.T) {
		c := newCloud(t, 2, awstest.Options{})
		h := hold{on: true}
		r := c.start("worker", setup{config: func(cfg *Config) { trimHorizon(cfg); cfg.CheckpointInterval = time.Hour }, submit: h.submit})
		c.Put(100)
		c.readAll(time.Minute, r)
		time.AfterFunc(10*time.Second, func() { h.set(false); h.finish() })
		took, err := r.end()
		if err != nil || took < 9*time.Second || took > 11*time.Second {
			t.Errorf("the stop took %s: %v", took, err)
		}
		after := c.start("after", setup{config: trimHorizon})
		after.holding(2)
		pass(t, 10*time.Second)
		after.endWell()
		c.once(r, after)
	})
}

// A stop must have an end, also with a pipeline that never finishes: leases are released, an error
// says it, nothing unfinished is checkpointed.
func TestStopWithAStuckPipelineEndsInTimeAndCheckpointsNothingUnfinished(t *testing.T) {
	for _, blocked := range []bool{false, true} {
		t.Run(fmt.Sprintf("submit blocked %v", blocked), func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				c := newCloud(t, 3, awstest.Options{})
				stuck := false
				r := c.start("worker", setup{config: trimHorizon, submit: func(ctx context.Context, r *reader, b *batch) error {
					r.mu.Lock()
					now := stuck
					r.mu.Unlock()
					switch {
					case !now:
						b.Done(outcome{})
					case blocked:
						<-ctx.Done()
						return ctx.Err()
					}
					return nil
				}})
				c.Put(30)
				c.readAll(time.Minute, r)
				pass(t, 5*time.Second)
				before := c.Leases()
				r.mu.Lock()
				stuck = true
				r.mu.Unlock()
				c.Put(30)
				c.readAll(time.Minute, r)
				took, err := r.end()
				if took > 25*time.Second || took < 20*time.Second {
					t.Errorf("the stop took %s, its limit is 25s", took)
				}
				if err == nil || !strings.Contains(err.Error(), "3 shards") {
					t.Errorf("Run ended with %v", err)
				}
				for id, l := range c.Leases() {
					if l.Owner != "" || l.Checkpoint != before[id].Checkpoint {
						t.Errorf("the lease of %s is left as %+v, it was %+v", id, l, before[id])
					}
				}
				after := c.start("after", setup{config: trimHorizon})
				until(t, 10*time.Second, "the rest is read again", func() bool { return len(after.records()) == 30 })
			})
		})
	}
}

// What a stuck pipeline finishes after the stop is not checkpointed by anybody, and does no harm.
func TestAcknowledgementsAfterTheStopDoNothing(t *testing.T) {
	bubble(t, func(t *testing.T) {
		c := newCloud(t, 1, awstest.Options{})
		h := hold{on: true}
		r := c.start("worker", setup{config: func(cfg *Config) { trimHorizon(cfg); cfg.ShutdownTimeout = 5 * time.Second }, submit: h.submit})
		c.Put(10)
		c.readAll(time.Minute, r)
		if _, err := r.end(); err == nil {
			t.Error("the stop of a stuck pipeline is no error")
		}
		before := c.CallsBy("worker")
		h.finish()
		pass(t, time.Minute)
		after := c.CallsBy("worker")
		for action := range after {
			if after[action] != before[action] {
				t.Errorf("%s was called %d times after the stop", action, after[action]-before[action])
			}
		}
		if n := r.metric("rootwatch_fetch_memory_bytes", ""); n != 0 {
			t.Errorf("%v bytes are still reserved", n)
		}
	})
}

// The table may fail at any moment of the rhythm of looks, renewals and checkpoints, and with calls
// under way: a stop has three seconds for what nobody will answer.
func TestStopWithoutTheTableIsQuick(t *testing.T) {
	for _, effect := range []awstest.Effect{awstest.Drop, awstest.Hang, awstest.Throttle, awstest.Fail, awstest.FailAfter, awstest.DropAfter} {
		for _, moment := range []time.Duration{0, 700 * time.Millisecond, 2500 * time.Millisecond, 4 * time.Second, 6100 * time.Millisecond, 9300 * time.Millisecond} {
			t.Run(fmt.Sprintf("%s %s", effect, moment), func(t *testing.T) {
				bubble(t, func(t *testing.T) {
					c := newCloud(t, 6, awstest.Options{})
					other := c.start("other", setup{config: trimHorizon})
					r := c.start("worker", setup{config: trimHorizon})
					until(t, 2*time.Minute, "the shards are shared", func() bool { return even(6, r, other) })
					c.Put(30)
					c.readAll(time.Minute, r, other)
					c.Inject(awstest.Fault{Service: "dynamodb", AccessKeyID: "worker", Effect: effect})
					other.end()                 // its leases are free: the worker tries to take them //nolint:errcheck // it has nothing to say
					c.PutInto(30, r.holds()...) // there is a checkpoint to write
					c.Split(r.holds()[0])       // and the end of a shard
					pass(t, moment)
					took, err := r.end()
					if took > 3*time.Second || err != nil {
						t.Errorf("the stop took %s: %v", took, err)
					}
					if said := r.logs.Lines("level=WARN", "could not be released"); len(said) < 3 && effect != awstest.FailAfter && effect != awstest.DropAfter {
						t.Errorf("three leases could not be released, and it was said so: %q", said)
					}
				})
			})
		}
	}
}

func TestStopBeforeAnythingWorksIsNoError(t *testing.T) {
	for name, fault := range map[string]awstest.Fault{
		"Kinesis does not answer":  {Service: "kinesis", Effect: awstest.Hang},
		"DynamoDB does not answer": {Service: "dynamodb", Effect: awstest.Hang},
		"Kinesis fails":            {Service: "kinesis", Effect: awstest.Fail},
		"DynamoDB is throttled":    {Service: "dynamodb", Effect: awstest.Throttle},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				c := newCloud(t, 1, awstest.Options{})
				fault.AccessKeyID = "worker"
				c.Inject(fault)
				r := c.start("worker", setup{})
				pass(t, time.Minute)
				if err := r.Ready(); err == nil {
					t.Error("it is ready")
				}
				if took, err := r.end(); took > time.Second || err != nil {
					t.Errorf("the stop took %s: %v", took, err)
				}
			})
		})
	}
}

// A pipeline that has stopped takes no batch any more: the lease is somebody else's then.
func TestARefusedBatchGivesTheLeaseUp(t *testing.T) {
	bubble(t, func(t *testing.T) {
		c := newCloud(t, 2, awstest.Options{})
		a := c.start("a", setup{config: trimHorizon, submit: func(context.Context, *reader, *batch) error { return errors.New("stopped") }})
		b := c.start("b", setup{config: trimHorizon})
		until(t, time.Minute, "the shards are shared", func() bool { return even(2, a, b) })
		c.Put(100)
		until(t, 2*time.Minute, "the other worker reads all", func() bool { return len(b.records()) == 100 })
		if len(a.logs.Lines("level=ERROR", "takes no more batches")) == 0 {
			t.Error("nothing is logged about it")
		}
		if n := a.metric("rootwatch_fetch_memory_bytes", ""); n != 0 {
			t.Errorf("%v bytes are still reserved", n)
		}
	})
}
