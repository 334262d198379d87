package main

import (
	"fmt"
	"net/netip"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
)

// loaded are the scenarios of the folder.
func loaded(t *testing.T) []scenario {
	t.Helper()
	all, err := scenarios()
	if err != nil {
		t.Fatal(err)
	}
	return all
}

func TestThereAreEnoughScenariosAndRecords(t *testing.T) {
	all := loaded(t)
	n := count(all)
	if n.Scenarios < 20 || n.People+n.Services < 150 || n.Services < 30 {
		t.Errorf("%d scenarios, %d records by people and %d by services: too few", n.Scenarios, n.People, n.Services)
	}
}

func TestScenariosAreNamedAndTold(t *testing.T) {
	titles := map[string]bool{}
	for _, s := range loaded(t) {
		if !regexp.MustCompile(`^[a-z0-9]+(-[a-z0-9]+)*$`).MatchString(s.Name) {
			t.Errorf("%q is no name for a scenario", s.Name)
		}
		if s.Title == "" || titles[s.Title] || strings.Contains(s.Title, "|") {
			t.Errorf("%s: the title %q is empty, another's too, or breaks a table", s.Name, s.Title)
		}
		titles[s.Title] = true
		if !strings.HasSuffix(s.Happens, ".") {
			t.Errorf("%s: what happens is not told in sentences: %q", s.Name, s.Happens)
		}
		if len(s.Records) < 2 {
			t.Errorf("%s has %d records", s.Name, len(s.Records))
		}
	}
}

// sanitised repeats its eventID: that is what the scenario is about.
const sanitised = "sanitised-records"

func TestIDsAreUnique(t *testing.T) {
	ids, events := map[string]bool{}, map[string]bool{}
	for _, s := range loaded(t) {
		for i, e := range s.Records {
			if want := fmt.Sprintf("%s-%02d", s.Name, i+1); e.ID != want || ids[e.ID] {
				t.Errorf("%s: record %d has the id %q, want %q", s.Name, i+1, e.ID, want)
			}
			ids[e.ID] = true
			event := e.Record.text("eventID")
			if events[event] && s.Name != sanitised {
				t.Errorf("%s: another record has the eventID %s", e.ID, event)
			}
			events[event] = true
		}
	}
}

// awsPage are the addresses under which AWS documents, in its guides and in its knowledge center.
var awsPage = regexp.MustCompile(`^https://(docs\.aws\.amazon\.com|aws\.amazon\.com/premiumsupport/knowledge-center)/[\w./#-]+$`)

func TestLabelsAreArguedAndSourced(t *testing.T) {
	for _, s := range loaded(t) {
		for _, e := range s.Records {
			if e.Label != person && e.Label != service {
				t.Errorf("%s: the label is %q", e.ID, e.Label)
			}
			oneSentence := strings.HasSuffix(e.Argument, ".") && !strings.Contains(e.Argument, ". ")
			if !oneSentence || len(e.Argument) < 40 {
				t.Errorf("%s: the argument is not one sentence: %q", e.ID, e.Argument)
			}
			seen := regexp.MustCompile(`^seen in records, (20[12][0-9])$`).FindStringSubmatch(e.Source)
			if seen == nil && !awsPage.MatchString(e.Source) {
				t.Errorf("%s: the source is neither AWS's page nor a year in which it was seen: %q", e.ID, e.Source)
			}
			// No public record of a service's own root call is later than 2017.
			if seen != nil && e.Label == service && seen[1] > "2017" {
				t.Errorf("%s: a service's own call is said to be seen in %s", e.ID, seen[1])
			}
		}
	}
}

