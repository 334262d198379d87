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

func (s *rootFilter) process(_ context.Context, w *work) error {
	roots := w.events[:0]
	for _, e := range w.events {
		isRoot := false
		if !guard(s.log, w, &e, func() { isRoot = classify.IsRoot(e.Event) }) {
			continue
		}
		if !isRoot {
			w.outcome.Events[ResultNotRoot]++
			continue
		}
		roots = append(roots, e)
	}
	clear(w.events[len(roots):])
	w.events = roots
	return nil
}

// guard runs a step on one event. A panic is a fault of ours that this event brought out: the event
// is counted as undecodable, which raises an alert, and the process lives on for the others.
func guard(log *slog.Logger, w *work, e *event, step func()) (ok bool) {
	defer func() {
		if p := recover(); p != nil {
			ok = false
			w.outcome.Events[ResultUndecodable]++
			err, record := panicked(p), &w.Records[e.record]
			w.broken(e.record, err)
			logUndecodable(log, w.Batch, record, record.Data, err)
		}
	}()
	step()
	return true
}
