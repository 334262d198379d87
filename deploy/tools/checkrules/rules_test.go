package main

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/prometheus/prometheus/model/rulefmt"
)

// good is an alert without fault: each case spoils one thing.
func good() rulefmt.Rule {
	return rulefmt.Rule{
		Alert:  "RootwatchTest",
		Expr:   `max(max_over_time(rootwatch_shards[3m])) > 1`,
		Labels: map[string]string{"severity": "warning"},
		Annotations: map[string]string{
			"summary": "Something is up", "description": "It is {{ $value }}.",
			"runbook_url": "https://example.com/runbooks/RootwatchTest.md",
		},
	}
}

func TestCheckRule(t *testing.T) {
	expr := func(e string) func(*rulefmt.Rule) { return func(r *rulefmt.Rule) { r.Expr = e } }
	tests := []struct {
		name  string
		spoil func(*rulefmt.Rule)
		fault string // part of the only fault, "" for none
	}{
		{"nothing is wrong", func(*rulefmt.Rule) {}, ""},
		{"up needs no range", expr(`absent(up{job="rootwatch"} == 1)`), ""},
		{"a counter needs no range of max_over_time", expr(`rate(rootwatch_records_total[5m]) > 0`), ""},
		{"a part of a histogram", expr(`rate(rootwatch_event_delay_seconds_bucket[5m]) > 0`), ""},
		{"a regular expression that fits some of the values", expr(`increase(rootwatch_events_total{result=~"un.*"}[5m]) > 0`), ""},
		{"severity is another word", func(r *rulefmt.Rule) { r.Labels["severity"] = "page" }, `severity "page"`},
		{"no severity", func(r *rulefmt.Rule) { r.Labels = nil }, `severity ""`},
		{"no summary", func(r *rulefmt.Rule) { delete(r.Annotations, "summary") }, "no annotation summary"},
		{"no description", func(r *rulefmt.Rule) { delete(r.Annotations, "description") }, "no annotation description"},
		{"a value in the summary", func(r *rulefmt.Rule) { r.Annotations["summary"] = "It is {{ $value }}" }, "value in its summary"},
		{"a value in the summary by its other name", func(r *rulefmt.Rule) { r.Annotations["summary"] = "It is {{ .Value }}" }, "value in its summary"},
		{"another alert's runbook", func(r *rulefmt.Rule) { r.Annotations["runbook_url"] = "https://example.com/Other.md" }, "points to the runbook"},
		{"a metric that does not exist", expr(`rate(rootwatch_record_total[5m]) > 0`), `"rootwatch_record_total", which the worker does not export`},
		{"a selector without a name", expr(`rate({job="rootwatch"}[5m]) > 0`), `asks for ""`},
		{"a gauge at one instant", expr(`rootwatch_shards > 1`), "at one instant only"},
		{"a gauge at one instant of the past", expr(`rootwatch_shards offset 5m > 1`), "at one instant only"},
		{"the increase of a counter that must not be missed", expr(`sum(increase(rootwatch_data_loss_total[1h])) > 0`), "increase of rootwatch_data_loss_total"},
		{"the last value of a counter that must not be missed", expr(`last_over_time(rootwatch_data_loss_total[1h]) > 0`), ""},
		{"a label that does not exist", expr(`increase(rootwatch_events_total{verdict="root"}[5m]) > 0`), "asks for the label verdict"},
		{"a label value that does not exist", expr(`increase(rootwatch_events_total{result="forged"}[5m]) > 0`), `no value of rootwatch_events_total fits`},
		{"a severity that does not exist", expr(`max(max_over_time(rootwatch_last_unpushed_root_call_timestamp_seconds{severity=~"urgent"}[5m])) > 0`), "fits"},
		{"a record with another name", func(r *rulefmt.Rule) {
			*r = rulefmt.Rule{Record: "rootwatch_events_rate", Expr: "rate(rootwatch_events_total[5m])"}
		}, "is not named"},
		{"a record with a good name", func(r *rulefmt.Rule) {
			*r = rulefmt.Rule{Record: "result:rootwatch_events:rate5m", Expr: "rate(rootwatch_events_total[5m])"}
		}, ""},
		{"a broken expression", expr(`max(`), "parse error"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r := good()
			tt.spoil(&r)
			faults := checkRule(r)
			if tt.fault == "" {
				if len(faults) != 0 {
					t.Errorf("got faults %q, want none", faults)
				}
				return
			}
			if len(faults) != 1 || !strings.Contains(faults[0], tt.fault) {
				t.Errorf("got faults %q, want one with %q", faults, tt.fault)
			}
		})
	}
}

func TestCheckRunbooks(t *testing.T) {
	tests := []struct {
		name   string
		files  map[string]string
		faults []string
	}{
		{"all there", map[string]string{"A.md": "", "RootCallEvent.md": "", "README.md": "[A](A.md) [E](RootCallEvent.md)"}, nil},
		{"an alert without a runbook", map[string]string{"RootCallEvent.md": "", "README.md": "[E](RootCallEvent.md)"}, []string{"A has no runbook"}},
		{"a runbook without an alert", map[string]string{"A.md": "", "B.md": "", "RootCallEvent.md": "", "README.md": "[A](A.md) [B](B.md) [E](RootCallEvent.md)"}, []string{"B.md is the runbook of no alert"}},
		{"a runbook that the index forgets", map[string]string{"A.md": "", "RootCallEvent.md": "", "README.md": "A.md [E](RootCallEvent.md)"}, []string{"does not link A.md"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			folder := t.TempDir()
			for name, text := range tt.files {
				if err := os.WriteFile(filepath.Join(folder, name), []byte(text), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			faults, err := checkRunbooks(folder, []string{"A"})
			if err != nil {
				t.Fatal(err)
			}
			if !slices.EqualFunc(faults, tt.faults, strings.Contains) {
				t.Errorf("got %q, want %q", faults, tt.faults)
			}
		})
	}
}

func TestCheckCoverage(t *testing.T) {
	file := filepath.Join(t.TempDir(), "some_test.yml")
	text := `
tests:
  - name: one
    alert_rule_test:
      - {alertname: Both, exp_alerts: []}
      - {alertname: Both, exp_alerts: [{exp_labels: {severity: info}}]}
      - {alertname: OnlyFires, exp_alerts: [{exp_labels: {severity: info}}]}
      - {alertname: OnlyQuiet, exp_alerts: []}
      - {alertname: Watchdog, exp_alerts: [{exp_labels: {severity: info}}]}
`
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	all, count, err := readCoverage([]string{file})
	if err != nil || count != 1 {
		t.Fatalf("got %d tests and error %v, want 1", count, err)
	}
	got := checkCoverage(all, []string{"Both", "OnlyFires", "OnlyQuiet", "None", "Watchdog"})
	want := []string{
		"OnlyFires has no alert_rule_test in which it does not fire",
		"OnlyQuiet has no alert_rule_test in which it fires",
		"None has no alert_rule_test in which it fires, nor one in which it does not fire",
	}
	if !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}
