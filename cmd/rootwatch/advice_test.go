package main

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"testing"

	"rootwatch/pipeline/dynamo"
	"rootwatch/pipeline/kinesis"
	"rootwatch/pipeline/kinesis/lease"
)

func TestErrorsThatAreSettingsOrPermissionsSayWhich(t *testing.T) {
	f := &runFlags{application: "app", ledgerTable: "app-findings"}
	answer := errors.New("AccessDeniedException: no")
	for name, c := range map[string]struct {
		err  error
		says []string
	}{
		"no such stream":           {&kinesis.StreamError{Stream: "trail", Region: "eu-west-1", Problem: kinesis.StreamMissing, Err: answer}, []string{"trail", "does not exist in region eu-west-1", "--kinesis.stream", "AWS_REGION"}},
		"no right to read it":      {&kinesis.StreamError{Stream: "trail", Region: "eu-west-1", Problem: kinesis.StreamDenied, Err: answer}, []string{"no permission", "kinesis:DescribeStreamSummary", "ListShards", "GetShardIterator", "GetRecords"}},
		"no right to its key":      {&kinesis.StreamError{Stream: "trail", Region: "eu-west-1", Problem: kinesis.StreamKeyIsRefused, Err: answer}, []string{"cannot be decrypted", "kms:Decrypt", "the key must be enabled"}},
		"another stream's leases":  {&lease.StreamMismatchError{Table: "app", Stream: "orders", Want: "trail"}, []string{"belongs to stream orders, not trail", "--kinesis.application"}},
		"no right to the leases":   {&dynamo.DeniedError{Table: "app", Region: "eu-west-1", Err: answer}, []string{"app", "eu-west-1", "--kinesis.application", "Scan, UpdateItem and DeleteItem"}},
		"no right to the ledger":   {&dynamo.DeniedError{Table: "app-findings", Region: "eu-west-1", Err: answer}, []string{"app-findings", "eu-west-1", "--ledger.table", "DescribeTable", "PutItem", "UpdateTimeToLive"}},
		"somebody else's table":    {&dynamo.KeyError{Table: "app", Key: "OrderID", Want: "ShardID"}, []string{"OrderID", "set --kinesis.application to another name"}},
		"the same for the ledger":  {&dynamo.KeyError{Table: "app-findings", Key: "OrderID", Want: "id"}, []string{"set --ledger.table to another name"}},
		"nothing that a flag sets": {errors.New("reset"), []string{"reset"}},
	} {
		t.Run(name, func(t *testing.T) {
			err := fmt.Errorf("starting: %w", c.err)
			advised := f.advise(err)
			var log bytes.Buffer
			logger, loggerErr := (&logFlags{level: "info", format: "logfmt"}).logger(&log, f.adviseAttr)
			if loggerErr != nil {
				t.Fatal(loggerErr)
			}
			logger.Warn("not yet", "err", err)
			for _, want := range c.says {
				if !strings.Contains(advised.Error(), want) || !strings.Contains(log.String(), want) {
					t.Errorf("%q is not said in %q and %q", want, advised, log.String())
				}
			}
			if !errors.Is(advised, c.err) {
				t.Errorf("the error is lost in %v", advised)
			}
		})
	}
	if err := f.advise(nil); err != nil {
		t.Errorf("no error becomes %v", err)
	}
}
