// Package review is one review of log files from the question to the answer: it has package archive
// read them, the pipeline judge the root calls in them and package report show those that were
// asked for. It decides what is said beside the report, and how a review ends: with an answer, with
// one that is not complete, or with none.
package review

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math"

	"rootwatch/pipeline"
	"rootwatch/pipeline/archive"
	"rootwatch/pipeline/coverage"
	"rootwatch/pipeline/report"
)

// Config is the question, and where the answer goes.
type Config struct {
	// Paths are files, folders with all that is below them, and "-" for Stdin.
	Paths []string
	Stdin io.Reader
	// Selection chooses root calls; the zero value asks for all.
	Selection archive.Selection
	// Explain is the event id of the one call to be shown with its evidence, "" for all calls.
	Explain string
	// TrustedSources are sources of EventBridge events that are believed, besides AWS's own.
	TrustedSources []string
	// Account, if set, looks up what is known about an account besides its id.
	Account func(id string) pipeline.Account
	// RefuseUnexplained makes a complete review with an unexplained root call end with
	// ErrUnexplained.
	RefuseUnexplained bool

	// Out takes the report in a Format; Screen is for tables.
	Out    io.Writer
	Format report.Format
	Screen report.Screen
	// Notes takes what is said beside the report. ShowProgress is for a terminal.
	Notes        io.Writer
	ShowProgress bool
}

// ErrUnexplained is how a review ends that was asked to refuse unexplained root calls: it is
// complete, and there are some.
var ErrUnexplained = errors.New("an unexplained root call was found")

// Review is one review. It is for one Run.
type Review struct {
	cfg    Config
	source *archive.Source
	report *report.Report
	line   *pipeline.Pipeline
	stop   context.CancelFunc // set by Run: ends the reading
}

// remembered is how many root calls are remembered to recognise copies in other files.
const remembered = 1_000_000

// New checks the question. Nothing is read before [Review.Run].
func New(cfg Config) (*Review, error) {
	r := &Review{cfg: cfg}
	var err error
	if r.source, err = archive.New(archive.Config{Paths: cfg.Paths, Stdin: cfg.Stdin, Selection: cfg.Selection, Seek: cfg.Explain}); err != nil {
		return nil, err
	}
	r.report = report.New(report.Config{
		Format: cfg.Format, Explain: cfg.Explain, Wants: cfg.Selection.Wants,
		Out: cfg.Out, Notes: cfg.Notes, Screen: cfg.Screen, Stop: func() { r.stop() },
	})
	ledger, err := pipeline.NewMemoryLedger(remembered)
	if err != nil {
		return nil, err
	}
	r.line, err = pipeline.New(pipeline.Config{
		Sinks: []pipeline.Sink{r.report}, TrustedSources: cfg.TrustedSources, Account: cfg.Account, Ledger: ledger, Copy: r.report.Copy, InOrder: true,
		MaxEvents: math.MaxInt, // the source bounds what it hands over by its size
		// What is broken is named at the end.
		Logger: slog.New(slog.NewTextHandler(cfg.Notes, &slog.HandlerOptions{Level: slog.LevelError})),
	})
	if err != nil {
		return nil, err
	}
	return r, nil
}

// Run reads, judges and shows, until all is read or ctx ends. nil is a complete answer. What could
// not be read or judged is an error, the rest is shown all the same; it comes before
// ErrUnexplained, because an answer that is not complete is none.
func (r *Review) Run(ctx context.Context) error {
	read, err := r.read(ctx)
	if err != nil && r.report.Failed() == nil {
		return r.interrupted(err, read)
	}
	if err := r.report.Show(read); err != nil {
		return errors.Join(err, notJudged(r.cfg.Notes, read))
	}
	leftOut(r.cfg.Notes, read)
	if err := notJudged(r.cfg.Notes, read); err != nil {
		return err
	}
	if r.cfg.RefuseUnexplained && r.report.Unexplained() > 0 {
		return ErrUnexplained
	}
	return nil
}

// read takes all that is to be read through the pipeline.
func (r *Review) read(ctx context.Context) (coverage.Summary, error) {
	reading, stop := context.WithCancel(ctx)
	defer stop()
	r.stop = stop
	if r.cfg.ShowProgress {
		defer report.ShowProgress(ctx, r.cfg.Notes, r.source).Stop()
	}
	err := r.line.Run(reading, r.source)
	return r.source.Summary(), err
}

// interrupted ends a review that was not finished. A table or a document of a part would pass for
// the whole; lines of JSON are written already, and are ended.
func (r *Review) interrupted(err error, read coverage.Summary) error {
	if r.cfg.Format != report.JSONFormat || r.cfg.Explain != "" {
		_ = notJudged(r.cfg.Notes, read)
		return fmt.Errorf("interrupted, and nothing is shown: %w", err)
	}
	read.Interrupted = true
	failed := r.report.Show(read)
	_ = notJudged(r.cfg.Notes, read)
	return errors.Join(fmt.Errorf("interrupted, the output is incomplete: %w", err), failed)
}
