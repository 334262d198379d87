// Package ledger writes every root call down once, in a DynamoDB table that all tasks of an
// application share: it stands behind the pipeline's last stage. A call that was counted and never
// scraped, a copy that reaches another task, a deploy in the middle of it all: what is in the
// ledger is known to whoever lives.
//
// Three kinds of items share the table:
//
//	id = the call's id           one for each root call: who, what, where, when it was counted; it expires after 35 days. Another
//	                             call under the same id has a hash for an id. A correction that makes a call worse replaces it.
//	id = newest/<severity>/<n>   for each account, when its newest call of that severity was counted; of accounts without a
//	                             call in two days the oldest go when there are many
//
//	id = newest/accounts/<n>     the accounts that have label values of their own in the metrics
//
// The second kind restores the series that pages
// (rootwatch_last_unpushed_root_call_timestamp_seconds), with the very values that were shown
// before: a value that differed by a millisecond would look like another call.
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
	"rootwatch/pipeline/awsclient"
	"rootwatch/pipeline/awserr"
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
	// keep is how long calls are remembered: longer than any stream keeps its records (365 days
	// would be the most, but 7 are what the stacks set), and than the month that an investigation
	// looks back.
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
	healing  sync.Mutex    // held while a vanished table is made anew
	raising  chan struct{} // holds one for each note that is being written

	pruning  sync.Mutex         // held while room is made in a full item, so that one of a batch's calls does it for all
	prunings map[string]pruning // by item; guarded by pruning

	mu       sync.Mutex                     // guards what follows; of the maps by series the values are Unix milliseconds
	writings map[*pipeline.Finding]*writing // of calls that are not settled
	notes    map[series]*note               // that are being made
	noted    map[series]time.Time           // when the last one was made
	newest   map[series]int64               // the newest known to be in the table
	refused  map[series]int64               // the newest that the table did not take
	skewed   map[series]int64               // values from a wrong clock that have been told of
	unsaved  []string                       // accounts that have come by a label value
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
	cfg.DynamoDB = awsclient.DynamoDB(cfg.DynamoDB)
	l := &Ledger{
		cfg: cfg, recent: recent, raising: make(chan struct{}, notesAtOnce), writings: make(map[*pipeline.Finding]*writing),
		notes: make(map[series]*note), noted: make(map[series]time.Time),
		newest: make(map[series]int64), refused: make(map[series]int64), skewed: make(map[series]int64), prunings: make(map[string]pruning),
		failures: prometheus.NewCounter(prometheus.CounterOpts{Name: "rootwatch_ledger_failures_total", Help: "Calls to the ledger's table that failed. They are made again, unless DynamoDB refuses to note an account's newest call."}),
	}
	if err := cfg.Registerer.Register(l.failures); err != nil {
		return nil, fmt.Errorf("register the ledger's metrics: %w", err)
	}
	return l, nil
}

// Prepare makes sure of the table, of the permission to write there and of its time to live,
// waiting out what waiting heals.
func (l *Ledger) Prepare(ctx context.Context) error {
	return awserr.WaitOut(ctx, l.cfg.Logger, func() error {
		if err := dynamo.Ensure(ctx, l.cfg.DynamoDB, l.cfg.Table, attrID); err != nil {
			return err
		}
		if err := l.tryWriting(ctx); err != nil {
			return err
		}
		return l.expire(ctx)
	})
}

// expire turns time to live on. A role that may not is no reason to stop: calls are then kept for
// ever.
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
	if awserr.Healing(err) {
		return fmt.Errorf("setting the time to live of table %s: %w", l.cfg.Table, err)
	}
	l.cfg.Logger.Warn("the ledger's time to live could not be set: its items will not expire", "table", l.cfg.Table, "attribute", attrExpires, "err", err)
	return nil
}

// Seen implements pipeline.Ledger from memory.
func (l *Ledger) Seen(f *pipeline.Finding) bool { return l.recent.Seen(f) }

