// Package streams is the in-process Kinesis: streams, shards and their records, iterators,
// resharding, retention and the rates of a shard. It knows no HTTP and no faults beyond those in a
// [wire.Request].
package streams

import (
	"encoding/base64"
	"encoding/json"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"rootwatch/pipeline/awstest/wire"
)

// Options are those of awstest.Options that Kinesis has a use for; all are set.
type Options struct {
	Clock             func() time.Time
	IteratorLifetime  time.Duration
	CreateDuration    time.Duration
	UpdateDuration    time.Duration
	Limits            bool
	TrimmedIterators  bool
	MaxStreamBytes    int64
	AccountID, Region string
}

// Service is a Kinesis in memory. Safe for concurrent use.
type Service struct {
	opts Options

	mu     sync.Mutex // guards byName, not the streams; taken before a stream's
	byName map[string]*stream

	iterators atomic.Uint64 // generation of shard iterators: one more makes all older ones expire
	ids       atomic.Uint64 // of streams
}

// New gives a Kinesis without streams.
func New(opts Options) *Service {
	return &Service{opts: opts, byName: map[string]*stream{}}
}

var operations = wire.Operations[*Service]{
	"CreateStream":          wire.Typed(createStream),
	"DeleteStream":          wire.Typed(deleteStream),
	"DescribeStream":        wire.Typed(describeStream),
	"DescribeStreamSummary": wire.Typed(describeStreamSummary),
	"ListStreams":           wire.Typed(listStreams),
	"ListShards":            wire.Typed(listShards),
	"PutRecord":             wire.Typed(putRecord),
	"PutRecords":            wire.Typed(putRecords),
	"GetShardIterator":      wire.Typed(getShardIterator),
	"GetRecords":            wire.Typed(getRecords),
	"SplitShard":            wire.Typed(splitShard),
	"MergeShards":           wire.Typed(mergeShards),
	"UpdateShardCount":      wire.Typed(updateShardCount),
}

// Answer carries a call out.
func (s *Service) Answer(r *wire.Request) (any, error) { return operations.Answer(s, r) }

// shardOperations are those whose throttling is a shard's; the others' is the account's.
var shardOperations = []string{"PutRecord", "PutRecords", "GetRecords", "GetShardIterator"}

// Throttled is the error that AWS documents for too many calls of an operation.
func (s *Service) Throttled(operation string) error {
	if slices.Contains(shardOperations, operation) {
		return wire.Errorf(throttled, "Rate exceeded.")
	}
	return wire.Errorf("LimitExceededException", "Rate exceeded.")
}

// About reads out of a request which stream and shards it is about.
func (s *Service) About(request []byte) wire.Subject {
	var in struct {
		StreamName, StreamARN                            string
		ShardId, ShardIterator, NextToken                string
		ShardToSplit, ShardToMerge, AdjacentShardToMerge string
	}
	// A request that cannot be read is about nothing: it will be refused soon.
	_ = json.Unmarshal(request, &in)
	a := wire.Subject{
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
