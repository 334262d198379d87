//go:build e2e

package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
)

// A page lasts 15 minutes. That nobody is paged again for an older call can only be seen where
// there is one: the world begins with an account that was paged for half an hour ago. Prometheus
// has what it scraped from a task that is gone by now, and the ledger has what that task wrote.
const (
	pastAccount = "777788889999"
	pastAge     = 30 * time.Minute
)

// recordPast puts half an hour of scrapes of the paging series into Prometheus's storage.
func (w *world) recordPast(t *testing.T, storage string) {
	value := strconv.FormatFloat(float64(w.past.UnixNano())/1e9, 'f', -1, 64)
	const series = "rootwatch_last_unpushed_root_call_timestamp_seconds"
	var b strings.Builder
	fmt.Fprintf(&b, "# TYPE %s gauge\n", series)
	for at := w.past.Add(15 * time.Second); at.Before(time.Now().Add(-15 * time.Second)); at = at.Add(15 * time.Second) {
		fmt.Fprintf(&b, "%s{job=\"rootwatch\",instance=\"127.0.0.1:1\",account_id=%q,severity=\"critical\"} %s %d\n", series, pastAccount, value, at.Unix())
	}
	b.WriteString("# EOF\n")
	file := filepath.Join(w.folder, "past.txt")
	if err := os.WriteFile(file, []byte(b.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := output(tool(t, "promtool"), "tsdb", "create-blocks-from", "openmetrics", "--quiet", file, storage); err != nil {
		t.Fatal(err)
	}
}

// writePast puts the account's newest call into the ledger, where the next worker that starts finds
// it.
func (w *world) writePast(t *testing.T) {
	part := int(pastAccount[len(pastAccount)-1]) % 4
	_, err := w.dynamo.UpdateItem(t.Context(), &dynamodb.UpdateItemInput{
		TableName:                 aws.String("rootwatch-findings"),
		Key:                       map[string]types.AttributeValue{"id": &types.AttributeValueMemberS{Value: fmt.Sprintf("newest/critical/%d", part)}},
		UpdateExpression:          aws.String("SET #account = :at"),
		ExpressionAttributeNames:  map[string]string{"#account": pastAccount},
		ExpressionAttributeValues: map[string]types.AttributeValue{":at": &types.AttributeValueMemberN{Value: fmt.Sprint(w.past.UnixMilli())}},
	})
	if err != nil {
		t.Fatal(err)
	}
}
