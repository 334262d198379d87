package pipeline

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

func TestAPipelineThatIsStuckSaysAtWhat(t *testing.T) {
	denied, full := errors.New("access denied"), errors.New("no space left on device")
	hangs := func() error { time.Sleep(5 * time.Second); return denied }
	for _, tt := range []struct {
		name         string
		sink, ledger func() error // while it fails
		says         []string
		saysNot      string
		is           error
	}{
		{"the ledger is denied", nil, func() error { return denied }, []string{"in the pipeline for 11s", "the ledger has not taken a root call for 11s", "access denied"}, "the log", denied},
		{"the log is full", func() error { return full }, nil, []string{"in the pipeline for 11s", "the log or another sink has not taken a root call for 11s", "no space left"}, "ledger", full},
		{"the log hangs", func() error { time.Sleep(time.Minute); return nil }, nil, []string{"the log or another sink has not answered for 11s"}, "ledger", nil},
		{"the ledger hangs at first", nil, hangs, []string{"the ledger has not taken a root call for 11s: access denied"}, "the log", denied},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				start := time.Now()
				try := func(fails func() error) error {
					if fails == nil || time.Since(start) > 30*time.Second {
						return nil
					}
					return fails()
				}
				ledger := &flakyLedger{record: func(*Finding) (Recorded, error) { return First, try(tt.ledger) }}
				r := newRig(t, Config{Ledger: ledger, Sinks: []Sink{sinkFunc(func(context.Context, *Finding) error { return try(tt.sink) })}})
				ended := make(chan error)
				go func() { ended <- r.Run(t.Context(), batches{batch(rootEvent)}) }()
				time.Sleep(10 * time.Second)
				if err := r.Stuck(10 * time.Second); err != nil {
					t.Errorf("after 10s: %v", err)
				}
				time.Sleep(time.Second)
				err := r.Stuck(10 * time.Second)
				if err == nil {
					t.Fatal("it is not stuck after 11s")
				}
				for _, want := range tt.says {
					if !strings.Contains(err.Error(), want) {
						t.Errorf("%q is not said in %q", want, err)
					}
				}
				if strings.Contains(err.Error(), tt.saysNot) || strings.Contains(err.Error(), "\n") {
					t.Errorf("the error is %q", err)
				}
				if tt.is != nil && !errors.Is(err, tt.is) {
					t.Errorf("the cause is lost in %v", err)
				}
				if err := <-ended; err != nil {
					t.Fatal(err)
				}
				if err := r.Stuck(10 * time.Second); err != nil {
					t.Errorf("at the end: %v", err)
				}
			})
		})
	}
}

// A call that waits in the ledger for a short time is no reason for a batch that hangs elsewhere.
func TestOnlyWhatWaitsForLongIsNamed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, Config{Sinks: []Sink{new(kept)}})
		r.emit.ages.add(batch(rootEvent))
		time.Sleep(15 * time.Second)
		_, end := r.emit.waits.begin(theLedger)
		time.Sleep(5 * time.Second)
		if err := r.Stuck(10 * time.Second); err == nil || err.Error() != "the oldest batch has been in the pipeline for 20s" {
			t.Errorf("%v", err)
		}
		end()
		time.Sleep(10 * time.Second)
		if n := len(r.emit.waits.overdue(0)); n != 0 {
			t.Errorf("%d calls are left", n)
		}
	})
}
