package classify

import "rootwatch/classify/plain"

// maxEvidence is how many bytes of a field's value the evidence keeps: what CloudTrail keeps of a user agent.
const maxEvidence = 1024

// evidence lists what was weighed: who the record names, the five fields that AWS tells to review, and what shows a
// credential. Those of the last kind that the record does not have are left out, save key and session: that
// they are missing is evidence too.
func (f *facts) evidence() []Evidence {
	ev, id := f.ev, &f.ev.UserIdentity
	var list []Evidence
	add := func(field string, value Text, says string) {
		list = append(list, Evidence{Field: field, Value: plain.Visible(plain.Cut(value.Value, maxEvidence)), Says: says})
	}
	addIf := func(is bool, field string, value Text, says string) {
		if is {
			add(field, value, says)
		}
	}
	_, rootARN := rootAccount(id.ARN)
	issuer := id.SessionContext.SessionIssuer
	add("userIdentity.type", Text{Value: id.Type}, f.saysType())
	addIf(f.noRootARN(), "userIdentity.arn", id.ARN, "names no account's root")
	addIf(rootARN && id.Type != "Root", "userIdentity.arn", id.ARN, "names an account's root")
	addIf(issuer.isRoot() && !issuer.Type.Empty(), "userIdentity.sessionContext.sessionIssuer.type", issuer.Type, "root issued the credentials")
	addIf(issuer.isRoot() && issuer.Type.Empty(), "userIdentity.sessionContext.sessionIssuer.arn", issuer.ARN, "root issued the credentials")
	addIf(!ev.EventType.Empty(), "eventType", ev.EventType, f.saysEventType())
	add("userIdentity.invokedBy", id.InvokedBy, saysCaller(f.invokedBy.kind, "no service names itself"))
	add("eventSource", ev.EventSource, f.saysEventSource())
	add("eventName", ev.EventName, f.saysEventName())
	add("sourceIPAddress", ev.SourceIPAddress, saysCaller(f.source.kind, "the call does not say where it came from"))
	add("userAgent", ev.UserAgent, saysUserAgent(ev.UserAgent))
	add("userIdentity.accessKeyId", id.AccessKeyID, f.saysKey())
	add("userIdentity.sessionContext", id.SessionContext.Raw, f.saysSession())
	return append(list, f.clientMarks()...)
}

func (f *facts) saysType() string {
	switch f.ev.UserIdentity.Type {
	case "Root":
		return "made with the account's own credentials"
	case "FederatedUser":
		return "made with credentials of sts:GetFederationToken"
	case "", "Unknown":
		return "does not say who called"
	}
	return "not a type that CloudTrail documents, so it counts as root's"
}

func (f *facts) saysEventType() string {
	switch f.ev.EventType.name() {
	case "awsapicall":
		return "an API call"
	case "awsserviceevent":
		return "an event of the service itself"
	case "awsconsolesignin":
		return "somebody is at the sign-in page"
	case "awsconsoleaction":
		return "somebody acts in the console"
	}
	return "not the type of a service's own call"
}

func saysCaller(kind callerKind, absent string) string {
	switch kind {
	case serviceCaller:
		return "a service names itself"
	case agentCaller:
		return "a service that calls for whoever is signed in"
	case consoleCaller:
		return "the console, which calls for whoever is signed in"
	case internalCaller:
		return "AWS's own network, for whom is not told: people's calls carry it too"
	case otherCaller:
		return "not a service's name"
	}
	return absent
}

func (f *facts) saysEventSource() string {
	if isSignIn(f.ev.EventSource) {
		return "AWS Sign-In: somebody is at the root sign-in page"
	}
	return "the service that was called"
}

func (f *facts) saysEventName() string {
	switch {
	case f.signIn() && f.signInFailed():
		return "what was tried, in vain"
	case !f.ev.ErrorCode.Empty():
		return "what was called; it failed with " + shown(f.ev.ErrorCode.Value)
	}
	return "what was called"
}

func saysUserAgent(userAgent Text) string {
	switch {
	case userAgent.Empty():
		return "absent"
	case isConsoleAgent(userAgent):
		return "names the console; the client chooses it, so it never speaks for a service"
	case isCloudShell(userAgent):
		return "names CloudShell: the address is then AWS's, not the person's"
	}
	return "the client chooses it, so it never speaks for a service"
}

func (f *facts) saysKey() string {
	switch f.key {
	case longLivedKey:
		return "a long-lived root key exists and was used"
	case temporaryKey:
		return "a temporary key was used"
	case otherKey:
		return "a key was used"
	}
	return "no key, or CloudTrail left it out: its absence alone proves nothing"
}

func (f *facts) saysSession() string {
	if !f.session {
		return "no session"
	}
	says := "somebody had a session"
	if started := f.ev.SessionStarted(); started != "" {
		says += " since " + shown(started)
	}
	switch f.ev.MFA() {
	case "true":
		says += ", with MFA"
	case "false":
		says += ", without MFA"
	}
	return says
}
