package lease

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	ddb "github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"rootwatch/pipeline/awserr"
	"rootwatch/pipeline/dynamo"
)

// The attributes of a lease. The first six are those of the library's own table; an application
// that ran on the bare library keeps its checkpoints.
const (
	attrShardID      = "ShardID"
	attrOwner        = "AssignedTo"
	attrTimeout      = "LeaseTimeout" // for people who look at the table; nothing is decided on a host's clock
	attrCheckpoint   = "Checkpoint"
	attrParent       = "ParentShardId"
	attrClaim        = "ClaimRequest"
	attrEpoch        = "LeaseEpoch"      // one more at each acquisition: fences the writes of earlier owners
	attrCounter      = "LeaseCounter"    // one more at each renewal: a lease whose counter stands still expires
	attrShardStart   = "ShardStart"      // the shard's first sequence number: tells a recreated stream's shard apart
	attrCheckpointAt = "CheckpointTime"  // arrival of the record at the checkpoint: names the gap after a loss
	attrReadTime     = "ReadTime"        // all that had arrived by then is finished: tells a quiet shard from a gap
	attrFirstStart   = "FirstStart"      // only in the item startKey
	attrStream       = "Stream"          // only in the item startKey
	startKey         = "rootwatch/start" // no shard has such an id
	neverRead        = "never"           // CheckpointTime of a finished shard that had no record for the application
)

// ShardEnd is the checkpoint of a shard that was read to its end.
const ShardEnd = "SHARD_END"

// errTableMissing is the error of a table that somebody has deleted.
var errTableMissing = errors.New("the lease table does not exist")

// errFenced is the error of a write to a lease that is no longer ours: another owner or a later
// epoch is in the table.
var errFenced = errors.New("the lease has another owner")

// lease is one item of the table as last read.
type row struct {
	shardID    string
	owner      string
	checkpoint string
	claim      string
	timeout    string
	shardStart string
	checkedAt  string
	readTime   string
	epoch      int64
	counter    int64
	hasCounter bool
	open       bool // at SHARD_END, and its shard is open: it is to be read on
	stale      bool // of a deleted stream's shard that had the same name: it says nothing about this one
}

// version is what every renewal and every change of owner changes.
func (l *row) version() string {
	return fmt.Sprintf("%s/%d/%d/%s", l.owner, l.epoch, l.counter, l.timeout)
}

func (l *row) finished() bool { return l.checkpoint == ShardEnd && !l.stale && !l.open }

// table is the lease table. Its methods are single DynamoDB calls (scan: one a page) and hold no
// state.
type table struct {
	svc      *dynamodb.Client
	name     string
	me       string
	duration time.Duration // lease duration
	timeout  time.Duration // limit of one call, retries included
	now      func() time.Time
}

func (t *table) key(shardID string) dynamo.Item {
	return dynamo.Item{attrShardID: dynamo.String(shardID)}
}

func (t *table) leaseTimeout() ddb.AttributeValue {
	return dynamo.String(t.now().Add(t.duration).UTC().Format(time.RFC3339Nano))
}

// ensure makes sure that the table is there and can be used.
func (t *table) ensure(ctx context.Context) error {
	return dynamo.Ensure(ctx, t.svc, t.name, attrShardID)
}

// firstStart returns the moment of the application's first start, writing proposed down if there is
// none yet. It fails if the table already belongs to the leases of another stream.
func (t *table) firstStart(ctx context.Context, stream string, proposed time.Time) (time.Time, error) {
	ctx, cancel := context.WithTimeout(ctx, max(t.timeout, 5*time.Second))
	defer cancel()
	out, err := t.svc.UpdateItem(ctx, &dynamodb.UpdateItemInput{
		TableName:                &t.name,
		Key:                      t.key(startKey),
		UpdateExpression:         aws.String("SET " + attrFirstStart + " = if_not_exists(" + attrFirstStart + ", :t), #s = if_not_exists(#s, :s)"),
		ExpressionAttributeNames: map[string]string{"#s": attrStream},
		ExpressionAttributeValues: dynamo.Item{
			":t": dynamo.String(proposed.UTC().Format(time.RFC3339Nano)), ":s": dynamo.String(stream),
		},
		ReturnValues: ddb.ReturnValueAllNew,
	})
	if err != nil {
		return time.Time{}, fmt.Errorf("writing the first start into lease table %s: %w", t.name, err)
	}
	if kept := dynamo.Text(out.Attributes, attrStream); kept != stream {
		return time.Time{}, &StreamMismatchError{Table: t.name, Stream: kept, Want: stream}
	}
	first, err := time.Parse(time.RFC3339Nano, dynamo.Text(out.Attributes, attrFirstStart))
	if err != nil {
		return time.Time{}, fmt.Errorf("lease table %s, item %s: %s is no RFC 3339 time (delete the item to start anew from now): %w", t.name, startKey, attrFirstStart, err)
	}
	return first, nil
}

