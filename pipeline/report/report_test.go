package report

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
	"unicode"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"rootwatch/classify"
	"rootwatch/classify/plain"
	"rootwatch/pipeline"
	"rootwatch/pipeline/coverage"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var update = flag.Bool("update", false, "write the golden files")

// golden compares a text with a file in testdata.
func golden(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("%s (-want +got; -update writes it):\n%s", name, diff)
	}
}

// finding is what the pipeline makes of a record.
func finding(t testing.TB, file, record string) *pipeline.Finding {
	t.Helper()
	e := new(classify.Event)
	if err := json.Unmarshal([]byte(record), e); err != nil {
		t.Fatalf("%v in %s", err, record)
	}
	return &pipeline.Finding{Finding: classify.Classify(e), Event: e, ID: e.EventID.Value, File: file}
}

// record is a root call; more are members of the record, identity of its userIdentity.
func record(id, at, service, name, address, agent, identity, more string) string {
	return fmt.Sprintf(`{"eventVersion":"1.11","userIdentity":{"type":"Root","principalId":"111122223333","arn":"arn:aws:iam::111122223333:root","accountId":"111122223333"%s},`+
		`"eventTime":%q,"eventSource":"%s.amazonaws.com","eventName":%q,"awsRegion":"us-east-1","sourceIPAddress":%q,"userAgent":%s,"eventID":%q%s}`,
		identity, at, service, name, address, agentJSON(agent), id, more)
}

func agentJSON(agent string) string {
	b, err := json.Marshal(agent)
	if err != nil {
		panic(err)
	}
	return string(b)
}

func sessionOf(key, created string) string {
	return fmt.Sprintf(`,"accessKeyId":%q,"sessionContext":{"attributes":{"creationDate":%q,"mfaAuthenticated":"true"}}`, key, created)
}

const (
	browser = "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Safari/537.36"
	// hostile tries to drive the terminal, to turn the direction of writing, to break lines, cells
	// and code spans, and to bring in links and HTML.
	hostile = "\x1b[2J\x1b]0;pwned\x07\u202egnp.exe\nforged line | cell ` span\r\n<img src=x onerror=alert(1)> [a](http://example.com) @everyone \u009b31m\x00\xff 世界 é"
)

// scene is a week of root calls, in the order of the files.
func scene(t testing.TB) []*pipeline.Finding {
	signIn := `,"eventType":"AwsConsoleSignIn","responseElements":{"ConsoleLogin":"Success"},"additionalEventData":{"MFAUsed":"Yes"}`
	failed := `,"eventType":"AwsConsoleSignIn","responseElements":{"ConsoleLogin":"Failure"},"errorMessage":"Failed authentication","additionalEventData":{"MFAUsed":"No"}`
	console := `,"sessionCredentialFromConsole":"true","eventType":"AwsApiCall"`
	return []*pipeline.Finding{
		finding(t, "b.json.gz", record("e-05", "2026-11-02T08:03:00Z", "iam", "CreateUser", "203.0.113.7", browser, sessionOf("ASIAIOSFODNN7EXAMPLE", "2026-11-02T08:00:30Z"), console)),
		finding(t, "b.json.gz", record("e-04", "2026-11-02T08:01:00Z", "health", "DescribeEventAggregates", "203.0.113.7", "console.amazonaws.com", sessionOf("ASIAI44QH8DHBEXAMPLE", "2026-11-02T08:00:30Z"), console)),
		finding(t, "b.json.gz", record("e-03", "2026-11-02T08:00:12Z", "signin", "ConsoleLogin", "203.0.113.7", browser, "", signIn)),
		finding(t, "b.json.gz", record("e-02", "2026-11-02T07:59:40Z", "signin", "ConsoleLogin", "203.0.113.7", browser, "", failed)),
		finding(t, "a.json.gz", record("e-01", "2026-11-02T07:00:00Z", "signin", "ConsoleLogin", "198.51.100.9", browser, "", failed)),
		finding(t, "c.json.gz", record("e-06", "2026-11-03T01:00:00Z", "iam", "CreateAccessKey", "198.51.100.20", hostile, `,"accessKeyId":"AKIAIOSFODNN7EXAMPLE"`, `,"errorCode":"AccessDenied"`)),
		finding(t, "c.json.gz", record("e-07", "2026-11-03T01:00:00Z", "sts", "GetCallerIdentity", "198.51.100.20", "Boto3/1.42.3", `,"accessKeyId":"AKIAIOSFODNN7EXAMPLE"`, "")),
		finding(t, "c.json.gz", record("e-08", "2026-11-04T01:00:00Z", "rds", "ModifyDBInstance", "AWS Internal", "AWS Internal", "", "")),
		finding(t, "d.json.gz", record("e-09", "2026-11-05T01:00:00Z", "ec2", "RunInstances", "autoscaling.amazonaws.com", "autoscaling.amazonaws.com", `,"invokedBy":"autoscaling.amazonaws.com"`, `,"eventType":"AwsApiCall"`)),
		finding(t, "d.json.gz", record("e-10", "2026-11-05T02:00:00Z", "ec2", "CreateTags", "autoscaling.amazonaws.com", "autoscaling.amazonaws.com", `,"invokedBy":"autoscaling.amazonaws.com"`, `,"eventType":"AwsApiCall"`)),
		finding(t, "d.json.gz", record("e-11", "2026-11-05T03:00:00Z", "autoscaling", "CreateOrUpdateTags", "eks-nodegroup.amazonaws.com", "eks-nodegroup.amazonaws.com", `,"invokedBy":"eks-nodegroup.amazonaws.com"`, `,"eventType":"AwsApiCall"`)),
	}
}

