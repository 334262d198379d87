package streamtest

import (
	"bytes"
	"fmt"
	"io"
	"log/slog"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
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

	"rootwatch/pipeline/awstest"
	"rootwatch/pipeline/dynamo"
	"rootwatch/pipeline/retry"
)

const (
	Stream      = "events"
	Application = "rootwatch-test"
)

// Bubble runs f in made-up time: a lease of 20 seconds expires at once, and exactly then. Whatever
// f has started must have ended when it returns.
func Bubble(t *testing.T, f func(t *testing.T)) {
	t.Helper()
	t.Parallel()
	synctest.Test(t, f)
}

// Cloud is a Kinesis and a DynamoDB that are called without a network, since sockets do not wait in
// made-up time.
type Cloud struct {
	t *testing.T
	*awstest.Service
	Kinesis  *awskinesis.Client
	DynamoDB *dynamodb.Client
	dial     func(id string) (*awskinesis.Client, *dynamodb.Client) // nil: without a network

	mu   sync.Mutex
	sent []string
	hook func(*Call) // sees each answered call, and may change the answer
}

// Call is one call with its answer.
type Call struct {
	ID, Action string // who calls what
	Request    []byte
	Response   *http.Response
}

// New makes a stream of that many shards.
func New(t *testing.T, shards int, options awstest.Options) *Cloud {
	t.Helper()
	c := &Cloud{t: t, Service: awstest.New(options)}
	c.Kinesis, c.DynamoDB = c.Clients("test")
	c.CreateStream(shards)
	return c
}

func (c *Cloud) CreateStream(shards int) {
	c.t.Helper()
	if _, err := c.Kinesis.CreateStream(c.t.Context(), &awskinesis.CreateStreamInput{StreamName: aws.String(Stream), ShardCount: aws.Int32(int32(shards))}); err != nil {
		c.t.Fatal(err)
	}
}

// Clients are those of one identity, which faults can be aimed at.
func (c *Cloud) Clients(id string) (*awskinesis.Client, *dynamodb.Client) {
	if c.dial != nil {
		return c.dial(id)
	}
	cfg := awstest.Config("http://cloud.invalid", "us-east-1", id)
	cfg.HTTPClient = wire{c, id}
	return awskinesis.NewFromConfig(cfg), dynamodb.NewFromConfig(cfg)
}

// OnCall has f see every call from now on.
func (c *Cloud) OnCall(f func(*Call)) {
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
		hook(&Call{w.id, service + ":" + operation, body, response})
	}
	return response
}

// Say replaces an answer.
func (c *Call) Say(status int, body string) {
	c.Response.StatusCode, c.Response.ContentLength = status, int64(len(body))
	c.Response.Header.Set("Content-Length", fmt.Sprint(len(body)))
	c.Response.Header.Del("X-Amz-Crc32")
	c.Response.Body = io.NopCloser(strings.NewReader(body))
}

// Shards are the stream's, as Kinesis lists them.
func (c *Cloud) Shards() []awstypes.Shard {
	c.t.Helper()
	var all []awstypes.Shard
	in := &awskinesis.ListShardsInput{StreamName: aws.String(Stream)}
	for {
		out, err := c.Kinesis.ListShards(c.t.Context(), in)
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
	all := c.Shards()
	i := slices.IndexFunc(all, func(s awstypes.Shard) bool { return *s.ShardId == id })
	if i < 0 {
		c.t.Fatalf("there is no shard %s", id)
	}
	return all[i]
}

// ShardID is the id of a shard by its number.
func ShardID(i int) string { return fmt.Sprintf("shardId-%012d", i) }

// Put writes n numbered records, one by one over all open shards.
func (c *Cloud) Put(n int) []string {
	c.t.Helper()
	return c.PutInto(n, c.OpenShards()...)
}

func (c *Cloud) OpenShards() (ids []string) {
	for _, s := range c.Shards() {
		if s.SequenceNumberRange.EndingSequenceNumber == nil {
			ids = append(ids, *s.ShardId)
		}
	}
	return ids
}

// PutInto writes n numbered records into the shards in turn, and returns what they say.
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
		in := &awskinesis.PutRecordsInput{StreamName: aws.String(Stream)}
		for i, s := range chunk {
			in.Records = append(in.Records, awstypes.PutRecordsRequestEntry{Data: []byte(s), PartitionKey: aws.String(s), ExplicitHashKey: keys[i%len(keys)]})
		}
		out, err := c.Kinesis.PutRecords(c.t.Context(), in)
		if err != nil || aws.ToInt32(out.FailedRecordCount) > 0 {
			c.t.Fatalf("putting records: %v %v", out, err)
		}
	}
	return said
}

