// Package dynamo is what the lease table and the ledger share: a DynamoDB table with one string
// key, made where it is missing, and the attributes of its items.
package dynamo

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"rootwatch/pipeline/retry"
)

// Item is a DynamoDB item.
type Item = map[string]types.AttributeValue

// String is a string attribute.
func String(v string) types.AttributeValue { return &types.AttributeValueMemberS{Value: v} }

// Number is a number attribute.
func Number(v int64) types.AttributeValue {
	return &types.AttributeValueMemberN{Value: strconv.FormatInt(v, 10)}
}

// Text returns a string attribute's value, "" if there is none.
func Text(item Item, name string) string {
	if v, ok := item[name].(*types.AttributeValueMemberS); ok {
		return v.Value
	}
	return ""
}

// Int returns a number attribute's value, and whether it is there and whole.
func Int(item Item, name string) (int64, bool) {
	v, ok := item[name].(*types.AttributeValueMemberN)
	if !ok {
		return 0, false
	}
	n, err := strconv.ParseInt(v.Value, 10, 64)
	return n, err == nil
}

// CheckName reports what is wrong with a table's name.
// https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/HowItWorks.NamingRulesDataTypes.html
func CheckName(name string) error {
	invalid := strings.ContainsFunc(name, func(r rune) bool {
		return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') && !strings.ContainsRune("_.-", r)
	})
	if invalid || len(name) < 3 || len(name) > MaxName {
		return fmt.Errorf("%q cannot name a DynamoDB table: 3 to %d letters, digits, '_', '.' and '-'", name, MaxName)
	}
	return nil
}

// MaxName is the longest that a table's name may be.
const MaxName = 255

// callTimeout bounds one call about a table as a whole, the SDK's own retries included.
const callTimeout = 10 * time.Second

// Ensure creates the table, paid per request, if it is missing, and waits until it can be used.
// Another process that creates it at the same moment is no error. It fails with a *KeyError if a
// table of that name exists for something else, and with a *DeniedError if a permission is missing;
// other errors are DynamoDB's.
func Ensure(ctx context.Context, svc *dynamodb.Client, name, key string) error {
	for {
		status, err := describe(ctx, svc, name, key)
		var missing *types.ResourceNotFoundException
		switch {
		case err == nil && (status == types.TableStatusActive || status == types.TableStatusUpdating):
			return nil
		case errors.As(err, &missing):
			if err := create(ctx, svc, name, key); err != nil {
				return Explain(err, svc, name)
			}
		case err != nil:
			return Explain(fmt.Errorf("describing DynamoDB table %s: %w", name, err), svc, name)
		}
		if err := retry.Sleep(ctx, 250*time.Millisecond); err != nil {
			return fmt.Errorf("waiting for DynamoDB table %s to become active: %w", name, err)
		}
	}
}

func describe(ctx context.Context, svc *dynamodb.Client, name, key string) (types.TableStatus, error) {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	out, err := svc.DescribeTable(ctx, &dynamodb.DescribeTableInput{TableName: &name})
	if err != nil {
		return "", err
	}
	for _, k := range out.Table.KeySchema {
		if k.KeyType != types.KeyTypeHash || aws.ToString(k.AttributeName) != key {
			return "", &KeyError{Table: name, Key: aws.ToString(k.AttributeName), Want: key}
		}
	}
	return out.Table.TableStatus, nil
}

func create(ctx context.Context, svc *dynamodb.Client, name, key string) error {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	_, err := svc.CreateTable(ctx, &dynamodb.CreateTableInput{
		TableName:            &name,
		BillingMode:          types.BillingModePayPerRequest,
		AttributeDefinitions: []types.AttributeDefinition{{AttributeName: &key, AttributeType: types.ScalarAttributeTypeS}},
		KeySchema:            []types.KeySchemaElement{{AttributeName: &key, KeyType: types.KeyTypeHash}},
	})
	var exists *types.ResourceInUseException
	if err != nil && !errors.As(err, &exists) {
		return fmt.Errorf("creating DynamoDB table %s: %w", name, err)
	}
	return nil
}
