package pipeline

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	"rootwatch/pipeline/scan/scantest"
)

// BenchmarkPipeline is what a record costs in the whole line, from submit to Done: batches as
// GetRecords gives them to a busy shard, one call in a thousand by root.
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
						if err := submit(ctx, &Batch{ShardID: fmt.Sprint(i), Records: records, Done: func(Outcome) { open.Done() }}); err != nil {
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

// BenchmarkDecodeAndFilter is what an event costs that root did not make, in the forms of the
// worker's stream and of log files.
func BenchmarkDecodeAndFilter(b *testing.B) {
	g := scantest.New(1)
	var wrapped, bare [][]byte
	for range 2000 {
		wrapped = append(wrapped, g.Envelope(scantest.Ordinary))
		bare = append(bare, g.Bare(scantest.Ordinary))
	}
	file := append(append([]byte(`{"Records":[`), bytes.Join(bare, []byte(","))...), "]}"...)
	var texts []string
	var payloads, answers [][]byte
	for _, event := range bare {
		texts = append(texts, string(event))
	}
	for fifty := range slices.Chunk(texts, 50) { // as many as a look-up's answer has at most
		payloads = append(payloads, []byte(logged(fifty...)))
		answers = append(answers, []byte(lookedUp(fifty...)))
	}
	for _, c := range []struct {
		name    string
		records [][]byte
		events  int
	}{
		{"envelopes", wrapped, len(wrapped)},
		{"bare", bare, len(bare)},
		{"S3 log file", [][]byte{file}, len(bare)},
		{"CloudWatch Logs payloads", payloads, len(bare)},
		{"LookupEvents answers", answers, len(bare)},
	} {
		b.Run(c.name, func(b *testing.B) {
			cfg := &Config{Logger: slog.New(slog.DiscardHandler)}
			cfg.setDefaults()
			decode, filter := newDecoder(cfg), &rootFilter{log: cfg.Logger}
			batch := &work{Batch: &Batch{Records: make([]Record, len(c.records))}}
			size := 0
			for i, data := range c.records {
				batch.Records[i].Data = data
				size += len(data)
			}
			b.SetBytes(int64(size))
			b.ReportAllocs()
			for b.Loop() {
				batch.outcome = Outcome{}
				if decode.process(context.Background(), batch) != nil || filter.process(context.Background(), batch) != nil {
					b.Fatal("not processed")
				}
			}
			if n := batch.outcome.Events[ResultNotRoot]; n != c.events {
				b.Fatalf("%d events were not root's, want %d", n, c.events)
			}
		})
	}
}