// StreamMismatchError is the error of a lease table that holds the leases of another stream.
type StreamMismatchError struct {
	Table        string
	Stream, Want string
}

func (e *StreamMismatchError) Error() string {
	return fmt.Sprintf("lease table %s belongs to stream %s, not %s", e.Table, e.Stream, e.Want)
}

// scan reads all leases, consistently, page by page, and the first start beside them, as it is
// written there.
func (t *table) scan(ctx context.Context) (leases map[string]*row, firstStart string, err error) {
	ctx, cancel := context.WithTimeout(ctx, max(t.timeout, 2*time.Second))
	defer cancel()
	leases = make(map[string]*row)
	var from dynamo.Item
	for {
		out, err := t.svc.Scan(ctx, &dynamodb.ScanInput{TableName: &t.name, ConsistentRead: aws.Bool(true), ExclusiveStartKey: from})
		var missing *ddb.ResourceNotFoundException
		if errors.As(err, &missing) {
			return nil, "", errTableMissing
		}
		if err != nil {
			return nil, "", fmt.Errorf("reading lease table %s: %w", t.name, err)
		}
		for _, item := range out.Items {
			switch l := parseRow(item); {
			case l.shardID == startKey:
				firstStart = dynamo.Text(item, attrFirstStart)
			case !strings.Contains(l.shardID, "/"):
				leases[l.shardID] = l
			}
		}
		if from = out.LastEvaluatedKey; len(from) == 0 {
			return leases, firstStart, nil
		}
	}
}

func parseRow(item dynamo.Item) *row {
	l := &row{
		shardID:    dynamo.Text(item, attrShardID),
		owner:      dynamo.Text(item, attrOwner),
		checkpoint: dynamo.Text(item, attrCheckpoint),
		claim:      dynamo.Text(item, attrClaim),
		timeout:    dynamo.Text(item, attrTimeout),
		shardStart: dynamo.Text(item, attrShardStart),
		checkedAt:  dynamo.Text(item, attrCheckpointAt),
		readTime:   dynamo.Text(item, attrReadTime),
	}
	l.epoch, _ = dynamo.Int(item, attrEpoch)
	l.counter, l.hasCounter = dynamo.Int(item, attrCounter)
	return l
}

// acquire takes the lease of a shard by one conditional update. seen is the lease as last read
// (nil: no item); expired reports that it has not moved for a whole lease, so that its owner and
// its claim count no more. The update fails with errFenced if anybody has moved the lease since.
func (t *table) acquire(ctx context.Context, s *shard, seen *row, expired bool) (*row, error) {
	values := dynamo.Item{
		":me": dynamo.String(t.me), ":t": t.leaseTimeout(), ":zero": dynamo.Number(0), ":one": dynamo.Number(1), ":none": dynamo.String(""), ":end": dynamo.String(ShardEnd), ":start": dynamo.String(s.Start),
	}
	free := "attribute_not_exists(AssignedTo) OR AssignedTo = :none OR AssignedTo = :me"
	unclaimed := "attribute_not_exists(ClaimRequest) OR ClaimRequest = :none OR ClaimRequest = :me"
	if expired && seen != nil {
		if seen.owner != "" {
			values[":owner"] = dynamo.String(seen.owner)
			free += " OR (AssignedTo = :owner"
			if seen.timeout != "" {
				values[":timeout"] = dynamo.String(seen.timeout)
				free += " AND LeaseTimeout = :timeout"
			}
			if seen.hasCounter {
				values[":counter"] = dynamo.Number(seen.counter)
				free += " AND LeaseCounter = :counter)"
			} else {
				free += " AND attribute_not_exists(LeaseCounter))"
			}
		}
		if seen.claim != "" {
			values[":claim"] = dynamo.String(seen.claim)
			unclaimed += " OR ClaimRequest = :claim"
		}
	}
	set := "SET AssignedTo = :me, LeaseTimeout = :t, ShardStart = :start," +
		" LeaseEpoch = if_not_exists(LeaseEpoch, :zero) + :one, LeaseCounter = if_not_exists(LeaseCounter, :zero) + :one"
	if len(s.Parents) > 0 {
		values[":parent"] = dynamo.String(s.Parents[0])
		set += ", ParentShardId = :parent"
	}
	unfinished, remove := "attribute_not_exists(Checkpoint) OR Checkpoint <> :end", " REMOVE ClaimRequest"
	if seen != nil && seen.open {
		goOn, forget := seen.readOn(values)
		unfinished, set, remove = "Checkpoint = :end", set+goOn, remove+forget
	}
	return t.update(ctx, s.ID, set+remove, "("+unfinished+") AND ("+free+") AND ("+unclaimed+")", values, nil)
}

