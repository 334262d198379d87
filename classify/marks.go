package classify

// markSet is a set of the marks of a client, a bit for each row of clientMarks.
type markSet uint16

const (
	markTLS markSet = 1 << iota
	markConsole
	markConsoleSession
	markConsoleOdd
	markDelegate
	markAssumedRoot
	markSignIn
	markOnBehalfOf
	markInScopeOf

	allMarks = 1<<iota - 1
)

// clientMark is a field that, beside key, session and bearer token, only a client's call has.
type clientMark struct {
	bit   markSet
	field string
	value func(*Event) string
	is    func(*Event) bool
	says  string
}

// clientMarks are the marks of a client: nobody but a client opens a TLS connection to AWS's
// endpoints, comes from a console or a sign-in, or acts for another. What stands where the
// console's mark could stand and is not understood is no evidence for a service either.
var clientMarks = []clientMark{
	{markTLS, "tlsDetails", func(ev *Event) string { return ev.TLSDetails.Value },
		func(ev *Event) bool { return !ev.TLSDetails.Empty() }, "a client opened a TLS connection"},
	{markConsole, "sessionCredentialFromConsole", func(ev *Event) string { return ev.SessionCredentialFromConsole.Value },
		func(ev *Event) bool { return ev.SessionCredentialFromConsole.isTrue() }, "the session is the console's"},
	{markConsoleSession, "userIdentity.sessionContext.attributes.sessionCredentialFromConsole", func(ev *Event) string { return ev.consoleAttribute().Value },
		func(ev *Event) bool { return ev.consoleAttribute().isTrue() }, "the session is the console's"},
	{markConsoleOdd, "sessionCredentialFromConsole", func(ev *Event) string { return ev.SessionCredentialFromConsole.Value },
		func(ev *Event) bool { return ev.SessionCredentialFromConsole.notAFlag() }, "not understood, so it counts against a service"},
	{markDelegate, "userIdentity.invokedByDelegate", func(ev *Event) string { return ev.UserIdentity.InvokedByDelegate.Value },
		func(ev *Event) bool { return !ev.UserIdentity.InvokedByDelegate.Empty() }, "a partner acted with delegated access"},
	{markAssumedRoot, "userIdentity.sessionContext.assumedRoot", func(ev *Event) string { return ev.UserIdentity.SessionContext.AssumedRoot.Value },
		func(ev *Event) bool { return ev.UserIdentity.SessionContext.AssumedRoot.isTrue() }, "the session is one of central root access"},
	{markSignIn, "signInSessionArn", (*Event).SignInSession,
		func(ev *Event) bool { return ev.SignInSession() != "" }, "the credentials come from a sign-in"},
	{markOnBehalfOf, "userIdentity.onBehalfOf", func(ev *Event) string { return ev.UserIdentity.OnBehalfOf.Value },
		func(ev *Event) bool { return !ev.UserIdentity.OnBehalfOf.Empty() }, "the call was made for an Identity Center user"},
	{markInScopeOf, "userIdentity.inScopeOf", func(ev *Event) string { return ev.UserIdentity.InScopeOf.Value },
		func(ev *Event) bool { return !ev.UserIdentity.InScopeOf.Empty() }, "the credentials were issued to a workload"},
}

// readMarks reports which marks a record has.
func readMarks(ev *Event) (set markSet) {
	for i := range clientMarks {
		if clientMarks[i].is(ev) {
			set |= clientMarks[i].bit
		}
	}
	return set
}

// firstMark is the first row of a set, nil for an empty one.
func (set markSet) firstMark() *clientMark {
	for i := range clientMarks {
		if set&clientMarks[i].bit != 0 {
			return &clientMarks[i]
		}
	}
	return nil
}
