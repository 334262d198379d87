package report

import (
	"cmp"
	"context"
	"slices"
	"time"

	"rootwatch/classify"
	"rootwatch/pipeline"
)

// What is kept of unexplained calls to be shown. Those beyond are counted, and JSON has them all.
const (
	// maxCalls of the ordinary kind, with 300 bytes of text, were measured to make a table in a process of 360 MB.
	maxCalls = 100_000
	// maxKept is how many bytes the texts of all of them have at most: whoever sends long ones must not take more memory.
	maxKept = 64 << 20
	// maxText is how long a text is at most, as in the log line.
	maxText = 1 << 10
)

// Calls is a sink that keeps root calls for a table or a document.
type Calls struct {
	calls       []call
	kept        int // of calls, at most
	room        int // bytes that are left for texts
	unexplained int
	invoked     int
	services    map[service]*invocations
}

// NewCalls returns an empty collection.
func NewCalls() *Calls {
	return &Calls{kept: maxCalls, room: maxKept, services: make(map[service]*invocations)}
}

// call is what is shown of one unexplained call. Its texts are as they stand in the record.
type call struct {
	at       time.Time // zero if eventTime is not a time
	position int
	owner    owner // what decides on its session
	started  string
	key      string
	signedIn bool // with the credentials of a sign-in that the call names

	id, time, region, source, name, address, agent, mfa, result, reason, file string
	severity                                                                  classify.Severity
}

// owner says which session a call belongs to.
type owner struct {
	account, session string
	// signIn is set for a sign-in that names no session: it belongs to the one that opens soon after.
	signIn bool
}

// service is a line of the calls that services made by themselves.
type service struct {
	name   string
	reason classify.Reason
}

type invocations struct {
	calls    int
	accounts map[string]bool
	newest   string
}

// Take implements [pipeline.Sink].
func (c *Calls) Take(_ context.Context, f *pipeline.Finding) error {
	if f.Verdict == classify.ServiceInvoked {
		c.invoked++
		key := service{cut(f.Service), f.Reason}
		s := c.services[key]
		if s == nil {
			s = &invocations{accounts: make(map[string]bool)}
			c.services[key] = s
		}
		s.calls++
		s.accounts[f.AccountID] = true
		s.newest = max(s.newest, cut(f.Event.EventTime.Value))
		return nil
	}
	c.unexplained++
	if len(c.calls) < c.kept && c.room > 0 {
		kept := newCall(f, c.unexplained)
		c.room -= kept.size()
		c.calls = append(c.calls, kept)
	}
	return nil
}

// Unexplained is how many calls nobody has explained.
func (c *Calls) Unexplained() int { return c.unexplained }

func newCall(f *pipeline.Finding, position int) call {
	e := f.Event
	at, _ := time.Parse(time.RFC3339, e.EventTime.Value)
	return call{
		at: at, position: position,
		owner: owner{
			account: cut(f.AccountID), session: cut(e.SessionID()),
			signIn: f.Reason == classify.SignIn && e.SignInSession() == "" && e.SessionStarted() == "" && e.Key() == "",
		},
		started: cut(e.SessionStarted()), key: cut(e.Key()), signedIn: e.SignInSession() != "",
		id: cut(e.EventID.Value), time: cut(e.EventTime.Value), region: cut(e.AWSRegion.Value), source: cut(e.EventSource.Value),
		name: cut(e.EventName.Value), address: cut(e.SourceIPAddress.Value), agent: cut(e.UserAgent.Value),
		mfa: yesNo(cut(e.MFA())), result: cut(outcome(e)), reason: string(f.Reason), severity: f.Severity, file: f.File,
	}
}

// size is what a call takes of the room for texts. A file's name is shared by its calls.
func (c *call) size() (n int) {
	for _, s := range []string{c.owner.account, c.owner.session, c.started, c.key, c.id, c.time, c.region, c.source, c.name, c.address, c.agent, c.mfa, c.result} {
		n += len(s)
	}
	return n
}

// yesNo is a flag as people read it.
func yesNo(flag string) string {
	switch flag {
	case "true":
		return "yes"
	case "false":
		return "no"
	}
	return flag
}

