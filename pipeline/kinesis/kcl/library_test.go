package kcl

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"testing"
	"time"

	awstypes "github.com/aws/aws-sdk-go-v2/service/kinesis/types"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/vmware/vmware-go-kcl-v2/clientlibrary/config"
	"github.com/vmware/vmware-go-kcl-v2/clientlibrary/interfaces"
	"github.com/vmware/vmware-go-kcl-v2/clientlibrary/partition"

	"rootwatch/pipeline/awstest"
	"rootwatch/pipeline/kinesis/fetch"
	"rootwatch/pipeline/kinesis/lease"
	"rootwatch/pipeline/kinesis/metrics"
	"rootwatch/pipeline/kinesis/streamtest"
)

func testConfig() Config {
	return Config{
		Application: streamtest.Application, Stream: streamtest.Stream, Region: "us-east-1", Worker: "me", LeaseDuration: 20 * time.Second, MaxRecords: 1000,
		Logger: new(streamtest.Logs).Logger(),
	}
}

// noLeases is a registry in which nothing is held.
func noLeases() *lease.Registry {
	_, registry := lease.New(lease.Config{})
	return registry
}

// rig is a coordinator with what reads its leases, but for the library itself.
type rig struct {
	Config
	t           *testing.T
	coordinator *lease.Coordinator
	metrics     *metrics.Metrics
}

func newRig(t *testing.T, c *streamtest.Cloud) *rig {
	t.Helper()
	r := &rig{Config: testConfig(), t: t, metrics: metrics.New(prometheus.NewPedanticRegistry(), time.Now)}
	svc, table := c.Clients(r.Worker)
	stream, err := lease.ParseStream(r.Stream)
	if err != nil {
		t.Fatal(err)
	}
	r.coordinator, r.Leases = lease.New(lease.Config{
		DynamoDB: table, Kinesis: svc, Stream: stream, Application: r.Application, Worker: r.Worker, Start: lease.StartAt{Oldest: true},
		Duration: r.LeaseDuration, Handoff: time.Second, Readable: func(context.Context, int, []string) error { return nil },
		Metrics: r.metrics, Logger: r.Logger, Now: time.Now,
	})
	r.Fetcher = fetch.New(fetch.Config{
		Kinesis: svc, Stream: stream, Leases: r.Leases, Breaker: fetch.NewBreaker(fetch.BreakerConfig{Kinesis: svc, Stream: stream, Logger: r.Logger}),
		PollInterval: time.Second, CallTimeout: time.Second, MaxRecords: 1000, Memory: 64 << 20, ShardEnded: func() {}, Metrics: r.metrics, Now: time.Now,
	})
	r.Shards, r.Finished = r.coordinator.Listed, r.coordinator.Finished
	if err := r.coordinator.Prepare(t.Context(), time.Now()); err != nil {
		t.Fatal(err)
	}
	return r
}

// hold has the coordinator take the lease of the first shard, and stop.
func (r *rig) hold() *lease.Held {
	r.t.Helper()
	ctx, cancel := context.WithCancel(r.t.Context())
	ended := make(chan struct{})
	go func() { r.coordinator.Run(ctx); close(ended) }()
	streamtest.Until(r.t, time.Minute, "the lease is held", func() bool { return r.Leases.Get(streamtest.ShardID(0)) != nil })
	cancel()
	<-ended
	return r.Leases.Get(streamtest.ShardID(0))
}

func TestTheLibraryIsLeftNothingToDecide(t *testing.T) {
	cfg := libraryConfig(testConfig())
	if cfg.MonitoringService != nil {
		t.Error("the library has a monitoring service")
	}
	if cfg.InitialPositionInStream != config.TRIM_HORIZON {
		t.Errorf("the library would begin at %v", cfg.InitialPositionInStream)
	}
	if renewal := time.Duration(cfg.LeaseRefreshWaitTime) * time.Millisecond; renewal < 365*24*time.Hour {
		t.Errorf("the library would renew leases after %s", renewal)
	}
	if cfg.IdleTimeBetweenReadsInMillis != 0 {
		t.Errorf("the library would pause for %d ms after an empty answer", cfg.IdleTimeBetweenReadsInMillis)
	}
	if cfg.MaxLeasesForWorker < 10_000 {
		t.Errorf("the library would hold %d leases at the most", cfg.MaxLeasesForWorker)
	}
}

func TestEnhancedFanOutIsNotUsed(t *testing.T) {
	if cfg := libraryConfig(testConfig()); cfg.EnableEnhancedFanOutConsumer || cfg.EnhancedFanOutConsumerARN != "" {
		t.Error("enhanced fan-out is switched on")
	}
}

func TestTheLibrarysLeaseStealingIsNotUsed(t *testing.T) {
	if libraryConfig(testConfig()).EnableLeaseStealing {
		t.Error("the library's lease stealing is switched on")
	}
	c := &checkpointer{}
	if _, err := c.ListActiveWorkers(map[string]*partition.ShardStatus{}); !errors.Is(err, errOwnBalance) {
		t.Errorf("ListActiveWorkers: %v", err)
	}
	if err := c.ClaimShard(status("shard"), "me"); !errors.Is(err, errOwnBalance) {
		t.Errorf("ClaimShard: %v", err)
	}
	if err := c.RemoveLeaseInfo("shard"); err != nil {
		t.Errorf("RemoveLeaseInfo: %v", err)
	}
}

