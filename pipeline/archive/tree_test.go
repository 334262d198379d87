package archive

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"rootwatch/pipeline"
	"rootwatch/pipeline/coverage"
)

func link(t *testing.T, target, path string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(target, path); err != nil {
		t.Fatal(err)
	}
}

// below gives texts with a folder's name cut off.
func below(folder string, findings []*pipeline.Finding) (list []string) {
	for _, f := range findings {
		list = append(list, f.Event.EventID.Value+" "+strings.TrimPrefix(f.File, folder+"/"))
	}
	return list
}

func TestLinksAreFollowed(t *testing.T) {
	call := func(id string) string { return event("Root", id) }
	for _, c := range []struct {
		name  string
		make  func(folder string)
		path  string
		files int
		found []string // below the folder
	}{
		{"a path that is a link to a folder", func(f string) {
			write(t, f, "real/a.json", call("a"))
			link(t, "real", f+"/link")
		}, "link", 1, []string{"a link/a.json"}},
		{"a link to a folder, shown under its own name", func(f string) {
			write(t, f, "real/a.json", call("a"))
			link(t, "../real", f+"/top/sub")
		}, "top", 1, []string{"a top/sub/a.json"}},
		{"a folder that is reached both ways is read once, as itself", func(f string) {
			write(t, f, "top/z/a.json", call("a"))
			link(t, "z", f+"/top/a")
		}, "top", 1, []string{"a top/z/a.json"}},
		{"links that lead round in circles", func(f string) {
			write(t, f, "top/a.json", call("a"))
			link(t, ".", f+"/top/self")
			link(t, "../top", f+"/top/up")
		}, "top", 1, []string{"a top/a.json"}},
		{"a link to a file", func(f string) {
			write(t, f, "real/a.json", call("a"))
			link(t, "../real/a.json", f+"/top/b")
		}, "top", 1, []string{"a top/b"}},
		{"a link into a trail, by the layout that it leads to", func(f string) {
			write(t, f, "AWSLogs/111122223333/CloudTrail/us-east-1/2026/11/01/a.json", call("a"))
			write(t, f, "AWSLogs/111122223333/CloudTrail/us-east-1/2026/11/02/b.json", call("b"))
			write(t, f, "AWSLogs/111122223333/CloudTrail/us-east-1/2026/11/09/c.json", call("c"))
			link(t, "../AWSLogs/111122223333/CloudTrail/us-east-1/2026", f+"/top/year")
		}, "top", 2, []string{"a top/year/11/01/a.json", "b top/year/11/02/b.json"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			folder := t.TempDir()
			c.make(folder)
			cfg := Config{Paths: []string{filepath.Join(folder, c.path)}, Selection: Selection{Until: day("2026-11-03")}}
			findings, summary := reviewed(t, cfg)
			if diff := cmp.Diff(c.found, below(folder, findings)); diff != "" || summary.Files != c.files || len(summary.Problems) > 0 {
				t.Errorf("%d files, problems %v\n%s", summary.Files, summary.Problems, diff)
			}
			source, err := New(cfg)
			if err != nil {
				t.Fatal(err)
			}
			if files, _, err := source.Total(context.Background()); files != c.files || err != nil {
				t.Errorf("a total of %d files, %v", files, err)
			}
		})
	}
}

func TestPipesInFoldersAreLeftOut(t *testing.T) {
	folder := t.TempDir()
	write(t, folder, "a.json", event("Root", "a"))
	pipe := filepath.Join(folder, "pipe")
	if err := syscall.Mkfifo(pipe, 0o600); err != nil {
		t.Fatal(err)
	}
	link(t, "/dev/null", filepath.Join(folder, "null"))
	findings, summary := reviewed(t, Config{Paths: []string{folder}})
	want := []coverage.Problem{{File: filepath.Join(folder, "null"), Reason: "a device"}, {File: pipe, Reason: "a named pipe"}}
	if diff := cmp.Diff(want, summary.NotFiles); diff != "" || len(findings) != 1 || summary.Files != 1 {
		t.Errorf("%d findings in %d files\n%s", len(findings), summary.Files, diff)
	}
}

func TestAPipeWithoutAWriterEndsWithTheContext(t *testing.T) {
	pipe := filepath.Join(t.TempDir(), "pipe")
	if err := syscall.Mkfifo(pipe, 0o600); err != nil {
		t.Fatal(err)
	}
	source, err := New(Config{Paths: []string{pipe}})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 50*time.Millisecond)
	defer cancel()
	err = source.Run(ctx, func(context.Context, *pipeline.Batch) error { return nil })
	if !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("error %v", err)
	}
	w, err := os.OpenFile(pipe, os.O_WRONLY, 0) // lets the reader go that was left to itself
	if err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
}

