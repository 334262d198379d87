package awstest_test

import (
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	ddb "github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/aws/aws-sdk-go-v2/service/kinesis"
	"github.com/aws/aws-sdk-go-v2/service/kinesis/types"

	"rootwatch/pipeline/awstest"
)

// hasCode reports whether an error is one of AWS's of that name.
func hasCode(err error, code string) bool {
	var api interface{ ErrorCode() string }
	return errors.As(err, &api) && api.ErrorCode() == code
}

// once is a configuration whose clients do not try again.
func once(srv *awstest.Server, accessKeyID string) aws.Config {
	cfg := srv.AWSConfig(accessKeyID)
	cfg.Retryer = func() aws.Retryer { return retry.AddWithMaxAttempts(retry.NewStandard(), 1) }
	return cfg
}

// bench is a server with a stream "events" and a table "leases", and a hand on its clock.
type bench struct {
	*testing.T
	srv *awstest.Server
	k   *kinesis.Client
	d   *dynamodb.Client

	mu  sync.Mutex
	now time.Time
}

func newBench(t *testing.T, shards int32, opts awstest.Options) *bench {
	b := &bench{T: t, now: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)}
	opts.Clock = func() time.Time {
		b.mu.Lock()
		defer b.mu.Unlock()
		return b.now
	}
	b.srv = awstest.NewServer(opts)
	t.Cleanup(b.srv.Close)
	b.k, b.d = kinesis.NewFromConfig(once(b.srv, "test")), dynamodb.NewFromConfig(once(b.srv, "test"))
	_, err := b.k.CreateStream(t.Context(), &kinesis.CreateStreamInput{StreamName: aws.String("events"), ShardCount: &shards})
	b.ok(err)
	_, err = b.d.CreateTable(t.Context(), &dynamodb.CreateTableInput{
		TableName: aws.String("leases"), BillingMode: ddb.BillingModePayPerRequest,
		AttributeDefinitions: []ddb.AttributeDefinition{{AttributeName: aws.String("id"), AttributeType: ddb.ScalarAttributeTypeS}},
		KeySchema:            []ddb.KeySchemaElement{{AttributeName: aws.String("id"), KeyType: ddb.KeyTypeHash}},
	})
	b.ok(err)
	return b
}

func (b *bench) ok(err error) {
	b.Helper()
	if err != nil {
		b.Fatal(err)
	}
}

// pass lets time pass.
func (b *bench) pass(d time.Duration) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.now = b.now.Add(d)
}

func (b *bench) put(text string) *kinesis.PutRecordOutput {
	b.Helper()
	out, err := b.k.PutRecord(b.Context(), &kinesis.PutRecordInput{StreamName: aws.String("events"), Data: []byte(text), PartitionKey: aws.String("k")})
	b.ok(err)
	return out
}

func (b *bench) iterator(kind types.ShardIteratorType, shard string, number *string) *string {
	b.Helper()
	out, err := b.k.GetShardIterator(b.Context(), &kinesis.GetShardIteratorInput{StreamName: aws.String("events"), ShardId: &shard, ShardIteratorType: kind, StartingSequenceNumber: number})
	b.ok(err)
	return out.ShardIterator
}

func (b *bench) get(iterator *string) (*kinesis.GetRecordsOutput, error) {
	return b.k.GetRecords(b.Context(), &kinesis.GetRecordsInput{ShardIterator: iterator})
}

// read is what a shard holds.
func (b *bench) read(shard string) string {
	b.Helper()
	out, err := b.get(b.iterator(types.ShardIteratorTypeTrimHorizon, shard, nil))
	b.ok(err)
	return strings.Join(texts(out.Records), " ")
}

func (b *bench) splitFirst() {
	b.Helper()
	_, err := b.k.SplitShard(b.Context(), &kinesis.SplitShardInput{StreamName: aws.String("events"), ShardToSplit: aws.String(shard0), NewStartingHashKey: aws.String(half.String())})
	b.ok(err)
}

