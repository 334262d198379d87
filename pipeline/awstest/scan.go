package awstest

import (
	"slices"
)

const maxPageBytes = 1 << 20

// readInput is what Scan and Query have in common.
type readInput struct {
	legacy
	expressions
	TableName              string
	Limit                  *int
	ExclusiveStartKey      item
	FilterExpression       *string
	ProjectionExpression   *string
	Select                 string
	ConsistentRead         bool
	ReturnConsumedCapacity string
}

type scanInput struct {
	readInput
	Segment, TotalSegments *int
}

type queryInput struct {
	readInput
	KeyConditionExpression *string
	ScanIndexForward       *bool
}

// reading is a Scan or Query that has been understood.
type reading struct {
	filter     condition
	filtered   []string // the attributes that filter looks at
	projection []path
	limit      int // of items looked at; 0 is no limit
}

func (in *readInput) check(hasKeyCondition bool) (r reading, err error) {
	if err = in.legacy.check(); err != nil {
		return r, err
	}
	if in.Limit != nil {
		if r.limit, err = pageSize(in.Limit, "limit", 0, 1<<31-1); err != nil {
			return r, err
		}
	}
	if err = checkEnum("select", in.Select, "ALL_ATTRIBUTES", "SPECIFIC_ATTRIBUTES", "COUNT"); err != nil {
		return r, err
	}
	if in.Select == "SPECIFIC_ATTRIBUTES" && in.ProjectionExpression == nil || in.Select != "" && in.Select != "SPECIFIC_ATTRIBUTES" && in.ProjectionExpression != nil {
		return r, invalid("Cannot specify the ProjectionExpression when choosing to get %s", in.Select)
	}
	if err = in.checkPlaceholders(hasKeyCondition || in.FilterExpression != nil || in.ProjectionExpression != nil); err != nil {
		return r, err
	}
	r.filter, err = parse(&in.expressions, "FilterExpression", in.FilterExpression, func(p *parser) (condition, error) {
		c, err := p.condition()
		r.filtered = p.named
		return c, err
	})
	if err != nil {
		return r, err
	}
	r.projection, err = parse(&in.expressions, "ProjectionExpression", in.ProjectionExpression, (*parser).projection)
	return r, err
}

// readOutput is one page of a Scan or Query.
type readOutput struct {
	Items            *[]item `json:",omitempty"`
	Count            int
	ScannedCount     int
	LastEvaluatedKey item              `json:",omitempty"`
	ConsumedCapacity *consumedCapacity `json:",omitempty"`
}

// page reads rows until a limit is reached. Filters count what they drop: it was read.
func (t *table) page(in *readInput, r reading, rows []row) readOutput {
	items := []item{}
	var out readOutput
	bytes := 0
	for i, row := range rows {
		if r.limit > 0 && i == r.limit || i > 0 && bytes+row.bytes > maxPageBytes {
			break
		}
		bytes += row.bytes
		out.ScannedCount++
		if r.filter == nil || r.filter.test(row.item) {
			items = append(items, project(row.item, r.projection))
		}
	}
	// As on AWS, a page that ends with its limit has a next one, even if that is empty.
	if n := out.ScannedCount; n > 0 && (n < len(rows) || n == r.limit) {
		out.LastEvaluatedKey = t.keyItem(rows[n-1].item)
	}
	out.Count = len(items)
	if in.Select != "COUNT" {
		out.Items = &items
	}
	out.ConsumedCapacity = consumed(in.ReturnConsumedCapacity, t.name, readUnits(bytes, in.ConsistentRead))
	return out
}

func scan(s *Service, req *request, in *scanInput) (any, error) {
	r, err := in.check(false)
	if err != nil {
		return nil, err
	}
	if err := in.checkUsed(); err != nil {
		return nil, err
	}
	t, err := s.servingTable(in.TableName)
	if err != nil {
		return nil, err
	}
	t = t.seenBy(req, in.ConsistentRead)
	rows, err := t.segment(in.Segment, in.TotalSegments)
	if err != nil {
		return nil, err
	}
	if in.ExclusiveStartKey != nil {
		k, err := t.keyOf(in.ExclusiveStartKey, true)
		if err != nil {
			return nil, invalid("The provided starting key is invalid: %s", err.(*apiError).message)
		}
		rows = rows[firstAfter(rows, k):]
	}
	return t.page(&in.readInput, r, rows), nil
}

func firstAfter(rows []row, k key) int {
	i, found := findRow(rows, k)
	if found {
		i++
	}
	return i
}

// segment gives the rows of one part of a parallel Scan: a range of hashes.
func (t *table) segment(segment, total *int) ([]row, error) {
	switch {
	case segment == nil && total == nil:
		return t.rows, nil
	case segment == nil || total == nil:
		return nil, invalid("The Segment and TotalSegments parameters must be specified together")
	case *total < 1 || *total > 1000000 || *segment < 0 || *segment >= *total:
		return nil, invalid("The Segment parameter is zero-based and must be less than parameter TotalSegments: Segment: %d is not less than TotalSegments: %d", *segment, *total)
	}
	width := ^uint64(0)/uint64(*total) + 1 // 0 for a single segment: then the ends below are all of it
	from, to := 0, len(t.rows)
	at := func(n int) int {
		i, _ := slices.BinarySearchFunc(t.rows, width*uint64(n), func(r row, h uint64) int {
			if r.key.hash < h {
				return -1
			}
			return 1
		})
		return i
	}
	if *segment > 0 {
		from = at(*segment)
	}
	if *segment < *total-1 {
		to = at(*segment + 1)
	}
	return t.rows[from:to], nil
}

