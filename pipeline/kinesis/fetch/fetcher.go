package fetch

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awskinesis "github.com/aws/aws-sdk-go-v2/service/kinesis"
	awstypes "github.com/aws/aws-sdk-go-v2/service/kinesis/types"

	"rootwatch/pipeline/awserr"
	"rootwatch/pipeline/kinesis/lease"
	"rootwatch/pipeline/kinesis/metrics"
	"rootwatch/pipeline/retry"
)

// stallPause is how often it is looked whether a stalled checkpoint moves again.
const stallPause = 20 * time.Millisecond

// Config is what a fetcher needs.
type Config struct {
	Kinesis      *awskinesis.Client // with retries off: the fetcher retries, with an eye on lease and stop
	Stream       lease.Stream
	Leases       *lease.Registry
	Breaker      *Breaker
	PollInterval time.Duration // pause after an empty answer of a shard
	CallTimeout  time.Duration
	MaxRecords   int32
	Memory       int64  // bytes, all fetches and batches in flight together
	ShardEnded   func() // told when a shard has been handed on to its end
	Metrics      *metrics.Metrics
	Now          func() time.Time // Kinesis's calendar, which the retention is counted by
}

// Fetcher answers the library's calls. Between it and Kinesis every error that time heals is waited
// out, so that the library, which gives the shard up on most of them without telling anybody, sees
// only records, silence, the end of a shard, and the end of a held lease.
type Fetcher struct {
	cfg       Config
	metrics   *metrics.Metrics
	memory    *memory
	retention *retention

	mu      sync.Mutex
	readers map[*lease.Held]*Reader
}

// New returns a fetcher; it calls nobody.
func New(cfg Config) *Fetcher {
	return &Fetcher{
		cfg: cfg, metrics: cfg.Metrics, readers: make(map[*lease.Held]*Reader),
		memory:    &memory{total: cfg.Memory, gauge: cfg.Metrics.FetchMemory},
		retention: &retention{svc: cfg.Kinesis, stream: cfg.Stream, now: cfg.Now},
	}
}

// SetRetention notes for how long the stream keeps its records, as Kinesis has just said.
func (f *Fetcher) SetRetention(hours int32) { f.retention.set(hours) }

// Reader returns the reader of a held lease, the same each time.
func (f *Fetcher) Reader(h *lease.Held) *Reader {
	f.mu.Lock()
	defer f.mu.Unlock()
	r := f.readers[h]
	if r == nil {
		from := h.Beginning()
		r = &Reader{Fetcher: f, held: h, start: from.Start, resume: from.Checkpoint, resumeTime: from.CheckpointTime, readUpTo: from.ReadTo}
		f.readers[h] = r
	}
	return r
}

// Forget gives up the reader of a lease that is read no more, and the memory of an answer that
// nobody has taken.
func (f *Fetcher) Forget(h *lease.Held) {
	f.mu.Lock()
	r := f.readers[h]
	delete(f.readers, h)
	f.mu.Unlock()
	if r != nil {
		r.memory.Resize(0)
	}
}

// GetShardIterator hands out a token of our own: real iterators expire and are renewed behind it.
func (f *Fetcher) GetShardIterator(shardID string) (*awskinesis.GetShardIteratorOutput, error) {
	h := f.cfg.Leases.Get(shardID)
	if h == nil {
		return nil, fmt.Errorf("shard %s: %w", shardID, lease.ErrLost)
	}
	return &awskinesis.GetShardIteratorOutput{ShardIterator: aws.String(shardID + "/" + strconv.FormatInt(h.Epoch(), 10))}, nil
}

func (f *Fetcher) heldOf(token string) *lease.Held {
	shardID, epoch, _ := strings.Cut(token, "/")
	if h := f.cfg.Leases.Get(shardID); h != nil && strconv.FormatInt(h.Epoch(), 10) == epoch {
		return h
	}
	return nil
}

// GetRecords blocks until there is an answer to give: records, an empty answer after the poll
// interval, the end of the shard, or the end of the held lease as an error.
func (f *Fetcher) GetRecords(token string) (*awskinesis.GetRecordsOutput, error) {
	h := f.heldOf(token)
	if h == nil {
		return nil, fmt.Errorf("iterator %s: %w", token, lease.ErrLost)
	}
	return f.Reader(h).next(token)
}

// Reader reads the shard of one held lease. Only the goroutine of the library's consumer of that
// lease uses it.
type Reader struct {
	*Fetcher
	held       *lease.Held
	start      lease.StartAt
	resume     string    // the checkpoint that the lease was acquired with
	resumeTime time.Time // arrival of the record there; zero if it is not known
	last       lease.Position
	readUpTo   time.Time     // everything that had arrived by then was handed on; zero if that is not known
	skipped    time.Duration // of what was deleted before it was read, and is not yet counted
	iterator   *string
	closed     bool // the end of the shard was handed on
	openEnded  bool // the last answer had records and no next iterator, and the shard is read once more
	confirming bool // the shard seemed to be at its end, and no record has come since
	doubtful   bool // the last answer's records were not in order

	limiter  limiter
	idle     time.Time // not before: the poll interval after an empty answer
	largest  int64     // average record size of the answer that had the largest
	behind   time.Duration
	asked    time.Time // when the last call of GetRecords began
	limit    int32     // how many records it asked for
	answered time.Time
	memory   Reservation // of the answer that the record processor has not yet taken over
	complain time.Time
}

