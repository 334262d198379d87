package kinesis

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"time"

	"rootwatch/pipeline/awserr"

	"github.com/aws/aws-sdk-go-v2/aws"
	awskinesis "github.com/aws/aws-sdk-go-v2/service/kinesis"
	awstypes "github.com/aws/aws-sdk-go-v2/service/kinesis/types"
)

// hearing knows whether Kinesis gives this worker records at all, whichever shard they are of. A worker that can renew its
// leases and cannot read (cut off, no permission, a key that it may not use) must not keep shards from those that can.
type hearing struct {
	mu      sync.Mutex
	pending int
	since   time.Time // beginning of the oldest call since the last good answer; zero: nothing is amiss
	failure error     // of the last call since then that failed
	failed  time.Time // when it did
}

// errIterator stands for the good answer of GetShardIterator: it shows no records.
var errIterator = errors.New("an iterator is no record")

// listen books a call: it begins now, and the error that call returns is its end.
func (h *hearing) listen(ctx context.Context, call func() error) error {
	h.mu.Lock()
	if h.since.IsZero() {
		h.since = time.Now()
	}
	h.pending++
	h.mu.Unlock()
	err := ErrPanic // unless it returns
	defer func() { h.answered(ctx, err) }()
	if err = call(); errors.Is(err, errIterator) {
		return nil
	}
	return err
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
	case ctx.Err() != nil, errors.Is(err, errIterator), awserr.Throttled(err), errors.As(err, &expired):
		if h.failure == nil && h.pending == 0 {
			h.since = time.Time{}
		}
	default:
		h.failure, h.failed = err, time.Now()
	}
}

// asksOn is longer than the pause between two tries: after it nobody asks any more, and silence means nothing.
const asksOn = 10 * time.Second

// silence is for how long there has been no good answer to any call, 0 if nothing is asked in vain.
func (h *hearing) silence() (time.Duration, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	switch {
	case h.since.IsZero():
		return 0, nil
	case h.pending == 0 && time.Since(h.failed) > asksOn:
		h.since, h.failure = time.Time{}, nil
		return 0, nil
	case h.failure == nil:
		return time.Since(h.since), errors.New("no answer")
	}
	return time.Since(h.since), h.failure
}

// forget begins anew: what was asked in vain before leases were held says nothing about them.
func (h *hearing) forget() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.failure, h.since = nil, time.Time{}
	if h.pending > 0 {
		h.since = time.Now()
	}
}

// probe tries whether a shard can be read, without a lease: it asks for one record and drops it.
func probe(ctx context.Context, svc *awskinesis.Client, stream Stream, shardID string) error {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	in := &awskinesis.GetShardIteratorInput{ShardId: &shardID, ShardIteratorType: awstypes.ShardIteratorTypeTrimHorizon}
	in.StreamName, in.StreamARN = stream.Params()
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

// deafness is the state of a worker to which Kinesis gives no records. It takes no lease for a while, so that the others find
// what it has given up, and then only after a probe. A worker whose probes succeed and whose reads do not would take the same
// leases again and again: the while doubles each time.
type deafness struct {
	now      bool
	until    time.Time // no probe before then
	began    time.Time
	relapses int
}

const (
	longestRest = 10 * time.Minute
	cured       = 10 * time.Minute // after that, deafness is a new one
)

func (d *deafness) begin(lease time.Duration) {
	now := time.Now()
	if now.Sub(d.began) > cured+longestRest {
		d.relapses = 0
	}
	rest := longestRest
	if d.relapses < 16 {
		rest = min(rest, lease/2<<d.relapses)
	}
	d.now, d.began, d.until = true, now, now.Add(rest)
	d.relapses++
}

// listen gives the leases up when Kinesis has given no records for too long, and lets none be taken until a probe has been
// answered.
func (c *coordinator) listen(ctx context.Context) {
	if c.deaf.now {
		if id := c.anyShard(); id != "" && time.Now().After(c.deaf.until) && c.probe(ctx, id) == nil {
			c.log.Info("Kinesis answers again: leases are taken again")
			c.deaf.now = false
			c.setUnheard(nil)
		}
		return
	}
	held := c.leases.tenures()
	if len(held) == 0 {
		c.hearing.forget()
		return
	}
	silence, err := c.hearing.silence()
	if silence < c.patience {
		return
	}
	c.log.Error("Kinesis does not answer with records: the leases are given up, for others to read", "leases", len(held),
		"for", silence.Round(time.Second).String(), "stream", c.stream.String(), "region", c.region, "err", err)
	c.deaf.begin(c.table.duration)
	c.setUnheard(fmt.Errorf("no records from Kinesis for stream %s in region %s: %w", c.stream, c.region, err))
	for _, t := range held {
		c.wind(t, ErrUnread)
	}
	c.withdraw()
}

// setUnheard says why Kinesis gives no records, for /-/ready; nil if it does.
func (c *coordinator) setUnheard(err error) {
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
