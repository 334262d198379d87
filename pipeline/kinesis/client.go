package kinesis

import (
	"context"
	"fmt"

	"github.com/aws/aws-sdk-go-v2/aws"
	awskinesis "github.com/aws/aws-sdk-go-v2/service/kinesis"
	"github.com/aws/smithy-go/middleware"
)

// calls is what the library asks of Kinesis in polling mode; the fetch guard answers.
type calls interface {
	ListShards() *awskinesis.ListShardsOutput
	getShardIterator(shardID string) (*awskinesis.GetShardIteratorOutput, error)
	getRecords(iterator string) (*awskinesis.GetRecordsOutput, error)
}

// newLibraryClient returns the Kinesis client that the library gets: it wants a concrete client, so the answers are
// put in by a middleware before anything is built or sent. No error of the network reaches the library.
func newLibraryClient(region string, c calls) *awskinesis.Client {
	return awskinesis.New(awskinesis.Options{
		Region: region,
		APIOptions: []func(*middleware.Stack) error{func(stack *middleware.Stack) error {
			return stack.Initialize.Add(middleware.InitializeMiddlewareFunc("rootwatch/guard",
				func(_ context.Context, in middleware.InitializeInput, _ middleware.InitializeHandler) (middleware.InitializeOutput, middleware.Metadata, error) {
					result, err := answer(c, in.Parameters)
					return middleware.InitializeOutput{Result: result}, middleware.Metadata{}, err
				}), middleware.Before)
		}},
	})
}

func answer(c calls, params any) (any, error) {
	switch p := params.(type) {
	case *awskinesis.ListShardsInput:
		return c.ListShards(), nil
	case *awskinesis.GetShardIteratorInput:
		return nilIfError(c.getShardIterator(aws.ToString(p.ShardId)))
	case *awskinesis.GetRecordsInput:
		return nilIfError(c.getRecords(aws.ToString(p.ShardIterator)))
	}
	return nil, fmt.Errorf("the Kinesis library called %T, which polling does not need", params)
}

func nilIfError[T any](out *T, err error) (any, error) {
	if err != nil {
		return nil, err
	}
	return out, nil
}
