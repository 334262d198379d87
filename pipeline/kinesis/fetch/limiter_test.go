package fetch

import (
	"math/rand/v2"
	"testing"
	"time"
)

// libraryLimiter is a polling-shard-consumer's, on a made-up clock
// (polling-shard-consumer.go:258-311).
type libraryLimiter struct {
	window     time.Time
	callsLeft  int
	bytesLeft  int
	checked    time.Time
	lastAnswer int
}

func newLibraryLimiter(now time.Time) *libraryLimiter {
	return &libraryLimiter{window: now, callsLeft: 5, bytesLeft: 10_000_000}
}

// before is what the library does ahead of a call; "" if it makes it.
func (l *libraryLimiter) before(now time.Time) (trip string) {
	if l.lastAnswer != 0 {
		passed := now.Sub(l.checked).Seconds()
		l.checked = now
		l.bytesLeft = min(l.bytesLeft+int(passed*2_000_000), 10_000_000)
		if l.bytesLeft < 1 {
			return "bytes"
		}
		l.bytesLeft -= l.lastAnswer
	}
	if now.Sub(l.window) > time.Second {
		l.callsLeft, l.window = 5, now
	}
	if l.callsLeft < 1 {
		return "calls"
	}
	return ""
}

// after is what it does with the answer.
func (l *libraryLimiter) after(now time.Time, bytes int) {
	l.callsLeft--
	l.lastAnswer = bytes
	if l.checked.IsZero() {
		l.checked = now
	}
}

// At its limits the library sleeps for up to five seconds without a look at stop or lease. Whatever
// the answers are and however long anything takes, the limiter must get there first.
func TestTheLibrarysLimiterNeverTrips(t *testing.T) {
	for seed := range uint64(2000) {
		dice := rand.New(rand.NewPCG(seed, 1))
		some := func(most time.Duration) time.Duration { // mostly nothing, sometimes exactly nothing
			if dice.IntN(3) == 0 {
				return 0
			}
			return time.Duration(dice.Float64() * dice.Float64() * float64(most))
		}
		latency := []time.Duration{0, time.Millisecond, 100 * time.Millisecond, 2 * time.Second}[dice.IntN(4)]
		largest := []int{0, 1, 1000, 400_000, 2_000_000, 10 << 20}[dice.IntN(6)]
		idle := []time.Duration{0, 0, 200 * time.Millisecond, 7 * time.Second}[dice.IntN(4)]

		now := time.Unix(1_000_000, 0)
		began, calls, bytes := now, 0, 0
		library, p := newLibraryLimiter(now), &limiter{}
		for calls < 400 {
			if trip := library.before(now); trip != "" {
				t.Fatalf("seed %d: the library's limit of %s is reached at call %d, %s after the start", seed, trip, calls+1, now.Sub(began))
			}
			p.ask(now)
			answer := 0
			for try := 0; ; try++ { // our tries within one call of the library
				now = now.Add(p.delay(now))
				p.begin(now)
				now = now.Add(some(latency))
				if try < 3 && dice.IntN(10) == 0 {
					now = now.Add(100 * time.Millisecond << try)
					continue
				}
				if largest > 0 {
					answer = dice.IntN(largest + 1)
					if dice.IntN(4) == 0 {
						answer = largest
					}
				}
				p.end(answer)
				break
			}
			library.after(now, answer)
			calls, bytes = calls+1, bytes+answer
			now = now.Add(some(latency)) // the pipeline
			if dice.IntN(5) == 0 {
				now = now.Add(idle)
			}
		}
		if latency > 0 || idle > 0 {
			continue
		}
		// Nothing else takes time: then it must not be slower than the limits, either.
		took := now.Sub(began)
		allowed := max(time.Duration(calls)*time.Second/5, time.Duration(float64(bytes-10_000_000)/2_000_000*float64(time.Second)))
		if took > allowed*11/10+2*time.Second {
			t.Errorf("seed %d: %d calls and %d bytes took %s, the limits allow %s", seed, calls, bytes, took, allowed)
		}
	}
}

func TestAFreshShardIsNotHeldBack(t *testing.T) {
	var p limiter
	now := time.Unix(1_000_000, 0)
	for i := range 4 {
		p.ask(now)
		if d := p.delay(now); d != 0 {
			t.Errorf("call %d waits for %s", i+1, d)
		}
		p.begin(now)
		p.end(100)
	}
	p.ask(now)
	if d := p.delay(now); d < time.Second || d > time.Second+100*time.Millisecond {
		t.Errorf("the fifth call within a second waits for %s: the library would find its sixth too early", d)
	}
}
