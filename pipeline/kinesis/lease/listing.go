package lease

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awskinesis "github.com/aws/aws-sdk-go-v2/service/kinesis"
	awstypes "github.com/aws/aws-sdk-go-v2/service/kinesis/types"

	"rootwatch/pipeline/awserr"
)

// list refreshes the shards. Where that fails the last list does: leases of shards that are known
// can still be taken, and somebody has to.
func (c *Coordinator) list(ctx context.Context) error {
	now := time.Now()
	if !c.lastList.IsZero() && now.Sub(c.lastList) < max(c.quarter(), time.Second) {
		return nil
	}
	shards, err := listShards(ctx, c.cfg.Kinesis, c.cfg.Stream, 10*time.Second)
	if err == nil {
		c.lastList = now
		err = c.confirm(ctx, shards)
		c.shards = shards
	}
	if c.listError = err; err != nil {
		if c.shards == nil || ctx.Err() != nil {
			return err
		}
		c.log.Error("the shards cannot be listed: new ones stay unread until they can", "err", err)
	}
	return nil
}

// confirm looks for shards that were there and are not in a new list. A list that leaves out shards
// looks like shards that the retention has deleted, and those are lost: so it is Kinesis's refusal
// to give an iterator that shows that a shard is gone. Shards that are not are put back into the
// list, and the error is that the list is not to be believed.
func (c *Coordinator) confirm(ctx context.Context, shards map[string]*shard) error {
	vanished := make(map[string]*shard)
	for id := range c.rows {
		if strings.HasPrefix(id, "shardId-") {
			vanished[id] = nil
		}
	}
	maps.Copy(vanished, c.shards)
	maps.DeleteFunc(c.gone, func(id string, _ struct{}) bool { _, known := vanished[id]; return !known || shards[id] != nil })
	maps.DeleteFunc(vanished, func(id string, _ *shard) bool { _, gone := c.gone[id]; return gone || shards[id] != nil })
	for _, id := range slices.Sorted(maps.Keys(vanished)) {
		gone, err := c.isGone(ctx, id)
		if gone {
			c.gone[id] = struct{}{}
			delete(vanished, id)
			continue
		}
		for id, s := range vanished {
			if s != nil {
				shards[id] = s
			}
		}
		if err == nil {
			err = &awserr.StrangeError{Operation: "Kinesis ListShards", Problem: fmt.Sprintf("leaves out %s, which is there", id)}
		}
		return err
	}
	return nil
}

// isGone reports whether Kinesis has deleted a shard.
func (c *Coordinator) isGone(ctx context.Context, shardID string) (bool, error) {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	in := &awskinesis.GetShardIteratorInput{ShardId: aws.String(shardID), ShardIteratorType: awstypes.ShardIteratorTypeTrimHorizon}
	in.StreamName, in.StreamARN = c.cfg.Stream.Params()
	_, err := c.cfg.Kinesis.GetShardIterator(ctx, in)
	var missing *awstypes.ResourceNotFoundException
	if errors.As(err, &missing) {
		return true, nil
	}
	if err != nil {
		err = fmt.Errorf("asking whether %s, which was not listed, is there: %w", shardID, err)
	}
	return false, err
}
