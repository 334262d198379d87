package kinesis

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awskinesis "github.com/aws/aws-sdk-go-v2/service/kinesis"
	awstypes "github.com/aws/aws-sdk-go-v2/service/kinesis/types"

	"rootwatch/pipeline/dynamo"
)

// hearing knows whether Kinesis gives this worker records at all, whichever shard they are of. A worker that can renew its
// leases and cannot read (cut off, no permission, a key that it may not use) must not keep shards from those that can.
type hearing struct {
	mu      sync.Mutex
	pending int
	since   time.Time // beginning of the oldest call since the last good answer; zero: nothing is amiss
	failure error     // of the last call since then that failed
}

// ask books a call that begins; the function that it returns books its end.
func (h *hearing) ask() (answered func(ctx context.Context, err error)) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.since.IsZero() {
		h.since = time.Now()
	}
	h.pending++
	return h.answered
}

// answered: a call that failed for its rate, for an old iterator, or because its tenure ended says nothing either way.
func (h *hearing) answered(ctx context.Context, err error) {
	var expired *awstypes.ExpiredIteratorException
	h.mu.Lock()
	defer h.mu.Unlock()
	h.pending--
	switch {
	case err == nil:
		h.failure, h.since = nil, time.Time{}
		if h.pending > 0 {
			h.since = time.Now()
		}
	case ctx.Err() != nil, dynamo.Throttled(err), errors.As(err, &expired):
		if h.failure == nil && h.pending == 0 {
			h.since = time.Time{}
		}
	default:
		h.failure = err
	}
}

// silence is for how long there has been no good answer to any call, 0 if nothing was asked in vain.
func (h *hearing) silence() (time.Duration, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.since.IsZero() {
		return 0, nil
	}
	if h.failure == nil {
		return time.Since(h.since), errors.New("no answer")
	}
	return time.Since(h.since), h.failure
}

// probe tries whether a shard can be read, without a lease: it asks for one record and drops it.
func probe(ctx context.Context, svc *awskinesis.Client, stream streamRef, shardID string) error {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	in := &awskinesis.GetShardIteratorInput{ShardId: &shardID, ShardIteratorType: awstypes.ShardIteratorTypeTrimHorizon}
	in.StreamName, in.StreamARN = stream.params()
	out, err := svc.GetShardIterator(ctx, in)
	if err != nil {
		return fmt.Errorf("asking for an iterator of %s: %w", shardID, err)
	}
	_, err = svc.GetRecords(ctx, &awskinesis.GetRecordsInput{ShardIterator: out.ShardIterator, Limit: aws.Int32(1), StreamARN: in.StreamARN})
	if err != nil {
		return fmt.Errorf("reading %s: %w", shardID, err)
	}
	return nil
}

// listen gives the leases up when Kinesis has given no records for too long, and lets none be taken until a probe has been
// answered.
func (c *coordinator) listen(ctx context.Context) {
	if c.deaf {
		if id := c.anyShard(); id != "" && c.probe(ctx, id) == nil {
			c.log.Info("Kinesis answers again: leases are taken again")
			c.setDeaf(nil)
		}
		return
	}
	silence, err := c.silence()
	if silence < c.patience {
		return
	}
	held := c.leases.tenures()
	if len(held) == 0 {
		return
	}
	c.log.Error("Kinesis does not answer with records: the leases are given up, for others to read", "leases", len(held),
		"for", silence.Round(time.Second).String(), "stream", c.stream.String(), "region", c.region, "err", err)
	c.setDeaf(fmt.Errorf("no records from Kinesis for stream %s in region %s: %w", c.stream, c.region, err))
	for _, t := range held {
		c.wind(t, errUnread)
	}
}

func (c *coordinator) setDeaf(err error) {
	c.deaf = err != nil
	c.mu.Lock()
	defer c.mu.Unlock()
	c.unheard = err
}

// anyShard is one of those that are not finished, another each time: one that fails alone must not speak for all.
func (c *coordinator) anyShard() string {
	ids := make([]string, 0, len(c.shards))
	for id := range c.shards {
		if l := c.view[id]; l == nil || !l.finished() {
			ids = append(ids, id)
		}
	}
	if len(ids) == 0 {
		return ""
	}
	return ids[rand.IntN(len(ids))]
}