var sceneRead = coverage.Summary{
	Files: 1204, Digests: 2, FoldersSkipped: 12, DigestFolders: 1, Problems: make([]coverage.Problem, 1),
	NotCloudTrail: []coverage.Problem{{File: "README.txt"}, {File: ".DS_Store"}, {File: "a\x1b[31m*|b"}, {File: "d"}},
	Events:        pipeline.Counts{pipeline.ResultRoot: 11, pipeline.ResultNotRoot: 1234567, pipeline.ResultDuplicate: 2, pipeline.ResultUndecodable: 1, pipeline.ResultNotCloudTrail: 3, pipeline.ResultHeartbeat: 7, pipeline.ResultForeignSource: 1},
}

// shown is a report of the scene.
func shown(t *testing.T, cfg Config, read coverage.Summary) (out, notes string) {
	t.Helper()
	var o, n bytes.Buffer
	cfg.Out, cfg.Notes = &o, &n
	r := New(cfg)
	for _, f := range scene(t) {
		if err := r.Take(context.Background(), f); err != nil {
			t.Fatal(err)
		}
	}
	if err := r.Show(read); err != nil {
		t.Fatal(err)
	}
	return o.String(), n.String()
}

func TestReports(t *testing.T) {
	for name, cfg := range map[string]Config{
		"table.txt":            {Format: TableFormat},
		"table-120.txt":        {Format: TableFormat, Screen: Screen{Width: 120}},
		"table-80-colours.txt": {Format: TableFormat, Screen: Screen{Width: 80, Color: true}},
		"report.md":            {Format: MarkdownFormat},
		"report.jsonl":         {Format: JSONFormat},
		"explain.txt":          {Format: TableFormat, Explain: "e-06", Screen: Screen{Width: 120}},
		"explain.md":           {Format: MarkdownFormat, Explain: "e-06"},
		"explain.json":         {Format: JSONFormat, Explain: "e-06"},
		"explain-service.txt":  {Format: TableFormat, Explain: "e-09"},
		"selected.txt":         {Format: TableFormat, Wants: func(f *pipeline.Finding) bool { return f.Event.EventTime.Value > "2026-11-04" }},
	} {
		out, notes := shown(t, cfg, sceneRead)
		golden(t, name, out)
		if name == "report.jsonl" {
			golden(t, "notes.txt", notes)
		} else if notes != "" {
			t.Errorf("%s: said beside it: %q", name, notes)
		}
	}
}