func (b *bench) shardIDs() string {
	b.Helper()
	out, err := b.k.ListShards(b.Context(), &kinesis.ListShardsInput{StreamName: aws.String("events")})
	b.ok(err)
	var ids []string
	for _, sh := range out.Shards {
		ids = append(ids, strings.TrimLeft(strings.TrimPrefix(*sh.ShardId, "shardId-"), "0")+".")
	}
	return strings.Join(ids, " ")
}

func (b *bench) status() types.StreamStatus {
	b.Helper()
	out, err := b.k.DescribeStreamSummary(b.Context(), &kinesis.DescribeStreamSummaryInput{StreamName: aws.String("events")})
	b.ok(err)
	return out.StreamDescriptionSummary.StreamStatus
}

func (b *bench) equal(what string, got, want any) {
	b.Helper()
	if fmt.Sprint(got) != fmt.Sprint(want) {
		b.Errorf("%s: got %v, want %v", what, got, want)
	}
}

func listTables(srv *awstest.Server, accessKeyID string) error {
	_, err := dynamodb.NewFromConfig(once(srv, accessKeyID)).ListTables(noDeadline, &dynamodb.ListTablesInput{})
	return err
}

func TestProtocol(t *testing.T) {
	b := newBench(t, 1, awstest.Options{})
	for what, c := range map[string]struct {
		method, target, body string
		status               int
		contentType, answer  string
	}{
		"DynamoDB":                     {"POST", "DynamoDB_20120810.ListTables", `{}`, 200, "application/x-amz-json-1.0", `{"TableNames":["leases"]}`},
		"Kinesis":                      {"POST", "Kinesis_20131202.ListStreams", `{"Limit":1}`, 200, "application/x-amz-json-1.1", `"StreamNames":["events"]`},
		"no answer in Kinesis":         {"POST", "Kinesis_20131202.CreateStream", `{"StreamName":"spare","ShardCount":1}`, 200, "application/x-amz-json-1.1", ``},
		"an error of Kinesis":          {"POST", "Kinesis_20131202.DescribeStream", `{"StreamName":"none"}`, 400, "application/x-amz-json-1.1", `"__type":"ResourceNotFoundException"`},
		"an error of DynamoDB":         {"POST", "DynamoDB_20120810.DescribeTable", `{"TableName":"none"}`, 400, "application/x-amz-json-1.0", `"__type":"com.amazonaws.dynamodb.v20120810#ResourceNotFoundException"`},
		"an unknown operation":         {"POST", "Kinesis_20131202.SubscribeToShard", `{}`, 400, "application/x-amz-json-1.1", `UnknownOperationException`},
		"an unknown service":           {"POST", "Firehose_20150804.PutRecord", `{}`, 400, "", `UnknownOperationException`},
		"no target":                    {"GET", "", ``, 400, "", `UnknownOperationException`},
		"broken JSON":                  {"POST", "Kinesis_20131202.DescribeStream", `{"StreamName":`, 400, "", `SerializationException`},
		"a number for a name":          {"POST", "Kinesis_20131202.DescribeStream", `{"StreamName":7}`, 400, "", `SerializationException`},
		"data that is not base64":      {"POST", "Kinesis_20131202.PutRecord", `{"StreamName":"events","PartitionKey":"k","Data":"!"}`, 400, "", `SerializationException`},
		"base64 with a line break":     {"POST", "Kinesis_20131202.PutRecord", `{"StreamName":"events","PartitionKey":"k","Data":"YWJj\nYWJj"}`, 400, "", `SerializationException`},
		"base64 with escapes":          {"POST", "Kinesis_20131202.PutRecord", `{"StreamName":"events","PartitionKey":"k","Data":"\u0059\/8="}`, 200, "", `SequenceNumber`},
		"a dry run":                    {"POST", "Kinesis_20131202.PutRecord", `{"StreamName":"events","PartitionKey":"k","Data":"","DryRun":true}`, 400, "", `DryRun`},
		"a legacy condition":           {"POST", "DynamoDB_20120810.PutItem", `{"TableName":"leases","Item":{"id":{"S":"a"}},"Expected":{"id":{"Exists":false}}}`, 400, "", `Expected is not supported`},
		"a secondary index":            {"POST", "DynamoDB_20120810.CreateTable", `{"TableName":"more","GlobalSecondaryIndexes":[]}`, 400, "", `GlobalSecondaryIndexes is not supported`},
		"a table's stream":             {"POST", "DynamoDB_20120810.CreateTable", `{"TableName":"more","StreamSpecification":{"StreamEnabled":true}}`, 400, "", `StreamSpecification is not supported`},
		"a table's encryption":         {"POST", "DynamoDB_20120810.CreateTable", `{"TableName":"more","SSESpecification":{"Enabled":true}}`, 400, "", `SSESpecification is not supported`},
		"a table's tags":               {"POST", "DynamoDB_20120810.CreateTable", `{"TableName":"more","Tags":[]}`, 400, "", `Tags is not supported`},
		"a stream's tags":              {"POST", "Kinesis_20131202.CreateStream", `{"StreamName":"more","ShardCount":1,"Tags":{"a":"b"}}`, 400, "", `Tags is not supported`},
		"a change of a table":          {"POST", "DynamoDB_20120810.UpdateTable", `{"TableName":"leases"}`, 400, "", `UnknownOperationException`},
		"an attribute of two types":    {"POST", "DynamoDB_20120810.PutItem", `{"TableName":"leases","Item":{"id":{"S":"a","N":"1"}}}`, 400, "", `ValidationException`},
		"an attribute of no type":      {"POST", "DynamoDB_20120810.PutItem", `{"TableName":"leases","Item":{"id":{}}}`, 400, "", `ValidationException`},
		"an attribute of unknown type": {"POST", "DynamoDB_20120810.PutItem", `{"TableName":"leases","Item":{"id":{"X":"a"}}}`, 400, "", `ValidationException`},
		"lists in each other": {"POST", "DynamoDB_20120810.PutItem", `{"TableName":"leases","Item":{"id":{"S":"a"},"l":` + strings.Repeat(`{"L":[`, 33) + strings.Repeat(`]}`, 33) + `}}`, 400, "",
			`Nesting`},
	} {
		t.Run(what, func(t *testing.T) {
			req, err := http.NewRequest(c.method, b.srv.URL, strings.NewReader(c.body))
			if err != nil {
				t.Fatal(err)
			}
			req.Header.Set("X-Amz-Target", c.target)
			resp, err := http.DefaultClient.Do(req)
			if err != nil {
				t.Fatal(err)
			}
			defer resp.Body.Close()
			body, err := io.ReadAll(resp.Body)
			if err != nil {
				t.Fatal(err)
			}
			if resp.StatusCode != c.status || !strings.Contains(string(body), c.answer) || c.answer == "" && len(body) > 0 {
				t.Errorf("%s %s, want %d with %s", resp.Status, body, c.status, c.answer)
			}
			if got := resp.Header.Get("Content-Type"); c.contentType != "" && got != c.contentType {
				t.Errorf("content type %q, want %q", got, c.contentType)
			}
			if crc := resp.Header.Get("X-Amz-Crc32"); strings.HasPrefix(c.target, "DynamoDB") && crc != strconv.FormatUint(uint64(crc32.ChecksumIEEE(body)), 10) {
				t.Errorf("checksum %q is wrong", crc)
			}
			if resp.Header.Get("X-Amzn-Requestid") == "" {
				t.Error("no request id")
			}
		})
	}
}