// Record implements pipeline.Ledger: one conditional put, in most cases.
func (l *Ledger) Record(ctx context.Context, f *pipeline.Finding) (pipeline.Recorded, error) {
	w := l.writing(f)
	outcome, old, err := l.write(ctx, f, w)
	if err != nil {
		l.failures.Inc()
		return 0, l.heal(ctx, err)
	}
	at := f.Counted.UnixMilli()
	w.newest = newestCall{seriesOf(f.AccountID, f.Verdict.Paging(f.Severity)), at, at}
	if outcome == pipeline.Copy {
		w.newest = l.newestOfCopy(old)
	}
	if _, err := l.recent.Record(ctx, f); err != nil {
		return 0, err
	}
	return outcome, nil
}

// Settle implements pipeline.Ledger: the account's newest call is noted, once for many calls. If
// the process dies before that, the record is read again, since nothing was checkpointed, and the
// put that finds the call there brings the newest call up. Once the call itself is written down,
// DynamoDB's refusal to note the newest one holds nobody up.
func (l *Ledger) Settle(ctx context.Context, f *pipeline.Finding) error {
	w := l.writing(f)
	for _, n := range []newestCall{w.other, w.newest} {
		if err := l.note(ctx, l.believed(n)); err != nil {
			l.failures.Inc()
			return l.heal(ctx, err)
		}
	}
	l.mu.Lock()
	delete(l.writings, f)
	l.mu.Unlock()
	return nil
}

// explain makes the error of a missing permission one that names table and region.
func (l *Ledger) explain(err error) error {
	return dynamo.Explain(err, l.cfg.DynamoDB, l.cfg.Table)
}

// heal makes a table that somebody has deleted anew, or emit would wait for it for ever; the call
// is tried again in either case. Calls that the old table held are counted once more if they are
// read again.
func (l *Ledger) heal(ctx context.Context, err error) error {
	var missing *types.ResourceNotFoundException
	if !errors.As(err, &missing) {
		return err
	}
	l.healing.Lock() // a batch's calls all find the table gone: one makes it
	defer l.healing.Unlock()
	l.cfg.Logger.Error("the ledger's table is gone: it is made anew", "table", l.cfg.Table)
	return errors.Join(err, dynamo.Ensure(ctx, l.cfg.DynamoDB, l.cfg.Table, attrID), l.expire(ctx))
}

// writing is what all tries to write one finding down have in common.
type writing struct {
	token string // nobody else's
	// correcting is set before a milder item is replaced: if the answer is lost, the item that is
	// found to be ours was that of a call that had been counted before.
	correcting bool
	newest     newestCall // what is to be noted once the call is written down
	// other is the same of another call that was found under the id: from now on its copies are
	// recognised in memory, so that nobody else would note it if who wrote it has died.
	other newestCall
}

// writing is that of a finding which is not settled yet.
func (l *Ledger) writing(f *pipeline.Finding) *writing {
	l.mu.Lock()
	defer l.mu.Unlock()
	w, ok := l.writings[f]
	if !ok {
		w = &writing{token: uuid.NewString()}
		l.writings[f] = w
	}
	return w
}

// write finds the item of the call and puts the finding there, if there is none or what is there is
// milder; old is what is there otherwise.
func (l *Ledger) write(ctx context.Context, f *pipeline.Finding, w *writing) (outcome pipeline.Recorded, old dynamo.Item, err error) {
	id := key(f.ID)
	old, err = l.put(ctx, f, id, w, "")
	if err == nil && old != nil && !f.Identity().Same(identityOf(old)) {
		verdict, reason, severity := verdictOf(old)
		l.recent.Remember(f.ID, identityOf(old), verdict, reason, severity)
		w.other = l.newestOfCopy(old)
		id, old, err = l.another(ctx, f, w, id, old)
	}
	switch {
	case err != nil:
		return 0, nil, err
	case old == nil && w.correcting:
		return pipeline.Correction, nil, nil
	case old == nil:
		return pipeline.First, nil, nil
	case !worsens(f, old):
		return pipeline.Copy, old, nil
	}
	w.correcting = true
	switch now, err := l.put(ctx, f, id, w, dynamo.Text(old, attrToken)); {
	case err != nil:
		return 0, nil, err
	case now != nil:
		return 0, nil, fmt.Errorf("correcting call %s in ledger %s: another task has corrected it meanwhile", id, l.cfg.Table)
	}
	return pipeline.Correction, nil, nil
}