// Held is the lease whose shard is read.
func (r *Reader) Held() *lease.Held { return r.held }

// Take hands the last answer's records over: where they end, and the memory that they have
// reserved. It fails when the lease is over: nobody will see the records then, and the shard is not
// at its end.
func (r *Reader) Take() (last lease.Position, memory Reservation, ok bool) {
	if r.held.Over().Err() != nil {
		r.closed = false
		return lease.Position{}, Reservation{}, false
	}
	memory = r.memory
	r.memory = Reservation{}
	return r.last, memory, true
}

// AtEnd reports whether the shard was handed on to its end, its last records taken.
func (r *Reader) AtEnd() bool { return r.closed }

// next is the next answer for the library.
func (r *Reader) next(token string) (out *awskinesis.GetRecordsOutput, err error) {
	defer func() {
		if v := recover(); v != nil {
			r.held.Panicked("fetch", v, debug.Stack())
			out, err = nil, lease.ErrPanic
		}
	}()
	r.memory.Resize(0)
	r.limiter.ask(time.Now())
	var answer *awskinesis.GetRecordsOutput
	err = retry.Do(r.held.Reading(), 5*time.Second, func() (err error) {
		if r.held.Reading().Err() != nil {
			return retry.Stop(context.Cause(r.held.Reading()))
		}
		answer, err = r.fetch()
		return err
	}, func(err error, _ time.Duration) { r.failed(err) })
	if err != nil {
		return nil, fmt.Errorf("shard %s: reading ends: %w", r.held.ShardID(), err)
	}
	return r.handOn(token, answer), nil
}

// fetch makes one call of GetRecords, with a new iterator before it where one is needed.
func (r *Reader) fetch() (*awskinesis.GetRecordsOutput, error) {
	if err := retry.Sleep(r.held.Reading(), max(r.limiter.delay(time.Now()), time.Until(r.idle))); err != nil {
		return nil, err
	}
	// While the checkpoint cannot be written the lease is probably going too: what were read now
	// would be read again by the next owner. The wait costs nothing that the loss of the lease
	// would not cost as well.
	for r.held.Stalled() {
		if err := retry.Sleep(r.held.Reading(), stallPause); err != nil {
			return nil, err
		}
	}
	r.checkRetention()
	if r.iterator == nil {
		if err := r.newIterator(); err != nil {
			return nil, err
		}
	}
	if err := r.reserve(); err != nil {
		return nil, err
	}
	r.asked = r.retention.now()
	r.limiter.begin(time.Now())
	var out *awskinesis.GetRecordsOutput
	err := r.call(func(ctx context.Context) (err error) {
		out, err = r.read(ctx)
		return err
	})
	if err == nil {
		err = r.judge(out)
	}
	if err != nil {
		r.memory.Resize(0)
		return nil, err
	}
	return out, nil
}

// reserve waits for the memory of the next answer. Whether a shard answers is not known before it
// has: where memory is scarce it is asked for one record first, so that shards that hang do not
// hold the memory of full answers.
func (r *Reader) reserve() error {
	most := min(maxAnswerMemory, r.Fetcher.memory.total)
	r.limit = r.cfg.MaxRecords
	estimate := r.estimate(r.limit, most)
	if r.answered.IsZero() {
		if r.Fetcher.memory.tryReserve(estimate) {
			r.memory = Reservation{r.Fetcher.memory, estimate}
			return nil
		}
		r.limit = 1
		estimate = r.estimate(r.limit, most)
	}
	if err := r.Fetcher.memory.reserve(r.held.Reading(), estimate); err != nil {
		return err
	}
	r.memory = Reservation{r.Fetcher.memory, estimate}
	return nil
}

// call makes a call for the lease, within the time that a call may take.
func (r *Reader) call(f func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(r.held.Reading(), r.cfg.CallTimeout)
	defer cancel()
	return r.cfg.Breaker.call(r.held.Reading(), func() error { return f(ctx) })
}

func (r *Reader) arn() *string {
	_, arn := r.cfg.Stream.Params()
	return arn
}

