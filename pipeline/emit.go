package pipeline

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime/debug"
	"sync"
	"time"

	"github.com/cenkalti/backoff/v5"
	"golang.org/x/sync/errgroup"
)

// emitter is the last stage. For each finding, in order: is it a copy; the sinks; the ledger; the counters
// and gauges of root calls. After all of them the batch's other counters, and then Done: whatever a source
// checkpoints has been told, written down and counted.
//
// Batches are taken one at a time, and of the copies in a batch the first goes before the others: a copy that
// comes while its original is being told waits for it, and is judged by how that ended.
//
// A large batch comes as several partial batches, the batch itself last: what they end as is counted with it.
//
// Of a batch that is cut short only the root calls that were finished are counted. It is read again later:
// its other events are counted then, and those root calls are duplicates.
type emitter struct {
	sinks   []Sink
	ledger  Ledger
	metrics *metrics
	log     *slog.Logger
	now     func() time.Time
	onCopy  func(*Finding)
}

func (s *emitter) process(ctx context.Context, w *work) error {
	if w.Abandoned != nil && w.Abandoned() {
		if w.whole == nil {
			w.done(Outcome{})
		}
		return nil
	}
	originals, copies := s.split(w)
	if err := s.finish(ctx, w, originals); err != nil {
		return err
	}
	for _, f := range copies { // their originals are finished now
		if err := s.finish(ctx, w, []*Finding{f}); err != nil {
			return err
		}
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	if w.whole != nil {
		w.whole.ahead.add(w.outcome)
		return nil
	}
	outcome := w.ahead
	outcome.add(w.outcome)
	s.metrics.batch(w, outcome.Events, s.now())
	w.done(outcome)
	return nil
}

// split sets the copies within a batch apart from the first of each id.
func (s *emitter) split(w *work) (originals, copies []*Finding) {
	ids := make(map[string]bool, len(w.events))
	for i := range w.events {
		f := w.events[i].finding
		if ids[f.ID] {
			copies = append(copies, f)
			continue
		}
		ids[f.ID] = true
		originals = append(originals, f)
	}
	return originals, copies
}

// recordsAtOnce is how many calls of a batch are written down at a time: each waits for its own answer, and a burst of root
// calls must not hold up those behind it.
const recordsAtOnce = 16

// staleCount is how old the moment of counting may get while the ledger does not answer. The rule that pages looks back a day:
// a series that is born older than that would page nobody.
const staleCount = 10 * time.Minute

// finish brings root calls with different ids to their end: told in order, then written down together and counted. It fails
// only when ctx ends; those that were written down by then are counted.
func (s *emitter) finish(ctx context.Context, w *work, findings []*Finding) error {
	told := make([]*Finding, 0, len(findings))
	for _, f := range findings {
		if err := ctx.Err(); err != nil {
			return err
		}
		if s.ledger.Seen(f) {
			s.copied(w, f)
			continue
		}
		for _, sink := range s.sinks {
			err := s.insist(ctx, f, "a sink did not take a root call", func() error { return sink.Take(ctx, f) })
			if err != nil {
				return err
			}
		}
		f.Counted = s.now().Truncate(time.Millisecond)
		told = append(told, f)
	}
	errs := make([]error, len(told))
	var counting sync.Mutex
	var group errgroup.Group
	group.SetLimit(recordsAtOnce)
	for i, f := range told {
		group.Go(func() error {
			var outcome Recorded
			errs[i] = s.insist(ctx, f, "the ledger did not take a root call", func() (err error) {
				if now := s.now().Truncate(time.Millisecond); now.Sub(f.Counted) > staleCount {
					f.Counted = now
				}
				outcome, err = s.ledger.Record(ctx, f)
				return err
			})
			counting.Lock() // counted at once: a call whose turn is over must not wait for one that the ledger refuses
			defer counting.Unlock()
			switch {
			case errs[i] != nil:
			case outcome == First:
				w.outcome.Events[ResultRoot]++
				s.metrics.rootCall(f)
			case outcome == Correction: // one call still, but it pages as what it is now
				w.outcome.Events[ResultDuplicate]++
				s.metrics.corrected(f)
			default:
				s.copied(w, f)
			}
			return nil
		})
	}
	group.Wait() //nolint:errcheck // the errors are in errs, each with its finding
	return errors.Join(errs...)
}

// copied counts a copy, and tells of it whoever asked.
func (s *emitter) copied(w *work, f *Finding) {
	w.outcome.Events[ResultDuplicate]++
	if s.onCopy != nil {
		s.onCopy(f)
	}
}

// insist repeats try, with growing pauses, until it succeeds or ctx ends: a root call is not given up, and
// the line behind it waits.
func (s *emitter) insist(ctx context.Context, f *Finding, failed string, try func() error) error {
	pause := backoff.ExponentialBackOff{
		InitialInterval: 100 * time.Millisecond, MaxInterval: 5 * time.Second,
		Multiplier: 2, RandomizationFactor: 0.3,
	}
	for {
		err := recovered(try)
		if err == nil {
			return nil
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
		next := pause.NextBackOff()
		s.log.Error(failed+": trying again", "err", err, "in", next.Round(time.Millisecond),
			"id", f.ID, "shard_id", f.ShardID, "sequence_number", f.SequenceNumber, "file", f.File)
		select {
		case <-time.After(next):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// recovered runs f and makes an error of a panic.
func recovered(f func() error) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = panicked(p)
		}
	}()
	return f()
}

// panicError is a recovered panic with the stack that it left behind.
type panicError struct {
	value any
	stack []byte
}

func panicked(value any) *panicError { return &panicError{value, debug.Stack()} }

func (e *panicError) Error() string { return fmt.Sprintf("panic: %v\n%s", e.value, e.stack) }
