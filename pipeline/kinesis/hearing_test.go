package kinesis

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/smithy-go"

	"rootwatch/pipeline/awstest"
)

// denied answers a call as AWS does where a permission is missing.
func denied(code string) func(*call) {
	return func(k *call) { k.say(400, `{"__type":"`+code+`","message":"not authorized"}`) }
}

// A worker that lists shards and renews leases and cannot read must not keep shards from those that can.
func TestAWorkerThatCannotReadRecordsLeavesItsShardsToOthers(t *testing.T) {
	for name, outage := range map[string]func(c *Cloud) (end func()){
		"reads are cut": func(c *Cloud) func() {
			return c.Inject(awstest.Fault{Operation: "GetRecords", AccessKeyID: "a", Effect: awstest.Drop}).Remove
		},
		"reads hang": func(c *Cloud) func() {
			return c.Inject(awstest.Fault{Operation: "GetRecords", AccessKeyID: "a", Effect: awstest.Hang}).Remove
		},
		"the key refuses it": func(c *Cloud) func() {
			c.OnCall(func(k *call) {
				if k.action == "kinesis:GetRecords" && k.id == "a" {
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
				said := a.logs.lines("level=ERROR", "Kinesis does not answer with records", "stream="+testStream, "region=us-east-1")
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
		if n := r.metric("rootwatch_lease_changes_total", LeaseAcquired); n != 2 || len(r.holds()) != 2 {
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
				c.OnCall(func(k *call) {
					if k.action == test.action && k.id == "worker" {
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

func TestSilenceIsTheTimeSinceTheOldestCallInVain(t *testing.T) {
	ctx, cancelled := t.Context(), func() context.Context { c, end := context.WithCancel(t.Context()); end(); return c }()
	failure, throttled := errors.New("reset"), error(&smithy.GenericAPIError{Code: "ProvisionedThroughputExceededException"})
	synctest.Test(t, func(t *testing.T) {
		var h hearing
		check := func(what string, want time.Duration) {
			t.Helper()
			if got, _ := h.silence(); got != want {
				t.Errorf("%s: silent for %s, want %s", what, got, want)
			}
		}
		answer := func(ctx context.Context, err error) { h.listen(ctx, func() error { return err }) } //nolint:errcheck // it is err
		after := func(d time.Duration, ctx context.Context, err error) {                              // a call that lasts
			go h.listen(ctx, func() error { time.Sleep(d); return err }) //nolint:errcheck // it is err
			synctest.Wait()
		}
		check("nothing asked", 0)
		after(3*time.Second, ctx, nil)
		after(5*time.Second, cancelled, context.Canceled)
		time.Sleep(2 * time.Second)
		check("two calls under way", 2*time.Second)
		time.Sleep(2 * time.Second)
		check("one of two answered a second ago", time.Second)
		time.Sleep(2 * time.Second)
		check("the other was called off", 0)
		answer(ctx, throttled)
		time.Sleep(time.Second)
		check("refused for its rate", 0)
		answer(ctx, failure)
		time.Sleep(4 * time.Second)
		check("failed", 4*time.Second)
		answer(ctx, throttled)
		answer(cancelled, context.Canceled)
		answer(ctx, errIterator)
		check("what shows no records changes nothing", 4*time.Second)
		if _, err := h.silence(); !errors.Is(err, failure) {
			t.Errorf("the reason is %v", err)
		}
		answer(ctx, nil)
		check("answered", 0)
		answer(ctx, failure)
		time.Sleep(asksOn + time.Second)
		check("nobody asks any more", 0)
		answer(ctx, failure)
		h.forget()
		check("forgotten", 0)
		func() {
			defer func() { recover() }() //nolint:errcheck // it is the test's own
			h.listen(ctx, func() error { panic("in a call") })
		}()
		time.Sleep(time.Second)
		check("a panic is no answer, and is over", time.Second)
	})
}

// Small reads succeed and full ones fail: a probe says nothing then, and the others must get the shards all the same.
func TestAWorkerWhoseFullReadsFailLeavesItsShardsToOthers(t *testing.T) {
	bubble(t, func(t *testing.T) {
		c := newCloud(t, 4, awstest.Options{})
		a, b := c.start("a", setup{config: trimHorizon}), c.start("b", setup{config: trimHorizon})
		until(t, time.Minute, "the shards are shared", func() bool { return even(4, a, b) })
		c.OnCall(func(k *call) {
			if k.action == "kinesis:GetRecords" && k.id == "a" && !strings.Contains(string(k.request), `"Limit":1,`) {
				k.say(500, `{"__type":"InternalFailure","message":"too long"}`)
			}
		})
		c.Put(40)
		c.readAll(90*time.Second, a, b)
		pass(t, 10*time.Minute)
		acquired := a.metric("rootwatch_lease_changes_total", LeaseAcquired) + a.metric("rootwatch_lease_changes_total", LeaseStolen)
		if acquired > 30 {
			t.Errorf("%v leases were taken in ten minutes by the worker that cannot read them", acquired)
		}
		if held := len(b.holds()); held < 2 {
			t.Errorf("%d shards are held by the worker that can read", held)
		}
		c.OnCall(nil)
	})
}

// Of two workers one goes while the shards cannot be listed: those that are known must be taken all the same.
func TestLeasesAreTakenWhileTheShardsCannotBeListed(t *testing.T) {
	for name, goes := range map[string]func(c *Cloud, a *reader){
		"killed":  func(c *Cloud, _ *reader) { c.Inject(awstest.Fault{AccessKeyID: "a", Effect: awstest.Drop}) },
		"stopped": func(_ *Cloud, a *reader) { a.endWell() },
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
					return len(b.logs.lines("level=ERROR", "the shards cannot be listed")) > 0 && b.Ready() != nil
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
