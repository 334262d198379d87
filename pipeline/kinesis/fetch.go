package kinesis

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime/debug"
	"strconv"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awskinesis "github.com/aws/aws-sdk-go-v2/service/kinesis"
	awstypes "github.com/aws/aws-sdk-go-v2/service/kinesis/types"

	"rootwatch/pipeline/awserr"
	"rootwatch/pipeline/retry"
)

// stallPause is how often a stalled tenure is looked at.
const stallPause = 20 * time.Millisecond

// StartAt is where a shard without a checkpoint begins.
type StartAt struct {
	oldest bool // at TRIM_HORIZON; else at the first record that arrived at or after time
	time   time.Time
}

// guard answers the library's calls. Between it and Kinesis every error that time heals is waited out, so that the
// library, which gives the shard up on most of them without telling anybody, sees only records, silence, the end of a
// shard, and the end of a tenure.
type guard struct {
	svc          *awskinesis.Client // with retries off: this is the one place that retries
	stream       Stream
	leases       *checkpointer
	budget       *budget
	hearing      *hearing
	retention    *retention
	metrics      *Metrics
	log          *slog.Logger
	pollInterval time.Duration
	callTimeout  time.Duration
	maxRecords   int32
	shards       func() []awstypes.Shard // those that the library may know of
	shardEnded   func()
}

// fetchState is a tenure's reading position. Only the consumer goroutine of the tenure uses it.
type fetchState struct {
	start      StartAt
	resume     string // the checkpoint that the tenure began with
	resumeTime string // arrival of the record there, as the table says
	last       position
	read       time.Time     // everything that had arrived by then was handed on; zero if that is not known
	skipped    time.Duration // of what was deleted before it was read, and is not yet counted
	iterator   *string
	closed     bool // the end of the shard was handed on

	pace     pace
	idle     time.Time // not before: the poll interval after an empty answer
	largest  int64     // average record size of the answer that had the largest
	behind   time.Duration
	asked    time.Time // when the last call of GetRecords began
	limit    int32     // how many records it asked for
	answered time.Time
	memory   share // of the answer that the session has not yet taken over
	complain time.Time
}

func (g *guard) ListShards() *awskinesis.ListShardsOutput {
	return &awskinesis.ListShardsOutput{Shards: g.shards()}
}

// getShardIterator hands out a token of our own: real iterators expire and are renewed behind it.
func (g *guard) getShardIterator(shardID string) (*awskinesis.GetShardIteratorOutput, error) {
	t := g.leases.tenure(shardID)
	if t == nil {
		return nil, fmt.Errorf("shard %s: %w", shardID, ErrLost)
	}
	return &awskinesis.GetShardIteratorOutput{ShardIterator: aws.String(shardID + "/" + strconv.FormatInt(t.epoch, 10))}, nil
}

func (g *guard) tenureOf(token string) *Held {
	shardID, epoch, _ := strings.Cut(token, "/")
	if t := g.leases.tenure(shardID); t != nil && strconv.FormatInt(t.epoch, 10) == epoch {
		return t
	}
	return nil
}

// getRecords blocks until there is an answer to give: records, an empty answer after the poll interval, the end of the
// shard, or the end of the tenure as an error.
func (g *guard) getRecords(token string) (out *awskinesis.GetRecordsOutput, err error) {
	t := g.tenureOf(token)
	if t == nil {
		return nil, fmt.Errorf("iterator %s: %w", token, ErrLost)
	}
	defer func() {
		if v := recover(); v != nil {
			t.Panicked("fetch", v, debug.Stack())
			out, err = nil, ErrPanic
		}
	}()
	t.from.memory.resize(0)
	t.from.pace.ask(time.Now())
	var answer *awskinesis.GetRecordsOutput
	err = retry.Do(t.reading, 5*time.Second, func() (err error) {
		if t.reading.Err() != nil {
			return retry.Stop(context.Cause(t.reading))
		}
		answer, err = g.fetch(t)
		return err
	}, func(err error, _ time.Duration) { g.failed(t, err) })
	if err != nil {
		return nil, fmt.Errorf("shard %s: reading ends: %w", t.shard.id, err)
	}
	return g.handOn(t, token, answer), nil
}

