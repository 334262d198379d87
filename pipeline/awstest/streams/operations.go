package streams

import (
	"encoding/base64"
	"encoding/json"
	"slices"
	"strings"

	"rootwatch/pipeline/awstest/wire"
)

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
