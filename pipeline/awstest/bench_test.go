package awstest_test

import (
	"bytes"
	"context"
	"encoding/base64"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/kinesis"
	"github.com/aws/aws-sdk-go-v2/service/kinesis/types"

	"rootwatch/pipeline/awstest"
)

const benchRecordBytes = 2300 // the mean of wrapped CloudTrail events

// filled is a server with a stream of one shard that holds n records.
func filled(b *testing.B, n int) (*awstest.Server, *kinesis.Client) {
	srv := awstest.NewServer(awstest.Options{})
	b.Cleanup(srv.Close)
	k := kinesis.NewFromConfig(srv.AWSConfig(""))
	if _, err := k.CreateStream(b.Context(), &kinesis.CreateStreamInput{StreamName: aws.String("bench"), ShardCount: aws.Int32(1)}); err != nil {
		b.Fatal(err)
	}
	for put := 0; put < n; put += 500 {
		if _, err := k.PutRecords(b.Context(), &kinesis.PutRecordsInput{StreamName: aws.String("bench"), Records: benchEntries(min(500, n-put))}); err != nil {
			b.Fatal(err)
		}
	}
	return srv, k
}

func benchEntries(n int) []types.PutRecordsRequestEntry {
	entries := make([]types.PutRecordsRequestEntry, n)
	for i := range entries {
		entries[i] = types.PutRecordsRequestEntry{Data: bytes.Repeat([]byte("x"), benchRecordBytes), PartitionKey: aws.String(fmt.Sprint(i))}
	}
	return entries
}

func horizon(b *testing.B, k *kinesis.Client) *string {
	it, err := k.GetShardIterator(b.Context(), &kinesis.GetShardIteratorInput{StreamName: aws.String("bench"), ShardId: aws.String("shardId-000000000000"), ShardIteratorType: types.ShardIteratorTypeTrimHorizon})
	if err != nil {
		b.Fatal(err)
	}
	return it.ShardIterator
}

// BenchmarkGetRecords is what a consumer with the SDK gets.
func BenchmarkGetRecords(b *testing.B) {
	_, k := filled(b, 4000)
	it := horizon(b, k)
	records := 0
	for b.Loop() {
		out, err := k.GetRecords(context.Background(), &kinesis.GetRecordsInput{ShardIterator: it, Limit: aws.Int32(4000)})
		if err != nil {
			b.Fatal(err)
		}
		records += len(out.Records)
	}
	b.ReportMetric(float64(records)/b.Elapsed().Seconds(), "records/s")
}

// BenchmarkGetRecordsServed is what the server can give a client that only reads the bytes.
func BenchmarkGetRecordsServed(b *testing.B) {
	srv, k := filled(b, 4000)
	body := fmt.Sprintf(`{"ShardIterator":%q,"Limit":4000}`, *horizon(b, k))
	records := 0
	for b.Loop() {
		req, err := http.NewRequest(http.MethodPost, srv.URL, bytes.NewReader([]byte(body)))
		if err != nil {
			b.Fatal(err)
		}
		req.Header.Set("X-Amz-Target", "Kinesis_20131202.GetRecords")
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			b.Fatal(err)
		}
		n, err := io.Copy(io.Discard, resp.Body)
		if err != nil || n < 4000*benchRecordBytes {
			b.Fatalf("%d bytes, %v", n, err)
		}
		resp.Body.Close()
		records += 4000
	}
	b.ReportMetric(float64(records)/b.Elapsed().Seconds(), "records/s")
}

// BenchmarkPutRecords is what the server takes, without the SDK's part.
func BenchmarkPutRecords(b *testing.B) {
	svc := awstest.New(awstest.Options{MaxStreamBytes: 64 << 20})
	call := func(operation, body string) int {
		req := httptest.NewRequest(http.MethodPost, "/", bytes.NewReader([]byte(body)))
		req.Header.Set("X-Amz-Target", "Kinesis_20131202."+operation)
		rec := httptest.NewRecorder()
		svc.ServeHTTP(rec, req)
		return rec.Code
	}
	if code := call("CreateStream", `{"StreamName":"bench","ShardCount":4}`); code != 200 {
		b.Fatal(code)
	}
	var body bytes.Buffer
	body.WriteString(`{"StreamName":"bench","Records":[`)
	for i, e := range benchEntries(500) {
		if i > 0 {
			body.WriteByte(',')
		}
		fmt.Fprintf(&body, `{"Data":%q,"PartitionKey":%q}`, base64.StdEncoding.EncodeToString(e.Data), *e.PartitionKey)
	}
	body.WriteString(`]}`)
	records := 0
	for b.Loop() {
		if code := call("PutRecords", body.String()); code != 200 {
			b.Fatal(code)
		}
		records += 500
	}
	b.ReportMetric(float64(records)/b.Elapsed().Seconds(), "records/s")
}