// lowerFirstStart puts an earlier first start in the place of seen ("": of none).
func (t *table) lowerFirstStart(ctx context.Context, seen string, first time.Time) error {
	condition, values := "attribute_not_exists(FirstStart)", dynamo.Item{":first": dynamo.String(first.UTC().Format(time.RFC3339Nano))}
	if seen != "" {
		condition, values[":seen"] = "FirstStart = :seen", dynamo.String(seen)
	}
	_, err := t.update(ctx, startKey, "SET FirstStart = :first", condition, values, nil)
	return err
}

// renew moves the counter of a lease that is ours and returns the lease with a claim that others
// have put on it. readTo is up to when everything that arrived is finished, zero if that is not
// known.
func (t *table) renew(ctx context.Context, shardID string, epoch int64, readTo time.Time) (*row, error) {
	set := "SET LeaseTimeout = :t, LeaseCounter = LeaseCounter + :one"
	values := dynamo.Item{":me": dynamo.String(t.me), ":epoch": dynamo.Number(epoch), ":t": t.leaseTimeout(), ":one": dynamo.Number(1)}
	if !readTo.IsZero() {
		set += ", ReadTime = :read"
		values[":read"] = dynamo.String(readTo.UTC().Format(time.RFC3339Nano))
	}
	return t.update(ctx, shardID, set, "AssignedTo = :me AND LeaseEpoch = :epoch", values, t.ours(epoch))
}

// checkpoint writes a sequence number, or SHARD_END, into a lease that is ours and whose checkpoint
// is one of before ("": none yet) or the same already, since the answer to a first write may have
// been lost. at is the arrival of the last finished record (or neverRead), "" if it is not known:
// the one in the table stays then.
func (t *table) checkpoint(ctx context.Context, shardID string, epoch int64, sequenceNumber, at string, before []string) error {
	values := dynamo.Item{":me": dynamo.String(t.me), ":epoch": dynamo.Number(epoch), ":c": dynamo.String(sequenceNumber)}
	known, absent := ":c", ""
	for i, b := range before {
		if b == "" {
			absent = "attribute_not_exists(Checkpoint) OR "
		}
		name := fmt.Sprint(":b", i)
		values[name] = dynamo.String(b)
		known += ", " + name
	}
	condition := "AssignedTo = :me AND LeaseEpoch = :epoch AND (" + absent + "Checkpoint IN (" + known + "))"
	set := "SET Checkpoint = :c"
	if at != "" {
		values[":at"] = dynamo.String(at)
		set += ", CheckpointTime = :at"
	}
	_, err := t.update(ctx, shardID, set, condition, values, func(l *row) bool {
		return t.ours(epoch)(l) && (l.checkpoint == sequenceNumber || slices.Contains(before, l.checkpoint))
	})
	return err
}

// release makes a lease that is ours free. A claim stays: it is the claimer's turn.
func (t *table) release(ctx context.Context, shardID string, epoch int64) error {
	_, err := t.update(ctx, shardID, "SET LeaseCounter = LeaseCounter + :one REMOVE AssignedTo, LeaseTimeout", "AssignedTo = :me AND LeaseEpoch = :epoch",
		dynamo.Item{":me": dynamo.String(t.me), ":epoch": dynamo.Number(epoch), ":one": dynamo.Number(1)}, t.ours(epoch))
	return err
}

