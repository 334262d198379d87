//go:build chaos

package main

import (
	"context"
	"fmt"
	"math/big"
	"net/http"
	"os"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	awskinesis "github.com/aws/aws-sdk-go-v2/service/kinesis"
	"github.com/aws/aws-sdk-go-v2/service/kinesis/types"

	"rootwatch/pipeline/awstest"
)

// act is something bad that is done to a worker or to the stream.
type act struct {
	name string
	do   func(c *chaos, ctx context.Context, slot int)
}

// besides is what is done in every scenario.
var besides = []act{
	{"kill", (*chaos).killOne}, {"stop", (*chaos).stopOne}, {"freeze", (*chaos).freezeOne}, {"split", (*chaos).splitOne}, {"merge", (*chaos).mergeTwo},
}

// act does one thing and waits a little.
func (c *chaos) act(ctx context.Context) {
	c.revive()
	a := c.acts[c.random.IntN(len(c.acts))]
	c.actions[a.name]++
	slot := c.random.IntN(len(c.workers))
	began := time.Now()
	a.do(c, ctx, slot)
	c.done = append(c.done, deed{a.name, slot, began, time.Now()})
	c.rest(ctx, time.Duration(c.random.Int64N(int64(time.Second))))
}

// injectOne has a fault hit one worker's calls for a while.
func (c *chaos) injectOne(ctx context.Context, slot int, f awstest.Fault) {
	f.AccessKeyID = c.identity(slot)
	if f.Effect == awstest.Deny || f.Effect == awstest.NotFound { // before its first read such an answer ends a worker, as it should
		c.await(ctx, 5*time.Second, func() bool { code, _ := c.workers[slot].ready(); return code == http.StatusOK })
	}
	in := c.server.Inject(f)
	c.rest(ctx, time.Duration(c.random.Int64N(int64(2*chaosLease))))
	in.Remove()
}

// injectAll has faults hit all workers' calls until they are removed; the producer's and the test's
// own are spared.
func (c *chaos) injectAll(faults []awstest.Fault) (remove func() (hits int)) {
	var all []*awstest.Injection
	for _, f := range faults {
		for slot := range c.workers {
			f.AccessKeyID = c.identity(slot)
			all = append(all, c.server.Inject(f))
		}
	}
	return func() (hits int) {
		for _, in := range all {
			in.Remove()
			hits += in.Hits()
		}
		return hits
	}
}

// deleteLeases deletes the lease table, and with it all checkpoints.
func (c *chaos) deleteLeases(ctx context.Context, _ int) {
	c.watching.Lock()
	defer c.watching.Unlock()
	c.deleteTable(ctx, c.app)
	clear(c.newest)
}

// deleteLedger deletes what was written down.
func (c *chaos) deleteLedger(ctx context.Context, _ int) {
	c.deleteTable(ctx, c.ledger())
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, id := range c.roots {
		c.deleted[id] = true
	}
}

func (c *chaos) deleteTable(ctx context.Context, name string) {
	if _, err := c.table.DeleteTable(ctx, &dynamodb.DeleteTableInput{TableName: &name}); err != nil && ctx.Err() == nil {
		c.t.Logf("table %s is not deleted: %v", name, err) // it was, and no worker has made it anew yet
	}
}

// moveClock moves one worker's calendar, as far as an administrator or a bad time server does.
func (c *chaos) moveClock(ctx context.Context, slot int) {
	ahead := []time.Duration{0, 2 * time.Minute, -2 * time.Minute, time.Hour, -time.Hour, 24 * time.Hour, -24 * time.Hour}[c.random.IntN(7)]
	if err := os.WriteFile(c.clock(slot), fmt.Append(nil, int64(ahead/time.Second)), 0o600); err != nil {
		c.t.Error(err)
	}
	c.rest(ctx, time.Duration(c.random.Int64N(int64(chaosLease))))
}

// revive starts the workers again that ended by themselves, which none should do.
func (c *chaos) revive() {
	for slot, w := range c.workers {
		select {
		case err := <-w.exited:
			text, _ := readLog(w)
			lines := strings.Split(strings.TrimSpace(text), "\n")
			c.t.Errorf("worker %d ended by itself: %v: %s", slot, err, lines[len(lines)-1])
			c.workers[slot] = c.start(slot)
		default:
		}
	}
}

// await waits until ok, but no longer than so.
func (c *chaos) await(ctx context.Context, longest time.Duration, ok func() bool) {
	for end := time.Now().Add(longest); !ok() && time.Now().Before(end) && ctx.Err() == nil; {
		c.rest(ctx, 50*time.Millisecond)
	}
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
