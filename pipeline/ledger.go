package pipeline

import (
	"context"
	"fmt"
	"sync"

	lru "github.com/hashicorp/golang-lru/v2"

	"rootwatch/classify"
)

// Ledger remembers which root calls were finished, so that a copy is not counted as another call. Emit asks
// it twice for each finding: Seen before the sinks, Record after them. Between the two a call is not
// remembered: if a sink fails and the process dies, the call comes again and is told again.
//
// Copies share [Finding.ID]. A finding is a copy if its id was recorded before, with one exception: when
// all that was recorded is service_invoked and this one is unexplained. CloudTrail may correct a record
// afterwards (addendum UPDATED_DATA), in any order of arrival, and a correction that turns a harmless call
// into an unexplained one must be heard.
type Ledger interface {
	// Seen says whether f is known to be a copy, without waiting for anything. It may miss copies that
	// another process recorded: Record finds those.
	Seen(f *Finding) bool
	// Record writes f down and says whether it is the first, in one step. After an error emit calls it
	// again with the same *Finding, until it answers: if the failed call took effect after all, first is
	// still true then, or the call would never be counted.
	Record(ctx context.Context, f *Finding) (first bool, err error)
}

// MemoryLedger is a [Ledger] in bounded memory: it forgets the calls that it has not met for the longest
// time, and all of them when the process ends.
type MemoryLedger struct {
	mu       sync.Mutex // held from look-up to entry, so that of two copies one is the first
	verdicts *lru.Cache[string, classify.Verdict]
}

// NewMemoryLedger returns a ledger of so many calls.
func NewMemoryLedger(size int) (*MemoryLedger, error) {
	c, err := lru.New[string, classify.Verdict](size)
	if err != nil {
		return nil, fmt.Errorf("make a ledger for %d calls: %w", size, err)
	}
	return &MemoryLedger{verdicts: c}, nil
}

// Seen implements [Ledger].
func (l *MemoryLedger) Seen(f *Finding) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.copy(f)
}

// Record implements [Ledger]; it never fails.
func (l *MemoryLedger) Record(_ context.Context, f *Finding) (first bool, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.copy(f) {
		return false, nil
	}
	l.verdicts.Add(f.ID, f.Verdict)
	return true, nil
}

func (l *MemoryLedger) copy(f *Finding) bool {
	before, known := l.verdicts.Get(f.ID)
	turned := before == classify.ServiceInvoked && f.Verdict == classify.Unexplained
	return known && !turned
}