func TestRecordsAreComplete(t *testing.T) {
	for _, s := range loaded(t) {
		before := time.Time{}
		for _, e := range s.Records {
			for _, field := range []string{
				"eventVersion", "eventTime", "eventSource", "eventName", "awsRegion", "sourceIPAddress", "eventID", "eventType", "recipientAccountId",
			} {
				if e.Record.text(field) == "" {
					t.Errorf("%s has no %s", e.ID, field)
				}
			}
			if e.Record.text("userIdentity", "accountId") == "" || e.Record.text("userIdentity", "principalId") == "" {
				t.Errorf("%s does not name the account", e.ID)
			}
			// Members came with versions of the format (CloudTrail User Guide, "CloudTrail record
			// contents").
			for field, since := range map[string]string{"readOnly": "1.05", "managementEvent": "1.08", "eventCategory": "1.08"} {
				if has := e.Record.has(field); has != (e.Record.text("eventVersion") >= since) {
					t.Errorf("%s, version %s: %s present is %t", e.ID, e.Record.text("eventVersion"), field, has)
				}
			}
			at, err := time.Parse(time.RFC3339, e.Record.text("eventTime"))
			if err != nil || at.Before(before) {
				t.Errorf("%s: time %q, after %s (%v)", e.ID, e.Record.text("eventTime"), before, err)
			}
			before = at
		}
	}
}

// documentation are the ranges that RFC 5737 and RFC 3849 reserve for examples.
var documentation = []netip.Prefix{
	netip.MustParsePrefix("192.0.2.0/24"), netip.MustParsePrefix("198.51.100.0/24"), netip.MustParsePrefix("203.0.113.0/24"), netip.MustParsePrefix("2001:db8::/32"),
}

// accounts are those of AWS's documentation, and the zeros of a sanitised id.
var accounts = []string{
	"111111111111", "111122223333", "123456789012", "222222222222", "333333333333", "444444444444", "444455556666", "555555555555", "666666666666",
	"777788889999", "999999999999", "000000000000",
}

var (
	// A version in a user agent has four numbers too, after a slash: Chrome/146.0.0.0.
	dotted    = regexp.MustCompile(`(?:^|[^/\w.-])(\d{1,3}\.\d{1,3}\.\d{1,3}\.\d{1,3})(?:$|[^\w.])`)
	accountID = regexp.MustCompile(`\b\d{12}\b`)
	credID    = regexp.MustCompile(`\bA(KIA|SIA|IDA|ROA|GPA|NPA|NVA|BIA|CCA)[A-Z0-9]{12,}\b`)
	email     = regexp.MustCompile(`[\w.+-]+@[\w-]+(\.[\w-]+)*`)
)

func TestNothingIsAnybodys(t *testing.T) {
	isDocumentation := func(s string) bool {
		ip, err := netip.ParseAddr(s)
		return err == nil && slices.ContainsFunc(documentation, func(p netip.Prefix) bool { return p.Contains(ip) })
	}
	for _, s := range loaded(t) {
		for _, e := range s.Records {
			if from := e.Record.text("sourceIPAddress"); !isDocumentation(from) && !isDNSName(from) && from != "AWS Internal" && from != "REDACTED" {
				t.Errorf("%s comes from %s", e.ID, from)
			}
			walk(map[string]any(e.Record), func(text string) {
				for _, m := range dotted.FindAllStringSubmatch(text, -1) {
					if !isDocumentation(m[1]) {
						t.Errorf("%s holds the address %s", e.ID, m[1])
					}
				}
				for _, id := range accountID.FindAllString(text, -1) {
					if !slices.Contains(accounts, id) {
						t.Errorf("%s holds the account %s", e.ID, id)
					}
				}
				for _, key := range credID.FindAllString(text, -1) {
					if !strings.HasSuffix(key, "EXAMPLE") && !strings.HasSuffix(key, "XXXXXXXXXXXXXXXX") {
						t.Errorf("%s holds the key %s", e.ID, key)
					}
				}
				for _, address := range email.FindAllString(text, -1) {
					if !strings.HasSuffix(address, "@example.com") {
						t.Errorf("%s holds the e-mail address %s", e.ID, address)
					}
				}
			})
		}
	}
}

// walk calls see with every string in a JSON value, keys included.
func walk(value any, see func(string)) {
	switch v := value.(type) {
	case string:
		see(v)
	case []any:
		for _, element := range v {
			walk(element, see)
		}
	case map[string]any:
		for key, member := range v {
			see(key)
			walk(member, see)
		}
	}
}
