package main

import (
	"fmt"
	"log/slog"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/rulefmt"
	"github.com/prometheus/prometheus/promql/parser"
)

var (
	severities = []string{"critical", "warning", "info"}
	// recordName is level:metric:operation, as Prometheus's naming practice has it.
	recordName = regexp.MustCompile(`^[a-z_]+:rootwatch_[a-z_]+:[a-z0-9_]+$`)
	// valueInText finds a sample's value in a template: in a summary it would make each evaluation
	// another text.
	valueInText = regexp.MustCompile(`\$value|\.Value`)
	promQL      = parser.NewParser(parser.Options{})
)

// readRules parses a rules file the way Prometheus does.
func readRules(file string) ([]rulefmt.Rule, error) {
	groups, errs := rulefmt.ParseFile(file, false, model.UTF8Validation, promQL, slog.Default())
	if len(errs) > 0 {
		return nil, fmt.Errorf("read rules: %w", errs[0])
	}
	var rules []rulefmt.Rule
	for _, g := range groups.Groups {
		rules = append(rules, g.Rules...)
	}
	return rules, nil
}

// alertNames are the names of the alerts, each once, in the file's order.
func alertNames(rules []rulefmt.Rule) []string {
	var names []string
	for _, r := range rules {
		if r.Alert != "" && !slices.Contains(names, r.Alert) {
			names = append(names, r.Alert)
		}
	}
	return names
}

// checkRule says what is wrong with one rule.
func checkRule(r rulefmt.Rule) []string {
	var faults []string
	name := r.Alert
	if r.Alert == "" {
		name = r.Record
		if !recordName.MatchString(r.Record) {
			faults = append(faults, "is not named level:rootwatch_metric:operation")
		}
	} else {
		faults = append(faults, checkConventions(r)...)
	}
	expr, err := promQL.ParseExpr(r.Expr)
	if err != nil {
		faults = append(faults, err.Error())
	} else {
		faults = append(faults, checkExpr(expr, r.Alert != "")...)
	}
	for i := range faults {
		faults[i] = name + " " + faults[i]
	}
	return faults
}

func checkConventions(r rulefmt.Rule) []string {
	var faults []string
	if !slices.Contains(severities, r.Labels["severity"]) {
		faults = append(faults, fmt.Sprintf("has severity %q, not one of %s", r.Labels["severity"], strings.Join(severities, ", ")))
	}
	for _, a := range []string{"summary", "description", "runbook_url"} {
		if r.Annotations[a] == "" {
			faults = append(faults, "has no annotation "+a)
		}
	}
	if valueInText.MatchString(r.Annotations["summary"]) {
		faults = append(faults, "has a value in its summary")
	}
	if url := r.Annotations["runbook_url"]; path.Base(url) != r.Alert+".md" {
		faults = append(faults, fmt.Sprintf("points to the runbook %q", url))
	}
	return faults
}

// checkExpr compares each selector with the contract.
func checkExpr(expr parser.Expr, alert bool) []string {
	var faults []string
	parser.Inspect(expr, func(node parser.Node, above []parser.Node) error {
		sel, ok := node.(*parser.VectorSelector)
		if !ok {
			return nil
		}
		if sel.Name == "up" {
			return nil
		}
		m, ok := find(sel.Name)
		if !ok {
			faults = append(faults, fmt.Sprintf("asks for %q, which the worker does not export", sel.Name))
			return nil
		}
		if alert && m.typ == gauge && !inRange(above) {
			faults = append(faults, fmt.Sprintf("reads the gauge %s at one instant only", m.name))
		}
		if by := growth(above); alert && by != "" && slices.Contains(unmissable, m.name) {
			faults = append(faults, fmt.Sprintf("asks for the %s of %s, which misses what it must not", by, m.name))
		}
		for _, match := range sel.LabelMatchers {
			faults = append(faults, checkMatcher(m, match)...)
		}
		return nil
	})
	return faults
}

// inRange reports whether the selector is the range of a function: metric[15m].
func inRange(above []parser.Node) bool {
	if len(above) == 0 {
		return false
	}
	_, ok := above[len(above)-1].(*parser.MatrixSelector)
	return ok
}

// growth is the function above the selector that looks at a counter's growth within its range, ""
// for none.
func growth(above []parser.Node) string {
	for _, node := range above {
		if call, ok := node.(*parser.Call); ok && slices.Contains([]string{"increase", "rate", "irate", "delta", "idelta"}, call.Func.Name) {
			return call.Func.Name
		}
	}
	return ""
}

func checkMatcher(m metric, match *labels.Matcher) []string {
	if match.Name == model.MetricNameLabel || match.Name == "job" {
		return nil
	}
	if !slices.Contains(m.labels, match.Name) {
		return []string{fmt.Sprintf("asks for the label %s, which %s does not have", match.Name, m.name)}
	}
	known, closed := values[m.name+" "+match.Name]
	if !closed {
		return nil
	}
	for _, v := range known {
		if match.Matches(v) {
			return nil
		}
	}
	return []string{fmt.Sprintf("asks for %s, which no value of %s fits", match, m.name)}
}

// checkRunbooks compares the alerts with the files in a folder, and both with its index.
func checkRunbooks(folder string, alerts []string) ([]string, error) {
	files, err := filepath.Glob(filepath.Join(folder, "*.md"))
	if err != nil {
		return nil, err
	}
	index, err := os.ReadFile(filepath.Join(folder, "README.md"))
	if err != nil {
		return nil, fmt.Errorf("read the index of the runbooks: %w", err)
	}
	var faults, books []string
	for _, f := range files {
		if name := strings.TrimSuffix(filepath.Base(f), ".md"); name != "README" {
			books = append(books, name)
		}
	}
	wanted := append(slices.Clone(pushed), alerts...)
	for _, a := range wanted {
		if !slices.Contains(books, a) {
			faults = append(faults, fmt.Sprintf("%s has no runbook: %s.md is missing", a, filepath.Join(folder, a)))
		}
	}
	for _, b := range books {
		if !slices.Contains(wanted, b) {
			faults = append(faults, fmt.Sprintf("%s.md is the runbook of no alert", b))
		}
		if !strings.Contains(string(index), "]("+b+".md)") {
			faults = append(faults, fmt.Sprintf("README.md of the runbooks does not link %s.md", b))
		}
	}
	return faults, nil
}
