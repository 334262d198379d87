package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"rootwatch/classify"
)

func TestEveryRecordIsARootCall(t *testing.T) {
	for _, s := range loaded(t) {
		for _, e := range s.Records {
			data, err := json.Marshal(e.Record)
			if err != nil {
				t.Fatal(err)
			}
			var ev classify.Event
			if err := json.Unmarshal(data, &ev); err != nil {
				t.Errorf("%s: %v", e.ID, err)
				continue
			}
			if !classify.IsRoot(&ev) {
				t.Errorf("%s is not by root", e.ID)
			}
			if got := classify.Classify(&ev).AccountID; len(got) != 12 {
				t.Errorf("%s: the account is %q", e.ID, got)
			}
		}
	}
}

// rootwatch's rule is the argument by which the records were labelled: a difference is a mistake in
// one of the two.
func TestRootwatchAgreesWithTheLabels(t *testing.T) {
	got := scoreRule(rules[0], loaded(t))
	if got.Name != "rootwatch" {
		t.Fatalf("the first rule is %s", got.Name)
	}
	if len(got.PeopleMissed)+len(got.ServicesAlerted)+len(got.ScenariosMissed)+len(got.SwitchedOff) > 0 {
		t.Errorf("people missed %q, services alerted on %q, scenarios missed %q, switched off %q",
			got.PeopleMissed, got.ServicesAlerted, got.ScenariosMissed, got.SwitchedOff)
	}
	if got.MissedWhenForged > 0 {
		t.Errorf("%d records missed when the user agent is forged", got.MissedWhenForged)
	}
}

// A service is no alert only because the rule says so: a record that shows nothing is one.
func TestRootwatchAlertsOnWhatItDoesNotKnow(t *testing.T) {
	if !rootwatchAlerts(made(t, `{}`)) || rootwatchAlerts(record{"userIdentity": 7}) || rootwatchAlerts(made(t, `{"userIdentity": {"type": "IAMUser"}}`)) {
		t.Error("want an alert for an unattributed root call, none for what is undecodable or somebody else's")
	}
}

func TestTheProjectsREADMEShowsTheTable(t *testing.T) {
	checkBlock(t, filepath.Join("..", "..", "README.md"), "benchmark", scoreAll(loaded(t)).table())
}

func TestTheFoldersREADMEListsScenariosAndRules(t *testing.T) {
	happen := [][]string{{"scenario", "what it is", "people", "services"}}
	for _, s := range loaded(t) {
		happen = append(happen, []string{fmt.Sprintf("[%s](scenarios/%s.json)", s.Name, s.Name), s.Title, fmt.Sprint(s.number(person)), fmt.Sprint(s.number(service))})
	}
	checkBlock(t, "README.md", "scenarios", markdown(happen, 2))
	var looks strings.Builder
	for _, r := range rules {
		fmt.Fprintf(&looks, "- [%s](%s), %s: %s.", r.Name, r.Source, r.Version, r.Looks)
		if r.UsedBy != "" {
			fmt.Fprintf(&looks, " Used by %s.", r.UsedBy)
		}
		looks.WriteString("\n")
	}
	checkBlock(t, "README.md", "rules", looks.String())
}

// checkBlock holds what stands between two comments of a Markdown file against what it should be,
// or rewrites it.
func checkBlock(t *testing.T, file, name, want string) {
	t.Helper()
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	begin, end := fmt.Sprintf("<!-- %s: begin -->\n", name), fmt.Sprintf("<!-- %s: end -->", name)
	before, rest, found := strings.Cut(string(data), begin)
	got, after, ended := strings.Cut(rest, end)
	if !found || !ended {
		t.Fatalf("%s has no block between %q and %q", file, begin, end)
	}
	if got == want {
		return
	}
	if *update {
		if err := os.WriteFile(file, []byte(before+begin+want+end+after), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	t.Errorf("%s, block %s, is out of date: go test ./classify/benchmark -update\ngot\n%swant\n%s", file, name, got, want)
}

// The folder without rootwatch's own two files is a program of the standard library.
func TestTheFolderStandsAlone(t *testing.T) {
	files, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	folder := t.TempDir()
	for _, name := range files {
		if name == "rootwatch.go" || strings.HasSuffix(name, "_test.go") {
			continue
		}
		data, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(folder, name), data, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.CopyFS(filepath.Join(folder, "scenarios"), os.DirFS("scenarios")); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(folder, "go.mod"), []byte("module benchmark\n\ngo 1.26.0\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	command := exec.Command("go", "run", ".", "-json")
	command.Dir = folder
	command.Env = append(os.Environ(), "GOWORK=off", "GOFLAGS=-mod=mod", "GOPROXY=off", corpusVariable+"=")
	var complaint bytes.Buffer
	command.Stderr = &complaint
	out, err := command.Output()
	if err != nil {
		t.Fatalf("%v: %s", err, complaint.String())
	}
	var got report
	if err := json.Unmarshal(out, &got); err != nil {
		t.Fatal(err)
	}
	if len(got.Scenarios.Rules) != len(rules)-1 || got.Scenarios.Totals != count(loaded(t)) {
		t.Errorf("%d rules and %+v, want all but rootwatch's and all records", len(got.Scenarios.Rules), got.Scenarios.Totals)
	}
}
