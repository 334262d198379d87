package awstest

import (
	"slices"
	"time"
)

// trimByAge forgets records that are older than the retention, and closed shards whose end is.
func (st *stream) trimByAge(now time.Time) {
	horizon := now.Add(-time.Duration(st.retentionHours) * time.Hour)
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

// Trim makes the service forget all records that a stream holds now, as if their retention had passed; what
// is put later is kept. It fails if there is no such stream.
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

type retentionInput struct {
	StreamName, StreamARN string
	RetentionPeriodHours  *int
}

const maxRetentionHours = 8760

func increaseRetention(s *Service, _ *request, in *retentionInput) (any, error) {
	return s.changeRetention(in, func(st *stream, hours int) error {
		switch {
		case hours > maxRetentionHours:
			return errorf("InvalidArgumentException", "Maximum allowed retention period is %d hours. Requested retention period (%d hours) is too long.", maxRetentionHours, hours)
		case hours < st.retentionHours:
			return errorf("InvalidArgumentException", "Requested retention period (%d hours) for stream %s can not be shorter than existing retention period (%d hours). Use DecreaseRetentionPeriod API.", hours, st.name, st.retentionHours)
		}
		return nil
	})
}

func decreaseRetention(s *Service, _ *request, in *retentionInput) (any, error) {
	return s.changeRetention(in, func(st *stream, hours int) error {
		switch {
		case hours < defaultRetentionHours:
			return errorf("InvalidArgumentException", "Minimum allowed retention period is %d hours. Requested retention period (%d hours) is too short.", defaultRetentionHours, hours)
		case hours > st.retentionHours:
			return errorf("InvalidArgumentException", "Requested retention period (%d hours) for stream %s can not be longer than existing retention period (%d hours). Use IncreaseRetentionPeriod API.", hours, st.name, st.retentionHours)
		}
		return nil
	})
}

func (s *Service) changeRetention(in *retentionInput, check func(*stream, int) error) (any, error) {
	if in.RetentionPeriodHours == nil {
		return nil, missing("retentionPeriodHours")
	}
	st, now, err := s.activeStream(in.StreamName, in.StreamARN)
	if err != nil {
		return nil, err
	}
	defer st.mu.Unlock()
	hours := *in.RetentionPeriodHours
	if err := check(st, hours); err != nil {
		return nil, err
	}
	s.later(st, now, func(time.Time) { st.retentionHours = hours })
	return nil, nil
}
