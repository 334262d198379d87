package pipeline

import "context"

// A batch that holds more events than this for the stages behind decode goes on in parts: a record may expand to a hundred
// thousand root calls, and a batch may have ten thousand records.
const (
	partEvents = 500
	partSize   = 1 << 20 // bytes of their texts
)

// add takes an event of so many bytes up, and sends a part ahead if that makes the batch too large to be held.
func (b *Batch) add(ctx context.Context, e event, size int) {
	b.events = append(b.events, e)
	b.size += size
	if b.place == nil || len(b.events) < partEvents && b.size < partSize {
		return
	}
	part := &Batch{ShardID: b.ShardID, File: b.File, Abandoned: b.Abandoned, of: b, events: b.events}
	b.events, b.size = nil, 0
	send(ctx, b.place.parts, part) // if ctx has ended the batch is never done, and read again
}

// place is a batch's place in the queue from decode to filter.
type place struct {
	first chan struct{} // closed when all batches before this one have left the queue
	parts chan *Batch   // the parts that go ahead, then the batch itself
}

// await waits until the batch is the first in the queue.
func (p *place) await(ctx context.Context) error {
	if p == nil {
		return nil
	}
	select {
	case <-p.first:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
