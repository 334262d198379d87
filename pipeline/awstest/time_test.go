package awstest_test

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	ddb "github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/aws/aws-sdk-go-v2/service/kinesis"
	"github.com/aws/aws-sdk-go-v2/service/kinesis/types"

	"rootwatch/pipeline/awstest"
)

func sortedKeys[K cmp.Ordered, V any](m map[K]V) []K { return slices.Sorted(maps.Keys(m)) }

func (b *bench) arn(name string) string {
	b.Helper()
	out, err := b.k.DescribeStreamSummary(b.Context(), &kinesis.DescribeStreamSummaryInput{StreamName: &name})
	b.ok(err)
	return *out.StreamDescriptionSummary.StreamARN
}

func TestCreatingTakesItsTime(t *testing.T) {
	b := newBench(t, 1, awstest.Options{CreateDuration: 10 * time.Second})
	table := func() ddb.TableStatus {
		out, err := b.d.DescribeTable(t.Context(), &dynamodb.DescribeTableInput{TableName: aws.String("leases")})
		b.ok(err)
		return out.Table.TableStatus
	}
	put := &kinesis.PutRecordInput{StreamName: aws.String("events"), Data: []byte("x"), PartitionKey: aws.String("k")}
	b.pass(9 * time.Second)
	b.equal("stream", b.status(), types.StreamStatusCreating)
	b.equal("table", table(), ddb.TableStatusCreating)
	_, err := b.k.PutRecord(t.Context(), put)
	b.equal("put", hasCode(err, "ResourceNotFoundException"), true)
	_, err = b.k.ListShards(t.Context(), &kinesis.ListShardsInput{StreamName: aws.String("events")})
	b.equal("ListShards", hasCode(err, "ResourceInUseException"), true)
	_, err = b.d.Scan(t.Context(), &dynamodb.ScanInput{TableName: aws.String("leases")})
	b.equal("Scan", hasCode(err, "ResourceNotFoundException"), true)
	_, err = b.d.DeleteTable(t.Context(), &dynamodb.DeleteTableInput{TableName: aws.String("leases")})
	b.equal("DeleteTable", hasCode(err, "ResourceInUseException"), true)

	b.pass(time.Second)
	b.equal("stream", b.status(), types.StreamStatusActive)
	b.equal("table", table(), ddb.TableStatusActive)
	b.put("x")

	_, err = b.k.DeleteStream(t.Context(), &kinesis.DeleteStreamInput{StreamName: aws.String("events")})
	b.ok(err)
	b.equal("deleted stream", b.status(), types.StreamStatusDeleting)
	_, err = b.k.CreateStream(t.Context(), &kinesis.CreateStreamInput{StreamName: aws.String("events"), ShardCount: aws.Int32(1)})
	b.equal("again, too soon", hasCode(err, "ResourceInUseException"), true)
	b.pass(10 * time.Second)
	_, err = b.k.CreateStream(t.Context(), &kinesis.CreateStreamInput{StreamName: aws.String("events"), ShardCount: aws.Int32(1)})
	b.ok(err)
	b.pass(10 * time.Second)
	b.equal("records of the new stream", b.read(shard0), "")
}

func TestReshardingTakesItsTime(t *testing.T) {
	b := newBench(t, 1, awstest.Options{UpdateDuration: 10 * time.Second})
	b.splitFirst()
	b.put("while updating")
	b.equal("status", b.status(), types.StreamStatusUpdating)
	b.equal("shards", b.shardIDs(), ".")
	_, err := b.k.MergeShards(t.Context(), &kinesis.MergeShardsInput{StreamName: aws.String("events"), ShardToMerge: aws.String(shard0), AdjacentShardToMerge: aws.String(shard1)})
	b.equal("merge", hasCode(err, "ResourceInUseException"), true)
	b.pass(10 * time.Second)
	b.equal("status", b.status(), types.StreamStatusActive)
	b.equal("shards", b.shardIDs(), ". 1. 2.")
	b.equal("parent", b.read(shard0), "while updating")
}

