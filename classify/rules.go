package classify

import (
	"slices"
	"strings"

	"rootwatch/classify/plain"
)

// facts are what the rules look at, read from the record once.
type facts struct {
	ev        *Event
	invokedBy caller
	source    caller
	key       keyKind
	session   bool // there is a sessionContext that says something
}

// keyKind is what userIdentity.accessKeyId is. AWS documents the prefixes: AKIA is a long-term key of an IAM user
// or of root, ASIA a temporary one of STS (AWS STS API Reference, "GetAccessKeyInfo").
type keyKind int

const (
	noKey        keyKind = iota // absent or ""
	temporaryKey                // ASIA
	longLivedKey                // AKIA
	otherKey                    // redacted, or not understood
)

func readFacts(ev *Event) *facts {
	id := &ev.UserIdentity
	return &facts{
		ev:        ev,
		invokedBy: readCaller(id.InvokedBy),
		source:    readCaller(ev.SourceIPAddress),
		key:       readKey(id.AccessKeyID),
		session:   !id.SessionContext.Raw.Empty(),
	}
}

func readKey(t Text) keyKind {
	switch key := t.name(); {
	case t.Present && t.Odd: // not a string, so not understood, also when there is nothing in it
		return otherKey
	case t.Empty():
		return noKey
	case strings.HasPrefix(key, "akia"):
		return longLivedKey
	case strings.HasPrefix(key, "asia"):
		return temporaryKey
	}
	return otherKey
}

// serviceRule is one of the conditions that must all hold before a root call counts as a service's own. They are
// facts that AWS writes: the user agent is not among them, because the client chooses it.
type serviceRule struct {
	holds func(*facts) bool
	why   string
}

// serviceRules are the numbered conditions of the verdict service_invoked. In every public record of a service
// that acted as root by itself all of them hold; in every one of a person at least one fails. What is not
// understood fails.
var serviceRules = []serviceRule{
	{(*facts).apiCallOfRoot, "an API call or service event under type Root, not at the sign-in page"},
	{func(f *facts) bool { return f.invokedBy.kind == serviceCaller }, "a service names itself in invokedBy, and it is no agent"},
	{func(f *facts) bool { return f.source.kind == serviceCaller }, "sourceIPAddress names a service too"},
	{func(f *facts) bool { return f.key == noKey && !f.session }, "no key and no session"},
	{func(f *facts) bool { return len(f.clientMarks()) == 0 }, "nothing else that only a client's call has"},
}

// unexplainedRule is a row of the table of reasons: when it fits, how urgent the call is to start with, and the
// case in which it is graded otherwise.
type unexplainedRule struct {
	reason   Reason
	when     func(*facts) bool
	severity Severity
	unless   grade
	why      string
}

// grade is a severity for a case; the zero grade is none.
type grade struct {
	when     func(*facts) bool
	severity Severity
}

// unexplainedRules are tried in this order for every root call that is not a service's own; the first that fits
// is the reason. A call signed with a long-lived key is critical under whichever reason ([facts.severity]).
var unexplainedRules = []unexplainedRule{
	{NoRootARN, (*facts).noRootARN, Low, grade{(*facts).credential, High}, "recorded as root, but no account's root is named"},
	{SignIn, (*facts).signIn, High, grade{(*facts).turnedAway, Medium}, "somebody is at the root sign-in page; a failed login needs the root's e-mail address"},
	{AssumedRoot, (*facts).assumedRoot, Medium, grade{}, "an organisation's management account used central root access; a session lasts 900 s at most"},
	{AccessKey, (*facts).accessKey, Critical, grade{}, "a long-lived root key exists and is in use; no user agent and no service in between makes it milder"},
	{Forwarded, (*facts).forwarded, High, grade{}, "a service acted on a person's root session or key"},
	{ConsoleSession, (*facts).consoleSession, High, grade{}, "the console makes calls with the person's session"},
	{CLISession, (*facts).cliSession, High, grade{}, "a temporary key or a session outside the console: aws login, CloudShell, GetSessionToken from a root key"},
	{AWSInternal, (*facts).awsInternal, High, grade{}, "not attributable; real ones turned out to be people"},
	{Unattributed, func(*facts) bool { return true }, High, grade{}, "nothing tells who made it: fail towards alerting"},
}

// isService reports whether all of [serviceRules] hold.
func (f *facts) isService() bool {
	for _, r := range serviceRules {
		if !r.holds(f) {
			return false
		}
	}
	return true
}

// apiCallOfRoot: the milder verdict takes AWS's own spelling and nothing else.
func (f *facts) apiCallOfRoot() bool {
	ev := f.ev
	apiCall := !ev.EventType.Odd && slices.Contains([]string{"", "AwsApiCall", "AwsServiceEvent"}, ev.EventType.Value)
	return ev.UserIdentity.Type == "Root" && apiCall && !ev.EventSource.Odd && !isSignIn(ev.EventSource)
}

