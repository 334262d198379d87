package kinesis

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
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
	"github.com/sirupsen/logrus"
	"github.com/vmware/vmware-go-kcl-v2/clientlibrary/config"
	"github.com/vmware/vmware-go-kcl-v2/clientlibrary/worker"
	"golang.org/x/sync/errgroup"

	"rootwatch/pipeline"
	"rootwatch/pipeline/awserr"
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
}

func (c *Config) check() error {
	_, err := ParseStream(c.Stream)
	switch {
	case err != nil:
		return err
	case !validName(c.Application, 255) || len(c.Application) < 3:
		return fmt.Errorf("application %q cannot name a DynamoDB table: 3 to 255 letters, digits, '_', '.' and '-'", c.Application)
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
	cfg     Config
	stream  Stream
	metrics *Metrics
	log     *slog.Logger
	table   *table
	coord   *coordinator
	leases  *checkpointer
	guard   *guard
	ended   chan struct{} // a tenure has ended

	prepared bool // Prepare has succeeded
}

var _ pipeline.Source = (*Worker)(nil)

// New checks the configuration and registers the worker's metrics; it calls nobody.
func New(cfg Config) (*Worker, error) {
	if err := cfg.check(); err != nil {
		return nil, err
	}
	if cfg.HandoffTimeout == 0 {
		cfg.HandoffTimeout = 30 * time.Second
	}
	host, _ := os.Hostname() // only for people: the rest makes it unique
	me := host + "-" + uuid.NewString()
	w := &Worker{
		cfg: cfg, metrics: NewMetrics(cfg.Registerer, time.Now),
		log: cfg.Logger.With("worker", me), ended: make(chan struct{}, 1),
	}
	w.stream, _ = ParseStream(cfg.Stream) // checked above
	w.table = &table{svc: cfg.DynamoDB, name: cfg.Application, me: me, duration: cfg.LeaseDuration, timeout: min(cfg.LeaseDuration/4, 5*time.Second), now: time.Now}
	w.leases = newCheckpointer(me)
	w.coord = newCoordinator()
	c := w.coord
	c.table, c.leases, c.kinesis, c.stream, c.metrics, c.log, c.handoff = w.table, w.leases, cfg.Kinesis, w.stream, w.metrics, w.log, cfg.HandoffTimeout
	c.region, c.fromFirst = cfg.Region, !cfg.Start.TrimHorizon && cfg.Start.Time.IsZero()
	c.patience = max(cfg.LeaseDuration+cfg.PollInterval, 10*time.Second) // a full answer may take some seconds
	w.leases.finished = c.finished
	w.leases.changed = func(t *Held) {
		c.ended(t)
		select {
		case w.ended <- struct{}{}:
		default:
		}
	}
	once := withoutRetries(cfg.Kinesis)
	w.guard = &guard{
		svc: once, hearing: &hearing{}, retention: &retention{svc: once, stream: w.stream, now: time.Now},
		stream: w.stream, leases: w.leases, metrics: w.metrics, log: w.log,
		budget:       &budget{total: cfg.FetchMemory, gauge: w.metrics.FetchMemory},
		pollInterval: cfg.PollInterval, callTimeout: 30 * time.Second, maxRecords: int32(cfg.MaxRecords),
		shards: c.listedShards, shardEnded: c.kick,
	}
	c.hearing = w.guard.hearing
	c.probe = func(ctx context.Context, shardID string) error {
		return c.hearing.listen(ctx, func() error { return probe(ctx, once, w.stream, shardID) })
	}
	return w, nil
}

// withoutRetries is the client for fetching: the guard retries, with an eye on lease and stop.
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
	muteLibrary()
	background, stopBackground := context.WithCancel(context.WithoutCancel(ctx))
	var wg sync.WaitGroup
	defer wg.Wait()
	defer stopBackground()
	wg.Go(func() { w.coord.beat(background) })
	wg.Go(func() { w.checkpoints(background) })

	library := worker.NewWorker(&sessions{leases: w.leases, submit: submit}, w.libraryConfig()).
		WithKinesis(newLibraryClient(w.cfg.Region, w.guard)).WithCheckpointer(w.leases)
	if err := library.Start(); err != nil {
		return fmt.Errorf("starting the Kinesis library: %w", err)
	}
	coordinated := make(chan struct{})
	go func() { w.coord.run(ctx); close(coordinated) }()
	<-ctx.Done()
	return w.stop(library, coordinated)
}

// muteLibrary silences what the library writes to the global logrus, past its logger: once, as other workers may be running.
var muteLibrary = sync.OnceFunc(func() { logrus.SetOutput(io.Discard) })

// libraryConfig leaves the library nothing to decide: no start position (the guard has it), no renewals (the coordinator
// beats), no pause between reads (the guard paces), short passes, which cost nothing, as every answer comes from memory.
func (w *Worker) libraryConfig() *config.KinesisClientLibConfiguration {
	const never = 1_000_000_000_000 // ms, 31 years
	cfg := config.NewKinesisClientLibConfig(w.cfg.Application, w.stream.name, w.cfg.Region, w.table.me).
		WithTableName(w.cfg.Application).
		WithInitialPositionInStream(config.TRIM_HORIZON).
		WithMaxRecords(w.cfg.MaxRecords).
		WithShardSyncIntervalMillis(40).
		WithFailoverTimeMillis(int(w.cfg.LeaseDuration.Milliseconds())).
		WithLeaseRefreshWaitTime(never).
		WithLogger(libraryLogger{w.log.With("from", "kcl")})
	cfg.IdleTimeBetweenReadsInMillis = 0
	return cfg
}

