package awstest_test

import (
	"fmt"
	"sync"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/kinesis"
	"github.com/vmware/vmware-go-kcl-v2/clientlibrary/config"
	"github.com/vmware/vmware-go-kcl-v2/clientlibrary/interfaces"
	"github.com/vmware/vmware-go-kcl-v2/clientlibrary/worker"

	"rootwatch/pipeline/awstest"
)

// received is what a worker's processors were given.
type received struct {
	mu    sync.Mutex
	count map[string]int
}

func (r *received) total() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.count)
}

func (r *received) CreateProcessor() interfaces.IRecordProcessor { return &processor{received: r} }

type processor struct {
	interfaces.IRecordProcessor
	*received
}

func (p *processor) Initialize(*interfaces.InitializationInput) {}

func (p *processor) ProcessRecords(in *interfaces.ProcessRecordsInput) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, r := range in.Records {
		p.count[string(r.Data)]++
	}
	if len(in.Records) > 0 {
		if err := in.Checkpointer.Checkpoint(in.Records[len(in.Records)-1].SequenceNumber); err != nil {
			p.count["checkpoint: "+err.Error()]++
		}
	}
}

func (p *processor) Shutdown(in *interfaces.ShutdownInput) {
	if in.ShutdownReason != interfaces.TERMINATE {
		return
	}
	if err := in.Checkpointer.Checkpoint(nil); err != nil {
		p.mu.Lock()
		defer p.mu.Unlock()
		p.count["checkpoint: "+err.Error()]++
	}
}

// The library is used as it comes, and finds the server by AWS_ENDPOINT_URL alone.
func TestTheKCLWorksUnchanged(t *testing.T) {
	srv := awstest.NewServer(awstest.Options{})
	defer srv.Close()
	for name, v := range map[string]string{"AWS_ENDPOINT_URL": srv.URL, "AWS_ACCESS_KEY_ID": "worker", "AWS_SECRET_ACCESS_KEY": "test", "AWS_REGION": "us-east-1"} {
		t.Setenv(name, v)
	}
	k := kinesis.NewFromConfig(srv.AWSConfig("producer"))
	call := func(_ any, err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	call(k.CreateStream(t.Context(), &kinesis.CreateStreamInput{StreamName: aws.String("events"), ShardCount: aws.Int32(1)}))
	put := func(from, to int) {
		for i := from; i < to; i++ {
			call(k.PutRecord(t.Context(), &kinesis.PutRecordInput{StreamName: aws.String("events"), Data: fmt.Append(nil, i), PartitionKey: aws.String(fmt.Sprint(i))}))
		}
	}
	put(0, 50)
	got := &received{count: map[string]int{}}
	cfg := config.NewKinesisClientLibConfig("application", "events", "us-east-1", "worker-1").
		WithInitialPositionInStream(config.TRIM_HORIZON).WithShardSyncIntervalMillis(50).WithIdleTimeBetweenReadsInMillis(20)
	w := worker.NewWorker(got, cfg)
	if err := w.Start(); err != nil {
		t.Fatal(err)
	}
	waitFor(t, "the first shard is read", func() bool { return got.total() == 50 })
	call(k.SplitShard(t.Context(), &kinesis.SplitShardInput{StreamName: aws.String("events"), ShardToSplit: aws.String(shard0), NewStartingHashKey: aws.String(half.String())}))
	put(50, 100)
	waitFor(t, "both children are read", func() bool { return got.total() == 100 })
	w.Shutdown()
	for record, n := range got.count {
		if n != 1 {
			t.Errorf("%s came %d times", record, n)
		}
	}
	for _, action := range []string{"dynamodb:CreateTable", "dynamodb:GetItem", "dynamodb:PutItem", "kinesis:ListShards", "kinesis:GetShardIterator", "kinesis:GetRecords"} {
		if srv.CallsBy("worker")[action] == 0 {
			t.Errorf("%s was never called", action)
		}
	}
}
