package archive

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
	"go.uber.org/goleak"

	"rootwatch/pipeline"
	"rootwatch/pipeline/coverage"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// event is a call by root or by somebody else.
func event(identity, id string) string {
	return fmt.Sprintf(`{"eventVersion":"1.11","userIdentity":{"type":%q,"arn":"arn:aws:iam::111122223333:root","accountId":"111122223333"},`+
		`"eventTime":"2026-11-02T08:00:00Z","eventSource":"iam.amazonaws.com","eventName":"CreateUser","awsRegion":"us-east-1",`+
		`"sourceIPAddress":"203.0.113.7","userAgent":"say \"hi\" {[","eventID":%q}`, identity, id)
}

func quote(s string) string {
	b, err := json.Marshal(s)
	if err != nil {
		panic(err)
	}
	return string(b)
}

// joined is a list of events, each of them wrapped.
func joined(wrap func(string) string, events ...string) string {
	var all []string
	for _, e := range events {
		all = append(all, wrap(e))
	}
	return strings.Join(all, ",")
}

func same(s string) string { return s }

func inFile(events ...string) string { return `{"Records":[` + joined(same, events...) + `]}` }

func wrapped(e string) string {
	return `{"version":"0","id":"x","detail-type":"AWS API Call via CloudTrail","source":"aws.iam","account":"111122223333","time":"2026-11-02T08:00:01Z","region":"us-east-1","resources":[],"detail":` + e + `}`
}

func logged(events ...string) string {
	return `{"messageType":"DATA_MESSAGE","owner":"777788889999","logGroup":"g","logStream":"s","subscriptionFilters":["f"],"logEvents":[` +
		joined(func(e string) string { return `{"id":"1","timestamp":1790000000000,"message":` + quote(e) + `}` }, events...) + `]}`
}

func lookedUpOne(e string) string {
	return `{"EventId":"1","EventName":"CreateUser","EventSource":"iam.amazonaws.com","Resources":[],"CloudTrailEvent":` + quote(e) + `}`
}

func lookedUp(events ...string) string {
	return `{"Events":[` + joined(lookedUpOne, events...) + `],"NextToken":"t"}`
}

// loggedLine is one line of a log group as FilterLogEvents answers.
func loggedLine(e string) string {
	return `{"logStreamName":"s","timestamp":1790000000000,"message":` + quote(e) + `,"ingestionTime":1790000000001,"eventId":"3"}`
}

func lines(values ...string) string { return strings.Join(values, "\n") + "\n" }

func exported(events ...string) string {
	var b strings.Builder
	for _, e := range events {
		b.WriteString("2026-11-02T08:00:00.123Z " + e + "\n")
	}
	return b.String()
}

func indented(document string) string {
	var b bytes.Buffer
	if err := json.Indent(&b, []byte(document), "", "    "); err != nil {
		panic(err)
	}
	return b.String()
}