func TestIteratorsExpire(t *testing.T) {
	b := newBench(t, 1, awstest.Options{IteratorLifetime: time.Minute})
	it := b.iterator(types.ShardIteratorTypeTrimHorizon, shard0, nil)
	b.pass(time.Minute)
	out, err := b.get(it)
	b.ok(err)
	b.pass(time.Second)
	_, err = b.get(it)
	b.equal("after its life", hasCode(err, "ExpiredIteratorException"), true)
	_, err = b.get(out.NextShardIterator)
	b.ok(err)
	b.srv.ExpireIterators()
	_, err = b.get(out.NextShardIterator)
	b.equal("after ExpireIterators", hasCode(err, "ExpiredIteratorException"), true)
	_, err = b.get(b.iterator(types.ShardIteratorTypeTrimHorizon, shard0, nil))
	b.ok(err)
}

func TestIteratorsAtATrimmedRecord(t *testing.T) {
	for _, taken := range []bool{false, true} {
		t.Run(fmt.Sprintf("taken: %v", taken), func(t *testing.T) {
			b := newBench(t, 1, awstest.Options{TrimmedIterators: taken})
			old := b.put("old").SequenceNumber
			newest := b.put("newest of the old").SequenceNumber
			b.ok(b.srv.Trim("events"))
			b.put("kept")
			start := func(kind types.ShardIteratorType, number *string) (*string, error) {
				out, err := b.k.GetShardIterator(t.Context(), &kinesis.GetShardIteratorInput{StreamName: aws.String("events"), ShardId: aws.String(shard0), ShardIteratorType: kind, StartingSequenceNumber: number})
				if err != nil {
					return nil, err
				}
				return out.ShardIterator, nil
			}
			_, err := start(types.ShardIteratorTypeAtSequenceNumber, old)
			b.equal("AT_SEQUENCE_NUMBER", hasCode(err, "InvalidArgumentException"), true)
			for _, number := range []*string{old, newest} {
				if _, err = start(types.ShardIteratorTypeAfterSequenceNumber, number); taken != (err == nil) || !taken && !hasCode(err, "InvalidArgumentException") {
					t.Errorf("AFTER_SEQUENCE_NUMBER: %v", err)
				}
			}
			if !taken {
				return
			}
			it, err := start(types.ShardIteratorTypeAfterSequenceNumber, old)
			b.ok(err)
			seen := map[string]bool{*it: true}
			for range 2 {
				out, err := b.get(it)
				b.ok(err)
				b.equal("records", texts(out.Records), []string{})
				b.equal("milliseconds behind", *out.MillisBehindLatest, (24 * time.Hour).Milliseconds())
				it = out.NextShardIterator
				b.equal("the same iterator again", seen[*it], false)
				seen[*it] = true
			}
			out, err := b.get(it)
			b.ok(err)
			b.equal("records", texts(out.Records), []string{"kept"})
			b.equal("milliseconds behind", *out.MillisBehindLatest, 0)
		})
	}
}

func TestAnIteratorThatWasTamperedWith(t *testing.T) {
	b := newBench(t, 1, awstest.Options{})
	it := *b.iterator(types.ShardIteratorTypeTrimHorizon, shard0, nil)
	for i := range len(it) - 2 {
		c := byte('A')
		if it[i] == c {
			c = 'B'
		}
		if _, err := b.get(aws.String(it[:i] + string(c) + it[i+1:])); !hasCode(err, "InvalidArgumentException") {
			t.Fatalf("digit %d changed: %v", i, err)
		}
	}
}

func TestMillisBehindLatestIsTheAgeOfWhatWasRead(t *testing.T) {
	b := newBench(t, 1, awstest.Options{})
	b.put("a")
	b.pass(3 * time.Second)
	b.put("b")
	b.pass(4 * time.Second)
	out, err := b.k.GetRecords(t.Context(), &kinesis.GetRecordsInput{ShardIterator: b.iterator(types.ShardIteratorTypeTrimHorizon, shard0, nil), Limit: aws.Int32(1)})
	b.ok(err)
	b.equal("after a", *out.MillisBehindLatest, 7000)
	out, err = b.get(out.NextShardIterator)
	b.ok(err)
	b.equal("after b", *out.MillisBehindLatest, 0)
}