// clientMarks are what, beside key and session, only a client's call has: nobody but a client opens a TLS connection
// to AWS's endpoints, comes from a console or a sign-in, or acts for another.
func (f *facts) clientMarks() []Evidence {
	ev, id := f.ev, &f.ev.UserIdentity
	var marks []Evidence
	mark := func(is bool, field, value, says string) {
		if is {
			marks = append(marks, Evidence{Field: field, Value: plain.Visible(plain.Cut(value, maxEvidence)), Says: says})
		}
	}
	console := ev.SessionCredentialFromConsole
	mark(!ev.TLSDetails.Empty(), "tlsDetails", ev.TLSDetails.Value, "a client opened a TLS connection")
	mark(console.isTrue(), "sessionCredentialFromConsole", console.Value, "the session is the console's")
	mark(!id.InvokedByDelegate.Empty(), "userIdentity.invokedByDelegate", id.InvokedByDelegate.Value, "a partner acted with delegated access")
	mark(f.assumedRoot(), "userIdentity.sessionContext.assumedRoot", id.SessionContext.AssumedRoot.Value, "the session is one of central root access")
	mark(ev.SignInSession() != "", "signInSessionArn", ev.SignInSession(), "the credentials come from a sign-in")
	// A bearer token is a credential too, and the other two say for whom one was issued.
	mark(!id.CredentialID.Empty(), "userIdentity.credentialId", id.CredentialID.Value, "a bearer token was used")
	mark(!id.OnBehalfOf.Empty(), "userIdentity.onBehalfOf", id.OnBehalfOf.Value, "the call was made for an Identity Center user")
	mark(!id.InScopeOf.Empty(), "userIdentity.inScopeOf", id.InScopeOf.Value, "the credentials were issued to a workload")
	// Where the mark could stand is something else: it is no evidence for a service.
	strange := !console.Empty() && !console.isTrue() && !console.isFalse()
	mark(strange, "sessionCredentialFromConsole", console.Value, "not understood, so it counts against a service")
	return marks
}

// credential reports whether the record shows that a key or a session was used.
func (f *facts) credential() bool {
	return f.key != noKey || f.session || !f.ev.UserIdentity.CredentialID.Empty()
}

func (f *facts) noRootARN() bool {
	id := &f.ev.UserIdentity
	return id.Type == "Root" && id.ARN.Present && id.ARN.Value == ""
}

func (f *facts) signIn() bool {
	return f.ev.EventType.name() == "awsconsolesignin" || isSignIn(f.ev.EventSource)
}

func (f *facts) assumedRoot() bool { return f.ev.UserIdentity.SessionContext.AssumedRoot.isTrue() }

// accessKey: besides a long-lived key, any key without a session where no service is named. A temporary key has its
// session beside it in every root record seen; where the session is missing, the worst case is assumed.
func (f *facts) accessKey() bool {
	return f.key == longLivedKey || f.key != noKey && !f.session && !f.invokedBy.named()
}

func (f *facts) forwarded() bool {
	return f.invokedBy.kind == agentCaller || f.invokedBy.kind == serviceCaller && f.credential()
}

func (f *facts) consoleSession() bool { return f.console() || f.ev.SignInSession() != "" }

// console reports whether the record names the console itself, and not only a sign-in: `aws login` has one too.
func (f *facts) console() bool {
	ev := f.ev
	return ev.SessionCredentialFromConsole.isTrue() ||
		ev.UserIdentity.SessionContext.Attributes.SessionCredentialFromConsole.isTrue() ||
		ev.EventType.name() == "awsconsoleaction" ||
		f.invokedBy.kind == consoleCaller || isConsoleAgent(ev.UserAgent)
}

func (f *facts) cliSession() bool { return f.credential() }

func (f *facts) awsInternal() bool {
	return f.source.kind == internalCaller || f.invokedBy.kind == internalCaller
}

func isConsoleAgent(userAgent Text) bool {
	name := strings.TrimPrefix(userAgent.name(), "[") // some servers' agents are written as a list
	for _, prefix := range consoleAgentPrefixes {
		if strings.HasPrefix(name, prefix) {
			return true
		}
	}
	name = consoleAgentSpelling.Replace(name)
	for _, part := range consoleAgentParts {
		if strings.Contains(name, part) {
			return true
		}
	}
	return false
}

// signInFailed takes the record's word for a failure, and no word for a success beside it: the milder grade is
// for what certainly failed.
func (f *facts) signInFailed() bool {
	failed := !f.ev.ErrorCode.Empty() || !f.ev.ErrorMessage.Empty()
	for _, outcome := range f.ev.ResponseElements {
		if outcome.name() == "success" {
			return false
		}
		failed = true
	}
	if success := f.ev.AdditionalEventData.Success; success.isTrue() || success.isFalse() {
		return success.isFalse()
	}
	return failed
}

// turnedAway: a failure is milder only at the door. With a key or a session somebody is in.
func (f *facts) turnedAway() bool { return f.signInFailed() && !f.credential() }

// severity is the rule's, and critical for any call that a long-lived root key signed.
func (f *facts) severity(r *unexplainedRule) Severity {
	switch {
	case f.key == longLivedKey:
		return Critical
	case r.unless.when != nil && r.unless.when(f):
		return r.unless.severity
	}
	return r.severity
}
