package streams

import (
	"slices"
	"time"

	"rootwatch/pipeline/awstest/wire"
)

// split closes a shard and opens two that share its keys.
func (st *stream) split(sh *shard, at hashKey, now time.Time) (low, high *shard) {
	creation := st.nextCreation(now)
	st.closeShard(sh, now)
	low = st.addShard(now, creation, sh.low, at.prev())
	high = st.addShard(now, creation, at, sh.high)
	low.parent, high.parent = sh.id, sh.id
	return low, high
}

// merge closes two neighbours and opens one that has the keys of both.
func (st *stream) merge(a, b *shard, now time.Time) *shard {
	creation := st.nextCreation(now)
	st.closeShard(a, now)
	st.closeShard(b, now)
	child := st.addShard(now, creation, min2(a.low, b.low), max2(a.high, b.high))
	child.parent, child.adjacent = a.id, b.id
	return child
}

func min2(a, b hashKey) hashKey {
	if b.less(a) {
		return b
	}
	return a
}

func max2(a, b hashKey) hashKey {
	if a.less(b) {
		return b
	}
	return a
}

// openShard finds a shard that may be split or merged.
func (s *Service) openShard(st *stream, id string) (*shard, error) {
	sh := st.shard(id)
	if sh == nil {
		return nil, wire.Errorf("ResourceNotFoundException", "Could not find shard %s in stream %s under account %s.", id, st.name, s.opts.AccountID)
	}
	if !sh.isOpen() {
		return nil, wire.Errorf("InvalidArgumentException", "Shard %s in stream %s under account %s has already been merged or split, and thus is not eligible for merging or splitting.", id, st.name, s.opts.AccountID)
	}
	return sh, nil
}

type splitShardInput struct {
	StreamName, StreamARN            string
	ShardToSplit, NewStartingHashKey *string
}

func splitShard(s *Service, _ *wire.Request, in *splitShardInput) (any, error) {
	if in.ShardToSplit == nil {
		return nil, wire.Missing("shardToSplit")
	}
	if in.NewStartingHashKey == nil {
		return nil, wire.Missing("newStartingHashKey")
	}
	st, now, err := s.activeStream(in.StreamName, in.StreamARN)
	if err != nil {
		return nil, err
	}
	defer st.mu.Unlock()
	sh, err := s.openShard(st, *in.ShardToSplit)
	if err != nil {
		return nil, err
	}
	if err := checkHashKey("newStartingHashKey", *in.NewStartingHashKey); err != nil {
		return nil, err
	}
	at, ok := parseHashKey(*in.NewStartingHashKey)
	if !ok || !sh.low.next().less(at) || !at.less(sh.high) {
		return nil, wire.Errorf("InvalidArgumentException", "NewStartingHashKey %s used in SplitShard() on shard %s in stream %s under account %s is not both greater than one plus the shard's StartingHashKey %s and less than the shard's EndingHashKey %s.",
			*in.NewStartingHashKey, sh.id, st.name, s.opts.AccountID, sh.low, sh.high)
	}
	s.later(st, now, func(now time.Time) { st.split(sh, at, now) })
	return nil, nil
}

type mergeShardsInput struct {
	StreamName, StreamARN              string
	ShardToMerge, AdjacentShardToMerge *string
}

func mergeShards(s *Service, _ *wire.Request, in *mergeShardsInput) (any, error) {
	if in.ShardToMerge == nil {
		return nil, wire.Missing("shardToMerge")
	}
	if in.AdjacentShardToMerge == nil {
		return nil, wire.Missing("adjacentShardToMerge")
	}
	st, now, err := s.activeStream(in.StreamName, in.StreamARN)
	if err != nil {
		return nil, err
	}
	defer st.mu.Unlock()
	a, err := s.openShard(st, *in.ShardToMerge)
	if err != nil {
		return nil, err
	}
	b, err := s.openShard(st, *in.AdjacentShardToMerge)
	if err != nil {
		return nil, err
	}
	if !precedes(a, b) && !precedes(b, a) {
		return nil, wire.Errorf("InvalidArgumentException", "Shards %s and %s in stream %s under account %s are not an adjacent pair of shards eligible for merging", a.id, b.id, st.name, s.opts.AccountID)
	}
	s.later(st, now, func(now time.Time) { st.merge(a, b, now) })
	return nil, nil
}

