package classify

import "rootwatch/classify/plain"

// maxEvidence is how many bytes of a field's value the evidence keeps: what CloudTrail keeps of a
// user agent.
const maxEvidence = 1024

// evidence lists what was weighed: who the record names, the five fields that AWS tells to review,
// and what shows a credential. Those of the last kind that the record does not have are left out,
// save key and session: that they are missing is evidence too.
func (c *call) evidence() []Evidence {
	ev, id := c.ev, &c.ev.UserIdentity
	var list []Evidence
	add := func(field string, value Text, says string) {
		list = append(list, Evidence{Field: field, Value: plain.Visible(plain.Cut(value.Value, maxEvidence)), Says: says})
	}
	addIf := func(is bool, field string, value Text, says string) {
		if is {
			add(field, value, says)
		}
	}
	rootARN := isRootARN(id.ARN)
	issuer := id.SessionContext.SessionIssuer
	add("userIdentity.type", Text{Value: id.Type}, c.saysType())
	addIf(c.exactRoot && c.emptyARN, "userIdentity.arn", id.ARN, "names no account's root")
	addIf(rootARN && id.Type != "Root", "userIdentity.arn", id.ARN, "names an account's root")
	addIf(issuer.isRoot() && !issuer.Type.Empty(), "userIdentity.sessionContext.sessionIssuer.type", issuer.Type, "root issued the credentials")
	addIf(issuer.isRoot() && issuer.Type.Empty(), "userIdentity.sessionContext.sessionIssuer.arn", issuer.ARN, "root issued the credentials")
	addIf(!ev.EventType.Empty(), "eventType", ev.EventType, c.saysEventType())
	add("userIdentity.invokedBy", id.InvokedBy, saysCaller(c.invokedBy, "no service names itself"))
	add("eventSource", ev.EventSource, c.saysEventSource())
	add("eventName", ev.EventName, c.saysEventName())
	add("sourceIPAddress", ev.SourceIPAddress, saysCaller(c.address, "the call does not say where it came from"))
	add("userAgent", ev.UserAgent, c.saysUserAgent())
	add("userIdentity.accessKeyId", id.AccessKeyID, c.saysKey())
	add("userIdentity.sessionContext", id.SessionContext.Raw, c.saysSession())
	addIf(c.bearer, "userIdentity.credentialId", id.CredentialID, "a bearer token was used")
	for i := range clientMarks {
		if m := &clientMarks[i]; c.has(m.bit) {
			add(m.field, Text{Value: m.value(ev)}, m.says)
		}
	}
	return list
}

func (c *call) saysType() string {
	switch c.ev.UserIdentity.Type {
	case "Root":
		return "made with the account's own credentials"
	case "FederatedUser":
		return "made with credentials of sts:GetFederationToken"
	case "", "Unknown":
		return "does not say who called"
	}
	return "not a type that CloudTrail documents, so it counts as root's"
}

func (c *call) saysEventType() string {
	switch c.ev.EventType.name() {
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

func (c *call) saysEventSource() string {
	switch {
	case c.called == calledSignIn && c.credential():
		return "AWS Sign-In, called with a key or session: its API"
	case c.called == calledSignIn:
		return "AWS Sign-In: somebody is at the root sign-in page"
	}
	return "the service that was called"
}

func (c *call) saysEventName() string {
	signIn := c.event == consoleSignIn || c.called == calledSignIn
	switch {
	case c.impact.does != "":
		return "what was called: it " + c.impact.does
	case c.failed && (signIn || c.ev.ErrorCode.Empty()):
		return "what was tried, in vain"
	case c.failed:
		return "what was called; it failed with " + shown(c.ev.ErrorCode.Value)
	}
	return "what was called"
}

func (c *call) saysUserAgent() string {
	switch {
	case c.ev.UserAgent.Empty():
		return "absent"
	case isCloudShell(c.ev.UserAgent):
		return "names CloudShell: the address is then AWS's, not the person's"
	case c.agent == consoleAgent:
		return "names the console; the client chooses it, so it never speaks for a service"
	case c.agent == browserAgent && c.credential():
		return "a browser: the console; the client chooses it, so it never speaks for a service"
	}
	return "the client chooses it, so it never speaks for a service"
}

func (c *call) saysKey() string {
	switch c.key {
	case longLivedKey:
		return "a long-lived root key exists and was used"
	case temporaryKey:
		return "a temporary key was used"
	case otherKey:
		return "a key was used"
	}
	return "no key, or CloudTrail left it out: its absence alone proves nothing"
}

func (c *call) saysSession() string {
	if !c.session {
		return "no session"
	}
	says := "somebody had a session"
	if started := c.ev.SessionStarted(); started != "" {
		says += " since " + shown(started)
	}
	switch c.ev.MFA() {
	case "true":
		says += ", with MFA"
	case "false":
		says += ", without MFA"
	}
	return says
}

// shown is a value of the record as it may stand in a sentence.
func shown(s string) string { return plain.Shown(s, maxShown) }

// maxShown is how many bytes of one value a sentence takes.
const maxShown = 100
