package pipeline

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	"rootwatch/pipeline/scan/scantest"
)

// BenchmarkPipeline is what a record costs in the whole line, from submit to Done: batches as GetRecords gives
// them to a busy shard, one call in a thousand by root.
func BenchmarkPipeline(b *testing.B) {
	const perBatch, perPayload = 500, 50
	g := scantest.New(1)
	var envelopes, payloads []Record
	for i := range 2 * perBatch {
		kind := scantest.Ordinary
		if i == perBatch {
			kind = scantest.Root
		}
		envelopes = append(envelopes, Record{Data: g.Envelope(kind)})
	}
	for range perBatch / perPayload {
		var messages []string
		for range perPayload {
			messages = append(messages, string(g.Bare(scantest.Ordinary)))
		}
		payloads = append(payloads, Record{Data: []byte(zipped(logged(messages...)))})
	}
	for _, c := range []struct {
		name    string
		batches [][]Record
		events  int // in one round over the batches
	}{
		{"envelopes", [][]Record{envelopes[:perBatch], envelopes[perBatch:]}, 2 * perBatch},
		{"CloudWatch Logs payloads", [][]Record{payloads}, perBatch},
	} {
		b.Run(c.name, func(b *testing.B) {
			quiet := slog.New(slog.DiscardHandler)
			p, err := New(Config{Sinks: []Sink{NewLogSink(quiet)}, Registerer: prometheus.NewRegistry(), Logger: quiet})
			if err != nil {
				b.Fatal(err)
			}
			b.ReportAllocs()
			rounds := 0
			err = p.Run(b.Context(), sourceFunc(func(ctx context.Context, submit func(context.Context, *Batch) error) error {
				var open sync.WaitGroup
				defer open.Wait()
				for b.Loop() {
					rounds++
					for i, records := range c.batches {
						open.Add(1)
						if err := submit(ctx, &Batch{ShardID: fmt.Sprint(i), Records: records, Done: open.Done}); err != nil {
							return err
						}
					}
				}
				return nil
			}))
			if err != nil {
				b.Fatal(err)
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(rounds*c.events), "ns/event")
		})
	}
}
