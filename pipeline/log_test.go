package pipeline

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"unicode/utf8"

	"rootwatch/classify"
)

func TestTheLevelFollowsTheVerdict(t *testing.T) {
	tests := []struct {
		name    string
		finding *Finding
		want    string
	}{
		{"an unexplained call", finding("111122223333", classify.Unexplained, classify.SignIn, classify.High), "WARN"},
		{"an unexplained call of low severity", finding("111122223333", classify.Unexplained, classify.NoRootARN, classify.Low), "WARN"},
		{"a planned call", finding("111122223333", classify.Expected, classify.SignIn, classify.High), "INFO"},
		{"a known service's call", finding("111122223333", classify.ServiceInvoked, classify.KnownService, classify.None), "INFO"},
		{"another service's call", finding("111122223333", classify.ServiceInvoked, classify.OtherService, classify.Info), "INFO"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var out bytes.Buffer
			if err := NewLogSink(slog.New(slog.NewJSONHandler(&out, nil))).Take(t.Context(), tt.finding); err != nil {
				t.Fatal(err)
			}
			var line struct{ Level, Verdict string }
			if err := json.Unmarshal(out.Bytes(), &line); err != nil {
				t.Fatal(err)
			}
			if line.Level != tt.want || line.Verdict != string(tt.finding.Verdict) {
				t.Errorf("level %s, verdict %s; want %s, %s", line.Level, line.Verdict, tt.want, tt.finding.Verdict)
			}
		})
	}
}

// full is a disk without room.
type full struct{ err error }

func (w full) Write([]byte) (int, error) { return 0, w.err }

// A logger swallows its handler's errors: the batch would be done without its line.
func TestALineThatCouldNotBeWrittenIsAnError(t *testing.T) {
	noSpace := errors.New("no space left")
	sink := NewLogSink(slog.New(slog.NewJSONHandler(full{noSpace}, nil)))
	err := sink.Take(context.Background(), finding("111122223333", classify.Unexplained, classify.SignIn, classify.High))
	if !errors.Is(err, noSpace) {
		t.Errorf("error %v, want the handler's", err)
	}
}

// pipe is where lines go that nobody may be reading.
type pipe struct {
	open    chan struct{}
	started chan struct{}
	lines   []string
}

func (p *pipe) Write(line []byte) (int, error) {
	p.started <- struct{}{}
	<-p.open
	p.lines = append(p.lines, string(line))
	return len(line), nil
}

func TestAPipeThatNobodyReadsDoesNotHoldTheEndUp(t *testing.T) {
	ctx, stop := context.WithCancel(t.Context())
	p := &pipe{open: make(chan struct{}), started: make(chan struct{}, 9)}
	sink := NewLogSink(slog.New(slog.NewJSONHandler(p, nil)))
	f := finding("111122223333", classify.Unexplained, classify.SignIn, classify.High)
	taken := make(chan error)
	for range 2 {
		go func() { taken <- sink.Take(ctx, f) }()
	}
	<-p.started
	stop()
	for range 2 {
		if err := <-taken; !errors.Is(err, context.Canceled) {
			t.Errorf("error %v, want the context's", err)
		}
	}
	if len(p.started) != 0 {
		t.Error("two lines were written at once")
	}
	close(p.open) // a reader comes: the sink goes on
	if err := sink.Take(t.Context(), f); err != nil || len(p.lines) != 2 {
		t.Errorf("error %v, %d lines; want the late one and the next", err, len(p.lines))
	}
}

func TestTakeReturnsWhenItsLineIsWritten(t *testing.T) {
	var out bytes.Buffer
	sink := NewLogSink(slog.New(slog.NewJSONHandler(&out, nil)))
	for i := range 100 {
		f := finding("111122223333", classify.Unexplained, classify.SignIn, classify.High)
		f.SequenceNumber = fmt.Sprint("number ", i)
		if err := sink.Take(t.Context(), f); err != nil {
			t.Fatal(err)
		}
		if lines := strings.Split(strings.TrimSpace(out.String()), "\n"); len(lines) != i+1 || !strings.Contains(lines[i], f.SequenceNumber) {
			t.Fatalf("after call %d there are %d lines", i, len(lines))
		}
	}
}

func TestAPanicInTheHandlerIsAnError(t *testing.T) {
	over := false
	sink := NewLogSink(slog.New(panicsOnce{slog.DiscardHandler, &over}))
	f := finding("111122223333", classify.Unexplained, classify.SignIn, classify.High)
	if err := sink.Take(t.Context(), f); err == nil || !strings.Contains(err.Error(), "a fault of ours") {
		t.Errorf("error %v, want the panic", err)
	}
	if err := sink.Take(t.Context(), f); err != nil {
		t.Errorf("the next line: %v", err)
	}
}

func TestOfAFileTheLineNamesThePath(t *testing.T) {
	f := finding("111122223333", classify.Unexplained, classify.SignIn, classify.High)
	f.File = "AWSLogs/a.json.gz"
	attrs := f.Attrs()
	if last := attrs[len(attrs)-1]; last.Key != "file" || last.Value.String() != f.File {
		t.Errorf("the last attribute is %v, want the file", last)
	}
	for _, a := range attrs {
		if a.Key == "shard_id" || a.Key == "sequence_number" {
			t.Errorf("a call from a file has %v", a)
		}
	}
}

func TestLongValuesAreCutBetweenRunes(t *testing.T) {
	for _, letter := range []string{"x", "é", "漢", "🗝"} {
		f := finding("111122223333", classify.Unexplained, classify.SignIn, classify.High)
		for shift := range 4 {
			f.Event.UserAgent = classify.Text{Value: strings.Repeat("a", shift) + strings.Repeat(letter, 5000), Present: true}
			for _, a := range f.Attrs() {
				v := a.Value.String()
				if len(v) > 1024 || !utf8.ValidString(v) {
					t.Errorf("%s of %q: %d bytes, valid UTF-8: %v", a.Key, letter, len(v), utf8.ValidString(v))
				}
				if a.Key == "user_agent" && (len(v) < 1020 || !strings.HasSuffix(v, letter+"…")) {
					t.Errorf("%q is cut to %d bytes, ending in %q", letter, len(v), v[len(v)-8:])
				}
			}
		}
	}
}
