package streams

import (
	"fmt"
	"slices"
	"sync"
	"time"
)

// retention is how long a record is kept: what a new stream has on AWS.
const retention = 24 * time.Hour

// stream is one data stream. What takes time is kept in pending and done when somebody looks
// (settle).
type stream struct {
	id      uint64 // tells streams of the same name apart
	name    string
	arn     string
	created time.Time
	mode    string // PROVISIONED or ON_DEMAND

	mu sync.Mutex // guards all below

	activeAt       time.Time           // CREATING before
	deletedAt      time.Time           // DELETING until then and gone after, if not zero
	pending        func(now time.Time) // what the stream is UPDATING for
	pendingAt      time.Time
	maxRecordBytes int

	shards       []*shard // all that are not yet forgotten, by index
	nextIndex    int
	lastCreation int64       // second of the newest shard's creation, as written into its sequence numbers
	open         []*shard    // shards that take records, by hash key
	bytes        int64       // of all records held
	rescaled     []time.Time // the last day's calls of UpdateShardCount, with Options.Limits
}

// shard is a part of the key space, and the records that were put there.
type shard struct {
	id        string
	index     int
	creation  int64 // second, as written into sequence numbers: see stream.nextCreation
	low, high hashKey
	parent    string
	adjacent  string // second parent, of a merge
	opened    time.Time
	closed    time.Time // zero while the shard takes records

	first   uint64 // ordinal of records[0]; all below are trimmed
	records []record
	bytes   int64
	limits  shardLimits
}

// record is a stored record; never changed once it is there.
type record struct {
	arrived int64  // milliseconds since 1970; never falls within a shard
	size    int    // of data and partition key: what AWS counts
	wire    []byte // the record as a GetRecords answer has it
}

// next is the ordinal that the next record gets.
func (sh *shard) next() uint64 { return sh.first + uint64(len(sh.records)) }

func (sh *shard) isOpen() bool { return sh.closed.IsZero() }

// sequence is the shard's sequence number at an ordinal.
func (sh *shard) sequence(ordinal uint64, arrivedMillis int64) sequence {
	return sequence{created: sh.creation, index: sh.index, ordinal: ordinal, arrived: max(arrivedMillis/1000, 0)}
}

func shardID(index int) string { return fmt.Sprintf("shardId-%012d", index) }

// nextCreation gives each generation of shards a later second than the one before, ahead of the
// clock if need be: so that a child's sequence numbers are above its parents'.
func (st *stream) nextCreation(now time.Time) int64 {
	st.lastCreation = max(now.Unix(), st.lastCreation+1, 1)
	return st.lastCreation
}

// addShard opens a shard; its generation was given by nextCreation.
func (st *stream) addShard(now time.Time, creation int64, low, high hashKey) *shard {
	sh := &shard{
		id: shardID(st.nextIndex), index: st.nextIndex, creation: creation,
		low: low, high: high, opened: now, first: 1,
	}
	st.nextIndex++
	st.shards = append(st.shards, sh)
	st.open = slices.Insert(st.open, st.openAt(low), sh)
	return sh
}

// openAt is the place of the first open shard that begins at a hash key or above it.
func (st *stream) openAt(low hashKey) int {
	i, _ := slices.BinarySearchFunc(st.open, low, func(o *shard, low hashKey) int {
		if o.low.less(low) {
			return -1
		}
		return 1
	})
	return i
}

// closeShard ends a shard: its records stay until they are trimmed.
func (st *stream) closeShard(sh *shard, now time.Time) {
	sh.closed = now
	i := st.openAt(sh.low)
	st.open = slices.Delete(st.open, i, i+1)
}

// shardFor finds the open shard that a hash key belongs to. Open shards cover the key space without
// gaps.
func (st *stream) shardFor(k hashKey) *shard {
	lo, hi := 0, len(st.open)-1
	for lo < hi {
		mid := (lo + hi) / 2
		if st.open[mid].high.less(k) {
			lo = mid + 1
		} else {
			hi = mid
		}
	}
	return st.open[lo]
}

// shard finds a shard by its id, nil if there is none (any more).
func (st *stream) shard(id string) *shard {
	for _, sh := range st.shards {
		if sh.id == id {
			return sh
		}
	}
	return nil
}

// status is what DescribeStream says.
func (st *stream) status(now time.Time) string {
	switch {
	case !st.deletedAt.IsZero():
		return "DELETING"
	case now.Before(st.activeAt):
		return "CREATING"
	case st.pending != nil:
		return "UPDATING"
	}
	return "ACTIVE"
}