// forms are all texts that hold the calls root-1 and root-2 and the call user-1 of somebody else.
func forms() map[string]string {
	root1, user, root2 := event("Root", "root-1"), event("IAMUser", "user-1"), event("Root", "root-2")
	return map[string]string{
		"an S3 log file":                                  inFile(root1, user, root2),
		"an S3 log file, indented":                        indented(inFile(root1, user, root2)),
		"an S3 log file behind a byte order mark":         "\xef\xbb\xbf" + inFile(root1, user, root2),
		"S3 log files, one a line":                        lines(inFile(root1), inFile(user, root2)),
		"S3 log files with nothing between them":          inFile(root1) + inFile(user) + inFile(root2),
		"an export by CloudWatch Logs":                    exported(root1, user, root2),
		"an export with lines ended as Windows does":      strings.ReplaceAll(exported(root1, user, root2), "\n", "\r\n"),
		"a subscription payload":                          logged(root1, user, root2),
		"subscription payloads with nothing between them": logged(root1) + logged(user, root2),
		"subscription payloads, one a line":               lines(logged(root1, user), logged(root2)),
		"an answer of lookup-events":                      lookedUp(root1, user, root2),
		"an answer of lookup-events, indented":            indented(lookedUp(root1, user, root2)),
		"an answer of lookup-events, its token first":     `{"NextToken":"t",` + lookedUp(root1, user, root2)[1:],
		"an answer of filter-log-events":                  indented(`{"events":[` + joined(loggedLine, root1, user, root2) + `],"searchedLogStreams":[]}`),
		"an answer of get-log-events, its token first":    `{"nextForwardToken":"f/3","events":[` + joined(loggedLine, root1, user, root2) + `]}`,
		"filter-log-events --query events":                "[" + joined(loggedLine, root1, user, root2) + "]",
		"lines of a log group, one a line":                lines(loggedLine(root1), loggedLine(user), loggedLine(root2)),
		"lookup-events --query Events":                    "[" + joined(lookedUpOne, root1, user, root2) + "]",
		"lookup-events --query Events[].CloudTrailEvent":  "[" + joined(quote, root1, user, root2) + "]",
		"the same with --output text":                     root1 + "\t" + user + "\t" + root2 + "\n",
		"a list of answers":                               "[" + lookedUp(root1) + "," + lookedUp(user, root2) + "]",
		"EventBridge envelopes, one a line":               lines(wrapped(root1), wrapped(user), wrapped(root2)),
		"a list of EventBridge envelopes":                 "[" + joined(wrapped, root1, user, root2) + "]",
		"bare records, one a line":                        lines(root1, user, root2),
		"bare records, one a line, with empty lines":      "\n\n" + root1 + "\n\n" + user + "\n" + root2,
		"bare records over several lines each":            indented(root1) + "\n" + indented(user) + "\n" + indented(root2),
		"a list of bare records":                          "[" + joined(same, root1, user, root2) + "]",
		"a list of lists of bare records":                 "[[" + root1 + "],[" + user + "," + root2 + "]]",
		"a list of bare records, indented":                indented("[" + joined(same, root1, user, root2) + "]"),
		"all of it in one file":                           lines(inFile(root1), wrapped(user)) + exported(root2),
		"behind an empty log file":                        inFile() + "\n" + lines(root1, user, root2),
		"a log file with members around the list":         `{"a":{"Records":[]},"Records":[` + root1 + "," + user + `],"b":[1,{}]}` + root2,
	}
}

func gzipped(s string) string {
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	if _, err := io.WriteString(w, s); err != nil {
		panic(err)
	}
	if err := w.Close(); err != nil {
		panic(err)
	}
	return b.String()
}

func zstandard(s string) string {
	w, err := zstd.NewWriter(nil)
	if err != nil {
		panic(err)
	}
	defer w.Close() //nolint:errcheck // it has written nothing
	return string(w.EncodeAll([]byte(s), nil))
}

var compressions = map[string]func(string) string{
	"plain":                  same,
	"gzip":                   gzipped,
	"zstd":                   zstandard,
	"gzip in gzip":           func(s string) string { return gzipped(gzipped(s)) },
	"zstd in gzip":           func(s string) string { return gzipped(zstandard(s)) },
	"gzip in zstd":           func(s string) string { return zstandard(gzipped(s)) },
	"gzip in four layers":    func(s string) string { return gzipped(gzipped(gzipped(gzipped(s)))) },
	"gzip before zero bytes": func(s string) string { return gzipped(s) + strings.Repeat("\x00", 512) },
	"gzip of several parts":  func(s string) string { return gzipped(s[:len(s)/2]) + gzipped(s[len(s)/2:]) },
	"zstd of several parts":  func(s string) string { return zstandard(s[:len(s)/2]) + zstandard(s[len(s)/2:]) },
}

// write makes a file of a text.
func write(t testing.TB, folder, name, text string) string {
	t.Helper()
	f := create(t, filepath.Join(folder, name))
	if _, err := f.WriteString(text); err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	return f.Name()
}

