package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "rewrite the golden file and the tables in the READMEs")

// small is a set in which every kind of mistake happens once.
func small() []scenario {
	call := func(id string, who label, agent string) entry {
		return entry{ID: id, Label: who, Record: record{"eventName": id, "userAgent": agent}}
	}
	return []scenario{
		{Name: "seen", Records: []entry{call("seen-01", person, "cli"), call("seen-02", person, "AWS Internal"), call("seen-03", service, "AWS Internal")}},
		{Name: "missed", Records: []entry{call("missed-01", person, "AWS Internal")}},
		{Name: "services", Records: []entry{call("services-01", service, "elb"), call("services-02", service, "AWS Internal")}},
	}
}

// believer alerts unless the user agent names AWS.
var believer = rule{Name: "believer", Looks: "`userAgent`", Version: "1", Source: "here", alerts: func(r record) bool { return r.text("userAgent") != "AWS Internal" }}

func TestScore(t *testing.T) {
	got := scoreRule(believer, small())
	for what, lists := range map[string][2][]string{
		"people missed":    {got.PeopleMissed, {"seen-02", "missed-01"}},
		"services alerted": {got.ServicesAlerted, {"services-01"}},
		"scenarios missed": {got.ScenariosMissed, {"missed"}},
		"switched off":     {got.SwitchedOff, {"seen"}},
	} {
		if !slices.Equal(lists[0], lists[1]) {
			t.Errorf("%s: %q, want %q", what, lists[0], lists[1])
		}
	}
	if got.MissedWhenForged != 3 {
		t.Errorf("%d records missed with a forged user agent, want 3", got.MissedWhenForged)
	}
	if want := (totals{Scenarios: 3, ScenariosByPeople: 2, People: 3, Services: 3}); count(small()) != want {
		t.Errorf("totals %+v, want %+v", count(small()), want)
	}
}

// A forged user agent hides a scenario only from a rule that saw it before, and only if it hides
// all of it.
func TestSwitchedOffNeedsTheWholeScenario(t *testing.T) {
	half := rule{alerts: func(r record) bool { return r.text("userAgent") == "cli" || r.text("eventName") == "seen-02" }}
	if got := scoreRule(half, small()); len(got.SwitchedOff) != 0 || got.MissedWhenForged != 2 {
		t.Errorf("switched off %q, %d records missed, want none and 2", got.SwitchedOff, got.MissedWhenForged)
	}
}

func TestForgingLeavesTheRecordsAlone(t *testing.T) {
	all := small()
	forged := forge(all[0].Records, "other")
	if got := all[0].Records[0].Record.text("userAgent"); got != "cli" {
		t.Errorf("the record itself now says %q", got)
	}
	if person, service := forged[0].Record.text("userAgent"), forged[2].Record.text("userAgent"); person != "other" || service != "AWS Internal" {
		t.Errorf("the copies say %q for a person and %q for a service", person, service)
	}
}

