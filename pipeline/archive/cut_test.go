package archive

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"runtime"
	"slices"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/google/go-cmp/cmp"

	"rootwatch/pipeline"
	"rootwatch/pipeline/scan"
)

// cutOut keeps what is cut out of a text.
type cutOut struct {
	pieces    []string
	notRoots  int
	breaks    []error
	forgotten bool // only count
	count     int
}

func (c *cutOut) notRoot() { c.notRoots++ }

func (c *cutOut) piece(data []byte, _ spot) {
	if c.count++; !c.forgotten {
		c.pieces = append(c.pieces, string(bytes.Trim(data, " \t\r\n")))
	}
}

func (c *cutOut) broken(err error) { c.breaks = append(c.breaks, err) }

// cutUp cuts a text with a buffer that begins with so many bytes and grows to so many.
func cutUp(in io.Reader, size, limit int) *cutOut {
	out := new(cutOut)
	c := cutter{in: in, out: out, buf: make([]byte, size), limit: limit}
	c.text()
	return out
}

func TestBrokenTexts(t *testing.T) {
	root, other, user := event("Root", "root-1"), event("Root", "root-2"), event("IAMUser", "user-1")
	bad := strings.Replace(root, `"eventName"`, `,"eventName"`, 1)
	unquoted := strings.Replace(root, `"CreateUser"`, `"CreateUser`, 1)
	for _, c := range []struct {
		name, text string
		found      []string // ids of the root calls
		wrong      string   // in the problem
	}{
		{"a log file cut off in an event", inFile(root, user, other)[:len(inFile(root, user))+40], []string{"root-1"}, "ends in the middle"},
		{"a log file cut off between events", inFile(root, user, other)[:len(inFile(root, user))-1], []string{"root-1"}, "truncated"},
		{"a log file cut off behind a comma", inFile(root, user)[:len(inFile(root))-1], []string{"root-1"}, "truncated"},
		{"a log file cut off behind its list", strings.TrimSuffix(inFile(root), "}"), []string{"root-1"}, "truncated"},
		{"an invalid event among others", inFile(bad, root, bad, other), []string{"root-1", "root-2"}, "invalid JSON"},
		{"an event with a quote missing, in a log file", inFile(root, unquoted, other), []string{"root-1", "root-2"}, "invalid JSON"},
		{"an event with a quote missing, one a line", lines(root, unquoted, other), []string{"root-1", "root-2"}, "undecodable"},
		{"two lines that are broken so that they fit together", lines(root+`{"a":`, `{},}`, other), []string{"root-1", "root-2"}, "undecodable"},
		{"a comma missing", `{"Records":[` + root + " " + other + "]}", []string{"root-1"}, "where a comma or the end of a list is due"},
		{"something else in the list", `{"Records":[` + root + ",;" + other + "]}", []string{"root-1"}, "invalid JSON"},
		{"a line of text among JSON lines", lines(root, "oops", other), []string{"root-1", "root-2"}, "invalid JSON"},
		{"a log file behind a broken one", inFile(root)[:100] + "\n" + inFile(other), []string{"root-2"}, "undecodable"},
		{"a log file behind one that is cut in its list", strings.TrimSuffix(inFile(root), "]}") + "\n" + inFile(other), []string{"root-1", "root-2"}, "where a comma"},
		{"the line before the last cut off where a value is due", lines(root, `{"a":`, other), []string{"root-1", "root-2"}, "ends in the middle"},
		{"a line cut off in a list", lines(`{"Records":[`+root+",", other), []string{"root-1", "root-2"}, "truncated"},
		{"a bracket too much", inFile(root) + "}\n" + inFile(other), []string{"root-1", "root-2"}, "undecodable"},
		{"garbage before the first line", "garbage\n" + lines(root), []string{"root-1"}, "undecodable"},
		{"what was said before an answer of lookup-events", "Note: paging\n" + indented(lookedUp(root, user)), []string{"root-1"}, "undecodable"},
		{"what was said before an answer of filter-log-events", "Note: paging\n" + indented(`{"events":[`+loggedLine(root)+`]}`), []string{"root-1"}, "undecodable"},
		{"an exported line of text", exported("oops", root), []string{"root-1"}, "undecodable"},
		{"a payload cut off", logged(root, other)[:len(logged(root))+20], []string{"root-1"}, "ends in the middle"},
		{"a payload whose second message is broken", logged(root, bad, other), []string{"root-1", "root-2"}, "invalid"},
		{"an answer cut off", lookedUp(root, other)[:len(lookedUp(root))+20], []string{"root-1"}, "ends in the middle"},
		{"a list that is not closed", "[" + root, []string{"root-1"}, "truncated"},
		{"gzip cut off", gzipped(strings.Repeat(lines(user), 200) + lines(root) + strings.Repeat(lines(user, "[]"), 200))[:400], nil, "truncated: the gzip data ends early"},
		{"gzip with something behind it", gzipped(lines(root)) + "something behind it", []string{"root-1"}, "something that is not gzip stands behind the gzip data"},
		{"gzip with half a member behind it", gzipped(lines(root)) + gzipped(lines(other))[:5], []string{"root-1"}, "truncated: the gzip data ends early"},
		{"a break in the forty-first line", strings.Repeat(user+"\n", 40) + "oops\n" + root, []string{"root-1"}, fmt.Sprintf("byte %d of the text (line 41)", 40*(len(user)+1))},
		{"gzip with a wrong checksum", flipped(gzipped(lines(root)), -6), []string{"root-1"}, "broken gzip data: gzip: invalid checksum"},
		{"zstd cut off", zstandard(lines(root))[:60], nil, "truncated: the zstd data ends early"},
	} {
		t.Run(c.name, func(t *testing.T) {
			path := write(t, t.TempDir(), "file", c.text)
			good := write(t, t.TempDir(), "good", event("Root", "root-3"))
			findings, summary := reviewed(t, Config{Paths: []string{path, good}})
			if diff := cmp.Diff(append(c.found, "root-3"), ids(findings)); diff != "" {
				t.Errorf("root calls: %s", diff)
			}
			if len(summary.Problems) != 1 || summary.Problems[0].File != path {
				t.Fatalf("problems: %v", summary.Problems)
			}
			if !strings.Contains(summary.Problems[0].Reason, c.wrong) && (c.wrong != "undecodable" || summary.Events[pipeline.ResultUndecodable] == 0) {
				t.Errorf("problem %q, want %q", summary.Problems[0].Reason, c.wrong)
			}
		})
	}
}

