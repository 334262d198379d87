package kinesis

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	awskinesis "github.com/aws/aws-sdk-go-v2/service/kinesis"
	awstypes "github.com/aws/aws-sdk-go-v2/service/kinesis/types"
	kcl "github.com/vmware/vmware-go-kcl-v2/clientlibrary/checkpoint"
	"github.com/vmware/vmware-go-kcl-v2/clientlibrary/config"
	"github.com/vmware/vmware-go-kcl-v2/clientlibrary/interfaces"
	"github.com/vmware/vmware-go-kcl-v2/clientlibrary/worker"

	"rootwatch/pipeline/awstest"
)

// The load: so many shards that the library's own limits (5 reads and 2 MB a second of each, after
// 10 MB) are far from the CPU's, and four answers for each shard, which these limits let through at
// once.
const (
	benchShards  = 16
	benchAnswers = 4
	benchAnswer  = 2_400 // records
	benchBytes   = 1_000 // of a record
)

// filled is a server with a stream that holds the load.
func filled(b *testing.B) *awstest.Server {
	b.Helper()
	server := awstest.NewServer(awstest.Options{})
	b.Cleanup(server.Close)
	svc := awskinesis.NewFromConfig(server.AWSConfig(""))
	if _, err := svc.CreateStream(b.Context(), &awskinesis.CreateStreamInput{StreamName: aws.String(testStream), ShardCount: aws.Int32(benchShards)}); err != nil {
		b.Fatal(err)
	}
	data := bytes.Repeat([]byte("x"), benchBytes)
	out, err := svc.ListShards(b.Context(), &awskinesis.ListShardsInput{StreamName: aws.String(testStream)})
	if err != nil {
		b.Fatal(err)
	}
	for _, s := range out.Shards {
		in := &awskinesis.PutRecordsInput{StreamName: aws.String(testStream)}
		for range 400 {
			in.Records = append(in.Records, awstypes.PutRecordsRequestEntry{Data: data, PartitionKey: aws.String("key"), ExplicitHashKey: s.HashKeyRange.StartingHashKey})
		}
		for n := 0; n < benchAnswers*benchAnswer; n += len(in.Records) {
			if _, err := svc.PutRecords(b.Context(), in); err != nil {
				b.Fatal(err)
			}
		}
	}
	return server
}

// meter measures the time from the moment when all shards are being read, each with one answer at
// hand.
type meter struct {
	mu      sync.Mutex
	shards  map[string]bool
	left    int
	ready   chan struct{}
	done    chan struct{}
	began   time.Time
	took    time.Duration
	records int // that were read in that time
}

func newMeter() *meter {
	const all = benchShards * benchAnswers * benchAnswer
	return &meter{shards: map[string]bool{}, left: all, ready: make(chan struct{}), done: make(chan struct{}), records: all - benchShards*benchAnswer}
}

func (m *meter) count(shardID string, n int) {
	m.mu.Lock()
	first := !m.shards[shardID]
	m.shards[shardID] = true
	if first && len(m.shards) == benchShards {
		m.began = time.Now()
		close(m.ready)
	}
	if m.left -= n; m.left == 0 {
		m.took = time.Since(m.began)
		close(m.done)
	}
	m.mu.Unlock()
	if first {
		<-m.ready
	}
}

func benchClients(b *testing.B, server *awstest.Server) (*awskinesis.Client, *dynamodb.Client) {
	cfg := server.AWSConfig("worker")
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.MaxIdleConnsPerHost = 2 * benchShards
	b.Cleanup(transport.CloseIdleConnections)
	cfg.HTTPClient = &http.Client{Transport: transport}
	return awskinesis.NewFromConfig(cfg), dynamodb.NewFromConfig(cfg)
}

// wrapped reads the load with a Worker.
func wrapped(b *testing.B, server *awstest.Server, run int) time.Duration {
	k, d := benchClients(b, server)
	m, l := newMeter(), new(logs)
	w, err := New(Config{
		Kinesis: k, DynamoDB: d, Region: "us-east-1", Stream: testStream, Application: fmt.Sprint("wrapped-", run), Start: Start{TrimHorizon: true},
		PollInterval: time.Second, LeaseDuration: 20 * time.Second, CheckpointInterval: time.Second, ShutdownTimeout: 25 * time.Second,
		MaxRecords: benchAnswer, FetchMemory: 1 << 30, Registerer: prometheusRegistry(), Logger: l.Quiet(),
	})
	if err != nil {
		b.Fatal(err)
	}
	ctx, cancel := context.WithCancel(b.Context())
	ended := make(chan error, 1)
	go func() {
		ended <- w.Run(ctx, func(_ context.Context, batch *batch) error {
			m.count(batch.ShardID, len(batch.Records))
			batch.Done(outcome{})
			return nil
		})
	}()
	<-m.done
	cancel()
	if err := <-ended; err != nil {
		b.Fatal(err)
	}
	return m.took
}

// unwrapped reads it with the library as it comes: its own DynamoDB checkpointer, a checkpoint for
// each answer.
func unwrapped(b *testing.B, server *awstest.Server, run int) time.Duration {
	k, d := benchClients(b, server)
	cfg := config.NewKinesisClientLibConfig(fmt.Sprint("bare-", run), testStream, "us-east-1", "worker").
		WithInitialPositionInStream(config.TRIM_HORIZON).WithMaxRecords(benchAnswer).WithShardSyncIntervalMillis(40)
	p := &counting{meter: newMeter()}
	library := worker.NewWorker(p, cfg).WithKinesis(k).WithCheckpointer(kcl.NewDynamoCheckpoint(cfg).WithDynamoDB(d))
	if err := library.Start(); err != nil {
		b.Fatal(err)
	}
	<-p.done
	library.Shutdown()
	return p.took
}

// counting is the bare library's record processor.
type counting struct {
	*meter
	shardID string
}

func (c *counting) CreateProcessor() interfaces.IRecordProcessor { return &counting{meter: c.meter} }

func (c *counting) Initialize(in *interfaces.InitializationInput) { c.shardID = in.ShardId }

func (c *counting) ProcessRecords(in *interfaces.ProcessRecordsInput) {
	c.count(c.shardID, len(in.Records))
	_ = in.Checkpointer.Checkpoint(in.Records[len(in.Records)-1].SequenceNumber) // as the library's own examples do
}

func (c *counting) Shutdown(*interfaces.ShutdownInput) {}

// BenchmarkThroughput is the wrapper's share of the bare library's throughput, measured in turns on
// the same server: wrapped/bare is to be 0.95 at least.
func BenchmarkThroughput(b *testing.B) {
	server := filled(b)
	var with, without time.Duration
	run := 0
	for b.Loop() {
		if run++; run%2 == 0 {
			with += wrapped(b, server, run)
			without += unwrapped(b, server, run)
		} else {
			without += unwrapped(b, server, run)
			with += wrapped(b, server, run)
		}
	}
	rate := func(took time.Duration) float64 { return float64(newMeter().records*run) / took.Seconds() }
	b.ReportMetric(rate(with), "wrapped-records/s")
	b.ReportMetric(rate(without), "bare-records/s")
	b.ReportMetric(rate(with)/rate(without), "wrapped/bare")
}
