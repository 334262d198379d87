package kinesis

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsmiddleware "github.com/aws/aws-sdk-go-v2/aws/middleware"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	awskinesis "github.com/aws/aws-sdk-go-v2/service/kinesis"
	awstypes "github.com/aws/aws-sdk-go-v2/service/kinesis/types"
	"github.com/google/uuid"
	"github.com/prometheus/client_golang/prometheus"

	"rootwatch/pipeline"
	"rootwatch/pipeline/awserr"
	"rootwatch/pipeline/dynamo"
	"rootwatch/pipeline/kinesis/fetch"
	"rootwatch/pipeline/kinesis/kcl"
	"rootwatch/pipeline/kinesis/lease"
	"rootwatch/pipeline/kinesis/metrics"
)

// Start says where an application begins that has never read the stream before.
type Start struct {
	TrimHorizon bool      // at the oldest record
	Time        time.Time // at the first record that arrived then or later; zero with TrimHorizon false: at the application's first start
}

// Config is what a worker needs. The clients' region, credentials and endpoints are the worker's.
type Config struct {
	Kinesis  *awskinesis.Client
	DynamoDB *dynamodb.Client
	Region   string

	Stream             string // name or ARN
	Application        string // name of the lease table
	Start              Start
	PollInterval       time.Duration // pause after an empty answer of a shard
	LeaseDuration      time.Duration // a lease not renewed for this long is free; 2 s at least
	CheckpointInterval time.Duration
	ShutdownTimeout    time.Duration // Run returns at the latest this long after its context ends
	HandoffTimeout     time.Duration // 30 s if zero, as KCL for Java has it
	MaxRecords         int           // of one GetRecords answer, 1 to 10,000
	FetchMemory        int64         // bytes, all fetches and batches in flight together; 16 MiB at least

	Registerer prometheus.Registerer
	Logger     *slog.Logger

	tune func(*lease.Config, *fetch.Config) // changes the parts' configuration in tests
}

func (c *Config) check() error {
	if _, err := lease.ParseStream(c.Stream); err != nil {
		return err
	}
	if err := dynamo.CheckName(c.Application); err != nil {
		return fmt.Errorf("application %w", err)
	}
	switch {
	case c.LeaseDuration < 2*time.Second:
		return fmt.Errorf("lease duration %s is too short: 2s at least", c.LeaseDuration)
	case c.PollInterval < 200*time.Millisecond:
		return fmt.Errorf("poll interval %s is too short: a shard may be read 5 times a second, so 200ms at least", c.PollInterval)
	case c.CheckpointInterval <= 0:
		return fmt.Errorf("checkpoint interval %s must be positive", c.CheckpointInterval)
	case c.ShutdownTimeout <= 0:
		return fmt.Errorf("shutdown timeout %s must be positive", c.ShutdownTimeout)
	case c.MaxRecords < 1 || c.MaxRecords > 10_000:
		return fmt.Errorf("max records %d is out of range: 1 to 10000 (limit of GetRecords)", c.MaxRecords)
	case c.FetchMemory < 16<<20:
		return fmt.Errorf("fetch memory %d bytes is too little: 16 MiB at least, one full answer of Kinesis is 10 MiB", c.FetchMemory)
	case c.Start.Time.After(time.Now()):
		return fmt.Errorf("start %s lies in the future: records until then would never be read", c.Start.Time.Format(time.RFC3339))
	}
	return nil
}

// Worker reads the shards of one stream together with the other workers of its application. It is a pipeline.Source.
type Worker struct {
	cfg         Config
	stream      lease.Stream
	metrics     *metrics.Metrics
	log         *slog.Logger
	leases      *lease.Registry
	coordinator *lease.Coordinator
	breaker     *fetch.Breaker
	fetcher     *fetch.Fetcher
	library     kcl.Config // all that it needs but what takes its records

	prepared bool // Prepare has succeeded
}

var _ pipeline.Source = (*Worker)(nil)

