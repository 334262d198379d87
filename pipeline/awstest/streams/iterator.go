package streams

import (
	"encoding/base64"
	"encoding/binary"
	"hash/crc32"
	"time"

	"rootwatch/pipeline/awstest/wire"
)

// iterator is what a ShardIterator holds. It is not kept anywhere: the client carries it.
type iterator struct {
	stream     uint64
	shard      int
	ordinal    uint64 // of the next record
	issued     int64  // milliseconds since 1970
	generation uint64 // see Service.ExpireIterators
	blank      uint64 // answers without records still to come: see Options.TrimmedIterators
	name       string // of the stream
}

func (it iterator) token() string {
	b := make([]byte, 0, 64)
	b = binary.BigEndian.AppendUint64(b, 1) // AWS's begin like this too
	for _, v := range []uint64{it.stream, uint64(it.shard), it.ordinal, uint64(it.issued), it.generation, it.blank} {
		b = binary.BigEndian.AppendUint64(b, v)
	}
	b = append(b, it.name...)
	b = binary.BigEndian.AppendUint32(b, crc32.ChecksumIEEE(b))
	return base64.StdEncoding.EncodeToString(b)
}

const iteratorFields = 7 * 8

func parseIterator(token string) (iterator, bool) {
	b, err := base64.StdEncoding.DecodeString(token)
	if err != nil || len(b) <= iteratorFields+4 {
		return iterator{}, false
	}
	b, sum := b[:len(b)-4], binary.BigEndian.Uint32(b[len(b)-4:])
	if crc32.ChecksumIEEE(b) != sum || binary.BigEndian.Uint64(b) != 1 {
		return iterator{}, false
	}
	field := func(i int) uint64 { return binary.BigEndian.Uint64(b[8*i:]) }
	return iterator{
		stream: field(1), shard: int(field(2)), ordinal: field(3), issued: int64(field(4)), generation: field(5), blank: field(6),
		name: string(b[iteratorFields:]),
	}, true
}

// ExpireIterators makes all shard iterators that were given out so far answer
// ExpiredIteratorException.
func (s *Service) ExpireIterators() { s.iterators.Add(1) }

// iterator gives out a position in a shard.
func (s *Service) iterator(st *stream, sh *shard, ordinal, blank uint64, now time.Time) string {
	return iterator{
		stream: st.id, shard: sh.index, ordinal: ordinal, issued: now.UnixMilli(),
		generation: s.iterators.Load(), blank: blank, name: st.name,
	}.token()
}

// blankAnswers is how many answers have no records after Options.TrimmedIterators has let one begin
// at records that are gone. AWS has been seen to give hundreds.
const blankAnswers = 2

type getShardIteratorInput struct {
	dryRun
	StreamName, StreamARN  string
	ShardId                *string
	ShardIteratorType      *string
	StartingSequenceNumber *string
	Timestamp              *wire.Seconds
}

func getShardIterator(s *Service, _ *wire.Request, in *getShardIteratorInput) (any, error) {
	if err := in.refuse(); err != nil {
		return nil, err
	}
	if in.ShardId == nil {
		return nil, wire.Missing("shardId")
	}
	if in.ShardIteratorType == nil {
		return nil, wire.Missing("shardIteratorType")
	}
	st, now, err := s.servingStream(in.StreamName, in.StreamARN)
	if err != nil {
		return nil, err
	}
	defer st.mu.Unlock()
	sh := st.shard(*in.ShardId)
	if sh == nil {
		return nil, s.shardNotFound(st.name, *in.ShardId)
	}
	ordinal, err := s.startingOrdinal(st, sh, in, now)
	if err != nil {
		return nil, err
	}
	blank := uint64(0)
	if ordinal < sh.first {
		blank = blankAnswers
	}
	return struct{ ShardIterator string }{s.iterator(st, sh, ordinal, blank, now)}, nil
}

func (s *Service) shardNotFound(stream, shard string) *wire.Error {
	return wire.Errorf("ResourceNotFoundException", "Shard %s in stream %s under account %s does not exist", shard, stream, s.opts.AccountID)
}