// flipped is a text with one byte changed, counted from its end.
func flipped(s string, at int) string {
	b := []byte(s)
	b[len(b)+at] ^= 0xff
	return string(b)
}

// repeated is a text of any length: a beginning, the same part again and again, and an end.
func repeated(beginning, part string, size int64, end string) (io.Reader, int) {
	n := int(size) / len(part)
	parts := make([]io.Reader, 0, n+2)
	parts = append(parts, strings.NewReader(beginning))
	for range n {
		parts = append(parts, strings.NewReader(part))
	}
	return io.MultiReader(append(parts, strings.NewReader(end))...), n
}

func TestDocumentsOfAnyLengthTakeLittleMemory(t *testing.T) {
	user, root := event("IAMUser", "u"), event("Root", "root")
	element := strings.Repeat(user+",\n", 500)
	long := strings.Repeat("x", 1<<16)
	for _, c := range []struct {
		name                 string
		beginning, part, end string
		perPart, roots       int
		largest              int
	}{
		{"a log file", `{"Records":[` + root + ",", element, root + "]}", 500, 2, minBuffer},
		{"a list", "[" + root + ",", element, root + "]", 500, 2, minBuffer},
		{"lines", root, strings.ReplaceAll(element, ",\n", "\n"), root, 500, 2, minBuffer},
		{"an answer of LookupEvents", `{"Events":[`, strings.Repeat(lookedUpOne(root)+",", 100), lookedUpOne(root) + "]}", 0, -100, minBuffer},
		{"an answer that begins with its token", `{"NextToken":"t","Events":[`, strings.Repeat(user+",", 100), root + "]}", 100, 1, 2 << 20},
		{"a payload", `{"messageType":"DATA_MESSAGE","owner":"777788889999","logEvents":[`, strings.Repeat(`{"id":"1","message":`+quote(root)+"},", 100), `{"id":"1","message":` + quote(root) + "}]}", 0, -100, 2 << 20},
		{"a log file behind a huge member", `{"a":"`, long, `","Records":[` + root + "]}", 0, 1, 2 << 20},
		{"a log file with a huge element", `{"Records":[{"a":["`, long, `"]},` + root + "]}", 0, 1, 2 << 20},
	} {
		t.Run(c.name, func(t *testing.T) {
			size := int64(64 << 20)
			if c.perPart == 0 {
				size = 16 << 20 // pieces that are handed over cost more than those that are only counted
			}
			text, parts := repeated(c.beginning, c.part, size, c.end)
			out := &cutOut{forgotten: true}
			cut := cutter{in: text, out: out, buf: make([]byte, minBuffer), limit: 2 << 20}
			var before, after runtime.MemStats
			runtime.GC()
			runtime.ReadMemStats(&before)
			cut.text()
			runtime.ReadMemStats(&after)
			want := c.roots
			if want < 0 {
				want = -want*parts + 1
			}
			if out.notRoots != parts*c.perPart || out.count != want {
				t.Errorf("%d not by root and %d pieces, want %d and %d; %v", out.notRoots, out.count, parts*c.perPart, want, out.breaks)
			}
			if len(cut.buf) > c.largest {
				t.Errorf("a buffer of %d bytes", len(cut.buf))
			}
			if c.roots > 0 {
				if grown := after.TotalAlloc - before.TotalAlloc; grown > 8<<20 {
					t.Errorf("%d bytes were allocated for %d bytes of text", grown, size)
				}
			}
		})
	}
}

