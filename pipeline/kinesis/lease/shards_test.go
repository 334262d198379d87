package lease

import (
	"slices"
	"strings"
	"testing"
)

func TestParentGate(t *testing.T) {
	shards := map[string]*shard{}
	for _, s := range []*shard{
		{ID: "a"}, {ID: "b"},
		{ID: "child of a", Parents: []string{"a"}},
		{ID: "child of a and b", Parents: []string{"a", "b"}},
		{ID: "child of b and one long gone", Parents: []string{"gone", "b"}},
		{ID: "child of two long gone", Parents: []string{"gone", "gone, too"}},
	} {
		shards[s.ID] = s
	}
	done, half := &row{checkpoint: ShardEnd}, &row{checkpoint: "10"}
	for name, test := range map[string]struct {
		leases map[string]*row
		want   string
	}{
		"nothing read":          {nil, "a, b, child of two long gone"},
		"one half read":         {map[string]*row{"a": half}, "a, b, child of two long gone"},
		"one finished":          {map[string]*row{"a": done, "b": half}, "a, b, child of a, child of two long gone"},
		"the other finished":    {map[string]*row{"b": done}, "a, b, child of b and one long gone, child of two long gone"},
		"both finished":         {map[string]*row{"a": done, "b": done}, "a, b, child of a, child of a and b, child of b and one long gone, child of two long gone"},
		"a row of one long ago": {map[string]*row{"gone": half}, "a, b, child of two long gone"},
	} {
		var may []string
		for id, s := range shards {
			if mayStart(s, shards, test.leases) {
				may = append(may, id)
			}
		}
		slices.Sort(may)
		if got := strings.Join(may, ", "); got != test.want {
			t.Errorf("%s: %s may start, want %s", name, got, test.want)
		}
	}
}