// ends is a checkpointer that notes what it is asked for.
type ends struct {
	t     *testing.T
	ended int
}

func (e *ends) Checkpoint(sequenceNumber *string) error {
	if sequenceNumber != nil {
		e.t.Errorf("the library is asked to checkpoint %s", *sequenceNumber)
	}
	e.ended++
	return nil
}

func (e *ends) PrepareCheckpoint(*string) (interfaces.IPreparedCheckpointer, error) {
	e.t.Error("PrepareCheckpoint is used")
	return nil, errors.New("not used")
}

func TestTheLibrarysLoggerNeverEndsTheProcess(t *testing.T) {
	var l streamtest.Logs
	log := logger{l.Logger()}
	log.WithFields(map[string]any{"shard": "7"}).Fatalf("cannot make a client: %v", io.EOF)
	if said := l.Lines("level=ERROR", "cannot make a client: EOF", "shard=7"); len(said) != 1 {
		t.Errorf("logged %q", said)
	}
	defer func() {
		if v := recover(); v != "panic 1" {
			t.Errorf("Panicf: %v", v)
		}
	}()
	log.Panicf("panic %d", 1)
}

// The library calls the end of a consumer an error, however it came.
func TestTheLibrarysErrorsAreTakenForWhatTheyAre(t *testing.T) {
	for _, test := range []struct {
		write func(logger)
		want  slog.Level
	}{
		{func(l logger) { l.Errorf("%v", io.EOF) }, slog.LevelWarn},
		{func(l logger) { l.Errorf("%v", fmt.Errorf("reading: %w", lease.ErrHandoff)) }, slog.LevelDebug},
		{func(l logger) { l.Errorf("%v", fmt.Errorf("reading: %w", lease.ErrGone)) }, slog.LevelDebug},
		{func(l logger) { l.Errorf("%v", lease.ErrLost) }, slog.LevelDebug},
		{func(l logger) { l.Warnf("a warning") }, slog.LevelWarn},
		{func(l logger) { l.Infof("of no interest") }, slog.LevelDebug},
		{func(l logger) { l.Debugf("of no interest") }, slog.LevelDebug},
	} {
		var l streamtest.Logs
		test.write(logger{l.Logger()})
		if len(l.Lines("level="+test.want.String())) != 1 {
			t.Errorf("logged %q, want %s", l.Lines(), test.want)
		}
	}
}

// panicking is a checkpointer whose every call is a panic; PrepareCheckpoint's result is a nil
// dereference in the library.
type panicking struct{}

func (panicking) Checkpoint(*string) error { panic("Checkpoint") }

func (panicking) PrepareCheckpoint(*string) (interfaces.IPreparedCheckpointer, error) {
	panic("PrepareCheckpoint")
}

// Checkpoints are written by the held lease; what the library writes is the end of a shard, when it
// was truly reached.
func TestTheConsumerAsksTheLibraryForTheEndOfAShardAlone(t *testing.T) {
	streamtest.Bubble(t, func(t *testing.T) {
		c := streamtest.New(t, 1, awstest.Options{})
		r := newRig(t, c)
		h := r.hold()
		r.Process = func(*fetch.Reader, []awstypes.Record) {}
		s := (&consumers{r.Config}).CreateProcessor()
		s.Initialize(&interfaces.InitializationInput{ShardId: streamtest.ShardID(0)})
		e := &ends{t: t}
		s.ProcessRecords(&interfaces.ProcessRecordsInput{Checkpointer: e})
		s.Shutdown(&interfaces.ShutdownInput{ShutdownReason: interfaces.REQUESTED, Checkpointer: e})
		s.Shutdown(&interfaces.ShutdownInput{ShutdownReason: interfaces.ZOMBIE, Checkpointer: e})
		s.Shutdown(&interfaces.ShutdownInput{ShutdownReason: interfaces.TERMINATE, Checkpointer: e}) // without the end having come from Kinesis
		if e.ended != 0 {
			t.Error("a shard is closed that was not read to its end")
		}
		r.readToTheEnd(c)
		s.Shutdown(&interfaces.ShutdownInput{ShutdownReason: interfaces.TERMINATE, Checkpointer: e})
		if e.ended != 1 {
			t.Errorf("a shard that was read to its end is closed %d times", e.ended)
		}
		s.Shutdown(&interfaces.ShutdownInput{ShutdownReason: interfaces.TERMINATE, Checkpointer: panicking{}})
		if h.Over().Err() == nil || testutil.ToFloat64(r.metrics.Panics) != 1 {
			t.Error("a panic in Shutdown does not end the lease")
		}
		r.Leases.Empty(lease.ErrStop)
	})
}

// readToTheEnd closes the first shard and fetches what it has, as the library would.
func (r *rig) readToTheEnd(c *streamtest.Cloud) {
	r.t.Helper()
	c.Split(streamtest.ShardID(0))
	iterator, err := r.Fetcher.GetShardIterator(streamtest.ShardID(0))
	if err != nil {
		r.t.Fatal(err)
	}
	for next := iterator.ShardIterator; next != nil; {
		out, err := r.Fetcher.GetRecords(*next)
		if err != nil {
			r.t.Fatal(err)
		}
		next = out.NextShardIterator
	}
}