// outcome is how a call ended: its error, or what a sign-in says of itself.
func outcome(e *classify.Event) string {
	for _, t := range slices.Concat([]classify.Text{e.ErrorCode}, e.Outcomes(), []classify.Text{e.ErrorMessage}) {
		if !t.Empty() {
			return t.Value
		}
	}
	if e.Failed() {
		return "Failure"
	}
	return "ok"
}

// session is the calls of one session, in the order of their times.
type session struct {
	owner
	start time.Time // of the session, if a call tells it; else of its first call
	calls []call
}

// keys are the access keys of a session, in the order in which they were used.
func (s *session) keys() (keys []string) {
	known := make(map[string]bool)
	for _, c := range s.calls {
		if c.key != "" && !known[c.key] {
			known[c.key] = true
			keys = append(keys, c.key)
		}
	}
	return keys
}

// started is when the session says that it began, "" if it does not.
func (s *session) started() string {
	for _, c := range s.calls {
		if c.started != "" {
			return c.started
		}
	}
	return ""
}

// opened says whether somebody has opened it: a call tells its sign-in, its start or its key.
func (s *session) opened() bool {
	return slices.ContainsFunc(s.calls, func(c call) bool { return c.started != "" || c.key != "" || c.signedIn })
}

// worst is the severity of the gravest call.
func (s *session) worst() classify.Severity {
	for _, severity := range classify.Severities() {
		if slices.ContainsFunc(s.calls, func(c call) bool { return c.severity == severity }) {
			return severity
		}
	}
	return classify.None
}

// signInLead is how long before its session a sign-in may be.
const signInLead = 5 * time.Minute

// sessions groups the calls, and orders groups by their first calls' times. A sign-in names no session: it belongs to
// the first that opens in its account within five minutes, else to the other sign-ins from its address.
func (c *Calls) sessions() []*session {
	calls := slices.Clone(c.calls)
	slices.SortFunc(calls, func(a, b call) int { return cmp.Or(a.at.Compare(b.at), cmp.Compare(a.position, b.position)) })
	known := make(map[owner]*session)
	var list []*session
	add := func(o owner, c call) {
		s := known[o]
		if s == nil {
			s = &session{owner: o, start: c.at}
			known[o] = s
			list = append(list, s)
		}
		s.calls = append(s.calls, c)
		if at, err := time.Parse(time.RFC3339, c.started); err == nil && at.Before(s.start) {
			s.start = at
		}
	}
	byAccount := make(map[string][]*session)
	for _, c := range calls {
		if !c.owner.signIn {
			add(c.owner, c)
		}
	}
	for _, s := range list {
		if s.opened() { // calls from one address alone are no session that somebody opened
			byAccount[s.account] = append(byAccount[s.account], s)
		}
	}
	for _, sessions := range byAccount {
		slices.SortStableFunc(sessions, func(a, b *session) int { return a.start.Compare(b.start) })
	}
	for _, c := range calls {
		if c.owner.signIn {
			add(opened(byAccount[c.owner.account], c), c)
		}
	}
	for _, s := range list {
		slices.SortFunc(s.calls, func(a, b call) int { return cmp.Or(a.at.Compare(b.at), cmp.Compare(a.position, b.position)) })
	}
	slices.SortFunc(list, func(a, b *session) int {
		return cmp.Or(a.calls[0].at.Compare(b.calls[0].at), cmp.Compare(a.calls[0].position, b.calls[0].position))
	})
	return list
}

// opened is the session that a sign-in has opened, of those of its account in the order of their starts.
func opened(sessions []*session, signIn call) owner {
	i, _ := slices.BinarySearchFunc(sessions, signIn.at, func(s *session, at time.Time) int { return s.start.Compare(at) })
	if signIn.at.IsZero() || i == len(sessions) || sessions[i].start.Sub(signIn.at) > signInLead {
		return signIn.owner
	}
	return sessions[i].owner
}

// invokedBy lists the calls that services made by themselves, most calls first.
func (c *Calls) invokedBy() (list []serviceLine) {
	for key, s := range c.services {
		list = append(list, serviceLine{key, s})
	}
	slices.SortFunc(list, func(a, b serviceLine) int {
		return cmp.Or(cmp.Compare(b.calls, a.calls), cmp.Compare(a.name, b.name), cmp.Compare(a.reason, b.reason))
	})
	return list
}

type serviceLine struct {
	service
	*invocations
}
