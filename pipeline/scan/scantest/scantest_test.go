package scantest

import (
	"bytes"
	"encoding/json"
	"slices"
	"testing"
)

func TestWorkloadHasTheMeasuredShape(t *testing.T) {
	samples := New(1).Workload(20_000)
	kinds := map[Kind]int{}
	sizes := make([]int, 0, len(samples))
	total := 0
	for _, s := range samples {
		kinds[s.Kind]++
		sizes = append(sizes, len(s.Data))
		total += len(s.Data)
		if valid := json.Valid(s.Data); valid == (s.Kind == Malformed) {
			t.Fatalf("kind %d: valid JSON = %v: %.200s", s.Kind, valid, s.Data)
		}
	}
	slices.Sort(sizes)
	t.Logf("mean %d p99 %d max %d", total/len(sizes), sizes[len(sizes)*99/100], sizes[len(sizes)-1])
	if mean := total / len(sizes); mean < 2100 || mean > 2500 {
		t.Errorf("mean = %d bytes, want about 2.3 KB", mean)
	}
	if p99 := sizes[len(sizes)*99/100]; p99 < 8000 || p99 > 11000 {
		t.Errorf("99th percentile = %d bytes, want about 9.5 KB", p99)
	}
	if largest := sizes[len(sizes)-1]; largest < 100_000 || largest > 205_000 {
		t.Errorf("largest = %d bytes, want up to 200 KB", largest)
	}
	if kinds[Root]+kinds[Escaped] != 20 || kinds[Malformed] != 20 || kinds[Decoy] != 1000 {
		t.Errorf("mix = %v", kinds)
	}
}

func TestSameSeedSameTraffic(t *testing.T) {
	a, b := New(7).Workload(300), New(7).Workload(300)
	for i := range a {
		if a[i].Kind != b[i].Kind || !bytes.Equal(a[i].Data, b[i].Data) {
			t.Fatalf("sample %d differs", i)
		}
	}
}
