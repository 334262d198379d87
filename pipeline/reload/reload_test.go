package reload

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// rig is a file of one word, and who reads it.
type rig struct {
	*File[string]
	t        *testing.T
	path     string
	now      chan struct{}
	log      logged
	registry *prometheus.Registry
	parsed   int
}

func newRig(t *testing.T) *rig {
	r := &rig{t: t, path: filepath.Join(t.TempDir(), "file"), now: make(chan struct{}), registry: prometheus.NewRegistry()}
	r.write("old")
	var err error
	if r.File, err = Open(r.config()); err != nil {
		t.Fatal(err)
	}
	return r
}

func (r *rig) config() Config[string] {
	return Config[string]{
		Name: "words", Path: r.path, MaxSize: 100, Registerer: r.registry, Logger: slog.New(slog.NewJSONHandler(&r.log, nil)),
		Describe: func(s string) string { return fmt.Sprintf("the word %s", s) },
		Parse: func(data []byte) (string, error) {
			r.parsed++
			if strings.HasPrefix(string(data), "broken") {
				return "", errors.New("line 1: not a word")
			}
			return string(data), nil
		},
	}
}

// write writes the file, at the time that the test makes up.
func (r *rig) write(word string) {
	r.t.Helper()
	if err := os.WriteFile(r.path, []byte(word), 0o600); err != nil {
		r.t.Fatal(err)
	}
	if err := os.Chtimes(r.path, time.Now(), time.Now()); err != nil {
		r.t.Fatal(err)
	}
}

// wants says what is in force, and whether the file is.
func (r *rig) wants(when, word string, successful float64) {
	r.t.Helper()
	synctest.Wait()
	if got := r.Current(); got != word {
		r.t.Errorf("%s: %q is in force, want %q", when, got, word)
	}
	if got := testutil.ToFloat64(r.successful); got != successful {
		r.t.Errorf("%s: the metric is %v, want %v", when, got, successful)
	}
}

// run reads the file in the background while the test goes on.
func (r *rig) run(test func()) {
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() {
		r.Run(ctx, r.now)
		close(ended)
	}()
	test()
	stop()
	<-ended
}

const settled = 2*every + time.Second

func TestAChangedFileIsReadAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		r.run(func() {
			r.wants("at the start", "old", 1)
			first := testutil.ToFloat64(r.newest)
			time.Sleep(time.Minute)
			r.write("new")
			time.Sleep(settled)
			r.wants("after a change", "new", 1)
			if testutil.ToFloat64(r.newest) < first+60 {
				t.Error("the time of the last success has not moved")
			}
			r.write("NEW") // of the same size, within seconds
			time.Sleep(settled)
			r.wants("after a change of the same size", "NEW", 1)
			os.Remove(r.path)
			if err := os.Rename(r.tempWith("swapped"), r.path); err != nil {
				t.Fatal(err)
			}
			time.Sleep(settled)
			r.wants("after another file took its place", "swapped", 1)
		})
		if n := strings.Count(r.log.String(), `"INFO"`); n != 3 || !strings.Contains(r.log.String(), "the word swapped") {
			t.Errorf("%d lines tell of it:\n%s", n, r.log.String())
		}
	})
}

func (r *rig) tempWith(word string) string {
	path := r.path + ".new"
	if err := os.WriteFile(path, []byte(word), 0o600); err != nil {
		r.t.Fatal(err)
	}
	return path
}

func TestABrokenFileLeavesTheOldOneInForce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		r.run(func() {
			for i, spoil := range []func(){
				func() { r.write("broken") },
				func() { os.Remove(r.path) },
				func() { r.write(strings.Repeat("x", 101)) },
				func() { os.Remove(r.path); os.Mkdir(r.path, 0o700) },
			} {
				spoil()
				time.Sleep(time.Hour)
				r.wants(fmt.Sprint("failure ", i), "old", 0)
				if n := strings.Count(r.log.String(), `"ERROR"`); n != 1 {
					t.Errorf("failure %d is told %d times:\n%s", i, n, r.log.String())
				}
				r.log.Reset()
			}
			os.Remove(r.path)
			r.write("old") // what was in force is there again
			time.Sleep(settled)
			r.wants("when it is mended", "old", 1)
		})
	})
}

// A file that is being written is seen in parts, and a part may say something else than the whole.
func TestAFileThatIsBeingWrittenIsNotTaken(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		r.run(func() {
			for i := range 10 {
				r.write("part " + strings.Repeat("x", i))
				time.Sleep(every)
				r.wants("while it is written", "old", 1)
			}
			time.Sleep(every)
			r.wants("when it stands still", "part "+strings.Repeat("x", 9), 1)
		})
		if r.parsed != 2 {
			t.Errorf("parsed %d times, want twice", r.parsed)
		}
	})
}

func TestASignalReadsTheFileAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		r.run(func() {
			r.write("new")
			r.now <- struct{}{}
			r.wants("after the signal", "new", 1)
			r.write("broken")
			r.now <- struct{}{}
			r.wants("after the signal for a broken file", "new", 0)
			r.now <- struct{}{}
			r.wants("after another", "new", 0)
		})
		if n := strings.Count(r.log.String(), `"ERROR"`); n != 2 {
			t.Errorf("%d errors are told, want one for each signal", n)
		}
	})
}

func TestAFileThatDoesNotChangeIsNotReadForEver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		r.run(func() {
			time.Sleep(time.Minute)
			synctest.Wait()
			read := r.read
			time.Sleep(time.Hour)
			synctest.Wait()
			if !r.read.Equal(read) {
				t.Errorf("it was read %s after the start", time.Since(read))
			}
		})
		if r.parsed != 1 {
			t.Errorf("parsed %d times", r.parsed)
		}
	})
}

func TestWhatCannotBeReadAtTheStartIsAnError(t *testing.T) {
	r := newRig(t)
	for want, do := range map[string]func(*Config[string]){
		"is not there":             func(c *Config[string]) { c.Path += "x" },
		"file: line 1: not a word": func(*Config[string]) { r.write("broken") },
		"is not a file":            func(c *Config[string]) { c.Path = t.TempDir() },
		"bytes, more than 2":       func(c *Config[string]) { c.MaxSize = 2 },
		"register the metrics of":  func(*Config[string]) { r.write("fine") },
	} {
		c := r.config()
		do(&c)
		if f, err := Open(c); f != nil || err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v, want %q", err, want)
		}
	}
}

func TestTwoFilesShareTheMetrics(t *testing.T) {
	r := newRig(t)
	c := r.config()
	c.Name = "others"
	if _, err := Open(c); err != nil {
		t.Fatal(err)
	}
	if n := testutil.CollectAndCount(r.registry, "rootwatch_config_last_reload_successful"); n != 2 {
		t.Errorf("%d series, want one for each file", n)
	}
	if problems, err := testutil.GatherAndLint(r.registry); err != nil || len(problems) > 0 {
		t.Errorf("%v, %v", problems, err)
	}
}

// logged is what a logger in the background has written.
type logged struct {
	mu   sync.Mutex // guards text
	text bytes.Buffer
}

func (l *logged) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(b)
}

func (l *logged) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

func (l *logged) Reset() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.text.Reset()
}
