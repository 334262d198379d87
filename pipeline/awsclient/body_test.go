package awsclient

import (
	"io"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	awskinesis "github.com/aws/aws-sdk-go-v2/service/kinesis"

	"rootwatch/pipeline/awstest"
)

// early answers before it has read the request, as a fast endpoint does.
type early struct {
	reads sync.WaitGroup
	go_   chan struct{}
	body  string
	err   error
}

func (c *early) Do(r *http.Request) (*http.Response, error) {
	c.reads.Go(func() {
		<-c.go_
		b, err := io.ReadAll(r.Body)
		c.body, c.err = string(b), err
	})
	return &http.Response{StatusCode: http.StatusOK, Header: http.Header{}, Body: io.NopCloser(strings.NewReader(`{}`)), Request: r}, nil
}

func TestABodyCanBeReadToItsEndAfterTheAnswer(t *testing.T) {
	transport := &early{go_: make(chan struct{})}
	config := awstest.Config("http://early.invalid", "us-east-1", "test")
	config.HTTPClient = transport
	svc := DynamoDB(dynamodb.NewFromConfig(config))
	if _, err := svc.DeleteTable(t.Context(), &dynamodb.DeleteTableInput{TableName: aws.String("calls")}); err != nil {
		t.Fatal(err)
	}
	close(transport.go_)
	transport.reads.Wait()
	if want := `{"TableName":"calls"}`; transport.body != want || transport.err != nil {
		t.Errorf("after the answer the body is %q (%v), want %q", transport.body, transport.err, want)
	}
}

// BenchmarkGetRecords shows how many calls of a fast endpoint fail: failed/call must be 0. It
// measures the SDK's own way for comparison.
//
//	go test -run '^$' -bench GetRecords -benchtime 10000x ./pipeline/awsclient
func BenchmarkGetRecords(b *testing.B) {
	for name, client := range map[string]func(*awskinesis.Client) *awskinesis.Client{
		"checked": Kinesis, "bare": func(svc *awskinesis.Client) *awskinesis.Client { return svc },
	} {
		b.Run(name, func(b *testing.B) {
			server := awstest.NewServer(awstest.Options{})
			defer server.Close()
			config := server.AWSConfig("test")
			config.Retryer = func() aws.Retryer { return aws.NopRetryer{} }
			svc := client(awskinesis.NewFromConfig(config))
			stream := aws.String("events")
			if _, err := svc.CreateStream(b.Context(), &awskinesis.CreateStreamInput{StreamName: stream, ShardCount: aws.Int32(1)}); err != nil {
				b.Fatal(err)
			}
			at, err := svc.GetShardIterator(b.Context(), &awskinesis.GetShardIteratorInput{StreamName: stream, ShardId: aws.String("shardId-000000000000"), ShardIteratorType: "TRIM_HORIZON"})
			if err != nil {
				b.Fatal(err)
			}
			var failed atomic.Int64
			b.SetParallelism(8)
			b.RunParallel(func(p *testing.PB) {
				for p.Next() {
					if _, err := svc.GetRecords(b.Context(), &awskinesis.GetRecordsInput{ShardIterator: at.ShardIterator}); err != nil && failed.Add(1) == 1 {
						b.Log(err)
					}
				}
			})
			b.ReportMetric(float64(failed.Load()), "failed")
		})
	}
}
