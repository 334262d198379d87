//go:build chaos

package main

import (
	"context"
	"flag"
	"fmt"
	"math/big"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	ddb "github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	awskinesis "github.com/aws/aws-sdk-go-v2/service/kinesis"
	"github.com/aws/aws-sdk-go-v2/service/kinesis/types"

	"rootwatch/pipeline/awstest"
)

// The chaos test: workers as real processes are killed, stopped, frozen, cut off and resharded under, while a producer writes
// numbered root calls and much else. At the end every root call must have been told and written down, and no checkpoint may
// ever have gone back.
//
//	go test -tags chaos -run Chaos ./cmd/rootwatch -chaos.for 60s -chaos.seed 42
//
// With ROOTWATCH_KINESIS_ENDPOINT and ROOTWATCH_DYNAMODB_ENDPOINT it runs against those, without the faults that only the
// in-process servers can make.
var (
	chaosFor     = flag.Duration("chaos.for", 20*time.Second, "length of the chaos")
	chaosSeed    = flag.Uint64("chaos.seed", 0, "seed; 0 takes one from the clock")
	chaosWorkers = flag.Int("chaos.workers", 3, "number of workers")
	chaosSize    = flag.Int("chaos.record-size", 2300, "size of the records to catch up on, in bytes")
	chaosRate    = flag.Int("chaos.rate", 400, "records a second")
)

const chaosLease = 2 * time.Second

type chaos struct {
	t         *testing.T
	random    *rand.Rand
	server    *awstest.Server // nil with foreign endpoints
	endpoints map[string]string
	client    *awskinesis.Client
	table     *dynamodb.Client
	stream    string
	app       string

	mu      sync.Mutex
	workers []*process // by slot; the identity of a slot stays
	all     []*process // all that ever ran
	actions map[string]int
	done    []deed
	roots   []string // ids of the root calls that were put
	records int
}

// deed is a piece of mischief that was done.
type deed struct {
	name       string
	slot       int
	began, end time.Time
}

func TestChaos(t *testing.T) {
	seed := *chaosSeed
	if seed == 0 {
		seed = uint64(time.Now().UnixNano())
	}
	t.Logf("seed %d: run again with -chaos.seed %d", seed, seed)
	c := newChaos(t, seed)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var background sync.WaitGroup
	regressions := 0
	background.Go(func() { regressions = c.watchCheckpoints(ctx) })
	producing, stopProducing := context.WithTimeout(ctx, *chaosFor)
	defer stopProducing()
	produced := make(chan struct{})
	go func() { c.produce(producing); close(produced) }()
	for producing.Err() == nil {
		c.act(producing)
	}
	<-produced
	c.calm()

	missing := c.roots
	eventually(t, 90*time.Second, "every root call is told and written down", func() bool {
		missing = c.missing(missing)
		return len(missing) == 0
	})
	cancel()
	background.Wait()
	for slot, w := range c.workers {
		if took := w.stop(15 * time.Second); took > 3*time.Second {
			t.Errorf("worker %d took %s to stop in calm", slot, took)
		}
	}
	told := 0
	for _, p := range c.all {
		told += len(p.rootCalls())
	}
	c.logDoubled()
	doubled := 100 * float64(told-len(c.roots)) / float64(len(c.roots))
	t.Logf("%d records, %d root calls, 0 lost; told %d times (%.2f %% more than once); checkpoint regressions %d; actions %v",
		c.records, len(c.roots), told, doubled, regressions, c.actions)
	if regressions > 0 {
		t.Errorf("%d checkpoints went back", regressions)
	}
}

// logDoubled says after which mischief root calls were told a second time.
func (c *chaos) logDoubled() {
	type telling struct {
		id string
		at time.Time
	}
	var tellings []telling
	for _, p := range c.all {
		for _, line := range p.lines() {
			if at, err := time.Parse(time.RFC3339Nano, fmt.Sprint(line["time"])); err == nil && line["msg"] == "root call" {
				tellings = append(tellings, telling{fmt.Sprint(line["event_id"]), at})
			}
		}
	}
	slices.SortFunc(tellings, func(a, b telling) int { return a.at.Compare(b.at) })
	known := make(map[string]bool)
	after := make(map[string]int)
	for _, t := range tellings {
		if !known[t.id] {
			known[t.id] = true
			continue
		}
		last := "nothing"
		for _, d := range c.done {
			if d.began.Before(t.at) {
				last = d.name
			}
		}
		after[last]++
	}
	c.t.Logf("told more than once, by the last mischief before: %v", after)
}

