package tables

import (
	"encoding/json"
	"math"
	"slices"

	"rootwatch/pipeline/awstest/expr"
	"rootwatch/pipeline/awstest/wire"
)

// legacy is what expressions have replaced. This server refuses it: ignoring a condition would be
// worse.
type legacy struct {
	Expected, ConditionalOperator, AttributeUpdates, AttributesToGet json.RawMessage
	ScanFilter, IndexName                                            json.RawMessage
}

func (l *legacy) check() error {
	return wire.Unsupported(map[string]json.RawMessage{
		"Expected": l.Expected, "ConditionalOperator": l.ConditionalOperator, "AttributeUpdates": l.AttributeUpdates,
		"AttributesToGet": l.AttributesToGet, "ScanFilter": l.ScanFilter, "IndexName": l.IndexName,
	})
}

// writeInput is what the calls that write one item have in common.
type writeInput struct {
	legacy
	expr.Placeholders
	TableName                           string
	ConditionExpression                 *string
	ReturnValues                        string
	ReturnValuesOnConditionCheckFailure string
	ReturnConsumedCapacity              string
	ReturnItemCollectionMetrics         string
}

type putItemInput struct {
	writeInput
	Item expr.Item
}

type keyInput struct {
	writeInput
	Key              expr.Item
	UpdateExpression *string
}

// writeOutput is the answer of the calls that write one item.
type writeOutput struct {
	Attributes       expr.Item         `json:",omitempty"`
	ConsumedCapacity *consumedCapacity `json:",omitempty"`
}

// check reads what a write's expressions say, before the table is locked.
func (in *writeInput) check(returns []string, updating bool) (expr.Condition, error) {
	if err := in.legacy.check(); err != nil {
		return nil, err
	}
	if in.ReturnValues == "" {
		in.ReturnValues = "NONE"
	}
	if !slices.Contains(returns, in.ReturnValues) {
		return nil, wire.Invalid("Return values set to invalid value")
	}
	if err := checkEnum("returnConsumedCapacity", in.ReturnConsumedCapacity, "INDEXES", "TOTAL", "NONE"); err != nil {
		return nil, err
	}
	if err := checkEnum("returnValuesOnConditionCheckFailure", in.ReturnValuesOnConditionCheckFailure, "ALL_OLD", "NONE"); err != nil {
		return nil, err
	}
	if err := in.CheckPlaceholders(in.ConditionExpression != nil || updating); err != nil {
		return nil, err
	}
	return in.Placeholders.Condition("ConditionExpression", in.ConditionExpression)
}

func checkEnum(member, v string, allowed ...string) error {
	if v == "" || slices.Contains(allowed, v) {
		return nil
	}
	return wire.Invalid("1 validation error detected: Value '%s' at '%s' failed to satisfy constraint: Member must satisfy enum value set: %v", v, member, allowed)
}

// change is one write: what it needs of the table, and the item that it leaves.
type change struct {
	key       func(*table) (key, error) // an error also for what is wrong whatever the item is: that is said before the condition is tested
	condition expr.Condition
	apply     func(t *table, old expr.Item) (expr.Item, error) // nil removes
}

// prepared is a change that may be made.
type prepared struct {
	key          key
	old, changed expr.Item
}

// prepare finds out what a change leaves of its item, or why it may not be made. The table is
// locked.
func (t *table) prepare(r *wire.Request, in *writeInput, c change) (p prepared, err error) {
	if p.key, err = c.key(t); err != nil {
		return p, err
	}
	p.old = t.get(p.key)
	if c.condition != nil && (r.ConditionFails || !c.condition.Test(p.old)) {
		failed := wire.Errorf("ConditionalCheckFailedException", "The conditional request failed")
		if in.ReturnValuesOnConditionCheckFailure == "ALL_OLD" && p.old != nil && !r.WithoutItem {
			failed.Members = map[string]any{"Item": p.old}
		}
		return p, failed
	}
	if p.changed, err = c.apply(t, p.old); err != nil {
		return p, err
	}
	return p, p.changed.Check()
}

// writeItem makes one change, and says what it has cost if the caller asked.
func (s *Service) writeItem(r *wire.Request, in *writeInput, c change) (prepared, *consumedCapacity, error) {
	t, err := s.servingTable(in.TableName)
	if err != nil {
		return prepared{}, nil, err
	}
	p, err := t.prepare(r, in, c)
	if err != nil {
		return p, nil, err
	}
	t.put(p.key, p.changed)
	return p, consumed(in.ReturnConsumedCapacity, t.name, writeUnits(p.old, p.changed)), nil
}

func putItem(s *Service, r *wire.Request, in *putItemInput) (any, error) {
	if in.Item == nil {
		return nil, wire.Missing("item")
	}
	cond, err := in.check([]string{"NONE", "ALL_OLD"}, false)
	if err != nil {
		return nil, err
	}
	if err := in.CheckUsed(); err != nil {
		return nil, err
	}
	done, capacity, err := s.writeItem(r, &in.writeInput, putChange(in.Item, cond))
	if err != nil {
		return nil, err
	}
	out := writeOutput{ConsumedCapacity: capacity}
	if in.ReturnValues == "ALL_OLD" {
		out.Attributes = done.old
	}
	return out, nil
}

func putChange(it expr.Item, cond expr.Condition) change {
	return change{
		key: func(t *table) (key, error) {
			if err := it.Check(); err != nil {
				return key{}, err
			}
			return t.keyOf(it, false)
		},
		condition: cond,
		apply:     func(*table, expr.Item) (expr.Item, error) { return it, nil },
	}
}