// another is for a finding whose id belongs to another call: it has an item under an id of its own,
// unless it corrects the call that has the id.
func (l *Ledger) another(ctx context.Context, f *pipeline.Finding, w *writing, id string, there dynamo.Item) (string, dynamo.Item, error) {
	own := f.OwnID()
	if !f.Identity().Corrects() {
		old, err := l.put(ctx, f, own, w, "")
		return own, old, err
	}
	switch old, err := l.get(ctx, own); {
	case err != nil:
		return own, nil, err
	case len(old) > 0:
		return own, old, nil
	}
	return id, there, nil
}

// identityOf is the identity of the call in an item.
func identityOf(item dynamo.Item) pipeline.Identity {
	return pipeline.NewIdentity(dynamo.Text(item, "event_time"), dynamo.Text(item, "event_source"), dynamo.Text(item, "event_name"),
		dynamo.Text(item, attrAccount), dynamo.Text(item, "addendum") == "UPDATED_DATA")
}

// worsens reports whether a finding makes the call in an item worse.
func worsens(f *pipeline.Finding, item dynamo.Item) bool {
	verdict, reason, severity := verdictOf(item)
	return f.Worsens(identityOf(item), verdict, reason, severity)
}

func verdictOf(item dynamo.Item) (classify.Verdict, classify.Reason, classify.Severity) {
	return classify.Verdict(dynamo.Text(item, attrVerdict)), classify.Reason(dynamo.Text(item, attrReason)), classify.Severity(dynamo.Text(item, attrSeverity))
}

// put writes the call under an id if nothing is there, or if what is there is ours by its token or
// has the token that is to be replaced; old is what is there otherwise.
func (l *Ledger) put(ctx context.Context, f *pipeline.Finding, id string, w *writing, replaces string) (old dynamo.Item, err error) {
	putting, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	item := dynamo.Item{
		attrID: dynamo.String(id), attrToken: dynamo.String(w.token),
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
		ExpressionAttributeValues:           dynamo.Item{":token": dynamo.String(w.token)},
		ReturnValuesOnConditionCheckFailure: types.ReturnValuesOnConditionCheckFailureAllOld,
	}
	if replaces != "" {
		*in.ConditionExpression += " OR #token = :replaces"
		in.ExpressionAttributeValues[":replaces"] = dynamo.String(replaces)
	}
	_, err = l.cfg.DynamoDB.PutItem(putting, in)
	var there *types.ConditionalCheckFailedException
	switch {
	case err == nil:
		return nil, nil
	case !errors.As(err, &there):
		return nil, l.explain(fmt.Errorf("writing call %s into ledger %s: %w", id, l.cfg.Table, err))
	case len(there.Item) > 0:
		return there.Item, nil
	}
	return l.found(ctx, id)
}

// found reads the item that a refused write did not show: that a call was written down before is
// believed when it is seen.
func (l *Ledger) found(ctx context.Context, id string) (dynamo.Item, error) {
	item, err := l.get(ctx, id)
	if err == nil && len(item) == 0 {
		err = fmt.Errorf("writing call %s into ledger %s: refused as written before, and it is not there", id, l.cfg.Table)
	}
	return item, err
}

// key is the id as a key of the table.
func key(id string) string {
	if len(id) > maxKey || strings.HasPrefix(id, newestPrefix) {
		sum := sha256.Sum256([]byte(id))
		return "sha256:" + hex.EncodeToString(sum[:])
	}
	return id
}
