package policy

import (
	"errors"
	"flag"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"rootwatch/classify"
	"rootwatch/pipeline/yamlfile"
)

var update = flag.Bool("update", false, "write the golden files of errors")

// Each file in testdata has errors, which stand beside it as they are shown.
func TestWhatIsWrongWithAFile(t *testing.T) {
	files, err := filepath.Glob("testdata/*.yaml")
	if err != nil || len(files) < 5 {
		t.Fatalf("%d files, %v", len(files), err)
	}
	for _, file := range files {
		t.Run(filepath.Base(file), func(t *testing.T) {
			data, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			p, err := Parse(data, now)
			var problems yamlfile.Problems
			if !errors.As(err, &problems) || p != nil {
				t.Fatalf("policy %v, error %v; want problems", p, err)
			}
			var got strings.Builder
			for _, problem := range problems {
				fmt.Fprintln(&got, problem)
			}
			golden := strings.TrimSuffix(file, ".yaml") + ".txt"
			if *update {
				if err := os.WriteFile(golden, []byte(got.String()), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(golden)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(string(want), got.String()); diff != "" {
				t.Errorf("problems (-want +got):\n%s", diff)
			}
			if strings.Contains(err0(Parse(data, now)), "\n") {
				t.Error("the error is not one line")
			}
		})
	}
}

func err0(_ *Policy, err error) string { return err.Error() }

func TestAWholeEntry(t *testing.T) {
	got := parsed(t, `
# What was planned for December.
expected:
  - name: "org-move.2026"
    accounts: [111122223333, "012345678901"]
    reasons: [console_session, sign_in]
    event_names:
      - LeaveOrganization
    source_networks: [203.0.113.0/24, 2001:db8::/32]
    from: 2026-12-01T09:00:00+01:00
    until: 2027-03-01T08:00:00Z
    ticket: OPS-1234
    approved_by: Ada
`)
	want := &Policy{Entries: []Entry{{
		Name: "org-move.2026", Accounts: []string{"111122223333", "012345678901"},
		Reasons: []classify.Reason{classify.ConsoleSession, classify.SignIn}, EventNames: []string{"LeaveOrganization"},
		SourceNetworks: []netip.Prefix{netip.MustParsePrefix("203.0.113.0/24"), netip.MustParsePrefix("2001:db8::/32")},
		From:           time.Date(2026, 12, 1, 8, 0, 0, 0, time.UTC), Until: time.Date(2027, 3, 1, 8, 0, 0, 0, time.UTC),
		Ticket: "OPS-1234", ApprovedBy: "Ada", Line: 4,
	}}}
	if diff := cmp.Diff(want, got, cmpopts.EquateComparable(netip.Prefix{})); diff != "" {
		t.Errorf("policy (-want +got):\n%s", diff)
	}
	same := parsed(t, `{"expected": [{"name": "org-move.2026", "accounts": ["111122223333"], "until": "2026-12-31T00:00:00Z", "ticket": "a\/b \ud83d\ude00"}]}`)
	if e := same.Entries[0]; e.Ticket != "a/b 😀" {
		t.Errorf("from JSON: %+v", e)
	}
	if n := len(parsed(t, "expected: []").Entries); n != 0 {
		t.Errorf("%d entries in none", n)
	}
}

// A file that was right stays right: the same file is read again after each restart.
func TestAFileDoesNotBecomeWrong(t *testing.T) {
	text := []byte(`expected: [{name: a, accounts: ["111122223333"], until: 2027-03-01T12:00:00Z}, {name: b, accounts: ["111122223333"], from: 2027-06-01T00:00:00Z, until: 2027-08-30T00:00:00Z}]`)
	if _, err := Parse(text, now.Add(-time.Second)); err == nil {
		t.Error("an entry of 90 days and a second is taken")
	}
	for _, later := range []time.Duration{0, time.Hour, 100 * 24 * time.Hour, 10 * 365 * 24 * time.Hour} {
		if _, err := Parse(text, now.Add(later)); err != nil {
			t.Errorf("after %s: %v", later, err)
		}
	}
}

func TestTooManyEntries(t *testing.T) {
	var text strings.Builder
	text.WriteString("expected:\n")
	for i := range maxEntries + 1 {
		fmt.Fprintf(&text, "- {name: n%d, accounts: ['111122223333'], until: 2026-12-31T00:00:00Z}\n", i)
	}
	if _, err := Parse([]byte(text.String()), now); err == nil || !strings.Contains(err.Error(), "1001 entries, 1000 at most") {
		t.Errorf("error %v", err)
	}
}

// FuzzParse: whatever a file holds, it is refused, or each of its entries has all that an entry
// must have.
func FuzzParse(f *testing.F) {
	files, _ := filepath.Glob("testdata/*.yaml")
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
	}
	f.Add([]byte(`expected: [{name: a, accounts: ["111122223333"], source_networks: [0.0.0.0/0], until: 2026-12-31T00:00:00Z}]`))
	f.Add([]byte(`{"expected": [{"name": "a", "accounts": ["111122223333"], "from": "2026-12-01T00:00:00Z", "until": "2026-12-31T00:00:00Z"}]}`))
	f.Add([]byte("expected: &a [*a]"))
	f.Fuzz(func(t *testing.T, data []byte) {
		p, err := Parse(data, now)
		if err != nil {
			var problems yamlfile.Problems
			if !errors.As(err, &problems) || p != nil || strings.ContainsAny(err.Error(), "\n\x1b") {
				t.Errorf("policy %v, error %q", p, err)
			}
			return
		}
		names := map[string]bool{}
		for _, e := range p.Entries {
			if e.Name == "" || names[e.Name] || len(e.Accounts) == 0 || e.From.IsZero() || !e.Until.After(e.From) || e.Until.Sub(e.From) > MaxLength {
				t.Errorf("entry %+v", e)
			}
			names[e.Name] = true
			if slices.ContainsFunc(e.Accounts, func(id string) bool { return !classify.IsAccountID(id) }) || e.Until.Before(now) && e.From.After(now) {
				t.Errorf("entry %+v", e)
			}
		}
		p.Notices(time.Time{}, now)
	})
}
