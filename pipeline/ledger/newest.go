package ledger

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"rootwatch/classify"
	"rootwatch/pipeline/awserr"
	"rootwatch/pipeline/dynamo"
	"rootwatch/pipeline/retry"
)

const (
	// newestPrefix begins the ids of the items that are not calls.
	newestPrefix = "newest/"
	// newestParts spreads the accounts of a severity over so many items. An item holds 400 KB, some
	// 20,000 accounts; an item for each account would have no such limit, but could be read only by
	// a scan of 35 days of calls, each minute, in each task.
	newestParts = 4
	// lookBack is for how long a newest call matters: the rule that pages looks back a day.
	lookBack = 48 * time.Hour
	// pruneAbove is how many accounts with nothing newer than lookBack an item may have before they
	// are taken out: a full item takes no further account, and made-up account ids would fill it.
	pruneAbove = 1000
	// pruneAtOnce is how many of them one update takes out: DynamoDB allows an expression of 4 KB.
	pruneAtOnce = 100
	// prunePause is the least time between two tries to make room in one item.
	prunePause = time.Minute
	// clockError is how far another host's clock may be ahead. What lies further in the future was
	// written by a wrong clock: it would be newer than every call to come, for as long as the clock
	// was wrong.
	clockError = 5 * time.Minute
	// staleCount is the age from which on a copy's moment of counting is too old to be shown for
	// the first time: the rule that pages would not look back so far for long, or at all. It is
	// emit's own limit.
	staleCount = 10 * time.Minute
	// prunedName is the attribute with the newest call that was ever taken out of an item: a copy
	// of one as old was shown before.
	prunedName = "pruned"
	// mostKnown bounds the memory for newest calls.
	mostKnown = 100_000
)

// series is what has a newest call: a series of
// rootwatch_last_unpushed_root_call_timestamp_seconds.
type series struct {
	account  string
	severity classify.Severity
}

// pruning is the last try to make room in an item.
type pruning struct {
	at   time.Time
	made bool
}

// seriesOf puts all that is no account's id into one, as the metrics do: it becomes an attribute's
// name.
func seriesOf(account string, severity classify.Severity) series {
	if !classify.IsAccountID(account) {
		account = classify.UnknownAccount
	}
	return series{account, severity}
}

// Newest is the newest call of one account and severity.
type Newest struct {
	AccountID string
	Severity  classify.Severity
	Counted   time.Time
}

// raise makes to the newest call of its series if the table has none as new as counted, or one from
// a wrong clock.
func (l *Ledger) raise(ctx context.Context, s series, counted, to int64) error {
	if s.severity == classify.None || s.severity == "" || to == 0 {
		return nil
	}
	future := l.cfg.Now().Add(clockError).UnixMilli()
	l.mu.Lock()
	newest, known := l.newest[s]
	l.mu.Unlock()
	if known && newest >= counted && newest <= future {
		return nil
	}
	select {
	case l.raising <- struct{}{}:
		defer func() { <-l.raising }()
	case <-ctx.Done():
		return ctx.Err()
	}
	id := newestID(s.severity, part(s.account))
	err := l.update(ctx, id, s, counted, to, future)
	if full(err) && l.makeRoom(ctx, id) {
		err = l.update(ctx, id, s, counted, to, future)
	}
	var newer *types.ConditionalCheckFailedException
	var missing *types.ResourceNotFoundException
	switch {
	case err == nil:
		l.keepNewest(l.newest, s, to)
	case errors.As(err, &newer):
		l.keepNewest(l.newest, s, counted)
	case !awserr.Refused(err) || errors.As(err, &missing):
		return fmt.Errorf("writing the newest call of account %s into ledger %s: %w", s.account, l.cfg.Table, err)
	default: // the call itself is written down, and asking again would stop every shard for ever
		l.failures.Inc()
		l.keepNewest(l.refused, s, to)
		l.cfg.Logger.Error("the ledger does not take an account's newest call: this task alone shows it, until it ends",
			"account_id", s.account, "severity", string(s.severity), "table", l.cfg.Table, "err", err)
	}
	return nil
}

