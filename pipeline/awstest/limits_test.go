package awstest_test

import (
	"fmt"
	"math/big"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/kinesis"
	"github.com/aws/aws-sdk-go-v2/service/kinesis/types"

	"rootwatch/pipeline/awstest"
)

const tooFast = "ProvisionedThroughputExceededException"

func TestFiveReadsASecond(t *testing.T) {
	b := newBench(t, 2, awstest.Options{Limits: true})
	it := b.iterator(types.ShardIteratorTypeLatest, shard0, nil)
	for range 5 {
		_, err := b.get(it)
		b.ok(err)
	}
	_, err := b.get(it)
	b.equal("the sixth", hasCode(err, tooFast), true)
	_, err = b.get(b.iterator(types.ShardIteratorTypeLatest, shard1, nil))
	b.ok(err)
	b.pass(time.Second)
	_, err = b.get(it)
	b.ok(err)
}

func TestTwoMegabytesASecondAreRead(t *testing.T) {
	b := newBench(t, 1, awstest.Options{Limits: true})
	for range 11 {
		b.put(strings.Repeat("x", 1<<20-8))
		b.pass(time.Second)
	}
	it := b.iterator(types.ShardIteratorTypeTrimHorizon, shard0, nil)
	read := func(limit int32) error {
		_, err := b.k.GetRecords(t.Context(), &kinesis.GetRecordsInput{ShardIterator: it, Limit: &limit})
		return err
	}
	for range 3 { // the third begins below the limit
		err := read(1)
		b.ok(err)
	}
	err := read(1)
	b.equal("a fourth MB in a second", hasCode(err, tooFast), true)

	b.pass(2 * time.Second)
	err = read(10)
	b.ok(err)
	b.pass(4900 * time.Millisecond)
	err = read(1)
	b.equal("4.9 s after 10 MB", hasCode(err, tooFast), true)
	b.pass(100 * time.Millisecond)
	err = read(1)
	b.ok(err)
}

func TestAThousandRecordsASecondAreWritten(t *testing.T) {
	b := newBench(t, 2, awstest.Options{Limits: true})
	entry := types.PutRecordsRequestEntry{Data: []byte("x"), PartitionKey: aws.String("k"), ExplicitHashKey: aws.String("0")}
	put := func(n int) int32 {
		var entries []types.PutRecordsRequestEntry
		for range n {
			entries = append(entries, entry)
		}
		out, err := b.k.PutRecords(t.Context(), &kinesis.PutRecordsInput{StreamName: aws.String("events"), Records: entries})
		b.ok(err)
		return *out.FailedRecordCount
	}
	b.equal("refused of the first 500", put(500), 0)
	b.equal("refused of the next 400", put(400), 0)
	b.equal("refused of another 150", put(150), 50)
	entry.ExplicitHashKey = aws.String(half.String())
	b.equal("refused in another shard", put(500), 0)
	entry.ExplicitHashKey = aws.String("0")
	b.pass(time.Second)
	b.equal("refused a second later", put(500), 0)
}

func TestAMegabyteASecondIsWritten(t *testing.T) {
	b := newBench(t, 1, awstest.Options{Limits: true})
	put := func(bytes int) error {
		_, err := b.k.PutRecord(t.Context(), &kinesis.PutRecordInput{StreamName: aws.String("events"), Data: []byte(strings.Repeat("x", bytes)), PartitionKey: aws.String("k")})
		return err
	}
	b.ok(put(600_000))
	b.equal("a second one of 600 KB", hasCode(put(600_000), tooFast), true)
	b.ok(put(400_000))
	b.pass(time.Second)
	b.ok(put(600_000))
}

func TestALargeRecordTakesTheTimeOfItsBytes(t *testing.T) {
	b := newBench(t, 1, awstest.Options{Limits: true})
	name := aws.String("large")
	_, err := b.k.CreateStream(t.Context(), &kinesis.CreateStreamInput{StreamName: name, ShardCount: aws.Int32(1), MaxRecordSizeInKiB: aws.Int32(10240)})
	b.ok(err)
	put := func(bytes int) error {
		_, err := b.k.PutRecord(t.Context(), &kinesis.PutRecordInput{StreamName: name, Data: make([]byte, bytes), PartitionKey: aws.String("k")})
		return err
	}
	b.ok(put(4 << 20))
	b.pass(3 * time.Second)
	b.equal("3 s after 4 MiB", hasCode(put(1), tooFast), true)
	b.pass(1100 * time.Millisecond)
	b.ok(put(1))
	b.pass(time.Minute)
	b.equal("more than 10 MiB", hasCode(put(10<<20), "ValidationException"), true)
}