// Prepare makes sure of stream and lease table, waiting out what waiting heals. Run does it if nobody has; who wants to touch
// other things only when the stream is there calls it before.
func (w *Worker) Prepare(ctx context.Context) error {
	var serverTime time.Time
	if err := awserr.WaitOut(ctx, w.log, func() (err error) { serverTime, err = w.describe(ctx); return err }); err != nil {
		return err
	}
	w.coord.recreate = func(ctx context.Context) error {
		if err := w.table.ensure(ctx); err != nil {
			return err
		}
		first, wait := &w.coord.first, time.Duration(0)
		proposed := serverTime
		if !first.time.IsZero() {
			proposed = first.time
		}
		if w.coord.fromFirst {
			wait = w.coord.quarter() + time.Second // every running worker has looked by then
		}
		kept, err := w.table.firstStart(ctx, w.stream.name, proposed)
		if err != nil {
			return err
		}
		first.adopt(kept, kept.Equal(proposed), wait)
		w.coord.restart()
		return nil
	}
	w.coord.start = StartAt{oldest: w.cfg.Start.TrimHorizon, time: w.cfg.Start.Time}
	if err := awserr.WaitOut(ctx, w.log, func() error { return w.coord.recreate(ctx) }); err != nil {
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
	w.guard.retention.set(aws.ToInt32(out.StreamDescriptionSummary.RetentionPeriodHours))
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
	shards, err := ListShards(ctx, w.cfg.Kinesis, w.stream, 30*time.Second)
	if err != nil {
		return err
	}
	for id, s := range shards {
		if s.closed && len(shards) > 1 {
			continue
		}
		if err := w.coord.probe(ctx, id); awserr.Denied(err) || awserr.KeyRefused(err) {
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

// checkpoints writes all checkpoints that have moved, again and again.
func (w *Worker) checkpoints(ctx context.Context) {
	ticker := time.NewTicker(w.cfg.CheckpointInterval)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		var group errgroup.Group
		group.SetLimit(32)
		for _, t := range w.leases.tenures() {
			group.Go(func() error {
				if err := t.WriteCheckpoint(t.over); err != nil && t.over.Err() == nil {
					t.log.Warn("the checkpoint could not be written: trying again", "err", err)
				}
				return nil
			})
		}
		group.Wait() //nolint:errcheck // its functions return none
	}
}

// stop ends reading, lets the tenures finish, and cuts them at the deadline.
func (w *Worker) stop(library *worker.Worker, coordinated <-chan struct{}) error {
	began := time.Now()
	reserve := min(releaseTimeout+500*time.Millisecond, w.cfg.ShutdownTimeout/2)
	cut := time.NewTimer(w.cfg.ShutdownTimeout - reserve)
	defer cut.Stop()
	end := time.NewTimer(w.cfg.ShutdownTimeout)
	defer end.Stop()
	w.log.Info("stopping: finishing what is in flight")

	// Before the library ends its consumers: one that has ended must not be granted its shard again.
	for _, t := range w.leases.tenures() {
		t.stopReading(ErrStop)
	}
	ended := make(chan struct{})
	withdrawn := make(chan struct{})
	go func() {
		<-coordinated // it may have asked for leases in its last pass
		w.coord.withdraw()
		close(withdrawn)
	}()
	go func() {
		library.Shutdown() // waits for its consumers, and they for their tenures
		<-withdrawn        // and the last pass may have taken a lease
		for {
			for _, t := range w.leases.tenures() {
				t.stopReading(ErrStop)
			}
			w.leases.sweep()
			if len(w.leases.tenures()) == 0 {
				close(ended)
				return
			}
			<-w.ended
		}
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
			for _, t := range w.leases.tenures() {
				stuck++
				t.end(ErrCut)
			}
		case <-end.C:
			return errors.New("stopped at the deadline of " + w.cfg.ShutdownTimeout.String() + ": leases that could not be released will expire")
		}
	}
}

// Ready says why the worker does not watch, nil if it does: the lease table is readable, it holds leases or there are none for
// it to take, and each shard that it holds has answered of late.
func (w *Worker) Ready() error {
	c := w.coord
	c.mu.Lock()
	looked, lookError, wanted := c.looked, cmp.Or(c.lookError, c.unheard), c.wanted
	c.mu.Unlock()
	shard, age := w.metrics.Lag.Oldest()
	switch {
	case lookError != nil:
		return lookError
	case looked.IsZero():
		return errors.New("starting: the lease table has not been read yet")
	case time.Since(looked) > w.cfg.LeaseDuration:
		return fmt.Errorf("the lease table was read last %s ago", time.Since(looked).Round(time.Second))
	case shard == "" && wanted > 0:
		return fmt.Errorf("%d shards have no worker and no lease is held", wanted)
	case shard != "" && age > w.cfg.LeaseDuration+w.cfg.PollInterval+10*time.Second:
		return fmt.Errorf("shard %s has given no answer for %s", shard, age.Round(time.Second))
	}
	return nil
}
