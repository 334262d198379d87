package kinesis

import (
	"context"
	"flag"
	"maps"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sirupsen/logrus"
	kcl "github.com/vmware/vmware-go-kcl-v2/clientlibrary/checkpoint"
	"github.com/vmware/vmware-go-kcl-v2/clientlibrary/config"
	"github.com/vmware/vmware-go-kcl-v2/clientlibrary/interfaces"
	"github.com/vmware/vmware-go-kcl-v2/clientlibrary/worker"
	"go.uber.org/goleak"

	"github.com/prometheus/client_golang/prometheus"

	"rootwatch/pipeline"
	"rootwatch/pipeline/awstest"
	"rootwatch/pipeline/kinesis/fetch"
	"rootwatch/pipeline/kinesis/lease"
	"rootwatch/pipeline/kinesis/streamtest"
)

// Short names for what most tests here use.
type (
	batch   = pipeline.Batch
	outcome = pipeline.Outcome
	logs    = streamtest.Logs
)

const (
	testStream = streamtest.Stream
	testApp    = streamtest.Application
)

var (
	bubble  = streamtest.Bubble
	until   = streamtest.Until
	pass    = streamtest.Pass
	shardID = streamtest.ShardID
)

func TestMain(m *testing.M) {
	flag.Parse()
	// The tests wait for made-up time and for each other's sockets, not for the CPU.
	if !slices.ContainsFunc(os.Args, func(a string) bool { return strings.HasPrefix(a, "-test.parallel") }) {
		if err := flag.Set("test.parallel", "8"); err != nil {
			panic(err)
		}
	}
	logrus.SetOutput(nowhere{}) // what the bare library logs
	logrus.SetLevel(logrus.ErrorLevel)
	goleak.VerifyTestMain(m)
}

// nowhere is not io.Discard: a worker sets that.
type nowhere struct{}

func (nowhere) Write(p []byte) (int, error) { return len(p), nil }

// cloud is where the workers of a test run.
type cloud struct {
	*streamtest.Cloud
	t *testing.T
}

func newCloud(t *testing.T, shards int, options awstest.Options) *cloud {
	t.Helper()
	return &cloud{streamtest.New(t, shards, options), t}
}

func networkOf(t *testing.T, shards int) *cloud {
	t.Helper()
	return &cloud{streamtest.NewNetwork(t, shards), t}
}

// reader is a worker with a pipeline behind it that notes what it is given.
type reader struct {
	*Worker
	t        *testing.T
	id       string
	registry *prometheus.Registry
	logs     *logs
	cancel   context.CancelFunc
	ended    chan struct{}
	err      error // of Run, once ended is closed

	mu      sync.Mutex
	got     []string            // records in the order of their arrival
	byShard map[string][]string // the same by shard
}

// setup changes a reader before it starts.
type setup struct {
	config func(*Config)
	tune   func(*lease.Config, *fetch.Config)
	submit func(context.Context, *reader, *batch) error // in place of finishing each batch at once
}

// start runs a worker until the test or end ends it.
func (c *cloud) start(id string, s setup) *reader {
	c.t.Helper()
	k, d := c.Clients(id)
	r := &reader{t: c.t, id: id, registry: prometheus.NewPedanticRegistry(), logs: &logs{}, ended: make(chan struct{}), byShard: map[string][]string{}}
	cfg := Config{
		Kinesis: k, DynamoDB: d, Region: "us-east-1", Stream: testStream, Application: testApp,
		PollInterval: time.Second, LeaseDuration: 20 * time.Second, CheckpointInterval: time.Second, ShutdownTimeout: 25 * time.Second,
		MaxRecords: 1000, FetchMemory: 64 << 20, Registerer: r.registry, Logger: r.logs.Logger(),
	}
	if s.config != nil {
		s.config(&cfg)
	}
	cfg.tune = s.tune
	var err error
	if r.Worker, err = New(cfg); err != nil {
		c.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	r.cancel = cancel
	go func() {
		defer close(r.ended)
		r.err = r.Run(ctx, func(ctx context.Context, b *batch) error {
			r.take(b)
			if s.submit != nil {
				return s.submit(ctx, r, b)
			}
			b.Done(outcome{})
			return nil
		})
	}()
	c.t.Cleanup(func() {
		cancel()
		<-r.ended
	})
	return r
}

func (r *reader) take(b *batch) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for i := range b.Records {
		r.got = append(r.got, string(b.Records[i].Data))
		r.byShard[b.ShardID] = append(r.byShard[b.ShardID], string(b.Records[i].Data))
	}
}

// end stops the worker and returns how long that took and what Run said.
func (r *reader) end() (time.Duration, error) {
	asked := time.Now()
	r.cancel()
	<-r.ended
	return time.Since(asked), r.err
}

// endWell stops the worker, which must succeed.
func (r *reader) endWell() {
	r.t.Helper()
	if _, err := r.end(); err != nil {
		r.t.Fatalf("worker %s: %v", r.id, err)
	}
}

func (r *reader) records() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.got)
}

func (r *reader) recordsOf(shardID string) []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.byShard[shardID])
}