func TestAtTimestampIsExactToTheMillisecond(t *testing.T) {
	b := newBench(t, 1, awstest.Options{})
	start := b.now
	for _, text := range []string{"a", "b", "c"} {
		b.put(text)
		b.pass(1500 * time.Millisecond)
	}
	for after, want := range map[time.Duration]string{
		-time.Hour: "a b c", 0: "a b c", time.Millisecond: "b c", 1500 * time.Millisecond: "b c", 1501 * time.Millisecond: "c", 4500 * time.Millisecond: "",
	} {
		out, err := b.k.GetShardIterator(t.Context(), &kinesis.GetShardIteratorInput{StreamName: aws.String("events"), ShardId: aws.String(shard0), ShardIteratorType: types.ShardIteratorTypeAtTimestamp, Timestamp: aws.Time(start.Add(after))})
		b.ok(err)
		records, err := b.get(out.ShardIterator)
		b.ok(err)
		b.equal(after.String(), strings.Join(texts(records.Records), " "), want)
	}
}

func TestRecordsPassTheirRetention(t *testing.T) {
	b := newBench(t, 1, awstest.Options{})
	old := b.put("old").SequenceNumber
	pending := b.iterator(types.ShardIteratorTypeTrimHorizon, shard0, nil)
	b.pass(20 * time.Hour)
	young := b.put("young").SequenceNumber
	b.equal("within a day", b.read(shard0), "old young")
	b.pass(4*time.Hour + time.Second)
	b.equal("after a day", b.read(shard0), "young")

	_, err := b.k.GetShardIterator(t.Context(), &kinesis.GetShardIteratorInput{StreamName: aws.String("events"), ShardId: aws.String(shard0), ShardIteratorType: types.ShardIteratorTypeAfterSequenceNumber, StartingSequenceNumber: old})
	b.equal("after a trimmed record", hasCode(err, "InvalidArgumentException"), true)
	out, err := b.get(b.iterator(types.ShardIteratorTypeAtSequenceNumber, shard0, young))
	b.ok(err)
	b.equal("at a kept one", texts(out.Records), "[young]")

	_, err = b.get(pending)
	b.equal("an iterator of yesterday", hasCode(err, "ExpiredIteratorException"), true)
	b.pass(24 * time.Hour)
	b.equal("after two days", b.read(shard0), "")
}

func TestAnIteratorPassesOverWhatWasTrimmed(t *testing.T) {
	b := newBench(t, 1, awstest.Options{})
	b.put("old")
	it := b.iterator(types.ShardIteratorTypeTrimHorizon, shard0, nil)
	b.ok(b.srv.Trim("events"))
	b.put("young")
	out, err := b.get(it)
	b.ok(err)
	b.equal("records", texts(out.Records), "[young]")
}

func TestAClosedShardIsForgottenAfterItsRetention(t *testing.T) {
	b := newBench(t, 1, awstest.Options{})
	b.put("x")
	b.splitFirst()
	b.pass(23 * time.Hour)
	b.equal("shards", b.shardIDs(), ". 1. 2.")
	b.pass(2 * time.Hour)
	b.equal("shards", b.shardIDs(), "1. 2.")
	_, err := b.k.GetShardIterator(t.Context(), &kinesis.GetShardIteratorInput{StreamName: aws.String("events"), ShardId: aws.String(shard0), ShardIteratorType: types.ShardIteratorTypeTrimHorizon})
	b.equal("iterator", hasCode(err, "ResourceNotFoundException"), true)
}

