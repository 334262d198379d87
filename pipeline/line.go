package pipeline

import (
	"context"
	"iter"
	"sync"
	"time"

	"rootwatch/classify"
)

// work is a batch, or a part of one, on its way through the stages.
type work struct {
	*Batch
	slot       *slot // nil: the batch is alone, and goes in one piece
	events     []event
	size       int         // bytes of these events' texts
	outcome    Outcome     // what has ended on the way
	heartbeats []heartbeat // those found, shown by emit

	whole *work // of a partial batch: the batch, which comes last and is Done

	// What follows is emit's, which guards it: decode may still be busy with the batch.
	admitted bool // emit has seen something of the batch
	complete bool // emit has seen all of it
	left     bool // something of it was left to the next owner of the shard
	calls    int  // under way
	// The batch's records, which are gone when all of them are judged.
	records, recordBytes int
	total                Outcome // of the batch and its partial batches
}

// event is one CloudTrail event on its way through the stages.
type event struct {
	*classify.Event
	id      string   // see Finding.ID
	record  int      // its index in the batch
	size    int      // bytes of its text
	finding *Finding // nil until classify
}

// heartbeat is one Scheduled Event of a region's heartbeat rule.
type heartbeat struct {
	region string
	time   time.Time
}

// A batch that holds more events than this for the stages behind decode goes on in partial batches:
// a record may expand to a hundred thousand root calls, and a batch may have ten thousand records.
const (
	partEvents = 500
	partSize   = 1 << 20 // bytes of their texts
)

// add takes an event up, and sends a partial batch ahead if that makes the batch too large to be
// held.
func (w *work) add(ctx context.Context, e event) {
	w.events = append(w.events, e)
	w.size += e.size
	if w.slot == nil || len(w.events) < partEvents && w.size < partSize {
		return
	}
	part := &work{Batch: w.Batch, whole: w, events: w.events}
	w.events, w.size = nil, 0
	send(ctx, w.slot.out, part) // if ctx has ended the batch is never done, and read again
}

// judged lets go of the batch's records, and keeps what is to be counted of them.
func (w *work) judged() {
	w.records = len(w.Records)
	for i := range w.Records {
		w.recordBytes += len(w.Records[i].Data)
	}
	w.Records = nil
	if w.Judged != nil {
		w.Judged()
	}
}

// expanded tells the source how many bytes of large texts are held for the batch.
func (w *work) expanded(bytes int) {
	if w.Expanded != nil {
		w.Expanded(bytes)
	}
}

// broken takes note of why something in a record is undecodable.
func (w *work) broken(record int, err error) {
	w.outcome.Broken = append(w.outcome.Broken, Broken{record, err})
}

// done gives the batch back to its source.
func (w *work) done(o Outcome) {
	if w.Done != nil {
		w.Done(o)
	}
}

// slot is a batch's turn in the queue from decode to filter.
type slot struct {
	first chan struct{} // closed when all batches before this one have left the queue
	out   chan *work    // the partial batches, then the batch itself
}

// await waits until the batch is the first in the queue.
func (s *slot) await(ctx context.Context) error {
	if s == nil {
		return nil
	}
	select {
	case <-s.first:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// stage does one step's work on a batch, in place. An error means that ctx has ended before the
// work was done: the batch goes no further.
type stage interface {
	process(ctx context.Context, w *work) error
}

// parallel runs a stage on several workers. Batches come out in the order in which they came in:
// each is put in the queue to the next stage before a worker has it, and waited for there. The
// first in the queue always has a worker and waits for no other batch, so that those behind it may
// wait for its end.
func parallel(ctx context.Context, running *sync.WaitGroup, workers int, s stage, in <-chan *Batch) <-chan *work {
	toDo := make(chan *work)
	queue := make(chan *work, workers)
	out := make(chan *work, 1)
	for range workers {
		running.Go(func() {
			for w := range each(ctx, toDo) {
				if s.process(ctx, w) == nil {
					send(ctx, w.slot.out, w)
				}
			}
		})
	}
	running.Go(func() {
		for b := range each(ctx, in) {
			w := &work{Batch: b, slot: &slot{first: make(chan struct{}), out: make(chan *work, 1)}}
			if !send(ctx, queue, w) || !send(ctx, toDo, w) {
				return
			}
		}
	})
	running.Go(func() {
		for w := range each(ctx, queue) {
			close(w.slot.first)
			for part := range each(ctx, w.slot.out) {
				if !send(ctx, out, part) {
					return
				}
				if part == w {
					break
				}
			}
		}
	})
	return out
}

// serial runs a stage on one goroutine.
func serial(ctx context.Context, running *sync.WaitGroup, s stage, in <-chan *work) <-chan *work {
	out := make(chan *work, 1)
	running.Go(func() {
		for w := range each(ctx, in) {
			if s.process(ctx, w) != nil || !send(ctx, out, w) {
				return
			}
		}
	})
	return out
}

// each gives what comes out of a channel until ctx ends.
func each[T any](ctx context.Context, in <-chan T) iter.Seq[T] {
	return func(yield func(T) bool) {
		for {
			select {
			case v := <-in:
				if !yield(v) {
					return
				}
			case <-ctx.Done():
				return
			}
		}
	}
}

// send reports whether the next stage took the batch before ctx ended.
func send[T any](ctx context.Context, out chan<- T, v T) bool {
	select {
	case out <- v:
		return true
	case <-ctx.Done():
		return false
	}
}
