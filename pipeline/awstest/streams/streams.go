package streams

import (
	"encoding/json"
	"slices"
	"time"

	"rootwatch/pipeline/awstest/wire"
)

type streamMode struct {
	StreamMode string
}

type createStreamInput struct {
	StreamName         string
	ShardCount         *int
	StreamModeDetails  *streamMode
	MaxRecordSizeInKiB *int
	// What this server does not have is refused.
	Tags, WarmThroughputMiBps json.RawMessage
}

const onDemandShards = 4

func createStream(s *Service, _ *wire.Request, in *createStreamInput) (any, error) {
	if in.StreamName == "" {
		return nil, wire.Missing("streamName")
	}
	name, err := s.streamName(in.StreamName, "")
	if err != nil {
		return nil, err
	}
	if err := wire.Unsupported(map[string]json.RawMessage{"Tags": in.Tags, "WarmThroughputMiBps": in.WarmThroughputMiBps}); err != nil {
		return nil, err
	}
	now := s.opts.Clock()
	st := &stream{
		id: s.ids.Add(1), name: name, arn: s.streamARN(name), created: now, mode: "PROVISIONED",
		activeAt: now.Add(s.opts.CreateDuration), maxRecordBytes: 1 << 20,
	}
	if in.StreamModeDetails != nil {
		st.mode = in.StreamModeDetails.StreamMode
	}
	count, err := initialShards(st.mode, in.ShardCount)
	if err != nil {
		return nil, err
	}
	if in.MaxRecordSizeInKiB != nil {
		if *in.MaxRecordSizeInKiB < 1024 || *in.MaxRecordSizeInKiB > 10240 {
			return nil, wire.Invalid("1 validation error detected: Value '%d' at 'maxRecordSizeInKiB' failed to satisfy constraint: Member must have value between 1024 and 10240", *in.MaxRecordSizeInKiB)
		}
		st.maxRecordBytes = *in.MaxRecordSizeInKiB << 10
	}
	creation := st.nextCreation(now)
	starts := uniformStarts(count)
	for i, low := range starts {
		high := maxHashKey
		if i+1 < len(starts) {
			high = starts[i+1].prev()
		}
		st.addShard(now, creation, low, high)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if old := s.byName[name]; old != nil && !old.goneAt(now) {
		return nil, wire.Errorf("ResourceInUseException", "Stream %s under account %s already exists.", name, s.opts.AccountID)
	}
	s.byName[name] = st
	return nil, nil
}

func (st *stream) goneAt(now time.Time) bool {
	st.mu.Lock()
	defer st.mu.Unlock()
	return !st.deletedAt.IsZero() && !now.Before(st.deletedAt)
}

func initialShards(mode string, asked *int) (int, error) {
	switch {
	case mode == "ON_DEMAND":
		return onDemandShards, nil
	case mode != "PROVISIONED":
		return 0, wire.Invalid("1 validation error detected: Value '%s' at 'streamModeDetails.streamMode' failed to satisfy constraint: Member must satisfy enum value set: [PROVISIONED, ON_DEMAND]", mode)
	case asked == nil:
		return 0, wire.Invalid("ShardCount must be specified for a stream in the PROVISIONED mode")
	case *asked < 1 || *asked > maxShards:
		return 0, wire.Invalid("1 validation error detected: Value '%d' at 'shardCount' failed to satisfy constraint: Member must have value between 1 and %d", *asked, maxShards)
	}
	return *asked, nil
}

// maxShards is what UpdateShardCount allows, and enough for any test.
const maxShards = 10000

type streamInput struct {
	StreamName, StreamARN string
	Limit                 *int
	ExclusiveStartShardId string
}

func deleteStream(s *Service, _ *wire.Request, in *streamInput) (any, error) {
	st, now, err := s.lockStream(in.StreamName, in.StreamARN)
	if err != nil {
		return nil, err
	}
	if st.deletedAt.IsZero() {
		st.deletedAt = now.Add(s.opts.CreateDuration)
	}
	gone := !now.Before(st.deletedAt)
	st.mu.Unlock()
	if gone {
		s.forget(st)
	}
	return nil, nil
}

type hashKeyRange struct{ StartingHashKey, EndingHashKey string }

type sequenceRange struct {
	StartingSequenceNumber string
	EndingSequenceNumber   string `json:",omitempty"`
}

type shardDescription struct {
	ShardId               string
	ParentShardId         string `json:",omitempty"`
	AdjacentParentShardId string `json:",omitempty"`
	HashKeyRange          hashKeyRange
	SequenceNumberRange   sequenceRange
}

func (sh *shard) hashKeyRange() hashKeyRange {
	return hashKeyRange{sh.low.String(), sh.high.String()}
}

func (sh *shard) describe() shardDescription {
	d := shardDescription{
		ShardId: sh.id, ParentShardId: sh.parent, AdjacentParentShardId: sh.adjacent,
		HashKeyRange:        sh.hashKeyRange(),
		SequenceNumberRange: sequenceRange{StartingSequenceNumber: sh.sequence(0, sh.creation*1000).String()},
	}
	if !sh.isOpen() {
		d.SequenceNumberRange.EndingSequenceNumber = sh.sequence(endOrdinal, sh.closed.UnixMilli()).String()
	}
	return d
}

type monitoring struct{ ShardLevelMetrics []string }

// streamFacts is what the two descriptions of a stream share.
type streamFacts struct {
	StreamName              string
	StreamARN               string
	StreamStatus            string
	StreamModeDetails       streamMode
	StreamCreationTimestamp wire.Seconds
	RetentionPeriodHours    int
	EncryptionType          string
	EnhancedMonitoring      []monitoring
}

func (st *stream) facts(now time.Time) streamFacts {
	return streamFacts{
		StreamName: st.name, StreamARN: st.arn, StreamStatus: st.status(now),
		StreamModeDetails:       streamMode{st.mode},
		StreamCreationTimestamp: wire.Seconds(st.created), RetentionPeriodHours: int(retention / time.Hour),
		EncryptionType: "NONE", EnhancedMonitoring: []monitoring{{ShardLevelMetrics: []string{}}},
	}
}

func describeStream(s *Service, _ *wire.Request, in *streamInput) (any, error) {
	limit, err := wire.PageSize(in.Limit, "limit", 100, 10000)
	if err != nil {
		return nil, err
	}
	st, now, err := s.lockStream(in.StreamName, in.StreamARN)
	if err != nil {
		return nil, err
	}
	defer st.mu.Unlock()
	type description struct {
		streamFacts
		Shards        []shardDescription
		HasMoreShards bool
	}
	d := description{streamFacts: st.facts(now), Shards: []shardDescription{}}
	if !now.Before(st.activeAt) {
		shards := after(st.shards, in.ExclusiveStartShardId)
		d.HasMoreShards = len(shards) > min(limit, 100)
		for _, sh := range shards[:min(len(shards), limit, 100)] {
			d.Shards = append(d.Shards, sh.describe())
		}
	}
	return struct{ StreamDescription description }{d}, nil
}

// after gives the shards whose ids follow id.
func after(shards []*shard, id string) []*shard {
	i, _ := slices.BinarySearchFunc(shards, id, func(sh *shard, id string) int {
		if sh.id <= id {
			return -1
		}
		return 1
	})
	return shards[i:]
}

func describeStreamSummary(s *Service, _ *wire.Request, in *streamInput) (any, error) {
	st, now, err := s.lockStream(in.StreamName, in.StreamARN)
	if err != nil {
		return nil, err
	}
	defer st.mu.Unlock()
	type summary struct {
		streamFacts
		OpenShardCount     int
		ConsumerCount      int
		MaxRecordSizeInKiB int
	}
	sum := summary{streamFacts: st.facts(now), MaxRecordSizeInKiB: st.maxRecordBytes >> 10}
	if !now.Before(st.activeAt) {
		sum.OpenShardCount = len(st.open)
	}
	return struct{ StreamDescriptionSummary summary }{sum}, nil
}

// Trim makes the service forget all records that a stream holds now, as if their retention had
// passed; what is put later is kept. It fails if there is no such stream.
func (s *Service) Trim(streamName string) error {
	st, _, err := s.lockStream(streamName, "")
	if err != nil {
		return err
	}
	defer st.mu.Unlock()
	for _, sh := range st.shards {
		st.trim(sh, sh.next())
	}
	return nil
}
