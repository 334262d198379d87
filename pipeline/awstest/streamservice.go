package awstest

import (
	"encoding/base64"
	"encoding/json"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// streamOptions are those of awstest.Options that Kinesis has a use for; all are set.
type streamOptions struct {
	Clock             func() time.Time
	IteratorLifetime  time.Duration
	CreateDuration    time.Duration
	UpdateDuration    time.Duration
	Limits            bool
	TrimmedIterators  bool
	MaxStreamBytes    int64
	AccountID, Region string
}

// streamService is a Kinesis in memory. Safe for concurrent use.
type streamService struct {
	opts streamOptions

	mu     sync.Mutex // guards byName, not the streams; taken before a stream's
	byName map[string]*stream

	iterators atomic.Uint64 // generation of shard iterators: one more makes all older ones expire
	ids       atomic.Uint64 // of streams
}

// newStreams gives a Kinesis without streams.
func newStreams(opts streamOptions) *streamService {
	return &streamService{opts: opts, byName: map[string]*stream{}}
}

var streamOperations = operations[*streamService]{
	"CreateStream":          typed(createStream),
	"DeleteStream":          typed(deleteStream),
	"DescribeStream":        typed(describeStream),
	"DescribeStreamSummary": typed(describeStreamSummary),
	"ListStreams":           typed(listStreams),
	"ListShards":            typed(listShards),
	"PutRecord":             typed(putRecord),
	"PutRecords":            typed(putRecords),
	"GetShardIterator":      typed(getShardIterator),
	"GetRecords":            typed(getRecords),
	"SplitShard":            typed(splitShard),
	"MergeShards":           typed(mergeShards),
	"UpdateShardCount":      typed(updateShardCount),
}

// Answer carries a call out.
func (s *streamService) Answer(r *wireRequest) (any, error) { return streamOperations.answer(s, r) }

// shardOperations are those whose throttling is a shard's; the others' is the account's.
var shardOperations = []string{"PutRecord", "PutRecords", "GetRecords", "GetShardIterator"}

// Throttled is the error that AWS documents for too many calls of an operation.
func (s *streamService) Throttled(operation string) error {
	if slices.Contains(shardOperations, operation) {
		return errorf(throttled, "Rate exceeded.")
	}
	return errorf("LimitExceededException", "Rate exceeded.")
}

// About reads out of a request which stream and shards it is about.
func (s *streamService) About(request []byte) subject {
	var in struct {
		StreamName, StreamARN                            string
		ShardId, ShardIterator, NextToken                string
		ShardToSplit, ShardToMerge, AdjacentShardToMerge string
	}
	// A request that cannot be read is about nothing: it will be refused soon.
	_ = json.Unmarshal(request, &in)
	a := subject{
		Names:  []string{in.StreamName, in.StreamARN[strings.LastIndex(in.StreamARN, "/")+1:]},
		Shards: []string{in.ShardId, in.ShardToSplit, in.ShardToMerge, in.AdjacentShardToMerge},
	}
	if it, ok := parseIterator(in.ShardIterator); ok {
		a.Names, a.Shards = append(a.Names, it.name), append(a.Shards, shardID(it.shard))
	}
	var token shardsToken
	if b, err := base64.StdEncoding.DecodeString(in.NextToken); err == nil && json.Unmarshal(b, &token) == nil {
		a.Names = append(a.Names, token.Name)
	}
	return a
}
