package kinesis

import (
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"

	"rootwatch/pipeline/awstest"
	"rootwatch/pipeline/dynamo"
)

// A worker that starts just after the table was deleted makes it anew with a first start of its
// own: later than what the running ones have not read yet.
func TestATableMadeAnewByAWorkerThatStartsKeepsTheFirstStart(t *testing.T) {
	bubble(t, func(t *testing.T) {
		c := newCloud(t, 1, awstest.Options{})
		a := c.start("a", setup{})
		a.holding(1)
		first := dynamo.Text(c.Item("rootwatch/start"), "FirstStart")
		pass(t, time.Minute)
		c.Inject(awstest.Fault{Operation: "GetRecords", Effect: awstest.Throttle}) // a backlog
		c.Put(20)
		pass(t, 10*time.Second)
		until(t, time.Minute, "a look", func() bool { return time.Since(a.coordinator.Status().Looked) < 100*time.Millisecond })
		if _, err := c.DynamoDB.DeleteTable(t.Context(), &dynamodb.DeleteTableInput{TableName: aws.String(testApp)}); err != nil {
			t.Fatal(err)
		}
		b := c.start("b", setup{})
		pass(t, 10*time.Second)
		a.endWell()
		pass(t, 30*time.Second)
		c.ClearFaults()
		c.readAll(time.Minute, a, b)
		if got := dynamo.Text(c.Item("rootwatch/start"), "FirstStart"); got != first {
			t.Errorf("the first start has become %s, it was %s", got, first)
		}
		if len(a.logs.Lines("level=WARN", "first start in the lease table is later")) == 0 {
			t.Error("it is not said")
		}
		b.endWell()
	})
}

// An item that was taken out by hand comes back while somebody knows it.
func TestAFirstStartThatWasDeletedComesBack(t *testing.T) {
	bubble(t, func(t *testing.T) {
		c := newCloud(t, 1, awstest.Options{})
		r := c.start("worker", setup{})
		r.holding(1)
		first := dynamo.Text(c.Item("rootwatch/start"), "FirstStart")
		if _, err := c.DynamoDB.DeleteItem(t.Context(), &dynamodb.DeleteItemInput{TableName: aws.String(testApp), Key: dynamo.Item{"ShardID": dynamo.String("rootwatch/start")}}); err != nil {
			t.Fatal(err)
		}
		pass(t, 20*time.Second)
		if got := dynamo.Text(c.Item("rootwatch/start"), "FirstStart"); got != first {
			t.Errorf("the first start is %q, it was %s", got, first)
		}
		r.endWell()
	})
}
