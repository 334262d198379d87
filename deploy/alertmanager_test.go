package deploy

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"
)

func alertmanagerConfig(t *testing.T) object {
	t.Helper()
	text, err := os.ReadFile("alertmanager/alertmanager.yml")
	if err != nil {
		t.Fatal(err)
	}
	config := object{}
	if err := yaml.Unmarshal(text, &config); err != nil {
		t.Fatal(err)
	}
	return config
}

// route is one route of the tree, with what it inherits.
type route struct{ matchers, receiver, groupBy string }

// routesOf lists a route and those below it, in the file's order.
func routesOf(node object, above route) []route {
	r := above
	if matchers, ok := node["matchers"].([]any); ok {
		words := strings.Trim(fmt.Sprint(matchers), "[]")
		r.matchers = strings.TrimSpace(r.matchers + " " + words)
	}
	if receiver, ok := node["receiver"].(string); ok {
		r.receiver = receiver
	}
	if labels, ok := node["group_by"].([]any); ok {
		r.groupBy = strings.Trim(fmt.Sprint(labels), "[]")
	}
	all := []route{r}
	children, _ := node["routes"].([]any)
	for _, child := range children {
		all = append(all, routesOf(child.(object), r)...)
	}
	return all
}

// What is one page. An account less here and a second account's call is an update of the first
// one's page, which wakes nobody; a session less and a second session's call is. amtool checks
// receivers alone.
func TestEachRouteGroupsByWhatIsOnePage(t *testing.T) {
	got := routesOf(alertmanagerConfig(t)["route"].(object), route{})
	want := []route{
		{"", "team", "alertname"},
		{"alertname = Watchdog", "dead-man", "alertname"},
		{"alertname = RootCallUnexplained", "pager", "alertname account_id"},
		{"alertname = RootCallEvent", "pager", "alertname account_id session"},
		{"alertname = RootCallEvent severity = warning", "team-calls", "alertname account_id session"},
		{"alertname = RootCallEvent severity = info", "quiet", "alertname account_id session"},
		{"severity = critical", "pager", "alertname"},
		{"severity = warning", "team", "alertname"},
		{"severity = info", "quiet", "alertname account_id"},
	}
	if !slices.Equal(got, want) {
		t.Errorf("got  %q\nwant %q", got, want)
	}
}

// A call does not get better when its alert ends: whoever hears of calls is sent nothing then. The
// default is true for most kinds of receivers, so each says it.
func TestEachReceiverSaysWhetherItHearsOfTheEnd(t *testing.T) {
	want := map[string]bool{"pager": false, "team": true, "team-calls": false, "quiet": false, "dead-man": false}
	receivers, _ := alertmanagerConfig(t)["receivers"].([]any)
	if len(receivers) != len(want) {
		t.Errorf("%d receivers, want %d", len(receivers), len(want))
	}
	for _, r := range receivers {
		name, count := at(r, "name").(string), 0
		for kind, integrations := range r.(object) {
			if !strings.HasSuffix(kind, "_configs") {
				continue
			}
			for _, integration := range integrations.([]any) {
				count++
				if says, ok := at(integration, "send_resolved").(bool); !ok || says != want[name] {
					t.Errorf("%s by %s: send_resolved is %v, want %v", name, kind, at(integration, "send_resolved"), want[name])
				}
			}
		}
		if count == 0 {
			t.Errorf("%s has no integration", name)
		}
	}
}

// Nothing silences a root call, and no root call silences anything.
func TestRootCallsAreNeverInhibited(t *testing.T) {
	rules, _ := alertmanagerConfig(t)["inhibit_rules"].([]any)
	if len(rules) == 0 {
		t.Fatal("no rules are left to look at")
	}
	for _, rule := range rules {
		for _, side := range []string{"source_matchers", "target_matchers"} {
			matchers, _ := at(rule, side).([]any)
			if !slices.ContainsFunc(matchers, func(m any) bool { return strings.HasPrefix(m.(string), "alertname = Rootwatch") }) {
				t.Errorf("%s is not of a fault's alert by name: %v", side, matchers)
			}
		}
	}
}
