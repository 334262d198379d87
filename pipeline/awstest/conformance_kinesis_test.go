package awstest_test

import (
	"bytes"
	"cmp"
	"crypto/md5"
	"fmt"
	"math/big"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/kinesis"
	"github.com/aws/aws-sdk-go-v2/service/kinesis/types"
)

// stream makes a stream and waits for it.
func (p *probe) stream(shards int32) string {
	name := uniqueName("conformance")
	must[*kinesis.CreateStreamOutput](p)(p.k.CreateStream(p.ctx, &kinesis.CreateStreamInput{StreamName: &name, ShardCount: &shards}))
	p.cleanup(func() {
		if _, err := p.k.DeleteStream(p.ctx, &kinesis.DeleteStreamInput{StreamName: &name}); err != nil && !strings.Contains(err.Error(), "NotFound") {
			p.Errorf("cleaning up: %v", err)
		}
	})
	p.active(name)
	return name
}

// active waits until a stream has done what it is about.
func (p *probe) active(name string) {
	p.eventually("stream ACTIVE", func() bool {
		return p.summary(name).StreamStatus == types.StreamStatusActive
	})
}

func (p *probe) summary(name string) *types.StreamDescriptionSummary {
	return must[*kinesis.DescribeStreamSummaryOutput](p)(p.k.DescribeStreamSummary(p.ctx, &kinesis.DescribeStreamSummaryInput{StreamName: &name})).StreamDescriptionSummary
}

func (p *probe) shards(name string) []types.Shard {
	return must[*kinesis.ListShardsOutput](p)(p.k.ListShards(p.ctx, &kinesis.ListShardsInput{StreamName: &name})).Shards
}

func isOpen(sh types.Shard) bool { return sh.SequenceNumberRange.EndingSequenceNumber == nil }

func decimal(s *string) *big.Int {
	n, ok := new(big.Int).SetString(aws.ToString(s), 10)
	if !ok {
		return big.NewInt(-1)
	}
	return n
}

// covers checks that open shards divide the key space among themselves without gap or overlap.
func (p *probe) covers(shards []types.Shard) {
	open := slices.DeleteFunc(slices.Clone(shards), func(sh types.Shard) bool { return !isOpen(sh) })
	slices.SortFunc(open, func(a, b types.Shard) int {
		return decimal(a.HashKeyRange.StartingHashKey).Cmp(decimal(b.HashKeyRange.StartingHashKey))
	})
	next := new(big.Int)
	for _, sh := range open {
		if decimal(sh.HashKeyRange.StartingHashKey).Cmp(next) != 0 {
			p.Errorf("%s starts at %s, want %s", *sh.ShardId, *sh.HashKeyRange.StartingHashKey, next)
		}
		next.Add(decimal(sh.HashKeyRange.EndingHashKey), big.NewInt(1))
	}
	if end := new(big.Int).Lsh(big.NewInt(1), 128); next.Cmp(end) != 0 {
		p.Errorf("the shards end at %s, want %s", next, end)
	}
}

// shardOf is where a hash key belongs.
func shardOf(shards []types.Shard, hash *big.Int) string {
	for _, sh := range shards {
		if isOpen(sh) && decimal(sh.HashKeyRange.StartingHashKey).Cmp(hash) <= 0 && decimal(sh.HashKeyRange.EndingHashKey).Cmp(hash) >= 0 {
			return *sh.ShardId
		}
	}
	return "none"
}

func (p *probe) put(name, data, key string) *kinesis.PutRecordOutput {
	return must[*kinesis.PutRecordOutput](p)(p.k.PutRecord(p.ctx, &kinesis.PutRecordInput{StreamName: &name, Data: []byte(data), PartitionKey: &key}))
}

// putTo puts a record into the shard that has a hash key.
func (p *probe) putTo(name, data string, hash *big.Int) *kinesis.PutRecordOutput {
	return must[*kinesis.PutRecordOutput](p)(p.k.PutRecord(p.ctx, &kinesis.PutRecordInput{StreamName: &name, Data: []byte(data), PartitionKey: aws.String("key"), ExplicitHashKey: aws.String(hash.String())}))
}

