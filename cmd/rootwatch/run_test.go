package main

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awskinesis "github.com/aws/aws-sdk-go-v2/service/kinesis"
	"github.com/aws/aws-sdk-go-v2/service/kinesis/types"

	"rootwatch/pipeline/awstest"
	"rootwatch/pipeline/cloudtrailtest"
)

// testStream makes a stream in the in-process Kinesis.
func testStream(t *testing.T, shards int32) (*awstest.Server, *awskinesis.Client) {
	t.Helper()
	server := awstest.NewServer(awstest.Options{})
	t.Cleanup(server.Close)
	client := awskinesis.NewFromConfig(server.Direct("producer"))
	if _, err := client.CreateStream(t.Context(), &awskinesis.CreateStreamInput{StreamName: aws.String("trail"), ShardCount: &shards}); err != nil {
		t.Fatal(err)
	}
	return server, client
}

// putAll puts records into the stream, spread over its shards.
func putAll(t *testing.T, client *awskinesis.Client, records []cloudtrailtest.Record) {
	t.Helper()
	for len(records) > 0 {
		n := min(len(records), 500)
		var entries []types.PutRecordsRequestEntry
		for i, r := range records[:n] {
			entries = append(entries, types.PutRecordsRequestEntry{Data: r.Data, PartitionKey: aws.String(fmt.Sprintf("%d/%d", len(records), i))})
		}
		out, err := client.PutRecords(t.Context(), &awskinesis.PutRecordsInput{StreamName: aws.String("trail"), Records: entries})
		if err != nil || aws.ToInt32(out.FailedRecordCount) > 0 {
			t.Fatalf("putting records: %v, %+v", err, out)
		}
		records = records[n:]
	}
}

func endpointsOf(server *awstest.Server) map[string]string {
	return map[string]string{"AWS_ENDPOINT_URL": server.URL}
}

func TestEveryRootCallIsCountedOnceOverARestart(t *testing.T) {
	t.Parallel()
	server, client := testStream(t, 4)
	traffic := cloudtrailtest.New(7, 40, time.Now)
	var records []cloudtrailtest.Record
	sent := newTally()
	for range 20_000 {
		r := traffic.Next()
		records = append(records, r)
		sent.add(r.Result, string(r.Verdict), string(r.Reason), 1)
	}
	putAll(t, client, records)

	first := startWorker(t, endpointsOf(server), "one", "--kinesis.stream=trail", "--kinesis.start=trim-horizon")
	eventually(t, 60*time.Second, "all events are counted", func() bool { return first.metric("rootwatch_events_total") == 20_000 })
	for key, n := range sent.counts {
		got := first.metric("rootwatch_events_total", "result="+key[0])
		if key[0] == "root" {
			got = first.metric("rootwatch_root_calls_total", "verdict="+key[1], "reason="+key[2])
		}
		if int(got) != n {
			t.Errorf("%v: %d sent, %v counted", key, n, got)
		}
	}
	if code, body := first.get("/-/ready"); code != 200 {
		t.Errorf("/-/ready answers %d: %s", code, body)
	}
	if took := first.stop(10 * time.Second); took > 3*time.Second {
		t.Errorf("stopping took %s with a working pipeline, want under 3s", took)
	}

	second := startWorker(t, endpointsOf(server), "two", "--kinesis.stream=trail", "--kinesis.start=trim-horizon")
	more := traffic.Next()
	putAll(t, client, []cloudtrailtest.Record{more})
	eventually(t, 30*time.Second, "the record put after the restart is counted", func() bool { return second.metric("rootwatch_events_total") >= 1 })
	if n := second.metric("rootwatch_events_total"); n != 1 {
		t.Errorf("after the restart %v events were counted, want the new one alone", n)
	}
	second.stop(10 * time.Second)
}

func TestAMissingStreamIsNamedWithItsRegion(t *testing.T) {
	t.Parallel()
	server, _ := testStream(t, 1)
	p := startWorker(t, endpointsOf(server), "one", "--kinesis.stream=nope")
	select {
	case err := <-p.exited:
		if err == nil {
			t.Error("the worker ended with 0")
		}
	case <-time.After(20 * time.Second):
		t.Fatal("the worker goes on without a stream")
	}
	text := fmt.Sprint(p.lines())
	if raw, _ := readLog(p); !strings.Contains(raw, "stream nope does not exist in region us-east-1") || strings.Contains(raw, "goroutine") {
		t.Errorf("the error does not say it: %s\n%s", raw, text)
	}
	if n := server.Calls()[awstest.Call{Action: "dynamodb:CreateTable", AccessKeyID: "one"}]; n != 0 {
		t.Errorf("%d tables were made without a stream", n)
	}
}

func TestTheDemoCountsWhatItSends(t *testing.T) {
	t.Parallel()
	var stdout, stderr bytes.Buffer
	if code := run(t.Context(), []string{"demo", "--for=3s", "--rate=500", "--web.listen-address=127.0.0.1:0"}, &stdout, &stderr); code != 0 {
		t.Fatalf("exit code %d\n%s\n%s", code, stdout.String(), stderr.String())
	}
	if strings.Contains(stdout.String(), "127.0.0.1:0/") {
		t.Errorf("the address of the metrics cannot be opened: %s", stdout.String())
	}
	for _, want := range []string{"ROOT CALL", "access_key", "known_service", "undecodable", "ALL"} {
		if !strings.Contains(stdout.String(), want) {
			t.Errorf("the demo does not show %s", want)
		}
	}
}
