package pipeline

import (
	"container/list"
	"sync"
	"time"
)

// ages knows since when each batch has been in the pipeline.
type ages struct {
	mu      sync.Mutex // guards what follows
	order   list.List  // of aged, the oldest in front
	batches map[*Batch]*list.Element
}

type aged struct {
	batch *Batch
	since time.Time
}

func newAges() *ages { return &ages{batches: make(map[*Batch]*list.Element)} }

func (a *ages) add(b *Batch) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.batches[b] = a.order.PushBack(aged{b, time.Now()})
}

func (a *ages) remove(b *Batch) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if place := a.batches[b]; place != nil {
		a.order.Remove(place)
		delete(a.batches, b)
	}
}

// clear forgets all batches: the run has ended, and what was in it is read again.
func (a *ages) clear() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.order.Init()
	clear(a.batches)
}

// oldest is how long the oldest batch has been in the pipeline, 0 without any.
func (a *ages) oldest() time.Duration {
	a.mu.Lock()
	defer a.mu.Unlock()
	front := a.order.Front()
	if front == nil {
		return 0
	}
	return time.Since(front.Value.(aged).since)
}
