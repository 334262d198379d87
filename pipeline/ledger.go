package pipeline

import (
	"context"
	"fmt"
	"sync"

	lru "github.com/hashicorp/golang-lru/v2"

	"rootwatch/classify"
)

// Ledger remembers which root calls were finished, so that a copy is not counted as another call.
// Emit asks it twice for each finding: Seen before the sinks, Record after them. Between the two a
// call is not remembered: if a sink fails and the process dies, the call comes again and is told
// again.
//
// Copies share [Finding.ID] and [Finding.Identity]. Another call under the same id is remembered
// under [Finding.OwnID]. CloudTrail may correct a record afterwards (addendum UPDATED_DATA), in any
// order of arrival. A copy that makes a call worse in verdict, reason or grade must be heard: it is
// a [Correction], and the call's state from then on ([Finding.Worsens]). That an entry of the
// policy has ended or begun since is no correction.
type Ledger interface {
	// Seen reports whether f is known to be a copy that changes nothing, without waiting for
	// anything. It may miss copies that another process recorded: Record finds those.
	Seen(f *Finding) bool
	// Record writes f down and tells what it is, in one step. After an error emit calls it again
	// with the same *Finding, until it answers: if the failed call took effect after all, the
	// answer is still First or Correction, or the call would never be counted.
	Record(ctx context.Context, f *Finding) (Recorded, error)
	// Settle waits until what Record has promised will outlive the process: that the account's
	// newest call is shown by every task. Emit calls it after Record, again after an error, and
	// ends the call with it. It may wait to do the work of many calls at once.
	Settle(ctx context.Context, f *Finding) error
}

// Recorded is what a ledger makes of a finding.
type Recorded int

const (
	First      Recorded = iota + 1 // the call was not recorded before
	Copy                           // it was, as something at least as grave
	Correction                     // it was, as something milder
)

// MemoryLedger is a [Ledger] in bounded memory: it forgets the calls that it has not met for the
// longest time, and all of them when the process ends.
type MemoryLedger struct {
	mu    sync.Mutex // held from look-up to entry, so that of two copies one is the first
	calls *lru.Cache[string, remembered]
}

// remembered is the state of a call.
type remembered struct {
	identity Identity
	verdict  classify.Verdict
	reason   classify.Reason
	severity classify.Severity
}

// NewMemoryLedger returns a ledger of so many calls.
func NewMemoryLedger(size int) (*MemoryLedger, error) {
	c, err := lru.New[string, remembered](size)
	if err != nil {
		return nil, fmt.Errorf("make a ledger for %d calls: %w", size, err)
	}
	return &MemoryLedger{calls: c}, nil
}

// Seen implements [Ledger].
func (l *MemoryLedger) Seen(f *Finding) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	_, outcome := l.find(f)
	return outcome == Copy
}

// Record implements [Ledger]; it never fails.
func (l *MemoryLedger) Record(_ context.Context, f *Finding) (Recorded, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	id, outcome := l.find(f)
	if outcome != Copy {
		l.calls.Add(id, remembered{f.Identity(), f.Verdict, f.Reason, f.Severity})
	}
	return outcome, nil
}

// Remember takes over what another ledger has under an id: without it calls that share the id would
// be told apart otherwise than there.
func (l *MemoryLedger) Remember(id string, identity Identity, verdict classify.Verdict, reason classify.Reason, severity classify.Severity) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.calls.Add(id, remembered{identity, verdict, reason, severity})
}

// Settle implements [Ledger]; nothing in memory outlives the process.
func (l *MemoryLedger) Settle(context.Context, *Finding) error { return nil }

// find is the id under which a call is remembered, or is to be, and what f is by that.
func (l *MemoryLedger) find(f *Finding) (id string, outcome Recorded) {
	identity := f.Identity()
	known, ok := l.calls.Get(f.ID)
	switch {
	case !ok:
		return f.ID, First
	case identity.Same(known.identity):
		return f.ID, known.outcome(f)
	}
	own := f.OwnID()
	if other, ok := l.calls.Get(own); ok {
		return own, other.outcome(f)
	}
	if identity.Corrects() {
		return f.ID, known.outcome(f)
	}
	return own, First
}

func (r remembered) outcome(f *Finding) Recorded {
	if f.Worsens(r.identity, r.verdict, r.reason, r.severity) {
		return Correction
	}
	return Copy
}