func TestNothingFoundIsAnAnswer(t *testing.T) {
	for format, want := range map[Format]string{
		TableFormat:    "Read 1,204 events in 1 file: 0 unexplained root calls, 0 by services themselves, 1,204 not by root.\n",
		MarkdownFormat: "# Root calls\n\nRead 1,204 events in 1 file: 0 unexplained root calls, 0 by services themselves, 1,204 not by root.\n\n",
		JSONFormat:     "",
	} {
		var out, notes bytes.Buffer
		r := New(Config{Format: format, Out: &out, Notes: &notes})
		if err := r.Show(coverage.Summary{Files: 1, Events: pipeline.Counts{pipeline.ResultNotRoot: 1204}}); err != nil {
			t.Fatal(err)
		}
		if out.String() != want {
			t.Errorf("%s: %q, want %q", format, out.String(), want)
		}
		if format == JSONFormat && !strings.HasPrefix(notes.String(), "Read 1,204 events") {
			t.Errorf("notes: %q", notes.String())
		}
	}
}

// TestNoHostileTextGetsThrough looks for anything but visible characters and line ends in what is written, in colours none
// but our own.
func TestNoHostileTextGetsThrough(t *testing.T) {
	for _, format := range []Format{TableFormat, MarkdownFormat, JSONFormat} {
		for _, explain := range []string{"", "e-06"} {
			out, notes := shown(t, Config{Format: format, Explain: explain, Screen: Screen{Width: 100}}, sceneRead)
			for _, r := range out + notes {
				if r != '\n' && !unicode.IsPrint(r) {
					t.Errorf("%s: %q gets through", format, r)
				}
			}
		}
	}
}

func TestMarkdownCellsStayCells(t *testing.T) {
	out, _ := shown(t, Config{Format: MarkdownFormat}, sceneRead)
	for line := range strings.Lines(out) {
		if !strings.HasPrefix(line, "| ") || strings.HasPrefix(line, "| ---") {
			continue
		}
		if n := strings.Count(line, "|"); n != 12 && n != 6 {
			t.Errorf("%d bars in %q", n, line)
		}
		if strings.Count(line, "`")%2 != 0 {
			t.Errorf("a code span is open in %q", line)
		}
	}
}

func TestTablesKeepToTheScreen(t *testing.T) {
	for _, width := range []int{5, 20, 40, 60, 80, 100, 132, 300} {
		out, _ := shown(t, Config{Format: TableFormat, Screen: Screen{Width: width}}, sceneRead)
		for line := range strings.Lines(out) {
			line = strings.TrimSuffix(line, "\n")
			if n := columns.StringWidth(line); n > width {
				t.Errorf("%d columns on a screen of %d: %q", n, width, line)
			}
		}
	}
}

// A name is the account's owner's text: it is shown as such, and must not break what it stands in.
func TestNamesOfAccountsAreShown(t *testing.T) {
	known := pipeline.Account{Name: "prod\x1b[2J*billing", Owner: "payments", Tags: []pipeline.Tag{{Key: "env", Value: "prod"}}}
	for name, c := range map[string]struct {
		cfg  Config
		want string
	}{
		"a table":                    {Config{Format: TableFormat}, `Account 111122223333 (prod\x1b[2J*billing, owner payments, env=prod) · s-`},
		"markdown":                   {Config{Format: MarkdownFormat}, "### Account `111122223333` \\(prod\\\\x1b\\[2J\\*billing, owner payments, env=prod\\): 1 call"},
		"JSON":                       {Config{Format: JSONFormat}, `"account_id":"111122223333","account_name":"prod\u001b[2J*billing",`},
		"an explanation":             {Config{Format: TableFormat, Explain: "e-06"}, `account 111122223333 (prod\x1b[2J*billing, owner payments, env=prod)`},
		"an explanation in markdown": {Config{Format: MarkdownFormat, Explain: "e-06"}, "- Account `111122223333` \\(prod"},
	} {
		t.Run(name, func(t *testing.T) {
			var out, notes bytes.Buffer
			c.cfg.Out, c.cfg.Notes = &out, &notes
			r := New(c.cfg)
			for _, f := range scene(t) {
				f.Account = known
				if err := r.Take(t.Context(), f); err != nil {
					t.Fatal(err)
				}
			}
			if err := r.Show(sceneRead); err != nil {
				t.Fatal(err)
			}
			if !strings.Contains(out.String(), c.want) {
				t.Errorf("%q is not in\n%.2000s", c.want, out.String())
			}
		})
	}
}

