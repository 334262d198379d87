package report

import (
	"context"
	"io"
	"math"
	"sync"
	"time"

	"github.com/schollz/progressbar/v3"
)

// longWork is how long a review goes on before it shows how far it is.
const longWork = 2 * time.Second

// Progress shows files, bytes, rate and time left while a source is read, if that takes long.
type Progress struct {
	stop    chan struct{}
	stopped sync.WaitGroup
}

// Measure is how far a source is, and how much there is.
type Measure interface {
	Progress() (files int, bytes int64)
	Total(ctx context.Context) (files int, bytes int64, err error)
}

// ShowProgress starts to show a source's progress on w, a terminal, until [Progress.Stop].
func ShowProgress(ctx context.Context, w io.Writer, m Measure) *Progress {
	return showProgress(ctx, w, m, longWork)
}

func showProgress(ctx context.Context, w io.Writer, m Measure, after time.Duration) *Progress {
	p := &Progress{stop: make(chan struct{})}
	ctx, cancel := context.WithCancel(ctx)
	p.stopped.Go(func() {
		<-p.stop
		cancel()
	})
	p.stopped.Go(func() { p.run(ctx, w, m, after) })
	return p
}

// Stop takes the bar away.
func (p *Progress) Stop() {
	close(p.stop)
	p.stopped.Wait()
}

func (p *Progress) run(ctx context.Context, w io.Writer, m Measure, after time.Duration) {
	// Bars measure the rate from the beginning on, unseen. Which of them is shown depends on what
	// there is to be read.
	shown := &gate{Writer: w}
	bar, spinner := newBar(shown, math.MaxInt64), newBar(shown, -1)
	tick := time.NewTicker(250 * time.Millisecond)
	defer tick.Stop()
	long := time.After(after)
	for waiting := true; waiting; {
		select {
		case <-tick.C:
			_, read := m.Progress()
			_, _ = bar.Set64(read), spinner.Set64(read)
		case <-long:
			waiting = false
		case <-ctx.Done():
			return
		}
	}
	files, bytes, err := m.Total(ctx)
	if err != nil {
		return // it has ended meanwhile
	}
	if bytes == 0 {
		bar = spinner // standard input: nobody knows
	} else {
		_, read := m.Progress()
		_ = bar.Set64(min(read, bytes-1)) // a full bar cannot be updated any more
		bar.ChangeMax64(bytes)
	}
	shown.open = true
	defer bar.Clear() //nolint:errcheck // the terminal is gone then
	for {
		done, read := m.Progress()
		bar.Describe(number(done) + " of " + counted(max(files, done), "file", "files"))
		if bytes > 0 {
			read = min(read, bytes-1) // it is full only when everything is judged, and is taken away then
		}
		_ = bar.Set64(read)
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
	}
}

func newBar(w io.Writer, total int64) *progressbar.ProgressBar {
	return progressbar.NewOptions64(total,
		progressbar.OptionSetWriter(w), progressbar.OptionShowBytes(true), progressbar.OptionShowCount(), progressbar.OptionSetPredictTime(true),
		progressbar.OptionFullWidth(), progressbar.OptionClearOnFinish(), progressbar.OptionSpinnerType(14),
		progressbar.OptionSetSpinnerChangeInterval(0)) // 0: no goroutine of its own; each Set shows it
}

// gate lets nothing through until it is opened.
type gate struct {
	io.Writer
	open bool
}

func (g *gate) Write(p []byte) (int, error) {
	if !g.open {
		return len(p), nil
	}
	return g.Writer.Write(p)
}