func TestCallsAreCountedByWhoMadeThem(t *testing.T) {
	b := newBench(t, 1, awstest.Options{})
	b.srv.ResetCalls()
	for range 3 {
		b.ok(listTables(b.srv, "one"))
	}
	b.ok(listTables(b.srv, "two"))
	b.put("x")
	_, err := b.k.DescribeStream(t.Context(), &kinesis.DescribeStreamInput{StreamName: aws.String("none")})
	if err == nil {
		t.Error("a stream that is not there was described")
	}
	b.equal("all", b.srv.Calls(), map[awstest.Call]int{
		{Action: "dynamodb:ListTables", AccessKeyID: "one"}: 3, {Action: "dynamodb:ListTables", AccessKeyID: "two"}: 1,
		{Action: "kinesis:PutRecord", AccessKeyID: "test"}: 1, {Action: "kinesis:DescribeStream", AccessKeyID: "test"}: 1,
	})
	b.equal("one's", b.srv.CallsBy("one"), map[string]int{"dynamodb:ListTables": 3})
	b.srv.ResetCalls()
	b.equal("after a reset", len(b.srv.Calls()), 0)
}

func TestCloseEndsCallsUnderWay(t *testing.T) {
	for _, f := range []awstest.Fault{{Effect: awstest.Hang}, {Effect: awstest.Late, Delay: time.Hour}, {Effect: awstest.Late, Delay: time.Hour, Count: 1}} {
		t.Run(fmt.Sprintf("%s, %d", f.Effect, f.Count), func(t *testing.T) {
			srv := awstest.NewServer(awstest.Options{})
			fault := srv.Inject(f)
			failed := make(chan error)
			go func() { failed <- listTables(srv, "") }()
			waitFor(t, "the call is under way", func() bool { return fault.Hits() > 0 })
			srv.Close()
			if err := <-failed; err == nil {
				t.Error("a call to a closed server went well")
			}
		})
	}
}

