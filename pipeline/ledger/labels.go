package ledger

import (
	"context"
	"fmt"
	"slices"
	"strconv"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"rootwatch/pipeline/dynamo"
)

// Only so many accounts have label values of their own in the metrics (--metrics.max-accounts); the
// others share one. If a task dealt the values out anew at its start, an account could come by a
// series of its own that shows a call of long ago, and page for it again. So the ledger keeps which
// accounts have one, in items of its own:
//
//	id = newest/accounts/<n>   the set "accounts"
const (
	labelsPrefix = newestPrefix + "accounts/"
	attrAccounts = "accounts"
)

// Label remembers that an account has a label value of its own. It is written down with the next
// refresh: a task that dies before that has shown the account's calls for less than a minute.
func (l *Ledger) Label(account string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.unsaved) < mostKnown {
		l.unsaved = append(l.unsaved, account)
	}
}

// labels reads the accounts that have label values of their own, in an order that is the same at
// every start.
func (l *Ledger) labels(ctx context.Context) (accounts []string, err error) {
	for n := range newestParts {
		item, err := l.get(ctx, labelsPrefix+strconv.Itoa(n))
		if err != nil {
			return nil, err
		}
		if set, ok := item[attrAccounts].(*types.AttributeValueMemberSS); ok {
			accounts = append(accounts, set.Value...)
		}
	}
	slices.Sort(accounts)
	return accounts, nil
}

// saveLabels writes the accounts down that have come by a label value. What fails is tried again
// with the next refresh.
func (l *Ledger) saveLabels(ctx context.Context) error {
	l.mu.Lock()
	unsaved := l.unsaved
	l.unsaved = nil
	l.mu.Unlock()
	of := make(map[int][]string)
	for _, account := range unsaved {
		n := part(account)
		of[n] = append(of[n], account)
	}
	for n, accounts := range of {
		if err := l.addLabels(ctx, n, accounts); err != nil {
			l.mu.Lock()
			l.unsaved = append(l.unsaved, unsaved...) // those that are there already do no harm
			l.mu.Unlock()
			return fmt.Errorf("writing which accounts have label values into ledger %s: %w", l.cfg.Table, err)
		}
	}
	return nil
}

func (l *Ledger) addLabels(ctx context.Context, n int, accounts []string) error {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	_, err := l.cfg.DynamoDB.UpdateItem(ctx, &dynamodb.UpdateItemInput{
		TableName: &l.cfg.Table, Key: dynamo.Item{attrID: dynamo.String(labelsPrefix + strconv.Itoa(n))},
		UpdateExpression:          aws.String("ADD #accounts :added"),
		ExpressionAttributeNames:  map[string]string{"#accounts": attrAccounts},
		ExpressionAttributeValues: dynamo.Item{":added": &types.AttributeValueMemberSS{Value: accounts}},
	})
	return err
}
