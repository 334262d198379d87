package kinesis

import (
	"slices"
	"testing"
	"time"

	"rootwatch/pipeline/awstest"
	"rootwatch/pipeline/kinesis/fetch"
	"rootwatch/pipeline/kinesis/lease"
)

func short(cfg *Config) {
	trimHorizon(cfg)
	cfg.PollInterval, cfg.LeaseDuration, cfg.CheckpointInterval = 200*time.Millisecond, 4*time.Second, 200*time.Millisecond
}

// patience is for what must happen in real time at some time, on a machine that has other things to
// do: how soon it does is tried in made-up time.
const patience = 5 * time.Minute

// Real sockets, real time, three workers with leases of four seconds; one of them is cut off, one
// is stopped, and calls fail all the while. Nothing is lost.
func TestOverTheNetworkNothingIsLost(t *testing.T) {
	t.Parallel()
	c := networkOf(t, 6)
	impatient := setup{config: short, tune: func(_ *lease.Config, f *fetch.Config) { f.CallTimeout = 2 * time.Second }}
	first, second, third := c.start("first", impatient), c.start("second", impatient), c.start("third", impatient)
	for _, f := range []awstest.Fault{
		{Effect: awstest.Fail, Probability: 0.03}, {Effect: awstest.FailAfter, Probability: 0.03}, {Effect: awstest.Drop, Probability: 0.03},
		{Effect: awstest.DropAfter, Probability: 0.03}, {Service: "kinesis", Operation: "GetRecords", Effect: awstest.Hang, Probability: 0.01}, {Effect: awstest.ExpireIterator, Probability: 0.05},
	} {
		for _, id := range []string{"first", "second", "third"} {
			f.AccessKeyID = id
			c.Inject(f)
		}
	}
	c.Put(600)
	c.readAll(patience, first, second, third)

	cut := c.Inject(awstest.Fault{AccessKeyID: "first", Effect: awstest.Drop})
	wanted := c.Put(600)
	until(t, patience, "the others read all", func() bool {
		counts := count(second, third)
		return !slices.ContainsFunc(wanted, func(s string) bool { return counts[s] == 0 })
	})
	cut.Remove()
	until(t, patience, "it takes part again", func() bool { return len(first.holds()) > 0 && first.Ready() == nil })
	c.Put(600)
	second.endWell()
	c.Put(600)
	c.readAll(patience, first, second, third)
	c.ClearFaults()
	for _, r := range []*reader{first, third} {
		r.endWell()
	}
}

func TestOverTheNetworkAQuietHandoffDoublesNothing(t *testing.T) {
	t.Parallel()
	c := networkOf(t, 4)
	calm := setup{config: func(cfg *Config) { short(cfg); cfg.LeaseDuration = 20 * time.Second }} // none expires while the machine is busy
	first := c.start("first", calm)
	c.Put(200)
	c.readAll(patience, first)
	second := c.start("second", calm)
	until(t, patience, "the shards are shared", func() bool {
		c.Put(20)
		return even(4, first, second)
	})
	c.readAll(patience, first, second)
	for _, r := range []*reader{first, second} {
		r.endWell()
	}
	c.once(first, second)
}