// post makes a call that no SDK makes, and gives its status and answer. The body's length is not
// told in advance.
func (b *bench) post(target string, body io.Reader) (int, string) {
	b.Helper()
	req, err := http.NewRequest(http.MethodPost, b.srv.URL, io.MultiReader(body))
	b.ok(err)
	req.Header.Set("X-Amz-Target", target)
	resp, err := http.DefaultClient.Do(req)
	b.ok(err)
	defer resp.Body.Close()
	answer, err := io.ReadAll(resp.Body)
	b.ok(err)
	return resp.StatusCode, string(answer)
}

func TestExpressionsOfTenMegabytesDoNotKill(t *testing.T) {
	b := newBench(t, 1, awstest.Options{})
	for what, c := range map[string]struct{ parameter, before, repeated string }{
		"a condition of parentheses": {"ConditionExpression", "", "("},
		"a condition of negations":   {"ConditionExpression", "", "NOT "},
		"an update of parentheses":   {"UpdateExpression", "SET a = ", "("},
		"an update of functions":     {"UpdateExpression", "SET a = ", "if_not_exists(a,"},
	} {
		t.Run(what, func(t *testing.T) {
			expression := c.before + strings.Repeat(c.repeated, 10<<20/len(c.repeated))
			status, answer := b.post("DynamoDB_20120810.UpdateItem", strings.NewReader(`{"TableName":"leases","Key":{"id":{"S":"a"}},"`+c.parameter+`":"`+expression+`"}`))
			want := fmt.Sprintf("Invalid %s: Expression size has exceeded the maximum allowed size; expression size: %d", c.parameter, len(expression))
			if status != http.StatusBadRequest || !strings.Contains(answer, want) {
				t.Errorf("%d %.300s, want %s", status, answer, want)
			}
		})
	}
}

func TestABodyThatIsTooLargeIsNotCut(t *testing.T) {
	b := newBench(t, 1, awstest.Options{})
	const limit = 24 << 20
	call := `{"StreamName":"events"}`
	padded := func(size int) io.Reader { return strings.NewReader(call + strings.Repeat(" ", size-len(call))) }
	status, _ := b.post("Kinesis_20131202.DescribeStream", padded(limit))
	b.equal("status at the limit", status, http.StatusOK)
	status, answer := b.post("Kinesis_20131202.DescribeStream", padded(limit+1))
	b.equal("status above the limit", status, http.StatusRequestEntityTooLarge)
	b.equal("named", strings.Contains(answer, "RequestEntityTooLargeException"), true)
}

// waitFor looks again and again until what it waits for is so.
func waitFor(t *testing.T, what string, f func() bool) {
	t.Helper()
	deadline := time.After(10 * time.Second)
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for !f() {
		select {
		case <-tick.C:
		case <-deadline:
			t.Fatalf("not within 10 s: %s", what)
		}
	}
}
