package kinesistest

import (
	"crypto/sha256"
	"errors"
	"maps"
	"slices"
	"strings"
	"time"
)

func init() {
	register(dynamodbService, map[string]operation{"TransactWriteItems": onTables(transactWriteItems)})
}

const (
	maxTransactWrites = 100
	tokenLifetime     = 10 * time.Minute // of a ClientRequestToken
)

type transactInput struct {
	TransactItems          []transactWrite
	ClientRequestToken     string
	ReturnConsumedCapacity string
}

// transactWrite is one of a transaction's writes: exactly one field is set.
type transactWrite struct {
	ConditionCheck *keyInput
	Put            *putItemInput
	Delete         *keyInput
	Update         *keyInput
}

// cancellationReason is why a transaction was refused; Code is None for those of its writes that were fine.
type cancellationReason struct {
	Code    string
	Message string `json:",omitempty"`
	Item    item   `json:",omitempty"`
}

// doneTransaction is remembered for a while: a client that asks again with the same token gets the answer
// without a second effect.
type doneTransaction struct {
	at   time.Time
	body [sha256.Size]byte
	out  any
}

// change reads one write.
func (w transactWrite) change() (*writeInput, change, error) {
	given := 0
	for _, there := range []bool{w.Put != nil, w.Delete != nil, w.ConditionCheck != nil, w.Update != nil} {
		if there {
			given++
		}
	}
	switch {
	case given != 1:
		return nil, change{}, invalid("TransactItems can only contain one of Check, Put, Update or Delete")
	case w.Update != nil:
		u, cond, err := w.Update.update()
		return &w.Update.writeInput, updateChange(w.Update.Key, u, cond), err
	case w.Put != nil:
		cond, err := w.Put.only()
		return &w.Put.writeInput, putChange(w.Put.Item, cond), err
	case w.Delete != nil:
		cond, err := w.Delete.only()
		return &w.Delete.writeInput, deleteChange(w.Delete.Key, cond), err
	}
	cond, err := w.ConditionCheck.only()
	if err == nil && cond == nil {
		err = missing("conditionExpression")
	}
	return &w.ConditionCheck.writeInput, checkChange(w.ConditionCheck.Key, cond), err
}

// only is the condition of a write that has no other expression.
func (in *writeInput) only() (condition, error) {
	cond, err := in.check([]string{"NONE"}, false)
	if err != nil {
		return nil, err
	}
	return cond, in.checkUsed()
}

// checkChange leaves the item as it is.
func checkChange(k item, cond condition) change {
	return change{
		key:       func(t *table) (key, error) { return t.keyOf(k, true) },
		condition: cond,
		apply:     func(_ *table, old item) (item, error) { return old, nil },
	}
}

// transactWriteItems does all of its writes or none.
func transactWriteItems(s *Service, r *request, in *transactInput) (any, error) {
	if n := len(in.TransactItems); n < 1 || n > maxTransactWrites {
		return nil, invalid("1 validation error detected: %d writes at 'transactItems' failed to satisfy constraint: Member must have length between 1 and %d", n, maxTransactWrites)
	}
	inputs, changes := make([]*writeInput, len(in.TransactItems)), make([]change, len(in.TransactItems))
	byName := map[string]bool{}
	for i, w := range in.TransactItems {
		var err error
		if inputs[i], changes[i], err = w.change(); err != nil {
			return nil, err
		}
		if inputs[i].TableName, err = s.tableName(inputs[i].TableName); err != nil {
			return nil, err
		}
		byName[inputs[i].TableName] = true
	}
	names := slices.Sorted(maps.Keys(byName))
	tables, err := s.servingTables(names)
	if err != nil {
		return nil, err
	}
	if out, done, err := s.replayed(r, in.ClientRequestToken); done {
		return out, err
	}
	steps, units, err := prepareAll(tables, names, inputs, changes)
	if err != nil {
		return nil, err
	}
	for _, st := range steps {
		st.table.put(st.key, st.changed)
	}
	out := struct {
		ConsumedCapacity []consumedCapacity `json:",omitempty"`
	}{}
	for _, name := range names {
		if c := consumed(in.ReturnConsumedCapacity, name, units[name]); c != nil {
			out.ConsumedCapacity = append(out.ConsumedCapacity, *c)
		}
	}
	s.remember(r, in.ClientRequestToken, out)
	return out, nil
}

// prepareAll computes what each write leaves; if one may not be, the transaction is refused with the reason
// in that one's place.
func prepareAll(tables []*table, names []string, inputs []*writeInput, changes []change) ([]prepared, map[string]float64, error) {
	steps, units := []prepared{}, map[string]float64{}
	reasons := make([]cancellationReason, len(changes))
	codes := make([]string, len(changes))
	failed := false
	for i, c := range changes {
		reasons[i].Code = "None"
		name := inputs[i].TableName
		st, err := tables[slices.Index(names, name)].prepare(inputs[i], c)
		var refused *apiError
		switch {
		case err == nil && slices.ContainsFunc(steps, st.sameItem):
			return nil, nil, invalid("Transaction request cannot include multiple operations on one item")
		case err == nil:
			steps = append(steps, st)
			units[name] += 2 * writeUnits(st.old, st.changed)
		case errors.As(err, &refused) && refused.code == "ConditionalCheckFailedException":
			reasons[i], failed = cancellationReason{"ConditionalCheckFailed", refused.message, refused.item}, true
		case errors.As(err, &refused) && refused.code == "ValidationException":
			reasons[i], failed = cancellationReason{Code: "ValidationError", Message: refused.message}, true
		default:
			return nil, nil, err
		}
		codes[i] = reasons[i].Code
	}
	if failed {
		e := errorf("TransactionCanceledException", "Transaction cancelled, please refer cancellation reasons for specific reasons [%s]", strings.Join(codes, ", "))
		e.reasons = reasons
		return nil, nil, e
	}
	return steps, units, nil
}

// replayed gives the answer of a transaction that was done with this token before.
func (s *Service) replayed(r *request, token string) (out any, done bool, err error) {
	if token == "" {
		return nil, false, nil
	}
	log := s.tables.transactions
	now := s.now()
	maps.DeleteFunc(log, func(_ string, d doneTransaction) bool { return now.Sub(d.at) > tokenLifetime })
	d, done := log[token]
	if done && d.body != sha256.Sum256(r.body) {
		return nil, true, errorf("IdempotentParameterMismatchException", "DynamoDB rejected the request because you retried a request with a different payload but with an idempotent token that was already used.")
	}
	return d.out, done, nil
}

func (s *Service) remember(r *request, token string, out any) {
	if token == "" {
		return
	}
	s.tables.transactions[token] = doneTransaction{s.now(), sha256.Sum256(r.body), out}
}

func (s *Service) servingTables(names []string) ([]*table, error) {
	var tables []*table
	for _, name := range names {
		t, err := s.servingTable(name)
		if err != nil {
			return nil, err
		}
		tables = append(tables, t)
	}
	return tables, nil
}
