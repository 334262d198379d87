package ledger

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/google/go-cmp/cmp"

	"rootwatch/pipeline/awstest"
	"rootwatch/pipeline/dynamo"
)

func TestTheLedgerRemembersTheFirstStartAndTheLastSignOfLife(t *testing.T) {
	server := newServer(t)
	l := task(t, server, "task")
	check := func(stream string, want Life) {
		t.Helper()
		got, err := l.Ran(t.Context(), stream)
		if err != nil || !cmp.Equal(got, want) {
			t.Errorf("of %s: %+v, %v, want %+v", stream, got, err, want)
		}
	}
	check("events", Life{})
	first := counted.Add(-time.Hour).Add(123 * time.Nanosecond).UTC()
	for _, start := range []time.Time{first, first.Add(time.Minute)} { // the first one stays
		if err := l.Begin(t.Context(), "events", start); err != nil {
			t.Fatal(err)
		}
	}
	check("events", Life{FirstStart: first, LastAlive: counted.UTC()})
	check("other", Life{})
	if all := newestOf(t, l); len(all) != 0 {
		t.Errorf("it is taken for a call: %v", all)
	}
	if id := key(lifePrefix + "events"); id == lifePrefix+"events" {
		t.Error("a call that has such an id would overwrite it")
	}
}

func TestASignOfLifeIsWrittenAgainAndAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		service := awstest.New(awstest.Options{})
		l := taskAt(t, service.Direct("task"), counted)
		l.cfg.Now = time.Now
		start := time.Now()
		ctx, stop := context.WithCancel(t.Context())
		defer stop()
		go l.Live(ctx, "events", start, time.Minute)
		time.Sleep(10*time.Minute + time.Second)
		life, err := l.Ran(t.Context(), "events")
		if err != nil || !life.FirstStart.Equal(start) || time.Since(life.LastAlive) != time.Second {
			t.Errorf("after ten minutes: %+v, %v", life, err)
		}
	})
}

func TestAFirstStartThatIsNoTimeIsAnError(t *testing.T) {
	server := newServer(t)
	l := task(t, server, "task")
	if err := l.Begin(t.Context(), "events", counted); err != nil {
		t.Fatal(err)
	}
	if _, err := l.cfg.DynamoDB.PutItem(t.Context(), &dynamodb.PutItemInput{
		TableName: &l.cfg.Table, Item: dynamo.Item{attrID: dynamo.String(lifePrefix + "events"), attrFirstStart: dynamo.String("yesterday")},
	}); err != nil {
		t.Fatal(err)
	}
	if life, err := l.Ran(t.Context(), "events"); err == nil {
		t.Errorf("%+v", life)
	}
}
