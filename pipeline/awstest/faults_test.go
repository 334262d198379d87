package awstest_test

import (
	"context"
	"errors"
	"fmt"
	"math/big"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/kinesis"
	"github.com/aws/aws-sdk-go-v2/service/kinesis/types"

	"rootwatch/pipeline/awstest"
)

var noDeadline = context.Background()

func TestEffectsOfFaults(t *testing.T) {
	for effect, c := range map[awstest.Effect]struct {
		code    string // of the error; "" is no answer at all
		written bool
	}{
		awstest.Throttle:  {"ProvisionedThroughputExceededException", false},
		awstest.Fail:      {"InternalFailure", false},
		awstest.FailAfter: {"InternalFailure", true},
		awstest.Drop:      {"", false},
		awstest.DropAfter: {"", true},
		awstest.Late:      {"", true},
	} {
		t.Run(string(effect), func(t *testing.T) {
			b := newBench(t, 1, awstest.Options{})
			in := b.srv.Inject(awstest.Fault{Operation: "PutRecord", Effect: effect})
			_, err := b.k.PutRecord(t.Context(), &kinesis.PutRecordInput{StreamName: aws.String("events"), Data: []byte("x"), PartitionKey: aws.String("k")})
			var api interface{ ErrorCode() string }
			if err == nil || c.code != "" && !hasCode(err, c.code) || c.code == "" && errors.As(err, &api) {
				t.Errorf("got %v, want %q", err, c.code)
			}
			if got := b.read(shard0) == "x"; got != c.written {
				t.Errorf("written: %v, want %v", got, c.written)
			}
			in.Remove()
			b.put("y")
			b.equal("hits", in.Hits(), 1)
		})
	}
}

func TestThrottlingHasTheOperationsOwnName(t *testing.T) {
	b := newBench(t, 1, awstest.Options{})
	it := b.iterator(types.ShardIteratorTypeLatest, shard0, nil)
	b.srv.Inject(awstest.Fault{Effect: awstest.Throttle})
	_, err := b.get(it)
	b.equal("GetRecords", hasCode(err, "ProvisionedThroughputExceededException"), true)
	_, err = b.k.ListShards(t.Context(), &kinesis.ListShardsInput{StreamName: aws.String("events")})
	b.equal("ListShards", hasCode(err, "LimitExceededException"), true)
	_, err = b.d.Scan(t.Context(), &dynamodb.ScanInput{TableName: aws.String("leases")})
	b.equal("Scan", hasCode(err, "ProvisionedThroughputExceededException"), true)
	_, err = b.d.DescribeTable(t.Context(), &dynamodb.DescribeTableInput{TableName: aws.String("leases")})
	b.equal("DescribeTable", hasCode(err, "ThrottlingException"), true)
	b.srv.ClearFaults()
	_, err = b.get(it)
	b.ok(err)
}

