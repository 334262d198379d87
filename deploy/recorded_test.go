package deploy

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	awskinesis "github.com/aws/aws-sdk-go-v2/service/kinesis"
	"github.com/prometheus/client_golang/prometheus"

	"rootwatch/pipeline"
	"rootwatch/pipeline/awstest"
	"rootwatch/pipeline/kinesis"
	"rootwatch/pipeline/ledger"
)

// The task role allows what the worker calls, to the letter: the calls are recorded while workers
// live a life in which everything happens that makes them call anything.
func TestTaskRoleIsWhatTheWorkerCalls(t *testing.T) {
	t.Parallel()
	clock := &testClock{now: time.Now()}
	server := awstest.NewServer(awstest.Options{Clock: clock.Now})
	defer server.Close()
	producer := awskinesis.NewFromConfig(server.AWSConfig("producer"))
	if _, err := producer.CreateStream(t.Context(), &awskinesis.CreateStreamInput{StreamName: aws.String("trail"), ShardCount: aws.Int32(2)}); err != nil {
		t.Fatal(err)
	}

	first := startTask(t, server)
	putRoot(t, producer, "one")
	await(t, "the first task has read", func() bool { return first.counted("rootwatch_root_calls_total") == 1 })
	second := startTask(t, server)
	await(t, "the second task has taken a lease over", func() bool { return second.counted("rootwatch_leases_held") == 1 })
	if _, err := producer.SplitShard(t.Context(), &awskinesis.SplitShardInput{
		StreamName: aws.String("trail"), ShardToSplit: aws.String("shardId-000000000000"), NewStartingHashKey: aws.String("1000"),
	}); err != nil {
		t.Fatal(err)
	}
	await(t, "the children are read", func() bool {
		return first.counted("rootwatch_leases_held")+second.counted("rootwatch_leases_held") == 3
	})
	second.stop(t)
	tried := timesCalled(server, "dynamodb:DeleteItem") // at the starts: whether it is allowed
	clock.add(48 * time.Hour)                           // the parent's retention is over: Kinesis deletes it, and its lease goes
	await(t, "the deleted shard's lease is removed", func() bool { return timesCalled(server, "dynamodb:DeleteItem") > tried })
	first.stop(t)
	putRoot(t, producer, "two")
	third := startTask(t, server) // restores from the ledger
	await(t, "the third task has read", func() bool { return third.counted("rootwatch_root_calls_total") >= 1 })
	third.stop(t)

	got := map[string][]string{}
	for call := range server.Calls() {
		switch {
		case call.AccessKeyID == "leases":
			got[testLeaseTable] = append(got[testLeaseTable], call.Action)
		case call.AccessKeyID == "ledger":
			got[testLedger] = append(got[testLedger], call.Action)
		case call.AccessKeyID == "stream":
			got[testStream] = append(got[testStream], call.Action)
		}
	}
	for resource := range got {
		slices.Sort(got[resource])
	}
	if want := taskRoleActions(t, nil); !maps.EqualFunc(got, want, slices.Equal) {
		t.Errorf("called  %s\nallowed %s", asJSON(t, got), asJSON(t, want))
	}
}

// testTask is a worker, wired as the command wires it, but with an identity for each resource.
type testTask struct {
	registry *prometheus.Registry
	cancel   context.CancelFunc
	ended    chan error
}

func startTask(t *testing.T, server *awstest.Server) *testTask {
	t.Helper()
	task := &testTask{registry: prometheus.NewRegistry(), ended: make(chan error, 1)}
	log := slog.New(slog.DiscardHandler)
	calls, err := ledger.New(ledger.Config{
		DynamoDB: dynamodb.NewFromConfig(server.AWSConfig("ledger")), Table: "rootwatch-findings", Remember: 10, Registerer: task.registry, Logger: log,
	})
	if err != nil {
		t.Fatal(err)
	}
	stages, err := pipeline.New(pipeline.Config{Sinks: []pipeline.Sink{pipeline.NewLogSink(log)}, Ledger: calls, Registerer: task.registry, Logger: log})
	if err != nil {
		t.Fatal(err)
	}
	source, err := kinesis.New(kinesis.Config{
		Kinesis: awskinesis.NewFromConfig(server.AWSConfig("stream")), DynamoDB: dynamodb.NewFromConfig(server.AWSConfig("leases")), Region: "us-east-1",
		Stream: "trail", Application: "rootwatch", PollInterval: 200 * time.Millisecond, LeaseDuration: 2 * time.Second,
		CheckpointInterval: 100 * time.Millisecond, ShutdownTimeout: 10 * time.Second, MaxRecords: 1000, FetchMemory: 64 << 20,
		Start: kinesis.Start{TrimHorizon: true}, Registerer: task.registry, Logger: log,
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	task.cancel = cancel
	t.Cleanup(cancel)
	raise := func(n ledger.Newest) { stages.Raise(n.AccountID, n.Severity, n.Counted) }
	if err := errors.Join(source.Prepare(ctx), calls.Prepare(ctx), calls.Restore(ctx, stages.Label, raise)); err != nil {
		t.Fatal(err)
	}
	go func() { task.ended <- stages.Run(ctx, source) }()
	return task
}

func (task *testTask) stop(t *testing.T) {
	t.Helper()
	task.cancel()
	if err := <-task.ended; err != nil {
		t.Error(err)
	}
}

// counted is the sum of a metric over its labels.
func (task *testTask) counted(name string) (sum float64) {
	families, err := task.registry.Gather()
	if err != nil {
		return -1
	}
	for _, family := range families {
		if family.GetName() != name {
			continue
		}
		for _, m := range family.GetMetric() {
			sum += m.GetCounter().GetValue() + m.GetGauge().GetValue()
		}
	}
	return sum
}

func putRoot(t *testing.T, producer *awskinesis.Client, id string) {
	t.Helper()
	_, err := producer.PutRecord(t.Context(), &awskinesis.PutRecordInput{
		StreamName: aws.String("trail"), PartitionKey: aws.String(id),
		Data: fmt.Appendf(nil, `{"eventSource":"iam.amazonaws.com","eventName":"ListUsers","eventID":%q,"userIdentity":{"type":"Root","accountId":"111122223333","accessKeyId":"AKIAIOSFODNN7EXAMPLE"}}`, id),
	})
	if err != nil {
		t.Fatal(err)
	}
}

// timesCalled is how often workers have called an action.
func timesCalled(server *awstest.Server, action string) (n int) {
	for call, times := range server.Calls() {
		if call.Action == action && !strings.HasPrefix(call.AccessKeyID, "producer") {
			n += int(times)
		}
	}
	return n
}

func await(t *testing.T, what string, ok func() bool) {
	t.Helper()
	deadline := time.Now().Add(60 * time.Second)
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for !ok() {
		if time.Now().After(deadline) {
			t.Fatalf("not within a minute: %s", what)
		}
		<-tick.C
	}
}

// testClock is the server's clock, to be moved on.
type testClock struct {
	mu  sync.Mutex
	now time.Time
}

func (c *testClock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(time.Millisecond)
	return c.now
}

func (c *testClock) add(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}
