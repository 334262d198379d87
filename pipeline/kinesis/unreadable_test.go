package kinesis

import (
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	"rootwatch/pipeline/awstest"
	"rootwatch/pipeline/kinesis/metrics"
	"rootwatch/pipeline/kinesis/streamtest"
)

// denied answers a call as AWS does where a permission is missing.
func denied(code string) func(*streamtest.Call) {
	return func(k *streamtest.Call) { k.Say(400, `{"__type":"`+code+`","message":"not authorized"}`) }
}

// A worker that lists shards and renews leases and cannot read must not keep shards from those that
// can.
func TestAWorkerThatCannotReadRecordsLeavesItsShardsToOthers(t *testing.T) {
	for name, outage := range map[string]func(c *cloud) (end func()){
		"reads are cut": func(c *cloud) func() {
			return c.Inject(awstest.Fault{Operation: "GetRecords", AccessKeyID: "a", Effect: awstest.Drop}).Remove
		},
		"reads hang": func(c *cloud) func() {
			return c.Inject(awstest.Fault{Operation: "GetRecords", AccessKeyID: "a", Effect: awstest.Hang}).Remove
		},
		"the key refuses it": func(c *cloud) func() {
			c.OnCall(func(k *streamtest.Call) {
				if k.Action == "kinesis:GetRecords" && k.ID == "a" {
					denied("KMSAccessDeniedException")(k)
				}
			})
			return func() { c.OnCall(nil) }
		},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				c := newCloud(t, 4, awstest.Options{})
				a, b := c.start("a", setup{config: trimHorizon}), c.start("b", setup{config: trimHorizon})
				until(t, time.Minute, "the shards are shared", func() bool { return even(4, a, b) })
				end := outage(c)
				c.Put(40)
				c.readAll(90*time.Second, a, b)
				if held := len(b.holds()); held != 4 {
					t.Errorf("%d shards are held by the worker that can read", held)
				}
				said := a.logs.Lines("level=ERROR", "Kinesis does not answer with records", "stream="+testStream, "region=us-east-1")
				if len(said) != 1 || a.Ready() == nil || !strings.Contains(a.Ready().Error(), "no records from Kinesis") {
					t.Errorf("it is not said: %q, ready %v", said, a.Ready())
				}
				pass(t, 10*time.Minute)
				if held := len(b.holds()); held != 4 {
					t.Errorf("ten minutes later %d shards are held by the worker that can read", held)
				}
				end()
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

// It keeps its leases for a while, since others may be no better off; that it reads nothing it
// tells at once.
func TestAWorkerThatCannotReadIsNotReadyWithin15Seconds(t *testing.T) {
	for _, effect := range []awstest.Effect{awstest.Deny, awstest.Drop, awstest.Hang, awstest.HTML, awstest.HalfOpen} {
		t.Run(string(effect), func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				c := newCloud(t, 4, awstest.Options{})
				r := c.start("worker", setup{config: trimHorizon})
				r.holding(4)
				until(t, time.Minute, "it is ready", func() bool { return r.Ready() == nil })
				outage := c.Inject(awstest.Fault{Operation: "GetRecords", Effect: effect})
				pass(t, 5*time.Second)
				if err := r.Ready(); err != nil {
					t.Errorf("not ready after 5s, which a slow answer may take: %v", err)
				}
				pass(t, 9*time.Second)
				for range 240 {
					if r.Ready() == nil {
						t.Fatal("ready, and reads nothing")
					}
					pass(t, 250*time.Millisecond)
				}
				outage.Remove()
				until(t, time.Minute, "it is ready again", func() bool { return r.Ready() == nil })
			})
		})
	}
}

// Alone it has nobody to leave them to, and must come back by itself.
func TestALoneWorkerReadsOnAfterAnOutageOfKinesis(t *testing.T) {
	for _, effect := range []awstest.Effect{awstest.Drop, awstest.Hang, awstest.Fail, awstest.Throttle} {
		t.Run(string(effect), func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				c := newCloud(t, 4, awstest.Options{})
				r := c.start("worker", setup{config: trimHorizon})
				r.holding(4)
				outage := c.Inject(awstest.Fault{Service: "kinesis", AccessKeyID: "worker", Effect: effect})
				c.Put(40)
				pass(t, 10*time.Minute)
				outage.Remove()
				c.readAll(30*time.Second, r)
				until(t, time.Minute, "it is ready", func() bool { return r.Ready() == nil })
				r.endWell()
				c.once(r)
			})
		})
	}
}

// A pipeline that is stuck makes no calls; the shards would be no better off elsewhere.
func TestAStuckPipelineIsNoSilenceOfKinesis(t *testing.T) {
	bubble(t, func(t *testing.T) {
		c := newCloud(t, 2, awstest.Options{})
		r := c.start("worker", setup{config: trimHorizon, submit: func(ctx context.Context, _ *reader, _ *batch) error {
			<-ctx.Done()
			return ctx.Err()
		}})
		r.holding(2)
		c.Put(20)
		pass(t, 2*time.Minute)
		if n := r.metric("rootwatch_lease_changes_total", metrics.LeaseAcquired); n != 2 || len(r.holds()) != 2 {
			t.Errorf("%v leases were taken, %v are held", n, r.holds())
		}
	})
}

