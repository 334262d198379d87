package lease

import (
	"time"

	"rootwatch/pipeline/dynamo"
)

// A lease at SHARD_END is read by nobody. Where its shard is open that is wrong: a strange answer,
// or a person, has brought it about, and what arrives is lost. Such a lease is taken and read on
// from where it had come to.

// The checkpoints of a lease that was read on after SHARD_END, until it has a sequence number
// again. The names are those of the KCL for Java (SentinelCheckpoint).
const (
	atTimestamp = "AT_TIMESTAMP" // from the time of its last checkpoint
	trimHorizon = "TRIM_HORIZON" // from the oldest record
)

// overlap is how long before the time of its last checkpoint such a shard is read on: arrival times
// are approximate. Copies are recognised by the ledger.
const overlap = time.Minute

// openEnds are the leases at SHARD_END whose shards are listed as open, since when.
type openEnds map[string]time.Time

// find marks the leases that are to be read on: those whose shards have been listed as open for a
// while, by a list that is younger than the first sight of it. A list may be older than the lease,
// and one answer may be wrong.
func (o openEnds) find(rows map[string]*row, shards map[string]*shard, now, listed time.Time, wait time.Duration) {
	for id, l := range rows {
		s, since := shards[id], o[id]
		switch {
		case s == nil || s.Closed || !l.finished():
			delete(o, id)
		case since.IsZero():
			o[id] = now
		default:
			l.open = now.Sub(since) >= wait && listed.After(since)
		}
	}
	for id := range o {
		if rows[id] == nil {
			delete(o, id)
		}
	}
}

// resumption is what is put in the place of SHARD_END, "" for no checkpoint: of a shard that had no
// record for the application.
func (l *row) resumption() string {
	switch {
	case l.checkedAt == neverRead:
		return ""
	case parseTime(l.checkedAt).IsZero():
		return trimHorizon
	}
	return atTimestamp
}

// readOn adds to an acquisition that SHARD_END gives way to where reading goes on.
func (l *row) readOn(values dynamo.Item) (set, remove string) {
	again := l.resumption()
	if again == "" {
		return "", ", Checkpoint, CheckpointTime"
	}
	values[":again"] = dynamo.String(again)
	return ", Checkpoint = :again", ""
}

// from is where the reading of a lease begins, start where it has no checkpoint.
func (l *row) from(start StartAt) Beginning {
	b := Beginning{Start: start, Checkpoint: l.checkpoint, CheckpointTime: parseTime(l.checkedAt), ReadTo: l.readUpTo(start)}
	switch l.checkpoint {
	case atTimestamp:
		b.Checkpoint, b.Start = "", StartAt{Time: b.CheckpointTime.Add(-overlap), Oldest: b.CheckpointTime.IsZero()}
	case trimHorizon:
		b.Checkpoint, b.Start = "", StartAt{Oldest: true}
	}
	return b
}
