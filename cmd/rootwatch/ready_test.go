package main

import (
	"strings"
	"testing"
	"time"

	"rootwatch/pipeline/awstest"
	"rootwatch/pipeline/cloudtrailtest"
)

// aRootCall is the record of a call that pages.
func aRootCall() []cloudtrailtest.Record {
	return []cloudtrailtest.Record{{Data: []byte(`{"eventID":"one","eventSource":"iam.amazonaws.com","eventName":"ListUsers","eventTime":"2026-11-23T03:41:07Z",` +
		`"userIdentity":{"type":"Root","accountId":"111122223333","arn":"arn:aws:iam::111122223333:root","accessKeyId":"AKIAIOSFODNN7EXAMPLE"}}`)}}
}

// The ledger hangs: the call pages without it, /-/ready says what is the matter, and both are over when it answers again.
func TestAWorkerIsNotReadyWhileACallCannotBeWrittenDown(t *testing.T) {
	t.Parallel()
	server, client := testStream(t, 1)
	p := startWorker(t, endpointsOf(server), "one", "--kinesis.stream=trail", "--kinesis.start=trim-horizon")
	ready := func() bool { code, _ := p.get("/-/ready"); return code == 200 }
	eventually(t, 30*time.Second, "the worker is ready", ready)
	hanging := server.Inject(awstest.Fault{Service: "dynamodb", Operation: "PutItem", Resource: "rootwatch" + ledgerSuffix, Effect: awstest.Hang})
	putAll(t, client, aRootCall())
	eventually(t, 30*time.Second, "the call has reached the ledger", func() bool { return hanging.Hits() > 0 })
	took := eventually(t, 30*time.Second, "the worker is not ready", func() bool { return !ready() })
	t.Logf("not ready %.1fs after the ledger was asked", took.Seconds())
	if code, body := p.get("/-/ready"); code != 503 || !strings.Contains(body, "the oldest batch has been in the pipeline for ") || !strings.Contains(body, "the ledger has not ") {
		t.Errorf("/-/ready answers %d: %s", code, body)
	}
	eventually(t, 30*time.Second, "the call pages", func() bool {
		return p.metric("rootwatch_last_unpushed_root_call_timestamp_seconds", "account_id=111122223333") > 0 && p.metric("rootwatch_unrecorded_root_calls") == 1
	})
	hanging.Remove()
	eventually(t, 30*time.Second, "the worker is ready again", ready)
	eventually(t, 30*time.Second, "the call is counted", func() bool {
		return p.metric("rootwatch_root_calls_total") == 1 && p.metric("rootwatch_unrecorded_root_calls") == 0
	})
	p.stop(10 * time.Second)
}