func newChaos(t *testing.T, seed uint64) *chaos {
	c := &chaos{
		t: t, random: rand.New(rand.NewPCG(seed, 1)), stream: fmt.Sprintf("chaos-%d", seed), app: fmt.Sprintf("chaos-%d", seed), actions: make(map[string]int),
	}
	config := func() (aws.Config, aws.Config) {
		k, d := os.Getenv("ROOTWATCH_KINESIS_ENDPOINT"), os.Getenv("ROOTWATCH_DYNAMODB_ENDPOINT")
		if k != "" && d != "" {
			c.endpoints = map[string]string{"AWS_ENDPOINT_URL_KINESIS": k, "AWS_ENDPOINT_URL_DYNAMODB": d}
			return awstest.Config(k, "us-east-1", "producer"), awstest.Config(d, "us-east-1", "producer")
		}
		c.server = awstest.NewServer(awstest.Options{IteratorLifetime: 5 * time.Second})
		t.Cleanup(c.server.Close)
		c.endpoints = endpointsOf(c.server)
		return c.server.AWSConfig("producer"), c.server.AWSConfig("producer")
	}
	forKinesis, forDynamo := config()
	c.client, c.table = awskinesis.NewFromConfig(forKinesis), dynamodb.NewFromConfig(forDynamo)
	if _, err := c.client.CreateStream(t.Context(), &awskinesis.CreateStreamInput{StreamName: &c.stream, ShardCount: aws.Int32(4)}); err != nil {
		t.Fatal(err)
	}
	eventually(t, 10*time.Second, "the stream is active", c.active)
	for slot := range *chaosWorkers {
		c.workers = append(c.workers, c.start(slot))
	}
	return c
}

func (c *chaos) start(slot int) *process {
	p := startWorker(c.t, c.endpoints, c.identity(slot), "--kinesis.stream="+c.stream, "--kinesis.application="+c.app, "--kinesis.start=trim-horizon",
		"--kinesis.lease-duration="+chaosLease.String(), "--kinesis.poll-interval=200ms", "--kinesis.checkpoint-interval=100ms", "--shutdown-timeout=10s")
	c.mu.Lock()
	defer c.mu.Unlock()
	c.all = append(c.all, p)
	return p
}

func (c *chaos) identity(slot int) string { return fmt.Sprintf("worker-%d", slot) }

func (c *chaos) active() bool {
	out, err := c.client.DescribeStreamSummary(c.t.Context(), &awskinesis.DescribeStreamSummaryInput{StreamName: &c.stream})
	return err == nil && out.StreamDescriptionSummary.StreamStatus == types.StreamStatusActive
}

// produce puts records at the set rate: numbered root calls, others, and poison.
func (c *chaos) produce(ctx context.Context) {
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	random := rand.New(rand.NewPCG(2, 3))
	for ctx.Err() == nil {
		<-tick.C
		var entries []types.PutRecordsRequestEntry
		var roots []string
		for range *chaosRate / 10 {
			c.records++
			data := chaosEvent(fmt.Sprintf("other-%d", c.records), "AssumedRole")
			switch n := random.IntN(100); {
			case n < 10:
				id := fmt.Sprintf("root-%d", c.records)
				roots = append(roots, id)
				data = chaosEvent(id, "Root")
			case n < 12:
				data = data[:len(data)/2]
			case n < 13:
				data = []byte("\xf3\x89\x9a\xc2 no aggregate")
			}
			entries = append(entries, types.PutRecordsRequestEntry{Data: data, PartitionKey: aws.String(fmt.Sprint(random.Uint64()))})
		}
		c.put(entries)
		c.roots = append(c.roots, roots...)
	}
}