// fetch makes one call of GetRecords, with a new iterator before it where one is needed.
func (g *guard) fetch(t *Held) (*awskinesis.GetRecordsOutput, error) {
	r := &t.from
	if err := retry.Sleep(t.reading, max(r.pace.delay(time.Now()), time.Until(r.idle))); err != nil {
		return nil, err
	}
	// While the checkpoint cannot be written the lease is probably going too: what were read now would be read again by the
	// next owner. The wait costs nothing that the loss of the lease would not cost as well.
	for t.stalled.Load() {
		if err := retry.Sleep(t.reading, stallPause); err != nil {
			return nil, err
		}
	}
	g.checkRetention(t)
	if r.iterator == nil {
		if err := g.newIterator(t); err != nil {
			return nil, err
		}
	}
	if err := g.reserve(t); err != nil {
		return nil, err
	}
	r.asked = g.retention.now()
	r.pace.begin(time.Now())
	var out *awskinesis.GetRecordsOutput
	err := g.call(t, func(ctx context.Context) (err error) {
		out, err = g.svc.GetRecords(ctx, &awskinesis.GetRecordsInput{ShardIterator: r.iterator, Limit: &r.limit, StreamARN: g.arn()})
		return err
	})
	if err != nil {
		r.memory.resize(0)
		return nil, err
	}
	return out, nil
}

// reserve waits for the memory of the next answer. Whether a shard answers is not known before it has: where memory is scarce
// it is asked for one record first, so that shards that hang do not hold the memory of full answers.
func (g *guard) reserve(t *Held) error {
	r := &t.from
	most := min(maxAnswerMemory, g.budget.total)
	r.limit = g.maxRecords
	estimate := r.estimate(r.limit, most)
	if r.answered.IsZero() {
		if g.budget.tryReserve(estimate) {
			r.memory = share{g.budget, estimate}
			return nil
		}
		r.limit = 1
		estimate = r.estimate(r.limit, most)
	}
	if err := g.budget.reserve(t.reading, estimate); err != nil {
		return err
	}
	r.memory = share{g.budget, estimate}
	return nil
}

// call makes a call for a tenure, within the time that a call may take.
func (g *guard) call(t *Held, f func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(t.reading, g.callTimeout)
	defer cancel()
	return g.hearing.listen(t.reading, func() error { return f(ctx) })
}

func (g *guard) arn() *string {
	_, arn := g.stream.Params()
	return arn
}

// handOn makes the library's answer of a good one and moves the position behind it.
func (g *guard) handOn(t *Held, token string, answer *awskinesis.GetRecordsOutput) *awskinesis.GetRecordsOutput {
	r := &t.from
	g.metrics.Fetches.WithLabelValues(FetchOK).Inc()
	now := time.Now()
	r.behind = time.Duration(aws.ToInt64(answer.MillisBehindLatest)) * time.Millisecond
	r.answered = now
	g.metrics.Lag.Set(t.shard.id, r.behind)
	if n := len(answer.Records); n > 0 {
		newest := &answer.Records[n-1]
		r.last = position{sequenceNumber: aws.ToString(newest.SequenceNumber), arrival: aws.ToTime(newest.ApproximateArrivalTimestamp)}
		r.read = later(r.read, r.last.arrival)
		r.idle = time.Time{}
	} else if r.behind == 0 {
		r.idle = now.Add(g.pollInterval)
	}
	if known := answer.MillisBehindLatest != nil; known && (r.behind == 0 || len(answer.Records) == 0) {
		r.read = later(r.read, r.asked.Add(-r.behind))
		r.last.readTo = r.read
		if len(answer.Records) == 0 {
			t.CaughtUp(r.read)
		}
	}
	r.iterator = answer.NextShardIterator
	out := &awskinesis.GetRecordsOutput{
		Records:            g.unpack(r, answer.Records),
		MillisBehindLatest: aws.Int64(r.behind.Milliseconds()),
		NextShardIterator:  &token,
	}
	if answer.NextShardIterator == nil {
		out.NextShardIterator = nil
		r.closed = true
		g.shardEnded()
	}
	return out
}

