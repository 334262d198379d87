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

func (s *classifier) process(_ context.Context, b *Batch) error {
	judged := b.events[:0]
	for _, e := range b.events {
		judge := func() {
			e.finding = &Finding{
				Finding:        classify.Classify(e.Event),
				Event:          e.Event,
				ID:             e.id,
				ShardID:        b.ShardID,
				SequenceNumber: e.record.SequenceNumber,
				File:           b.File,
				Arrival:        e.record.Arrival,
			}
		}
		if guard(s.log, b, &e, judge) {
			judged = append(judged, e)
		}
	}
	clear(b.events[len(judged):])
	b.events = judged
	return nil
}
