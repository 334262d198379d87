package deploy

import (
	"context"
	"log/slog"
	"slices"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	awskinesis "github.com/aws/aws-sdk-go-v2/service/kinesis"
	"github.com/prometheus/client_golang/prometheus"

	"rootwatch/pipeline"
	"rootwatch/pipeline/awstest"
	"rootwatch/pipeline/kinesis"
	"rootwatch/pipeline/ledger"
)

// The tables that the stack makes are those that the worker makes for itself where the stack does
// not: here it makes them, and they are compared.
func TestStackMakesTheTablesThatTheWorkerMakes(t *testing.T) {
	s := deploy(t, "service", serviceParameters(map[string]string{"TablesCreatedBy": "stack"}))
	server := awstest.NewServer(awstest.Options{})
	defer server.Close()
	db := dynamodb.NewFromConfig(server.AWSConfig("worker"))
	ledgerTable, leaseTable := environment(s)["ROOTWATCH_LEDGER_TABLE"], environment(s)["ROOTWATCH_KINESIS_APPLICATION"]
	makeLedger(t, db, ledgerTable)
	makeLeaseTable(t, server, db, leaseTable)

	for id, name := range map[string]string{"LeaseTable": leaseTable, "LedgerTable": ledgerTable} {
		out, err := db.DescribeTable(t.Context(), &dynamodb.DescribeTableInput{TableName: &name})
		if err != nil {
			t.Fatal(err)
		}
		made := s.properties(id)
		if made["TableName"] != name {
			t.Errorf("%s is called %v, the worker's %s", id, made["TableName"], name)
		}
		if len(out.Table.KeySchema) != 1 || len(out.Table.AttributeDefinitions) != 1 {
			t.Fatalf("%s: keys %v, attributes %v", name, out.Table.KeySchema, out.Table.AttributeDefinitions)
		}
		key, attribute := out.Table.KeySchema[0], out.Table.AttributeDefinitions[0]
		want := asJSON(t, []any{object{"AttributeName": *key.AttributeName, "KeyType": key.KeyType}})
		if got := asJSON(t, made["KeySchema"]); got != want {
			t.Errorf("%s has the key %s, the worker's %s", id, got, want)
		}
		want = asJSON(t, []any{object{"AttributeName": *attribute.AttributeName, "AttributeType": attribute.AttributeType}})
		if got := asJSON(t, made["AttributeDefinitions"]); got != want {
			t.Errorf("%s has the attributes %s, the worker's %s", id, got, want)
		}
		ttl, err := db.DescribeTimeToLive(t.Context(), &dynamodb.DescribeTimeToLiveInput{TableName: &name})
		if err != nil {
			t.Fatal(err)
		}
		var expires any
		if d := ttl.TimeToLiveDescription; d != nil && slices.Contains([]types.TimeToLiveStatus{types.TimeToLiveStatusEnabled, types.TimeToLiveStatusEnabling}, d.TimeToLiveStatus) {
			expires = aws.ToString(d.AttributeName)
		}
		if got := at(made, "TimeToLiveSpecification", "AttributeName"); got != expires {
			t.Errorf("%s: items expire by %v, the worker's by %v", id, got, expires)
		}
	}
}

func makeLedger(t *testing.T, db *dynamodb.Client, name string) {
	t.Helper()
	l, err := ledger.New(ledger.Config{
		DynamoDB: db, Table: name, Remember: 1, Registerer: prometheus.NewRegistry(), Logger: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := l.Prepare(t.Context()); err != nil {
		t.Fatal(err)
	}
}

// makeLeaseTable runs a worker until its table is there.
func makeLeaseTable(t *testing.T, server *awstest.Server, db *dynamodb.Client, name string) {
	t.Helper()
	client := awskinesis.NewFromConfig(server.AWSConfig("worker"))
	if _, err := client.CreateStream(t.Context(), &awskinesis.CreateStreamInput{StreamName: aws.String("s"), ShardCount: aws.Int32(1)}); err != nil {
		t.Fatal(err)
	}
	worker, err := kinesis.New(kinesis.Config{
		Kinesis: client, DynamoDB: db, Region: testRegion, Stream: "s", Application: name,
		PollInterval: 200 * time.Millisecond, LeaseDuration: 2 * time.Second, CheckpointInterval: time.Second,
		ShutdownTimeout: 5 * time.Second, MaxRecords: 10, FetchMemory: 64 << 20,
		Registerer: prometheus.NewRegistry(), Logger: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- worker.Run(ctx, func(context.Context, *pipeline.Batch) error { return nil }) }()
	defer func() {
		stop()
		if err := <-done; err != nil {
			t.Error(err)
		}
	}()
	waiter := dynamodb.NewTableExistsWaiter(db, func(o *dynamodb.TableExistsWaiterOptions) {
		o.MinDelay, o.MaxDelay = 20*time.Millisecond, 100*time.Millisecond
	})
	if err := waiter.Wait(t.Context(), &dynamodb.DescribeTableInput{TableName: &name}, 10*time.Second); err != nil {
		t.Fatal(err)
	}
}