func TestFaultsHitWhatTheyAreMeantFor(t *testing.T) {
	b := newBench(t, 2, awstest.Options{})
	_, err := b.k.CreateStream(t.Context(), &kinesis.CreateStreamInput{StreamName: aws.String("spare"), ShardCount: aws.Int32(1)})
	b.ok(err)
	first, second := b.iterator(types.ShardIteratorTypeLatest, shard0, nil), b.iterator(types.ShardIteratorTypeLatest, shard1, nil)
	mine := b.k
	other := kinesis.NewFromConfig(once(b.srv, "other"))
	get := func(k *kinesis.Client, it *string) func() error {
		return func() error {
			_, err := k.GetRecords(t.Context(), &kinesis.GetRecordsInput{ShardIterator: it})
			return err
		}
	}
	describe := func(name string) func() error {
		return func() error {
			_, err := mine.DescribeStreamSummary(t.Context(), &kinesis.DescribeStreamSummaryInput{StreamName: &name})
			return err
		}
	}
	arn := b.arn("events")
	const leasesARN = "arn:aws:dynamodb:us-east-1:123456789012:table/leases"
	all := "leases by ARN, scan of leases"
	calls := map[string]func() error{
		"get of shard 0": get(mine, first), "get of shard 1": get(mine, second), "get by another": get(other, first),
		"events by name": describe("events"), "spare by name": describe("spare"),
		"leases by ARN": func() error {
			_, err := b.d.DescribeTable(t.Context(), &dynamodb.DescribeTableInput{TableName: aws.String(leasesARN)})
			return err
		},
		"events by ARN": func() error {
			_, err := mine.ListShards(t.Context(), &kinesis.ListShardsInput{StreamARN: &arn})
			return err
		},
		"scan of leases": func() error {
			_, err := b.d.Scan(t.Context(), &dynamodb.ScanInput{TableName: aws.String("leases")})
			return err
		},
	}
	for what, c := range map[string]struct {
		fault awstest.Fault
		hits  string
	}{
		"a service":         {awstest.Fault{Service: "dynamodb"}, all},
		"an operation":      {awstest.Fault{Operation: "ListShards"}, "events by ARN"},
		"a caller":          {awstest.Fault{AccessKeyID: "other"}, "get by another"},
		"a shard":           {awstest.Fault{Shard: shard1}, "get of shard 1"},
		"a shard's readers": {awstest.Fault{Shard: shard0}, "get by another, get of shard 0"},
		"a table":           {awstest.Fault{Resource: "leases"}, all},
		"a stream":          {awstest.Fault{Resource: "spare"}, "spare by name"},
		"a stream, however named": {awstest.Fault{Service: "kinesis", Resource: "events"},
			"events by ARN, events by name, get by another, get of shard 0, get of shard 1"},
		"iterators": {awstest.Fault{AccessKeyID: "test", Effect: awstest.ExpireIterator}, "get of shard 0, get of shard 1"},
		"nothing":   {awstest.Fault{Service: "kinesis", Resource: "leases"}, ""},
	} {
		t.Run(what, func(t *testing.T) {
			if c.fault.Effect == "" {
				c.fault.Effect = awstest.Fail
			}
			defer b.srv.Inject(c.fault).Remove()
			var hit []string
			for _, name := range sortedKeys(calls) {
				if calls[name]() != nil {
					hit = append(hit, name)
				}
			}
			if got := strings.Join(hit, ", "); got != c.hits {
				t.Errorf("hit %q, want %q", got, c.hits)
			}
		})
	}
}

func TestThrottledPutsRefuseTheirShardAlone(t *testing.T) {
	b := newBench(t, 2, awstest.Options{})
	b.srv.Inject(awstest.Fault{Operation: "PutRecords", Shard: shard1, Effect: awstest.Throttle})
	var entries []types.PutRecordsRequestEntry
	for _, hash := range []*big.Int{big.NewInt(0), half, big.NewInt(1)} {
		entries = append(entries, types.PutRecordsRequestEntry{Data: []byte(fmt.Sprint(hash.Sign())), PartitionKey: aws.String("k"), ExplicitHashKey: aws.String(hash.String())})
	}
	out, err := b.k.PutRecords(t.Context(), &kinesis.PutRecordsInput{StreamName: aws.String("events"), Records: entries})
	b.ok(err)
	b.equal("failed", *out.FailedRecordCount, 1)
	b.equal("error", aws.ToString(out.Records[1].ErrorCode), "ProvisionedThroughputExceededException")
	b.equal("sequence number of the failed one", out.Records[1].SequenceNumber == nil, true)
	b.equal("shard 0", b.read(shard0), "0 1")
	b.equal("shard 1", b.read(shard1), "")
}

func TestCountedFaultsEndByThemselves(t *testing.T) {
	b := newBench(t, 1, awstest.Options{})
	in := b.srv.Inject(awstest.Fault{Operation: "ListTables", Effect: awstest.Fail, Count: 2})
	b.equal("first", listTables(b.srv, "") == nil, false)
	b.equal("second", listTables(b.srv, "") == nil, false)
	b.equal("third", listTables(b.srv, "") == nil, true)
	b.equal("hits", in.Hits(), 2)
	in.Remove() // does nothing
}

