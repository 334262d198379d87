package awsclient

import (
	"context"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	awskinesis "github.com/aws/aws-sdk-go-v2/service/kinesis"

	"rootwatch/pipeline/awstest"
)

// early answers before it has read the request, as a fast endpoint does.
type early struct {
	reads   sync.WaitGroup
	proceed chan struct{}
	body    string
	err     error
}

func (c *early) Do(r *http.Request) (*http.Response, error) {
	c.reads.Go(func() {
		<-c.proceed
		b, err := io.ReadAll(r.Body)
		c.body, c.err = string(b), err
	})
	return &http.Response{StatusCode: http.StatusOK, Header: http.Header{}, Body: io.NopCloser(strings.NewReader(`{}`)), Request: r}, nil
}

func TestABodyCanBeReadToItsEndAfterTheAnswer(t *testing.T) {
	transport := &early{proceed: make(chan struct{})}
	config := awstest.Config("http://early.invalid", "us-east-1", "test")
	config.HTTPClient = transport
	svc := DynamoDB(dynamodb.NewFromConfig(config))
	if _, err := svc.DeleteTable(t.Context(), &dynamodb.DeleteTableInput{TableName: aws.String("calls")}); err != nil {
		t.Fatal(err)
	}
	close(transport.proceed)
	transport.reads.Wait()
	if want := `{"TableName":"calls"}`; transport.body != want || transport.err != nil {
		t.Errorf("after the answer the body is %q (%v), want %q", transport.body, transport.err, want)
	}
}

// busy is a connection of a host on which another goroutine gets its turn after each write.
type busy struct{ net.Conn }

func dialBusy(ctx context.Context, network, address string) (net.Conn, error) {
	conn, err := new(net.Dialer).DialContext(ctx, network, address)
	return busy{conn}, err
}

func (c busy) Write(b []byte) (int, error) {
	n, err := c.Conn.Write(b)
	time.Sleep(time.Millisecond)
	return n, err
}

// BenchmarkGetRecords shows how many calls of an endpoint fail that answers as soon as it has seen
// the head of a request: none may. It measures the SDK's own way for comparison: 98 of 10,000.
//
//	go test -run '^$' -bench GetRecords -benchtime 10000x ./pipeline/awsclient
func BenchmarkGetRecords(b *testing.B) {
	for name, client := range map[string]func(*awskinesis.Client) *awskinesis.Client{
		"checked": Kinesis, "bare": func(svc *awskinesis.Client) *awskinesis.Client { return svc },
	} {
		b.Run(name, func(b *testing.B) {
			answer := `{"Records":[` + strings.Repeat(" ", 16<<10) + `],"NextShardIterator":"next"}`
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				io.WriteString(w, answer)
			}))
			defer server.Close()
			config := awstest.Config(server.URL, "us-east-1", "test")
			config.Retryer = func() aws.Retryer { return aws.NopRetryer{} }
			config.Credentials = credentials.NewStaticCredentialsProvider("test", "secret", strings.Repeat("token", 600)) // as a role's may be
			config.HTTPClient = &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 100, DialContext: dialBusy}}
			svc := client(awskinesis.NewFromConfig(config))
			at := aws.String(strings.Repeat("iterator", 100))
			var failed atomic.Int64
			b.SetParallelism(8)
			b.RunParallel(func(p *testing.PB) {
				for p.Next() {
					if _, err := svc.GetRecords(b.Context(), &awskinesis.GetRecordsInput{ShardIterator: at}); err != nil && failed.Add(1) == 1 {
						b.Log(err)
					}
				}
			})
			b.ReportMetric(float64(failed.Load()), "failed")
		})
	}
}