// handOn makes the library's answer of a good one and moves the position behind it.
func (r *Reader) handOn(token string, answer *awskinesis.GetRecordsOutput) *awskinesis.GetRecordsOutput {
	if r.doubtful {
		r.strange("an answer's records were not in the order of the shard, or came again: they are handed on, and reading goes on after the last one")
	} else {
		r.metrics.Fetches.WithLabelValues(metrics.FetchOK).Inc()
	}
	now := time.Now()
	r.behind = time.Duration(aws.ToInt64(answer.MillisBehindLatest)) * time.Millisecond
	r.answered = now
	r.metrics.Lag.Set(r.held.ShardID(), r.behind)
	if n := len(answer.Records); n > 0 {
		newest := &answer.Records[n-1]
		if number := aws.ToString(newest.SequenceNumber); !r.doubtful || before(r.position(), number) {
			r.last = lease.Position{SequenceNumber: number, Arrival: aws.ToTime(newest.ApproximateArrivalTimestamp)}
		}
		r.readUpTo = later(r.readUpTo, r.last.Arrival)
		r.idle = time.Time{}
	} else if r.behind == 0 {
		r.idle = now.Add(r.cfg.PollInterval)
	}
	if known := answer.MillisBehindLatest != nil; known && (r.behind == 0 || len(answer.Records) == 0) {
		r.readUpTo = later(r.readUpTo, r.asked.Add(-r.behind))
		r.last.ReadTo = r.readUpTo
		if len(answer.Records) == 0 {
			r.held.CaughtUp(r.readUpTo)
		}
	}
	r.iterator = answer.NextShardIterator
	if r.doubtful || aws.ToString(r.iterator) == "" {
		r.iterator = nil
	}
	out := &awskinesis.GetRecordsOutput{
		Records:            r.unpack(answer.Records),
		MillisBehindLatest: aws.Int64(r.behind.Milliseconds()),
		NextShardIterator:  &token,
	}
	switch ended := aws.ToString(answer.NextShardIterator) == ""; {
	case ended && len(answer.Records) > 0:
		r.openEnded = true
	case ended:
		out.NextShardIterator = nil
		r.closed = true
		r.cfg.ShardEnded()
	}
	return out
}

// unpack expands the aggregates of an answer and books what it has turned out to be.
func (r *Reader) unpack(received []awstypes.Record) []awstypes.Record {
	records := expand(received)
	bytes, expanded := dataBytes(received), dataBytes(records)
	r.limiter.end(max(bytes, expanded)) // Kinesis counts the one, the library the other
	r.memory.Resize(int64(max(bytes, expanded)) + int64(len(records))*recordOverhead)
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

// newIterator asks for an iterator after the last record handed on, else after the checkpoint, else
// at the start.
func (r *Reader) newIterator() error {
	in := &awskinesis.GetShardIteratorInput{ShardId: aws.String(r.held.ShardID())}
	in.StreamName, in.StreamARN = r.cfg.Stream.Params()
	after := r.position()
	switch {
	case after != "":
		in.ShardIteratorType, in.StartingSequenceNumber = awstypes.ShardIteratorTypeAfterSequenceNumber, &after
	case r.start.Oldest:
		in.ShardIteratorType = awstypes.ShardIteratorTypeTrimHorizon
	default:
		in.ShardIteratorType, in.Timestamp = awstypes.ShardIteratorTypeAtTimestamp, &r.start.Time
	}
	var out *awskinesis.GetShardIteratorOutput
	err := r.call(func(ctx context.Context) (err error) {
		if out, err = r.cfg.Kinesis.GetShardIterator(ctx, in); err == nil {
			err = errIterator
		}
		return err
	})
	var invalid *awstypes.InvalidArgumentException
	if errors.As(err, &invalid) && after != "" {
		r.trimmed(after, err)
	}
	if err != nil {
		return err
	}
	r.iterator = out.ShardIterator
	return nil
}

// positionTime is the arrival of the record after which reading goes on, zero if it is not known.
func (r *Reader) positionTime() time.Time {
	if !r.last.Arrival.IsZero() {
		return r.last.Arrival
	}
	return r.resumeTime
}

// failed counts and logs a call that failed. Each shard complains at most once in ten seconds.
func (r *Reader) failed(err error) {
	result := metrics.FetchFailed
	var expired *awstypes.ExpiredIteratorException
	var invalid *awstypes.InvalidArgumentException
	var missing *awstypes.ResourceNotFoundException
	switch {
	case errors.Is(err, errOnceMore):
		return
	case awserr.Strange(err):
		result = metrics.FetchStrange
		r.iterator = nil
	case errors.As(err, &expired):
		result = metrics.FetchExpiredIterator
		r.iterator = nil
	case awserr.Throttled(err):
		result = metrics.FetchThrottled
	case errors.As(err, &invalid), errors.As(err, &missing):
		r.iterator = nil // it may be the iterator that is bad
	}
	r.metrics.Fetches.WithLabelValues(result).Inc()
	if time.Since(r.complain) < 10*time.Second {
		return
	}
	r.complain = time.Now()
	r.held.Log().Warn("fetching records failed: trying again from the same place", "result", result, "err", err)
}

// What an answer costs: its body (base64 in JSON, read into a buffer that grows) and its records
// lie in memory together: measured, 14 MB of body and 10 MB of data for the largest one.
const (
	maxAnswerBytes  = 10 << 20
	memoryPerByte   = 2.4
	maxAnswerMemory = int64(maxAnswerBytes * memoryPerByte)
	minAnswerMemory = 128 << 10
	recordOverhead  = 256
)

// estimate is how much memory the next answer may need at the most, as far as is known: a shard
// takes in 1 MB/s, so a caught-up one has little new; else as many records as are asked for, of the
// largest size seen with half as much again.
func (r *Reader) estimate(limit int32, most int64) int64 {
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

func later(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}