// PutData writes one record as it is.
func (c *Cloud) PutData(shard string, data []byte) {
	c.t.Helper()
	if _, err := c.Kinesis.PutRecord(c.t.Context(), &awskinesis.PutRecordInput{
		StreamName: aws.String(Stream), PartitionKey: aws.String("key"), ExplicitHashKey: c.Shard(shard).HashKeyRange.StartingHashKey, Data: data,
	}); err != nil {
		c.t.Fatal(err)
	}
}

// Everything is all that was put so far.
func (c *Cloud) Everything() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.sent)
}

// Split halves a shard and returns the ids of its children.
func (c *Cloud) Split(id string) []string {
	c.t.Helper()
	r := c.Shard(id).HashKeyRange
	low, high := bigInt(c.t, *r.StartingHashKey), bigInt(c.t, *r.EndingHashKey)
	middle := low.Add(low, high)
	middle = middle.Rsh(middle, 1)
	return c.reshard(func() error {
		_, err := c.Kinesis.SplitShard(c.t.Context(), &awskinesis.SplitShardInput{StreamName: aws.String(Stream), ShardToSplit: &id, NewStartingHashKey: aws.String(middle.String())})
		return err
	})
}

// Merge makes one shard of two neighbours and returns its id.
func (c *Cloud) Merge(a, b string) string {
	c.t.Helper()
	return c.reshard(func() error {
		_, err := c.Kinesis.MergeShards(c.t.Context(), &awskinesis.MergeShardsInput{StreamName: aws.String(Stream), ShardToMerge: &a, AdjacentShardToMerge: &b})
		return err
	})[0]
}

func (c *Cloud) Rescale(n int) {
	c.t.Helper()
	c.reshard(func() error {
		_, err := c.Kinesis.UpdateShardCount(c.t.Context(), &awskinesis.UpdateShardCountInput{StreamName: aws.String(Stream), TargetShardCount: aws.Int32(int32(n)), ScalingType: awstypes.ScalingTypeUniformScaling})
		return err
	})
}

// reshard returns the ids of the shards that f has brought about.
func (c *Cloud) reshard(f func() error) (born []string) {
	c.t.Helper()
	before := c.Shards()
	if err := f(); err != nil {
		c.t.Fatal(err)
	}
	for _, s := range c.Shards() {
		if !slices.ContainsFunc(before, func(b awstypes.Shard) bool { return *b.ShardId == *s.ShardId }) {
			born = append(born, *s.ShardId)
		}
	}
	return born
}

// Row is an item of the lease table. It is read by the attributes' names as they stand in tables
// that are in use, past the code that writes them.
type Row struct {
	Owner, Claim, Timeout           string
	Checkpoint, CheckedAt, ReadTime string
	ShardStart                      string
	Epoch, Counter                  int64
	HasCounter                      bool
}

// Finished reports whether the shard was read to its end.
func (r *Row) Finished() bool { return r.Checkpoint == "SHARD_END" }

// Leases reads the lease table: an item for each shard, by its id.
func (c *Cloud) Leases() map[string]*Row {
	c.t.Helper()
	rows := make(map[string]*Row)
	in := &dynamodb.ScanInput{TableName: aws.String(Application), ConsistentRead: aws.Bool(true)}
	for {
		out, err := c.DynamoDB.Scan(c.t.Context(), in)
		if err != nil {
			c.t.Fatal(err)
		}
		for _, item := range out.Items {
			id := dynamo.Text(item, "ShardID")
			if strings.Contains(id, "/") {
				continue
			}
			r := &Row{
				Owner: dynamo.Text(item, "AssignedTo"), Claim: dynamo.Text(item, "ClaimRequest"), Timeout: dynamo.Text(item, "LeaseTimeout"),
				Checkpoint: dynamo.Text(item, "Checkpoint"), CheckedAt: dynamo.Text(item, "CheckpointTime"), ReadTime: dynamo.Text(item, "ReadTime"),
				ShardStart: dynamo.Text(item, "ShardStart"),
			}
			r.Epoch, _ = dynamo.Int(item, "LeaseEpoch")
			r.Counter, r.HasCounter = dynamo.Int(item, "LeaseCounter")
			rows[id] = r
		}
		if in.ExclusiveStartKey = out.LastEvaluatedKey; len(in.ExclusiveStartKey) == 0 {
			return rows
		}
	}
}

