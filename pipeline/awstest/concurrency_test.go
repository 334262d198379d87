package awstest_test

import (
	"fmt"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/kinesis"
	"github.com/aws/aws-sdk-go-v2/service/kinesis/types"

	"rootwatch/pipeline/awstest"
)

// Producers, a resharder and a reader work at the same time: the reader, who takes parents before
// children, gets every record once and those of one key in their order.
func TestReadersAndReshardersAtTheSameTime(t *testing.T) {
	const producers, batches, perBatch = 3, 25, 8
	b := newBench(t, 2, awstest.Options{})
	var writing sync.WaitGroup
	for p := range producers {
		writing.Go(func() {
			for i := range batches {
				var entries []types.PutRecordsRequestEntry
				for j := range perBatch {
					entries = append(entries, types.PutRecordsRequestEntry{Data: fmt.Appendf(nil, "%d/%d", p, i*perBatch+j), PartitionKey: aws.String(fmt.Sprint(p))})
				}
				if _, err := b.k.PutRecords(t.Context(), &kinesis.PutRecordsInput{StreamName: aws.String("events"), Records: entries}); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	writing.Go(func() {
		for _, target := range []int32{3, 5, 4, 2, 3} {
			if _, err := b.k.UpdateShardCount(t.Context(), &kinesis.UpdateShardCountInput{StreamName: aws.String("events"), TargetShardCount: &target, ScalingType: types.ScalingTypeUniformScaling}); err != nil {
				t.Error(err)
			}
			b.shardIDs()
		}
	})
	r := &lineageReader{bench: b, iterators: map[string]*string{}, finished: map[string]bool{}, next: map[string]int{}}
	done := make(chan struct{})
	go func() { writing.Wait(); close(done) }()
	for more := true; more; {
		select {
		case <-done:
			more = false // one more pass: all is there now
		default:
		}
		for r.pass() {
		}
	}
	for p := range producers {
		if got := r.next[fmt.Sprint(p)]; got != batches*perBatch {
			t.Errorf("producer %d: %d records read, %d put", p, got, batches*perBatch)
		}
	}
}

// lineageReader reads all shards, each after its parents.
type lineageReader struct {
	*bench
	iterators map[string]*string
	finished  map[string]bool
	next      map[string]int // by producer: the record that must come next
}

// pass reads once from every shard that may be read, and reports whether there was anything.
func (r *lineageReader) pass() bool {
	out, err := r.k.ListShards(r.Context(), &kinesis.ListShardsInput{StreamName: aws.String("events")})
	r.ok(err)
	progress := false
	for _, sh := range out.Shards {
		ready := (sh.ParentShardId == nil || r.finished[*sh.ParentShardId]) && (sh.AdjacentParentShardId == nil || r.finished[*sh.AdjacentParentShardId])
		if !ready || r.finished[*sh.ShardId] {
			continue
		}
		if r.iterators[*sh.ShardId] == nil {
			r.iterators[*sh.ShardId] = r.iterator(types.ShardIteratorTypeTrimHorizon, *sh.ShardId, nil)
		}
		page, err := r.get(r.iterators[*sh.ShardId])
		r.ok(err)
		for _, text := range texts(page.Records) {
			producer, number, _ := strings.Cut(text, "/")
			if n, err := strconv.Atoi(number); err != nil || n != r.next[producer] {
				r.Errorf("%s came where %d was due", text, r.next[producer])
			}
			r.next[producer]++
		}
		r.iterators[*sh.ShardId] = page.NextShardIterator
		r.finished[*sh.ShardId] = page.NextShardIterator == nil
		progress = progress || len(page.Records) > 0 || page.NextShardIterator == nil
	}
	return progress
}

// Of many who want a lease at the same time one gets it, and a counter misses nobody.
func TestConditionsDecideRaces(t *testing.T) {
	const workers, rounds = 8, 20
	b := newBench(t, 1, awstest.Options{})
	var mu sync.Mutex
	winners := 0
	var all sync.WaitGroup
	for w := range workers {
		all.Go(func() {
			for range rounds {
				_, err := b.d.UpdateItem(t.Context(), &dynamodb.UpdateItemInput{
					TableName: aws.String("leases"), Key: itemOf(m{"id": "lease"}), UpdateExpression: aws.String("SET holder = :me"),
					ConditionExpression: aws.String("attribute_not_exists(holder)"), ExpressionAttributeValues: itemOf(m{":me": w}),
				})
				if err == nil {
					mu.Lock()
					winners++
					mu.Unlock()
				} else if !hasCode(err, "ConditionalCheckFailedException") {
					t.Error(err)
				}
				if _, err := b.d.UpdateItem(t.Context(), &dynamodb.UpdateItemInput{
					TableName: aws.String("leases"), Key: itemOf(m{"id": "all"}), UpdateExpression: aws.String("ADD v :one"), ExpressionAttributeValues: itemOf(m{":one": 1}),
				}); err != nil {
					t.Error(err)
				}
			}
		})
	}
	all.Wait()
	b.equal("winners", winners, 1)
	out, err := b.d.GetItem(t.Context(), &dynamodb.GetItemInput{TableName: aws.String("leases"), Key: itemOf(m{"id": "all"})})
	b.ok(err)
	b.equal("counter", plain(out.Item["v"]), workers*rounds)
}