// New checks the configuration, builds all parts and registers the worker's metrics; it calls nobody.
func New(cfg Config) (*Worker, error) {
	if err := cfg.check(); err != nil {
		return nil, err
	}
	if cfg.HandoffTimeout == 0 {
		cfg.HandoffTimeout = 30 * time.Second
	}
	host, _ := os.Hostname() // only for people: the rest makes it unique
	me := host + "-" + uuid.NewString()
	w := &Worker{cfg: cfg, metrics: metrics.New(cfg.Registerer, time.Now), log: cfg.Logger.With("worker", me)}
	w.stream, _ = lease.ParseStream(cfg.Stream) // checked above
	once := withoutRetries(cfg.Kinesis)
	w.breaker = fetch.NewBreaker(fetch.BreakerConfig{
		Kinesis: once, Stream: w.stream, Region: cfg.Region, Lease: cfg.LeaseDuration, Logger: w.log,
		Timeout: max(cfg.LeaseDuration+cfg.PollInterval, 10*time.Second), // a full answer may take some seconds
	})
	leaseConfig := lease.Config{
		DynamoDB: cfg.DynamoDB, Kinesis: cfg.Kinesis, Stream: w.stream, Application: cfg.Application, Worker: me,
		Start:    lease.StartAt{Oldest: cfg.Start.TrimHorizon, Time: cfg.Start.Time},
		Duration: cfg.LeaseDuration, Handoff: cfg.HandoffTimeout, Readable: w.breaker.Check, Metrics: w.metrics, Logger: w.log, Now: time.Now,
	}
	fetchConfig := fetch.Config{
		Kinesis: once, Stream: w.stream, Breaker: w.breaker, PollInterval: cfg.PollInterval, CallTimeout: 30 * time.Second,
		MaxRecords: int32(cfg.MaxRecords), Memory: cfg.FetchMemory, ShardEnded: func() { w.coordinator.Wake() }, Metrics: w.metrics, Now: time.Now,
	}
	if cfg.tune != nil {
		cfg.tune(&leaseConfig, &fetchConfig)
	}
	w.coordinator, w.leases = lease.New(leaseConfig)
	fetchConfig.Leases = w.leases
	w.fetcher = fetch.New(fetchConfig)
	w.library = kcl.Config{
		Application: cfg.Application, Stream: w.stream.Name, Region: cfg.Region, Worker: me, LeaseDuration: cfg.LeaseDuration, MaxRecords: cfg.MaxRecords,
		Leases: w.leases, Fetcher: w.fetcher, Shards: w.coordinator.Listed, Finished: w.coordinator.Finished, Logger: w.log,
	}
	return w, nil
}

// withoutRetries is the client for fetching: the fetcher retries, with an eye on lease and stop.
func withoutRetries(svc *awskinesis.Client) *awskinesis.Client {
	o := svc.Options()
	o.Retryer = aws.NopRetryer{}
	return awskinesis.New(o)
}

// Run reads until ctx ends, then stops within the configured timeout: reading ends at once, what is in flight is finished
// and checkpointed, and all leases are released. If the pipeline is stuck, the leases are released without it at the end of
// the timeout, and an error says so. Errors before the first read are those that waiting does not heal: no such stream, no
// permission, a lease table that belongs to something else.
func (w *Worker) Run(ctx context.Context, submit func(context.Context, *pipeline.Batch) error) error {
	if !w.prepared {
		if err := w.Prepare(ctx); err != nil {
			if ctx.Err() != nil {
				return nil // stopped before it began
			}
			return err
		}
	}
	background, stopBackground := context.WithCancel(context.WithoutCancel(ctx))
	var wg sync.WaitGroup
	defer wg.Wait()
	defer stopBackground()
	wg.Go(func() { w.coordinator.Renew(background) })
	wg.Go(func() { w.coordinator.WriteCheckpoints(background, w.cfg.CheckpointInterval) })

	config := w.library
	config.Process = processor(submit).process
	library := kcl.New(config)
	if err := library.Start(); err != nil {
		return fmt.Errorf("starting the Kinesis library: %w", err)
	}
	coordinated := make(chan struct{})
	go func() { w.coordinator.Run(ctx); close(coordinated) }()
	<-ctx.Done()
	return w.stop(library, coordinated)
}

// Prepare makes sure of stream and lease table, waiting out what waiting heals. Run does it if nobody has; who wants to touch
// other things only when the stream is there calls it before.
func (w *Worker) Prepare(ctx context.Context) error {
	var serverTime time.Time
	if err := awserr.WaitOut(ctx, w.log, func() (err error) { serverTime, err = w.describe(ctx); return err }); err != nil {
		return err
	}
	if err := w.coordinator.Prepare(ctx, serverTime); err != nil {
		return err
	}
	w.prepared = true
	return nil
}

// describe checks that the stream is there and may be read. It returns Kinesis's time, by which records arrive: a first start
// by a local clock that is ahead would skip some.
func (w *Worker) describe(ctx context.Context) (time.Time, error) {
	in := &awskinesis.DescribeStreamSummaryInput{}
	in.StreamName, in.StreamARN = w.stream.Params()
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	out, err := w.cfg.Kinesis.DescribeStreamSummary(ctx, in)
	if err == nil && out.StreamDescriptionSummary.StreamStatus != awstypes.StreamStatusCreating {
		err = w.tryReading(ctx)
	}
	if err != nil {
		return time.Time{}, w.explain(err)
	}
	w.fetcher.SetRetention(aws.ToInt32(out.StreamDescriptionSummary.RetentionPeriodHours))
	w.log.Info("reading stream", "stream", w.stream.String(), "region", w.cfg.Region,
		"open_shards", aws.ToInt32(out.StreamDescriptionSummary.OpenShardCount), "retention_hours", aws.ToInt32(out.StreamDescriptionSummary.RetentionPeriodHours))
	if t, ok := awsmiddleware.GetServerTime(out.ResultMetadata); ok && t.Before(time.Now()) {
		return t, nil
	}
	return time.Now(), nil
}

