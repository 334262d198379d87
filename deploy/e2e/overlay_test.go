//go:build e2e

package e2e

import (
	"fmt"
	"maps"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/common/model"
	"go.yaml.in/yaml/v3"
)

// faster is what the `for` of RootwatchDown and of a silent region, and Alertmanager's group times
// are divided by; nothing becomes shorter than a second. The other `for` stay: they are as long as
// they are beside the windows of their expressions, and a fault that they let pass would be told.
// repeat_interval stays, but for the dead man's: a repeated page must not look like a second one.
const faster = 20

// What an overlay may change of each file, as paths of flatten.
const (
	rulesMay        = `groups\[\d+\]\.(interval|rules\[\d+\]\.for)`
	prometheusMay   = `global\.(scrape_interval|scrape_timeout|evaluation_interval)|rule_files\[0\]|scrape_configs\[0\]\.(dns|file)_sd_configs\[0\]\..*|alerting\.alertmanagers\[0\]\.static_configs\[0\]\.targets\[0\]`
	alertmanagerMay = `templates\[0\]|route(\.routes\[\d+\])*\.(group_wait|group_interval)|route\.routes\[0\]\.repeat_interval|` +
		`receivers\[\d+\]\.(pagerduty_configs\[\d+\]\.(url|routing_key_file)|slack_configs\[\d+\]\.api_url|email_configs\[\d+\]\.(smarthost|require_tls)|webhook_configs\[\d+\]\.(url|send_resolved))`
)

// overlay writes a shipped file, changed, to another place, and fails the test if it is then
// different in more than may.
func overlay(t *testing.T, shipped, to, may string, change func(file map[string]any)) {
	t.Helper()
	file := readYAML(t, shipped)
	change(file)
	text, err := yaml.Marshal(file)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(to, text, 0o600); err != nil {
		t.Fatal(err)
	}
	if beyond := changedBeyond(may, readYAML(t, shipped), readYAML(t, to)); len(beyond) > 0 {
		t.Fatalf("the overlay of %s changes what it must not:\n%s", shipped, strings.Join(beyond, "\n"))
	}
}

func readYAML(t *testing.T, path string) map[string]any {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	file := make(map[string]any)
	if err := yaml.Unmarshal(text, &file); err != nil {
		t.Fatalf("%s: %v", path, err)
	}
	return file
}

// changedBeyond lists the paths at which two files differ and that may does not match as a whole.
func changedBeyond(may string, a, b map[string]any) []string {
	allowed := regexp.MustCompile("^(" + may + ")$")
	before, after := make(map[string]string), make(map[string]string)
	flatten("", a, before)
	flatten("", b, after)
	paths := maps.Clone(before)
	maps.Copy(paths, after)
	var beyond []string
	for _, path := range slices.Sorted(maps.Keys(paths)) {
		if before[path] != after[path] && !allowed.MatchString(path) {
			beyond = append(beyond, fmt.Sprintf("%s: %q became %q", path, before[path], after[path]))
		}
	}
	return beyond
}

// flatten enters every leaf of a YAML document, with its type: groups[0].rules[1].labels.severity.
func flatten(path string, v any, into map[string]string) {
	switch v := v.(type) {
	case map[string]any:
		for key, child := range v {
			flatten(strings.TrimPrefix(path+"."+key, "."), child, into)
		}
		if len(v) > 0 {
			return
		}
	case []any:
		for i, child := range v {
			flatten(fmt.Sprintf("%s[%d]", path, i), child, into)
		}
		if len(v) > 0 {
			return
		}
	}
	into[path] = fmt.Sprintf("%T %v", v, v)
}

// shorten shortens the durations of these names in a map.
func shorten(t *testing.T, in map[string]any, names ...string) {
	t.Helper()
	for _, name := range names {
		text, ok := in[name].(string)
		if !ok {
			continue
		}
		d, err := model.ParseDuration(text)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if d > 0 {
			in[name] = model.Duration(max(time.Duration(d)/faster, time.Second)).String()
		}
	}
}

// list is the maps of a list in a YAML file.
func list(in map[string]any, name string) []map[string]any {
	var all []map[string]any
	items, _ := in[name].([]any)
	for _, item := range items {
		all = append(all, item.(map[string]any))
	}
	return all
}

func overlayRules(t *testing.T, to string) {
	overlay(t, "../prometheus/rootwatch.rules.yml", to, rulesMay, func(file map[string]any) {
		for _, group := range list(file, "groups") {
			shorten(t, group, "interval")
			for _, rule := range list(group, "rules") {
				if rule["alert"] == "RootwatchDown" || rule["alert"] == "RootwatchSilent" && rule["for"] == "1m" {
					shorten(t, rule, "for")
				}
			}
		}
	})
}

// overlayPrometheus: the tasks come from a file instead of DNS.
func overlayPrometheus(t *testing.T, to, rules, targets, alertmanager string) {
	overlay(t, "../prometheus/prometheus.yml", to, prometheusMay, func(file map[string]any) {
		global := file["global"].(map[string]any)
		every := model.Duration(*interval).String()
		global["scrape_interval"], global["evaluation_interval"] = every, every
		global["scrape_timeout"] = model.Duration(min(*interval, 10*time.Second)).String()
		file["rule_files"] = []any{rules}
		job := list(file, "scrape_configs")[0]
		delete(job, "dns_sd_configs")
		job["file_sd_configs"] = []any{map[string]any{"files": []any{targets}, "refresh_interval": "1s"}}
		servers := list(file["alerting"].(map[string]any), "alertmanagers")[0]
		servers["static_configs"] = []any{map[string]any{"targets": []any{alertmanager}}}
	})
}

