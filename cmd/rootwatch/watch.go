package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	awskinesis "github.com/aws/aws-sdk-go-v2/service/kinesis"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	versioncollector "github.com/prometheus/client_golang/prometheus/collectors/version"

	"rootwatch/pipeline"
	"rootwatch/pipeline/kinesis"
	"rootwatch/pipeline/ledger"
)

// newRegistry returns a registry with what every Go program shows.
func newRegistry() *prometheus.Registry {
	registry := prometheus.NewRegistry()
	registry.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}), versioncollector.NewCollector("rootwatch"))
	return registry
}

// watch is the program: source, pipeline and web server on one registry, until ctx ends.
func (f *runFlags) watch(ctx context.Context, awsConfig aws.Config, log *slog.Logger, registry *prometheus.Registry, sinks []pipeline.Sink) error {
	table := dynamodb.NewFromConfig(awsConfig)
	var calls *ledger.Ledger
	config := pipeline.Config{
		Sinks: sinks, TrustedSources: f.trustedSources, HeartbeatRegions: f.heartbeatRegions, MaxAccounts: f.maxAccounts, Registerer: registry, Logger: log,
	}
	if f.ledgerTable != "" {
		var err error
		if calls, err = ledger.New(ledger.Config{DynamoDB: table, Table: f.ledgerTable, Remember: rememberedCalls, Registerer: registry, Logger: log}); err != nil {
			return usageError{err}
		}
		config.Ledger = calls
	}
	stages, err := pipeline.New(config)
	if err != nil {
		return usageError{err}
	}
	streamAWS := streamConfig(awsConfig, f.stream)
	source, err := kinesis.New(kinesis.Config{
		Kinesis:  awskinesis.NewFromConfig(streamAWS),
		DynamoDB: table,
		Region:   streamAWS.Region,
		Stream:   f.stream, Application: f.application, Start: f.start.config(),
		PollInterval: f.pollInterval, LeaseDuration: f.leaseDuration, CheckpointInterval: f.checkpointInterval,
		ShutdownTimeout: f.shutdownTimeout, MaxRecords: f.maxRecords, FetchMemory: f.fetchMemory,
		Registerer: registry, Logger: log,
	})
	if err != nil { // the flags are checked: what is left is the stream's name
		return usageError{fmt.Errorf("%s: %w", settingName("kinesis.stream"), err)}
	}
	server, err := f.web.listen(registry, source.Ready, log)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	served := make(chan error, 1)
	go func() {
		err := server.serve()
		if err != nil {
			cancel(fmt.Errorf("web server: %w", err))
		}
		served <- err
	}()
	if err = findCredentials(ctx, awsConfig); err == nil {
		log.Info("connecting to stream", "stream", f.stream, "region", streamAWS.Region) // an endpoint that does not answer is silent
		err = source.Prepare(ctx)
	}
	if err == nil && calls != nil {
		err = restore(ctx, calls, stages)
	}
	if err == nil {
		err = stages.Run(ctx, source)
	} else if ctx.Err() != nil {
		err = nil // stopped before it began
	}
	if cause := context.Cause(ctx); err == nil && cause != nil && !errors.Is(cause, context.Canceled) {
		err = cause
	}
	server.close()
	<-served
	return err
}

const (
	rememberedCalls = 100_000 // root calls recognised as copies without asking the ledger
	refreshLedger   = time.Minute
)

// restore makes the ledger ready and shows what it knows before the first record is read, and from then on each minute.
func restore(ctx context.Context, calls *ledger.Ledger, stages *pipeline.Pipeline) error {
	raise := func(n ledger.Newest) { stages.Raise(n.AccountID, n.Severity, n.Counted) }
	if err := calls.Prepare(ctx); err != nil {
		return err
	}
	if err := calls.Restore(ctx, raise); err != nil {
		return err
	}
	go calls.Refresh(ctx, refreshLedger, raise)
	return nil
}