func ids(findings []*pipeline.Finding) (list []string) {
	for _, f := range findings {
		list = append(list, f.Event.EventID.Value)
	}
	return list
}

func TestEveryFormIsReadInEveryCompression(t *testing.T) {
	folder := t.TempDir()
	for form, text := range forms() {
		for compression, compress := range compressions {
			ways := map[string]Config{"named": {Paths: []string{write(t, folder, "file", compress(text))}}}
			if compression == "plain" || compression == "gzip" {
				ways["stdin"] = Config{Paths: []string{coverage.Stdin}, Stdin: strings.NewReader(compress(text))}
			}
			for way, cfg := range ways {
				findings, summary := reviewed(t, cfg)
				if diff := cmp.Diff([]string{"root-1", "root-2"}, ids(findings)); diff != "" || len(summary.Problems) > 0 || summary.Events[pipeline.ResultNotRoot] != 1 || summary.Events[pipeline.ResultRoot] != 2 || summary.Files != 1 {
					t.Errorf("%s, %s, %s: %v %v\n%s", form, compression, way, summary.Events, summary.Problems, diff)
				}
				for _, f := range findings {
					if f.File != cfg.Paths[0] {
						t.Errorf("%s, %s: file %q, want %q", form, compression, f.File, cfg.Paths[0])
					}
				}
			}
		}
	}
}

// A root call that lacks another member must not vanish: in a log file an identity is enough, as it
// is in an envelope.
func TestAnIdentityAloneIsAnEventInALogFile(t *testing.T) {
	const call = `{"eventID":"root-1","userIdentity":{"type":"Root","accountId":"111122223333"}}`
	for form, text := range map[string]string{
		"an S3 log file": `{"Records":[` + call + `]}`,
		"JSON lines":     call + "\n",
		"a list":         "[" + call + "]",
	} {
		findings, summary := reviewed(t, Config{Paths: []string{write(t, t.TempDir(), "file", text)}})
		if diff := cmp.Diff([]string{"root-1"}, ids(findings)); diff != "" || len(summary.Problems) > 0 {
			t.Errorf("%s: %v %v\n%s", form, summary.Events, summary.Problems, diff)
		}
	}
}

