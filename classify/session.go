package classify

import (
	"crypto/sha256"
	"encoding/hex"
	"time"
)

// Session is what the calls of one root session have in common. The console takes a fresh key for
// each request and `aws login` rotates its keys: the time at which the session was created stays.
// AWS writes the sign-in's ARN into the records of some services and not of others, so it must not
// split what one creation time joins.
type Session struct {
	Account string // 12 digits, or [UnknownAccount]
	Kind    SessionKind
	Value   string // as the record has it
}

// SessionKind is what a record names its session by.
type SessionKind string

// The kinds, in the order in which they are looked for.
const (
	ByCreation SessionKind = "creation" // sessionContext.attributes.creationDate
	BySignIn   SessionKind = "sign_in"  // signInSessionArn
	ByKey      SessionKind = "key"      // accessKeyId
	ByAddress  SessionKind = "address"  // sourceIPAddress: the record names no session
)

// SessionOf is the session that a root call of an account names, or else the address that it came
// from.
func SessionOf(ev *Event, account string) Session {
	for _, s := range []Session{
		{account, ByCreation, ev.SessionStarted()},
		{account, BySignIn, ev.SignInSession()},
		{account, ByKey, ev.Key()},
	} {
		if s.Value != "" {
			return s
		}
	}
	return Session{account, ByAddress, ev.SourceIPAddress.Value}
}

// Loose reports whether the call may belong to a session that it does not name: it names none, or
// only a temporary key, which the console takes afresh for each request (the billing console's
// records have no sessionContext).
func (s Session) Loose() bool {
	return s.Kind == ByAddress || s.Kind == ByKey && readKey(Text{Value: s.Value, Present: true}) == temporaryKey
}

// ID is short and the same wherever the session is met: "s-" and eight hexadecimal digits. Sessions
// of one account have different ids, but for one chance in four thousand million.
func (s Session) ID() string {
	hash := sha256.New()
	for _, part := range []string{s.Account, string(s.Kind), s.Value} {
		sum := sha256.Sum256([]byte(part)) // of equal length, so that no two sessions run together
		hash.Write(sum[:])
	}
	return "s-" + hex.EncodeToString(hash.Sum(nil)[:4])
}

const (
	// signInLead is how long after a sign-in its session may open.
	signInLead = 5 * time.Minute
	// longestSession is how long a root session may live: the console's ends after 12 hours, and so
	// do temporary keys.
	longestSession = 12 * time.Hour
)

// OpenSession is what is known of a session when a call that is [Session.Loose] looks for it.
type OpenSession struct {
	Session
	Opened    time.Time       // its creation, or its first call
	Addresses map[string]bool // where its calls came from
}

// Takes reports whether a loose call belongs to this session of its account: a sign-in to the
// session that opens within five minutes, any other call (the billing console's) to the session
// that is open then from the same address.
func (o *OpenSession) Takes(signIn bool, at time.Time, address string) bool {
	switch lead := o.Opened.Sub(at); {
	case at.IsZero():
		return false
	case signIn:
		return lead >= 0 && lead <= signInLead
	default:
		return lead <= 0 && -lead <= longestSession && address != "" && o.Addresses[address]
	}
}