func query(s *Service, req *request, in *queryInput) (any, error) {
	if in.KeyConditionExpression == nil {
		return nil, invalid("Either the KeyConditions or KeyConditionExpression parameter must be specified in the request.")
	}
	r, err := in.check(true)
	if err != nil {
		return nil, err
	}
	where, err := parse(&in.expressions, "KeyConditionExpression", in.KeyConditionExpression, (*parser).condition)
	if err != nil {
		return nil, err
	}
	if err := in.checkUsed(); err != nil {
		return nil, err
	}
	t, err := s.servingTable(in.TableName)
	if err != nil {
		return nil, err
	}
	// A Query has its keys looked at by the key condition alone; a Scan may filter by them.
	if i := slices.IndexFunc(r.filtered, t.isKey); i >= 0 {
		return nil, invalid("Filter Expression can only contain non-primary key attributes: Primary key attribute: %s", r.filtered[i])
	}
	t = t.seenBy(req, in.ConsistentRead)
	rows, err := t.matching(where)
	if err != nil {
		return nil, err
	}
	backward := in.ScanIndexForward != nil && !*in.ScanIndexForward
	if backward {
		rows = slices.Clone(rows)
		slices.Reverse(rows)
	}
	if in.ExclusiveStartKey != nil {
		k, err := t.keyOf(in.ExclusiveStartKey, true)
		if err != nil {
			return nil, invalid("The provided starting key is invalid: %s", err.(*apiError).message)
		}
		rows = slices.DeleteFunc(slices.Clone(rows), func(r row) bool {
			if backward {
				return r.key.compare(k) >= 0
			}
			return r.key.compare(k) <= 0
		})
	}
	return t.page(&in.readInput, r, rows), nil
}

// matching gives the rows of one partition that a key condition is true for.
func (t *table) matching(where condition) ([]row, error) {
	partition, err := t.partitionOf(where)
	if err != nil {
		return nil, err
	}
	k := key{partition: partitionText(partition)}
	k.hash = hashPartition(k.partition)
	from, _ := slices.BinarySearchFunc(t.rows, k, func(r row, k key) int {
		if r.key.hash < k.hash || r.key.hash == k.hash && r.key.partition < k.partition {
			return -1
		}
		return 1
	})
	var rows []row
	for _, r := range t.rows[from:] {
		if r.key.partition != k.partition {
			break
		}
		if where.test(r.item) {
			rows = append(rows, r)
		}
	}
	return rows, nil
}

// partitionOf checks that a key condition has the form that Query allows (the partition key equals a value,
// and at most one condition on the sort key), and gives that value.
func (t *table) partitionOf(where condition) (value, error) {
	parts, ok := where.(and)
	if !ok {
		parts = and{where}
	}
	var partition *value
	for _, part := range parts {
		name, operator, operands, err := keyCondition(part)
		if err != nil {
			return value{}, invalid("%v", err)
		}
		at := slices.IndexFunc(t.keys, func(k keyAttribute) bool { return k.name == name })
		switch {
		case at < 0:
			return value{}, invalid("Query condition missed key schema element: %s", t.keys[0].name)
		case at == 0 && operator != "=":
			return value{}, invalid("Query key condition not supported")
		case slices.ContainsFunc(operands, func(v value) bool { return v.kind != t.keys[at].kind }):
			return value{}, invalid("One or more parameter values were invalid: Condition parameter type does not match schema type")
		case at == 0:
			partition = &operands[0]
		}
	}
	if len(parts) > 2 || len(parts) == 2 && len(t.keys) == 1 {
		return value{}, invalid("Query key condition not supported")
	}
	if partition == nil {
		return value{}, invalid("Query condition missed key schema element: %s", t.keys[0].name)
	}
	return *partition, nil
}

// keyCondition takes one part of a key condition to pieces.
func keyCondition(c condition) (name, operator string, operands []value, err error) {
	var args []operand
	switch c := c.(type) {
	case comparison:
		operator, args = c.operator, []operand{c.left, c.right}
		if operator == "<>" {
			return "", "", nil, wrongf("Invalid operator used in KeyConditionExpression: <>")
		}
	case between:
		operator, args = "BETWEEN", []operand{c.v, c.low, c.high}
	case call:
		operator, args = c.name, c.args
		if operator != "begins_with" {
			return "", "", nil, wrongf("Invalid operator used in KeyConditionExpression: %s", operator)
		}
	default:
		return "", "", nil, wrongf("Invalid operator used in KeyConditionExpression: %s", map[bool]string{true: "IN", false: "OR or NOT"}[isIn(c)])
	}
	for _, arg := range args {
		switch arg := arg.(type) {
		case path:
			if len(arg) > 1 || name != "" {
				return "", "", nil, wrongf("Invalid condition in KeyConditionExpression: Multiple attribute names used in one condition")
			}
			name = arg[0].name
		case literal:
			operands = append(operands, arg.v)
		default:
			return "", "", nil, wrongf("KeyConditionExpressions cannot contain nested operations")
		}
	}
	if name == "" {
		return "", "", nil, wrongf("Invalid condition in KeyConditionExpression: No key attribute specified")
	}
	return name, operator, operands, nil
}

func isIn(c condition) bool {
	_, ok := c.(in)
	return ok
}