// unpack expands the aggregates of an answer and books what it has turned out to be.
func (g *guard) unpack(r *fetchState, received []awstypes.Record) []awstypes.Record {
	records := expand(received)
	bytes, expanded := dataBytes(received), dataBytes(records)
	r.pace.end(max(bytes, expanded)) // Kinesis counts the one, the library the other
	r.memory.resize(int64(max(bytes, expanded)) + int64(len(records))*recordOverhead)
	if n := len(received); n > 0 && r.limit > 1 { // one record says nothing of the others
		r.largest = max(r.largest, int64(bytes/n))
	}
	return records
}

func dataBytes(records []awstypes.Record) (n int) {
	for i := range records {
		n += len(records[i].Data)
	}
	return n
}

// newIterator asks for an iterator after the last record handed on, else after the checkpoint, else at the start.
func (g *guard) newIterator(t *Held) error {
	r := &t.from
	in := &awskinesis.GetShardIteratorInput{ShardId: &t.shard.id}
	in.StreamName, in.StreamARN = g.stream.Params()
	after := r.last.sequenceNumber
	if after == "" {
		after = r.resume
	}
	switch {
	case after != "":
		in.ShardIteratorType, in.StartingSequenceNumber = awstypes.ShardIteratorTypeAfterSequenceNumber, &after
	case r.start.oldest:
		in.ShardIteratorType = awstypes.ShardIteratorTypeTrimHorizon
	default:
		in.ShardIteratorType, in.Timestamp = awstypes.ShardIteratorTypeAtTimestamp, &r.start.time
	}
	var out *awskinesis.GetShardIteratorOutput
	err := g.call(t, func(ctx context.Context) (err error) {
		if out, err = g.svc.GetShardIterator(ctx, in); err == nil {
			err = errIterator
		}
		return err
	})
	var invalid *awstypes.InvalidArgumentException
	if errors.As(err, &invalid) && after != "" {
		g.trimmed(t, after, err)
	}
	if err != nil {
		return err
	}
	r.iterator = out.ShardIterator
	return nil
}

// positionTime is the arrival of the record after which reading goes on, zero if it is not known.
func (r *fetchState) positionTime() time.Time {
	if !r.last.arrival.IsZero() {
		return r.last.arrival
	}
	return parseTime(r.resumeTime)
}

// failed counts and logs a call that failed. Each shard complains at most once in ten seconds.
func (g *guard) failed(t *Held, err error) {
	r := &t.from
	result := FetchFailed
	var expired *awstypes.ExpiredIteratorException
	var invalid *awstypes.InvalidArgumentException
	var missing *awstypes.ResourceNotFoundException
	switch {
	case errors.As(err, &expired):
		result = FetchExpiredIterator
		r.iterator = nil
	case awserr.Throttled(err):
		result = FetchThrottled
	case errors.As(err, &invalid), errors.As(err, &missing):
		r.iterator = nil // it may be the iterator that is bad
	}
	g.metrics.Fetches.WithLabelValues(result).Inc()
	if time.Since(r.complain) < 10*time.Second {
		return
	}
	r.complain = time.Now()
	t.log.Warn("fetching records failed: trying again from the same place", "result", result, "err", err)
}

// What an answer costs: its body (base64 in JSON, read into a buffer that grows) and its records lie in memory together:
// measured, 14 MB of body and 10 MB of data for the largest one.
const (
	maxAnswerBytes  = 10 << 20
	memoryPerByte   = 2.4
	maxAnswerMemory = int64(maxAnswerBytes * memoryPerByte)
	minAnswerMemory = 128 << 10
	recordOverhead  = 256
)

// estimate says how much memory the next answer may need at the most, as far as can be told: a shard takes in 1 MB/s, so a
// caught-up one has little new; else as many records as are asked for, of the largest size seen with half as much again.
func (r *fetchState) estimate(limit int32, most int64) int64 {
	bytes := float64(maxAnswerBytes)
	switch {
	case r.answered.IsZero():
		bytes = min(bytes, float64(limit)*(1<<20)) // a record is at most 1 MiB unless the stream's owner has allowed more
	case r.behind == 0:
		bytes = min(bytes, (time.Since(r.answered).Seconds()+1)*(1<<20))
	}
	if r.largest > 0 {
		bytes = min(bytes, float64(limit)*float64(r.largest)*1.5)
	}
	return min(max(int64(bytes*memoryPerByte), minAnswerMemory), most)
}