func TestFormsThatHoldNoEvent(t *testing.T) {
	folder := t.TempDir()
	digest := `{"awsAccountId":"111122223333","digestStartTime":"2026-11-02T08:00:00Z","digestEndTime":"2026-11-02T09:00:00Z","digestS3Bucket":"b","digestS3Object":"o","logFiles":[]}`
	for _, c := range []struct {
		name, text string
		alien      string // in a folder: why it is left out; "" if it is not
		digest     bool
		problem    string // in a folder
	}{
		{name: "an empty S3 log file", text: inFile()},
		{name: "an answer without events", text: indented(`{"Events":[]}`)},
		{name: "an empty list", text: "[]\n"},
		{name: "a digest file", text: gzipped(digest), digest: true},
		{name: "a text", text: "Read me.\n", alien: "not JSON"},
		{name: "a binary file", text: "\x00\x00\x00\x01Bud1\x00", alien: "not JSON"},
		{name: "an empty file", text: "", alien: "empty"},
		{name: "an empty gzip file", text: gzipped(""), alien: "empty"},
		{name: "zero bytes", text: strings.Repeat("\x00", 3000), alien: "nothing but zero bytes"},
		{name: "a lone null", text: "null\n", alien: "JSON, but no event of CloudTrail's in it"},
		{name: "a lone string", text: `"abc"`, alien: "JSON, but no event of CloudTrail's in it"},
		{name: "an answer of filter-log-events, of another log group", text: `{"events":[{"timestamp":1,"message":"START RequestId"}]}`, alien: "JSON, but no event of CloudTrail's in it"},
		{name: "white space", text: " \n ", alien: "empty"},
		{name: "another program's JSON", text: `{"name":"x","version":1}`, alien: "JSON, but no event of CloudTrail's in it"},
		{name: "a log of something else", text: "2026-11-02T08:00:00.000Z START RequestId\n", alien: "not JSON"},
		{name: "settings in sections", text: "[core]\n\tbare = false\n", alien: "not JSON"},
		{name: "a template", text: "{{ .Values }}\n", alien: "not JSON"},
		{name: "a table with quotes", text: "\"a\",\"b\"\n", alien: "not JSON"},
		{name: "an S3 notification", text: `{"Records":[{"eventVersion":"2.1","eventSource":"aws:s3","eventName":"ObjectCreated:Put","userIdentity":{"principalId":"AWS:A"},"s3":{}}]}`, alien: "JSON, but no event of CloudTrail's in it"},
		{name: "what invokes a Lambda function", text: `{"Records":[{"eventSource":"aws:kinesis","eventName":"aws:kinesis:record","kinesis":{"data":"e30="}}]}`, alien: "JSON, but no event of CloudTrail's in it"},
		{name: "a notification that names a user", text: `{"Records":[{"eventSource":"aws:s3","eventName":"x","userIdentity":{"type":"IAMUser"}}]}`, alien: "JSON, but no event of CloudTrail's in it"},
		{name: "events without an identity", text: inFile(`{"eventSource":"a","eventName":"b"}`), problem: "no userIdentity: who called cannot be judged"},
		{name: "events with an empty identity", text: lines(`{"eventSource":"a","eventName":"b","userIdentity":{}}`), problem: "no userIdentity: who called cannot be judged"},
		{name: "a list that breaks", text: "[", problem: "truncated"},
		{name: "every line broken", text: strings.Repeat("{\"a\":}\n", 5000), problem: "invalid JSON"},
		{name: "UTF-16", text: "\xff\xfe{\x00}\x00", problem: "UTF-16"},
		{name: "gzip in five layers", text: gzipped(gzipped(gzipped(gzipped(gzipped("{}"))))), problem: "more than four times"},
		{name: "a broken gzip header", text: "\x1f\x8b\x07\x00\x00\x00\x00\x00\x00\x00", problem: "broken gzip data"},
	} {
		t.Run(c.name, func(t *testing.T) {
			path := write(t, filepath.Join(folder, c.name), "file", c.text)
			findings, inFolder := reviewed(t, Config{Paths: []string{filepath.Dir(path)}})
			_, named := reviewed(t, Config{Paths: []string{path}})
			if len(findings) > 0 || inFolder.Files != 1 {
				t.Fatalf("%d findings in %d files", len(findings), inFolder.Files)
			}
			var aliens, problems []coverage.Problem
			if c.alien != "" {
				aliens = []coverage.Problem{{File: path, Reason: c.alien}}
			}
			if diff := cmp.Diff(aliens, inFolder.NotCloudTrail); diff != "" {
				t.Error(diff)
			}
			if (inFolder.Digests == 1) != c.digest {
				t.Errorf("%d digests", inFolder.Digests)
			}
			if problems = inFolder.Problems; len(problems) > 1 || (len(problems) == 1) != (c.problem != "") || len(problems) == 1 && !strings.Contains(problems[0].Reason, c.problem) {
				t.Errorf("problems in a folder: %v", problems)
			}
			if (len(named.Problems) == 1) != (c.alien+c.problem != "") {
				t.Errorf("problems when named: %v", named.Problems)
			}
		})
	}
}

