package lease

import (
	"runtime/debug"
	"sync"
)

// Registry holds the leases that this worker has, from their acquisition until they are given back.
type Registry struct {
	ended   func(*Held)   // told of each lease that was given back
	changed chan struct{} // one was given back since the last look

	mu   sync.Mutex
	held map[string]*registered // by shard id
}

// registered is a held lease with how far its reader has come.
type registered struct {
	*Held
	taken bool // somebody reads it, who will give it back
}

// newRegistry returns an empty registry. ended, which may be nil, is told of each lease that was
// given back.
func newRegistry(ended func(*Held)) *Registry {
	return &Registry{ended: ended, changed: make(chan struct{}, 1), held: make(map[string]*registered)}
}

// hold adds a held lease. Who sees its shard's lag finds it here too: /-/ready is not 200 before a
// lease is held.
func (r *Registry) hold(h *Held) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.held[h.shard.ID] = &registered{Held: h}
	h.metrics.Lag.Hold(h.shard.ID, h.inFlight.waiting)
}

// Get returns the held lease of a shard, nil if it is not held.
func (r *Registry) Get(shardID string) *Held {
	r.mu.Lock()
	defer r.mu.Unlock()
	if e := r.held[shardID]; e != nil {
		return e.Held
	}
	return nil
}

// All returns the leases that are not yet given back.
func (r *Registry) All() []*Held {
	r.mu.Lock()
	defer r.mu.Unlock()
	all := make([]*Held, 0, len(r.held))
	for _, e := range r.held {
		all = append(all, e.Held)
	}
	return all
}

// TakeUp reports whether the caller may read the shard of a held lease: its reading goes on, and
// nobody else has taken it up. Who takes a lease up must give it back.
func (r *Registry) TakeUp(h *Held) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	e := r.held[h.shard.ID]
	if e == nil || e.Held != h || e.taken || h.reading.Err() != nil {
		return false
	}
	e.taken = true
	return true
}

// GiveBack finishes what is in flight, writes the last checkpoint and releases the lease. It blocks
// as long as that takes.
func (r *Registry) GiveBack(h *Held) {
	defer func() {
		if v := recover(); v != nil { // the lease then expires
			h.Panicked("release", v, debug.Stack())
		}
		r.mu.Lock()
		delete(r.held, h.shard.ID)
		r.mu.Unlock()
		if r.ended != nil {
			r.ended(h)
		}
		select {
		case r.changed <- struct{}{}:
		default:
		}
	}()
	h.finish()
}

// sweep gives back the leases whose reading has ended before anybody took them up: nobody else
// would.
func (r *Registry) sweep() {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, e := range r.held {
		if !e.taken && e.reading.Err() != nil {
			e.taken = true
			go r.GiveBack(e.Held)
		}
	}
}

// Empty ends all reading for the cause why and waits until every lease is given back, those too
// that are acquired meanwhile.
func (r *Registry) Empty(why error) {
	for {
		held := r.All()
		for _, h := range held {
			h.StopReading(why)
		}
		r.sweep()
		if len(held) == 0 {
			return
		}
		<-r.changed
	}
}
