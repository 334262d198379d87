package fetch

import (
	"context"
	"sync"

	"github.com/prometheus/client_golang/prometheus"
)

// memory bounds the memory of all fetches and of the batches that are not judged yet, in bytes.
// Reservations are served in the order of asking, so that a large one is not starved by small ones.
// One that is larger than the whole memory waits until nothing else is reserved: some fetch can
// always go on.
type memory struct {
	total int64
	gauge prometheus.Gauge

	mu      sync.Mutex
	used    int64
	waiting []*waiter
}

// Reservation is what an answer has reserved. The zero Reservation is nothing.
type Reservation struct {
	of    *memory
	bytes int64
}

// Resize changes a reservation to what it has turned out to need. It never waits: what is there is
// there.
func (s *Reservation) Resize(to int64) {
	if s.of != nil {
		s.of.resize(s.bytes, to)
		s.bytes = to
	}
}

// Add changes a reservation by n bytes, as Resize does.
func (s *Reservation) Add(n int64) { s.Resize(s.bytes + n) }

type waiter struct {
	bytes   int64
	granted chan struct{}
}

// reserve waits for n bytes; it fails only with ctx.
func (b *memory) reserve(ctx context.Context, n int64) error {
	b.mu.Lock()
	r := &waiter{bytes: n, granted: make(chan struct{})}
	b.waiting = append(b.waiting, r)
	b.grant()
	b.mu.Unlock()
	select {
	case <-r.granted:
		return nil
	case <-ctx.Done():
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	for i, w := range b.waiting {
		if w == r {
			b.waiting = append(b.waiting[:i], b.waiting[i+1:]...)
			b.grant()
			return context.Cause(ctx)
		}
	}
	return nil // granted at the same moment
}

// tryReserve takes n bytes if they are free and nobody waits.
func (b *memory) tryReserve(n int64) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.waiting) > 0 || b.used+n > b.total {
		return false
	}
	b.used += n
	b.gauge.Set(float64(b.used))
	return true
}

func (b *memory) resize(from, to int64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.used += to - from
	b.grant()
}

// grant needs b.mu.
func (b *memory) grant() {
	for len(b.waiting) > 0 {
		r := b.waiting[0]
		if b.used > 0 && b.used+r.bytes > b.total {
			break
		}
		b.used += r.bytes
		b.waiting = b.waiting[1:]
		close(r.granted)
	}
	b.gauge.Set(float64(b.used))
}