// A trail that aggregates data events writes them where its log files are: no call is missing
// there, and no file is damaged.
func TestAggregatedEventsAreToldOnceAFile(t *testing.T) {
	const summary = `{"eventVersion":"1.0","accountId":"111122223333","eventId":"1","eventCategory":"Aggregated","eventType":"AwsAggregatedEvent","eventSource":"s3.amazonaws.com","summary":{}}`
	const notification = `{"eventSource":"aws:s3","eventName":"ObjectCreated:Put"}`
	folder := filepath.Join(t.TempDir(), "AWSLogs/111122223333/CloudTrail/us-east-1/2026/11/02")
	for name, c := range map[string]struct {
		text    string
		mixed   string
		problem string
	}{
		"one alone":              {inFile(summary), "1 aggregated event in it sums up data events: it is no call, and is not judged", ""},
		"several":                {inFile(summary, summary, summary), "3 aggregated events in it sum up data events: they are no calls, and are not judged", ""},
		"beside a call":          {inFile(event("IAMUser", "u"), summary), "1 aggregated event in it sums up data events: it is no call, and is not judged", ""},
		"beside something else":  {inFile(event("IAMUser", "u"), summary, `{}`), "1 value in it is not CloudTrail's, and is not judged; 1 aggregated event in it sums up data events: it is no call, and is not judged", ""},
		"beside a notification":  {inFile(summary, notification), "", "JSON, but no event of CloudTrail's in it"},
		"beside a broken record": {inFile(summary, `{"eventSource":"a","eventName":"b"}`), "", "no userIdentity"},
	} {
		t.Run(name, func(t *testing.T) {
			path := write(t, filepath.Join(folder, name), "a.json", c.text)
			for _, paths := range [][]string{{path}, {filepath.Dir(path)}} {
				_, got := reviewed(t, Config{Paths: paths})
				var mixed []coverage.Problem
				if c.mixed != "" {
					mixed = []coverage.Problem{{File: path, Reason: c.mixed}}
				}
				if diff := cmp.Diff(mixed, got.Mixed); diff != "" {
					t.Error(diff)
				}
				if c.problem == "" && len(got.Problems)+len(got.NotCloudTrail) > 0 || c.problem != "" && (len(got.Problems) != 1 || !strings.Contains(got.Problems[0].Reason, c.problem)) {
					t.Errorf("problems %v, left out %v; want %q", got.Problems, got.NotCloudTrail, c.problem)
				}
			}
		})
	}
}

func TestCopiesInSeveralFilesAreOneCallWhoeverIsFaster(t *testing.T) {
	folder := t.TempDir()
	var want []string
	for i := range 30 {
		// Every file repeats the call of the file before it. The first ones are long, so that the
		// others overtake them.
		text := strings.Repeat(event("IAMUser", "u")+"\n", 1000/(i+1))
		if i > 0 {
			text += event("Root", fmt.Sprintf("root-%d", i-1)) + "\n"
		}
		text += event("Root", fmt.Sprintf("root-%d", i)) + "\n"
		path := write(t, folder, fmt.Sprintf("%02d.json", i), text)
		want = append(want, fmt.Sprintf("root-%d in %s", i, path))
	}
	for run := range 20 {
		findings, summary := reviewed(t, Config{Paths: []string{folder}, Readers: 1 + run%5})
		var got []string
		for _, f := range findings {
			got = append(got, f.Event.EventID.Value+" in "+f.File)
		}
		if diff := cmp.Diff(want, got); diff != "" || summary.Events[pipeline.ResultDuplicate] != 29 {
			t.Fatalf("run %d: %v\n%s", run, summary.Events, diff)
		}
	}
}

func TestPathsThatCannotBeRead(t *testing.T) {
	folder := t.TempDir()
	good := write(t, folder, "good.json", event("Root", "root-1"))
	missing := filepath.Join(folder, "missing.json")
	if err := os.Symlink(filepath.Join(folder, "nowhere"), filepath.Join(folder, "dangling")); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(folder, filepath.Join(folder, "round")); err != nil {
		t.Fatal(err)
	}
	findings, summary := reviewed(t, Config{Paths: []string{missing, folder, good}})
	if diff := cmp.Diff([]string{"root-1"}, ids(findings)); diff != "" {
		t.Error(diff)
	}
	want := []coverage.Problem{
		{File: missing, Reason: "stat: no such file or directory"},
		{File: filepath.Join(folder, "dangling"), Reason: "stat: no such file or directory"},
	}
	if diff := cmp.Diff(want, summary.Problems); diff != "" {
		t.Error(diff)
	}
}