func deleteItem(s *Service, r *wire.Request, in *keyInput) (any, error) {
	if in.Key == nil {
		return nil, wire.Missing("key")
	}
	cond, err := in.check([]string{"NONE", "ALL_OLD"}, false)
	if err != nil {
		return nil, err
	}
	if err := in.CheckUsed(); err != nil {
		return nil, err
	}
	done, capacity, err := s.writeItem(r, &in.writeInput, deleteChange(in.Key, cond))
	if err != nil {
		return nil, err
	}
	out := writeOutput{ConsumedCapacity: capacity}
	if in.ReturnValues == "ALL_OLD" {
		out.Attributes = done.old
	}
	return out, nil
}

func deleteChange(k expr.Item, cond expr.Condition) change {
	return change{
		key:       func(t *table) (key, error) { return t.keyOf(k, true) },
		condition: cond,
		apply:     func(*table, expr.Item) (expr.Item, error) { return nil, nil },
	}
}

func updateItem(s *Service, r *wire.Request, in *keyInput) (any, error) {
	if in.Key == nil {
		return nil, wire.Missing("key")
	}
	u, cond, err := in.update()
	if err != nil {
		return nil, err
	}
	done, capacity, err := s.writeItem(r, &in.writeInput, updateChange(in.Key, u, cond))
	if err != nil {
		return nil, err
	}
	out := writeOutput{ConsumedCapacity: capacity}
	switch in.ReturnValues {
	case "ALL_OLD":
		out.Attributes = done.old
	case "ALL_NEW":
		out.Attributes = done.changed
	case "UPDATED_OLD":
		out.Attributes = u.Touched().Of(done.old)
	case "UPDATED_NEW":
		out.Attributes = u.Touched().Of(done.changed)
	}
	return out, nil
}

// update reads the two expressions of an UpdateItem.
func (in *keyInput) update() (*expr.Update, expr.Condition, error) {
	all := []string{"NONE", "ALL_OLD", "UPDATED_OLD", "ALL_NEW", "UPDATED_NEW"}
	cond, err := in.check(all, in.UpdateExpression != nil)
	if err != nil {
		return nil, nil, err
	}
	u, err := in.Placeholders.Update(in.UpdateExpression)
	if err != nil {
		return nil, nil, err
	}
	return u, cond, in.CheckUsed()
}

func updateChange(k expr.Item, u *expr.Update, cond expr.Condition) change {
	return change{
		key: func(t *table) (key, error) {
			for _, name := range u.Attributes() {
				if t.isKey(name) {
					return key{}, wire.Invalid("One or more parameter values were invalid: Cannot update attribute %s. This attribute is part of the key", name)
				}
			}
			return t.keyOf(k, true)
		},
		condition: cond,
		apply: func(t *table, old expr.Item) (expr.Item, error) {
			if old == nil && u.RemovesOnly() {
				return nil, nil // there is nothing to take away from, and no item is made for that
			}
			if old == nil {
				old = k
			}
			return u.Apply(old)
		},
	}
}

type getItemInput struct {
	legacy
	expr.Placeholders
	TableName              string
	Key                    expr.Item
	ConsistentRead         bool
	ProjectionExpression   *string
	ReturnConsumedCapacity string
}

func getItem(s *Service, r *wire.Request, in *getItemInput) (any, error) {
	if err := in.legacy.check(); err != nil {
		return nil, err
	}
	if in.Key == nil {
		return nil, wire.Missing("key")
	}
	if err := in.CheckPlaceholders(in.ProjectionExpression != nil); err != nil {
		return nil, err
	}
	wanted, err := in.Placeholders.Projection(in.ProjectionExpression)
	if err != nil {
		return nil, err
	}
	if err := in.CheckUsed(); err != nil {
		return nil, err
	}
	t, err := s.servingTable(in.TableName)
	if err != nil {
		return nil, err
	}
	k, err := t.keyOf(in.Key, true)
	if err != nil {
		return nil, err
	}
	it := t.seenBy(r, in.ConsistentRead).get(k)
	out := struct {
		Item             *expr.Item        `json:",omitempty"`
		ConsumedCapacity *consumedCapacity `json:",omitempty"`
	}{ConsumedCapacity: consumed(in.ReturnConsumedCapacity, t.name, readUnits(it.Size(), in.ConsistentRead))}
	if it != nil {
		it = wanted.Of(it)
		out.Item = &it
	}
	return out, nil
}

// consumedCapacity is what a call has cost.
type consumedCapacity struct {
	TableName     string
	CapacityUnits float64
	Table         *tableCapacity `json:",omitempty"`
}

type tableCapacity struct{ CapacityUnits float64 }

// consumed is nil unless the caller asked.
func consumed(asked, table string, units float64) *consumedCapacity {
	switch asked {
	case "TOTAL":
		return &consumedCapacity{TableName: table, CapacityUnits: units}
	case "INDEXES":
		return &consumedCapacity{TableName: table, CapacityUnits: units, Table: &tableCapacity{units}}
	}
	return nil
}

// writeUnits is one per KB of the larger of the items before and after.
func writeUnits(old, changed expr.Item) float64 {
	return max(1, math.Ceil(float64(max(old.Size(), changed.Size()))/1024))
}

// readUnits is one per 4 KB, half of it for an eventually consistent read.
func readUnits(bytes int, consistent bool) float64 {
	units := max(1, math.Ceil(float64(bytes)/4096))
	if !consistent {
		units /= 2
	}
	return units
}