func TestJSONIsWhatWasRecorded(t *testing.T) {
	out, _ := shown(t, Config{Format: JSONFormat}, sceneRead)
	findings := scene(t)
	for i, line := range strings.Split(strings.TrimSuffix(out, "\n"), "\n") {
		got := make(map[string]string)
		if err := json.Unmarshal([]byte(line), &got); err != nil {
			t.Fatal(err)
		}
		want := make(map[string]string)
		for _, a := range findings[i].Attrs() {
			want[a.Key] = strings.ToValidUTF8(a.Value.String(), "\ufffd")
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Error(diff)
		}
		if got["file"] == "" {
			t.Error("no file")
		}
	}
}

func TestSignInsBelongToTheSessionThatTheyOpen(t *testing.T) {
	signIn := func(id, at string) string {
		return record(id, at, "signin", "ConsoleLogin", "203.0.113.7", browser, "", `,"eventType":"AwsConsoleSignIn","responseElements":{"ConsoleLogin":"Success"}`)
	}
	call := func(id, at, created string) string {
		return record(id, at, "iam", "ListUsers", "203.0.113.7", browser, sessionOf("ASIA"+id, created), "")
	}
	for _, c := range []struct {
		name    string
		records []string
		want    string
	}{
		{"just before the session", []string{call("call", "2026-11-02T08:30:00Z", "2026-11-02T08:00:10Z"), signIn("in", "2026-11-02T08:00:00Z")}, "in call"},
		{"five minutes before", []string{call("call", "2026-11-02T08:30:00Z", "2026-11-02T08:05:00Z"), signIn("in", "2026-11-02T08:00:00Z")}, "in call"},
		{"more than five minutes before", []string{call("call", "2026-11-02T08:30:00Z", "2026-11-02T08:05:01Z"), signIn("in", "2026-11-02T08:00:00Z")}, "in; call"},
		{"after the session has begun", []string{call("call", "2026-11-02T08:30:00Z", "2026-11-02T08:00:00Z"), signIn("in", "2026-11-02T08:00:01Z")}, "in; call"},
		{"before calls of no session", []string{record("call", "2026-11-02T08:00:10Z", "rds", "ModifyDBInstance", "AWS Internal", "AWS Internal", "", ""), signIn("in", "2026-11-02T08:00:00Z")}, "in; call"},
		{"before two sessions: the first", []string{call("late", "2026-11-02T08:30:00Z", "2026-11-02T08:02:00Z"), call("soon", "2026-11-02T08:40:00Z", "2026-11-02T08:01:00Z"), signIn("in", "2026-11-02T08:00:00Z")}, "in soon; late"},
		{"several, one session", []string{signIn("a", "2026-11-02T08:00:00Z"), signIn("b", "2026-11-02T08:00:20Z"), call("call", "2026-11-02T08:30:00Z", "2026-11-02T08:00:30Z")}, "a b call"},
		{"another account's session", []string{strings.ReplaceAll(call("call", "2026-11-02T08:00:01Z", "2026-11-02T08:00:01Z"), "111122223333", "444455556666"), signIn("in", "2026-11-02T08:00:00Z")}, "in; call"},
		{"no session: by address", []string{signIn("b", "2026-11-03T08:00:00Z"), signIn("a", "2026-11-02T08:00:00Z"), strings.Replace(signIn("c", "2026-11-02T09:00:00Z"), "203.0.113.7", "203.0.113.8", 1)}, "a b; c"},
		{"keys that change, one creation time", []string{call("b", "2026-11-02T08:02:00Z", "2026-11-02T08:00:00Z"), call("a", "2026-11-02T08:01:00Z", "2026-11-02T08:00:00Z")}, "a b"},
		{"one time, in the order of the files", []string{call("b", "2026-11-02T08:02:00Z", "2026-11-02T08:00:00Z"), call("a", "2026-11-02T08:02:00Z", "2026-11-02T08:00:00Z")}, "b a"},
		{"a time that is none", []string{signIn("in", "yesterday"), call("call", "2026-11-02T08:02:00Z", "2026-11-02T08:00:00Z")}, "in; call"},
		{"one creation time, of which one record names the sign-in", []string{
			strings.Replace(call("a", "2026-11-02T08:01:00Z", "2026-11-02T08:00:00Z"), `"sessionContext":{`, `"sessionContext":{"signInSessionArn":"arn:x",`, 1),
			call("b", "2026-11-02T08:02:00Z", "2026-11-02T08:00:00Z"),
		}, "a b"},
	} {
		calls := newCollection()
		names := make(map[int]string)
		for i, r := range c.records {
			f := finding(t, "f", r)
			names[i+1] = f.ID
			if err := calls.Take(context.Background(), f); err != nil {
				t.Fatal(err)
			}
		}
		var groups []string
		for _, s := range calls.sessions() {
			var group []string
			for _, call := range s.calls {
				group = append(group, names[call.position])
			}
			groups = append(groups, strings.Join(group, " "))
		}
		if got := strings.Join(groups, "; "); got != c.want {
			t.Errorf("%s: %s, want %s", c.name, got, c.want)
		}
	}
}

