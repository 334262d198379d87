package kcl

import (
	"io"
	"sync"

	"github.com/sirupsen/logrus"
	"github.com/vmware/vmware-go-kcl-v2/clientlibrary/config"
	"github.com/vmware/vmware-go-kcl-v2/clientlibrary/worker"
)

// Library is the motor: it has each shard whose lease is held read by a goroutine of its own.
type Library struct{ worker *worker.Worker }

// New returns the library, not yet started.
func New(cfg Config) *Library {
	muteLibrary()
	return &Library{worker.NewWorker(&consumers{cfg}, libraryConfig(cfg)).
		WithKinesis(newClient(cfg.Region, cfg.Shards, cfg.Fetcher)).WithCheckpointer(newCheckpointer(cfg))}
}

// Start starts the library's event loop.
func (l *Library) Start() error { return l.worker.Start() }

// Shutdown ends the event loop and waits for the consumers, and they for the leases that they read.
func (l *Library) Shutdown() { l.worker.Shutdown() }

// muteLibrary silences what the library writes to the global logrus, past its logger: once, as
// other workers may be running.
var muteLibrary = sync.OnceFunc(func() { logrus.SetOutput(io.Discard) })

// libraryConfig leaves the library nothing to decide: no start position (the fetcher has it), no
// renewals (the coordinator renews), no pause between reads (the fetcher makes them), short passes,
// which cost nothing, as every answer comes from memory.
func libraryConfig(c Config) *config.KinesisClientLibConfiguration {
	const never = 1_000_000_000_000 // ms, 31 years
	cfg := config.NewKinesisClientLibConfig(c.Application, c.Stream, c.Region, c.Worker).
		WithTableName(c.Application).
		WithInitialPositionInStream(config.TRIM_HORIZON).
		WithMaxRecords(c.MaxRecords).
		WithShardSyncIntervalMillis(40).
		WithFailoverTimeMillis(int(c.LeaseDuration.Milliseconds())).
		WithLeaseRefreshWaitTime(never).
		WithLogger(logger{c.Logger.With("from", "kcl")})
	cfg.IdleTimeBetweenReadsInMillis = 0
	return cfg
}