func TestFaultsBehindTheFirstAreNotUsedUp(t *testing.T) {
	b := newBench(t, 1, awstest.Options{})
	cut := b.srv.Inject(awstest.Fault{Operation: "ListTables", Effect: awstest.Drop})
	slow := b.srv.Inject(awstest.Fault{Operation: "ListTables", Effect: awstest.Slow})
	once := b.srv.Inject(awstest.Fault{Operation: "ListTables", Effect: awstest.Throttle, Count: 1})
	b.equal("cut", hasCode(listTables(b.srv, ""), "ThrottlingException"), false)
	b.equal("hits of cut, slow and throttled", []int{cut.Hits(), slow.Hits(), once.Hits()}, []int{1, 1, 0})
	cut.Remove()
	b.equal("throttled", hasCode(listTables(b.srv, ""), "ThrottlingException"), true)
	b.ok(listTables(b.srv, ""))
}

// The fault is removed, and so its hour over, only when the client has gone.
func TestLateWritesHappenWithoutTheirClient(t *testing.T) {
	b := newBench(t, 1, awstest.Options{})
	in := b.srv.Inject(awstest.Fault{Operation: "PutRecord", Effect: awstest.Late, Delay: time.Hour})
	ctx, cancel := context.WithCancel(t.Context())
	failed := make(chan error)
	go func() {
		_, err := b.k.PutRecord(ctx, &kinesis.PutRecordInput{StreamName: aws.String("events"), Data: []byte("late"), PartitionKey: aws.String("k")})
		failed <- err
	}()
	waitFor(t, "the put is on its way", func() bool { return in.Hits() == 1 })
	cancel()
	if err := <-failed; err == nil {
		t.Error("a cancelled put went well")
	}
	b.equal("read before", b.read(shard0), "")
	in.Remove()
	waitFor(t, "the put arrives", func() bool { return b.read(shard0) == "late" })
}

func TestSlowWritesEndWithTheirClient(t *testing.T) {
	b := newBench(t, 1, awstest.Options{})
	b.srv.Inject(awstest.Fault{Operation: "PutRecord", Effect: awstest.Slow, Delay: time.Hour})
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	// Without a network between, the client's error means that the call is over.
	_, err := kinesis.NewFromConfig(b.srv.Direct("")).PutRecord(ctx, &kinesis.PutRecordInput{StreamName: aws.String("events"), Data: []byte("slow"), PartitionKey: aws.String("k")})
	b.equal("in time", errors.Is(err, context.DeadlineExceeded), true)
	b.srv.ClearFaults()
	b.equal("read", b.read(shard0), "")
}

func TestEmptyAnswersLeaveTheReaderWhereItIs(t *testing.T) {
	b := newBench(t, 1, awstest.Options{})
	b.put("a")
	b.pass(5 * time.Second)
	b.srv.Inject(awstest.Fault{Effect: awstest.Empty, Count: 2})
	it := b.iterator(types.ShardIteratorTypeTrimHorizon, shard0, nil)
	for _, want := range []struct {
		texts  string
		behind int64
	}{{"", 5000}, {"", 5000}, {"a", 0}} {
		out, err := b.get(it)
		b.ok(err)
		b.equal("records", strings.Join(texts(out.Records), " "), want.texts)
		b.equal("milliseconds behind", *out.MillisBehindLatest, want.behind)
		it = out.NextShardIterator
	}
	b.srv.Inject(awstest.Fault{Effect: awstest.Empty, Count: 1})
	out, err := b.get(it)
	b.ok(err)
	b.equal("behind, at the tip", *out.MillisBehindLatest > 0, true)
	b.put("b")
	out, err = b.get(out.NextShardIterator)
	b.ok(err)
	b.equal("records after it", texts(out.Records), []string{"b"})
}