// overlayAlertmanager: each receiver's own integration goes to its stand-in, and beside it stands a
// webhook, which shows the same notifications as data.
func overlayAlertmanager(t *testing.T, to, templates, routingKey string, r *receivers) {
	overlay(t, "../alertmanager/alertmanager.yml", to, alertmanagerMay, func(file map[string]any) {
		file["templates"] = []any{templates}
		route := file["route"].(map[string]any)
		shorten(t, route, "group_wait", "group_interval")
		for _, child := range list(route, "routes") {
			shorten(t, child, "group_wait", "group_interval")
			if child["receiver"] == "dead-man" {
				shorten(t, child, "repeat_interval")
			}
		}
		for _, receiver := range list(file, "receivers") {
			redirect(t, receiver, routingKey, r)
		}
	})
}

func redirect(t *testing.T, receiver map[string]any, routingKey string, r *receivers) {
	name := receiver["name"].(string)
	var resolved any
	for kind := range receiver {
		for _, c := range list(receiver, kind) {
			switch kind {
			case "pagerduty_configs":
				c["url"], c["routing_key_file"] = r.url(name, "pagerduty"), routingKey
			case "slack_configs":
				c["api_url"] = r.url(name, "slack")
			case "email_configs":
				c["smarthost"], c["require_tls"] = r.mailServer(t, name), false
			case "webhook_configs":
				c["url"] = r.url(name, "webhook")
			default:
				t.Fatalf("receiver %s has %s, for which there is no stand-in", name, kind)
			}
			resolved = c["send_resolved"]
		}
	}
	if receiver["webhook_configs"] == nil {
		receiver["webhook_configs"] = []any{map[string]any{"url": r.url(name, "webhook"), "send_resolved": resolved}}
	}
}

// What the overlays may change is shut out of the comparison; all else must be seen.
func TestOverlayMayChangeTimesAlone(t *testing.T) {
	rules, routes := "../prometheus/rootwatch.rules.yml", "../alertmanager/alertmanager.yml"
	rule := func(file map[string]any) map[string]any { return list(list(file, "groups")[1], "rules")[0] }
	route := func(file map[string]any) map[string]any {
		return list(file["route"].(map[string]any), "routes")[1]
	}
	for name, c := range map[string]struct {
		shipped, may string
		change       func(map[string]any)
		beyond       bool
	}{
		"a rule's for":           {rules, rulesMay, func(f map[string]any) { rule(f)["for"] = "1s" }, false},
		"a group's interval":     {rules, rulesMay, func(f map[string]any) { list(f, "groups")[0]["interval"] = "1s" }, false},
		"an expression":          {rules, rulesMay, func(f map[string]any) { rule(f)["expr"] = "vector(1)" }, true},
		"a label":                {rules, rulesMay, func(f map[string]any) { rule(f)["labels"].(map[string]any)["severity"] = "info" }, true},
		"an annotation":          {rules, rulesMay, func(f map[string]any) { rule(f)["annotations"].(map[string]any)["summary"] = "" }, true},
		"one annotation less":    {rules, rulesMay, func(f map[string]any) { delete(rule(f)["annotations"].(map[string]any), "summary") }, true},
		"keep_firing_for":        {rules, rulesMay, func(f map[string]any) { rule(f)["keep_firing_for"] = "1m" }, true},
		"a group less":           {rules, rulesMay, func(f map[string]any) { f["groups"] = f["groups"].([]any)[1:] }, true},
		"an empty group more":    {rules, rulesMay, func(f map[string]any) { f["groups"] = append(f["groups"].([]any), map[string]any{}) }, true},
		"a group's wait":         {routes, alertmanagerMay, func(f map[string]any) { route(f)["group_wait"] = "1s" }, false},
		"a matcher":              {routes, alertmanagerMay, func(f map[string]any) { route(f)["matchers"] = []any{"a = b"} }, true},
		"what is grouped by":     {routes, alertmanagerMay, func(f map[string]any) { route(f)["group_by"] = []any{"alertname"} }, true},
		"when a page repeats":    {routes, alertmanagerMay, func(f map[string]any) { route(f)["repeat_interval"] = "1s" }, true},
		"a route's receiver":     {routes, alertmanagerMay, func(f map[string]any) { route(f)["receiver"] = "quiet" }, true},
		"an inhibition more":     {routes, alertmanagerMay, func(f map[string]any) { f["inhibit_rules"] = append(f["inhibit_rules"].([]any), map[string]any{}) }, true},
		"a notification's title": {routes, alertmanagerMay, func(f map[string]any) { list(list(f, "receivers")[0], "pagerduty_configs")[0]["description"] = "x" }, true},
	} {
		t.Run(name, func(t *testing.T) {
			before, after := readYAML(t, c.shipped), readYAML(t, c.shipped)
			c.change(after)
			if beyond := changedBeyond(c.may, before, after); len(beyond) > 0 != c.beyond {
				t.Errorf("changed beyond what may be: %q, want some: %v", beyond, c.beyond)
			}
		})
	}
}
