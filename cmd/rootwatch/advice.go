package main

import (
	"errors"
	"fmt"
	"log/slog"

	"rootwatch/pipeline/dynamo"
	"rootwatch/pipeline/kinesis"
	"rootwatch/pipeline/kinesis/lease"
)

// The actions that the worker's role needs on the stream and on its tables;
// deploy/cloudformation/service.yaml allows the same.
const (
	streamActions      = "kinesis:DescribeStreamSummary, ListShards, GetShardIterator and GetRecords"
	leaseTableActions  = "dynamodb:DescribeTable, CreateTable (unless the table is there already), Scan, UpdateItem and DeleteItem"
	ledgerTableActions = "dynamodb:DescribeTable, CreateTable (unless the table is there already), GetItem, PutItem, UpdateItem and UpdateTimeToLive"
)

// advise adds to an error which setting or permission to change. Only here are both known: the
// packages below know neither flags nor roles. An error about which there is nothing to say is
// returned as it is.
func (f *runFlags) advise(err error) error {
	var (
		stream   *kinesis.StreamError
		mismatch *lease.StreamMismatchError
		denied   *dynamo.DeniedError
		key      *dynamo.KeyError
		advice   string
	)
	switch {
	case errors.As(err, &stream):
		advice = adviceOnStream(stream.Problem)
	case errors.As(err, &mismatch):
		advice = "set --kinesis.application to a name of its own for each stream"
	case errors.As(err, &denied):
		flag, actions := "--kinesis.application", leaseTableActions
		if denied.Table == f.ledgerTable {
			flag, actions = "--ledger.table", ledgerTableActions
		}
		advice = fmt.Sprintf("the role needs %s on the table that %s names", actions, flag)
	case errors.As(err, &key):
		flag := "--kinesis.application"
		if key.Table == f.ledgerTable {
			flag = "--ledger.table"
		}
		advice = fmt.Sprintf("set %s to another name", flag)
	}
	if advice == "" {
		return err
	}
	return fmt.Errorf("%w: %s", err, advice)
}

func adviceOnStream(problem kinesis.StreamProblem) string {
	switch problem {
	case kinesis.StreamMissing:
		return "set --kinesis.stream and AWS_REGION to the stream that EventBridge writes to"
	case kinesis.StreamKeyIsRefused:
		return "the role needs kms:Decrypt on the stream's key, and the key must be enabled"
	case kinesis.StreamDenied:
		return "the role needs " + streamActions + " on the stream"
	}
	return ""
}

// adviseAttr gives the errors that are logged while the worker runs the same advice: a
// slog.HandlerOptions.ReplaceAttr.
func (f *runFlags) adviseAttr(_ []string, a slog.Attr) slog.Attr {
	if err, ok := a.Value.Any().(error); ok {
		return slog.Any(a.Key, f.advise(err))
	}
	return a
}