func chaosEvent(id, identity string) []byte {
	return fmt.Appendf(nil, `{"version":"0","id":"%[1]s","detail-type":"AWS API Call via CloudTrail","source":"aws.iam","account":"111122223333","time":"2026-11-23T00:00:00Z","region":"us-east-1","resources":[],"detail":{"eventVersion":"1.11","userIdentity":{"type":"%[2]s","arn":"arn:aws:iam::111122223333:root","accountId":"111122223333","accessKeyId":"AKIAIOSFODNN7EXAMPLE"},"eventTime":"2026-11-23T00:00:00Z","eventSource":"iam.amazonaws.com","eventName":"ListUsers","awsRegion":"us-east-1","sourceIPAddress":"192.0.2.1","userAgent":"aws-cli","eventID":"%[1]s","eventType":"AwsApiCall"}}`, id, identity)
}

func (c *chaos) put(entries []types.PutRecordsRequestEntry) {
	deadline := time.Now().Add(30 * time.Second)
	for len(entries) > 0 && time.Now().Before(deadline) {
		out, err := c.client.PutRecords(c.t.Context(), &awskinesis.PutRecordsInput{StreamName: &c.stream, Records: entries})
		if err != nil {
			continue // of a reshard: the same entries again
		}
		var again []types.PutRecordsRequestEntry
		for i, r := range out.Records {
			if r.ErrorCode != nil {
				again = append(again, entries[i])
			}
		}
		entries = again
	}
	if len(entries) > 0 {
		c.t.Errorf("%d records could not be put", len(entries))
	}
}

// act does one piece of mischief and waits a little.
func (c *chaos) act(ctx context.Context) {
	acts := []struct {
		name string
		do   func(ctx context.Context, slot int)
	}{
		{"kill", c.killOne}, {"stop", c.stopOne}, {"freeze", c.freezeOne}, {"split", c.splitOne}, {"merge", c.mergeTwo},
	}
	if c.server != nil {
		for _, f := range []struct {
			name  string
			fault awstest.Fault
		}{
			{"cut from DynamoDB", awstest.Fault{Service: "dynamodb", Effect: awstest.Drop}},
			{"cut from Kinesis", awstest.Fault{Service: "kinesis", Effect: awstest.Drop}},
			{"DynamoDB hangs", awstest.Fault{Service: "dynamodb", Effect: awstest.Hang}},
			{"Kinesis hangs", awstest.Fault{Service: "kinesis", Effect: awstest.Hang}},
			{"throttled", awstest.Fault{Effect: awstest.Throttle, Probability: 0.7}},
			{"errors", awstest.Fault{Effect: awstest.Fail, Probability: 0.5}},
			{"errors after the effect", awstest.Fault{Effect: awstest.FailAfter, Probability: 0.3}},
			{"answers lost", awstest.Fault{Effect: awstest.DropAfter, Probability: 0.3}},
			{"slow", awstest.Fault{Effect: awstest.Slow, Delay: 300 * time.Millisecond}},
			{"iterators expire", awstest.Fault{Service: "kinesis", Operation: "GetRecords", Effect: awstest.ExpireIterator, Probability: 0.3}},
		} {
			acts = append(acts, struct {
				name string
				do   func(ctx context.Context, slot int)
			}{f.name, func(ctx context.Context, slot int) {
				fault := f.fault
				fault.AccessKeyID = c.identity(slot)
				in := c.server.Inject(fault)
				c.rest(ctx, time.Duration(c.random.Int64N(int64(2*chaosLease))))
				in.Remove()
			}})
		}
	}
	act := acts[c.random.IntN(len(acts))]
	c.actions[act.name]++
	slot := c.random.IntN(len(c.workers))
	began := time.Now()
	act.do(ctx, slot)
	c.done = append(c.done, deed{act.name, slot, began, time.Now()})
	c.rest(ctx, time.Duration(c.random.Int64N(int64(time.Second))))
}

func (c *chaos) rest(ctx context.Context, d time.Duration) {
	select {
	case <-ctx.Done():
	case <-time.After(d):
	}
}

func (c *chaos) killOne(_ context.Context, slot int) {
	c.workers[slot].kill()
	c.workers[slot] = c.start(slot)
}

func (c *chaos) stopOne(_ context.Context, slot int) {
	c.workers[slot].stop(15 * time.Second)
	c.workers[slot] = c.start(slot)
}

func (c *chaos) freezeOne(ctx context.Context, slot int) {
	c.workers[slot].signal(syscall.SIGSTOP)
	c.rest(ctx, chaosLease/2+time.Duration(c.random.Int64N(int64(2*chaosLease))))
	c.workers[slot].signal(syscall.SIGCONT)
}

