package awstest

import (
	"context"
	"errors"
	"io"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/kinesis"
	"github.com/aws/aws-sdk-go-v2/service/kinesis/types"
)

func TestDirectClientsSeeACutConnection(t *testing.T) {
	service := New(Options{})
	client := kinesis.NewFromConfig(service.Direct("somebody"))
	call := func(ctx context.Context) error {
		_, err := client.ListStreams(ctx, &kinesis.ListStreamsInput{})
		return err
	}
	cut := service.Inject(Fault{Effect: Drop})
	if err := call(t.Context()); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("of a dropped call: %v", err)
	}
	cut.Remove()
	hang := service.Inject(Fault{Effect: Hang})
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	if err := call(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("of a call that hangs: %v", err)
	}
	hang.Remove()
	if err := call(t.Context()); err != nil {
		t.Errorf("afterwards: %v", err)
	}
}

func TestDirectClientsNeedNoNetwork(t *testing.T) {
	service := New(Options{})
	client := kinesis.NewFromConfig(service.Direct("somebody"))
	if _, err := client.CreateStream(t.Context(), &kinesis.CreateStreamInput{StreamName: aws.String("s"), ShardCount: aws.Int32(1)}); err != nil {
		t.Fatal(err)
	}
	if _, err := client.PutRecord(t.Context(), &kinesis.PutRecordInput{StreamName: aws.String("s"), PartitionKey: aws.String("k"), Data: []byte("x")}); err != nil {
		t.Fatal(err)
	}
	var missing *types.ResourceNotFoundException
	if _, err := client.DescribeStreamSummary(t.Context(), &kinesis.DescribeStreamSummaryInput{StreamName: aws.String("other")}); !errors.As(err, &missing) {
		t.Errorf("a missing stream: %v", err)
	}
	if n := service.CallsBy("somebody")["kinesis:PutRecord"]; n != 1 {
		t.Errorf("%d calls of PutRecord are recorded, want 1", n)
	}
}