// tryReading needs the permissions for the calls that DescribeStreamSummary does not show, so that one that is missing ends
// the program with a word about it. What may heal is left to the reading itself.
func (w *Worker) tryReading(ctx context.Context) error {
	shards, err := lease.ListShards(ctx, w.cfg.Kinesis, w.stream, 30*time.Second)
	if err != nil {
		return err
	}
	for id, s := range shards {
		if s.Closed && len(shards) > 1 {
			continue
		}
		if err := w.breaker.Probe(ctx, id); awserr.Denied(err) || awserr.KeyRefused(err) {
			return err
		}
		break
	}
	return nil
}

// StreamError is the error of a stream that cannot be read at the start.
type StreamError struct {
	Stream, Region string
	Problem        StreamProblem
	Err            error // AWS's answer
}

// StreamProblem is what is wrong with a stream, as far as AWS's answer tells.
type StreamProblem int

const (
	StreamFails        StreamProblem = iota // for another reason than those that follow
	StreamMissing                           // there is no stream of that name
	StreamDenied                            // the role lacks a permission on it
	StreamKeyIsRefused                      // its records cannot be decrypted
)

func (e *StreamError) Error() string {
	what := "stream %s in region %s: %v"
	switch e.Problem {
	case StreamMissing:
		what = "stream %s does not exist in region %s: %v"
	case StreamKeyIsRefused:
		what = "stream %s in region %s cannot be decrypted: %v"
	case StreamDenied:
		what = "no permission to read stream %s in region %s: %v"
	}
	return fmt.Sprintf(what, e.Stream, e.Region, e.Err)
}

func (e *StreamError) Unwrap() error { return e.Err }

func (w *Worker) explain(err error) error {
	e := &StreamError{Stream: w.stream.String(), Region: w.cfg.Region, Err: err}
	var missing *awstypes.ResourceNotFoundException
	switch {
	case errors.As(err, &missing):
		e.Problem = StreamMissing
	case awserr.KeyRefused(err):
		e.Problem = StreamKeyIsRefused
	case awserr.Denied(err):
		e.Problem = StreamDenied
	}
	return e
}

// stop ends reading, lets the tenures finish, and cuts them at the deadline.
func (w *Worker) stop(library *kcl.Library, coordinated <-chan struct{}) error {
	began := time.Now()
	reserve := min(lease.ReleaseTimeout+500*time.Millisecond, w.cfg.ShutdownTimeout/2)
	cut := time.NewTimer(w.cfg.ShutdownTimeout - reserve)
	defer cut.Stop()
	end := time.NewTimer(w.cfg.ShutdownTimeout)
	defer end.Stop()
	w.log.Info("stopping: finishing what is in flight")

	// Before the library ends its consumers: one that has ended must not be granted its shard again.
	for _, h := range w.leases.All() {
		h.StopReading(lease.ErrStop)
	}
	ended := make(chan struct{})
	withdrawn := make(chan struct{})
	go func() {
		<-coordinated // it may have asked for leases in its last pass
		w.coordinator.CancelClaims()
		close(withdrawn)
	}()
	go func() {
		library.Shutdown() // waits for its consumers, and they for their leases
		<-withdrawn        // and the last pass may have taken a lease
		w.leases.Empty(lease.ErrStop)
		close(ended)
	}()
	stuck := 0
	for {
		select {
		case <-ended:
			w.log.Info("stopped", "after", time.Since(began).Round(time.Millisecond).String())
			if stuck > 0 {
				return fmt.Errorf("stopped at the deadline of %s with the pipeline stuck: the records in flight of %d shards will be read again", w.cfg.ShutdownTimeout, stuck)
			}
			return nil
		case <-cut.C:
			for _, h := range w.leases.All() {
				stuck++
				h.End(lease.ErrCut)
			}
		case <-end.C:
			return errors.New("stopped at the deadline of " + w.cfg.ShutdownTimeout.String() + ": leases that could not be released will expire")
		}
	}
}

// Ready reports why the worker does not watch, nil if it does: the lease table is readable, it holds leases or there are none for
// it to take, and each shard that it holds has answered of late.
func (w *Worker) Ready() error {
	now := w.coordinator.Status()
	shard, age := w.metrics.Lag.Oldest()
	switch {
	case now.Err != nil:
		return now.Err
	case now.Looked.IsZero():
		return errors.New("starting: the lease table has not been read yet")
	case time.Since(now.Looked) > w.cfg.LeaseDuration:
		return fmt.Errorf("the lease table was read last %s ago", time.Since(now.Looked).Round(time.Second))
	case shard == "" && now.Wanted > 0:
		return fmt.Errorf("%d shards have no worker and no lease is held", now.Wanted)
	case shard != "" && age > w.cfg.LeaseDuration+w.cfg.PollInterval+10*time.Second:
		return fmt.Errorf("shard %s has given no answer for %s", shard, age.Round(time.Second))
	}
	return nil
}