// openShards are the shards that take records, in the order of their hash keys.
func (c *chaos) openShards() []types.Shard {
	var open []types.Shard
	in := &awskinesis.ListShardsInput{StreamName: &c.stream}
	for {
		out, err := c.client.ListShards(c.t.Context(), in)
		if err != nil {
			return nil
		}
		for _, s := range out.Shards {
			if s.SequenceNumberRange.EndingSequenceNumber == nil {
				open = append(open, s)
			}
		}
		if out.NextToken == nil {
			break
		}
		in = &awskinesis.ListShardsInput{NextToken: out.NextToken}
	}
	slices.SortFunc(open, func(a, b types.Shard) int {
		return hashKey(a.HashKeyRange.StartingHashKey).Cmp(hashKey(b.HashKeyRange.StartingHashKey))
	})
	return open
}

func hashKey(s *string) *big.Int {
	n, _ := new(big.Int).SetString(aws.ToString(s), 10)
	return n
}

func (c *chaos) splitOne(context.Context, int) {
	open := c.openShards()
	if len(open) == 0 || len(open) > 7 {
		return
	}
	s := open[c.random.IntN(len(open))]
	middle := new(big.Int).Add(hashKey(s.HashKeyRange.StartingHashKey), hashKey(s.HashKeyRange.EndingHashKey))
	middle.Rsh(middle, 1)
	c.client.SplitShard(c.t.Context(), &awskinesis.SplitShardInput{StreamName: &c.stream, ShardToSplit: s.ShardId, NewStartingHashKey: aws.String(middle.String())})
}

func (c *chaos) mergeTwo(context.Context, int) {
	open := c.openShards()
	if len(open) < 3 {
		return
	}
	i := c.random.IntN(len(open) - 1)
	c.client.MergeShards(c.t.Context(), &awskinesis.MergeShardsInput{StreamName: &c.stream, ShardToMerge: open[i].ShardId, AdjacentShardToMerge: open[i+1].ShardId})
}

// calm ends all faults and sees to it that all workers run.
func (c *chaos) calm() {
	if c.server != nil {
		c.server.ClearFaults()
	}
	for _, w := range c.workers {
		w.signal(syscall.SIGCONT)
	}
}

// missing returns those of ids that were not told in a log line, or are not in the ledger.
func (c *chaos) missing(ids []string) []string {
	told := make(map[string]bool)
	c.mu.Lock()
	all := slices.Clone(c.all)
	c.mu.Unlock()
	for _, p := range all {
		for _, id := range p.rootCalls() {
			told[id] = true
		}
	}
	written := make(map[string]bool)
	c.scan(c.app+"-findings", func(item map[string]ddb.AttributeValue) { written[text(item, "id")] = true })
	return slices.DeleteFunc(slices.Clone(ids), func(id string) bool { return told[id] && written[id] })
}

func text(item map[string]ddb.AttributeValue, name string) string {
	if v, ok := item[name].(*ddb.AttributeValueMemberS); ok {
		return v.Value
	}
	return ""
}

func (c *chaos) scan(table string, each func(map[string]ddb.AttributeValue)) {
	var from map[string]ddb.AttributeValue
	for {
		out, err := c.table.Scan(c.t.Context(), &dynamodb.ScanInput{TableName: &table, ExclusiveStartKey: from, ConsistentRead: aws.Bool(true)})
		if err != nil {
			return // not made yet
		}
		for _, item := range out.Items {
			each(item)
		}
		if from = out.LastEvaluatedKey; len(from) == 0 {
			return
		}
	}
}

// watchCheckpoints counts the checkpoints that go back, until ctx ends.
func (c *chaos) watchCheckpoints(ctx context.Context) (regressions int) {
	newest := make(map[string]string)
	tick := time.NewTicker(25 * time.Millisecond)
	defer tick.Stop()
	for ctx.Err() == nil {
		<-tick.C
		c.scan(c.app, func(item map[string]ddb.AttributeValue) {
			shard, checkpoint := text(item, "ShardID"), text(item, "Checkpoint")
			if before := newest[shard]; before != "" && (before == "SHARD_END" && checkpoint != before ||
				checkpoint != "SHARD_END" && hashKey(&checkpoint).Cmp(hashKey(&before)) < 0) {
				regressions++
				c.t.Errorf("the checkpoint of %s went from %s to %q", shard, before, checkpoint)
			}
			newest[shard] = checkpoint
		})
	}
	return regressions
}

