package awsclient

import (
	"context"
	"errors"
	"net/http"

	awsmiddleware "github.com/aws/aws-sdk-go-v2/aws/middleware"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	ddb "github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	awskinesis "github.com/aws/aws-sdk-go-v2/service/kinesis"
	"github.com/aws/smithy-go"
	"github.com/aws/smithy-go/middleware"
	smithyhttp "github.com/aws/smithy-go/transport/http"

	"rootwatch/pipeline/awserr"
)

// Kinesis returns a client with the same options whose answers are checked.
func Kinesis(svc *awskinesis.Client) *awskinesis.Client {
	o := svc.Options()
	o.HTTPClient = wholeBodies{o.HTTPClient}
	o.APIOptions = append(o.APIOptions, check)
	return awskinesis.New(o)
}

// DynamoDB returns a client with the same options whose answers are checked.
func DynamoDB(svc *dynamodb.Client) *dynamodb.Client {
	o := svc.Options()
	o.HTTPClient = wholeBodies{o.HTTPClient}
	o.APIOptions = append(o.APIOptions, check)
	return dynamodb.New(o)
}

const middlewareID = "rootwatch/answers"

// check adds the checks to a client's calls, once. They are within the SDK's retries: what is
// strange is asked for again as often as a server's error is.
func check(stack *middleware.Stack) error {
	if _, there := stack.Deserialize.Get(middlewareID); there {
		return nil
	}
	return errors.Join(
		stack.Initialize.Add(middleware.InitializeMiddlewareFunc(middlewareID, keepInput), middleware.Before),
		stack.Deserialize.Add(middleware.DeserializeMiddlewareFunc(middlewareID, checkAnswer), middleware.Before))
}

// inputKey is where the context of a call has its input, for the check of its answer.
type inputKey struct{}

func keepInput(ctx context.Context, in middleware.InitializeInput, next middleware.InitializeHandler) (middleware.InitializeOutput, middleware.Metadata, error) {
	// GetItem's answer for an item that is not there is empty: only the capacity that it has used
	// shows that DynamoDB has looked.
	// https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_GetItem.html
	if get, ok := in.Parameters.(*dynamodb.GetItemInput); ok && get.ReturnConsumedCapacity == "" {
		asked := *get
		asked.ReturnConsumedCapacity = ddb.ReturnConsumedCapacityTotal
		in.Parameters = &asked
	}
	return next.HandleInitialize(middleware.WithStackValue(ctx, inputKey{}, in.Parameters), in)
}

func checkAnswer(ctx context.Context, in middleware.DeserializeInput, next middleware.DeserializeHandler) (middleware.DeserializeOutput, middleware.Metadata, error) {
	out, metadata, err := next.HandleDeserialize(ctx, in)
	problem := ""
	switch {
	case unreadable(err):
		problem = "cannot be read"
	case err == nil:
		problem = strange(middleware.GetStackValue(ctx, inputKey{}), out.Result)
	}
	if problem != "" {
		err = &awserr.StrangeError{Operation: awsmiddleware.GetServiceID(ctx) + " " + awsmiddleware.GetOperationName(ctx), Problem: problem, Err: err}
	}
	return out, metadata, err
}

// unreadable reports whether an answer is not what its operation answers: a web page with status
// 200, or a part of an answer. A server's error is that in any form.
func unreadable(err error) bool {
	var shape *smithy.DeserializationError
	var response *smithyhttp.ResponseError
	return errors.As(err, &shape) && !(errors.As(err, &response) && response.HTTPStatusCode() >= http.StatusInternalServerError)
}
