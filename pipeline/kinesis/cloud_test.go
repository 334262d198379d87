package kinesis

import (
	"bytes"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	awskinesis "github.com/aws/aws-sdk-go-v2/service/kinesis"
	awstypes "github.com/aws/aws-sdk-go-v2/service/kinesis/types"
	"github.com/sirupsen/logrus"
	"go.uber.org/goleak"

	"rootwatch/pipeline/awstest"
	"rootwatch/pipeline/dynamo"
	"rootwatch/pipeline/retry"
)

const (
	testStream = "events"
	testApp    = "rootwatch-test"
)

func TestMain(m *testing.M) {
	flag.Parse()
	// The tests wait for made-up time and for each other's sockets, not for the CPU.
	if !slices.ContainsFunc(os.Args, func(a string) bool { return strings.HasPrefix(a, "-test.parallel") }) {
		if err := flag.Set("test.parallel", "8"); err != nil {
			panic(err)
		}
	}
	logrus.SetOutput(nowhere{}) // what the bare library writes past its logger
	goleak.VerifyTestMain(m)
}

// nowhere is not io.Discard: a worker sets that.
type nowhere struct{}

func (nowhere) Write(p []byte) (int, error) { return len(p), nil }

// bubble runs f in made-up time: a lease of 20 seconds expires at once, and exactly then. Whatever f has started must
// have ended when it returns.
func bubble(t *testing.T, f func(t *testing.T)) {
	t.Helper()
	t.Parallel()
	synctest.Test(t, f)
}

// Cloud is a Kinesis and a DynamoDB that are called without a network, since sockets do not wait in made-up time.
type Cloud struct {
	t *testing.T
	*awstest.Service
	kinesis *awskinesis.Client
	dynamo  *dynamodb.Client
	dial    func(id string) (*awskinesis.Client, *dynamodb.Client) // nil: without a network

	mu   sync.Mutex
	sent []string
	hook func(*call) // sees each answered call, and may change the answer
}

// call is one call with its answer.
type call struct {
	id, action string // who calls what
	request    []byte
	response   *http.Response
}

func newCloud(t *testing.T, shards int, options awstest.Options) *Cloud {
	t.Helper()
	c := &Cloud{t: t, Service: awstest.New(options)}
	c.kinesis, c.dynamo = c.Clients("test")
	c.CreateStream(shards)
	return c
}

func (c *Cloud) CreateStream(shards int) {
	c.t.Helper()
	if _, err := c.kinesis.CreateStream(c.t.Context(), &awskinesis.CreateStreamInput{StreamName: aws.String(testStream), ShardCount: aws.Int32(int32(shards))}); err != nil {
		c.t.Fatal(err)
	}
}

// clients are those of one identity, which faults can be aimed at.
func (c *Cloud) Clients(id string) (*awskinesis.Client, *dynamodb.Client) {
	if c.dial != nil {
		return c.dial(id)
	}
	cfg := awstest.Config("http://cloud.invalid", "us-east-1", id)
	cfg.HTTPClient = wire{c, id}
	return awskinesis.NewFromConfig(cfg), dynamodb.NewFromConfig(cfg)
}

// onCall has f see every call from now on.
func (c *Cloud) OnCall(f func(*call)) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.hook = f
}

// wire carries requests to the service: an aws.HTTPClient.
type wire struct {
	cloud *Cloud
	id    string
}

func (w wire) Do(r *http.Request) (*http.Response, error) {
	var body []byte
	if r.Body != nil {
		var err error
		if body, err = io.ReadAll(r.Body); err != nil {
			return nil, err
		}
	}
	answered := make(chan *http.Response, 1)
	go func() { answered <- w.answer(r, body) }()
	select {
	case out := <-answered:
		if out == nil {
			return nil, &net.OpError{Op: "read", Net: "tcp", Err: syscall.ECONNRESET}
		}
		return out, nil
	case <-r.Context().Done():
		return nil, r.Context().Err()
	}
}

// answer is nil where the service cuts the connection.
func (w wire) answer(r *http.Request, body []byte) (out *http.Response) {
	defer func() {
		switch v := recover(); v {
		case nil, http.ErrAbortHandler:
		default:
			panic(v)
		}
	}()
	in := r.Clone(r.Context())
	in.Body, in.ContentLength = io.NopCloser(bytes.NewReader(body)), int64(len(body))
	recorder := httptest.NewRecorder()
	w.cloud.ServeHTTP(recorder, in)
	response := recorder.Result()
	w.cloud.mu.Lock()
	hook := w.cloud.hook
	w.cloud.mu.Unlock()
	if hook != nil {
		service, operation, _ := strings.Cut(r.Header.Get("X-Amz-Target"), ".")
		service, _, _ = strings.Cut(strings.ToLower(service), "_")
		hook(&call{w.id, service + ":" + operation, body, response})
	}
	return response
}

