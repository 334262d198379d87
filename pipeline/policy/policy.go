// Package policy knows which root calls were planned: a file says which accounts' calls are
// expected, until when, and on whose word. What is not clear is not expected, so that it pages.
// Reading and judging do no I/O and have no clock: whoever asks says what time it is.
package policy

import (
	"net/netip"
	"slices"
	"time"

	"rootwatch/classify"
)

// Policy is what a file says. Its entries stand in the file's order.
type Policy struct {
	Entries []Entry
}

// Entry expects some root calls for some time. A list that is empty asks for nothing, but for
// Accounts, which never is.
type Entry struct {
	Name           string
	Accounts       []string
	Reasons        []classify.Reason
	EventNames     []string // as CloudTrail writes them
	SourceNetworks []netip.Prefix
	From           time.Time // the first moment of a call that is expected
	Until          time.Time // the first moment of a call that is not expected any more
	Ticket         string
	ApprovedBy     string
	Line           int // of the file
}

// MaxLength is how long an entry may last: what is needed for longer is looked at again.
const MaxLength = 90 * 24 * time.Hour

// clockError is how far AWS's clock may be ahead of this one. A call that was made in the future is
// not understood.
const clockError = 5 * time.Minute

// State is whether an entry is in force.
func (e *Entry) State(now time.Time) string {
	switch {
	case now.Before(e.From):
		return "not yet in force"
	case now.Before(e.Until):
		return "in force"
	}
	return "ended"
}

// Expects names the first entry that expects a call that was judged unexplained, "" if none does.
func (p *Policy) Expects(ev *classify.Event, f *classify.Finding, now time.Time) (entry string) {
	for i := range p.Entries {
		if p.Entries[i].Refuses(ev, f, now) == "" {
			return p.Entries[i].Name
		}
	}
	return ""
}

// Refuses is why the entry does not expect a call, "" if it does. Everything that is compared was
// written by AWS: no client chooses its account, the time of its call or its address.
func (e *Entry) Refuses(ev *classify.Event, f *classify.Finding, now time.Time) string {
	switch {
	case f.Verdict != classify.Unexplained:
		return "the call is " + string(f.Verdict) + ", and only an unexplained one can be expected"
	case !classify.IsAccountID(f.AccountID):
		return "the call names no account"
	case !slices.Contains(e.Accounts, f.AccountID):
		return "account " + f.AccountID + " is not among its accounts"
	}
	for _, refuses := range []func(*classify.Event, *classify.Finding, time.Time) string{e.time, e.what, e.where, e.grave} {
		if why := refuses(ev, f, now); why != "" {
			return why
		}
	}
	return ""
}

// time refuses calls that were made at another time, whenever they are read.
func (e *Entry) time(ev *classify.Event, _ *classify.Finding, now time.Time) string {
	at, err := time.Parse(time.RFC3339, ev.EventTime.Value)
	switch {
	case err != nil || ev.EventTime.Odd:
		return "the call's time is not understood"
	case at.After(now.Add(clockError)):
		return "the call's time lies in the future"
	case at.Before(e.From):
		return "the call was made before it begins, at " + e.From.Format(time.RFC3339)
	case !at.Before(e.Until):
		return "the call was made after it ended, at " + e.Until.Format(time.RFC3339)
	}
	return ""
}

// what refuses calls of other reasons and events than those that the entry names.
func (e *Entry) what(ev *classify.Event, f *classify.Finding, _ time.Time) string {
	switch {
	case len(e.Reasons) > 0 && !slices.Contains(e.Reasons, f.Reason):
		return "reason " + string(f.Reason) + " is not among its reasons"
	case len(e.EventNames) > 0 && !e.names(ev):
		return "the event is not among its event_names"
	}
	return ""
}

func (e *Entry) names(ev *classify.Event) bool {
	return !ev.EventName.Odd && slices.Contains(e.EventNames, ev.EventName.Value)
}

// where refuses calls from elsewhere, if the entry names networks. A service's name is in no
// network, nor is AWS Internal.
func (e *Entry) where(ev *classify.Event, _ *classify.Finding, _ time.Time) string {
	if len(e.SourceNetworks) == 0 {
		return ""
	}
	address, err := netip.ParseAddr(ev.SourceIPAddress.Value)
	if err != nil || ev.SourceIPAddress.Odd {
		return "the call did not come from an address"
	}
	if !slices.ContainsFunc(e.SourceNetworks, func(n netip.Prefix) bool { return n.Contains(address) }) {
		return "the call came from outside its source_networks"
	}
	return ""
}

// grave refuses what an entry must name to expect it: the use of a long-lived key, whatever else is
// behind the call, and what is critical by what it does.
func (e *Entry) grave(ev *classify.Event, f *classify.Finding, _ time.Time) string {
	key := f.Reason == classify.AccessKey || ev.LongLivedKey()
	critical := f.Impact != "" && criticalImpact(f.Impact)
	switch {
	case key && !slices.Contains(e.Reasons, classify.AccessKey):
		return "a long-lived root key was used, and its reasons do not name access_key"
	case (critical || f.Severity == classify.Critical && !key) && !e.names(ev):
		return "the call is critical by what it does, and its event_names do not name the event"
	}
	return ""
}

// criticalImpact reports whether an impact makes a call critical; one that is not known is.
func criticalImpact(does string) bool {
	known := false
	for _, i := range classify.Impacts() {
		if i.Does != does {
			continue
		}
		if known = true; i.Severity == classify.Critical {
			return true
		}
	}
	return !known
}
