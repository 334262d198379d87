package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math"
	"os"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/alecthomas/kingpin/v2"

	"rootwatch/classify"
	"rootwatch/classify/plain"
	"rootwatch/pipeline"
	"rootwatch/pipeline/archive"
	"rootwatch/pipeline/coverage"
	"rootwatch/pipeline/policy"
	"rootwatch/pipeline/review"
	"rootwatch/pipeline/yamlfile"
)

// checkPolicyFlags are the flags of `rootwatch check-policy`.
type checkPolicyFlags struct {
	path  string
	event string
	stdin io.Reader
	now   func() time.Time
}

func newCheckPolicyCommand(app *kingpin.Application) command {
	f := &checkPolicyFlags{stdin: os.Stdin, now: time.Now}
	cmd := app.Command("check-policy", "Check a file for --policy.file, and with --event tell whether its calls would have been expected. Exit codes: 0; 3 when a root call of the event would not have been expected; 1 when the file or the event cannot be used; 2 for a wrong command line.")
	cmd.Flag("event", "A file with a CloudTrail event in any form that `rootwatch review` reads, or - for standard input: every root call in it is compared with every entry.").NoEnvar().PlaceHolder("EVENT.json").StringVar(&f.event)
	cmd.Arg("file", "The policy.").Required().StringVar(&f.path)
	return command{cmd, f.run}
}

func (f *checkPolicyFlags) run(ctx context.Context, stdout, stderr io.Writer) error {
	data, err := os.ReadFile(f.path)
	if err != nil {
		return err
	}
	p, err := policy.Parse(data, f.now())
	var problems yamlfile.Problems
	if errors.As(err, &problems) {
		for _, problem := range problems {
			fmt.Fprintf(stderr, "%s: %s\n", f.path, problem)
		}
		return fmt.Errorf("%s cannot be used: %s", f.path, plural(len(problems), "problem", "problems"))
	}
	if err != nil {
		return fmt.Errorf("%s: %w", f.path, err)
	}
	if err := f.list(stdout, p); err != nil || f.event == "" {
		return err
	}
	calls, err := f.rootCalls(ctx, stderr)
	if err != nil {
		return err
	}
	unexpected := false
	for _, call := range calls {
		unexpected = f.compare(stdout, p, call) || unexpected
	}
	if unexpected {
		return review.ErrUnexplained
	}
	return nil
}

// list shows the entries and whether they are in force.
func (f *checkPolicyFlags) list(stdout io.Writer, p *policy.Policy) error {
	fmt.Fprintf(stdout, "%s: %s\n", f.path, plural(len(p.Entries), "entry", "entries"))
	if len(p.Entries) == 0 {
		return nil
	}
	table := tabwriter.NewWriter(stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "ENTRY\tSTATE\tFROM\tUNTIL\tACCOUNTS\t")
	for i := range p.Entries {
		e := &p.Entries[i]
		fmt.Fprintf(table, "%s\t%s\t%s\t%s\t%d\t\n", e.Name, e.State(f.now()), e.From.Format(time.RFC3339), e.Until.Format(time.RFC3339), len(e.Accounts))
	}
	return table.Flush()
}

// rootCalls are the root calls in the event's file, judged by the worker's own pipeline.
func (f *checkPolicyFlags) rootCalls(ctx context.Context, stderr io.Writer) ([]*pipeline.Finding, error) {
	path := f.event
	if path == loneDash {
		path = coverage.Stdin
	}
	source, err := archive.New(archive.Config{Paths: []string{path}, Stdin: f.stdin})
	if err != nil {
		return nil, usageError{err}
	}
	judged := new(judgedCalls)
	line, err := pipeline.New(pipeline.Config{
		Sinks: []pipeline.Sink{judged}, InOrder: true, MaxEvents: math.MaxInt,
		Logger: slog.New(slog.NewTextHandler(stderr, &slog.HandlerOptions{Level: slog.LevelError})),
	})
	if err != nil {
		return nil, err
	}
	if err := line.Run(ctx, source); err != nil {
		return nil, err
	}
	if broken := source.Summary().Problems; len(broken) > 0 {
		return nil, errors.New(plain.Visible(broken[0].String()))
	}
	if len(judged.calls) == 0 {
		return nil, fmt.Errorf("%s has no root call", plain.Visible(path))
	}
	return judged.calls, nil
}

// judgedCalls is a sink that keeps what it takes.
type judgedCalls struct{ calls []*pipeline.Finding }

// Take implements [pipeline.Sink].
func (s *judgedCalls) Take(_ context.Context, call *pipeline.Finding) error {
	s.calls = append(s.calls, call)
	return nil
}

// compare shows what each entry says to a call, and reports whether the call would have been left
// unexplained. An event that somebody made up for a time to come is judged as of that time.
func (f *checkPolicyFlags) compare(stdout io.Writer, p *policy.Policy, call *pipeline.Finding) (unexpected bool) {
	e, now := call.Event, f.now()
	if at, err := time.Parse(time.RFC3339, e.EventTime.Value); err == nil && at.After(now) {
		now = at
	}
	fmt.Fprintf(stdout, "\n%s\n", plain.Visible(fmt.Sprintf("%s at %s: %s %s in account %s from %s: %s, %s, %s", orNone(e.EventID.Value, "a call without an id"),
		orNone(e.EventTime.Value, "no time"), strings.TrimSuffix(e.EventSource.Value, ".amazonaws.com"), e.EventName.Value, call.AccountID,
		orNone(e.SourceIPAddress.Value, "no address"), call.Verdict, call.Reason, call.Severity)))
	if call.Verdict != classify.Unexplained {
		fmt.Fprintln(stdout, "  A service's own call: it never pages, and no entry is asked.")
		return false
	}
	for i := range p.Entries {
		why := p.Entries[i].Refuses(e, &call.Finding, now)
		if why == "" {
			why = "expects it"
		}
		fmt.Fprintf(stdout, "  %s: %s\n", p.Entries[i].Name, plain.Visible(why))
	}
	if by := p.Expects(e, &call.Finding, now); by != "" {
		fmt.Fprintf(stdout, "  Expected, by %s: it would not page.\n", by)
		return false
	}
	fmt.Fprintln(stdout, "  Not expected: it stays unexplained.")
	return true
}

func orNone(s, none string) string {
	if s == "" {
		return none
	}
	return s
}