// Item is a lease as it lies in the table.
func (c *Cloud) Item(shardID string) dynamo.Item {
	c.t.Helper()
	out, err := c.DynamoDB.GetItem(c.t.Context(), &dynamodb.GetItemInput{TableName: aws.String(Application), Key: dynamo.Item{"ShardID": dynamo.String(shardID)}, ConsistentRead: aws.Bool(true)})
	if err != nil {
		c.t.Fatal(err)
	}
	return out.Item
}

// PutItem writes a lease past all conditions, as the bare library and people do.
func (c *Cloud) PutItem(item dynamo.Item) {
	c.t.Helper()
	if _, err := c.DynamoDB.PutItem(c.t.Context(), &dynamodb.PutItemInput{TableName: aws.String(Application), Item: item}); err != nil {
		c.t.Fatal(err)
	}
}

// Set changes one attribute of a lease past all conditions.
func (c *Cloud) Set(shardID, attribute, value string) {
	c.t.Helper()
	if _, err := c.DynamoDB.UpdateItem(c.t.Context(), &dynamodb.UpdateItemInput{
		TableName: aws.String(Application), Key: dynamo.Item{"ShardID": dynamo.String(shardID)}, UpdateExpression: aws.String("SET " + attribute + " = :v"),
		ExpressionAttributeValues: dynamo.Item{":v": dynamo.String(value)},
	}); err != nil {
		c.t.Fatal(err)
	}
}

// DeleteItem takes an item out of the lease table.
func (c *Cloud) DeleteItem(key string) {
	c.t.Helper()
	if _, err := c.DynamoDB.DeleteItem(c.t.Context(), &dynamodb.DeleteItemInput{TableName: aws.String(Application), Key: dynamo.Item{"ShardID": dynamo.String(key)}}); err != nil {
		c.t.Fatal(err)
	}
}

// EnsureTable makes the lease table where no worker has done so.
func (c *Cloud) EnsureTable() {
	c.t.Helper()
	if err := dynamo.Ensure(c.t.Context(), c.DynamoDB, Application, "ShardID"); err != nil {
		c.t.Fatal(err)
	}
}

// Until waits for a condition, in made-up time or in real.
func Until(t *testing.T, limit time.Duration, what string, condition func() bool) {
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

// Pass lets made-up time go by.
func Pass(t *testing.T, d time.Duration) {
	t.Helper()
	if err := retry.Sleep(t.Context(), d); err != nil {
		t.Fatal(err)
	}
	synctest.Wait()
}

// Logs keeps what was logged.
type Logs struct {
	mu sync.Mutex
	b  strings.Builder
}

func (l *Logs) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

// Lines are those that contain all of the words.
func (l *Logs) Lines(words ...string) (found []string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for line := range strings.Lines(l.b.String()) {
		if !slices.ContainsFunc(words, func(w string) bool { return !strings.Contains(line, w) }) {
			found = append(found, line)
		}
	}
	return found
}

// Logger writes to l.
func (l *Logs) Logger() *slog.Logger {
	return slog.New(slog.NewTextHandler(l, &slog.HandlerOptions{Level: slog.LevelDebug}))
}

// Quiet is a logger for warnings and errors.
func (l *Logs) Quiet() *slog.Logger {
	return slog.New(slog.NewTextHandler(l, &slog.HandlerOptions{Level: slog.LevelWarn}))
}

func bigInt(t *testing.T, s string) *big.Int {
	t.Helper()
	n, ok := new(big.Int).SetString(s, 10)
	if !ok {
		t.Fatalf("%q is no number", s)
	}
	return n
}

// SequenceNumbers are those of all records in a shard.
func (c *Cloud) SequenceNumbers(shardID string) (all []string) {
	c.t.Helper()
	at, err := c.Kinesis.GetShardIterator(c.t.Context(), &awskinesis.GetShardIteratorInput{StreamName: aws.String(Stream), ShardId: &shardID, ShardIteratorType: awstypes.ShardIteratorTypeTrimHorizon})
	if err != nil {
		c.t.Fatal(err)
	}
	out, err := c.Kinesis.GetRecords(c.t.Context(), &awskinesis.GetRecordsInput{ShardIterator: at.ShardIterator})
	if err != nil {
		c.t.Fatal(err)
	}
	for i := range out.Records {
		all = append(all, *out.Records[i].SequenceNumber)
	}
	return all
}
