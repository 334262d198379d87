package streams

import (
	"encoding/base64"
	"encoding/json"
	"slices"
	"time"

	"rootwatch/pipeline/awstest/wire"
)

type listStreamsInput struct {
	Limit                    *int
	ExclusiveStartStreamName string
	NextToken                string
}

type streamSummary struct {
	StreamName              string
	StreamARN               string
	StreamStatus            string
	StreamModeDetails       streamMode
	StreamCreationTimestamp wire.Seconds
}

func listStreams(s *Service, _ *wire.Request, in *listStreamsInput) (any, error) {
	limit, err := wire.PageSize(in.Limit, "limit", 100, 10000)
	if err != nil {
		return nil, err
	}
	start := in.ExclusiveStartStreamName
	if in.NextToken != "" {
		b, err := base64.StdEncoding.DecodeString(in.NextToken)
		if err != nil {
			return nil, wire.Errorf("InvalidArgumentException", "Invalid NextToken.")
		}
		start = string(b)
	}
	out := struct {
		StreamNames     []string
		StreamSummaries []streamSummary
		HasMoreStreams  bool
		NextToken       string `json:",omitempty"`
	}{StreamNames: []string{}, StreamSummaries: []streamSummary{}}
	for _, name := range s.streamNames() {
		if name <= start {
			continue
		}
		st, now, err := s.lockStream(name, "")
		if err != nil {
			continue // deleted meanwhile
		}
		if len(out.StreamNames) == limit {
			st.mu.Unlock()
			out.HasMoreStreams = true
			out.NextToken = base64.StdEncoding.EncodeToString([]byte(out.StreamNames[limit-1]))
			break
		}
		f := st.facts(now)
		st.mu.Unlock()
		out.StreamNames = append(out.StreamNames, name)
		out.StreamSummaries = append(out.StreamSummaries, streamSummary{f.StreamName, f.StreamARN, f.StreamStatus, f.StreamModeDetails, f.StreamCreationTimestamp})
	}
	return out, nil
}

