package pipeline

import (
	"context"
	"log/slog"

	"rootwatch/classify"
)

// classifier is the third stage: it judges each root call.
type classifier struct {
	log *slog.Logger
}

func (s *classifier) process(_ context.Context, w *work) error {
	judged := w.events[:0]
	for _, e := range w.events {
		record := &w.Records[e.record]
		judge := func() {
			e.finding = &Finding{
				Finding:        classify.Classify(e.Event),
				Event:          e.Event,
				ID:             e.id,
				ShardID:        w.ShardID,
				SequenceNumber: record.SequenceNumber,
				File:           w.File,
				Arrival:        record.Arrival,
			}
		}
		if guard(s.log, w, &e, judge) {
			judged = append(judged, e)
		}
	}
	clear(w.events[len(judged):])
	w.events = judged
	return nil
}