// holds are the shards whose leases the worker has.
func (r *reader) holds() []string {
	var ids []string
	for _, t := range r.leases.All() {
		ids = append(ids, t.ShardID())
	}
	slices.Sort(ids)
	return ids
}

// holding waits until the worker has n leases.
func (r *reader) holding(n int) {
	r.t.Helper()
	until(r.t, 5*time.Minute, "the worker's share of leases", func() bool { return len(r.holds()) == n })
}

// metric is the value of a counter or gauge with the given label value, "" where it has no label.
func (r *reader) metric(name, label string) float64 {
	r.t.Helper()
	families, err := r.registry.Gather()
	if err != nil {
		r.t.Fatal(err)
	}
	for _, f := range families {
		if f.GetName() != name {
			continue
		}
		for _, m := range f.GetMetric() {
			if len(m.GetLabel()) == 0 && label == "" || len(m.GetLabel()) == 1 && m.GetLabel()[0].GetValue() == label {
				return m.GetCounter().GetValue() + m.GetGauge().GetValue()
			}
		}
	}
	r.t.Fatalf("there is no metric %s{%s}", name, label)
	return 0
}

// count says how often each record was given to any of the readers.
func count(readers ...*reader) map[string]int {
	counts := make(map[string]int)
	for _, r := range readers {
		for _, s := range r.records() {
			counts[s]++
		}
	}
	return counts
}

// readAll waits until all that was put has been read.
func (c *cloud) readAll(limit time.Duration, readers ...*reader) {
	c.t.Helper()
	want := c.Everything()
	until(c.t, limit, "all records are read", func() bool {
		counts := count(readers...)
		return !slices.ContainsFunc(want, func(s string) bool { return counts[s] == 0 })
	})
}

// once fails the test unless all that was put was read exactly once.
func (c *cloud) once(readers ...*reader) {
	c.t.Helper()
	counts := count(readers...)
	lost, doubled := 0, 0
	for _, s := range c.Everything() {
		switch n := counts[s]; {
		case n == 0:
			lost++
		case n > 1:
			doubled++
		}
		delete(counts, s)
	}
	if lost > 0 || doubled > 0 || len(counts) > 0 {
		c.t.Errorf("%d records lost, %d read more than once, %d never put: %v", lost, doubled, len(counts), slices.Collect(maps.Keys(counts)))
	}
}

// bare is the library as it comes, with its own checkpointer.
type bare struct {
	*worker.Worker
	checkpointer *kcl.DynamoCheckpoint
	config       *config.KinesisClientLibConfiguration

	mu         sync.Mutex
	got        []string
	processors int // record processors made
	told       int // record processors told of their end
}

// startBare runs the bare library as a user of it would: each batch is checkpointed when it is
// processed.
func (c *cloud) startBare(id string, change func(*config.KinesisClientLibConfiguration)) *bare {
	c.t.Helper()
	k, d := c.Clients(id)
	b := &bare{config: config.NewKinesisClientLibConfig(testApp, testStream, "us-east-1", id)}
	if change != nil {
		change(b.config)
	}
	b.checkpointer = kcl.NewDynamoCheckpoint(b.config).WithDynamoDB(d)
	b.Worker = worker.NewWorker(b, b.config).WithKinesis(k).WithCheckpointer(b.checkpointer)
	if err := b.Start(); err != nil {
		c.t.Fatal(err)
	}
	return b
}

// end stops the library, which may wait for a parent shard for ever: all shards are made to look
// finished meanwhile.
func (c *cloud) endBare(b *bare) {
	c.t.Helper()
	ended := make(chan struct{})
	go func() { defer close(ended); b.Shutdown() }()
	until(c.t, time.Hour, "the library has ended", func() bool {
		select {
		case <-ended:
			return true
		case <-time.After(time.Second):
		}
		for id := range c.Leases() {
			c.Set(id, "Checkpoint", lease.ShardEnd)
		}
		return false
	})
}

func (b *bare) records() []string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return slices.Clone(b.got)
}

func (b *bare) CreateProcessor() interfaces.IRecordProcessor {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.processors++
	return bareProcessor{b}
}

type bareProcessor struct{ *bare }

func (bareProcessor) Initialize(*interfaces.InitializationInput) {}

func (p bareProcessor) ProcessRecords(in *interfaces.ProcessRecordsInput) {
	p.mu.Lock()
	for i := range in.Records {
		p.got = append(p.got, string(in.Records[i].Data))
	}
	p.mu.Unlock()
	if n := len(in.Records); n > 0 {
		_ = in.Checkpointer.Checkpoint(in.Records[n-1].SequenceNumber) // as the library's own examples do
	}
}

func (p bareProcessor) Shutdown(in *interfaces.ShutdownInput) {
	p.mu.Lock()
	p.told++
	p.mu.Unlock()
	if in.ShutdownReason == interfaces.TERMINATE {
		_ = in.Checkpointer.Checkpoint(nil) // as the library's own examples do
	}
}

func prometheusRegistry() *prometheus.Registry { return prometheus.NewPedanticRegistry() }
