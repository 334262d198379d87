package kinesis

import (
	"context"
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

// A lease table that was lost while nobody ran begins with the next start: what arrived between
// would never be read, if nothing else remembered the first one.
func TestALeaseTableThatWasLostWhileNobodyRanLosesNoRecord(t *testing.T) {
	for name, test := range map[string]struct {
		remembered bool
		want       int
	}{"nobody remembers": {false, 10}, "the first start is remembered": {true, 50}} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				c := newCloud(t, 2, awstest.Options{})
				c.Put(7) // before the application's first start
				pass(t, time.Minute)
				first := c.start("first", setup{})
				first.holding(2)
				began := dynamo.Text(c.Item("rootwatch/start"), "FirstStart")
				firstStart := first.FirstStart()
				c.Put(20)
				until(t, time.Minute, "twenty records", func() bool { return len(first.records()) == 20 })
				first.endWell()
				if _, err := c.DynamoDB.DeleteTable(t.Context(), &dynamodb.DeleteTableInput{TableName: aws.String(testApp)}); err != nil {
					t.Fatal(err)
				}
				c.Put(20) // nobody runs
				pass(t, time.Minute)
				second := c.start("second", setup{config: func(cfg *Config) {
					if test.remembered {
						cfg.Ran = func(context.Context) (time.Time, time.Time, error) {
							return firstStart, firstStart.Add(time.Minute), nil
						}
					}
				}})
				second.holding(2)
				c.Put(10)
				pass(t, 20*time.Second)
				if got := len(second.records()); got != test.want {
					t.Errorf("%d records were read, want %d", got, test.want)
				}
				if said := second.logs.Lines("level=WARN", "younger than the application"); test.remembered != (len(said) == 1) {
					t.Errorf("it is said: %q", said)
				}
				if kept := dynamo.Text(c.Item("rootwatch/start"), "FirstStart"); test.remembered && kept != began {
					t.Errorf("the new table's first start is %s, it was %s", kept, began)
				}
				second.endWell()
				third := c.start("third", setup{config: func(cfg *Config) {
					cfg.Ran = func(context.Context) (time.Time, time.Time, error) {
						return firstStart, firstStart.Add(time.Minute), nil
					}
				}})
				third.holding(2)
				if said := third.logs.Lines("level=WARN", "younger than the application"); test.remembered && len(said) != 0 {
					t.Errorf("of a table that has the first start it is said again: %q", said)
				}
			})
		})
	}
}
