package kinesis

import (
	"testing"
	"time"

	"rootwatch/pipeline/awstest"
)

// The SDK unbounded on 64 shards takes 1.7 GB while it catches up.
func TestFetchesOfManyShardsKeepToTheirMemory(t *testing.T) {
	bubble(t, func(t *testing.T) {
		const total = 16 << 20
		c := newCloud(t, 16, awstest.Options{})
		for _, id := range c.OpenShards() {
			c.PutData(id, make([]byte, 300)) // small: the first says nothing of those behind it
			for range 10 {
				c.PutData(id, make([]byte, 100_000))
			}
		}
		c.Put(1600)
		const all = 1600 + 16*11
		h := hold{on: true}
		r := c.start("worker", setup{config: func(cfg *Config) { trimHorizon(cfg); cfg.FetchMemory = total }, submit: h.submit})
		var highest float64
		for range 1200 { // the pipeline finishes what it has ten times a second
			pass(t, 100*time.Millisecond)
			highest = max(highest, r.metric("rootwatch_fetch_memory_bytes", ""))
			h.finish()
			if len(r.records()) == all {
				break
			}
		}
		if n := len(r.records()); n != all {
			t.Errorf("%d of %d records are read", n, all)
		}
		if highest > total || highest == 0 {
			t.Errorf("%v bytes were reserved at the most, allowed are %d", highest, total)
		}
		h.set(false)
		h.finish()
		pass(t, 5*time.Second)
		if n := r.metric("rootwatch_fetch_memory_bytes", ""); n != 0 {
			t.Errorf("%v bytes are still reserved", n)
		}
	})
}
