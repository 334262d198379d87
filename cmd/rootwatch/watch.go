package main

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"os"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	awskinesis "github.com/aws/aws-sdk-go-v2/service/kinesis"
	actor "github.com/oklog/run"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	versioncollector "github.com/prometheus/client_golang/prometheus/collectors/version"

	"rootwatch/pipeline"
	"rootwatch/pipeline/kinesis"
	"rootwatch/pipeline/ledger"
)

// now is the calendar that the worker's parts go by. The chaos test moves it.
var now = time.Now

// newRegistry returns a registry with what every Go program shows.
func newRegistry() *prometheus.Registry {
	registry := prometheus.NewRegistry()
	registry.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}), versioncollector.NewCollector("rootwatch"))
	return registry
}

// watch is the program: source, pipeline and web server on one registry, until ctx ends.
func (f *runFlags) watch(ctx context.Context, awsConfig aws.Config, log *slog.Logger, registry *prometheus.Registry, sinks []pipeline.Sink) error {
	w, err := f.newWorker(awsConfig, log, registry, sinks)
	if err != nil {
		return err
	}
	server, err := f.web.listen(registry, w.ready, log)
	if err != nil {
		return err
	}
	return runActors(ctx, w, server)
}

// runActors runs the worker and its web server. The first that ends stops the other, and its error
// counts. When ctx ends, that is the worker: the web server answers until the last batch is done.
func runActors(ctx context.Context, w *worker, server *webServer) error {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	var actors actor.Group
	actors.Add(func() error { return w.run(ctx) }, func(error) { stop() })
	actors.Add(server.serve, func(error) { server.close() })
	return actors.Run()
}

// worker is what reads the stream and judges what it reads.
type worker struct {
	aws    aws.Config
	source *kinesis.Worker
	stages *pipeline.Pipeline
	calls  *ledger.Ledger // nil without a ledger
	stream string         // as it was named
	region string         // of the stream
	files  *files
	hangup <-chan os.Signal // reads the files again
	log    *slog.Logger
}

// newWorker wires the worker's parts; nothing is asked of AWS.
func (f *runFlags) newWorker(awsConfig aws.Config, log *slog.Logger, registry *prometheus.Registry, sinks []pipeline.Sink) (*worker, error) {
	table := dynamodb.NewFromConfig(awsConfig)
	streamAWS := streamConfig(awsConfig, f.stream)
	w := &worker{aws: awsConfig, stream: f.stream, region: streamAWS.Region, hangup: f.hangups, log: log}
	config := pipeline.Config{
		Sinks: sinks, TrustedSources: f.trustedSources, HeartbeatRegions: f.heartbeatRegions, MaxAccounts: f.maxAccounts, Registerer: registry, Logger: log, Now: now,
	}
	var err error
	if w.files, err = f.files.open(registry, log); err != nil {
		return nil, err
	}
	w.files.configure(&config)
	if f.ledgerTable != "" {
		if w.calls, err = ledger.New(ledger.Config{DynamoDB: table, Table: f.ledgerTable, Remember: rememberedCalls, Registerer: registry, Logger: log, Now: now}); err != nil {
			return nil, usageError{err}
		}
		config.Ledger, config.Labelled = w.calls, w.calls.Label
	}
	if w.stages, err = pipeline.New(config); err != nil {
		return nil, usageError{err}
	}
	var ran kinesis.Memory
	if w.calls != nil {
		ran = w.ran
	}
	w.source, err = kinesis.New(kinesis.Config{
		Kinesis:  awskinesis.NewFromConfig(streamAWS),
		DynamoDB: table,
		Region:   streamAWS.Region,
		Stream:   f.stream, Application: f.application, Start: f.start.config(), Ran: ran,
		PollInterval: f.pollInterval, LeaseDuration: f.leaseDuration, CheckpointInterval: f.checkpointInterval,
		ShutdownTimeout: f.shutdownTimeout, MaxRecords: f.maxRecords, FetchMemory: f.fetchMemory,
		Registerer: registry, Logger: log, Now: now,
	})
	if err != nil { // the flags are checked: what is left is the stream's name
		return nil, usageError{fmt.Errorf("%s: %w", settingName("kinesis.stream"), err)}
	}
	return w, nil
}

// run reads the stream until ctx ends. To be stopped before it has begun is no error.
func (w *worker) run(ctx context.Context) error {
	var refreshing sync.WaitGroup
	defer refreshing.Wait()
	refresh, stop := context.WithCancel(ctx)
	defer stop()
	refreshing.Go(func() { w.files.run(refresh, w.hangup) })
	if err := w.prepare(ctx); err != nil {
		if ctx.Err() != nil {
			return nil
		}
		return err
	}
	if w.calls != nil {
		firstStart := w.source.FirstStart()
		refreshing.Go(func() { w.calls.Refresh(refresh, refreshLedger, w.raise) })
		refreshing.Go(func() { w.calls.Live(refresh, w.source.Stream(), firstStart, refreshLedger) })
	}
	return w.stages.Run(ctx, w.source)
}

const (
	rememberedCalls = 100_000 // root calls recognised as copies without asking the ledger
	refreshLedger   = time.Minute
)

// lateBatch is the age of a batch from which on the worker is not ready. A batch is done within
// seconds, at a start on a backlog too.
const lateBatch = 10 * time.Second

// ready is an error while root calls may go unseen, or cannot be told or written down.
func (w *worker) ready() error {
	return cmp.Or(w.source.Ready(), w.stages.Stuck(lateBatch))
}

// prepare makes the stream and the ledger ready, and shows what the ledger knows before the first
// record is read.
func (w *worker) prepare(ctx context.Context) error {
	if err := findCredentials(ctx, w.aws); err != nil {
		return err
	}
	w.log.Info("connecting to stream", "stream", w.stream, "region", w.region) // an endpoint that does not answer is silent
	if err := w.source.Prepare(ctx); err != nil {
		return err
	}
	if w.calls == nil {
		return nil
	}
	if err := w.calls.Begin(ctx, w.source.Stream(), w.source.FirstStart()); err != nil {
		return err
	}
	return w.calls.Restore(ctx, w.stages.Label, w.raise)
}

// ran makes the ledger ready and returns what it remembers of the application. The source asks
// before it decides from when on to read.
func (w *worker) ran(ctx context.Context) (firstStart, lastAlive time.Time, err error) {
	if err := w.calls.Prepare(ctx); err != nil {
		return time.Time{}, time.Time{}, err
	}
	life, err := w.calls.Ran(ctx, w.source.Stream())
	return life.FirstStart, life.LastAlive, err
}

// raise shows a call that a task has counted.
func (w *worker) raise(n ledger.Newest) { w.stages.Raise(n.AccountID, n.Severity, n.Counted) }