func TestStaleReadsShowWhatWasThereBefore(t *testing.T) {
	b := newBench(t, 1, awstest.Options{})
	leases := aws.String("leases")
	put := func(it m) {
		_, err := b.d.PutItem(t.Context(), &dynamodb.PutItemInput{TableName: leases, Item: itemOf(it)})
		b.ok(err)
	}
	put(m{"id": "changed", "v": 1})
	put(m{"id": "changed", "v": 2})
	put(m{"id": "deleted", "v": 1})
	_, err := b.d.DeleteItem(t.Context(), &dynamodb.DeleteItemInput{TableName: leases, Key: itemOf(m{"id": "deleted"})})
	b.ok(err)
	put(m{"id": "new", "v": 1})

	stale := b.srv.Inject(awstest.Fault{Effect: awstest.Stale})
	changed := itemOf(m{"id": "changed"})
	for consistent, want := range map[bool]struct {
		version n
		ids     []string
	}{false: {"1", []string{"changed", "deleted"}}, true: {"2", []string{"changed", "new"}}} {
		t.Run(fmt.Sprintf("consistent: %v", consistent), func(t *testing.T) {
			before := stale.Hits()
			got, err := b.d.GetItem(t.Context(), &dynamodb.GetItemInput{TableName: leases, Key: changed, ConsistentRead: &consistent})
			b.ok(err)
			b.equal("get", plain(got.Item["v"]), want.version)
			scanned, err := b.d.Scan(t.Context(), &dynamodb.ScanInput{TableName: leases, ConsistentRead: &consistent})
			b.ok(err)
			b.equal("scan", ids(scanned.Items), want.ids)
			b.equal("hits", stale.Hits()-before, map[bool]int{false: 2, true: 0}[consistent])
		})
	}
	stale.Remove()
	got, err := b.d.GetItem(t.Context(), &dynamodb.GetItemInput{TableName: leases, Key: changed})
	b.ok(err)
	b.equal("get without the fault", plain(got.Item["v"]), n("2"))
}

func TestProbabilityIsSeeded(t *testing.T) {
	run := func(seed uint64) string {
		srv := awstest.NewServer(awstest.Options{Seed: seed})
		defer srv.Close()
		srv.Inject(awstest.Fault{Effect: awstest.Fail, Probability: 0.5})
		hits := ""
		for range 40 {
			if listTables(srv, "") == nil {
				hits += "."
			} else {
				hits += "x"
			}
		}
		return hits
	}
	a, again, other := run(1), run(1), run(2)
	if a != again || a == other {
		t.Errorf("seed 1 gave %s and %s, seed 2 %s", a, again, other)
	}
	if n := strings.Count(a, "x"); n < 10 || n > 30 {
		t.Errorf("%d of 40 calls hit, want about half", n)
	}
}

func TestSlowCallsTakeTheirTime(t *testing.T) {
	b := newBench(t, 1, awstest.Options{})
	const delay = 50 * time.Millisecond
	b.srv.Inject(awstest.Fault{Effect: awstest.Slow, Delay: delay})
	start := time.Now()
	b.ok(listTables(b.srv, ""))
	if took := time.Since(start); took < delay {
		t.Errorf("took %s, want %s at least", took, delay)
	}
}

func TestHangingCallsEndWithTheClientOrTheFault(t *testing.T) {
	b := newBench(t, 1, awstest.Options{})
	in := b.srv.Inject(awstest.Fault{Operation: "ListTables", Effect: awstest.Hang})
	ctx, cancel := context.WithCancel(t.Context())
	failed := make(chan error)
	go func() {
		_, err := b.d.ListTables(ctx, &dynamodb.ListTablesInput{})
		failed <- err
	}()
	waitFor(t, "the first call hangs", func() bool { return in.Hits() == 1 })
	cancel()
	if err := <-failed; err == nil {
		t.Error("a cancelled call went well")
	}
	go func() { failed <- listTables(b.srv, "") }()
	waitFor(t, "the second call hangs", func() bool { return in.Hits() == 2 })
	in.Remove()
	if err := <-failed; err == nil {
		t.Error("a call that hung went well")
	}
	b.ok(listTables(b.srv, ""))
}

