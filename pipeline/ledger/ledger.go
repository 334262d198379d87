// Package ledger writes every root call down once, in a DynamoDB table that all tasks of an application share: it stands behind
// the pipeline's last stage. A call that was counted and never scraped, a copy that reaches another task, a deploy in the
// middle of it all: what is in the ledger is known to whoever lives.
//
// Two kinds of items share the table:
//
//	id = the call's id           one for each root call: who, what, where, when it was counted; it expires after 35 days
//	id = newest/<severity>/<n>   for each account, when its newest call of that severity was counted; of accounts without a
//	                             call in two days the oldest go when there are many
//
// The second kind restores the series that pages (rootwatch_last_unpushed_root_call_timestamp_seconds), with the very values
// that were shown before: a value that differed by a millisecond would look like another call.
package ledger

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/google/uuid"
	"github.com/prometheus/client_golang/prometheus"

	"rootwatch/classify"
	"rootwatch/pipeline"
	"rootwatch/pipeline/dynamo"
)

// The attributes of a call.
const (
	attrID       = "id"
	attrToken    = "token"      // who wrote the item: tells a write whose answer was lost from another's
	attrCounted  = "counted_at" // Unix milliseconds: the value that the paging series shows
	attrExpires  = "expires_at" // Unix seconds, for DynamoDB's time to live
	attrVerdict  = "verdict"
	attrReason   = "reason"
	attrSeverity = "severity"
	attrAccount  = "account_id"
)

const (
	// tableFlag is the setting that names the table.
	tableFlag = "--ledger.table"
	// keep is how long calls are remembered: longer than any stream keeps its records (365 days would be the most, but 7 are
	// what the stacks set), and than the month that an investigation looks back.
	keep = 35 * 24 * time.Hour
	// maxKey is what an id may have to be a key as it is; DynamoDB's limit is 2,048 bytes.
	maxKey = 256
	// callTimeout bounds one call, the SDK's retries included; emit tries again after it.
	callTimeout = 5 * time.Second
)

// Config is what a ledger needs.
type Config struct {
	DynamoDB   *dynamodb.Client
	Table      string
	Remember   int // how many calls to recognise without asking DynamoDB
	Registerer prometheus.Registerer
	Logger     *slog.Logger
	Now        func() time.Time // time.Now if nil
}

// Ledger is a pipeline.Ledger in DynamoDB.
type Ledger struct {
	cfg      Config
	recent   *pipeline.MemoryLedger
	failures prometheus.Counter
	healing  sync.Mutex // held while a vanished table is made anew

	tidying sync.Mutex         // held while room is made in a full item, so that one of a batch's calls does it for all
	tidied  map[string]tidying // by item; guarded by tidying

	mu      sync.Mutex                   // guards what follows; of the maps by series the values are Unix milliseconds
	tokens  map[*pipeline.Finding]string // of calls whose writing has not been answered
	newest  map[series]int64             // the newest known to be in the table
	refused map[series]int64             // the newest that the table did not take
	strange map[series]int64             // values from a wrong clock that have been told of
}

var _ pipeline.Ledger = (*Ledger)(nil)