// claim asks the owner of a lease to hand it over.
func (t *table) claim(ctx context.Context, l *row) error {
	_, err := t.update(ctx, l.shardID, "SET ClaimRequest = :me",
		"AssignedTo = :owner AND LeaseEpoch = :epoch AND (attribute_not_exists(ClaimRequest) OR ClaimRequest = :none OR ClaimRequest = :me) AND (attribute_not_exists(Checkpoint) OR Checkpoint <> :end)",
		dynamo.Item{":me": dynamo.String(t.me), ":owner": dynamo.String(l.owner), ":epoch": dynamo.Number(l.epoch), ":none": dynamo.String(""), ":end": dynamo.String(ShardEnd)}, nil)
	return err
}

// unclaim takes our claim on a lease back.
func (t *table) unclaim(ctx context.Context, shardID string) error {
	_, err := t.update(ctx, shardID, "REMOVE ClaimRequest", "ClaimRequest = :me", dynamo.Item{":me": dynamo.String(t.me)}, nil)
	return err
}

// remove deletes the item of a shard that is gone, as it was last read.
func (t *table) remove(ctx context.Context, l *row) error {
	ctx, cancel := context.WithTimeout(ctx, t.timeout)
	defer cancel()
	in := &dynamodb.DeleteItemInput{TableName: &t.name, Key: t.key(l.shardID), ConditionExpression: aws.String("attribute_not_exists(LeaseCounter)")}
	if l.hasCounter {
		in.ConditionExpression = aws.String("LeaseCounter = :counter")
		in.ExpressionAttributeValues = dynamo.Item{":counter": dynamo.Number(l.counter)}
	}
	if _, err := t.svc.DeleteItem(ctx, in); err != nil {
		return t.fail(ctx, "removing", l.shardID, err, nil)
	}
	return nil
}

// update is one conditional write. holds, which may be nil, reports whether the condition holds for
// an item: a refusal that the item contradicts is not believed.
func (t *table) update(ctx context.Context, shardID, update, condition string, values dynamo.Item, holds func(*row) bool) (*row, error) {
	ctx, cancel := context.WithTimeout(ctx, t.timeout)
	defer cancel()
	in := &dynamodb.UpdateItemInput{
		TableName: &t.name, Key: t.key(shardID), UpdateExpression: &update, ConditionExpression: &condition,
		ExpressionAttributeValues: values, ReturnValues: ddb.ReturnValueAllNew,
		ReturnValuesOnConditionCheckFailure: ddb.ReturnValuesOnConditionCheckFailureAllOld,
	}
	out, err := t.svc.UpdateItem(ctx, in)
	if err != nil {
		return nil, t.fail(ctx, "updating", shardID, err, holds)
	}
	return parseRow(out.Attributes), nil
}

// fail is errFenced for a write whose condition does not hold. Where a lease would be lost by it,
// that is believed when the item is seen: the answer shows it, or the table is read. (By Scan, for
// which the role has the permission; it is consistent.)
func (t *table) fail(ctx context.Context, doing, shardID string, err error, holds func(*row) bool) error {
	var condition *ddb.ConditionalCheckFailedException
	switch {
	case !errors.As(err, &condition):
		return fmt.Errorf("%s the lease of %s in table %s: %w", doing, shardID, t.name, err)
	case holds == nil:
		return errFenced
	}
	there := parseRow(condition.Item)
	if len(condition.Item) == 0 {
		rows, _, err := t.scan(ctx)
		if err != nil {
			return fmt.Errorf("%s the lease of %s: refused, and whose it is cannot be seen: %w", doing, shardID, err)
		}
		there = rows[shardID]
	}
	if there != nil && holds(there) {
		return fmt.Errorf("%s the lease of %s in table %s: %w", doing, shardID, t.name,
			&awserr.StrangeError{Operation: "DynamoDB UpdateItem", Problem: "refuses a condition that holds"})
	}
	return errFenced
}

// ours reports whether a lease is held by us under that epoch.
func (t *table) ours(epoch int64) func(*row) bool {
	return func(l *row) bool { return l.owner == t.me && l.epoch == epoch }
}

// Stamp is a time as the lease table has it, "" if it is not known.
func Stamp(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format(time.RFC3339Nano)
}

func parseTime(s string) time.Time {
	t, err := time.Parse(time.RFC3339Nano, s)
	if err != nil {
		return time.Time{}
	}
	return t
}

func later(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}
