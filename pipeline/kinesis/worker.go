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
	awskinesis "github.com/aws/aws-sdk-go-v2/service/kinesis"
	"github.com/google/uuid"

	"rootwatch/pipeline"
	"rootwatch/pipeline/awsclient"
	"rootwatch/pipeline/kinesis/fetch"
	"rootwatch/pipeline/kinesis/kcl"
	"rootwatch/pipeline/kinesis/lease"
	"rootwatch/pipeline/kinesis/metrics"
)

// Worker reads the shards of one stream together with the other workers of its application. It is a
// pipeline.Source.
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

// New checks the configuration, builds all parts and registers the worker's metrics; it calls
// nobody.
func New(cfg Config) (*Worker, error) {
	if err := cfg.check(); err != nil {
		return nil, err
	}
	if cfg.HandoffTimeout == 0 {
		cfg.HandoffTimeout = 30 * time.Second
	}
	cfg.Kinesis, cfg.DynamoDB = awsclient.Kinesis(cfg.Kinesis), awsclient.DynamoDB(cfg.DynamoDB)
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	host, _ := os.Hostname() // only for people: the rest makes it unique
	me := host + "-" + uuid.NewString()
	w := &Worker{cfg: cfg, metrics: metrics.New(cfg.Registerer, cfg.Now), log: cfg.Logger.With("worker", me)}
	w.stream, _ = lease.ParseStream(cfg.Stream) // checked above
	once := withoutRetries(cfg.Kinesis)
	w.breaker = fetch.NewBreaker(fetch.BreakerConfig{
		Kinesis: once, Stream: w.stream, Region: cfg.Region, Lease: cfg.LeaseDuration, Logger: w.log,
		Timeout: max(cfg.LeaseDuration+cfg.PollInterval, 10*time.Second), // a full answer may take some seconds
	})
	leaseConfig := lease.Config{
		DynamoDB: cfg.DynamoDB, Kinesis: cfg.Kinesis, Stream: w.stream, Application: cfg.Application, Worker: me,
		Ran:      cfg.Ran,
		Start:    lease.StartAt{Oldest: cfg.Start.TrimHorizon, Time: cfg.Start.Time},
		Duration: cfg.LeaseDuration, Handoff: cfg.HandoffTimeout, Readable: w.breaker.Check, Metrics: w.metrics, Logger: w.log, Now: cfg.Now,
	}
	fetchConfig := fetch.Config{
		Kinesis: once, Stream: w.stream, Breaker: w.breaker, PollInterval: cfg.PollInterval, CallTimeout: 30 * time.Second,
		MaxRecords: int32(cfg.MaxRecords), Memory: cfg.FetchMemory, ShardEnded: func() { w.coordinator.Wake() }, Metrics: w.metrics, Now: cfg.Now,
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

// Run reads until ctx ends, then stops within the configured timeout: reading ends at once, what is
// in flight is finished and checkpointed, and all leases are released. If the pipeline is stuck,
// the leases are released without it at the end of the timeout, and an error says so. Errors before
// the first read are those that waiting does not heal: no such stream, no permission, a lease table
// that belongs to something else.
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

// stop ends reading, lets the held leases finish, and cuts them at the deadline.
func (w *Worker) stop(library *kcl.Library, coordinated <-chan struct{}) error {
	began := time.Now()
	reserve := min(lease.ReleaseTimeout+500*time.Millisecond, w.cfg.ShutdownTimeout/2)
	cut := time.NewTimer(w.cfg.ShutdownTimeout - reserve)
	defer cut.Stop()
	end := time.NewTimer(w.cfg.ShutdownTimeout)
	defer end.Stop()
	w.log.Info("stopping: finishing what is in flight")

	// Before the library ends its consumers: one that has ended must not be granted its shard
	// again.
	for _, h := range w.leases.All() {
		h.StopReading(lease.ErrStop)
	}
	var ending sync.WaitGroup
	ending.Go(library.Shutdown) // waits for its consumers, and they for their leases
	ending.Go(func() {
		<-coordinated // it may have asked for leases in its last pass
		ending.Go(w.coordinator.CancelClaims)
		w.leases.Empty(lease.ErrStop) // and have taken one
	})
	ended := make(chan struct{})
	go func() { ending.Wait(); close(ended) }()
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

// Stream is the stream's name, also where it was given as an ARN.
func (w *Worker) Stream() string { return w.stream.Name }

// FirstStart is when the application was first started, once Prepare has succeeded and until Run
// begins.
func (w *Worker) FirstStart() time.Time { return w.coordinator.FirstStart() }

// unread is how long Kinesis may give no records, whichever shard is asked for, before the worker
// is not ready: well below the 15 seconds within which it has to say so, and longer than a slow
// answer. The leases are kept for longer (the breaker's timeout): others may be no better off.
const unread = 12 * time.Second

// Ready reports why the worker does not watch, nil if it does: the lease table is readable, it
// holds leases or there are none for it to take, and each shard that it holds has answered of late.
func (w *Worker) Ready() error {
	now := w.coordinator.Status()
	shard, age := w.metrics.Lag.Oldest()
	silence, failure := w.breaker.Silence()
	switch {
	case now.Err != nil:
		return now.Err
	case now.Looked.IsZero():
		return errors.New("starting: the lease table has not been read yet")
	case time.Since(now.Looked) > w.cfg.LeaseDuration:
		return fmt.Errorf("the lease table was read last %s ago", time.Since(now.Looked).Round(time.Second))
	case shard == "" && now.Wanted > 0:
		return fmt.Errorf("%d shards have no worker and no lease is held", now.Wanted)
	case shard != "" && silence > unread:
		return fmt.Errorf("no records from Kinesis for %s: %w", silence.Round(time.Second), failure)
	case shard != "" && age > w.cfg.LeaseDuration+w.cfg.PollInterval+10*time.Second:
		return fmt.Errorf("shard %s has given no answer for %s", shard, age.Round(time.Second))
	}
	return nil
}
