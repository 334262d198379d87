package compare

import (
	"encoding/json"
	"testing"

	goccy "github.com/goccy/go-json"
	segmentio "github.com/segmentio/encoding/json"

	"rootwatch/classify"
	"rootwatch/pipeline/scan"
	"rootwatch/pipeline/scan/scantest"
)

// question is the least that a decoder must read to know whether root made the call.
type question struct {
	DetailType string `json:"detail-type"`
	Source     string `json:"source"`
	Detail     struct {
		UserIdentity struct {
			Type string `json:"type"`
		} `json:"userIdentity"`
	} `json:"detail"`
}

// whole is what a consumer decodes that does not ask first.
type whole struct {
	DetailType string         `json:"detail-type"`
	Source     string         `json:"source"`
	Detail     classify.Event `json:"detail"`
}

// answer is what a way of reading says of one record.
type answer uint8

const (
	notRoot answer = iota
	root           // or, of the scanner, that it is not sure
	broken
)

func byScan(data []byte) answer {
	switch n, v := scan.Next(data); {
	case v == scan.NotRoot && n == len(data):
		return notRoot
	case v == scan.Invalid || v == scan.Incomplete:
		return broken
	}
	return root
}

func byMinimalStruct(unmarshal func([]byte, any) error) func([]byte) answer {
	return func(data []byte) answer {
		var q question
		if unmarshal(data, &q) != nil {
			return broken
		}
		if classify.NeverRoot(q.Detail.UserIdentity.Type) {
			return notRoot
		}
		return root
	}
}

func byWholeEvent(data []byte) answer {
	var e whole
	if json.Unmarshal(data, &e) != nil {
		return broken
	}
	if classify.IsRoot(&e.Detail) {
		return root
	}
	return notRoot
}

var readers = []struct {
	name string
	read func([]byte) answer
}{
	{"scan", byScan},
	{"encoding/json whole event", byWholeEvent},
	{"encoding/json minimal struct", byMinimalStruct(json.Unmarshal)},
	{"segmentio/encoding minimal struct", byMinimalStruct(segmentio.Unmarshal)},
	{"goccy/go-json minimal struct", byMinimalStruct(func(data []byte, v any) error { return goccy.Unmarshal(data, v) })},
}

// Every reader must find all root calls and be quiet about the others, or its speed is of no
// interest.
func TestReadersAgreeOnValidEvents(t *testing.T) {
	for _, s := range scantest.New(1).Workload(4000) {
		if s.Kind == scantest.Malformed {
			continue
		}
		want := notRoot
		if s.Kind == scantest.Root || s.Kind == scantest.Escaped {
			want = root
		}
		for _, r := range readers {
			if got := r.read(s.Data); got != want {
				t.Errorf("%s: %d, want %d: %s", r.name, got, want, s.Data)
			}
		}
	}
}

func BenchmarkReaders(b *testing.B) {
	g := scantest.New(1)
	samples := g.Workload(4000)
	size := 0
	for _, s := range samples {
		size += len(s.Data)
	}
	malformed := make([][]byte, 1000)
	for i := range malformed {
		malformed[i] = g.Envelope(scantest.Malformed)
	}
	for _, r := range readers {
		b.Run(r.name, func(b *testing.B) {
			b.SetBytes(int64(size))
			b.ReportAllocs()
			for b.Loop() {
				for i := range samples {
					r.read(samples[i].Data)
				}
			}
			accepted := 0
			for _, data := range malformed {
				if r.read(data) != broken {
					accepted++
				}
			}
			b.ReportMetric(100*float64(accepted)/float64(len(malformed)), "%malformed-accepted")
		})
	}
}