// say replaces an answer.
func (c *call) say(status int, body string) {
	c.response.StatusCode, c.response.ContentLength = status, int64(len(body))
	c.response.Header.Set("Content-Length", fmt.Sprint(len(body)))
	c.response.Header.Del("X-Amz-Crc32")
	c.response.Body = io.NopCloser(strings.NewReader(body))
}

// shards are the stream's, as Kinesis lists them.
func (c *Cloud) shards() []awstypes.Shard {
	c.t.Helper()
	var all []awstypes.Shard
	in := &awskinesis.ListShardsInput{StreamName: aws.String(testStream)}
	for {
		out, err := c.kinesis.ListShards(c.t.Context(), in)
		if err != nil {
			c.t.Fatal(err)
		}
		all = append(all, out.Shards...)
		if out.NextToken == nil {
			return all
		}
		in = &awskinesis.ListShardsInput{NextToken: out.NextToken}
	}
}

func (c *Cloud) Shard(id string) awstypes.Shard {
	c.t.Helper()
	all := c.shards()
	i := slices.IndexFunc(all, func(s awstypes.Shard) bool { return *s.ShardId == id })
	if i < 0 {
		c.t.Fatalf("there is no shard %s", id)
	}
	return all[i]
}

func shardID(i int) string { return fmt.Sprintf("shardId-%012d", i) }

// put writes n numbered records, one by one over all open shards.
func (c *Cloud) Put(n int) []string {
	c.t.Helper()
	return c.PutInto(n, c.OpenShards()...)
}

func (c *Cloud) OpenShards() (ids []string) {
	for _, s := range c.shards() {
		if s.SequenceNumberRange.EndingSequenceNumber == nil {
			ids = append(ids, *s.ShardId)
		}
	}
	return ids
}

// putInto writes n numbered records into the shards in turn, and returns what they say.
func (c *Cloud) PutInto(n int, ids ...string) []string {
	c.t.Helper()
	keys := make([]*string, len(ids))
	for i, id := range ids {
		keys[i] = c.Shard(id).HashKeyRange.StartingHashKey
	}
	c.mu.Lock()
	first := len(c.sent)
	for i := range n {
		c.sent = append(c.sent, fmt.Sprintf("record %06d", first+i))
	}
	said := c.sent[first:len(c.sent):len(c.sent)]
	c.mu.Unlock()
	for chunk := range slices.Chunk(said, 500) {
		in := &awskinesis.PutRecordsInput{StreamName: aws.String(testStream)}
		for i, s := range chunk {
			in.Records = append(in.Records, awstypes.PutRecordsRequestEntry{Data: []byte(s), PartitionKey: aws.String(s), ExplicitHashKey: keys[i%len(keys)]})
		}
		out, err := c.kinesis.PutRecords(c.t.Context(), in)
		if err != nil || aws.ToInt32(out.FailedRecordCount) > 0 {
			c.t.Fatalf("putting records: %v %v", out, err)
		}
	}
	return said
}

// putData writes one record as it is.
func (c *Cloud) PutData(shard string, data []byte) {
	c.t.Helper()
	if _, err := c.kinesis.PutRecord(c.t.Context(), &awskinesis.PutRecordInput{
		StreamName: aws.String(testStream), PartitionKey: aws.String("key"), ExplicitHashKey: c.Shard(shard).HashKeyRange.StartingHashKey, Data: data,
	}); err != nil {
		c.t.Fatal(err)
	}
}

// everything is all that was put so far.
func (c *Cloud) Everything() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.sent)
}

// split halves a shard and returns the ids of its children.
func (c *Cloud) Split(id string) []string {
	c.t.Helper()
	r := c.Shard(id).HashKeyRange
	low, high := bigInt(c.t, *r.StartingHashKey), bigInt(c.t, *r.EndingHashKey)
	middle := low.Add(low, high)
	middle = middle.Rsh(middle, 1)
	return c.reshard(func() error {
		_, err := c.kinesis.SplitShard(c.t.Context(), &awskinesis.SplitShardInput{StreamName: aws.String(testStream), ShardToSplit: &id, NewStartingHashKey: aws.String(middle.String())})
		return err
	})
}

// merge makes one shard of two neighbours and returns its id.
func (c *Cloud) Merge(a, b string) string {
	c.t.Helper()
	return c.reshard(func() error {
		_, err := c.kinesis.MergeShards(c.t.Context(), &awskinesis.MergeShardsInput{StreamName: aws.String(testStream), ShardToMerge: &a, AdjacentShardToMerge: &b})
		return err
	})[0]
}

