package main

import (
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"

	"rootwatch/pipeline/awstest"
	"rootwatch/pipeline/cloudtrailtest"
)

// aRootCall is the record of a call that pages.
func aRootCall() []cloudtrailtest.Record {
	return []cloudtrailtest.Record{{Data: []byte(`{"eventID":"one","eventSource":"iam.amazonaws.com","eventName":"ListUsers","eventTime":"2026-11-23T03:41:07Z",` +
		`"userIdentity":{"type":"Root","accountId":"111122223333","arn":"arn:aws:iam::111122223333:root","accessKeyId":"AKIAIOSFODNN7EXAMPLE"}}`)}}
}

// The ledger hangs: the call pages without it, /-/ready says what is the matter, and both are over
// when it answers again.
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

// Whoever closes a terminal or means to have something read anew must not end a worker that holds
// leases.
func TestAHangupEndsNothing(t *testing.T) {
	t.Parallel()
	server, client := testStream(t, 1)
	p := startWorker(t, endpointsOf(server), "one", "--kinesis.stream=trail", "--kinesis.start=trim-horizon")
	eventually(t, 30*time.Second, "the worker has the shard", func() bool { return p.metric("rootwatch_leases_held") == 1 })
	for range 3 {
		p.signal(syscall.SIGHUP)
	}
	eventually(t, 10*time.Second, "the signal is logged", func() bool {
		log, err := readLog(p)
		return err == nil && strings.Contains(log, "SIGHUP changes nothing")
	})
	putAll(t, client, aRootCall())
	eventually(t, 30*time.Second, "a call is counted after it", func() bool { return p.metric("rootwatch_root_calls_total") == 1 })
	if n := p.metric("rootwatch_lease_changes_total"); n != 1 {
		t.Errorf("%v changes of leases, want the one at the start", n)
	}
	p.stop(10 * time.Second)

	table := dynamodb.NewFromConfig(server.AWSConfig("test"))
	out, err := table.Scan(t.Context(), &dynamodb.ScanInput{TableName: aws.String("rootwatch")})
	if err != nil {
		t.Fatal(err)
	}
	for _, item := range out.Items {
		if owner := item["AssignedTo"]; owner != nil {
			t.Errorf("a lease was not released: %v", item)
		}
	}
	if len(out.Items) < 2 {
		t.Errorf("the table has %d items, want the lease and the first start", len(out.Items))
	}
}
