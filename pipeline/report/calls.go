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
	// maxCalls of the ordinary kind, with 300 bytes of text, were measured to make a table in a
	// process of 360 MB.
	maxCalls = 100_000
	// maxKept is how many bytes the texts of all of them have at most: whoever sends long ones must
	// not take more memory.
	maxKept = 64 << 20
	// maxText is how long a text is at most, as in the log line.
	maxText = 1 << 10
)

// collection is a sink that keeps root calls for a table or a document.
type collection struct {
	calls       []call
	kept        int // of calls, at most
	room        int // bytes that are left for texts
	unexplained int
	invoked     int
	services    map[service]*invocations
}

// newCollection returns an empty collection.
func newCollection() *collection {
	return &collection{kept: maxCalls, room: maxKept, services: make(map[service]*invocations)}
}

// call is what is shown of one unexplained call. Its texts are as they stand in the record.
type call struct {
	at       time.Time // zero if eventTime is not a time
	position int
	session  classify.Session // that it names; its value is cut
	of       string           // the id of that session
	signIn   bool             // a sign-in that names no session
	started  string
	key      string
	account  pipeline.Account // its texts are shared by all calls of the account

	id, time, region, source, name, address, agent, mfa, result, reason, file string
	severity                                                                  classify.Severity
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
func (c *collection) Take(_ context.Context, f *pipeline.Finding) error {
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
func (c *collection) Unexplained() int { return c.unexplained }

func newCall(f *pipeline.Finding, position int) call {
	e := f.Event
	at, _ := time.Parse(time.RFC3339, e.EventTime.Value)
	named := classify.SessionOf(e, f.AccountID)
	of := named.ID()
	named.Account, named.Value = cut(named.Account), cut(named.Value)
	return call{
		at: at, position: position,
		session: named, of: of, signIn: f.Reason == classify.SignIn && named.Kind == classify.ByAddress,
		started: cut(e.SessionStarted()), key: cut(e.Key()), account: f.Account,
		id: cut(e.EventID.Value), time: cut(e.EventTime.Value), region: cut(e.AWSRegion.Value), source: cut(e.EventSource.Value),
		name: cut(e.EventName.Value), address: cut(e.SourceIPAddress.Value), agent: cut(e.UserAgent.Value),
		mfa: yesNo(cut(e.MFA())), result: cut(outcome(e)), reason: string(f.Reason), severity: f.Severity, file: f.File,
	}
}

// size is what a call takes of the room for texts. A file's name is shared by its calls.
func (c *call) size() (n int) {
	for _, s := range []string{c.session.Account, c.session.Value, c.started, c.key, c.id, c.time, c.region, c.source, c.name, c.address, c.agent, c.mfa, c.result} {
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
	classify.Session
	id     string
	signIn bool      // sign-ins of which no session came
	start  time.Time // its creation, if a call tells it; else its first call
	calls  []call
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

// worst is the severity of the gravest call.
func (s *session) worst() classify.Severity {
	for _, severity := range classify.Severities() {
		if slices.ContainsFunc(s.calls, func(c call) bool { return c.severity == severity }) {
			return severity
		}
	}
	return classify.None
}

// sessions groups the calls, and orders groups by their first calls' times. A call that does not
// name its session belongs to the one of its account that takes it ([classify.OpenSession]), else
// to those like it.
func (c *collection) sessions() []*session {
	calls := slices.Clone(c.calls)
	slices.SortFunc(calls, byTime)
	g := grouping{known: make(map[groupKey]*session), open: make(map[string][]*classify.OpenSession)}
	for _, c := range calls {
		if !c.session.Loose() {
			g.add(c, c.session, false)
		}
	}
	for _, signIns := range []bool{false, true} { // a session may be known by its keys alone
		g.openUp()
		for _, c := range calls {
			if c.session.Loose() && c.signIn == signIns {
				g.join(c)
			}
		}
	}
	for _, s := range g.list {
		slices.SortFunc(s.calls, byTime)
	}
	slices.SortFunc(g.list, func(a, b *session) int { return byTime(a.calls[0], b.calls[0]) })
	return g.list
}

func byTime(a, b call) int { return cmp.Or(a.at.Compare(b.at), cmp.Compare(a.position, b.position)) }

// grouping puts calls into sessions.
type grouping struct {
	known map[groupKey]*session
	list  []*session
	open  map[string][]*classify.OpenSession // by account, in the order in which they were opened
}

type groupKey struct {
	classify.Session
	signIn bool
}

func (g *grouping) add(c call, of classify.Session, signIn bool) {
	s := g.known[groupKey{of, signIn}]
	if s == nil {
		s = &session{Session: of, id: c.of, signIn: signIn, start: c.at}
		g.known[groupKey{of, signIn}] = s
		g.list = append(g.list, s)
	}
	s.calls = append(s.calls, c)
	if at, err := time.Parse(time.RFC3339, c.started); err == nil && at.Before(s.start) {
		s.start = at
	}
}

// openUp makes the sessions so far ones that take calls; calls from one address alone are none.
func (g *grouping) openUp() {
	clear(g.open)
	for _, s := range g.list {
		if s.Kind == classify.ByAddress {
			continue
		}
		o := &classify.OpenSession{Session: s.Session, Opened: s.start, Addresses: make(map[string]bool)}
		for _, c := range s.calls {
			o.Addresses[c.address] = true
		}
		g.open[s.Account] = append(g.open[s.Account], o)
	}
	for _, sessions := range g.open {
		slices.SortStableFunc(sessions, func(a, b *classify.OpenSession) int { return a.Opened.Compare(b.Opened) })
	}
}

// join adds a loose call to the session that takes it: a sign-in to the first one that opens after
// it, any other call to the one that was opened last.
func (g *grouping) join(c call) {
	var of *classify.OpenSession
	for _, o := range g.open[c.session.Account] {
		if !o.Takes(c.signIn, c.at, c.address) {
			continue
		}
		if of = o; c.signIn {
			break
		}
	}
	if of == nil {
		g.add(c, c.session, c.signIn)
		return
	}
	g.add(c, of.Session, false)
}

// invokedBy lists the calls that services made by themselves, most calls first.
func (c *collection) invokedBy() (list []serviceLine) {
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