func (c *Cloud) Rescale(n int) {
	c.t.Helper()
	c.reshard(func() error {
		_, err := c.kinesis.UpdateShardCount(c.t.Context(), &awskinesis.UpdateShardCountInput{StreamName: aws.String(testStream), TargetShardCount: aws.Int32(int32(n)), ScalingType: awstypes.ScalingTypeUniformScaling})
		return err
	})
}

// reshard returns the ids of the shards that f has brought about.
func (c *Cloud) reshard(f func() error) (born []string) {
	c.t.Helper()
	before := c.shards()
	if err := f(); err != nil {
		c.t.Fatal(err)
	}
	for _, s := range c.shards() {
		if !slices.ContainsFunc(before, func(b awstypes.Shard) bool { return *b.ShardId == *s.ShardId }) {
			born = append(born, *s.ShardId)
		}
	}
	return born
}

// table is the lease table as a worker of that name would use it.
func (c *Cloud) table(me string, duration time.Duration) *table {
	_, svc := c.Clients(me)
	return &table{svc: svc, name: testApp, me: me, duration: duration, timeout: 5 * time.Second, now: time.Now}
}

// leases reads the lease table.
func (c *Cloud) Leases() map[string]*row {
	c.t.Helper()
	leases, _, err := c.table("test", time.Hour).scan(c.t.Context())
	if err != nil {
		c.t.Fatal(err)
	}
	return leases
}

// item is a lease as it lies in the table.
func (c *Cloud) Item(shardID string) dynamo.Item {
	c.t.Helper()
	out, err := c.dynamo.GetItem(c.t.Context(), &dynamodb.GetItemInput{TableName: aws.String(testApp), Key: dynamo.Item{attrShardID: dynamo.String(shardID)}, ConsistentRead: aws.Bool(true)})
	if err != nil {
		c.t.Fatal(err)
	}
	return out.Item
}

// putItem writes a lease past all conditions, as the bare library and people do.
func (c *Cloud) PutItem(item dynamo.Item) {
	c.t.Helper()
	if _, err := c.dynamo.PutItem(c.t.Context(), &dynamodb.PutItemInput{TableName: aws.String(testApp), Item: item}); err != nil {
		c.t.Fatal(err)
	}
}

// set changes one attribute of a lease past all conditions.
func (c *Cloud) Set(shardID, attribute, value string) {
	c.t.Helper()
	if _, err := c.dynamo.UpdateItem(c.t.Context(), &dynamodb.UpdateItemInput{
		TableName: aws.String(testApp), Key: dynamo.Item{attrShardID: dynamo.String(shardID)}, UpdateExpression: aws.String("SET " + attribute + " = :v"),
		ExpressionAttributeValues: dynamo.Item{":v": dynamo.String(value)},
	}); err != nil {
		c.t.Fatal(err)
	}
}

// ensureTable makes the lease table where no worker has done so.
func (c *Cloud) EnsureTable() {
	c.t.Helper()
	if err := c.table("test", time.Hour).ensure(c.t.Context()); err != nil {
		c.t.Fatal(err)
	}
}

// until waits for a condition, in made-up time or in real.
func until(t *testing.T, limit time.Duration, what string, condition func() bool) {
	t.Helper()
	deadline := time.Now().Add(limit)
	for !condition() {
		if time.Now().After(deadline) {
			t.Fatalf("not within %s: %s", limit, what)
		}
		if retry.Sleep(t.Context(), 50*time.Millisecond) != nil {
			t.Fatalf("cut short: %s", what)
		}
	}
}

// pass lets made-up time go by.
func pass(t *testing.T, d time.Duration) {
	t.Helper()
	if err := retry.Sleep(t.Context(), d); err != nil {
		t.Fatal(err)
	}
	synctest.Wait()
}

// logs keeps what was logged.
type logs struct {
	mu sync.Mutex
	b  strings.Builder
}

func (l *logs) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

// lines are those that contain all of the words.
func (l *logs) lines(words ...string) (found []string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for line := range strings.Lines(l.b.String()) {
		if !slices.ContainsFunc(words, func(w string) bool { return !strings.Contains(line, w) }) {
			found = append(found, line)
		}
	}
	return found
}

func (l *logs) logger() *slog.Logger {
	return slog.New(slog.NewTextHandler(l, &slog.HandlerOptions{Level: slog.LevelDebug}))
}

// quiet is a logger for warnings and errors.
func (l *logs) quiet() *slog.Logger {
	return slog.New(slog.NewTextHandler(l, &slog.HandlerOptions{Level: slog.LevelWarn}))
}
