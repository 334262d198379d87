package fetch

import "time"

// Kinesis allows 5 reads a second and 2 MB/s of a shard, with a burst of 10 MB (Service quotas of
// Kinesis Data Streams). The library counts the same and, at the limit, sleeps for up to five
// seconds without a look at stop or lease. limiter keeps the same books a little more strictly, so
// that the waiting happens here, where it can be cut short.
//
// The library looks at its books before a call, as soon as the call before has returned. So each
// call must last until the next one will be allowed.
const (
	readsPerSecond     = 5
	burstBytes         = 10_000_000
	bytesPerSecond     = 2_000_000
	limiterMargin      = 5 * time.Millisecond
	limiterMarginBytes = bytesPerSecond / 50
	libraryCallWindow  = time.Second
)

type limiter struct {
	asked [readsPerSecond - 1]time.Time // when the library made its calls before this one, in a ring
	next  int
	hold  time.Time // this call of the library must not return before

	left      float64   // bytes that may be read before the library would make a pause
	lastBytes int       // of the last answer, taken from left at the next call
	checked   time.Time // when left was brought up to date
}

// ask books a call of the library. The library refuses one that comes within a second of the fifth
// before it: that is why this one, whose return brings the next, waits for a second after the
// fourth before it.
func (l *limiter) ask(now time.Time) {
	l.hold = l.asked[l.next].Add(libraryCallWindow + limiterMargin)
	l.asked[l.next] = now
	l.next = (l.next + 1) % len(l.asked)
}

// delay returns how long to wait before the next read.
func (l *limiter) delay(now time.Time) time.Duration {
	wait := l.hold.Sub(now)
	if l.lastBytes > 0 {
		left := min(l.left+now.Sub(l.checked).Seconds()*bytesPerSecond, burstBytes) - float64(l.lastBytes)
		if left < limiterMarginBytes {
			wait = max(wait, time.Duration((limiterMarginBytes-left)/bytesPerSecond*float64(time.Second)))
		}
	}
	return max(wait, 0)
}

// begin books a read that starts now.
func (l *limiter) begin(now time.Time) {
	if l.checked.IsZero() {
		l.left, l.checked = burstBytes, now
	}
	if l.lastBytes > 0 {
		l.left = min(l.left+now.Sub(l.checked).Seconds()*bytesPerSecond, burstBytes) - float64(l.lastBytes)
		l.checked, l.lastBytes = now, 0
	}
}

// end books the answer's size.
func (l *limiter) end(bytes int) { l.lastBytes = bytes }