func (s *Service) streamNames() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	var names []string
	for name := range s.byName {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

type shardFilter struct {
	Type      string
	ShardId   string
	Timestamp *wire.Seconds
}

type listShardsInput struct {
	StreamName, StreamARN   string
	NextToken               string
	ExclusiveStartShardId   string
	StreamCreationTimestamp *wire.Seconds
	MaxResults              *int
	ShardFilter             *shardFilter
}

// shardsToken is what ListShards' NextToken holds: all that a next page needs.
type shardsToken struct {
	Stream uint64
	Name   string
	After  string
	Filter *shardFilter
	Issued int64 // milliseconds since 1970
}

const (
	shardsPerPage       = 1000
	shardsTokenLifetime = 300 * time.Second
)

func listShards(s *Service, r *wire.Request, in *listShardsInput) (any, error) {
	limit, err := wire.PageSize(in.MaxResults, "maxResults", shardsPerPage, 10000)
	if err != nil {
		return nil, err
	}
	at := shardsToken{Name: in.StreamName, After: in.ExclusiveStartShardId, Filter: in.ShardFilter}
	if in.NextToken != "" {
		if at, err = s.openShardsToken(in); err != nil {
			return nil, err
		}
	} else if in.StreamName == "" && in.StreamARN == "" {
		return nil, wire.Errorf("InvalidArgumentException", "Either NextToken or StreamName should be provided.")
	}
	st, now, err := s.lockStream(at.Name, in.StreamARN)
	if err != nil {
		return nil, err
	}
	defer st.mu.Unlock()
	if status := st.status(now); status != "ACTIVE" && status != "UPDATING" {
		return nil, wire.Errorf("ResourceInUseException", "Stream %s under account %s not ACTIVE, instead in state %s", st.name, s.opts.AccountID, status)
	}
	if at.Stream != 0 && at.Stream != st.id {
		return nil, s.streamNotFound(at.Name)
	}
	if t := in.StreamCreationTimestamp; t != nil && time.Time(*t).Unix() != st.created.Unix() {
		return nil, s.streamNotFound(st.name)
	}
	shards, err := st.filtered(at.Filter, now)
	if err != nil {
		return nil, err
	}
	shards = after(shards, at.After)
	switch {
	case r.Empty:
		shards = nil
	case r.Short: // the rest is not on a page of its own: it is missing
		shards = shards[:min(limit, shardsPerPage, len(shards)/2)]
	}
	return shardsPage(st, shards, min(limit, shardsPerPage), at, now), nil
}

func (s *Service) openShardsToken(in *listShardsInput) (at shardsToken, err error) {
	if in.StreamName != "" || in.ExclusiveStartShardId != "" || in.StreamCreationTimestamp != nil {
		return at, wire.Errorf("InvalidArgumentException", "NextToken and StreamName cannot be provided together.")
	}
	b, err := base64.StdEncoding.DecodeString(in.NextToken)
	if err != nil || json.Unmarshal(b, &at) != nil || at.Stream == 0 {
		return at, wire.Errorf("InvalidArgumentException", "NextToken is invalid.")
	}
	if s.opts.Clock().Sub(time.UnixMilli(at.Issued)) > shardsTokenLifetime {
		return at, wire.Errorf("ExpiredNextTokenException", "NextToken has expired: it was good for %s.", shardsTokenLifetime)
	}
	return at, nil
}

func shardsPage(st *stream, shards []*shard, limit int, at shardsToken, now time.Time) any {
	out := struct {
		Shards    []shardDescription
		NextToken string `json:",omitempty"`
	}{Shards: []shardDescription{}}
	for _, sh := range shards[:min(limit, len(shards))] {
		out.Shards = append(out.Shards, sh.describe())
	}
	if len(shards) > limit {
		at = shardsToken{Stream: st.id, Name: st.name, After: shards[limit-1].id, Filter: at.Filter, Issued: now.UnixMilli()}
		b, err := json.Marshal(at)
		if err != nil { // strings and numbers always encode
			panic(err)
		}
		out.NextToken = base64.StdEncoding.EncodeToString(b)
	}
	return out
}

// filtered gives the shards that a ShardFilter asks for, as the API reference of ListShards
// describes it.
func (st *stream) filtered(f *shardFilter, now time.Time) ([]*shard, error) {
	if f == nil {
		return st.shards, nil
	}
	horizon := now.Add(-retention)
	endsAfter := func(sh *shard, t time.Time) bool { return sh.isOpen() || !sh.closed.Before(t) }
	var keep func(sh *shard) bool
	switch f.Type {
	case "FROM_TRIM_HORIZON":
		return st.shards, nil
	case "AFTER_SHARD_ID":
		if f.ShardId == "" {
			return nil, wire.Errorf("InvalidArgumentException", "ShardId must be provided when the ShardFilter's type is %s.", f.Type)
		}
		return after(st.shards, f.ShardId), nil
	case "AT_LATEST":
		keep = (*shard).isOpen
	case "AT_TRIM_HORIZON":
		if horizon.Before(st.created) {
			horizon = st.created
		}
		keep = func(sh *shard) bool { return !sh.opened.After(horizon) && endsAfter(sh, horizon) }
	case "AT_TIMESTAMP", "FROM_TIMESTAMP":
		if f.Timestamp == nil {
			return nil, wire.Errorf("InvalidArgumentException", "Timestamp must be provided when the ShardFilter's type is %s.", f.Type)
		}
		t := time.Time(*f.Timestamp)
		keep = func(sh *shard) bool {
			return endsAfter(sh, t) && (f.Type == "FROM_TIMESTAMP" || !sh.opened.After(t))
		}
	default:
		return nil, wire.Invalid("1 validation error detected: Value '%s' at 'shardFilter.type' failed to satisfy constraint: Member must satisfy enum value set: [AFTER_SHARD_ID, AT_TRIM_HORIZON, FROM_TRIM_HORIZON, AT_LATEST, AT_TIMESTAMP, FROM_TIMESTAMP]", f.Type)
	}
	var kept []*shard
	for _, sh := range st.shards {
		if keep(sh) {
			kept = append(kept, sh)
		}
	}
	return kept, nil
}
