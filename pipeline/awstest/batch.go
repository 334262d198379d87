package awstest

import (
	"maps"
	"slices"
)

func init() {
	register(dynamodbService, map[string]operation{
		"BatchWriteItem": onTables(batchWriteItem),
		"BatchGetItem":   onTables(batchGetItem),
	})
}

const (
	maxBatchWrites = 25
	maxBatchGets   = 100
)

type batchWriteInput struct {
	RequestItems           map[string][]batchWrite
	ReturnConsumedCapacity string
}

type batchWrite struct {
	PutRequest    *struct{ Item item }
	DeleteRequest *struct{ Key item }
}

func (w batchWrite) change() (change, error) {
	switch {
	case w.PutRequest != nil && w.DeleteRequest == nil:
		return putChange(w.PutRequest.Item, nil), nil
	case w.DeleteRequest != nil && w.PutRequest == nil:
		return deleteChange(w.DeleteRequest.Key, nil), nil
	}
	return change{}, invalid("Supplied AttributeValue has more than one datatypes set, must contain exactly one of the supported datatypes")
}

// batchWriteItem writes all that it is given; each item for itself, not as a transaction.
func batchWriteItem(s *Service, _ *request, in *batchWriteInput) (any, error) {
	total := 0
	for _, writes := range in.RequestItems {
		total += len(writes)
	}
	if total == 0 {
		return nil, invalid("The batch write request list for a table cannot be null or empty")
	}
	if total > maxBatchWrites {
		return nil, invalid("Too many items requested for the BatchWriteItem call")
	}
	var capacities []consumedCapacity
	requests, err := s.byTableName(in.RequestItems)
	if err != nil {
		return nil, err
	}
	names := slices.Sorted(maps.Keys(requests))
	tables, err := s.servingTables(names)
	if err != nil {
		return nil, err
	}
	steps, err := batchSteps(tables, names, requests)
	if err != nil {
		return nil, err
	}
	units := map[*table]float64{}
	for _, st := range steps {
		old := st.table.get(st.key)
		st.table.put(st.key, st.changed)
		units[st.table] += writeUnits(old, st.changed)
	}
	for i, name := range names {
		if c := consumed(in.ReturnConsumedCapacity, name, units[tables[i]]); c != nil {
			capacities = append(capacities, *c)
		}
	}
	return struct {
		UnprocessedItems map[string][]batchWrite
		ConsumedCapacity []consumedCapacity `json:",omitempty"`
	}{map[string][]batchWrite{}, capacities}, nil
}

// byTableName puts names in the place of ARNs.
func (s *Service) byTableName(requests map[string][]batchWrite) (map[string][]batchWrite, error) {
	named := map[string][]batchWrite{}
	for given, writes := range requests {
		name, err := s.tableName(given)
		if err != nil {
			return nil, err
		}
		named[name] = append(named[name], writes...)
	}
	return named, nil
}

// batchSteps prepares all writes of a batch, so that nothing is written if one of them is invalid.
func batchSteps(tables []*table, names []string, requests map[string][]batchWrite) ([]prepared, error) {
	var steps []prepared
	for i, name := range names {
		for _, w := range requests[name] {
			c, err := w.change()
			if err != nil {
				return nil, err
			}
			st, err := tables[i].prepare(&writeInput{}, c)
			if err != nil {
				return nil, err
			}
			if slices.ContainsFunc(steps, st.sameItem) {
				return nil, invalid("Provided list of item keys contains duplicates")
			}
			steps = append(steps, st)
		}
	}
	return steps, nil
}

type batchGetInput struct {
	RequestItems map[string]struct {
		legacy
		expressions
		Keys                 []item
		ConsistentRead       bool
		ProjectionExpression *string
	}
	ReturnConsumedCapacity string
}

func batchGetItem(s *Service, r *request, in *batchGetInput) (any, error) {
	out := struct {
		Responses        map[string][]item
		UnprocessedKeys  map[string]item
		ConsumedCapacity []consumedCapacity `json:",omitempty"`
	}{Responses: map[string][]item{}, UnprocessedKeys: map[string]item{}}
	total := 0
	for _, name := range slices.Sorted(maps.Keys(in.RequestItems)) {
		ask := in.RequestItems[name]
		if total += len(ask.Keys); total > maxBatchGets {
			return nil, invalid("Too many items requested for the BatchGetItem call")
		}
		if err := ask.legacy.check(); err != nil {
			return nil, err
		}
		if err := ask.checkPlaceholders(ask.ProjectionExpression != nil); err != nil {
			return nil, err
		}
		paths, err := parse(&ask.expressions, "ProjectionExpression", ask.ProjectionExpression, (*parser).projection)
		if err != nil {
			return nil, err
		}
		if err := ask.checkUsed(); err != nil {
			return nil, err
		}
		items, units, err := s.getItems(r, name, ask.Keys, paths, ask.ConsistentRead)
		if err != nil {
			return nil, err
		}
		out.Responses[name] = items
		if c := consumed(in.ReturnConsumedCapacity, name, units); c != nil {
			out.ConsumedCapacity = append(out.ConsumedCapacity, *c)
		}
	}
	if total == 0 {
		return nil, invalid("1 validation error detected: Value null at 'requestItems' failed to satisfy constraint: Member must have length greater than or equal to 1")
	}
	return out, nil
}

func (s *Service) getItems(r *request, name string, keys []item, paths []path, consistent bool) ([]item, float64, error) {
	t, err := s.servingTable(name)
	if err != nil {
		return nil, 0, err
	}
	t = t.seenBy(r, consistent)
	items, units := []item{}, 0.0
	var seen []key
	for _, ki := range keys {
		k, err := t.keyOf(ki, true)
		if err != nil {
			return nil, 0, err
		}
		if slices.ContainsFunc(seen, func(o key) bool { return o.compare(k) == 0 }) {
			return nil, 0, invalid("Provided list of item keys contains duplicates")
		}
		seen = append(seen, k)
		it := t.get(k)
		units += readUnits(it.size(), consistent)
		if it != nil {
			items = append(items, project(it, paths))
		}
	}
	return items, units, nil
}