// How a call ended is the service's word, never a text that the caller chose and the response
// repeats.
func TestResultsAreTheServicesWord(t *testing.T) {
	call := func(service, name, more string) *classify.Event {
		return finding(t, "a", record("e", "2026-11-02T08:00:00Z", service, name, "203.0.113.7", "cli", "", more)).Event
	}
	for _, tt := range []struct {
		name string
		e    *classify.Event
		want string
	}{
		{"a call", call("iam", "CreateUser", ""), "ok"},
		{"a call that failed", call("iam", "CreateUser", `,"errorCode":"AccessDenied"`), "AccessDenied"},
		{"a response with a text of the caller's", call("cloudtrail", "UpdateTrail", `,"responseElements":{"s3KeyPrefix":"Failure"}`), "ok"},
		{"a sign-in that failed", call("signin", "ConsoleLogin", `,"responseElements":{"ConsoleLogin":"Failure"}`), "Failure"},
		{"an OAuth call that failed", call("signin", "CreateOAuth2Token", `,"additionalEventData":{"success":false}`), "Failure"},
	} {
		if got := outcome(tt.e); got != tt.want {
			t.Errorf("%s: %q, want %q", tt.name, got, tt.want)
		}
	}
}

func TestCallsBeyondTheLimitAreCounted(t *testing.T) {
	calls := newCollection()
	calls.kept = 3
	for _, f := range scene(t) {
		if err := calls.Take(context.Background(), f); err != nil {
			t.Fatal(err)
		}
	}
	for name, write := range map[string]func(*bytes.Buffer) error{
		"table":    func(b *bytes.Buffer) error { return calls.Table(b, Screen{}, coverage.Summary{}) },
		"markdown": func(b *bytes.Buffer) error { return calls.Markdown(b, coverage.Summary{}) },
	} {
		var b bytes.Buffer
		if err := write(&b); err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(b.String(), "5 unexplained root calls more are not shown") || !strings.Contains(b.String(), "8 unexplained root calls") {
			t.Errorf("%s: %s", name, b.String())
		}
	}
}

func TestLongTextsTakeLittleMemory(t *testing.T) {
	calls := newCollection()
	calls.room = 10_000
	for range 20 {
		f := finding(t, "f", record("e", "2026-11-02T08:00:00Z", "iam", strings.Repeat("n", 1<<14), "203.0.113.7", strings.Repeat("\u00e9", 1<<20), "", ""))
		if err := calls.Take(context.Background(), f); err != nil {
			t.Fatal(err)
		}
	}
	kept := 0
	for _, c := range calls.calls {
		kept += c.size()
		if len(c.name) > maxText || len(c.agent) > maxText || !strings.HasSuffix(c.agent, plain.Mark) {
			t.Fatalf("%d and %d bytes", len(c.name), len(c.agent))
		}
	}
	if kept > 10_000+13*maxText || calls.unexplained != 20 {
		t.Errorf("%d bytes of %d calls kept", kept, calls.unexplained)
	}
}

