package report

import (
	"bytes"
	"context"
	"strings"
	"testing"

	"rootwatch/classify/plain"
	"rootwatch/pipeline"
	"rootwatch/pipeline/coverage"
)

func TestACallThatIsNotFoundIsNotExplained(t *testing.T) {
	var out, notes bytes.Buffer
	r := New(Config{Format: TableFormat, Explain: "e-99\x1b", Out: &out, Notes: &notes})
	for _, f := range scene(t) {
		if err := r.Take(context.Background(), f); err != nil {
			t.Fatal(err)
		}
	}
	if err := r.Show(sceneRead); err == nil || !strings.Contains(err.Error(), `"e-99\x1b"`) || out.Len() > 0 || notes.Len() == 0 {
		t.Errorf("error %v, out %q, notes %q", err, out.String(), notes.String())
	}
}

// through shows findings to a report as the pipeline does: copies only to the ledger.
func through(t *testing.T, cfg Config, findings ...*pipeline.Finding) *Report {
	t.Helper()
	memory, err := pipeline.NewMemoryLedger(100)
	if err != nil {
		t.Fatal(err)
	}
	r := New(cfg)
	for _, f := range findings {
		if memory.Seen(f) {
			r.Copy(f)
			continue
		}
		if err := r.Take(context.Background(), f); err != nil {
			t.Fatal(err)
		}
		if _, err := memory.Record(context.Background(), f); err != nil {
			t.Fatal(err)
		}
	}
	return r
}

func TestCopiesAreExplained(t *testing.T) {
	call := func(id, file, more string) *pipeline.Finding {
		f := finding(t, file, record(id, "2026-11-02T08:00:00Z", "iam", "CreateUser", "203.0.113.7", "cli", `,"accessKeyId":"AKIAIOSFODNN7EXAMPLE"`, more))
		if original := f.Event.UpdateOf(); original != "" {
			f.ID = original
		}
		return f
	}
	original := call("old", "a", "")
	again := call("old", "b", "")
	update := call("new", "c", `,"addendum":{"reason":"UPDATED_DATA","originalEventID":"old"}`)
	for _, c := range []struct {
		name, explain string
		findings      []*pipeline.Finding
		want, without []string
	}{
		{"a copy in another file", "old", []*pipeline.Finding{original, again}, []string{"Copies of it are in b."}, []string{"It corrects"}},
		{"a correction, asked for by its own id", "new", []*pipeline.Finding{original, update}, []string{"event new at", "It corrects event old"}, []string{"event old at"}},
		{"an original, with its correction", "old", []*pipeline.Finding{original, update}, []string{"event old at", "event new at", "It corrects event old"}, nil},
		{"an original behind its correction", "old", []*pipeline.Finding{update, original}, []string{"event new at", "event old at", "It is a copy of the call above."}, nil},
	} {
		for _, format := range []Format{TableFormat, MarkdownFormat, JSONFormat} {
			var out bytes.Buffer
			r := through(t, Config{Format: format, Explain: c.explain, Out: &out}, c.findings...)
			if err := r.Show(coverage.Summary{}); err != nil {
				t.Errorf("%s, %s: %v", c.name, format, err)
			}
			if format != TableFormat {
				continue
			}
			for _, want := range c.want {
				if !strings.Contains(out.String(), want) {
					t.Errorf("%s: %q is not in\n%s", c.name, want, out.String())
				}
			}
			for _, without := range c.without {
				if strings.Contains(out.String(), without) {
					t.Errorf("%s: %q is in\n%s", c.name, without, out.String())
				}
			}
		}
	}
}

func TestWhyThereIsNothingToExplain(t *testing.T) {
	none := func(*pipeline.Finding) bool { return false }
	for _, c := range []struct {
		name  string
		wants func(*pipeline.Finding) bool
		read  coverage.Summary
		want  string
	}{
		{"outside the selection", none, coverage.Summary{}, "outside the selection: account 111122223333, region us-east-1, time 2026-11-03T01:00:00Z, in c.json.gz"},
		{"an event of somebody else's", nil, coverage.Summary{Sought: []string{"x\x1b"}}, `the id stands in x\x1b, but not as that of a root call`},
		{"nowhere", nil, coverage.Summary{}, "it is nowhere in what was read"},
		{"nowhere, with folders skipped", nil, coverage.Summary{FoldersSkipped: 1}, "folders outside the selection were not"},
		{"nowhere, with broken files", nil, coverage.Summary{Problems: make([]coverage.Problem, 1)}, "it is nowhere in what could be read"},
	} {
		id := "e-06"
		if c.wants == nil {
			id = "e-99"
		}
		var out, notes bytes.Buffer
		err := through(t, Config{Format: TableFormat, Explain: id, Wants: c.wants, Out: &out, Notes: &notes}, scene(t)...).Show(c.read)
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v", c.name, err)
		}
	}
}

func TestExplanationsKeepToTheScreenAndLeaveNothingOut(t *testing.T) {
	for _, width := range []int{10, 30, 50, 80, 100, 120, 200} {
		out, _ := shown(t, Config{Format: TableFormat, Explain: "e-06", Screen: Screen{Width: width}}, sceneRead)
		for line := range strings.Lines(out) {
			line = strings.TrimSuffix(line, "\n")
			if n := columns.StringWidth(line); n > width && !strings.HasPrefix(line, "file ") {
				t.Errorf("%d columns on a screen of %d: %q", n, width, line)
			}
		}
		squeezed := strings.NewReplacer(" ", "", "\n", "").Replace(out)
		for _, e := range scene(t)[5].Evidence {
			for _, part := range []string{plain.Visible(e.Field), plain.Visible(e.Value), plain.Visible(e.Says)} {
				whole := strings.ReplaceAll(part, " ", "")
				if width < 80 && !strings.Contains(squeezed, whole) {
					t.Errorf("on a screen of %d %q is missing in\n%s", width, part, out)
				}
			}
		}
		if strings.Contains(out, "…") && width >= 80 {
			t.Errorf("cut off on a screen of %d:\n%s", width, out)
		}
	}
}
