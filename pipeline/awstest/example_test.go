package awstest_test

import (
	"context"
	"errors"
	"fmt"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/kinesis"
	"github.com/aws/aws-sdk-go-v2/service/kinesis/types"

	"rootwatch/pipeline/awstest"
)

// A consumer is shown an iterator that expires while it reads.
func Example() {
	srv := awstest.NewServer(awstest.Options{})
	defer srv.Close()

	ctx := context.Background()
	k := kinesis.NewFromConfig(srv.AWSConfig("reader"))
	stream := aws.String("events")
	if _, err := k.CreateStream(ctx, &kinesis.CreateStreamInput{StreamName: stream, ShardCount: aws.Int32(1)}); err != nil {
		fmt.Println(err)
		return
	}
	for _, text := range []string{"first", "second"} {
		if _, err := k.PutRecord(ctx, &kinesis.PutRecordInput{StreamName: stream, Data: []byte(text), PartitionKey: aws.String("key")}); err != nil {
			fmt.Println(err)
			return
		}
	}
	start, err := k.GetShardIterator(ctx, &kinesis.GetShardIteratorInput{
		StreamName: stream, ShardId: aws.String("shardId-000000000000"), ShardIteratorType: types.ShardIteratorTypeTrimHorizon,
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	page, err := k.GetRecords(ctx, &kinesis.GetRecordsInput{ShardIterator: start.ShardIterator, Limit: aws.Int32(1)})
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println("read:", string(page.Records[0].Data))

	srv.ExpireIterators()
	_, err = k.GetRecords(ctx, &kinesis.GetRecordsInput{ShardIterator: page.NextShardIterator})
	var expired *types.ExpiredIteratorException
	fmt.Println("expired:", errors.As(err, &expired))
	fmt.Println("calls:", srv.CallsBy("reader")["kinesis:GetRecords"])
	// Output:
	// read: first
	// expired: true
	// calls: 2
}

// One of two workers loses DynamoDB, the other one does not.
func ExampleService_Inject() {
	srv := awstest.NewServer(awstest.Options{})
	defer srv.Close()

	reaches := func(worker string) bool {
		cfg := srv.AWSConfig(worker)
		cfg.Retryer = func() aws.Retryer { return aws.NopRetryer{} }
		_, err := dynamodb.NewFromConfig(cfg).ListTables(context.Background(), &dynamodb.ListTablesInput{})
		return err == nil
	}
	cut := srv.Inject(awstest.Fault{Service: "dynamodb", AccessKeyID: "worker-1", Effect: awstest.Drop})
	fmt.Println("worker-1:", reaches("worker-1"))
	fmt.Println("worker-2:", reaches("worker-2"))
	cut.Remove()
	fmt.Println("worker-1 again:", reaches("worker-1"))
	// Output:
	// worker-1: false
	// worker-2: true
	// worker-1 again: true
}