func (s *Service) startingOrdinal(st *stream, sh *shard, in *getShardIteratorInput, now time.Time) (uint64, error) {
	kind, given := *in.ShardIteratorType, in.StartingSequenceNumber != nil
	switch kind {
	case "AT_SEQUENCE_NUMBER", "AFTER_SEQUENCE_NUMBER":
		if !given {
			return 0, wrongStart(kind, "no")
		}
		return s.ordinalOf(st, sh, *in.StartingSequenceNumber, kind == "AFTER_SEQUENCE_NUMBER")
	case "TRIM_HORIZON":
		if given {
			return 0, wrongStart(kind, "also a")
		}
		return sh.first, nil
	case "LATEST":
		if given {
			return 0, wrongStart(kind, "also a")
		}
		return sh.next(), nil
	case "AT_TIMESTAMP":
		if in.Timestamp == nil {
			return 0, wire.Errorf("InvalidArgumentException", "Must specify timestampInMillis parameter for iterator of type AT_TIMESTAMP. Current request has no timestamp parameter.")
		}
		t := time.Time(*in.Timestamp)
		if t.UnixMilli() > now.UnixMilli() {
			return 0, wire.Errorf("InvalidArgumentException", "The timestampInMillis parameter cannot be greater than the currentTimestampInMillis. timestampInMillis: %d, currentTimestampInMillis: %d", t.UnixMilli(), now.UnixMilli())
		}
		return sh.ordinalAt(t), nil
	}
	return 0, wire.Invalid("1 validation error detected: Value '%s' at 'shardIteratorType' failed to satisfy constraint: Member must satisfy enum value set: [AFTER_SEQUENCE_NUMBER, LATEST, AT_TIMESTAMP, AT_SEQUENCE_NUMBER, TRIM_HORIZON]", kind)
}

func wrongStart(kind, with string) *wire.Error {
	return wire.Errorf("InvalidArgumentException", "Must either specify (1) AT_SEQUENCE_NUMBER or AFTER_SEQUENCE_NUMBER and StartingSequenceNumber or (2) TRIM_HORIZON or LATEST and no StartingSequenceNumber. Request specified %s and %s StartingSequenceNumber.", kind, with)
}

// ordinalOf is the position that a sequence number of this shard means. One whose record is trimmed
// is an error (a consumer that starts there has lost data and must be told), unless
// Options.TrimmedIterators says otherwise: then the position may be before the first record.
func (s *Service) ordinalOf(st *stream, sh *shard, number string, after bool) (uint64, error) {
	q, ok := parseSequence(number)
	if !ok {
		return 0, wire.Errorf("InvalidArgumentException", "StartingSequenceNumber %s used in GetShardIterator on shard %s in stream %s under account %s is invalid.", number, sh.id, st.name, s.opts.AccountID)
	}
	if q.index != sh.index {
		return 0, wire.Errorf("InvalidArgumentException", "Invalid StartingSequenceNumber. It encodes %s, while it was used in a call to a shard with %s", shardID(q.index), sh.id)
	}
	if q.created != sh.creation || q.ordinal >= sh.next() && q.ordinal != endOrdinal {
		return 0, wire.Errorf("InvalidArgumentException", "StartingSequenceNumber %s used in GetShardIterator on shard %s in stream %s under account %s is invalid because it did not come from this stream.", number, sh.id, st.name, s.opts.AccountID)
	}
	switch {
	case q.ordinal == 0: // the shard's StartingSequenceNumber, which no record has
		return sh.first, nil
	case q.ordinal == endOrdinal:
		return sh.next(), nil
	case q.ordinal < sh.first && !(after && s.opts.TrimmedIterators):
		return 0, wire.Errorf("InvalidArgumentException", "StartingSequenceNumber %s used in GetShardIterator on shard %s in stream %s under account %s is invalid: it is older than the trim horizon.", number, sh.id, st.name, s.opts.AccountID)
	case after:
		return q.ordinal + 1, nil
	}
	return q.ordinal, nil
}
