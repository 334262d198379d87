package policy

import (
	"encoding/json"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

const deployed = "../../deploy/policy/"

// property is a member of the schema.
type property struct {
	Pattern         string
	MinItems        int
	UniqueItems     bool
	MaxItems        int
	MaxLength       int
	Format          string
	Enum            []string
	Items           *property
	Required        []string
	AdditionalProps *bool `json:"additionalProperties"`
	Properties      map[string]property
}

// The schema knows what the parser knows: editors must not help to write what is refused.
func TestTheSchemaIsTheParsers(t *testing.T) {
	text, err := os.ReadFile(deployed + "policy.schema.json")
	if err != nil {
		t.Fatal(err)
	}
	var schema struct {
		property
		Defs map[string]property `json:"$defs"`
	}
	if err := json.Unmarshal(text, &schema); err != nil {
		t.Fatal(err)
	}
	entry := schema.Defs["entry"]
	var keys []string
	for key := range entry.Properties {
		keys = append(keys, key)
	}
	slices.Sort(keys)
	known := slices.Sorted(slices.Values(members))
	if diff := cmp.Diff(known, keys); diff != "" {
		t.Errorf("members of an entry (-parser +schema):\n%s", diff)
	}
	if !slices.Equal(entry.Required, []string{"name", "accounts", "until"}) || entry.AdditionalProps == nil || *entry.AdditionalProps {
		t.Errorf("required are %v, others are allowed: %v", entry.Required, entry.AdditionalProps)
	}
	if !slices.Equal(schema.Required, []string{"expected"}) || len(schema.Properties) != 1 || schema.Properties["expected"].MaxItems != maxEntries {
		t.Errorf("the file is %+v", schema.property)
	}
	if diff := cmp.Diff(reasons(), entry.Properties["reasons"].Items.Enum); diff != "" {
		t.Errorf("reasons (-parser +schema):\n%s", diff)
	}
	if entry.Properties["name"].Pattern != nameForm.String() || entry.Properties["event_names"].Items.Pattern != eventForm.String() {
		t.Error("the patterns of names are not the parser's")
	}
	for _, key := range []string{"accounts", "reasons", "event_names", "source_networks"} {
		if p := entry.Properties[key]; p.MinItems != 1 || !p.UniqueItems {
			t.Errorf("%s may be empty, or have members twice", key)
		}
	}
	for _, key := range []string{"from", "until"} {
		if f := entry.Properties[key].Format; f != "date-time" {
			t.Errorf("%s has the format %q", key, f)
		}
	}
	for _, key := range []string{"ticket", "approved_by"} {
		if n := entry.Properties[key].MaxLength; n != maxText {
			t.Errorf("%s has %d characters at most", key, n)
		}
	}
	networks := regexp.MustCompile(entry.Properties["source_networks"].Items.Pattern)
	for _, s := range []string{"203.0.113.0/24", "2001:db8::/32", "0.0.0.0/0", "2001:DB8::/32"} {
		if _, ok := network(s); !ok || !networks.MatchString(s) {
			t.Errorf("%s is refused by the parser or the schema", s)
		}
	}
	for _, s := range []string{"203.0.113.7", "office", "203.0.113.0/", ""} {
		if _, ok := network(s); ok || networks.MatchString(s) {
			t.Errorf("%q is taken by the parser or the schema", s)
		}
	}
}

// The example is what an operator copies. It is judged as of its own time.
func TestTheExampleIsAPolicy(t *testing.T) {
	text, err := os.ReadFile(deployed + "policy.yaml")
	if err != nil {
		t.Fatal(err)
	}
	p, err := Parse(text, time.Date(2026, 12, 1, 9, 0, 0, 0, time.UTC))
	if err != nil || len(p.Entries) != 2 {
		t.Fatalf("%v, %v", p, err)
	}
	ev, f := judged(t, "{"+base+session+at("2026-12-01T09:00:00Z")+`,"eventSource":"organizations.amazonaws.com","eventName":"LeaveOrganization"}`)
	if got := p.Expects(ev, f, now); got != "move-sandbox" {
		t.Errorf("leaving is expected by %q: %s", got, p.Entries[0].Refuses(ev, f, now))
	}
	if !strings.Contains(string(text), "$schema=policy.schema.json") {
		t.Error("an editor does not find the schema")
	}
}
