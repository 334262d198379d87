package pipeline

import (
	"context"
	"slices"
	"time"

	"rootwatch/classify"
)

// A root call that was judged must page though a sink or the ledger does not take it: the log is
// full, nobody reads it, DynamoDB is denied, slow or silent. So what is not recorded after a while
// is shown in the series that pages. It is not counted, and its batch is not done, until it is
// recorded; then the moment that was shown is what the ledger keeps, so that nothing pages a second
// time.

// defaultPageAfter is how long a call waits to be recorded before it pages without that.
const defaultPageAfter = 10 * time.Second

// staleCount is how old the moment of counting may get while the ledger does not answer. The rule
// that pages looks back a day: a series that is born older than that would page nobody.
const staleCount = 10 * time.Minute

// watch shows calls that are not recorded in time in the series that pages. It writes no log: the
// log may be what hangs.
func (e *emission) watch(ctx context.Context) {
	defer e.hideAll()
	for e.awaitCalls(ctx) {
		select {
		case <-time.After(e.raiseOverdue(time.Now())):
		case <-ctx.Done():
			return
		}
	}
}

// awaitCalls waits for a call that is not recorded, and reports whether there is one before ctx
// ends.
func (e *emission) awaitCalls(ctx context.Context) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	for len(e.unrecorded) == 0 && ctx.Err() == nil {
		e.changed.Wait()
	}
	return ctx.Err() == nil
}

// raiseOverdue shows the calls that have waited for too long, and tells how long the next one may
// wait.
func (e *emission) raiseOverdue(now time.Time) time.Duration {
	e.mu.Lock()
	defer e.mu.Unlock()
	due := 0
	for ; due < len(e.unrecorded) && (e.unrecorded[due].f == nil || now.Sub(e.unrecorded[due].since) >= e.pageAfter); due++ {
		if j := e.unrecorded[due]; j.f != nil && e.news(j) {
			e.count(j)
			j.raised, j.known = true, j.f.Identity()
			e.metrics.raise(e.metrics.account(j.f.AccountID), j.f.Severity, j.counted)
			e.metrics.unrecorded.Inc()
			e.shown[j.f.ID] = append(e.shown[j.f.ID], j)
		}
		e.unrecorded[due] = nil
	}
	e.unrecorded = e.unrecorded[due:]
	if len(e.unrecorded) == 0 {
		return 0
	}
	return e.pageAfter - now.Sub(e.unrecorded[0].since)
}

// news reports whether a call is more than a copy of one that is recorded, or of one that is shown
// already. A copy may not have been asked for yet: while a sink hangs it waits in the queue. e.mu
// is held.
func (e *emission) news(j *judged) bool {
	if j.f.Verdict != classify.Unexplained || e.ledger.Seen(j.f) {
		return false // a service's own call never pages, nor does an expected one
	}
	identity := j.f.Identity()
	return !slices.ContainsFunc(e.shown[j.f.ID], func(other *judged) bool {
		return identity.Same(other.known) && !j.f.GraverThan(other.f.Verdict, other.f.Reason, other.f.Severity)
	})
}

// hide takes a call at its end out of those that are shown without being recorded. e.mu is held.
func (e *emission) hide(j *judged) {
	left := slices.DeleteFunc(e.shown[j.f.ID], func(other *judged) bool {
		if other == j {
			e.metrics.unrecorded.Dec()
		}
		return other == j
	})
	if e.shown[j.f.ID] = left; len(left) == 0 {
		delete(e.shown, j.f.ID)
	}
}

// hideAll is for the end of the run: what is not recorded is read again, and another run may
// follow.
func (e *emission) hideAll() {
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, calls := range e.shown {
		e.metrics.unrecorded.Sub(float64(len(calls)))
	}
	clear(e.shown)
}

// countedAt is the moment that a call is to be recorded with.
func (e *emission) countedAt(j *judged) time.Time {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.count(j)
	return j.counted
}

// count sets the moment that a call is counted at. It is that of the first try to record it, also
// if the call is shown before that try has ended: the ledger may have it. It gives way if the clock
// was wrong, and before the call is shown if it has become too old to page. e.mu is held.
func (e *emission) count(j *judged) {
	now := e.now().Truncate(time.Millisecond)
	switch {
	case j.raised && j.counted.After(now.Add(maxAhead)), // what is shown gives way too, and no ledger believes it
		!j.raised && (now.Sub(j.counted) > staleCount || j.counted.After(now)):
		j.counted = now
	}
}