// A worker is killed with kill -9; its shards are read again within the lease's duration and three seconds.
func TestChaosTakeover(t *testing.T) {
	for _, lease := range []time.Duration{2 * time.Second, 20 * time.Second} {
		t.Run(lease.String(), func(t *testing.T) {
			t.Parallel()
			server, client := testStream(t, 4)
			var workers [2]*process
			for i := range workers {
				workers[i] = startWorker(t, endpointsOf(server), fmt.Sprint("w", i), "--kinesis.stream=trail", "--kinesis.start=trim-horizon", "--kinesis.lease-duration="+lease.String(), "--kinesis.poll-interval=200ms")
				eventually(t, 10*time.Second, "the first worker holds all", func() bool { return i > 0 || workers[0].metric("rootwatch_leases_held") == 4 })
			}
			eventually(t, 3*lease, "the leases are shared", func() bool {
				return workers[0].metric("rootwatch_leases_held") == 2 && workers[1].metric("rootwatch_leases_held") == 2
			})
			workers[0].kill()
			killed := time.Now()
			for i := range 40 { // to all shards
				put := &awskinesis.PutRecordInput{StreamName: aws.String("trail"), PartitionKey: aws.String(fmt.Sprint(i)), Data: chaosEvent(fmt.Sprint("root-", i), "Root")}
				if _, err := client.PutRecord(t.Context(), put); err != nil {
					t.Fatal(err)
				}
			}
			eventually(t, lease+10*time.Second, "all records are read", func() bool { return workers[1].metric("rootwatch_root_calls_total") == 40 })
			took := time.Since(killed)
			t.Logf("lease %s: all shards read again %s after kill -9", lease, took)
			if took > lease+3*time.Second {
				t.Errorf("taking over took %s, want at most %s", took, lease+3*time.Second)
			}
		})
	}
}

// One worker, started on 64 shards with 500 MB behind: it holds and reads all soon, in bounded memory.
func TestChaosCatchUp(t *testing.T) {
	const shards, total = 64, 500 << 20
	server, client := testStream(t, shards)
	filler := strings.Repeat("x", *chaosSize)
	n := 0
	for put := 0; put < total; {
		var entries []types.PutRecordsRequestEntry
		for range min(500, (4<<20) / *chaosSize) {
			data := chaosEvent(fmt.Sprint("other-", n), "AssumedRole")
			data = fmt.Appendf(data[:len(data)-2], `,"requestParameters":{"x":"%s"}}}`, filler[:*chaosSize-len(data)])
			entries = append(entries, types.PutRecordsRequestEntry{Data: data, PartitionKey: aws.String(fmt.Sprint(rand.Uint64()))})
			put += len(data)
			n++
		}
		if out, err := client.PutRecords(t.Context(), &awskinesis.PutRecordsInput{StreamName: aws.String("trail"), Records: entries}); err != nil || *out.FailedRecordCount > 0 {
			t.Fatal(err, out)
		}
	}
	began := time.Now()
	w := startWorker(t, endpointsOf(server), "one", "--kinesis.stream=trail", "--kinesis.start=trim-horizon", "--kinesis.lease-duration=20s")
	held := eventually(t, 60*time.Second, "all leases are held and have answered", func() bool {
		return w.metric("rootwatch_leases_held") == shards && w.metric("rootwatch_fetches_total", "result=ok") >= shards
	})
	eventually(t, 3*time.Minute, "all records are read", func() bool { return w.metric("rootwatch_records_total") >= float64(n) })
	took := time.Since(began)
	t.Logf("64 leases held after %s; %d records, %d MB read after %s (%.0f records/s); peak resident memory %d MiB",
		held, n, total>>20, took, float64(n)/took.Seconds(), w.peakMemory()>>20)
	if undecodable := w.metric("rootwatch_events_total", "result=undecodable"); undecodable > 0 {
		t.Errorf("%v records are undecodable", undecodable)
	}
	if w.peakMemory() > 256<<20 {
		t.Errorf("peak memory %d MiB, want at most 256", w.peakMemory()>>20)
	}
	w.stop(10 * time.Second)
}
