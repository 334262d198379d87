package streams

import "time"

// AWS's rates of one shard (Kinesis Data Streams quotas).
const (
	getsPerSecond      = 5
	readBytesPerSecond = 2 << 20
	putsPerSecond      = 1000
	putBytesPerSecond  = 1 << 20
)

// rescalesPerDay is how often UpdateShardCount may be called on a stream in 24 hours.
const rescalesPerDay = 10

// shardLimits is what one shard has served lately.
type shardLimits struct {
	gets, reads, puts, putBytes window
}

// window counts what happened since a second began. More than a second's worth at once (a 10 MB
// answer, a 10 MiB record) makes it last longer: that much at the allowed rate.
type window struct {
	start time.Time
	used  int
}

// allows reports whether something new may begin at a rate per second.
func (w *window) allows(now time.Time, rate int) bool {
	lasts := max(time.Second, time.Duration(float64(w.used)/float64(rate)*float64(time.Second)))
	if now.Sub(w.start) >= lasts || now.Before(w.start) {
		*w = window{start: now}
	}
	return w.used < rate
}

// get reports whether a GetRecords call may be served, and counts it.
func (l *shardLimits) get(now time.Time) bool {
	if !l.gets.allows(now, getsPerSecond) || !l.reads.allows(now, readBytesPerSecond) {
		return false
	}
	l.gets.used++
	return true
}

// got counts what the call has read.
func (l *shardLimits) got(bytes int) { l.reads.used += bytes }

// put reports whether a record may be written, and counts it. A record above a second's rate is let
// through when nothing else was written.
func (l *shardLimits) put(now time.Time, bytes int) bool {
	if !l.puts.allows(now, putsPerSecond) || !l.putBytes.allows(now, putBytesPerSecond) {
		return false
	}
	if l.putBytes.used > 0 && l.putBytes.used+bytes > putBytesPerSecond {
		return false
	}
	l.puts.used++
	l.putBytes.used += bytes
	return true
}
