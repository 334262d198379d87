//go:build chaos

package main

import (
	"context"
	"math/big"
	"slices"
	"syscall"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awskinesis "github.com/aws/aws-sdk-go-v2/service/kinesis"
	"github.com/aws/aws-sdk-go-v2/service/kinesis/types"

	"rootwatch/pipeline/awstest"
)

// act does one piece of mischief and waits a little.
func (c *chaos) act(ctx context.Context) {
	acts := []struct {
		name string
		do   func(ctx context.Context, slot int)
	}{
		{"kill", c.killOne}, {"stop", c.stopOne}, {"freeze", c.freezeOne}, {"split", c.splitOne}, {"merge", c.mergeTwo},
	}
	if c.server != nil {
		for _, f := range []struct {
			name  string
			fault awstest.Fault
		}{
			{"cut from DynamoDB", awstest.Fault{Service: "dynamodb", Effect: awstest.Drop}},
			{"cut from Kinesis", awstest.Fault{Service: "kinesis", Effect: awstest.Drop}},
			{"DynamoDB hangs", awstest.Fault{Service: "dynamodb", Effect: awstest.Hang}},
			{"Kinesis hangs", awstest.Fault{Service: "kinesis", Effect: awstest.Hang}},
			{"throttled", awstest.Fault{Effect: awstest.Throttle, Probability: 0.7}},
			{"errors", awstest.Fault{Effect: awstest.Fail, Probability: 0.5}},
			{"errors after the effect", awstest.Fault{Effect: awstest.FailAfter, Probability: 0.3}},
			{"answers lost", awstest.Fault{Effect: awstest.DropAfter, Probability: 0.3}},
			{"slow", awstest.Fault{Effect: awstest.Slow, Delay: 300 * time.Millisecond}},
			{"iterators expire", awstest.Fault{Service: "kinesis", Operation: "GetRecords", Effect: awstest.ExpireIterator, Probability: 0.3}},
		} {
			acts = append(acts, struct {
				name string
				do   func(ctx context.Context, slot int)
			}{f.name, func(ctx context.Context, slot int) {
				fault := f.fault
				fault.AccessKeyID = c.identity(slot)
				in := c.server.Inject(fault)
				c.rest(ctx, time.Duration(c.random.Int64N(int64(2*chaosLease))))
				in.Remove()
			}})
		}
	}
	act := acts[c.random.IntN(len(acts))]
	c.actions[act.name]++
	slot := c.random.IntN(len(c.workers))
	began := time.Now()
	act.do(ctx, slot)
	c.done = append(c.done, deed{act.name, slot, began, time.Now()})
	c.rest(ctx, time.Duration(c.random.Int64N(int64(time.Second))))
}

func (c *chaos) rest(ctx context.Context, d time.Duration) {
	select {
	case <-ctx.Done():
	case <-time.After(d):
	}
}

func (c *chaos) killOne(_ context.Context, slot int) {
	c.workers[slot].kill()
	c.workers[slot] = c.start(slot)
}

func (c *chaos) stopOne(_ context.Context, slot int) {
	c.workers[slot].stop(15 * time.Second)
	c.workers[slot] = c.start(slot)
}

func (c *chaos) freezeOne(ctx context.Context, slot int) {
	c.workers[slot].signal(syscall.SIGSTOP)
	c.rest(ctx, chaosLease/2+time.Duration(c.random.Int64N(int64(2*chaosLease))))
	c.workers[slot].signal(syscall.SIGCONT)
}

// openShards are the shards that take records, in the order of their hash keys.
func (c *chaos) openShards() []types.Shard {
	var open []types.Shard
	in := &awskinesis.ListShardsInput{StreamName: &c.stream}
	for {
		out, err := c.client.ListShards(c.t.Context(), in)
		if err != nil {
			return nil
		}
		for _, s := range out.Shards {
			if s.SequenceNumberRange.EndingSequenceNumber == nil {
				open = append(open, s)
			}
		}
		if out.NextToken == nil {
			break
		}
		in = &awskinesis.ListShardsInput{NextToken: out.NextToken}
	}
	slices.SortFunc(open, func(a, b types.Shard) int {
		return hashKey(a.HashKeyRange.StartingHashKey).Cmp(hashKey(b.HashKeyRange.StartingHashKey))
	})
	return open
}

func hashKey(s *string) *big.Int {
	n, _ := new(big.Int).SetString(aws.ToString(s), 10)
	return n
}

func (c *chaos) splitOne(context.Context, int) {
	open := c.openShards()
	if len(open) == 0 || len(open) > 7 {
		return
	}
	s := open[c.random.IntN(len(open))]
	middle := new(big.Int).Add(hashKey(s.HashKeyRange.StartingHashKey), hashKey(s.HashKeyRange.EndingHashKey))
	middle.Rsh(middle, 1)
	c.client.SplitShard(c.t.Context(), &awskinesis.SplitShardInput{StreamName: &c.stream, ShardToSplit: s.ShardId, NewStartingHashKey: aws.String(middle.String())})
}

func (c *chaos) mergeTwo(context.Context, int) {
	open := c.openShards()
	if len(open) < 3 {
		return
	}
	i := c.random.IntN(len(open) - 1)
	c.client.MergeShards(c.t.Context(), &awskinesis.MergeShardsInput{StreamName: &c.stream, ShardToMerge: open[i].ShardId, AdjacentShardToMerge: open[i+1].ShardId})
}