func TestFaultsThatMakeNoSense(t *testing.T) {
	srv := awstest.New(awstest.Options{})
	for what, f := range map[string]awstest.Fault{
		"no effect": {}, "an unknown effect": {Effect: "explode"}, "an unknown service": {Service: "s3", Effect: awstest.Fail},
		"a probability of 2": {Effect: awstest.Fail, Probability: 2}, "a negative delay": {Effect: awstest.Slow, Delay: -1},
	} {
		t.Run(what, func(t *testing.T) {
			defer func() {
				if recover() == nil {
					t.Error("no panic")
				}
			}()
			srv.Inject(f)
		})
	}
}

func TestAdminDoesFromOutsideWhatMethodsDo(t *testing.T) {
	b := newBench(t, 1, awstest.Options{Admin: true})
	admin, ctx := awstest.Admin{URL: b.srv.URL}, t.Context()
	b.srv.ResetCalls()

	id, err := admin.Inject(ctx, awstest.Fault{Operation: "ListTables", Effect: awstest.Fail, AccessKeyID: "one", Delay: time.Millisecond})
	b.ok(err)
	b.equal("hit", listTables(b.srv, "one") == nil, false)
	b.equal("not hit", listTables(b.srv, "two") == nil, true)
	b.ok(admin.Remove(ctx, id))
	b.equal("after removal", listTables(b.srv, "one") == nil, true)
	_, err = admin.Inject(ctx, awstest.Fault{Effect: awstest.Drop})
	b.ok(err)
	b.ok(admin.ClearFaults(ctx))
	b.equal("after clearing", listTables(b.srv, "one") == nil, true)
	if _, err := admin.Inject(ctx, awstest.Fault{Effect: "explode"}); err == nil || !strings.Contains(err.Error(), "explode") {
		t.Errorf("an unknown effect: %v", err)
	}

	b.ok(admin.Remove(ctx, id)) // has ended, as after the last of a count
	if err := admin.Remove(ctx, 99); err == nil || !strings.Contains(err.Error(), "404") {
		t.Errorf("removing a fault that never was: %v", err)
	}
	resp, err := http.Post(b.srv.URL+"/_rootwatch/faults", "application/json", strings.NewReader(`{"effect":"drop","operation":"ListTables","accesKeyId":"one"}`))
	b.ok(err)
	b.ok(resp.Body.Close())
	b.equal("a misspelt field", resp.StatusCode, http.StatusBadRequest)
	b.equal("after it", listTables(b.srv, "two") == nil, true)

	b.srv.ResetCalls()
	b.equal("called by one", listTables(b.srv, "one") == nil, true)
	calls, err := admin.Calls(ctx)
	b.ok(err)
	b.equal("calls", calls, map[awstest.Call]int{{Action: "dynamodb:ListTables", AccessKeyID: "one"}: 1})
	b.ok(admin.ResetCalls(ctx))
	b.equal("calls after a reset", len(b.srv.Calls()), 0)

	b.put("x")
	it := b.iterator(types.ShardIteratorTypeTrimHorizon, shard0, nil)
	b.ok(admin.ExpireIterators(ctx))
	_, err = b.get(it)
	b.equal("expired", hasCode(err, "ExpiredIteratorException"), true)
	b.ok(admin.Trim(ctx, "events"))
	b.equal("after trimming", b.read(shard0), "")
	if err := admin.Trim(ctx, "none"); err == nil {
		t.Error("a stream that is not there was trimmed")
	}

	closed := newBench(t, 1, awstest.Options{})
	if _, err := (awstest.Admin{URL: closed.srv.URL}).Calls(ctx); err == nil {
		t.Error("a server without Options.Admin let itself be told")
	}
}
