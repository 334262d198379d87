package classify

import (
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write the README's table of reasons")

const (
	readme      = "../README.md"
	tableBegins = "<!-- reasons: written by `go test ./classify -run README -update` -->\n"
	tableEnds   = "<!-- /reasons -->"
)

// The README's table is made of the rows: what a reader learns there is what the program does.
func TestTheREADMEsTableIsTheRules(t *testing.T) {
	data, err := os.ReadFile(readme)
	if err != nil {
		t.Fatal(err)
	}
	before, rest, begins := strings.Cut(string(data), tableBegins)
	table, after, ends := strings.Cut(rest, tableEnds)
	if !begins || !ends {
		t.Fatalf("%s has no %q or no %q", readme, tableBegins, tableEnds)
	}
	want := reasonsTable()
	if table == want {
		return
	}
	if !*update {
		t.Fatalf("the table in %s is not that of the rules; -update writes it:\n%s", readme, want)
	}
	if err := os.WriteFile(readme, []byte(before+tableBegins+want+tableEnds+after), 0o644); err != nil {
		t.Fatal(err)
	}
}

func reasonsTable() string {
	var b strings.Builder
	b.WriteString("| verdict | reason | starting severity | what it is |\n|---|---|---|---|\n")
	last := Verdict("")
	for _, r := range Reasons() {
		verdict, severity := "", string(r.Severity)
		if r.Verdict != last {
			verdict, last = "`"+string(r.Verdict)+"`", r.Verdict
		}
		if r.Otherwise != "" {
			severity += "; " + r.Otherwise
		}
		fmt.Fprintf(&b, "| %s | `%s` | %s | %s |\n", verdict, r.Reason, severity, r.Means)
	}
	return b.String()
}