func TestTenNewShardCountsADay(t *testing.T) {
	for _, limited := range []bool{true, false} {
		t.Run(fmt.Sprintf("limits: %v", limited), func(t *testing.T) {
			b := newBench(t, 1, awstest.Options{Limits: limited})
			scale := func(target int32) error {
				_, err := b.k.UpdateShardCount(t.Context(), &kinesis.UpdateShardCountInput{StreamName: aws.String("events"), TargetShardCount: &target, ScalingType: types.ScalingTypeUniformScaling})
				return err
			}
			for i := range int32(10) {
				b.ok(scale(2 - i%2))
				b.pass(time.Hour)
			}
			if err := scale(2); limited != hasCode(err, "LimitExceededException") {
				t.Errorf("the eleventh: %v", err)
			}
			b.pass(14 * time.Hour) // the first was a day ago
			b.ok(scale(2))
			if err := scale(1); limited != hasCode(err, "LimitExceededException") {
				t.Errorf("a twelfth: %v", err)
			}
		})
	}
}

// It took 27 s when every split and merge looked at all shards and borders anew.
func TestAThousandShardsAreRescaledAtOnce(t *testing.T) {
	const from, to = 1000, 1999
	b := newBench(t, from, awstest.Options{})
	start := time.Now()
	_, err := b.k.UpdateShardCount(t.Context(), &kinesis.UpdateShardCountInput{StreamName: aws.String("events"), TargetShardCount: aws.Int32(to), ScalingType: types.ScalingTypeUniformScaling})
	b.ok(err)
	if took := time.Since(start); took > 10*time.Second {
		t.Errorf("it took %s", took)
	}
	var starts []*big.Int
	in := &kinesis.ListShardsInput{StreamName: aws.String("events")}
	for {
		out, err := b.k.ListShards(t.Context(), in)
		b.ok(err)
		for _, sh := range out.Shards {
			if isOpen(sh) {
				starts = append(starts, decimal(sh.HashKeyRange.StartingHashKey))
			}
		}
		if out.NextToken == nil {
			break
		}
		in = &kinesis.ListShardsInput{NextToken: out.NextToken}
	}
	slices.SortFunc(starts, (*big.Int).Cmp)
	b.equal("open shards", len(starts), to)
	width := new(big.Int).Div(new(big.Int).Lsh(half, 1), big.NewInt(to))
	for i, start := range starts {
		if want := new(big.Int).Mul(width, big.NewInt(int64(i))); start.Cmp(want) != 0 {
			t.Fatalf("shard %d starts at %s, want %s", i, start, want)
		}
	}
}

// A stream that is rescaled again and again keeps every record, and no child starts before its
// parents' end.
func TestNothingIsLostInResharding(t *testing.T) {
	b := newBench(t, 2, awstest.Options{})
	var want int
	put := func() {
		for i := range 64 {
			hash := new(big.Int).Lsh(big.NewInt(int64(i)), 122)
			_, err := b.k.PutRecord(t.Context(), &kinesis.PutRecordInput{StreamName: aws.String("events"), Data: []byte("x"), PartitionKey: aws.String("k"), ExplicitHashKey: aws.String(hash.String())})
			b.ok(err)
			want++
		}
	}
	put()
	for _, target := range []int32{4, 8, 5, 3, 6, 7} {
		_, err := b.k.UpdateShardCount(t.Context(), &kinesis.UpdateShardCountInput{StreamName: aws.String("events"), TargetShardCount: &target, ScalingType: types.ScalingTypeUniformScaling})
		b.ok(err)
		put()
	}
	out, err := b.k.ListShards(t.Context(), &kinesis.ListShardsInput{StreamName: aws.String("events")})
	b.ok(err)
	ends, open, got := map[string]*big.Int{}, 0, 0
	for _, sh := range out.Shards {
		for _, parent := range []*string{sh.ParentShardId, sh.AdjacentParentShardId} {
			if parent != nil && decimal(sh.SequenceNumberRange.StartingSequenceNumber).Cmp(ends[*parent]) <= 0 {
				t.Errorf("%s starts before the end of its parent %s", *sh.ShardId, *parent)
			}
		}
		if isOpen(sh) {
			open++
		}
		ends[*sh.ShardId] = decimal(sh.SequenceNumberRange.EndingSequenceNumber)
		got += len(strings.Fields(b.read(*sh.ShardId)))
	}
	b.equal("open shards", open, 7)
	b.equal("records", got, want)
}
