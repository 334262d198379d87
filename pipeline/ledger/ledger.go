// Package ledger writes every root call down once, in a DynamoDB table that all tasks of an application share: it stands behind
// the pipeline's last stage. A call that was counted and never scraped, a copy that reaches another task, a deploy in the
// middle of it all: what is in the ledger is known to whoever lives.
//
// Two kinds of items share the table:
//
//	id = the call's id           one for each root call: who, what, where, when it was counted; it expires after 35 days
//	id = newest/<severity>/<n>   for each account, when its newest call of that severity was counted
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
	"maps"
	"slices"
	"strconv"
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
	// keep is how long calls are remembered: longer than any stream keeps its records (365 days would be the most, but 7 are
	// what the stacks set), and than the month that an investigation looks back.
	keep = 35 * 24 * time.Hour
	// newestPrefix begins the ids of the items that are not calls.
	newestPrefix = "newest/"
	// newestParts spreads the accounts of a severity over so many items: an item holds 400 KB, some 13,000 accounts.
	newestParts = 4
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
}

// Ledger is a pipeline.Ledger in DynamoDB.
type Ledger struct {
	cfg      Config
	recent   *pipeline.MemoryLedger
	failures prometheus.Counter
	healing  sync.Mutex // held while a vanished table is made anew

	mu     sync.Mutex                   // guards what follows
	tokens map[*pipeline.Finding]string // of calls whose writing has not been answered
	newest map[series]int64             // the newest known to be in the table, Unix milliseconds
}

type series struct {
	account  string
	severity classify.Severity
}

var _ pipeline.Ledger = (*Ledger)(nil)

// New makes a ledger; it calls nobody.
func New(cfg Config) (*Ledger, error) {
	recent, err := pipeline.NewMemoryLedger(cfg.Remember)
	if err != nil {
		return nil, err
	}
	l := &Ledger{
		cfg: cfg, recent: recent, tokens: make(map[*pipeline.Finding]string), newest: make(map[series]int64),
		failures: prometheus.NewCounter(prometheus.CounterOpts{Name: "rootwatch_ledger_failures_total", Help: "Calls to the ledger's table that failed; they are made again."}),
	}
	if err := cfg.Registerer.Register(l.failures); err != nil {
		return nil, fmt.Errorf("register the ledger's metrics: %w", err)
	}
	return l, nil
}

// Prepare makes sure of the table and its time to live, waiting out what waiting heals.
func (l *Ledger) Prepare(ctx context.Context) error {
	return dynamo.Persist(ctx, l.cfg.Logger, func() error {
		if err := dynamo.Ensure(ctx, l.cfg.DynamoDB, l.cfg.Table, attrID, "--ledger.table"); err != nil {
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
// up to the moment at which it was counted.
func (l *Ledger) Record(ctx context.Context, f *pipeline.Finding) (first bool, err error) {
	token := l.token(f)
	old, err := l.put(ctx, f, token)
	if err == nil {
		counted, severity, account := f.Counted.UnixMilli(), f.Severity, f.AccountID
		if old != nil {
			counted, _ = dynamo.Int(old, attrCounted)
			severity, account = classify.Severity(dynamo.Text(old, attrSeverity)), dynamo.Text(old, attrAccount)
		}
		err = l.raise(ctx, series{account, severity}, counted)
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
	return errors.Join(err, dynamo.Ensure(ctx, l.cfg.DynamoDB, l.cfg.Table, attrID, "--ledger.table"), l.expire(ctx))
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
		return nil, fmt.Errorf("writing call %s into ledger %s: %w", key(f.ID), l.cfg.Table, err)
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

// raise brings the newest call of an account and severity up to at, Unix milliseconds.
func (l *Ledger) raise(ctx context.Context, s series, at int64) error {
	if s.severity == classify.None || s.severity == "" || s.account == "" || at == 0 {
		return nil
	}
	l.mu.Lock()
	known := l.newest[s] >= at
	l.mu.Unlock()
	if known {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	_, err := l.cfg.DynamoDB.UpdateItem(ctx, &dynamodb.UpdateItemInput{
		TableName: &l.cfg.Table, Key: dynamo.Item{attrID: dynamo.String(newestID(s.severity, part(s.account)))},
		UpdateExpression:          aws.String("SET #account = :at"),
		ConditionExpression:       aws.String("attribute_not_exists(#account) OR #account < :at"),
		ExpressionAttributeNames:  map[string]string{"#account": s.account},
		ExpressionAttributeValues: dynamo.Item{":at": dynamo.Number(at)},
	})
	var newer *types.ConditionalCheckFailedException
	if err != nil && !errors.As(err, &newer) {
		return fmt.Errorf("writing the newest call of account %s into ledger %s: %w", s.account, l.cfg.Table, err)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.newest[s] = max(l.newest[s], at)
	return nil
}

func newestID(severity classify.Severity, part int) string {
	return newestPrefix + string(severity) + "/" + strconv.Itoa(part)
}

// part is the item that an account's newest calls are in.
func part(account string) int {
	if account == "" {
		return 0
	}
	return int(account[len(account)-1]) % newestParts
}

// Newest is the newest call of one account and severity.
type Newest struct {
	AccountID string
	Severity  classify.Severity
	Counted   time.Time
}

// Newest reads the newest call of each account and severity, of all tasks.
func (l *Ledger) Newest(ctx context.Context) ([]Newest, error) {
	var all []Newest
	for _, severity := range classify.Severities() {
		if severity == classify.None {
			continue
		}
		for part := range newestParts {
			item, err := l.get(ctx, newestID(severity, part))
			if err != nil {
				l.failures.Inc()
				return nil, err
			}
			for _, account := range slices.Sorted(maps.Keys(item)) { // the cap on accounts must fall alike at every start
				if at, ok := dynamo.Int(item, account); ok {
					all = append(all, Newest{account, severity, time.UnixMilli(at)})
				}
			}
		}
	}
	return all, nil
}

func (l *Ledger) get(ctx context.Context, id string) (dynamo.Item, error) {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	out, err := l.cfg.DynamoDB.GetItem(ctx, &dynamodb.GetItemInput{
		TableName: &l.cfg.Table, Key: dynamo.Item{attrID: dynamo.String(id)}, ConsistentRead: aws.Bool(true),
	})
	if err != nil {
		return nil, fmt.Errorf("reading %s from ledger %s: %w", id, l.cfg.Table, err)
	}
	return out.Item, nil
}

// Restore reads the newest calls and gives each to raise, once before it returns: a task must not be scraped without them.
func (l *Ledger) Restore(ctx context.Context, raise func(Newest)) error {
	return dynamo.Persist(ctx, l.cfg.Logger, func() error {
		all, err := l.Newest(ctx)
		for _, n := range all {
			raise(n)
		}
		return err
	})
}

// Refresh does the same again and again until ctx ends: a task may have died before it was scraped.
func (l *Ledger) Refresh(ctx context.Context, every time.Duration, raise func(Newest)) {
	for dynamo.Sleep(ctx, every) == nil {
		all, err := l.Newest(ctx)
		if err != nil && ctx.Err() == nil {
			l.cfg.Logger.Warn("the ledger could not be read: calls that other tasks counted may show late", "err", err)
		}
		for _, n := range all {
			raise(n)
		}
	}
}
