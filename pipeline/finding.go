package pipeline

import (
	"context"
	"strings"
	"time"

	"rootwatch/classify"
)

// Finding is a judged root call together with where it came from: what sinks take.
type Finding struct {
	classify.Finding
	Event *classify.Event
	// ID is what the copies of one call have in common, beside [Finding.Identity]: the eventID, for
	// an update the eventID of what it updates. Where that is no string or says nothing it is a
	// hash of the record, and where it is longer than an id can be a hash of it.
	ID string
	// Account is what is known about the account besides its id.
	Account Account
	// Policy is the entry of the policy that expects the call, whose verdict is then
	// [classify.Expected].
	Policy string
	// DryRun is the entry that would expect the call, if the policy were more than tried out.
	DryRun string
	// Counted is the moment at which emit first tried to record the call, or at which it was shown
	// without being recorded, in whole milliseconds: the value of the paging series, here and in
	// every task that restores it from a ledger.
	Counted        time.Time
	ShardID        string
	SequenceNumber string
	File           string
	Arrival        time.Time
}

// Account is what people know an account by. The zero value is an account of which nothing is
// known.
type Account struct {
	Name  string
	Owner string
	Tags  []Tag // in the order of their keys
}

// String is what is known in one line, "" if nothing is: "prod-billing, owner payments, env=prod".
func (a Account) String() string {
	var parts []string
	if a.Name != "" {
		parts = append(parts, a.Name)
	}
	if a.Owner != "" {
		parts = append(parts, "owner "+a.Owner)
	}
	for _, t := range a.Tags {
		parts = append(parts, t.Key+"="+t.Value)
	}
	return strings.Join(parts, ", ")
}

// Tag is one tag of an account.
type Tag struct{ Key, Value string }

// Sink takes findings in emit's order. An error stops the line: emit takes the same finding to the
// sink again, with growing pauses, until it is accepted or the pipeline stops. A sink may therefore
// see a finding twice: after an error, and when a batch that was cut short is read again. Take must
// return when ctx ends.
type Sink interface {
	Take(ctx context.Context, f *Finding) error
}
