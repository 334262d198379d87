package review

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"rootwatch/pipeline/archive"
	"rootwatch/pipeline/report"
)

// call is a file with one root call: by a person with an access key, or by a service.
func call(id string, byService bool) string {
	identity := `,"accessKeyId":"AKIAIOSFODNN7EXAMPLE"`
	if byService {
		identity = `,"invokedBy":"autoscaling.amazonaws.com"`
	}
	return fmt.Sprintf(`{"Records":[{"eventVersion":"1.11","userIdentity":{"type":"Root","arn":"arn:aws:iam::111122223333:root","accountId":"111122223333"%s},`+
		`"eventTime":"2026-11-02T08:00:00Z","eventSource":"ec2.amazonaws.com","eventName":"RunInstances","awsRegion":"us-east-1",`+
		`"sourceIPAddress":"autoscaling.amazonaws.com","userAgent":"autoscaling.amazonaws.com","eventID":%q}]}`, identity, id)
}

// folder has files with these texts.
func folder(t *testing.T, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func TestHowAReviewEnds(t *testing.T) {
	person, service, broken := call("person", false), call("service", true), `{"Records":[{"eventSource":`
	stopped, stop := context.WithCancel(context.Background())
	stop()
	for _, c := range []struct {
		name  string
		files map[string]string
		cfg   Config
		ctx   context.Context
		want  string // the error, or its beginning; "" for a complete answer
		out   string // in the report; "" for none at all
		notes string // among what is said beside it
	}{
		{name: "a call by a person is an answer", files: map[string]string{"a.json": person}, out: `"person"`},
		{name: "a call by a person is refused if asked", files: map[string]string{"a.json": person}, cfg: Config{RefuseUnexplained: true}, want: ErrUnexplained.Error(), out: `"person"`},
		{name: "a call by a service is not refused", files: map[string]string{"a.json": service}, cfg: Config{RefuseUnexplained: true}, out: `"service"`},
		{name: "a call that was not asked for is not refused", files: map[string]string{"a.json": person, "b.json": service},
			cfg: Config{RefuseUnexplained: true, Selection: archive.Selection{Regions: []string{"eu-west-1"}}}, notes: "2 root calls outside the selection"},
		{name: "what was not judged comes before what was found", files: map[string]string{"a.json": person, "b.json": broken},
			cfg: Config{RefuseUnexplained: true}, want: "1 file or folder could not be judged in full", out: `"person"`, notes: "b.json: "},
		{name: "each file that was not judged is named", files: map[string]string{"a.json": broken, "b.json": broken}, want: "2 files or folders could not be judged in full", notes: "b.json: "},
		{name: "a file of something else is left out", files: map[string]string{"a.json": service, "README.txt": "Read me."}, out: `"service"`, notes: "README.txt: left out: not JSON"},
		{name: "a call that is not there cannot be explained", files: map[string]string{"a.json": person}, cfg: Config{Explain: "other"}, want: `no root call with the event id "other"`, notes: "1 unexplained root call"},
		{name: "a call that is explained is refused if asked", files: map[string]string{"a.json": person, "b.json": service}, cfg: Config{Explain: "person", RefuseUnexplained: true}, want: ErrUnexplained.Error(), out: `"person"`},
		{name: "another call than the one that is explained is not refused", files: map[string]string{"a.json": person, "b.json": service}, cfg: Config{Explain: "service", RefuseUnexplained: true}, out: `"service"`},
		{name: "an interrupted table is not shown", files: map[string]string{"a.json": person}, cfg: Config{Format: report.TableFormat}, ctx: stopped, want: "interrupted, and nothing is shown"},
		{name: "interrupted lines say so", files: map[string]string{"a.json": person}, ctx: stopped, want: "interrupted, the output is incomplete", notes: "The answer is not complete: the reading was interrupted."},
		{name: "an interrupted explanation is not shown", files: map[string]string{"a.json": person}, cfg: Config{Explain: "person"}, ctx: stopped, want: "interrupted, and nothing is shown"},
	} {
		t.Run(c.name, func(t *testing.T) {
			var out, notes bytes.Buffer
			cfg := c.cfg
			cfg.Paths, cfg.Out, cfg.Notes = []string{folder(t, c.files)}, &out, &notes
			if cfg.Format == "" {
				cfg.Format = report.JSONFormat
			}
			r, err := New(cfg)
			if err != nil {
				t.Fatal(err)
			}
			ctx := c.ctx
			if ctx == nil {
				ctx = t.Context()
			}
			err = r.Run(ctx)
			if got := fmt.Sprint(err); (err == nil) != (c.want == "") || err != nil && !strings.HasPrefix(got, c.want) {
				t.Errorf("it ends with %q, want %q", got, c.want)
			}
			if !strings.Contains(out.String(), c.out) || c.out == "" && out.Len() > 0 {
				t.Errorf("%q is not in the report %q", c.out, out.String())
			}
			if !strings.Contains(notes.String(), c.notes) {
				t.Errorf("%q is not in\n%s", c.notes, notes.String())
			}
		})
	}
}

func TestFilesThatAreLeftOutAreNamedUpToALimit(t *testing.T) {
	files := map[string]string{"a.json": call("service", true)}
	for i := range maxLeftOut + 3 {
		files[fmt.Sprintf("b%02d.txt", i)] = "no log"
	}
	var out, notes bytes.Buffer
	r, err := New(Config{Paths: []string{folder(t, files)}, Out: &out, Notes: &notes, Format: report.JSONFormat})
	if err != nil {
		t.Fatal(err)
	}
	if err := r.Run(t.Context()); err != nil {
		t.Fatal(err)
	}
	if n := strings.Count(notes.String(), "left out: not JSON"); n != maxLeftOut || !strings.Contains(notes.String(), "… and 3 more like these\n") {
		t.Errorf("%d files are named, want %d and the rest counted:\n%s", n, maxLeftOut, notes.String())
	}
}

// full is a report's destination that takes nothing.
type full struct{ err error }

func (f full) Write([]byte) (int, error) { return 0, f.err }

func TestAReportThatCannotBeWrittenEndsTheReview(t *testing.T) {
	noSpace := errors.New("no space left")
	var notes bytes.Buffer
	r, err := New(Config{Paths: []string{folder(t, map[string]string{"a.json": call("person", false), "b.json": "{\"Records\":[{"})},
		Out: full{noSpace}, Notes: &notes, Format: report.JSONFormat, RefuseUnexplained: true})
	if err != nil {
		t.Fatal(err)
	}
	err = r.Run(t.Context())
	if !errors.Is(err, noSpace) || errors.Is(err, ErrUnexplained) {
		t.Errorf("it ends with %v, want %v", err, noSpace)
	}
}

func TestAQuestionWithoutAPathIsRefused(t *testing.T) {
	if _, err := New(Config{Format: report.JSONFormat}); err == nil {
		t.Error("a review of nothing was made")
	}
}
