package pipeline

import (
	"context"
	"log/slog"

	"rootwatch/classify"
)

// rootFilter is the second stage: it keeps the calls that were made as an account's root.
type rootFilter struct {
	log *slog.Logger
}

func (s *rootFilter) process(_ context.Context, b *Batch) error {
	roots := b.events[:0]
	for _, e := range b.events {
		isRoot := false
		if !guard(s.log, b, &e, func() { isRoot = classify.IsRoot(e.Event) }) {
			continue
		}
		if !isRoot {
			b.counts[resultNotRoot]++
			continue
		}
		roots = append(roots, e)
	}
	clear(b.events[len(roots):])
	b.events = roots
	return nil
}

// guard runs a step on one event. A panic is a fault of ours that this event brought out: the event is
// counted as undecodable, which raises an alert, and the process lives on for the others.
func guard(log *slog.Logger, b *Batch, e *event, step func()) (ok bool) {
	defer func() {
		if p := recover(); p != nil {
			ok = false
			b.counts[resultUndecodable]++
			b.broken = append(b.broken, panicked(p))
			logUndecodable(log, b, e.record, e.record.Data, panicked(p))
		}
	}()
	step()
	return true
}
