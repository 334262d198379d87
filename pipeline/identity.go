package pipeline

import (
	"crypto/sha256"
	"encoding/hex"
	"hash/maphash"

	"rootwatch/classify"
	"rootwatch/classify/plain"
)

// Identity tells calls apart that share an id. Two records are copies of one call only if eventID,
// eventTime, eventSource, eventName and account agree: sanitised logs and examples in documentation
// repeat ids. An Identity means something in this process alone.
type Identity struct {
	all    uint64 // of the four that are compared beside the id
	part   uint64 // of eventTime and account, which a correction leaves as they are
	update bool   // a record that corrects another (addendum UPDATED_DATA)
}

// identityFields are what is compared beside the id, as they stand in a finding's attributes.
type identityFields struct{ time, source, name, account string }

var identitySeed = maphash.MakeSeed()

// NewIdentity is the identity of a call from the attributes event_time, event_source, event_name
// and account_id. update is whether its addendum is UPDATED_DATA.
func NewIdentity(time, source, name, account string, update bool) Identity {
	f := identityFields{time, source, name, account}
	return Identity{maphash.Comparable(identitySeed, f), maphash.Comparable(identitySeed, [2]string{time, account}), update}
}

func (f *Finding) identityFields() identityFields {
	e := f.Event
	return identityFields{
		plain.Cut(e.EventTime.Value, maxAttr), plain.Cut(e.EventSource.Value, maxAttr), plain.Cut(e.EventName.Value, maxAttr), f.AccountID,
	}
}

// Identity is the identity of the call that the finding is about.
func (f *Finding) Identity() Identity {
	i := f.identityFields()
	return NewIdentity(i.time, i.source, i.name, i.account, f.Event.UpdateOf() != "")
}

// Same reports whether a call that arrives under the same id is the one that is known. Of a
// correction and its original the time and the account agree; whichever comes first, it is one
// call.
func (i Identity) Same(known Identity) bool {
	return i.all == known.all || known.update && i.part == known.part
}

// Corrects reports whether the record replaces the one that is known under its id, although it
// differs from it.
func (i Identity) Corrects() bool { return i.update }

// Worsens reports whether the finding makes a call worse that is known under the same id: by its
// judgement ([classify.Finding.GraverThan]), or because one of the two records corrects the other,
// and only the known one was expected. If both are the same record it was the policy that changed,
// and the call must not page now: it was known, and counted, when the policy expected it.
func (f *Finding) Worsens(known Identity, verdict classify.Verdict, reason classify.Reason, severity classify.Severity) bool {
	if f.GraverThan(verdict, reason, severity) {
		return true
	}
	return f.Verdict == classify.Unexplained && verdict == classify.Expected && f.Identity().update != known.update
}

// OwnID is the id of a call whose [Finding.ID] belongs to another call: a hash of all that tells
// the two apart.
func (f *Finding) OwnID() string {
	i := f.identityFields()
	hash := sha256.New()
	for _, s := range []string{f.ID, i.time, i.source, i.name, i.account} {
		sum := sha256.Sum256([]byte(s)) // of equal length, so that no two calls run together
		hash.Write(sum[:])
	}
	return "sha256:" + hex.EncodeToString(hash.Sum(nil))
}
