package tables

import (
	"slices"

	"rootwatch/pipeline/awstest/expr"
	"rootwatch/pipeline/awstest/wire"
)

const maxPageBytes = 1 << 20

type scanInput struct {
	legacy
	expr.Placeholders
	TableName              string
	Limit                  *int
	ExclusiveStartKey      expr.Item
	FilterExpression       *string
	ProjectionExpression   *string
	Select                 string
	ConsistentRead         bool
	ReturnConsumedCapacity string
	Segment, TotalSegments *int
}

// reading is a Scan that has been understood.
type reading struct {
	filter     expr.Condition
	projection expr.Projection
	limit      int // of items looked at; 0 is no limit
}

func (in *scanInput) check() (r reading, err error) {
	if err = in.legacy.check(); err != nil {
		return r, err
	}
	if in.Limit != nil {
		if r.limit, err = wire.PageSize(in.Limit, "limit", 0, 1<<31-1); err != nil {
			return r, err
		}
	}
	if err = checkEnum("select", in.Select, "ALL_ATTRIBUTES", "SPECIFIC_ATTRIBUTES", "COUNT"); err != nil {
		return r, err
	}
	if in.Select == "SPECIFIC_ATTRIBUTES" && in.ProjectionExpression == nil || in.Select != "" && in.Select != "SPECIFIC_ATTRIBUTES" && in.ProjectionExpression != nil {
		return r, wire.Invalid("Cannot specify the ProjectionExpression when choosing to get %s", in.Select)
	}
	if err = in.CheckPlaceholders(in.FilterExpression != nil || in.ProjectionExpression != nil); err != nil {
		return r, err
	}
	if r.filter, err = in.Placeholders.Condition("FilterExpression", in.FilterExpression); err != nil {
		return r, err
	}
	if r.projection, err = in.Placeholders.Projection(in.ProjectionExpression); err != nil {
		return r, err
	}
	return r, in.CheckUsed()
}

// scanOutput is one page of a Scan.
type scanOutput struct {
	Items            *[]expr.Item `json:",omitempty"`
	Count            int
	ScannedCount     int
	LastEvaluatedKey expr.Item         `json:",omitempty"`
	ConsumedCapacity *consumedCapacity `json:",omitempty"`
}

// page reads rows until a limit is reached. Filters count what they drop: it was read.
func (t *table) page(in *scanInput, r reading, rows []row) scanOutput {
	items := []expr.Item{}
	var out scanOutput
	bytes := 0
	for i, row := range rows {
		if r.limit > 0 && i == r.limit || i > 0 && bytes+row.bytes > maxPageBytes {
			break
		}
		bytes += row.bytes
		out.ScannedCount++
		if r.filter == nil || r.filter.Test(row.item) {
			items = append(items, r.projection.Of(row.item))
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

func scan(s *Service, req *wire.Request, in *scanInput) (any, error) {
	r, err := in.check()
	if err != nil {
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
			return nil, wire.Invalid("The provided starting key is invalid: %s", err.(*wire.Error).Message)
		}
		rows = rows[firstAfter(rows, k):]
	}
	return t.page(in, r, rows), nil
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
		return nil, wire.Invalid("The Segment and TotalSegments parameters must be specified together")
	case *total < 1 || *total > 1000000 || *segment < 0 || *segment >= *total:
		return nil, wire.Invalid("The Segment parameter is zero-based and must be less than parameter TotalSegments: Segment: %d is not less than TotalSegments: %d", *segment, *total)
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