// The form of the JSON is what others read: a change of it shows here.
func TestJSON(t *testing.T) {
	answer := report{Scenarios: scores{Totals: count(small()), Rules: []score{scoreRule(believer, small())}}}
	var out bytes.Buffer
	if err := answer.writeJSON(&out); err != nil {
		t.Fatal(err)
	}
	golden := filepath.Join("testdata", "small.json")
	if *update {
		if err := os.WriteFile(golden, out.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(out.Bytes(), want) {
		t.Errorf("got %s\nwant %s", out.Bytes(), want)
	}
}

func TestRunWritesJSON(t *testing.T) {
	var out bytes.Buffer
	if err := run(&out, options{json: true}); err != nil {
		t.Fatal(err)
	}
	var got report
	decoder := json.NewDecoder(&out)
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&got); err != nil {
		t.Fatal(err)
	}
	if len(got.Scenarios.Rules) != len(rules) || got.Scenarios.Totals != count(loaded(t)) || got.Corpus != nil {
		t.Errorf("%d rules, totals %+v, corpus %v", len(got.Scenarios.Rules), got.Scenarios.Totals, got.Corpus)
	}
}

func TestRunSkipsScenarios(t *testing.T) {
	var out bytes.Buffer
	if err := run(&out, options{skip: regexp.MustCompile("^evasion-"), json: true}); err != nil {
		t.Fatal(err)
	}
	var got report
	if err := json.Unmarshal(out.Bytes(), &got); err != nil {
		t.Fatal(err)
	}
	if all := len(loaded(t)); got.Scenarios.Totals.Scenarios >= all || strings.Contains(out.String(), "evasion-") {
		t.Errorf("%d of %d scenarios left, or one of the skipped is named", got.Scenarios.Totals.Scenarios, all)
	}
	if run(&out, options{skip: regexp.MustCompile("")}) == nil {
		t.Error("no error with all scenarios skipped")
	}
}

func TestTable(t *testing.T) {
	got := scores{Totals: count(small()), Rules: []score{scoreRule(believer, small())}}.table()
	want := "" +
		"| rule     | version or date | people missed, of 3 | services alerted on, of 3 | scenarios missed wholly, of 2 | scenarios a forged user agent switches off |\n" +
		"| -------- | --------------- | ------------------: | ------------------------: | ----------------------------: | -----------------------------------------: |\n" +
		"| believer | 1               |                   2 |                         1 |                             1 |                                          1 |\n"
	if got != want {
		t.Errorf("got\n%swant\n%s", got, want)
	}
}

// corpusFile writes the lines as a corpus and returns its folder.
func corpusFile(t *testing.T, lines ...string) string {
	t.Helper()
	folder := t.TempDir()
	if err := os.WriteFile(filepath.Join(folder, "a.jsonl"), []byte(strings.Join(lines, "\n")+"\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	return folder
}

func TestCorpusIsScoredToo(t *testing.T) {
	folder := corpusFile(t,
		`{"kind":"a","verdict":"unexplained","reason":"sign_in","record":{"userIdentity":{"type":"Root"},"eventName":"ConsoleLogin"}}`,
		`{"kind":"a","verdict":"unexplained","reason":"cli_session","record":{"detail-type":"AWS API Call via CloudTrail","detail":{"userIdentity":{"type":"Root"},"eventName":"RunInstances"}}}`,
		`{"kind":"a","verdict":"service_invoked","reason":"known_service","record":{"userIdentity":{"type":"Root","invokedBy":"a"},"eventName":"RunInstances"}}`,
		`{"kind":"a","verdict":"not_root","record":{"userIdentity":{"type":"IAMUser"},"eventName":"RunInstances"}}`,
	)
	var out bytes.Buffer
	if err := run(&out, options{json: true, corpus: folder}); err != nil {
		t.Fatal(err)
	}
	var got report
	if err := json.Unmarshal(out.Bytes(), &got); err != nil {
		t.Fatal(err)
	}
	if got.Corpus == nil || got.Corpus.Totals.People != 2 || got.Corpus.Totals.Services != 1 {
		t.Fatalf("corpus %+v, want 2 records by people and 1 by a service", got.Corpus)
	}
	for _, r := range got.Corpus.Rules {
		if r.Name == "console login only" && !slices.Equal(r.PeopleMissed, []string{"a.jsonl:2"}) {
			t.Errorf("%s missed %q, want the second line", r.Name, r.PeopleMissed)
		}
	}
	out.Reset()
	if err := run(&out, options{corpus: folder}); err != nil || !strings.Contains(out.String(), "people missed, of 2") {
		t.Errorf("no table of the corpus (%v):\n%s", err, out.String())
	}
}

func TestCorpusErrorsNameTheLine(t *testing.T) {
	root := `{"verdict":"unexplained","record":{}}`
	for name, tt := range map[string]struct{ folder, want string }{
		"a verdict that is none": {corpusFile(t, root, `{"verdict":"maybe","record":{}}`), `a.jsonl:2: unknown verdict "maybe"`},
		"broken JSON":            {corpusFile(t, `{"verdict":`), "a.jsonl:1: "},
		"nobody's root call":     {corpusFile(t, `{"verdict":"not_root","record":{}}`), "no *.jsonl file with a record by root"},
		"no folder":              {filepath.Join(t.TempDir(), "none"), "no *.jsonl file with a record by root"},
	} {
		if err := run(new(bytes.Buffer), options{corpus: tt.folder}); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: the error is %v, want %q in it", name, err, tt.want)
		}
	}
}

type brokenPipe struct{}

func (brokenPipe) Write([]byte) (int, error) { return 0, errors.New("broken pipe") }

func TestRunTellsThatNobodyReads(t *testing.T) {
	for _, asJSON := range []bool{false, true} {
		if run(brokenPipe{}, options{json: asJSON}) == nil {
			t.Errorf("no error, JSON %t", asJSON)
		}
	}
}
