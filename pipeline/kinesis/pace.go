package kinesis

import "time"

// Kinesis allows 5 reads a second and 2 MB/s of a shard, with a burst of 10 MB (Service quotas of Kinesis Data
// Streams). The library counts the same and, at the limit, sleeps for up to five seconds without a look at stop or
// lease. pace keeps the same books a little more strictly, so that the waiting happens here, where it can be cut short.
//
// The library looks at its books before a call, as soon as the call before has returned. So each call must last until
// the next one will be allowed.
const (
	readsPerSecond    = 5
	burstBytes        = 10_000_000
	bytesPerSecond    = 2_000_000
	paceMargin        = 5 * time.Millisecond
	paceMarginBytes   = bytesPerSecond / 50
	libraryCallWindow = time.Second
)

type pace struct {
	asked [readsPerSecond - 1]time.Time // when the library made its calls before this one, in a ring
	next  int
	hold  time.Time // this call of the library must not return before

	left      float64   // bytes that may be read before the library would make a pause
	lastBytes int       // of the last answer, taken from left at the next call
	checked   time.Time // when left was brought up to date
}

// ask books a call of the library. The library refuses one that comes within a second of the fifth before it: that is
// why this one, whose return brings the next, waits for a second after the fourth before it.
func (p *pace) ask(now time.Time) {
	p.hold = p.asked[p.next].Add(libraryCallWindow + paceMargin)
	p.asked[p.next] = now
	p.next = (p.next + 1) % len(p.asked)
}

// delay returns how long to wait before the next read.
func (p *pace) delay(now time.Time) time.Duration {
	wait := p.hold.Sub(now)
	if p.lastBytes > 0 {
		left := min(p.left+now.Sub(p.checked).Seconds()*bytesPerSecond, burstBytes) - float64(p.lastBytes)
		if left < paceMarginBytes {
			wait = max(wait, time.Duration((paceMarginBytes-left)/bytesPerSecond*float64(time.Second)))
		}
	}
	return max(wait, 0)
}

// begin books a read that starts now.
func (p *pace) begin(now time.Time) {
	if p.checked.IsZero() {
		p.left, p.checked = burstBytes, now
	}
	if p.lastBytes > 0 {
		p.left = min(p.left+now.Sub(p.checked).Seconds()*bytesPerSecond, burstBytes) - float64(p.lastBytes)
		p.checked, p.lastBytes = now, 0
	}
}

// end books the answer's size.
func (p *pace) end(bytes int) { p.lastBytes = bytes }
