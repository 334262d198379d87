// Package dynamo is what the lease table and the ledger share: making sure of a DynamoDB table with one string key, telling
// errors that time heals from others, and item attributes.
package dynamo

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strconv"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/cenkalti/backoff/v5"
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

// CheckName says what is wrong with a table's name.
// https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/HowItWorks.NamingRulesDataTypes.html
func CheckName(name string) error {
	strange := strings.ContainsFunc(name, func(r rune) bool {
		return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') && !strings.ContainsRune("_.-", r)
	})
	if strange || len(name) < 3 || len(name) > MaxName {
		return fmt.Errorf("%q cannot name a DynamoDB table: 3 to %d letters, digits, '_', '.' and '-'", name, MaxName)
	}
	return nil
}

// MaxName is the longest that a table's name may be.
const MaxName = 255

// callTimeout bounds one call about a table as a whole, the SDK's own retries included.
const callTimeout = 10 * time.Second

// Ensure creates the table, paid per request, if it is missing, and waits until it can be used. Another process that creates
// it at the same moment is no error. flag is the setting to change if a table of that name exists for something else.
func Ensure(ctx context.Context, svc *dynamodb.Client, name, key, flag string) error {
	for {
		status, err := describe(ctx, svc, name, key, flag)
		var missing *types.ResourceNotFoundException
		switch {
		case err == nil && (status == types.TableStatusActive || status == types.TableStatusUpdating):
			return nil
		case errors.As(err, &missing):
			if err := create(ctx, svc, name, key); err != nil {
				return Explain(err, svc, name, flag)
			}
		case err != nil:
			return Explain(fmt.Errorf("describing DynamoDB table %s: %w", name, err), svc, name, flag)
		}
		if err := Sleep(ctx, 250*time.Millisecond); err != nil {
			return fmt.Errorf("waiting for DynamoDB table %s to become active: %w", name, err)
		}
	}
}

func describe(ctx context.Context, svc *dynamodb.Client, name, key, flag string) (types.TableStatus, error) {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	out, err := svc.DescribeTable(ctx, &dynamodb.DescribeTableInput{TableName: &name})
	if err != nil {
		return "", err
	}
	for _, k := range out.Table.KeySchema {
		if k.KeyType != types.KeyTypeHash || aws.ToString(k.AttributeName) != key {
			return "", fmt.Errorf("it has the key %s, not %s, so it exists for something else: set %s to another name", aws.ToString(k.AttributeName), key, flag)
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

// Persist calls f until it succeeds or fails with what waiting does not heal; what it waits out is logged, and what it does not
// comes back with a word about what to set.
func Persist(ctx context.Context, log *slog.Logger, f func() error) error {
	wait := Backoff(5 * time.Second)
	for {
		err := f()
		if err == nil || !Healing(err) {
			return advise(err)
		}
		attrs := []any{"err", err}
		if h := hint(err); h != "" {
			attrs = append(attrs, "hint", h)
		}
		log.Warn("not started yet: trying again", attrs...)
		if err := Sleep(ctx, wait.NextBackOff()); err != nil {
			return err
		}
	}
}

// Backoff is the one shape of waiting before another try: from 100 ms to most, doubling, with jitter.
func Backoff(most time.Duration) *backoff.ExponentialBackOff {
	b := backoff.NewExponentialBackOff()
	b.InitialInterval = 100 * time.Millisecond
	b.Multiplier = 2
	b.MaxInterval = most
	b.Reset()
	return b
}

// Sleep waits for d; it fails, with the cause, when ctx ends before that.
func Sleep(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
