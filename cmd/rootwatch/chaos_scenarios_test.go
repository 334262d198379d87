//go:build chaos

package main

import (
	"context"
	"slices"
	"time"

	"rootwatch/pipeline/awstest"
)

// scenario is one kind of chaos. Unless it is an outage, workers are killed, stopped and frozen and
// shards are split and merged as well.
type scenario struct {
	name   string
	always []awstest.Fault // in force for every worker all the time
	acts   []act           // what is done besides, one at a time
	// outage is in force for every worker for a while, and so bad that none of them can record or
	// read: each has to answer so. The workers have the intervals that they are deployed with, and
	// there are few records.
	outage []awstest.Fault

	by       []string          // command that starts the workers
	env      map[string]string // of the workers
	large    int               // bytes that are added to some of the records
	memory   int64             // bytes that a worker may take
	again    bool              // all is read again, so that any number of calls may be told more than once
	anywhere bool              // also with endpoints that know no faults
}

// shares of the calls that are hit, where every call would leave nothing to work with.
const (
	few  = 0.05
	some = 0.3
	half = 0.5
)

var limitDescriptors = []string{"sh", "-c", `ulimit -n 24 && exec "$0" "$@"`}

func scenarios() []scenario {
	return []scenario{
		{name: "everything", acts: everyFault(), anywhere: true},

		{name: "empty answers", always: []awstest.Fault{{Effect: awstest.Empty, Operation: "GetRecords", Probability: half}}},
		{name: "answers without iterator", always: []awstest.Fault{{Effect: awstest.NoIterator, Probability: few}}},
		{name: "answers of the call before", always: []awstest.Fault{{Effect: awstest.Repeat, Probability: some}}},
		{name: "records backwards", always: []awstest.Fault{{Effect: awstest.Backwards, Probability: half}}},
		{name: "blank answers", always: []awstest.Fault{{Effect: awstest.Blank, Probability: few}}},
		{name: "truncated answers", always: []awstest.Fault{{Effect: awstest.Truncated, Probability: some}}},
		{name: "web pages", always: []awstest.Fault{{Effect: awstest.HTML, Probability: some}}},
		{name: "shards missing from the list", always: []awstest.Fault{{Effect: awstest.Short, Probability: half}, {Effect: awstest.Empty, Operation: "ListShards", Probability: half}}},
		{name: "conditions fail", always: []awstest.Fault{{Effect: awstest.ConditionFails, Probability: some}}},
		{name: "conditions fail without item", always: []awstest.Fault{{Effect: awstest.ConditionFailsBare, Probability: some}}},
		{name: "answers lost after their effect", always: []awstest.Fault{{Effect: awstest.DropAfter, Probability: half}}},
		{name: "half-open connections", always: []awstest.Fault{{Effect: awstest.HalfOpen, Probability: few}}},
		{name: "lease table deleted", acts: []act{{"lease table deleted", (*chaos).deleteLeases}}, again: true},
		{name: "ledger deleted", acts: []act{{"ledger deleted", (*chaos).deleteLedger}}},
		{name: "clock jumps", acts: slices.Repeat([]act{{"clock jumps", (*chaos).moveClock}}, 5)},
		{name: "few descriptors", by: limitDescriptors, always: []awstest.Fault{{Effect: awstest.Slow, Delay: 50 * time.Millisecond, Probability: some}}},
		{name: "little memory", env: map[string]string{"GOMEMLIMIT": "150MiB"}, large: 100 << 10, memory: 200 << 20},

		{name: "outage: DynamoDB is cut off", outage: []awstest.Fault{{Service: "dynamodb", Effect: awstest.Drop}}},
		{name: "outage: DynamoDB hangs", outage: []awstest.Fault{{Service: "dynamodb", Effect: awstest.Hang}}},
		{name: "outage: DynamoDB is half-open", outage: []awstest.Fault{{Service: "dynamodb", Effect: awstest.HalfOpen}}},
		{name: "outage: Kinesis is cut off", outage: []awstest.Fault{{Service: "kinesis", Effect: awstest.Drop}}},
		{name: "outage: Kinesis hangs", outage: []awstest.Fault{{Service: "kinesis", Effect: awstest.Hang}}},
		{name: "outage: web pages", outage: []awstest.Fault{{Effect: awstest.HTML}}},
		{name: "outage: no condition holds", outage: []awstest.Fault{{Effect: awstest.ConditionFailsBare}}},
		{name: "outage: records are denied", outage: []awstest.Fault{{Operation: "GetRecords", Effect: awstest.Deny}}},
		{name: "outage: calls cannot be written down", outage: []awstest.Fault{{Operation: "PutItem", Effect: awstest.Deny}}},
		{name: "outage: writing calls down hangs", outage: []awstest.Fault{{Operation: "PutItem", Effect: awstest.Hang}}},
	}
}

// everyFault is one act for each fault that a call may meet.
func everyFault() []act {
	var all []act
	for _, f := range []struct {
		name  string
		fault awstest.Fault
	}{
		{"cut from DynamoDB", awstest.Fault{Service: "dynamodb", Effect: awstest.Drop}},
		{"cut from Kinesis", awstest.Fault{Service: "kinesis", Effect: awstest.Drop}},
		{"DynamoDB hangs", awstest.Fault{Service: "dynamodb", Effect: awstest.Hang}},
		{"Kinesis hangs", awstest.Fault{Service: "kinesis", Effect: awstest.Hang}},
		{"throttled", awstest.Fault{Effect: awstest.Throttle, Probability: 0.7}},
		{"errors", awstest.Fault{Effect: awstest.Fail, Probability: half}},
		{"errors after the effect", awstest.Fault{Effect: awstest.FailAfter, Probability: some}},
		{"answers lost", awstest.Fault{Effect: awstest.DropAfter, Probability: half}},
		{"slow", awstest.Fault{Effect: awstest.Slow, Delay: 300 * time.Millisecond}},
		{"late", awstest.Fault{Effect: awstest.Late, Delay: 300 * time.Millisecond, Probability: some}},
		{"iterators expire", awstest.Fault{Service: "kinesis", Effect: awstest.ExpireIterator, Probability: some}},
		{"empty answers", awstest.Fault{Effect: awstest.Empty, Probability: half}},
		{"shards missing from the list", awstest.Fault{Effect: awstest.Short}},
		{"answers of the call before", awstest.Fault{Effect: awstest.Repeat, Probability: half}},
		{"records backwards", awstest.Fault{Effect: awstest.Backwards}},
		{"conditions fail", awstest.Fault{Effect: awstest.ConditionFails, Probability: half}},
		{"conditions fail without item", awstest.Fault{Effect: awstest.ConditionFailsBare, Probability: half}},
		{"not found", awstest.Fault{Effect: awstest.NotFound, Probability: some}},
		{"denied", awstest.Fault{Effect: awstest.Deny, Probability: some}},
		{"web pages", awstest.Fault{Effect: awstest.HTML, Probability: half}},
		{"truncated", awstest.Fault{Effect: awstest.Truncated, Probability: half}},
		{"half-open", awstest.Fault{Effect: awstest.HalfOpen, Probability: half}},
		{"without iterator", awstest.Fault{Effect: awstest.NoIterator, Probability: some}},
		{"blank", awstest.Fault{Effect: awstest.Blank, Probability: some}},
	} {
		all = append(all, act{f.name, func(c *chaos, ctx context.Context, slot int) { c.injectOne(ctx, slot, f.fault) }})
	}
	return all
}