// New checks the configuration and makes a ledger; it calls nobody.
func New(cfg Config) (*Ledger, error) {
	if err := dynamo.CheckName(cfg.Table); err != nil {
		return nil, fmt.Errorf("ledger: %w", err)
	}
	recent, err := pipeline.NewMemoryLedger(cfg.Remember)
	if err != nil {
		return nil, err
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	l := &Ledger{
		cfg: cfg, recent: recent, tokens: make(map[*pipeline.Finding]string),
		newest: make(map[series]int64), refused: make(map[series]int64), strange: make(map[series]int64), tidied: make(map[string]tidying),
		failures: prometheus.NewCounter(prometheus.CounterOpts{Name: "rootwatch_ledger_failures_total", Help: "Calls to the ledger's table that failed. They are made again, unless DynamoDB refuses to note an account's newest call."}),
	}
	if err := cfg.Registerer.Register(l.failures); err != nil {
		return nil, fmt.Errorf("register the ledger's metrics: %w", err)
	}
	return l, nil
}

// Prepare makes sure of the table and its time to live, waiting out what waiting heals.
func (l *Ledger) Prepare(ctx context.Context) error {
	return dynamo.Persist(ctx, l.cfg.Logger, func() error {
		if err := dynamo.Ensure(ctx, l.cfg.DynamoDB, l.cfg.Table, attrID, tableFlag); err != nil {
			return err
		}
		return l.expire(ctx)
	})
}

// expire turns time to live on. A role that may not is no reason to stop: calls are then kept for ever.
func (l *Ledger) expire(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	_, err := l.cfg.DynamoDB.UpdateTimeToLive(ctx, &dynamodb.UpdateTimeToLiveInput{
		TableName:               &l.cfg.Table,
		TimeToLiveSpecification: &types.TimeToLiveSpecification{AttributeName: aws.String(attrExpires), Enabled: aws.Bool(true)},
	})
	if err == nil || strings.Contains(err.Error(), "already enabled") {
		return nil
	}
	if dynamo.Healing(err) {
		return fmt.Errorf("setting the time to live of table %s: %w", l.cfg.Table, err)
	}
	l.cfg.Logger.Warn("the ledger's time to live could not be set: its items will not expire", "table", l.cfg.Table, "attribute", attrExpires, "err", err)
	return nil
}

// Seen implements pipeline.Ledger from memory.
func (l *Ledger) Seen(f *pipeline.Finding) bool { return l.recent.Seen(f) }

// Record implements pipeline.Ledger: one conditional put, then the account's newest call. If the process dies between the
// two, the record is read again, since nothing was checkpointed, and the put that finds the call there brings the newest call
// up. Once the call itself is written down, DynamoDB's refusal to note the newest one holds nobody up.
func (l *Ledger) Record(ctx context.Context, f *pipeline.Finding) (first bool, err error) {
	token := l.token(f)
	old, err := l.put(ctx, f, token)
	switch {
	case err != nil:
	case old == nil:
		at := f.Counted.UnixMilli()
		err = l.raise(ctx, seriesOf(f.AccountID, f.Severity), at, at)
	default:
		counted, _ := dynamo.Int(old, attrCounted)
		err = l.raiseCopy(ctx, seriesOf(dynamo.Text(old, attrAccount), classify.Severity(dynamo.Text(old, attrSeverity))), counted)
	}
	if err != nil {
		l.failures.Inc()
		return false, l.heal(ctx, err)
	}
	l.mu.Lock()
	delete(l.tokens, f)
	l.mu.Unlock()
	if _, err := l.recent.Record(ctx, f); err != nil {
		return false, err
	}
	return old == nil, nil
}

// explain adds what to do about a table that may not be used.
func (l *Ledger) explain(err error) error {
	return dynamo.Explain(err, l.cfg.DynamoDB, l.cfg.Table, tableFlag)
}

// heal makes a table that somebody has deleted anew, or emit would wait for it for ever; the call is tried again in either case.
// Calls that the old table held are counted once more if they are read again.
func (l *Ledger) heal(ctx context.Context, err error) error {
	var missing *types.ResourceNotFoundException
	if !errors.As(err, &missing) {
		return err
	}
	l.healing.Lock() // a batch's calls all find the table gone: one makes it
	defer l.healing.Unlock()
	l.cfg.Logger.Error("the ledger's table is gone: it is made anew", "table", l.cfg.Table)
	return errors.Join(err, dynamo.Ensure(ctx, l.cfg.DynamoDB, l.cfg.Table, attrID, tableFlag), l.expire(ctx))
}

// token is the same for all tries to write one finding down, and nobody else's.
func (l *Ledger) token(f *pipeline.Finding) string {
	l.mu.Lock()
	defer l.mu.Unlock()
	token, ok := l.tokens[f]
	if !ok {
		token = uuid.NewString()
		l.tokens[f] = token
	}
	return token
}

// put writes the call if it is not there; old is what is there.
func (l *Ledger) put(ctx context.Context, f *pipeline.Finding, token string) (old dynamo.Item, err error) {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	item := dynamo.Item{
		attrID: dynamo.String(key(f.ID)), attrToken: dynamo.String(token),
		attrCounted: dynamo.Number(f.Counted.UnixMilli()), attrExpires: dynamo.Number(f.Counted.Add(keep).Unix()),
	}
	for _, a := range f.Attrs() {
		if v := a.Value.String(); v != "" && item[a.Key] == nil {
			item[a.Key] = dynamo.String(v)
		}
	}
	in := &dynamodb.PutItemInput{
		TableName: &l.cfg.Table, Item: item,
		ConditionExpression:                 aws.String("attribute_not_exists(#id) OR #token = :token"),
		ExpressionAttributeNames:            map[string]string{"#id": attrID, "#token": attrToken},
		ExpressionAttributeValues:           dynamo.Item{":token": dynamo.String(token)},
		ReturnValuesOnConditionCheckFailure: types.ReturnValuesOnConditionCheckFailureAllOld,
	}
	if f.Verdict == classify.Unexplained { // a correction that turns a harmless call into an unexplained one must be heard
		*in.ConditionExpression += " OR #verdict = :service"
		in.ExpressionAttributeNames["#verdict"] = attrVerdict
		in.ExpressionAttributeValues[":service"] = dynamo.String(string(classify.ServiceInvoked))
	}
	_, err = l.cfg.DynamoDB.PutItem(ctx, in)
	var there *types.ConditionalCheckFailedException
	switch {
	case errors.As(err, &there):
		if there.Item == nil {
			return dynamo.Item{}, nil
		}
		return there.Item, nil
	case err != nil:
		return nil, l.explain(fmt.Errorf("writing call %s into ledger %s: %w", key(f.ID), l.cfg.Table, err))
	}
	return nil, nil
}

// key is the id as a key of the table.
func key(id string) string {
	if len(id) > maxKey || strings.HasPrefix(id, newestPrefix) {
		sum := sha256.Sum256([]byte(id))
		return "sha256:" + hex.EncodeToString(sum[:])
	}
	return id
}