func TestPiecesDoNotDependOnHowTheTextComes(t *testing.T) {
	for form, text := range forms() {
		text = strings.TrimPrefix(text, "\xef\xbb\xbf")
		want := cutUp(strings.NewReader(text), minBuffer, maxBuffer)
		for _, size := range []int{1, 7, 64, 1000} {
			for way, in := range map[string]io.Reader{"whole": strings.NewReader(text), "byte by byte": iotest.OneByteReader(strings.NewReader(text)), "with its end": iotest.DataErrReader(strings.NewReader(text))} {
				got := cutUp(in, size, maxBuffer)
				if diff := cmp.Diff(want.pieces, got.pieces); diff != "" || got.notRoots != want.notRoots || len(got.breaks) > 0 {
					t.Errorf("%s, %s, buffer of %d: %v\n%s", form, way, size, got.breaks, diff)
				}
			}
		}
	}
}

// reference cuts a text as encoding/json does; ok is false if it refuses the text.
func reference(text []byte) (out *cutOut, ok bool) {
	out = new(cutOut)
	dec := json.NewDecoder(bytes.NewReader(text))
	for {
		var v json.RawMessage
		switch err := dec.Decode(&v); {
		case err == io.EOF:
			return out, true
		case err != nil:
			return out, false
		}
		out.unit(v, 0)
	}
}

func (c *cutOut) unit(v json.RawMessage, depth int) {
	switch {
	case v[0] == '[' && depth < maxDepth:
		for _, e := range elements(v) {
			c.unit(e, depth+1)
		}
	case v[0] == '{' && (opensList(v) || answersWithMessages(v)):
		dec := json.NewDecoder(bytes.NewReader(v))
		_, _ = dec.Token()
		var p payload
		for dec.More() {
			name, _ := dec.Token()
			var value json.RawMessage
			_ = dec.Decode(&value)
			wrap, isList := p.list(name.(string))
			if !isList || value[0] != '[' {
				p.note(name.(string), value)
				continue
			}
			for _, e := range elements(value) {
				c.value(e, wrap)
			}
		}
	default:
		c.value(v, quotedEvent)
	}
}

func elements(v json.RawMessage) (list []json.RawMessage) {
	if err := json.Unmarshal(v, &list); err != nil {
		panic(err)
	}
	return list
}

func (c *cutOut) value(v json.RawMessage, wrap func([]byte) []byte) {
	if _, verdict := scan.Next(v); verdict == scan.NotRoot {
		c.notRoot()
		return
	}
	c.piece(wrap(v), spot{})
}

