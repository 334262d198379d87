package fetch

import (
	"context"
	"errors"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
)

func newMemory(total int64) *memory {
	return &memory{total: total, gauge: prometheus.NewGauge(prometheus.GaugeOpts{Name: "memory"})}
}

func TestReservationsAreServedInTheOrderOfAsking(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newMemory(100)
		if err := b.reserve(t.Context(), 60); err != nil {
			t.Fatal(err)
		}
		var mu sync.Mutex
		var order []int64
		for _, n := range []int64{70, 10, 20, 90} { // the small ones would fit at once
			go func() {
				if err := b.reserve(t.Context(), n); err != nil {
					t.Error(err)
				}
				mu.Lock()
				defer mu.Unlock()
				order = append(order, n)
			}()
			synctest.Wait()
		}
		if len(order) != 0 {
			t.Fatalf("%v have overtaken a large one", order)
		}
		for _, step := range []struct {
			free int64
			want []int64
		}{{60, []int64{70, 10, 20}}, {10, []int64{70, 10, 20}}, {70, []int64{70, 10, 20}}, {20, []int64{70, 10, 20, 90}}} {
			b.resize(step.free, 0)
			synctest.Wait()
			slices.Sort(order[:min(3, len(order))]) // who is granted together may run in any order
			want := slices.Clone(step.want)
			slices.Sort(want[:min(3, len(want))])
			if !slices.Equal(order, want) {
				t.Errorf("after %d are free again %v are served, want %v", step.free, order, want)
			}
		}
	})
}

func TestAReservationLargerThanTheMemoryWaitsUntilItIsAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newMemory(100)
		if err := b.reserve(t.Context(), 1); err != nil {
			t.Fatal(err)
		}
		served := false
		go func() {
			if err := b.reserve(t.Context(), 1000); err != nil {
				t.Error(err)
			}
			served = true
		}()
		synctest.Wait()
		if served {
			t.Error("served beside another")
		}
		b.resize(1, 0)
		synctest.Wait()
		if !served {
			t.Error("not served though nothing is reserved: that shard would never be read")
		}
	})
}

func TestACancelledReservationLetsTheNextOnePass(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newMemory(100)
		if err := b.reserve(t.Context(), 50); err != nil {
			t.Fatal(err)
		}
		gone := errors.New("gone")
		ctx, cancel := context.WithCancelCause(t.Context())
		var first error
		served := false
		go func() { first = b.reserve(ctx, 60) }()
		synctest.Wait()
		go func() {
			if err := b.reserve(t.Context(), 50); err != nil {
				t.Error(err)
			}
			served = true
		}()
		synctest.Wait()
		if served {
			t.Error("the second has overtaken the first")
		}
		cancel(gone)
		synctest.Wait()
		if !errors.Is(first, gone) || !served {
			t.Errorf("the cancelled one: %v; the next is served: %v", first, served)
		}
		if b.used != 100 || len(b.waiting) != 0 {
			t.Errorf("%d bytes are used and %d are waiting", b.used, len(b.waiting))
		}
	})
}

// Many askers, sizes and cancellations: the books are even at the end, and the bound holds all the
// time.
func TestTheMemoryKeepsItsBoundAndItsBooks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newMemory(1000)
		var wg sync.WaitGroup
		for i := range 200 {
			wg.Go(func() {
				dice := rand.New(rand.NewPCG(uint64(i), 2))
				for range 20 {
					ctx, cancel := context.WithTimeout(t.Context(), time.Duration(dice.IntN(50))*time.Millisecond)
					n := int64(1 + dice.IntN(400))
					if b.reserve(ctx, n) == nil {
						s := Reservation{b, n}
						if used := testutil.ToFloat64(b.gauge); used > 1000 {
							t.Errorf("%v of 1000 bytes are used", used)
						}
						s.Resize(n / 2)
						time.Sleep(time.Duration(dice.IntN(10)) * time.Millisecond)
						s.Resize(0)
						s.Resize(0)
					}
					cancel()
				}
			})
		}
		wg.Wait()
		if b.used != 0 || len(b.waiting) != 0 || testutil.ToFloat64(b.gauge) != 0 {
			t.Errorf("%d bytes are still used, %d are waiting", b.used, len(b.waiting))
		}
	})
}

func TestTheEstimateOfAnAnswerFollowsWhatTheShardHasGiven(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const most = int64(24 << 20)
		now := time.Now()
		for name, test := range map[string]struct {
			state       Reader
			limit       int32
			least, most int64
		}{
			"nothing known: a full answer":                {Reader{}, 10_000, most, most},
			"nothing known, one record: the largest one":  {Reader{}, 1, 2 << 20, 3 << 20},
			"far behind, size unknown: a full answer":     {Reader{answered: now, behind: time.Hour}, 10_000, most, most},
			"far behind, small records, few of them":      {Reader{answered: now, behind: time.Hour, largest: 2000}, 1000, 7_000_000, 8_000_000},
			"far behind, small records, as many as can":   {Reader{answered: now, behind: time.Hour, largest: 2000}, 10_000, most, most},
			"caught up a second ago: two seconds' worth":  {Reader{answered: now.Add(-time.Second)}, 10_000, 5_000_000, 5_100_000},
			"caught up, tiny records: the least":          {Reader{answered: now, largest: 10}, 1000, minAnswerMemory, minAnswerMemory},
			"caught up, not asked for long: all possible": {Reader{answered: now.Add(-time.Hour)}, 10_000, most, most},
		} {
			if n := test.state.estimate(test.limit, most); n < test.least || n > test.most {
				t.Errorf("%s: %d bytes, want %d to %d", name, n, test.least, test.most)
			}
		}
	})
}
