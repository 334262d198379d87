package report

import (
	"context"
	"fmt"
	"io"
	"sync"

	"rootwatch/classify"
	"rootwatch/pipeline"
	"rootwatch/pipeline/coverage"
)

// Format is how a report is written.
type Format string

// The formats.
const (
	TableFormat    Format = "table"
	JSONFormat     Format = "json"
	MarkdownFormat Format = "markdown"
)

// Config says what is reported, and where.
type Config struct {
	Format Format
	// Explain is the event id of the one call to be shown, "" for all calls.
	Explain string
	// Wants reports whether a call is asked for. nil asks for all.
	Wants func(*pipeline.Finding) bool
	// Out takes the report, Notes what is said beside it. Screen is for tables.
	Out, Notes io.Writer
	Screen     Screen
	// Stop is called once when Out fails, to end the reading.
	Stop func()
}

// Report is the sink of a review.
type Report struct {
	cfg         Config
	json        *jsonSink
	calls       *collection
	explanation *explainer
	unexplained int
	invoked     int
	unselected  int
	failed      error
	stop        sync.Once
}

// New returns an empty report.
func New(cfg Config) *Report {
	return &Report{cfg: cfg, json: newJSONSink(cfg.Out), calls: newCollection(), explanation: newExplainer(cfg.Explain)}
}

// Take implements [pipeline.Sink]. It never fails: what cannot be written now will not be written
// on a second try either, and [Report.Show] returns the error.
func (r *Report) Take(ctx context.Context, f *pipeline.Finding) error {
	if r.cfg.Wants != nil && !r.cfg.Wants(f) {
		r.unselected++
		r.explanation.leaveOut(f)
		return nil
	}
	if f.Verdict == classify.ServiceInvoked {
		r.invoked++
	} else {
		r.unexplained++
	}
	var sink pipeline.Sink = r.calls
	switch {
	case r.cfg.Explain != "":
		sink = r.explanation
	case r.cfg.Format == JSONFormat:
		sink = r.json
	}
	if r.failed != nil {
		return nil
	}
	if r.failed = sink.Take(ctx, f); r.failed != nil {
		r.stop.Do(r.cfg.Stop)
	}
	return nil
}

// Copy takes a copy, which the pipeline shows to nobody else: it may be the call that is to be
// explained.
func (r *Report) Copy(f *pipeline.Finding) {
	if r.cfg.Wants != nil && !r.cfg.Wants(f) {
		r.explanation.leaveOut(f)
		return
	}
	r.explanation.copy(f)
}

// Failed is why Out has failed, nil if it has not.
func (r *Report) Failed() error { return r.failed }

// Unexplained is how many of the calls that are shown nobody has explained.
func (r *Report) Unexplained() int {
	if r.cfg.Explain != "" {
		return r.explanation.Unexplained()
	}
	return r.unexplained
}

// Show ends the report. It fails if it cannot be written, and if there is no call to explain.
func (r *Report) Show(read coverage.Summary) error {
	if r.failed != nil {
		return r.failed
	}
	read.Unselected = r.unselected
	if r.cfg.Explain != "" {
		return r.explain(read)
	}
	switch r.cfg.Format {
	case TableFormat:
		return r.calls.Table(r.cfg.Out, r.cfg.Screen, read)
	case MarkdownFormat:
		return r.calls.Markdown(r.cfg.Out, read)
	}
	if err := r.json.Flush(); err != nil {
		return err
	}
	return r.note(read)
}

func (r *Report) explain(read coverage.Summary) error {
	if r.explanation.Found() == 0 {
		if err := r.note(read); err != nil {
			return err
		}
		return fmt.Errorf("no root call with the event id %q was found: %s", r.cfg.Explain, r.explanation.missing(read))
	}
	switch r.cfg.Format {
	case TableFormat:
		return r.explanation.Table(r.cfg.Out, r.cfg.Screen)
	case MarkdownFormat:
		return r.explanation.Markdown(r.cfg.Out)
	}
	return r.explanation.JSON(r.cfg.Out)
}

// note says beside the report what was read.
func (r *Report) note(read coverage.Summary) error {
	for _, line := range totals(read, r.unexplained, r.invoked) {
		if _, err := fmt.Fprintln(r.cfg.Notes, line); err != nil {
			return fmt.Errorf("write what was read: %w", err)
		}
	}
	return nil
}