// FuzzCut compares the pieces of a text with those that encoding/json finds.
func FuzzCut(f *testing.F) {
	for _, text := range forms() {
		f.Add([]byte(text), uint16(64))
		f.Add([]byte(text[:len(text)*2/3]), uint16(1))
	}
	for _, text := range []string{
		`{"Records":[1,"a",null,{},[{}]],"x":[],"records":[{"a":1}],"owner":"o","logEvents":[{"m":1}]}`, `[[[[[[[[[[1]]]]]]]]]]`,
		"1 2 3", `"{\"a\":1}"`, `{"Events":[]`, `{"Records":[}`, "}\n{}", "[1,]", "\n{\n{", `{"Records" : [ {"a":"`, `nul`, `12`, `-`, "\f\"\"", "{\"a\":\"\n{",
	} {
		f.Add([]byte(text), uint16(3))
	}
	f.Fuzz(func(t *testing.T, text []byte, size uint16) {
		got := cutUp(bytes.NewReader(text), int(size)+1, maxBuffer)
		whole := cutUp(bytes.NewReader(text), minBuffer, maxBuffer)
		if diff := cmp.Diff(whole.pieces, got.pieces); diff != "" || whole.notRoots != got.notRoots || len(whole.breaks) != len(got.breaks) {
			t.Fatalf("buffer of %d:\n%s", size, diff)
		}
		tiny := cutUp(bytes.NewReader(text), 8, 16) // must end
		if tiny.count+tiny.notRoots+len(tiny.breaks) > 2*len(text)+2 {
			t.Fatalf("%d pieces of %d bytes", tiny.count, len(text))
		}
		if hasStamp(text) {
			return // a timestamp is no JSON
		}
		want, ok := reference(text)
		if ok {
			if diff := cmp.Diff(want.pieces, got.pieces); diff != "" || want.notRoots != got.notRoots || len(got.breaks) > 0 {
				t.Fatalf("%d not root, want %d; breaks %v; pieces (-encoding/json +cut):\n%s", got.notRoots, want.notRoots, got.breaks, diff)
			}
			return
		}
		if len(want.pieces) > len(got.pieces) || !slices.Equal(want.pieces, got.pieces[:len(want.pieces)]) || want.notRoots > got.notRoots {
			t.Fatalf("what stands before the break is missing: %q, want %q first", got.pieces, want.pieces)
		}
		if len(got.breaks) == 0 && !slices.ContainsFunc(got.pieces, func(p string) bool { return !json.Valid([]byte(p)) }) {
			t.Fatalf("a break was passed over: %q", got.pieces)
		}
	})
}

func hasStamp(text []byte) bool {
	for i := range text {
		if stamp(text[i:]) > 0 {
			return true
		}
	}
	return false
}

// FuzzArchive reads whatever a file may hold, as it is and compressed.
func FuzzArchive(f *testing.F) {
	for _, text := range forms() {
		f.Add([]byte(text))
		f.Add([]byte(gzipped(text)))
	}
	f.Add([]byte(zstandard(inFile(event("Root", "root-1")))))
	f.Add([]byte(gzipped(zstandard("[]"))[:30]))
	f.Fuzz(func(t *testing.T, data []byte) {
		for _, input := range [][]byte{data, []byte(gzipped(string(data)))} {
			x := newExpander()
			text, _, err := x.open(bytes.NewReader(input))
			if err == nil {
				out := &cutOut{forgotten: true}
				c := cutter{in: io.LimitReader(text, 8<<20), out: out, buf: make([]byte, 1024), limit: 1 << 20}
				c.alien()
				c.text()
			}
			x.close()
		}
	})
}

// FuzzStamp compares the parser of exported lines with a plain one.
func FuzzStamp(f *testing.F) {
	for _, line := range []string{"2026-11-02T08:00:00.000Z {}", "2026-11-02T08:00:00Z\t{}", "2026-11-02T08:00:00.Z ", "2026-11-02 08:00:00Z {}", "2026-11-02T08:00:00.000Z", ""} {
		f.Add(line)
	}
	f.Fuzz(func(t *testing.T, line string) {
		n := stamp([]byte(line))
		if n == 0 {
			return
		}
		when := strings.TrimRight(line[:n], " \t")
		if when == line[:n] || n < len(line) && strings.ContainsAny(line[n:n+1], " \t") {
			t.Fatalf("%q: %d bytes", line, n)
		}
		var y, mo, d, h, m, s int
		if k, err := fmt.Sscanf(when[:19], "%4d-%2d-%2dT%2d:%2d:%2d", &y, &mo, &d, &h, &m, &s); k != 6 || err != nil || !strings.HasSuffix(when, "Z") {
			t.Fatalf("%q: %v", when, err)
		}
	})
}
