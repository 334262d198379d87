//go:build e2e

package e2e

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"testing"
	"time"
)

// prometheus is the running server, asked over its HTTP API.
type prometheus struct{ *process }

func (p *prometheus) url() string { return "http://" + p.address }

// sample is one series of an instant query's answer.
type sample struct {
	labels map[string]string
	value  float64
}

func (p *prometheus) ask(path string, parameters url.Values, data any) error {
	client := &http.Client{Timeout: 30 * time.Second}
	response, err := client.Get(p.url() + path + "?" + parameters.Encode())
	if err != nil {
		return err
	}
	defer response.Body.Close()
	var answer struct {
		Status, Error string
		Warnings      []string
		Data          json.RawMessage
	}
	if err := json.NewDecoder(response.Body).Decode(&answer); err != nil {
		return fmt.Errorf("%s: %s: %w", path, response.Status, err)
	}
	if answer.Status != "success" || len(answer.Warnings) > 0 {
		return fmt.Errorf("%s: %s %s %q", path, response.Status, answer.Error, answer.Warnings)
	}
	return json.Unmarshal(answer.Data, data)
}

// query evaluates an expression at a time, which may be to come.
func (p *prometheus) query(t *testing.T, expr string, at time.Time) []sample {
	t.Helper()
	var data struct {
		Result []struct {
			Metric map[string]string
			Value  [2]any
		}
	}
	when := strconv.FormatFloat(float64(at.UnixMilli())/1000, 'f', 3, 64)
	if err := p.ask("/api/v1/query", url.Values{"query": {expr}, "time": {when}}, &data); err != nil {
		t.Fatal(err)
	}
	var samples []sample
	for _, r := range data.Result {
		value, err := strconv.ParseFloat(fmt.Sprint(r.Value[1]), 64)
		if err != nil {
			t.Fatal(err)
		}
		samples = append(samples, sample{r.Metric, value})
	}
	return samples
}

// value is an expression's only value now; 0 if it has none.
func (p *prometheus) value(t *testing.T, expr string) float64 {
	t.Helper()
	switch samples := p.query(t, expr, time.Now()); len(samples) {
	case 0:
		return 0
	case 1:
		return samples[0].value
	default:
		t.Fatalf("%s has %d values", expr, len(samples))
		return 0
	}
}

type ruleGroup struct {
	Name           string
	LastEvaluation time.Time
	Rules          []struct{ Name, Query, Health, LastError string }
}

func (p *prometheus) groups(t *testing.T) []ruleGroup {
	t.Helper()
	var data struct{ Groups []ruleGroup }
	if err := p.ask("/api/v1/rules", nil, &data); err != nil {
		t.Fatal(err)
	}
	return data.Groups
}

// rule is the expression of the first rule with a name, as the server runs it.
func (p *prometheus) rule(t *testing.T, name string) string {
	t.Helper()
	for _, g := range p.groups(t) {
		for _, r := range g.Rules {
			if r.Name == name {
				return r.Query
			}
		}
	}
	t.Fatalf("Prometheus has no rule %s", name)
	return ""
}

// evaluatedAfter reports whether every rule was evaluated since then.
func (p *prometheus) evaluatedAfter(t *testing.T, when time.Time) bool {
	t.Helper()
	groups := p.groups(t)
	for _, g := range groups {
		if !g.LastEvaluation.After(when) {
			return false
		}
	}
	return len(groups) > 0
}

// rulesAreHealthy: all shipped rules are loaded, and none of them failed in its last evaluation.
func (p *prometheus) rulesAreHealthy(t *testing.T) {
	t.Helper()
	loaded, shipped := 0, 0
	for _, g := range list(readYAML(t, "../prometheus/rootwatch.rules.yml"), "groups") {
		shipped += len(list(g, "rules"))
	}
	for _, g := range p.groups(t) {
		for _, r := range g.Rules {
			loaded++
			if r.Health != "ok" || r.LastError != "" {
				t.Errorf("rule %s is %s: %s", r.Name, r.Health, r.LastError)
			}
		}
	}
	if loaded != shipped {
		t.Errorf("Prometheus runs %d rules, %d are shipped", loaded, shipped)
	}
}