// full is a disk that is full.
type full struct{}

func (full) Write([]byte) (int, error) { return 0, errors.New("no space left on device") }

func TestAFullDiskEndsTheReport(t *testing.T) {
	stopped := 0
	r := New(Config{Format: JSONFormat, Out: full{}, Stop: func() { stopped++ }})
	for range 100 {
		for _, f := range scene(t) {
			if err := r.Take(context.Background(), f); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := r.Show(coverage.Summary{}); err == nil || r.Failed() == nil || stopped != 1 {
		t.Errorf("error %v, stopped %d times", err, stopped)
	}
	for _, format := range []Format{TableFormat, MarkdownFormat, JSONFormat} {
		for _, explain := range []string{"", "e-06"} {
			r := New(Config{Format: format, Explain: explain, Out: full{}, Notes: full{}, Stop: func() {}})
			if err := r.Take(context.Background(), scene(t)[5]); err != nil {
				t.Fatal(err)
			}
			if err := r.Show(coverage.Summary{}); err == nil {
				t.Errorf("%s, %q: no error", format, explain)
			}
		}
	}
}

// measured is a source with so many bytes.
type measured struct{ total int64 }

func (m measured) Progress() (int, int64) { return 3, m.total / 2 }

func (m measured) Total(context.Context) (int, int64, error) { return 6, m.total, nil }

func TestProgressIsShownOfLongWorkOnly(t *testing.T) {
	var short bytes.Buffer
	ShowProgress(context.Background(), &short, measured{1 << 20}).Stop()
	if short.Len() > 0 {
		t.Errorf("short work: %q", short.String())
	}
	for _, c := range map[string]struct {
		total int64
		want  string
	}{"files": {1 << 30, "3 of 6 files"}, "standard input": {0, "3 of 6 files"}} {
		w := &waiting{for_: c.want, seen: make(chan struct{})}
		p := showProgress(context.Background(), w, measured{c.total}, time.Nanosecond)
		<-w.seen
		p.Stop()
	}
}

// waiting is a terminal on which something is to appear.
type waiting struct {
	for_ string
	text strings.Builder
	seen chan struct{}
	done bool
}

func (w *waiting) Write(p []byte) (int, error) {
	w.text.Write(p)
	if !w.done && strings.Contains(w.text.String(), w.for_) {
		w.done = true
		close(w.seen)
	}
	return len(p), nil
}

// FuzzShown writes any text in every way.
func FuzzShown(f *testing.F) {
	f.Add(hostile)
	f.Add("`|\\`\\|")
	f.Add("\u0301\u200d👩‍👩‍👧 ")
	f.Fuzz(func(t *testing.T, s string) {
		for _, shown := range []string{plain.Visible(s), code(s), text(s), string(plain.AppendJSON(nil, s))} {
			for _, r := range shown {
				if !unicode.IsPrint(r) {
					t.Fatalf("%q in %q", r, shown)
				}
			}
		}
		var back string
		if err := json.Unmarshal(plain.AppendJSON(nil, s), &back); err != nil || back != strings.ToValidUTF8(valid(s), "\ufffd") {
			t.Fatalf("%v: %q, want %q", err, back, s)
		}
		if c := code(s); s != "" && strings.ContainsAny(c[1:len(c)-1], "`|") {
			t.Fatalf("%q", c)
		}
		for _, width := range []int{1, 5, 20} {
			if got := columns.StringWidth(fit(plain.Visible(s), width)); got > width {
				t.Fatalf("%q has %d columns, not %d", fit(plain.Visible(s), width), got, width)
			}
		}
	})
}

// valid replaces each broken byte, as encoding/json does; strings.ToValidUTF8 replaces runs of them.
func valid(s string) string { return string([]rune(s)) }
