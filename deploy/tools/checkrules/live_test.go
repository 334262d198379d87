package main

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// exposition is what a worker that keeps the contract exports: one series of each metric.
func exposition() string {
	var b strings.Builder
	for _, m := range contract {
		var pairs []string
		for _, l := range m.labels {
			v := "x"
			if known := values[m.name+" "+l]; known != nil {
				v = known[0]
			}
			pairs = append(pairs, fmt.Sprintf("%s=%q", l, v))
		}
		fmt.Fprintf(&b, "# TYPE %s %s\n", m.name, m.typ)
		if m.typ == histogram {
			fmt.Fprintf(&b, "%s_bucket{le=\"+Inf\"} 1\n%s_sum 1\n%s_count 1\n", m.name, m.name, m.name)
			continue
		}
		fmt.Fprintf(&b, "%s{%s} 1\n", m.name, strings.Join(pairs, ","))
	}
	return b.String()
}

func TestCheckLive(t *testing.T) {
	swap := func(old, new string) func(string) string {
		return func(s string) string { return strings.Replace(s, old, new, 1) }
	}
	tests := []struct {
		name  string
		spoil func(string) string
		fault string
	}{
		{"a worker that keeps the contract", swap("", ""), ""},
		{"a metric of another name", swap("# TYPE rootwatch_shards gauge\nrootwatch_shards{} 1\n", "rootwatch_open_shards 1\n"), "does not export rootwatch_shards"},
		{"a metric of another type", swap("# TYPE rootwatch_shards gauge", "# TYPE rootwatch_shards counter"), "rootwatch_shards is a counter, not a gauge"},
		{"a label too many", swap("rootwatch_shards{}", `rootwatch_shards{stream="s"}`), "has the labels [stream], not []"},
		{"a value that is not in the list", swap(`result="root"`, `result="rot"`), `result="rot", which is not in the list`},
		{"a push that is not configured", swap("# TYPE rootwatch_alert_deliveries_total counter\nrootwatch_alert_deliveries_total{result=\"x\"} 1\n", ""), ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				fmt.Fprint(w, tt.spoil(exposition()))
			}))
			defer server.Close()
			families, err := readExposition(server.URL)
			if err != nil {
				t.Fatal(err)
			}
			faults := checkLive(families)
			if tt.fault == "" && len(faults) != 0 {
				t.Errorf("got faults %q, want none", faults)
			}
			if tt.fault != "" && (len(faults) != 1 || !strings.Contains(faults[0], tt.fault)) {
				t.Errorf("got faults %q, want one with %q", faults, tt.fault)
			}
		})
	}
}

func TestReadExpositionRefusesAnErrorPage(t *testing.T) {
	server := httptest.NewServer(http.NotFoundHandler())
	defer server.Close()
	if _, err := readExposition(server.URL); err == nil || !strings.Contains(err.Error(), "404") {
		t.Errorf("got error %v, want one with 404", err)
	}
}
