package scan

import (
	"encoding/json"
	"testing"

	"rootwatch/classify"
	"rootwatch/pipeline/scan/scantest"
)

// BenchmarkNext compares the scanner with the exact decoder's full decoding, on the same events in
// one run: the decoder's line says how many times as long it takes. Run it on one core of a machine
// that is quiet:
//
//	go test -run=NONE -bench=. -cpu=1 rootwatch/pipeline/scan
func BenchmarkNext(b *testing.B) {
	g := scantest.New(1)
	envelopes := g.Workload(4000)
	bare := make([]scantest.Sample, 4000)
	for i := range bare {
		bare[i].Data = g.Bare(scantest.Ordinary)
	}
	var scanTime float64
	b.Run("envelopes", func(b *testing.B) {
		benchmarkScan(b, envelopes)
		scanTime = b.Elapsed().Seconds() / float64(b.N)
	})
	b.Run("envelopes by encoding/json", func(b *testing.B) {
		b.SetBytes(size(envelopes))
		b.ReportAllocs()
		for b.Loop() {
			for _, s := range envelopes {
				var e struct {
					DetailType string         `json:"detail-type"`
					Source     string         `json:"source"`
					Detail     classify.Event `json:"detail"`
				}
				if err := json.Unmarshal(s.Data, &e); (err != nil) != (s.Kind == scantest.Malformed) {
					b.Fatalf("%v: %s", err, s.Data)
				}
			}
		}
		if scanTime > 0 {
			b.ReportMetric(b.Elapsed().Seconds()/float64(b.N)/scanTime, "x-scan")
		}
	})
	b.Run("bare", func(b *testing.B) { benchmarkScan(b, bare) })
}

func benchmarkScan(b *testing.B, samples []scantest.Sample) {
	b.SetBytes(size(samples))
	b.ReportAllocs()
	for b.Loop() {
		for i := range samples {
			want := samples[i].Kind <= scantest.Decoy
			if _, v := Next(samples[i].Data); v == NotRoot != want {
				b.Fatalf("Next = %v: %s", v, samples[i].Data)
			}
		}
	}
}

func size(samples []scantest.Sample) int64 {
	n := 0
	for i := range samples {
		n += len(samples[i].Data)
	}
	return int64(n)
}
