package awstest

import (
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
	"unicode/utf8"
)

func init() {
	register(dynamodbService, map[string]operation{"TransactWriteItems": onTables(transactWriteItems)})
}

const (
	maxTransactWrites = 100
	maxTransactBytes  = 4 << 20          // of all items, keys and values that a transaction gives
	maxTokenLength    = 36               // of a ClientRequestToken
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
	at  time.Time
	sum [sha256.Size]byte // see transactInput.sum
	out any
}

// sum tells the same request from another one. That is not a matter of bytes: a client that keeps items in maps
// writes their attributes in another order each time.
func (in *transactInput) sum() ([sha256.Size]byte, error) {
	b, err := json.Marshal(in)
	if err != nil {
		return [sha256.Size]byte{}, fmt.Errorf("encoding a transaction: %w", err)
	}
	return sha256.Sum256(b), nil
}

// size is the bytes that a transaction's items, keys and values count for.
func (in *transactInput) size() int {
	total := 0
	for _, w := range in.TransactItems {
		if w.Put != nil {
			total += w.Put.Item.size() + item(w.Put.ExpressionAttributeValues).size()
		}
		for _, k := range []*keyInput{w.ConditionCheck, w.Delete, w.Update} {
			if k != nil {
				total += k.Key.size() + item(k.ExpressionAttributeValues).size()
			}
		}
	}
	return total
}

// check is for what can be said without looking at the writes one by one.
func (in *transactInput) check() error {
	if n := len(in.TransactItems); n < 1 || n > maxTransactWrites {
		return invalid("1 validation error detected: %d writes at 'transactItems' failed to satisfy constraint: Member must have length between 1 and %d", n, maxTransactWrites)
	}
	if n := utf8.RuneCountInString(in.ClientRequestToken); n > maxTokenLength {
		return invalid("1 validation error detected: Value '%s' at 'clientRequestToken' failed to satisfy constraint: Member must have length less than or equal to %d", in.ClientRequestToken, maxTokenLength)
	}
	if n := in.size(); n > maxTransactBytes {
		return invalid("The aggregate size of the items in the transaction, %d bytes, exceeds the limit of %d", n, maxTransactBytes)
	}
	return nil
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
func transactWriteItems(s *Service, _ *request, in *transactInput) (any, error) {
	if err := in.check(); err != nil {
		return nil, err
	}
	sum, err := in.sum() // before the defaults are filled in
	if err != nil {
		return nil, err
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
	if out, done, err := s.replayed(in.ClientRequestToken, sum); done {
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
	if in.ClientRequestToken != "" {
		s.tables.transactions[in.ClientRequestToken] = doneTransaction{s.now(), sum, out}
	}
	return out, nil
}

// prepareAll computes what each write leaves; if one may not be, the transaction is refused with the reason
// in that one's place.
func prepareAll(tables []*table, names []string, inputs []*writeInput, changes []change) ([]prepared, map[string]float64, error) {
	if err := checkDistinct(tables, names, inputs, changes); err != nil {
		return nil, nil, err
	}
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

// checkDistinct refuses a transaction that is about an item twice. It comes before the conditions: to fail one of
// those is another error.
func checkDistinct(tables []*table, names []string, inputs []*writeInput, changes []change) error {
	var seen []prepared
	for i, c := range changes {
		p := prepared{table: tables[slices.Index(names, inputs[i].TableName)]}
		var err error
		if p.key, err = c.key(p.table); err != nil {
			continue // prepareAll says so, in its place
		}
		if slices.ContainsFunc(seen, p.sameItem) {
			return invalid("Transaction request cannot include multiple operations on one item")
		}
		seen = append(seen, p)
	}
	return nil
}

// replayed gives the answer of a transaction that was done with this token before.
func (s *Service) replayed(token string, sum [sha256.Size]byte) (out any, done bool, err error) {
	if token == "" {
		return nil, false, nil
	}
	log := s.tables.transactions
	now := s.now()
	maps.DeleteFunc(log, func(_ string, d doneTransaction) bool { return now.Sub(d.at) > tokenLifetime })
	d, done := log[token]
	if done && d.sum != sum {
		return nil, true, errorf("IdempotentParameterMismatchException", "DynamoDB rejected the request because you retried a request with a different payload but with an idempotent token that was already used.")
	}
	return d.out, done, nil
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