func TestANamedPipeIsRead(t *testing.T) {
	pipe := filepath.Join(t.TempDir(), "pipe")
	if err := syscall.Mkfifo(pipe, 0o600); err != nil {
		t.Fatal(err)
	}
	written := make(chan error, 1)
	go func() { written <- os.WriteFile(pipe, []byte(gzipped(inFile(event("Root", "a")))), 0) }()
	findings, summary := reviewed(t, Config{Paths: []string{pipe}})
	if err := <-written; err != nil || len(findings) != 1 || len(summary.Problems) > 0 {
		t.Errorf("%v, %d findings, %v", err, len(findings), summary.Problems)
	}
}

func TestDestroyedFilesOfATrailAreProblems(t *testing.T) {
	const day = "AWSLogs/111122223333/CloudTrail/us-east-1/2026/11/02/"
	for _, c := range []struct {
		name, path, text string
		problem          string // "" if the file is only left out
	}{
		{"nothing left", day + "a.json.gz", "", "empty, where a log file of CloudTrail's is due"},
		{"zero bytes", day + "a.json.gz", strings.Repeat("\x00", 900), "nothing but zero bytes, where"},
		{"random bytes", day + "a.json.gz", "\x83\x11\xfe\x02", "not JSON, where"},
		{"gzip without its head", day + "a.json.gz", gzipped(inFile())[10:], "not JSON, where"},
		{"JSON of another kind", day + "a.json", `{"a":1}`, "JSON, but no event of CloudTrail's in it, where"},
		{"a copy that only kept its name", "copy/111122223333_CloudTrail_us-east-1_20261102T0800Z_x.json.gz", "", "empty, where"},
		{"a log file without events", day + "a.json.gz", gzipped(inFile()), ""},
		{"what a desktop leaves in a folder", day + ".DS_Store", "\x00\x00\x00\x01Bud1\x00", ""},
		{"an empty file elsewhere", "copy/a.json.gz", "", ""},
		{"settings beside a trail", "AWSLogs/settings.json", "{}", ""},
	} {
		folder := t.TempDir()
		path := write(t, filepath.Join(folder, filepath.Dir(c.path)), filepath.Base(c.path), c.text)
		_, summary := reviewed(t, Config{Paths: []string{folder}})
		if c.problem == "" {
			if len(summary.Problems) > 0 {
				t.Errorf("%s: problems %v", c.name, summary.Problems)
			}
			continue
		}
		if len(summary.Problems) != 1 || summary.Problems[0].File != path || !strings.HasPrefix(summary.Problems[0].Reason, c.problem) || len(summary.NotCloudTrail) > 0 {
			t.Errorf("%s: problems %v, left out %v", c.name, summary.Problems, summary.NotCloudTrail)
		}
	}
}

func TestValuesThatAreNotCloudTrailsAreTold(t *testing.T) {
	folder := t.TempDir()
	mixed := write(t, folder, "mixed.json", lines(event("IAMUser", "u"), `{"a":1}`, `{"b":2}`))
	write(t, folder, "other.json", `{"a":1}`)
	_, summary := reviewed(t, Config{Paths: []string{folder}})
	want := []coverage.Problem{{File: mixed, Reason: "2 values in it are not CloudTrail's, and are not judged"}}
	if diff := cmp.Diff(want, summary.Mixed); diff != "" || summary.Events[pipeline.ResultNotCloudTrail] != 2 {
		t.Errorf("%v\n%s", summary.Events, diff)
	}
}

func TestAnEventThatIsSoughtIsFoundInTheText(t *testing.T) {
	folder := t.TempDir()
	long := strings.Repeat(event("IAMUser", "u")+"\n", 5000)
	write(t, folder, "a.json", long+event("IAMUser", "wanted")+"\n"+long)
	write(t, folder, "b.json.gz", gzipped(event("IAMUser", "wanted")))
	write(t, folder, "c.json", long)
	_, summary := reviewed(t, Config{Paths: []string{folder}, Seek: "wanted"})
	if diff := cmp.Diff([]string{filepath.Join(folder, "a.json"), filepath.Join(folder, "b.json.gz")}, summary.Sought); diff != "" {
		t.Error(diff)
	}
	for size := 1; size < 9; size++ {
		found := false
		r := &seeking{Reader: strings.NewReader("a needl needle b"), text: []byte("needle"), found: &found}
		for p := make([]byte, size); ; {
			if _, err := r.Read(p); err != nil {
				break
			}
		}
		if !found {
			t.Errorf("not found by reads of %d bytes", size)
		}
	}
}
