package main

import (
	"fmt"
	"os"
	"strings"

	"go.yaml.in/yaml/v3"
)

// testFile is the part of a promtool test file that says what is expected of which alert.
type testFile struct {
	Tests []struct {
		Name       string `yaml:"name"`
		AlertTests []struct {
			Alert    string      `yaml:"alertname"`
			Expected []yaml.Node `yaml:"exp_alerts"`
		} `yaml:"alert_rule_test"`
		ExprTests []struct {
			Expr     string      `yaml:"expr"`
			Expected []yaml.Node `yaml:"exp_samples"`
		} `yaml:"promql_expr_test"`
	} `yaml:"tests"`
}

// coverage is what the tests say of one alert.
type coverage struct {
	fires bool // somewhere it is expected, with its texts
	quiet bool // somewhere it is expected not to fire
}

// readCoverage collects from the test files what is expected of each alert.
func readCoverage(files []string) (map[string]coverage, int, error) {
	all, count := make(map[string]coverage), 0
	for _, name := range files {
		text, err := os.ReadFile(name)
		if err != nil {
			return nil, 0, fmt.Errorf("read tests: %w", err)
		}
		var file testFile
		if err := yaml.Unmarshal(text, &file); err != nil {
			return nil, 0, fmt.Errorf("read tests of %s: %w", name, err)
		}
		for i, t := range file.Tests {
			if t.Name == "" {
				return nil, 0, fmt.Errorf("test %d of %s has no name", i+1, name)
			}
			count++
			for _, a := range t.AlertTests {
				c := all[a.Alert]
				c.fires = c.fires || len(a.Expected) > 0
				c.quiet = c.quiet || len(a.Expected) == 0
				all[a.Alert] = c
			}
		}
	}
	return all, count, nil
}

// checkCoverage says which alerts lack a test. Watchdog is never quiet.
func checkCoverage(all map[string]coverage, alerts []string) []string {
	var faults []string
	for _, a := range alerts {
		var missing []string
		if !all[a].fires {
			missing = append(missing, "fires")
		}
		if !all[a].quiet && a != "Watchdog" {
			missing = append(missing, "does not fire")
		}
		if len(missing) > 0 {
			faults = append(faults, fmt.Sprintf("%s has no alert_rule_test in which it %s", a, strings.Join(missing, ", nor one in which it ")))
		}
	}
	return faults
}
