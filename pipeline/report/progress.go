package report

import (
	"context"
	"fmt"
	"io"
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
	select {
	case <-time.After(after):
	case <-ctx.Done():
		return
	}
	files, bytes, err := m.Total(ctx)
	if err != nil {
		return // it has ended meanwhile
	}
	if bytes == 0 {
		bytes = -1 // standard input: nobody knows
	}
	bar := progressbar.NewOptions64(bytes,
		progressbar.OptionSetWriter(w), progressbar.OptionShowBytes(true), progressbar.OptionShowCount(), progressbar.OptionSetPredictTime(true),
		progressbar.OptionFullWidth(), progressbar.OptionClearOnFinish(), progressbar.OptionSpinnerType(14),
		progressbar.OptionSetSpinnerChangeInterval(0)) // 0: no goroutine of its own; each Set shows it
	defer bar.Clear() //nolint:errcheck // the terminal is gone then
	tick := time.NewTicker(250 * time.Millisecond)
	defer tick.Stop()
	for {
		done, read := m.Progress()
		bar.Describe(fmt.Sprintf("%s of %s files", number(done), number(max(files, done))))
		if bytes > 0 {
			read = min(read, bytes-1) // full is for when everything is judged, and then it goes away
		}
		_ = bar.Set64(read)
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
	}
}
