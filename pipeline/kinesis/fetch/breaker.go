package fetch

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"sync"
	"time"

	"rootwatch/pipeline/awserr"
	"rootwatch/pipeline/kinesis/lease"

	"github.com/aws/aws-sdk-go-v2/aws"
	awskinesis "github.com/aws/aws-sdk-go-v2/service/kinesis"
	awstypes "github.com/aws/aws-sdk-go-v2/service/kinesis/types"
)

// BreakerConfig is what a circuit breaker needs.
type BreakerConfig struct {
	Kinesis *awskinesis.Client // with retries off
	Stream  lease.Stream
	Region  string
	Lease   time.Duration // of a lease: half of it is the first rest
	Timeout time.Duration // without a good answer: then others may have better luck
	Logger  *slog.Logger
}

// Breaker is the circuit breaker between Kinesis and the leases: it knows whether Kinesis gives
// this worker records at all, whichever shard they are of. A worker that can renew its leases and
// cannot read (cut off, no permission, a key that it may not use) must not keep shards from those
// that can.
//
//	         no good answer for the timeout
//	closed ---------------------------------> open
//	   ^                                      |  ^
//	   | the probe is answered     rest over  |  | it is not
//	   +------------------- half-open <-------+  |
//	                            |                |
//	                            +----------------+
//
// Closed, leases are taken and kept. Open, the worker holds none and takes none for a rest, so that
// the others find what it has given up. A worker whose probes succeed and whose reads do not would
// take the same leases again and again: the rest doubles each time.
type Breaker struct {
	cfg BreakerConfig

	mu      sync.Mutex // guards the books of the calls
	pending int
	since   time.Time // beginning of the oldest call since the last good answer; zero: nothing is amiss
	failure error     // of the last call since then that failed
	failed  time.Time // when it did

	// Only Check uses these.
	open     error // why Kinesis gives no records; nil: the breaker is closed
	until    time.Time
	opened   time.Time
	reopened int // times that it opened soon after the time before
}

// NewBreaker returns a closed breaker; it calls nobody.
func NewBreaker(cfg BreakerConfig) *Breaker { return &Breaker{cfg: cfg} }

const (
	longestRest = 10 * time.Minute
	healthy     = 10 * time.Minute // closed for longer than this, the next outage is a new one
)

// Check returns why Kinesis gives this worker no records, nil while the breaker is closed. held is
// the number of leases that the worker has; unfinished are shards that a probe may try to read. It
// is called again and again, never twice at once.
func (b *Breaker) Check(ctx context.Context, held int, unfinished []string) error {
	if b.open != nil {
		return b.tryAgain(ctx, unfinished)
	}
	if held == 0 {
		b.forget()
		return nil
	}
	silence, err := b.Silence()
	if silence < b.cfg.Timeout {
		return nil
	}
	b.cfg.Logger.Error("Kinesis does not answer with records: the leases are given up, for others to read", "leases", held,
		"for", silence.Round(time.Second).String(), "stream", b.cfg.Stream.String(), "region", b.cfg.Region, "err", err)
	now := time.Now()
	if now.Sub(b.opened) > healthy+longestRest {
		b.reopened = 0
	}
	rest := longestRest
	if b.reopened < 16 {
		rest = min(rest, b.cfg.Lease/2<<b.reopened)
	}
	b.opened, b.until = now, now.Add(rest)
	b.reopened++
	b.open = fmt.Errorf("no records from Kinesis for stream %s in region %s: %w", b.cfg.Stream, b.cfg.Region, err)
	return b.open
}

// tryAgain closes an open breaker when its rest is over and a probe is answered. The shard is
// another each time: one that fails alone must not speak for all.
func (b *Breaker) tryAgain(ctx context.Context, unfinished []string) error {
	if len(unfinished) == 0 || !time.Now().After(b.until) {
		return b.open
	}
	if b.Probe(ctx, unfinished[rand.IntN(len(unfinished))]) == nil {
		b.cfg.Logger.Info("Kinesis answers again: leases are taken again")
		b.open = nil
	}
	return b.open
}

// Probe tries whether a shard can be read, without a lease: it asks for one record and drops it.
func (b *Breaker) Probe(ctx context.Context, shardID string) error {
	return b.call(ctx, func() error {
		ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
		defer cancel()
		in := &awskinesis.GetShardIteratorInput{ShardId: &shardID, ShardIteratorType: awstypes.ShardIteratorTypeTrimHorizon}
		in.StreamName, in.StreamARN = b.cfg.Stream.Params()
		out, err := b.cfg.Kinesis.GetShardIterator(ctx, in)
		if err != nil {
			return fmt.Errorf("asking for an iterator of %s: %w", shardID, err)
		}
		_, err = b.cfg.Kinesis.GetRecords(ctx, &awskinesis.GetRecordsInput{ShardIterator: out.ShardIterator, Limit: aws.Int32(1), StreamARN: in.StreamARN})
		if err != nil {
			return fmt.Errorf("reading %s: %w", shardID, err)
		}
		return nil
	})
}

// errIterator stands for the good answer of GetShardIterator: it shows no records.
var errIterator = errors.New("an iterator is no record")

// call books a call: it begins now, and the error that do returns is its end.
func (b *Breaker) call(ctx context.Context, do func() error) error {
	b.mu.Lock()
	if b.since.IsZero() {
		b.since = time.Now()
	}
	b.pending++
	b.mu.Unlock()
	err := lease.ErrPanic // unless it returns
	defer func() { b.answered(ctx, err) }()
	if err = do(); errors.Is(err, errIterator) {
		return nil
	}
	return err
}

// answered books the end of a call. One that failed for its rate, for an old iterator, or because
// its lease ended shows nothing either way.
func (b *Breaker) answered(ctx context.Context, err error) {
	var expired *awstypes.ExpiredIteratorException
	b.mu.Lock()
	defer b.mu.Unlock()
	b.pending--
	switch {
	case err == nil:
		b.failure, b.since = nil, time.Time{}
		if b.pending > 0 {
			b.since = time.Now()
		}
	case ctx.Err() != nil, errors.Is(err, errIterator), awserr.Throttled(err), errors.As(err, &expired):
		if b.failure == nil && b.pending == 0 {
			b.since = time.Time{}
		}
	default:
		b.failure, b.failed = err, time.Now()
	}
}

// asksOn is longer than the pause between two tries: after it nobody asks any more, and silence
// means nothing.
const asksOn = 10 * time.Second

// Silence is for how long there has been no good answer to any call, 0 if nothing is asked in vain.
func (b *Breaker) Silence() (time.Duration, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	switch {
	case b.since.IsZero():
		return 0, nil
	case b.pending == 0 && time.Since(b.failed) > asksOn:
		b.since, b.failure = time.Time{}, nil
		return 0, nil
	case b.failure == nil:
		return time.Since(b.since), errors.New("no answer")
	}
	return time.Since(b.since), b.failure
}

// forget begins anew: what was asked in vain before leases were held says nothing about them.
func (b *Breaker) forget() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.failure, b.since = nil, time.Time{}
	if b.pending > 0 {
		b.since = time.Now()
	}
}
