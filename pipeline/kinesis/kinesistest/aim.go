package kinesistest

import (
	"encoding/base64"
	"encoding/json"
	"maps"
	"slices"
	"strings"
)

// aim is which streams or tables, and which shards, a call is about: what faults are matched with.
type aim struct {
	resources []string
	shards    []string
}

// aim reads it out of a request; done only when some fault asks.
func (r *request) aim() aim {
	if r.aimed != nil {
		return *r.aimed
	}
	var in struct {
		StreamName, StreamARN, TableName                 string
		ShardId, ShardIterator, NextToken                string
		ShardToSplit, ShardToMerge, AdjacentShardToMerge string
		RequestItems                                     map[string]json.RawMessage
		TransactItems                                    []map[string]struct{ TableName string }
	}
	// A request that cannot be read is about nothing: it will be refused soon.
	_ = json.Unmarshal(r.body, &in)
	a := aim{
		resources: []string{in.StreamName, in.TableName, in.StreamARN[strings.LastIndex(in.StreamARN, "/")+1:]},
		shards:    []string{in.ShardId, in.ShardToSplit, in.ShardToMerge, in.AdjacentShardToMerge},
	}
	a.resources = slices.AppendSeq(a.resources, maps.Keys(in.RequestItems))
	for _, writes := range in.TransactItems {
		for _, write := range writes {
			a.resources = append(a.resources, write.TableName)
		}
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
