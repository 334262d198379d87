package ledger

import (
	"context"
	"fmt"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"

	"rootwatch/pipeline/awserr"
	"rootwatch/pipeline/dynamo"
	"rootwatch/pipeline/retry"
)

// A lease table that is lost, or named otherwise, while no task runs takes with it from when on the
// application reads: a new one begins with the next start, and what arrived between is never read.
// So the ledger remembers it too, in an item for each stream that never expires:
//
//	id = newest/life/<stream>   "first_start" and "last_alive", RFC 3339
const (
	lifePrefix     = newestPrefix + "life/"
	attrFirstStart = "first_start"
	attrLastAlive  = "last_alive"
)

// Life is what the ledger remembers of the tasks that have read a stream.
type Life struct {
	FirstStart time.Time // of the first of them; zero if the ledger knows of none
	LastAlive  time.Time // last sign of life of any; zero if it is not known
}

// Ran reads what the ledger remembers of a stream, waiting out what waiting heals.
func (l *Ledger) Ran(ctx context.Context, stream string) (life Life, err error) {
	err = awserr.WaitOut(ctx, l.cfg.Logger, func() error {
		item, err := l.get(ctx, lifePrefix+stream)
		if err != nil || len(item) == 0 {
			return err
		}
		if life.FirstStart, err = time.Parse(time.RFC3339Nano, dynamo.Text(item, attrFirstStart)); err != nil {
			return fmt.Errorf("ledger %s, item %s: %s is no RFC 3339 time: %w", l.cfg.Table, lifePrefix+stream, attrFirstStart, err)
		}
		life.LastAlive, _ = time.Parse(time.RFC3339Nano, dynamo.Text(item, attrLastAlive)) // only for the log
		return nil
	})
	return life, err
}

// Begin notes a sign of life, and the application's first start if there is none yet, waiting out
// what waiting heals.
func (l *Ledger) Begin(ctx context.Context, stream string, firstStart time.Time) error {
	return awserr.WaitOut(ctx, l.cfg.Logger, func() error { return l.alive(ctx, stream, firstStart) })
}

// Live does the same again and again until ctx ends.
func (l *Ledger) Live(ctx context.Context, stream string, firstStart time.Time, every time.Duration) {
	for retry.Sleep(ctx, every) == nil {
		if err := l.alive(ctx, stream, firstStart); err != nil && ctx.Err() == nil {
			l.failures.Inc()
			l.cfg.Logger.Warn("a sign of life could not be written into the ledger", "err", err)
		}
	}
}

func (l *Ledger) alive(ctx context.Context, stream string, firstStart time.Time) error {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	stamp := func(t time.Time) string { return t.UTC().Format(time.RFC3339Nano) }
	_, err := l.cfg.DynamoDB.UpdateItem(ctx, &dynamodb.UpdateItemInput{
		TableName: &l.cfg.Table, Key: dynamo.Item{attrID: dynamo.String(lifePrefix + stream)},
		UpdateExpression:          aws.String("SET first_start = if_not_exists(first_start, :first), last_alive = :now"),
		ExpressionAttributeValues: dynamo.Item{":first": dynamo.String(stamp(firstStart)), ":now": dynamo.String(stamp(l.cfg.Now()))},
	})
	if err != nil {
		return l.explain(fmt.Errorf("writing %s into ledger %s: %w", lifePrefix+stream, l.cfg.Table, err))
	}
	return nil
}
