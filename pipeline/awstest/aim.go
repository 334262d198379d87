package awstest

import (
	"encoding/base64"
	"encoding/json"
	"strings"
)

// aim is which streams or tables, and which shards, a call is about: what faults are matched with.
type aim struct {
	resources  []string
	shards     []string
	consistent bool // reads of DynamoDB: ConsistentRead
}

// resourceName is what a stream or table is called that is named by itself or by its ARN.
func resourceName(given string) string { return given[strings.LastIndex(given, "/")+1:] }

// aim reads it out of a request; done only when some fault asks.
func (r *request) aim() aim {
	if r.aimed != nil {
		return *r.aimed
	}
	var in struct {
		StreamName, StreamARN, TableName                 string
		ShardId, ShardIterator, NextToken                string
		ShardToSplit, ShardToMerge, AdjacentShardToMerge string
		ConsistentRead                                   bool
	}
	// A request that cannot be read is about nothing: it will be refused soon.
	_ = json.Unmarshal(r.body, &in)
	a := aim{
		resources:  []string{in.StreamName, resourceName(in.TableName), resourceName(in.StreamARN)},
		shards:     []string{in.ShardId, in.ShardToSplit, in.ShardToMerge, in.AdjacentShardToMerge},
		consistent: in.ConsistentRead,
	}
	if it, ok := parseIterator(in.ShardIterator); ok {
		a.resources, a.shards = append(a.resources, it.name), append(a.shards, shardID(it.shard))
	}
	var token shardsToken
	if b, err := base64.StdEncoding.DecodeString(in.NextToken); err == nil && json.Unmarshal(b, &token) == nil {
		a.resources = append(a.resources, token.Name)
	}
	r.aimed = &a
	return a
}