func (p *probe) iterator(in kinesis.GetShardIteratorInput) *string {
	return must[*kinesis.GetShardIteratorOutput](p)(p.k.GetShardIterator(p.ctx, &in)).ShardIterator
}

func (p *probe) horizon(name, shard string) *string {
	return p.iterator(kinesis.GetShardIteratorInput{StreamName: &name, ShardId: &shard, ShardIteratorType: types.ShardIteratorTypeTrimHorizon})
}

func (p *probe) get(iterator *string) *kinesis.GetRecordsOutput {
	return must[*kinesis.GetRecordsOutput](p)(p.k.GetRecords(p.ctx, &kinesis.GetRecordsInput{ShardIterator: iterator}))
}

func texts(records []types.Record) []string {
	out := []string{}
	for _, r := range records {
		out = append(out, string(r.Data))
	}
	return out
}

const shard0 = "shardId-000000000000"

// first is what an iterator's first answer holds, as texts.
func (p *probe) first(in kinesis.GetShardIteratorInput) []string {
	in.ShardId = aws.String(shard0)
	return texts(p.get(p.iterator(in)).Records)
}

var kinesisFacts = []fact{
	{"a new stream has the shards asked for, open, over the whole key space", func(p *probe) {
		name := p.stream(3)
		shards := p.shards(name)
		if len(shards) != 3 {
			p.Fatalf("%d shards, want 3", len(shards))
		}
		for i, sh := range shards {
			p.equal("shard id", *sh.ShardId, fmt.Sprintf("shardId-%012d", i))
			if !isOpen(sh) || sh.ParentShardId != nil || sh.AdjacentParentShardId != nil {
				p.Errorf("%+v is not a fresh shard", sh)
			}
			if len(*sh.SequenceNumberRange.StartingSequenceNumber) != 56 {
				p.Errorf("starting sequence number %s does not have 56 digits", *sh.SequenceNumberRange.StartingSequenceNumber)
			}
		}
		p.covers(shards)
		sum := p.summary(name)
		p.equal("open shards", *sum.OpenShardCount, int32(3))
		p.equal("retention", *sum.RetentionPeriodHours, int32(24))
		d := must[*kinesis.DescribeStreamOutput](p)(p.k.DescribeStream(p.ctx, &kinesis.DescribeStreamInput{StreamName: &name})).StreamDescription
		p.equal("described shards", len(d.Shards), 3)
		p.equal("more shards", *d.HasMoreShards, false)
	}},
	{"a stream's name is taken once", func(p *probe) {
		name := p.stream(1)
		_, err := p.k.CreateStream(p.ctx, &kinesis.CreateStreamInput{StreamName: &name, ShardCount: aws.Int32(1)})
		p.refused(err, "ResourceInUseException")
	}},
	{"a stream that does not exist is ResourceNotFoundException to every call", func(p *probe) {
		none := aws.String(uniqueName("none"))
		_, err := p.k.DescribeStream(p.ctx, &kinesis.DescribeStreamInput{StreamName: none})
		p.refused(err, "ResourceNotFoundException")
		_, err = p.k.DescribeStreamSummary(p.ctx, &kinesis.DescribeStreamSummaryInput{StreamName: none})
		p.refused(err, "ResourceNotFoundException")
		_, err = p.k.ListShards(p.ctx, &kinesis.ListShardsInput{StreamName: none})
		p.refused(err, "ResourceNotFoundException")
		_, err = p.k.PutRecord(p.ctx, &kinesis.PutRecordInput{StreamName: none, Data: []byte("x"), PartitionKey: aws.String("k")})
		p.refused(err, "ResourceNotFoundException")
		_, err = p.k.GetShardIterator(p.ctx, &kinesis.GetShardIteratorInput{StreamName: none, ShardId: aws.String(shard0), ShardIteratorType: types.ShardIteratorTypeLatest})
		p.refused(err, "ResourceNotFoundException")
		_, err = p.k.DeleteStream(p.ctx, &kinesis.DeleteStreamInput{StreamName: none})
		p.refused(err, "ResourceNotFoundException")
	}},
	{"a deleted stream is gone, and so are iterators into it", func(p *probe) {
		name := p.stream(1)
		it := p.horizon(name, shard0)
		must[*kinesis.DeleteStreamOutput](p)(p.k.DeleteStream(p.ctx, &kinesis.DeleteStreamInput{StreamName: &name}))
		p.eventually("stream gone", func() bool {
			_, err := p.k.DescribeStreamSummary(p.ctx, &kinesis.DescribeStreamSummaryInput{StreamName: &name})
			return err != nil
		})
		_, err := p.k.GetRecords(p.ctx, &kinesis.GetRecordsInput{ShardIterator: it})
		p.refused(err, "ResourceNotFoundException")
	}},
	{"ListStreams names streams in order, in pages", func(p *probe) {
		a, b := p.stream(1), p.stream(1)
		if b < a {
			a, b = b, a
		}
		all, after := []string{}, (*string)(nil)
		for more := true; more; {
			out := must[*kinesis.ListStreamsOutput](p)(p.k.ListStreams(p.ctx, &kinesis.ListStreamsInput{Limit: aws.Int32(1), ExclusiveStartStreamName: after}))
			if len(out.StreamNames) == 0 {
				break
			}
			all, more = append(all, out.StreamNames...), *out.HasMoreStreams
			after = &all[len(all)-1]
		}
		if !slices.IsSorted(all) || !slices.Contains(all, a) || !slices.Contains(all, b) {
			p.Errorf("listed %q, want %s and %s in order", all, a, b)
		}
	}},
	{"an ARN does for a name", func(p *probe) {
		name := p.stream(1)
		arn := p.summary(name).StreamARN
		must[*kinesis.PutRecordOutput](p)(p.k.PutRecord(p.ctx, &kinesis.PutRecordInput{StreamARN: arn, Data: []byte("x"), PartitionKey: aws.String("k")}))
		it := p.iterator(kinesis.GetShardIteratorInput{StreamARN: arn, ShardId: aws.String(shard0), ShardIteratorType: types.ShardIteratorTypeTrimHorizon})
		out := must[*kinesis.GetRecordsOutput](p)(p.k.GetRecords(p.ctx, &kinesis.GetRecordsInput{ShardIterator: it, StreamARN: arn}))
		p.equal("records", texts(out.Records), []string{"x"})
		shards := must[*kinesis.ListShardsOutput](p)(p.k.ListShards(p.ctx, &kinesis.ListShardsInput{StreamARN: arn}))
		p.equal("shards", len(shards.Shards), 1)
	}},
	{"a partition key's MD5 chooses the shard, an explicit hash key overrules it", func(p *probe) {
		name := p.stream(4)
		shards := p.shards(name)
		for i := range 20 {
			key := fmt.Sprintf("key %d ä", i)
			sum := md5.Sum([]byte(key))
			p.equal("shard of "+key, *p.put(name, "x", key).ShardId, shardOf(shards, new(big.Int).SetBytes(sum[:])))
		}
		for _, sh := range shards {
			for _, edge := range []*string{sh.HashKeyRange.StartingHashKey, sh.HashKeyRange.EndingHashKey} {
				p.equal("shard of "+*edge, *p.putTo(name, "x", decimal(edge)).ShardId, *sh.ShardId)
			}
		}
	}},
	{"a shard is read in the order of sequence numbers, with what was put", func(p *probe) {
		name := p.stream(1)
		before := time.Now().Add(-5 * time.Second)
		var entries []types.PutRecordsRequestEntry
		var want []string
		for i := range 200 {
			want = append(want, fmt.Sprintf("record %d \x00\xff <&>", i))
			entries = append(entries, types.PutRecordsRequestEntry{Data: []byte(want[i]), PartitionKey: aws.String(fmt.Sprintf("k\"%d\n€", i))})
		}
		put := must[*kinesis.PutRecordsOutput](p)(p.k.PutRecords(p.ctx, &kinesis.PutRecordsInput{StreamName: &name, Records: entries}))
		p.equal("failed", *put.FailedRecordCount, int32(0))
		out := p.get(p.horizon(name, shard0))
		byNumber := map[string]string{}
		for i, r := range put.Records {
			byNumber[*r.SequenceNumber] = want[i]
		}
		last := new(big.Int)
		var got []string
		for _, r := range out.Records {
			if n := decimal(r.SequenceNumber); n.Cmp(last) <= 0 {
				p.Errorf("sequence number %s after %s", n, last)
			} else {
				last = n
			}
			p.equal("data of "+*r.SequenceNumber, string(r.Data), byNumber[*r.SequenceNumber])
			if at := r.ApproximateArrivalTimestamp; at.Before(before) || at.After(time.Now().Add(5*time.Second)) {
				p.Errorf("arrived at %s", at)
			}
			if !strings.HasPrefix(*r.PartitionKey, `k"`) || !strings.HasSuffix(*r.PartitionKey, "\n€") {
				p.Errorf("partition key %q", *r.PartitionKey)
			}
			got = append(got, string(r.Data))
		}
		slices.Sort(got)
		slices.Sort(want)
		p.equal("records", got, want)
		if out.NextShardIterator == nil {
			p.Errorf("an open shard has an end")
		}
	}},
	{"iterators start where they say", func(p *probe) {
		name := p.stream(1)
		var numbers []*string
		for _, text := range []string{"a", "b", "c"} {
			numbers = append(numbers, p.put(name, text, "k").SequenceNumber)
		}
		latest := p.iterator(kinesis.GetShardIteratorInput{StreamName: &name, ShardId: aws.String(shard0), ShardIteratorType: types.ShardIteratorTypeLatest})
		p.put(name, "d", "k")
		at, after := types.ShardIteratorTypeAtSequenceNumber, types.ShardIteratorTypeAfterSequenceNumber
		p.equal("at b", p.first(kinesis.GetShardIteratorInput{StreamName: &name, ShardIteratorType: at, StartingSequenceNumber: numbers[1]}), []string{"b", "c", "d"})
		p.equal("after b", p.first(kinesis.GetShardIteratorInput{StreamName: &name, ShardIteratorType: after, StartingSequenceNumber: numbers[1]}), []string{"c", "d"})
		p.equal("at the horizon", p.first(kinesis.GetShardIteratorInput{StreamName: &name, ShardIteratorType: types.ShardIteratorTypeTrimHorizon}), []string{"a", "b", "c", "d"})
		p.equal("latest", texts(p.get(latest).Records), []string{"d"})
	}},
	{"a shard's own starting sequence number is its beginning", func(p *probe) {
		name := p.stream(1)
		start := p.shards(name)[0].SequenceNumberRange.StartingSequenceNumber
		p.put(name, "a", "k")
		for _, kind := range []types.ShardIteratorType{types.ShardIteratorTypeAtSequenceNumber, types.ShardIteratorTypeAfterSequenceNumber} {
			p.equal(string(kind), p.first(kinesis.GetShardIteratorInput{StreamName: &name, ShardIteratorType: kind, StartingSequenceNumber: start}), []string{"a"})
		}
	}},
	{"AT_TIMESTAMP starts with the first record at or after it", func(p *probe) {
		name := p.stream(1)
		p.put(name, "a", "k")
		arrivedA := *p.get(p.horizon(name, shard0)).Records[0].ApproximateArrivalTimestamp
		var arrivedB time.Time
		p.eventually("a later record", func() bool { // a millisecond must have passed between the two
			p.put(name, "b", "k")
			records := p.get(p.horizon(name, shard0)).Records
			arrivedB = *records[len(records)-1].ApproximateArrivalTimestamp
			return arrivedB.After(arrivedA)
		})
		at := func(t time.Time) []string {
			return p.first(kinesis.GetShardIteratorInput{StreamName: &name, ShardIteratorType: types.ShardIteratorTypeAtTimestamp, Timestamp: &t})
		}
		p.equal("at the first", at(arrivedA)[0], "a")
		p.equal("an hour before the first", at(arrivedA.Add(-time.Hour))[0], "a")
		if got := at(arrivedB); len(got) == 0 || got[0] != "b" {
			p.Errorf("at the last: %q, want b first", got)
		}
	}},
	{"AT_TIMESTAMP after the last record waits for the next", func(p *probe) {
		name := p.stream(1)
		p.put(name, "a", "k")
		arrived := *p.get(p.horizon(name, shard0)).Records[0].ApproximateArrivalTimestamp
		in := kinesis.GetShardIteratorInput{StreamName: &name, ShardId: aws.String(shard0), ShardIteratorType: types.ShardIteratorTypeAtTimestamp, Timestamp: aws.Time(arrived.Add(time.Millisecond))}
		var it *string
		p.eventually("the time has come", func() bool {
			out, err := p.k.GetShardIterator(p.ctx, &in)
			if err == nil {
				it = out.ShardIterator
			}
			return err == nil
		})
		p.equal("records", texts(p.get(it).Records), []string{})
	}},
	{"AT_TIMESTAMP needs a time", func(p *probe) {
		name := p.stream(1)
		_, err := p.k.GetShardIterator(p.ctx, &kinesis.GetShardIteratorInput{StreamName: &name, ShardId: aws.String(shard0), ShardIteratorType: types.ShardIteratorTypeAtTimestamp})
		p.refused(err, "InvalidArgumentException")
	}},
	{"AT_TIMESTAMP may not be in the future", func(p *probe) {
		name := p.stream(1)
		in := kinesis.GetShardIteratorInput{StreamName: &name, ShardId: aws.String(shard0), ShardIteratorType: types.ShardIteratorTypeAtTimestamp, Timestamp: aws.Time(time.Now().Add(time.Hour))}
		_, err := p.k.GetShardIterator(p.ctx, &in)
		p.refused(err, "InvalidArgumentException")
	}},
	{"a sequence number must be this shard's", func(p *probe) {
		name := p.stream(2)
		shards := p.shards(name)
		other := p.putTo(name, "x", decimal(shards[1].HashKeyRange.StartingHashKey)).SequenceNumber
		_, err := p.k.GetShardIterator(p.ctx, &kinesis.GetShardIteratorInput{StreamName: &name, ShardId: aws.String(shard0), ShardIteratorType: types.ShardIteratorTypeAfterSequenceNumber, StartingSequenceNumber: other})
		p.refused(err, "InvalidArgumentException")
	}},
	{"nonsense for a sequence number is refused", func(p *probe) {
		name := p.stream(1)
		_, err := p.k.GetShardIterator(p.ctx, &kinesis.GetShardIteratorInput{StreamName: &name, ShardId: aws.String(shard0), ShardIteratorType: types.ShardIteratorTypeAtSequenceNumber, StartingSequenceNumber: aws.String("12345")})
		p.refused(err, "InvalidArgumentException", "ValidationException")
		_, err = p.k.GetShardIterator(p.ctx, &kinesis.GetShardIteratorInput{StreamName: &name, ShardId: aws.String(shard0), ShardIteratorType: types.ShardIteratorTypeAtSequenceNumber, StartingSequenceNumber: aws.String("SHARD_END")})
		p.refused(err, "InvalidArgumentException", "ValidationException")
	}},
	{"a sequence number is needed by the types that start at one", func(p *probe) {
		name := p.stream(1)
		_, err := p.k.GetShardIterator(p.ctx, &kinesis.GetShardIteratorInput{StreamName: &name, ShardId: aws.String(shard0), ShardIteratorType: types.ShardIteratorTypeAtSequenceNumber})
		p.refused(err, "InvalidArgumentException")
	}},
	{"a sequence number is for no other type", func(p *probe) {
		name := p.stream(1)
		number := p.put(name, "x", "k").SequenceNumber
		_, err := p.k.GetShardIterator(p.ctx, &kinesis.GetShardIteratorInput{StreamName: &name, ShardId: aws.String(shard0), ShardIteratorType: types.ShardIteratorTypeLatest, StartingSequenceNumber: number})
		p.refused(err, "InvalidArgumentException")
	}},
	{"a shard that does not exist is ResourceNotFoundException", func(p *probe) {
		name := p.stream(1)
		_, err := p.k.GetShardIterator(p.ctx, &kinesis.GetShardIteratorInput{StreamName: &name, ShardId: aws.String("shardId-000000000007"), ShardIteratorType: types.ShardIteratorTypeLatest})
		p.refused(err, "ResourceNotFoundException")
	}},
	{"what is no iterator is InvalidArgumentException", func(p *probe) {
		_, err := p.k.GetRecords(p.ctx, &kinesis.GetRecordsInput{ShardIterator: aws.String("AAAAAAAAAAE=")})
		p.refused(err, "InvalidArgumentException")
		_, err = p.k.GetRecords(p.ctx, &kinesis.GetRecordsInput{ShardIterator: aws.String("not base64")})
		p.refused(err, "InvalidArgumentException", "ValidationException")
	}},
	{"Limit is kept, and the next iterator goes on behind it", func(p *probe) {
		name := p.stream(1)
		for i := range 5 {
			p.put(name, fmt.Sprint(i), "k")
		}
		it, got := p.horizon(name, shard0), []string{}
		for range 4 {
			out := must[*kinesis.GetRecordsOutput](p)(p.k.GetRecords(p.ctx, &kinesis.GetRecordsInput{ShardIterator: it, Limit: aws.Int32(2)}))
			if len(out.Records) > 2 {
				p.Errorf("%d records, asked for 2", len(out.Records))
			}
			got, it = append(got, texts(out.Records)...), out.NextShardIterator
		}
		p.equal("records", got, []string{"0", "1", "2", "3", "4"})
		_, err := p.k.GetRecords(p.ctx, &kinesis.GetRecordsInput{ShardIterator: it, Limit: aws.Int32(10001)})
		p.refused(err, "InvalidArgumentException", "ValidationException")
	}},
	{"an answer has at most 10 MB", func(p *probe) {
		p.within(2 * time.Minute) // some emulators are slow with so much
		name := p.stream(1)
		for range 12 {
			p.put(name, strings.Repeat("x", 1<<20-10), "k")
		}
		out := p.get(p.horizon(name, shard0))
		size := 0
		for _, r := range out.Records {
			size += len(r.Data)
		}
		if size > 10<<20 || size < 8<<20 {
			p.Errorf("%d bytes in the first answer", size)
		}
		rest := p.get(out.NextShardIterator)
		p.equal("records of two answers", len(out.Records)+len(rest.Records), 12)
	}},
	{"MillisBehindLatest tells a reader that is behind from one that is not", func(p *probe) {
		name := p.stream(1)
		p.put(name, "a", "k")
		p.put(name, "b", "k")
		p.eventually("time behind", func() bool {
			out := must[*kinesis.GetRecordsOutput](p)(p.k.GetRecords(p.ctx, &kinesis.GetRecordsInput{ShardIterator: p.horizon(name, shard0), Limit: aws.Int32(1)}))
			return *out.MillisBehindLatest > 0
		})
		p.equal("at the tip", *p.get(p.horizon(name, shard0)).MillisBehindLatest, int64(0))
	}},
	{"a record may have a MiB, with its key, and no more", func(p *probe) {
		name := p.stream(1)
		p.put(name, strings.Repeat("x", 1<<20-1), "k")
		_, err := p.k.PutRecord(p.ctx, &kinesis.PutRecordInput{StreamName: &name, Data: bytes.Repeat([]byte("x"), 1<<20+1), PartitionKey: aws.String("k")})
		p.refused(err, "ValidationException", "InvalidArgumentException")
	}},
	{"PutRecords takes 1 to 500 records", func(p *probe) {
		name := p.stream(1)
		entry := types.PutRecordsRequestEntry{Data: []byte("x"), PartitionKey: aws.String("k")}
		for _, n := range []int{0, 501} {
			_, err := p.k.PutRecords(p.ctx, &kinesis.PutRecordsInput{StreamName: &name, Records: slices.Repeat([]types.PutRecordsRequestEntry{entry}, n)})
			p.refused(err, "ValidationException", "InvalidArgumentException")
		}
		must[*kinesis.PutRecordsOutput](p)(p.k.PutRecords(p.ctx, &kinesis.PutRecordsInput{StreamName: &name, Records: slices.Repeat([]types.PutRecordsRequestEntry{entry}, 500)}))
	}},
	{"one bad record refuses the whole request", func(p *probe) {
		name := p.stream(1)
		good := types.PutRecordsRequestEntry{Data: []byte("x"), PartitionKey: aws.String("k")}
		bad := types.PutRecordsRequestEntry{Data: []byte("x"), PartitionKey: aws.String("k"), ExplicitHashKey: aws.String(new(big.Int).Lsh(big.NewInt(1), 128).String())}
		long := types.PutRecordsRequestEntry{Data: []byte("x"), PartitionKey: aws.String(strings.Repeat("k", 257))}
		for what, c := range map[string]struct {
			entries []types.PutRecordsRequestEntry
			code    string
		}{
			"hash key of 2^128":     {[]types.PutRecordsRequestEntry{good, bad}, "InvalidArgumentException"},
			"key of 257 characters": {[]types.PutRecordsRequestEntry{good, long}, "ValidationException"},
			"key of no character":   {[]types.PutRecordsRequestEntry{good, {Data: []byte("x"), PartitionKey: aws.String("")}}, "ValidationException"},
		} {
			_, err := p.k.PutRecords(p.ctx, &kinesis.PutRecordsInput{StreamName: &name, Records: c.entries})
			before := len(p.failures)
			p.refused(err, c.code, "InvalidArgumentException")
			if len(p.failures) > before {
				p.Errorf("(%s)", what)
			}
		}
		p.equal("records", len(p.get(p.horizon(name, shard0)).Records), 0)
	}},
	{"ListShards gives pages, by NextToken or after a shard", func(p *probe) {
		name := p.stream(5)
		in, got := &kinesis.ListShardsInput{StreamName: &name, MaxResults: aws.Int32(2)}, []string{}
		for {
			out := must[*kinesis.ListShardsOutput](p)(p.k.ListShards(p.ctx, in))
			if len(out.Shards) > 2 {
				p.Fatalf("%d shards in a page of 2", len(out.Shards))
			}
			for _, sh := range out.Shards {
				got = append(got, *sh.ShardId)
			}
			if out.NextToken == nil {
				break
			}
			in = &kinesis.ListShardsInput{NextToken: out.NextToken, MaxResults: aws.Int32(2)}
		}
		if len(got) != 5 || !slices.IsSorted(got) {
			p.Errorf("pages gave %q", got)
		}
		if in.NextToken == nil {
			p.Fatalf("no NextToken")
		}
		_, err := p.k.ListShards(p.ctx, &kinesis.ListShardsInput{NextToken: in.NextToken, StreamName: &name})
		p.refused(err, "InvalidArgumentException", "ValidationException")
	}},
	{"ListShards starts after a shard", func(p *probe) {
		name := p.stream(3)
		out := must[*kinesis.ListShardsOutput](p)(p.k.ListShards(p.ctx, &kinesis.ListShardsInput{StreamName: &name, ExclusiveStartShardId: aws.String(shard0)}))
		ids := []string{}
		for _, sh := range out.Shards {
			ids = append(ids, *sh.ShardId)
		}
		slices.SortFunc(ids, cmp.Compare)
		p.equal("shards", ids, []string{"shardId-000000000001", "shardId-000000000002"})
	}},
}