// update is one conditional write. future is the moment from which on what is there counts as
// absent.
func (l *Ledger) update(ctx context.Context, id string, s series, counted, to, future int64) error {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	out, err := l.cfg.DynamoDB.UpdateItem(ctx, &dynamodb.UpdateItemInput{
		TableName: &l.cfg.Table, Key: dynamo.Item{attrID: dynamo.String(id)},
		UpdateExpression: aws.String("SET #account = :to"),
		ConditionExpression: aws.String("attribute_not_exists(#account) AND (attribute_not_exists(#pruned) OR #pruned < :counted)" +
			" OR #account < :counted OR #account > :future"),
		ExpressionAttributeNames: map[string]string{"#account": s.account, "#pruned": prunedName},
		ExpressionAttributeValues: dynamo.Item{
			":to": dynamo.Number(to), ":counted": dynamo.Number(counted), ":future": dynamo.Number(future),
		},
		ReturnValues: types.ReturnValueUpdatedOld,
	})
	if err != nil {
		return err
	}
	if old, ok := dynamo.Int(out.Attributes, s.account); ok && old > future {
		l.logSkew(s, old)
	}
	return nil
}

// keepNewest keeps the newest of a series. A map that has grown too large, by made-up accounts, is
// begun anew: what is forgotten in newest is asked for again.
func (l *Ledger) keepNewest(known map[series]int64, s series, at int64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(known) >= mostKnown {
		clear(known)
	}
	if old := known[s]; old < at || old > l.cfg.Now().Add(clockError).UnixMilli() {
		known[s] = at
	}
}

// logSkew tells of a value from a wrong clock, once.
func (l *Ledger) logSkew(s series, at int64) {
	l.mu.Lock()
	told := l.skewed[s] == at
	if len(l.skewed) >= mostKnown {
		clear(l.skewed)
	}
	l.skewed[s] = at
	l.mu.Unlock()
	if !told {
		l.cfg.Logger.Error("the ledger's newest call of an account lies in the future, so a task's clock was wrong: it is ignored, and the next call takes its place",
			"account_id", s.account, "severity", string(s.severity), "counted", time.UnixMilli(at).UTC(), "table", l.cfg.Table)
	}
}

// full reports whether an item was refused for its size.
func full(err error) bool {
	return err != nil && awserr.Refused(err) && strings.Contains(strings.ToLower(err.Error()), "item size")
}

// makeRoom takes accounts whose newest calls matter no more out of a full item, and reports whether
// that made room.
func (l *Ledger) makeRoom(ctx context.Context, id string) bool {
	l.pruning.Lock()
	defer l.pruning.Unlock()
	now := l.cfg.Now()
	if last, ok := l.prunings[id]; ok && now.Sub(last.at) < prunePause {
		return last.made
	}
	item, err := l.get(ctx, id)
	removed := 0
	if err == nil {
		removed, err = l.prune(ctx, id, item)
	}
	l.prunings[id] = pruning{now, removed > 0}
	l.cfg.Logger.Warn("an item of the ledger is full: accounts without a call in two days were taken out", "item", id, "taken_out", removed, "err", err)
	return removed > 0
}

// prune takes up to pruneAbove accounts whose newest calls matter no more out of an item, the
// oldest first. None goes that has had a call in the meantime.
func (l *Ledger) prune(ctx context.Context, id string, item dynamo.Item) (removed int, err error) {
	old := l.outdated(item)
	old = old[:min(len(old), pruneAbove)]
	limit := dynamo.Number(l.cfg.Now().Add(-lookBack).UnixMilli())
	for accounts := range slices.Chunk(old, pruneAtOnce) {
		newest, _ := dynamo.Int(item, accounts[len(accounts)-1])
		names := map[string]string{"#pruned": prunedName}
		var remove, condition []string
		for i, account := range accounts {
			name := "#" + strconv.Itoa(i)
			names[name] = account
			remove, condition = append(remove, name), append(condition, name+" < :old")
		}
		err := l.remove(ctx, &dynamodb.UpdateItemInput{
			TableName: &l.cfg.Table, Key: dynamo.Item{attrID: dynamo.String(id)},
			UpdateExpression:         aws.String("REMOVE " + strings.Join(remove, ", ") + " SET #pruned = :newest"),
			ConditionExpression:      aws.String(strings.Join(condition, " AND ")),
			ExpressionAttributeNames: names, ExpressionAttributeValues: dynamo.Item{":old": limit, ":newest": dynamo.Number(newest)},
		})
		var changed *types.ConditionalCheckFailedException
		switch {
		case errors.As(err, &changed): // by a call, or by another task that prunes too
		case err != nil:
			return removed, fmt.Errorf("taking accounts out of %s in ledger %s: %w", id, l.cfg.Table, err)
		default:
			removed += len(accounts)
		}
	}
	return removed, nil
}

func (l *Ledger) remove(ctx context.Context, in *dynamodb.UpdateItemInput) error {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	_, err := l.cfg.DynamoDB.UpdateItem(ctx, in)
	return err
}

