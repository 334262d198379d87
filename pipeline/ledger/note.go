package ledger

import (
	"context"
	"errors"
	"time"

	"rootwatch/pipeline/dynamo"
	"rootwatch/pipeline/retry"
)

// newestCall is what is to be noted of an account: that the newest call of a series was counted at
// a moment, and the moment that is to be shown for it. Both are Unix milliseconds and nearly always
// the same.
type newestCall struct {
	of          series
	counted, to int64
}

// newestOfCopy sees to it that a call that was written down before is in its series. Whoever wrote
// it may have died before noting it; if that is long ago, the moment of counting would page nobody
// any more, and the call is shown as of now.
func (l *Ledger) newestOfCopy(item dynamo.Item) newestCall {
	verdict, _, severity := verdictOf(item)
	of := seriesOf(dynamo.Text(item, attrAccount), verdict.Paging(severity))
	counted, _ := dynamo.Int(item, attrCounted)
	now := l.cfg.Now()
	switch {
	case counted > now.Add(clockError).UnixMilli(): // by a wrong clock: whatever the series shows may be this call
		return newestCall{of, 0, now.UnixMilli()}
	case now.Sub(time.UnixMilli(counted)) > staleCount:
		return newestCall{of, counted, now.UnixMilli()}
	}
	return newestCall{of, counted, counted}
}

// believed is what is noted of a call whose moment lies in the future by now, since the clock was
// set back: a moment that nobody would restore, and that would hide those of the calls that share
// its note.
func (l *Ledger) believed(n newestCall) newestCall {
	now := l.cfg.Now()
	if n.to <= now.Add(clockError).UnixMilli() {
		return n
	}
	at := now.UnixMilli()
	return newestCall{n.of, min(n.counted, at), at}
}

// notePause is the least time between two notes of one series: in a burst half of all writes would
// be notes.
const notePause = 500 * time.Millisecond

// note is one write of a series' newest call, for all calls that came while the last one was young.
type note struct {
	at   int64 // Unix milliseconds, of the newest of them
	done chan struct{}
	err  error // once done is closed
}

// errNoNote is what those who share a note find if who made it did not come to its end.
var errNoNote = errors.New("the note of an account's newest call was not made")

// notesAtOnce is how many notes are written at a time at the most: a burst of accounts has a series
// each.
const notesAtOnce = 64

// note writes an account's newest call. The first call of a series is noted at once; those that
// come soon after it share the next note, which one of them writes.
func (l *Ledger) note(ctx context.Context, n newestCall) error {
	if n.to == 0 {
		return nil
	}
	if n.counted != n.to { // a copy of long ago: nobody shares it
		return l.raise(ctx, n.of, n.counted, n.to)
	}
	l.mu.Lock()
	shared := l.notes[n.of]
	if shared != nil {
		shared.at = max(shared.at, n.to)
		l.mu.Unlock()
		select {
		case <-shared.done:
			return shared.err
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	shared = &note{at: n.to, done: make(chan struct{}), err: errNoNote}
	l.notes[n.of] = shared
	pause := time.Until(l.noted[n.of].Add(notePause))
	l.mu.Unlock()
	defer close(shared.done)
	waited := retry.Sleep(ctx, pause)
	l.mu.Lock()
	delete(l.notes, n.of) // who comes now has a note of its own
	at := shared.at
	if len(l.noted) >= mostKnown {
		clear(l.noted)
	}
	l.noted[n.of] = time.Now()
	l.mu.Unlock()
	if waited != nil {
		shared.err = waited
	} else {
		shared.err = l.raise(ctx, n.of, at, at)
	}
	return shared.err
}