func TestConfigurationIsChecked(t *testing.T) {
	for name, paths := range map[string][]string{"no path": nil, "an empty path": {"a", ""}, "standard input twice": {"-", "-"}} {
		if _, err := New(Config{Paths: paths}); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

// TestCorpusGivesTheSameVerdictsInEveryForm reads public records, which are not part of this
// module: ROOTWATCH_CORPUS is their folder, with files of lines
// {"verdict":…,"reason":…,"record":…}.
func TestCorpusGivesTheSameVerdictsInEveryForm(t *testing.T) {
	corpus := os.Getenv("ROOTWATCH_CORPUS")
	if corpus == "" {
		t.Skip("ROOTWATCH_CORPUS is not set")
	}
	records, want := readCorpus(t, corpus)
	chunks := slices.Collect(slices.Chunk(records, 50))
	many := func(document func(...string) string) string {
		var all []string
		for _, c := range chunks {
			all = append(all, document(c...))
		}
		return lines(all...)
	}
	folder := t.TempDir()
	for form, text := range map[string]string{
		"S3 log file": inFile(records...), "S3 log files": many(inFile), "export": exported(records...), "payloads": many(logged),
		"lookup-events": many(lookedUp), "one long answer": lookedUp(records...), "lines": lines(records...),
		"list": "[" + joined(same, records...) + "]", "list of strings": "[" + joined(quote, records...) + "]",
		"envelopes": "[" + joined(wrapped, records...) + "]", "indented": indented(inFile(records...)),
	} {
		for compression, compress := range map[string]func(string) string{"plain": same, "gzip": gzipped, "zstd": zstandard} {
			findings, summary := reviewed(t, Config{Paths: []string{write(t, folder, "corpus", compress(text))}})
			got := make(map[string]int)
			for _, f := range findings {
				got[string(f.Verdict)+" "+string(f.Reason)]++
			}
			if diff := cmp.Diff(want, got); diff != "" || len(summary.Problems) > 0 {
				t.Errorf("%s, %s: %v\n%s", form, compression, summary.Problems, diff)
			}
			if n := summary.Events[pipeline.ResultNotRoot]; n != len(records)-total(want) {
				t.Errorf("%s, %s: %d not by root, of %d records", form, compression, n, len(records))
			}
		}
	}
}

func total(counts map[string]int) (n int) {
	for c := range maps.Values(counts) {
		n += c
	}
	return n
}

// readCorpus gives bare records, each with an id of its own and on one line, and how often each
// verdict is due.
func readCorpus(t *testing.T, folder string) (records []string, verdicts map[string]int) {
	verdicts = make(map[string]int)
	for _, name := range []string{"root.jsonl", "other.jsonl", "eventbridge.jsonl"} {
		data, err := os.ReadFile(filepath.Join(folder, name))
		if err != nil {
			t.Fatal(err)
		}
		for line := range bytes.Lines(data) {
			var c struct {
				Verdict, Reason string
				Record          map[string]json.RawMessage
			}
			if err := json.Unmarshal(line, &c); err != nil {
				t.Fatal(err)
			}
			if detail := c.Record["detail"]; detail != nil {
				c.Record = nil
				if err := json.Unmarshal(detail, &c.Record); err != nil {
					t.Fatal(err)
				}
			}
			c.Record["eventID"] = json.RawMessage(fmt.Sprintf(`"corpus-%d"`, len(records)))
			delete(c.Record, "addendum")
			record, err := json.Marshal(c.Record)
			if err != nil {
				t.Fatal(err)
			}
			records = append(records, string(record))
			if c.Verdict != "not_root" {
				verdicts[c.Verdict+" "+c.Reason]++
			}
		}
	}
	return records, verdicts
}