func TestAMissingPermissionToReadEndsTheStartWithAWordAboutIt(t *testing.T) {
	for _, test := range []struct{ name, action, code, want string }{
		{"no iterators", "kinesis:GetShardIterator", "AccessDeniedException", "no permission to read"},
		{"no records", "kinesis:GetRecords", "AccessDeniedException", "no permission to read"},
		{"no shards", "kinesis:ListShards", "AccessDeniedException", "no permission to read"},
		{"no use of the key", "kinesis:GetRecords", "KMSAccessDeniedException", "cannot be decrypted"},
		{"the key is disabled", "kinesis:GetRecords", "KMSDisabledException", "cannot be decrypted"},
	} {
		t.Run(test.name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				c := newCloud(t, 2, awstest.Options{})
				c.OnCall(func(k *streamtest.Call) {
					if k.Action == test.action && k.ID == "worker" {
						denied(test.code)(k)
					}
				})
				r := c.start("worker", setup{config: trimHorizon})
				<-r.ended
				if r.err == nil {
					t.Fatal("it has started")
				}
				for _, want := range []string{test.want, testStream, "us-east-1"} {
					if !strings.Contains(r.err.Error(), want) {
						t.Errorf("the error does not say %q: %v", want, r.err)
					}
				}
				if c.CallsBy("worker")["dynamodb:CreateTable"] > 0 {
					t.Error("a table was made all the same")
				}
			})
		})
	}
}

// Small reads succeed and full ones fail: a probe says nothing then, and the others must get the
// shards all the same.
func TestAWorkerWhoseFullReadsFailLeavesItsShardsToOthers(t *testing.T) {
	bubble(t, func(t *testing.T) {
		c := newCloud(t, 4, awstest.Options{})
		a, b := c.start("a", setup{config: trimHorizon}), c.start("b", setup{config: trimHorizon})
		until(t, time.Minute, "the shards are shared", func() bool { return even(4, a, b) })
		c.OnCall(func(k *streamtest.Call) {
			if k.Action == "kinesis:GetRecords" && k.ID == "a" && !strings.Contains(string(k.Request), `"Limit":1,`) {
				k.Say(500, `{"__type":"InternalFailure","message":"too long"}`)
			}
		})
		c.Put(40)
		c.readAll(90*time.Second, a, b)
		pass(t, 10*time.Minute)
		acquired := a.metric("rootwatch_lease_changes_total", metrics.LeaseAcquired) + a.metric("rootwatch_lease_changes_total", metrics.LeaseStolen)
		if acquired > 30 {
			t.Errorf("%v leases were taken in ten minutes by the worker that cannot read them", acquired)
		}
		if held := len(b.holds()); held < 2 {
			t.Errorf("%d shards are held by the worker that can read", held)
		}
		c.OnCall(nil)
	})
}

// Of two workers one goes while the shards cannot be listed: those that are known must be taken all
// the same.
func TestLeasesAreTakenWhileTheShardsCannotBeListed(t *testing.T) {
	for name, goes := range map[string]func(c *cloud, a *reader){
		"killed":  func(c *cloud, _ *reader) { c.Inject(awstest.Fault{AccessKeyID: "a", Effect: awstest.Drop}) },
		"stopped": func(_ *cloud, a *reader) { a.endWell() },
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				c := newCloud(t, 4, awstest.Options{})
				a, b := c.start("a", setup{config: trimHorizon}), c.start("b", setup{config: trimHorizon})
				until(t, time.Minute, "the shards are shared", func() bool { return even(4, a, b) })
				outage := c.Inject(awstest.Fault{Operation: "ListShards", AccessKeyID: "b", Effect: awstest.Throttle})
				goes(c, a)
				gone := time.Now()
				c.Put(40)
				b.holding(4)
				c.readAll(time.Minute, a, b)
				if took := time.Since(gone); took > 26*time.Second {
					t.Errorf("taking over took %s", took)
				}
				until(t, 10*time.Second, "it is said", func() bool {
					return len(b.logs.Lines("level=ERROR", "the shards cannot be listed")) > 0 && b.Ready() != nil
				})
				pass(t, 2*time.Minute) // longer than what a lease of an unknown shard lives
				if got := len(c.Leases()); got != 4 {
					t.Errorf("%d leases are left", got)
				}
				outage.Remove()
				until(t, time.Minute, "it is ready", func() bool { return b.Ready() == nil })
			})
		})
	}
}

// The shards of those that hang may not hold up those that do not, for want of memory.
func TestShardsThatHangDoNotHoldUpTheOthers(t *testing.T) {
	bubble(t, func(t *testing.T) {
		const shards, hung = 16, 6
		c := newCloud(t, shards, awstest.Options{})
		var ids []string
		for i := range shards {
			if i < hung {
				c.Inject(awstest.Fault{Operation: "GetRecords", Shard: shardID(i), Effect: awstest.Hang})
			} else {
				ids = append(ids, shardID(i))
			}
		}
		r := c.start("worker", setup{config: trimHorizon})
		r.holding(shards)
		pass(t, time.Minute)
		for range 8 {
			began := time.Now()
			before := len(r.records())
			c.PutInto(len(ids), ids...)
			until(t, time.Minute, "the healthy shards are read", func() bool { return len(r.records()) >= before+len(ids) })
			if took := time.Since(began); took > 5*time.Second {
				t.Errorf("reading %d shards took %s beside %d that hang", len(ids), took, hung)
			}
			pass(t, 3*time.Second)
		}
		if held := r.holds(); !slices.Contains(held, shardID(0)) {
			t.Errorf("a hanging shard was given up: %v", held)
		}
		c.ClearFaults()
	})
}
