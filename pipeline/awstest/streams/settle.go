package streams

import (
	"slices"
	"time"
)

// trimByAge forgets records that are older than the retention, and closed shards whose end is.
func (st *stream) trimByAge(now time.Time) {
	horizon := now.Add(-retention)
	for _, sh := range st.shards {
		if len(sh.records) == 0 || sh.records[0].arrived >= horizon.UnixMilli() {
			continue
		}
		st.trim(sh, sh.ordinalAt(horizon))
	}
	gone := func(sh *shard) bool { return !sh.isOpen() && sh.closed.Before(horizon) }
	if slices.ContainsFunc(st.shards, gone) {
		st.shards = slices.DeleteFunc(st.shards, gone)
	}
}

// trimByBytes forgets the oldest records of the largest shards until the stream fits.
func (st *stream) trimByBytes(limit int64) {
	for limit > 0 && st.bytes > limit {
		largest := slices.MaxFunc(st.shards, func(a, b *shard) int { return int(a.bytes - b.bytes) })
		st.trim(largest, largest.first+1)
	}
}

// trim forgets a shard's records below an ordinal.
func (st *stream) trim(sh *shard, ordinal uint64) {
	n := int(min(ordinal, sh.next()) - sh.first)
	for i := range sh.records[:n] {
		size := int64(len(sh.records[i].wire))
		sh.bytes -= size
		st.bytes -= size
		sh.records[i] = record{} // the array behind the slice must not keep it
	}
	sh.records = sh.records[n:]
	sh.first += uint64(n)
}

// ordinalAt is the ordinal of the first record that arrived at t or later.
func (sh *shard) ordinalAt(t time.Time) uint64 {
	i, _ := slices.BinarySearchFunc(sh.records, t.UnixMilli(), func(r record, ms int64) int {
		if r.arrived < ms {
			return -1
		}
		return 1
	})
	return sh.first + uint64(i)
}

// settle does what time has brought about: a reshard that has finished, records whose retention has
// passed.
func (st *stream) settle(now time.Time) {
	if st.pending != nil && !now.Before(st.pendingAt) {
		st.pending(now)
		st.pending = nil
	}
	st.trimByAge(now)
}