func TestShardFiltersByTime(t *testing.T) {
	b := newBench(t, 1, awstest.Options{})
	start := b.now
	b.pass(time.Hour)
	b.splitFirst()
	b.pass(time.Hour)
	for what, c := range map[string]struct {
		filter types.ShardFilter
		want   int
	}{
		"at the start":             {types.ShardFilter{Type: types.ShardFilterTypeAtTimestamp, Timestamp: &start}, 1},
		"from the start":           {types.ShardFilter{Type: types.ShardFilterTypeFromTimestamp, Timestamp: &start}, 3},
		"from after the split":     {types.ShardFilter{Type: types.ShardFilterTypeFromTimestamp, Timestamp: aws.Time(start.Add(90 * time.Minute))}, 2},
		"open at the trim horizon": {types.ShardFilter{Type: types.ShardFilterTypeAtTrimHorizon}, 1},
		"open now":                 {types.ShardFilter{Type: types.ShardFilterTypeAtLatest}, 2},
	} {
		out, err := b.k.ListShards(t.Context(), &kinesis.ListShardsInput{StreamName: aws.String("events"), ShardFilter: &c.filter})
		b.ok(err)
		b.equal(what, len(out.Shards), c.want)
	}
}

func TestAPageOfShardsIsGoodForFiveMinutes(t *testing.T) {
	b := newBench(t, 3, awstest.Options{})
	out, err := b.k.ListShards(t.Context(), &kinesis.ListShardsInput{StreamName: aws.String("events"), MaxResults: aws.Int32(1)})
	b.ok(err)
	b.pass(5 * time.Minute)
	_, err = b.k.ListShards(t.Context(), &kinesis.ListShardsInput{NextToken: out.NextToken})
	b.ok(err)
	b.pass(time.Second)
	_, err = b.k.ListShards(t.Context(), &kinesis.ListShardsInput{NextToken: out.NextToken})
	b.equal("expired", hasCode(err, "ExpiredNextTokenException"), true)
}

func TestTimeToLiveEndsTwoDaysLate(t *testing.T) {
	b := newBench(t, 1, awstest.Options{})
	_, err := b.d.UpdateTimeToLive(t.Context(), &dynamodb.UpdateTimeToLiveInput{TableName: aws.String("leases"), TimeToLiveSpecification: &ddb.TimeToLiveSpecification{AttributeName: aws.String("expires"), Enabled: aws.Bool(true)}})
	b.ok(err)
	for id, expires := range map[string]any{"soon": int(b.now.Add(time.Hour).Unix()), "later": int(b.now.Add(50 * time.Hour).Unix()), "never": "a text", "ancient": 1, "half": n(fmt.Sprintf("%d.5", b.now.Unix()))} {
		_, err := b.d.PutItem(t.Context(), &dynamodb.PutItemInput{TableName: aws.String("leases"), Item: itemOf(m{"id": id, "expires": expires})})
		b.ok(err)
	}
	left := func() []string {
		out, err := b.d.Scan(t.Context(), &dynamodb.ScanInput{TableName: aws.String("leases")})
		b.ok(err)
		return ids(out.Items)
	}
	b.pass(47 * time.Hour)
	b.equal("after 47 hours", left(), "[ancient half later never soon]")
	b.pass(2*time.Hour + time.Minute)
	b.equal("after 49 hours", left(), "[ancient later never]")
	b.pass(50 * time.Hour)
	b.equal("after 99 hours", left(), "[ancient never]")
}

func TestAStreamIsBoundedByBytes(t *testing.T) {
	b := newBench(t, 2, awstest.Options{MaxStreamBytes: 10_000})
	for i := range 100 {
		b.put(fmt.Sprintf("%03d%s", i, strings.Repeat("x", 500)))
	}
	var kept []string
	for _, shard := range []string{shard0, shard1} {
		kept = append(kept, strings.Fields(b.read(shard))...)
	}
	if len(kept) < 8 || len(kept) > 20 || !strings.HasPrefix(kept[len(kept)-1], "099") {
		t.Errorf("%d records kept, the last %.10s", len(kept), kept[len(kept)-1])
	}
}