// precedes reports whether b's keys begin where a's end. The end of the key space is not next to
// its beginning.
func precedes(a, b *shard) bool { return a.high != maxHashKey && a.high.next() == b.low }

type updateShardCountInput struct {
	StreamName, StreamARN string
	TargetShardCount      *int
	ScalingType           string
}

func updateShardCount(s *Service, _ *wire.Request, in *updateShardCountInput) (any, error) {
	if in.TargetShardCount == nil {
		return nil, wire.Missing("targetShardCount")
	}
	if in.ScalingType != "UNIFORM_SCALING" {
		return nil, wire.Invalid("1 validation error detected: Value '%s' at 'scalingType' failed to satisfy constraint: Member must satisfy enum value set: [UNIFORM_SCALING]", in.ScalingType)
	}
	target := *in.TargetShardCount
	if target < 1 {
		return nil, wire.Invalid("1 validation error detected: Value '%d' at 'targetShardCount' failed to satisfy constraint: Member must have value greater than or equal to 1", target)
	}
	st, now, err := s.activeStream(in.StreamName, in.StreamARN)
	if err != nil {
		return nil, err
	}
	defer st.mu.Unlock()
	current := len(st.open)
	switch {
	case st.mode != "PROVISIONED":
		return nil, wire.Invalid("Request is invalid. Stream %s under account %s is in On-Demand mode.", st.name, s.opts.AccountID)
	case target > 2*current:
		return nil, wire.Errorf("InvalidArgumentException", "UpdateShardCount cannot scale up over double your current open shard count. Current open shard count: %d Target shard count: %d", current, target)
	case 2*target < current:
		return nil, wire.Errorf("InvalidArgumentException", "UpdateShardCount cannot scale down below half your current open shard count. Current open shard count: %d Target shard count: %d", current, target)
	case target > maxShards:
		return nil, wire.Errorf("LimitExceededException", "Target shard count or number of open shards cannot be greater than %d. Current open shard count: %d, Target shard count: %d", maxShards, current, target)
	}
	if s.opts.Limits && !st.mayRescale(now) {
		return nil, wire.Errorf("LimitExceededException", "UpdateShardCount was called on stream %s under account %s %d times in the last 24 hours: that is the limit.", st.name, s.opts.AccountID, rescalesPerDay)
	}
	s.later(st, now, func(now time.Time) { st.rescale(target, now) })
	return struct {
		StreamName, StreamARN               string
		CurrentShardCount, TargetShardCount int
	}{st.name, st.arn, current, target}, nil
}

// rescale makes the open shards n equal ones by the only two things that can be done to a shard: it
// splits at every new border that is not yet one, and merges what lies between two new borders.
// Some shards exist for a moment only, without a record, as they do on AWS.
func (st *stream) rescale(n int, now time.Time) {
	starts := uniformStarts(n)
	borders := starts
	for _, sh := range slices.Clone(st.open) {
		for len(borders) > 0 && !sh.low.less(borders[0]) {
			borders = borders[1:]
		}
		inside := 0
		for inside < len(borders) && !sh.high.less(borders[inside]) {
			inside++
		}
		st.splitAt(sh, borders[:inside], now)
		borders = borders[inside:]
	}
	var last *shard
	borders = starts
	for _, sh := range slices.Clone(st.open) {
		for len(borders) > 0 && borders[0].less(sh.low) {
			borders = borders[1:]
		}
		if last == nil || len(borders) > 0 && borders[0] == sh.low {
			last = sh
		} else {
			last = st.merge(last, sh, now)
		}
	}
}

// splitAt splits a shard at all of some borders, the middle one first: so a shard that becomes many
// has few generations of children.
func (st *stream) splitAt(sh *shard, borders []hashKey, now time.Time) {
	if len(borders) == 0 {
		return
	}
	middle := len(borders) / 2
	low, high := st.split(sh, borders[middle], now)
	st.splitAt(low, borders[:middle], now)
	st.splitAt(high, borders[middle+1:], now)
}

// mayRescale counts an UpdateShardCount against AWS's limit of a rolling day.
func (st *stream) mayRescale(now time.Time) bool {
	st.rescaled = slices.DeleteFunc(st.rescaled, func(at time.Time) bool { return now.Sub(at) >= 24*time.Hour })
	if len(st.rescaled) >= rescalesPerDay {
		return false
	}
	st.rescaled = append(st.rescaled, now)
	return true
}
