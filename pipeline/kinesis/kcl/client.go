package kcl

import (
	"context"
	"fmt"

	"rootwatch/pipeline/kinesis/fetch"

	"github.com/aws/aws-sdk-go-v2/aws"
	awskinesis "github.com/aws/aws-sdk-go-v2/service/kinesis"
	awstypes "github.com/aws/aws-sdk-go-v2/service/kinesis/types"
	"github.com/aws/smithy-go/middleware"
)

// newClient returns the Kinesis client that the library gets: it wants a concrete client, so the
// answers are put in by a middleware before anything is built or sent. No error of the network
// reaches the library.
func newClient(region string, shards func() []string, f *fetch.Fetcher) *awskinesis.Client {
	return awskinesis.New(awskinesis.Options{
		Region: region,
		APIOptions: []func(*middleware.Stack) error{func(stack *middleware.Stack) error {
			return stack.Initialize.Add(middleware.InitializeMiddlewareFunc("rootwatch/fetcher",
				func(_ context.Context, in middleware.InitializeInput, _ middleware.InitializeHandler) (middleware.InitializeOutput, middleware.Metadata, error) {
					result, err := answer(shards, f, in.Parameters)
					return middleware.InitializeOutput{Result: result}, middleware.Metadata{}, err
				}), middleware.Before)
		}},
	})
}

func answer(shards func() []string, f *fetch.Fetcher, params any) (any, error) {
	switch p := params.(type) {
	case *awskinesis.ListShardsInput:
		return listed(shards()), nil
	case *awskinesis.GetShardIteratorInput:
		return nilIfError(f.GetShardIterator(aws.ToString(p.ShardId)))
	case *awskinesis.GetRecordsInput:
		return nilIfError(f.GetRecords(aws.ToString(p.ShardIterator)))
	}
	return nil, fmt.Errorf("the Kinesis library called %T, which polling does not need", params)
}

func nilIfError[T any](out *T, err error) (any, error) {
	if err != nil {
		return nil, err
	}
	return out, nil
}

// listed are shards without their parents: the library would wait for those without an end, and
// only for one of two.
func listed(ids []string) *awskinesis.ListShardsOutput {
	out := &awskinesis.ListShardsOutput{Shards: make([]awstypes.Shard, 0, len(ids))}
	for _, id := range ids {
		out.Shards = append(out.Shards, awstypes.Shard{ShardId: aws.String(id), SequenceNumberRange: &awstypes.SequenceNumberRange{}})
	}
	return out
}
