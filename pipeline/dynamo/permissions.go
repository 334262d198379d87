package dynamo

import (
	"context"
	"errors"
	"fmt"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
)

// Action is what a role may need on a table, by the name that IAM has for it.
type Action string

// The actions that Try knows.
const (
	Scan       Action = "Scan"
	PutItem    Action = "PutItem"
	UpdateItem Action = "UpdateItem"
	DeleteItem Action = "DeleteItem"
)

// probeKey is the key that Try's writes are for. Nothing is ever written under it.
const probeKey = "rootwatch/permission"

// Try makes sure that the role may do some actions on a table with the hash key key (a string), and
// changes nothing: its writes have a condition that cannot hold. IAM is asked before a condition is
// looked at, so that a failed condition shows the permission. The error of a missing one is a
// DeniedError.
//
// https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Expressions.ConditionExpressions.html
func Try(ctx context.Context, svc *dynamodb.Client, table, key string, actions ...Action) error {
	for _, action := range actions {
		err := try(ctx, svc, table, key, action)
		var allowed *types.ConditionalCheckFailedException
		if err != nil && !errors.As(err, &allowed) {
			return Explain(fmt.Errorf("trying %s on DynamoDB table %s: %w", action, table, err), svc, table)
		}
	}
	return nil
}

func try(ctx context.Context, svc *dynamodb.Client, table, key string, action Action) error {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	var (
		item      = Item{key: String(probeKey)}
		condition = aws.String("#key = :other") // the item, if there were one, would have probeKey
		names     = map[string]string{"#key": key}
		values    = Item{":other": String("another key")}
	)
	var err error
	switch action {
	case Scan:
		_, err = svc.Scan(ctx, &dynamodb.ScanInput{TableName: &table, Limit: aws.Int32(1)})
	case PutItem:
		_, err = svc.PutItem(ctx, &dynamodb.PutItemInput{TableName: &table, Item: item, ConditionExpression: condition, ExpressionAttributeNames: names, ExpressionAttributeValues: values})
	case UpdateItem:
		names["#none"] = "none"
		_, err = svc.UpdateItem(ctx, &dynamodb.UpdateItemInput{
			TableName: &table, Key: item, UpdateExpression: aws.String("REMOVE #none"), ConditionExpression: condition,
			ExpressionAttributeNames: names, ExpressionAttributeValues: values,
		})
	case DeleteItem:
		_, err = svc.DeleteItem(ctx, &dynamodb.DeleteItemInput{TableName: &table, Key: item, ConditionExpression: condition, ExpressionAttributeNames: names, ExpressionAttributeValues: values})
	default:
		err = fmt.Errorf("it is not known how to try %s", action)
	}
	return err
}
