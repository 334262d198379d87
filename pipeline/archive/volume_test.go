package archive

import (
	"bufio"
	"compress/gzip"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strconv"
	"syscall"
	"testing"
	"time"

	"rootwatch/pipeline"
	"rootwatch/pipeline/coverage"
	"rootwatch/pipeline/scan/scantest"
)

// collected is a sink that keeps the findings.
type collected struct{ findings []*pipeline.Finding }

func (c *collected) Take(_ context.Context, f *pipeline.Finding) error {
	c.findings = append(c.findings, f)
	return nil
}

// reviewed runs the source through a pipeline as `rootwatch review` does.
func reviewed(t testing.TB, cfg Config) ([]*pipeline.Finding, coverage.Summary) {
	t.Helper()
	source, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	var sink collected
	line, err := pipeline.New(pipeline.Config{Sinks: []pipeline.Sink{&sink}, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	if err := line.Run(context.Background(), source); err != nil {
		t.Fatal(err)
	}
	return sink.findings, source.Summary()
}

// volume is a trail's worth of log files, plain and gzipped, and what is in them.
type volume struct {
	plain, zipped string
	bytes         int64 // of the plain files
	stored        int64 // of the gzipped ones
	events        int
	roots         map[string]bool // event ids
}

// eventsInFile is how many events a log file has: a megabyte or two, as those of a busy account.
const eventsInFile = 1000

func makeVolume(t testing.TB, size int64) *volume {
	t.Helper()
	v := &volume{plain: t.TempDir(), zipped: t.TempDir(), roots: make(map[string]bool)}
	g := scantest.New(5)
	for n := 0; v.bytes < size; n++ {
		day := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC).AddDate(0, 0, n%300)
		name := fmt.Sprintf("AWSLogs/o-exampleorg1/111122223333/CloudTrail/us-east-1/%s/111122223333_CloudTrail_us-east-1_%06d.json", day.Format("2006/01/02"), n)
		plain := create(t, filepath.Join(v.plain, name))
		stored := create(t, filepath.Join(v.zipped, name+".gz"))
		zip, err := gzip.NewWriterLevel(stored, gzip.BestSpeed)
		if err != nil {
			t.Fatal(err)
		}
		out := bufio.NewWriterSize(io.MultiWriter(plain, zip), 1<<20)
		out.WriteString(`{"Records":[`)
		for i := range eventsInFile {
			if i > 0 {
				out.WriteByte(',')
			}
			event := g.Bare(v.kind())
			v.note(t, event)
			out.Write(event)
		}
		out.WriteString("]}")
		if err := out.Flush(); err != nil {
			t.Fatal(err)
		}
		if err := zip.Close(); err != nil {
			t.Fatal(err)
		}
		v.bytes += closed(t, plain)
		v.stored += closed(t, stored)
	}
	return v
}

// kind is what the next event is to be: one in a thousand is root's.
func (v *volume) kind() scantest.Kind {
	switch v.events % 4000 {
	case 40, 1040, 2040:
		return scantest.Root
	case 80:
		return scantest.Escaped
	}
	if v.events%20 == 10 {
		return scantest.Decoy
	}
	return scantest.Ordinary
}

func (v *volume) note(t testing.TB, event []byte) {
	if kind := v.kind(); kind == scantest.Root || kind == scantest.Escaped {
		var e struct{ EventID string }
		if err := json.Unmarshal(event, &e); err != nil {
			t.Fatal(err)
		}
		v.roots[e.EventID] = true
	}
	v.events++
}

func create(t testing.TB, path string) *os.File {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// closed is the size of a file that is complete.
func closed(t testing.TB, f *os.File) int64 {
	t.Helper()
	info, err := f.Stat()
	if err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	return info.Size()
}

// cpu is the processor time that f takes in the whole process.
func cpu(t testing.TB, f func()) time.Duration {
	t.Helper()
	used := func() time.Duration {
		var u syscall.Rusage
		if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
			t.Fatal(err)
		}
		return time.Duration(u.Utime.Nano() + u.Stime.Nano())
	}
	before := used()
	f()
	return used() - before
}

// TestAnswerIsExactOverAVolume finds every root call of a generated trail, gzipped and plain, and
// compares the processor time with that of encoding/json over the same bytes. ROOTWATCH_VOLUME sets
// the bytes of JSON, 2 MiB if it is not set; the bound on the time holds from 256 MiB on, where
// start-up and noise no longer count.
func TestAnswerIsExactOverAVolume(t *testing.T) {
	size := int64(2 << 20)
	if s := os.Getenv("ROOTWATCH_VOLUME"); s != "" {
		n, err := strconv.ParseInt(s, 10, 64)
		if err != nil {
			t.Fatal(err)
		}
		size = n
	}
	v := makeVolume(t, size)
	t.Logf("%d events, %d by root, %d bytes of JSON, %d bytes gzipped", v.events, len(v.roots), v.bytes, v.stored)
	for name, folder := range map[string]string{"plain": v.plain, "gzip": v.zipped} {
		started := time.Now()
		used := cpu(t, func() { v.check(t, name, folder) })
		t.Logf("%s: %v of processor time, %.0f ns an event, %.2f GB of JSON a second and core, %v elapsed", name,
			used, float64(used)/float64(v.events), float64(v.bytes)/float64(used), time.Since(started).Round(time.Millisecond))
	}
	if size < 256<<20 {
		return
	}
	ours := cpu(t, func() { v.check(t, "plain", v.plain) })
	theirs := cpu(t, func() { v.decode(t) })
	t.Logf("encoding/json: %v of processor time, %.0f ns an event; ratio %.1f", theirs, float64(theirs)/float64(v.events), float64(theirs)/float64(ours))
	if ours*8 > theirs {
		t.Errorf("%v of processor time, more than an eighth of encoding/json's %v", ours, theirs)
	}
}

// check reviews a folder and compares the answer.
func (v *volume) check(t *testing.T, name, folder string) {
	findings, summary := reviewed(t, Config{Paths: []string{folder}})
	if len(findings) != len(v.roots) || len(summary.Problems) > 0 || summary.Events[pipeline.ResultNotRoot]+len(v.roots) != v.events {
		t.Fatalf("%s: %d root calls, want %d; %v, %v", name, len(findings), len(v.roots), summary.Events, summary.Problems)
	}
	for _, f := range findings {
		if !v.roots[f.Event.EventID.Value] {
			t.Fatalf("%s: %s is not a root call", name, f.Event.EventID.Value)
		}
	}
}

// decode reads the plain files as encoding/json does it best: one file after another into structs
// with the same members.
func (v *volume) decode(t *testing.T) {
	roots := 0
	err := filepath.WalkDir(v.plain, func(path string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		data, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		var file struct{ Records []plainEvent }
		if err := json.Unmarshal(data, &file); err != nil {
			return err
		}
		for _, e := range file.Records {
			if e.UserIdentity.Type == "Root" {
				roots++
			}
		}
		return nil
	})
	if err != nil || roots != len(v.roots) {
		t.Fatalf("encoding/json finds %d root calls, want %d: %v", roots, len(v.roots), err)
	}
}

// plainEvent is what a program without another decoder would read: the members of [classify.Event]
// with their plain types.
type plainEvent struct {
	EventVersion, EventTime, EventSource, EventName, AWSRegion, SourceIPAddress, UserAgent, ErrorCode, ErrorMessage string
	ReadOnly                                                                                                        bool
	EventID, EventType, RecipientAccountID, SharedEventID                                                           string
	UserIdentity                                                                                                    struct {
		Type, PrincipalID, ARN, AccountID, AccessKeyID, UserName, InvokedBy string
		SessionContext                                                      struct {
			SessionIssuer struct{ Type, PrincipalID, ARN, AccountID, UserName string }
			Attributes    struct{ CreationDate, MFAAuthenticated string }
		}
	}
	RequestParameters, ResponseElements, AdditionalEventData json.RawMessage
	TLSDetails                                               map[string]string
	Resources                                                []struct{ AccountID, Type, ARN string }
}