// outdated are the accounts of an item whose newest calls matter no more, the oldest first.
func (l *Ledger) outdated(item dynamo.Item) []string {
	limit := l.cfg.Now().Add(-lookBack).UnixMilli()
	var accounts []string
	for account := range item {
		if at, ok := dynamo.Int(item, account); ok && at < limit && account != prunedName {
			accounts = append(accounts, account)
		}
	}
	slices.SortFunc(accounts, func(a, b string) int {
		x, _ := dynamo.Int(item, a)
		y, _ := dynamo.Int(item, b)
		return cmp.Compare(x, y)
	})
	return accounts
}

func newestID(severity classify.Severity, part int) string {
	return newestPrefix + string(severity) + "/" + strconv.Itoa(part)
}

// part is the item that an account's newest calls are in.
func part(account string) int { return int(account[len(account)-1]) % newestParts }

// Newest reads the newest call of each account and severity, of all tasks, and adds those of this
// one that the table did not take. After an error it returns the latter alone.
func (l *Ledger) Newest(ctx context.Context) ([]Newest, error) {
	var all []Newest
	var failed error
read:
	for _, severity := range classify.Severities() {
		if severity == classify.None {
			continue
		}
		for part := range newestParts {
			id := newestID(severity, part)
			item, err := l.get(ctx, id)
			if err != nil {
				l.failures.Inc()
				all, failed = nil, err
				break read
			}
			all = append(all, l.newestIn(item, severity)...)
			if len(l.outdated(item)) > pruneAbove {
				if _, err := l.prune(ctx, id, item); err != nil {
					l.cfg.Logger.Warn("accounts without a call in two days could not be taken out of the ledger's newest calls", "err", err)
				}
			}
		}
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	maps.DeleteFunc(l.refused, func(_ series, at int64) bool { return l.cfg.Now().Sub(time.UnixMilli(at)) > lookBack })
	for s, at := range l.refused {
		all = append(all, Newest{s.account, s.severity, time.UnixMilli(at)})
	}
	return all, failed
}

// newestIn are the newest calls of an item, but for those from a wrong clock and those that matter
// no more: an account that has none takes up none of the metrics' label values.
func (l *Ledger) newestIn(item dynamo.Item, severity classify.Severity) []Newest {
	var all []Newest
	now := l.cfg.Now()
	future, old := now.Add(clockError).UnixMilli(), now.Add(-lookBack).UnixMilli()
	for _, account := range slices.Sorted(maps.Keys(item)) { // the cap on accounts must fall alike at every start
		at, ok := dynamo.Int(item, account)
		switch {
		case !ok || at < old || account == prunedName:
		case at > future:
			l.logSkew(series{account, severity}, at)
		default:
			all = append(all, Newest{account, severity, time.UnixMilli(at)})
		}
	}
	return all
}

func (l *Ledger) get(ctx context.Context, id string) (dynamo.Item, error) {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	out, err := l.cfg.DynamoDB.GetItem(ctx, &dynamodb.GetItemInput{
		TableName: &l.cfg.Table, Key: dynamo.Item{attrID: dynamo.String(id)}, ConsistentRead: aws.Bool(true),
	})
	if err != nil {
		return nil, l.explain(fmt.Errorf("reading %s from ledger %s: %w", id, l.cfg.Table, err))
	}
	return out.Item, nil
}

// Restore gives each account that has a label value of its own to label, and then each newest call
// to raise, before it returns: a task must not be scraped without them.
func (l *Ledger) Restore(ctx context.Context, label func(account string), raise func(Newest)) error {
	return awserr.WaitOut(ctx, l.cfg.Logger, func() error {
		accounts, err := l.labels(ctx)
		if err != nil {
			l.failures.Inc()
			return err
		}
		for _, account := range accounts {
			label(account)
		}
		all, err := l.Newest(ctx)
		for _, n := range all {
			raise(n)
		}
		return err
	})
}

// Refresh raises the newest calls again and again until ctx ends, as a task may have died before it
// was scraped, and writes down what has no hurry.
func (l *Ledger) Refresh(ctx context.Context, every time.Duration, raise func(Newest)) {
	for retry.Sleep(ctx, every) == nil {
		all, err := l.Newest(ctx)
		if err != nil && ctx.Err() == nil {
			l.cfg.Logger.Warn("the ledger could not be read: calls that other tasks counted may show late", "err", err)
		}
		for _, n := range all {
			raise(n)
		}
		if err := l.saveLabels(ctx); err != nil && ctx.Err() == nil {
			l.failures.Inc()
			l.cfg.Logger.Warn("the ledger does not take which accounts have label values: after a restart others may have them", "err", err)
		}
	}
}
