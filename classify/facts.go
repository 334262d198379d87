package classify

import (
	"slices"
	"strings"
)

// facts are all that the rules look at, read from a record once. Every member has a few values and
// none leads back into the record, so the rules can be walked over all that facts can be
// (enumerate_test.go).
type facts struct {
	exactRoot bool      // userIdentity.type is "Root" to the letter
	emptyARN  bool      // userIdentity.arn is there and empty
	event     eventKind // eventType
	called    calledKind
	invokedBy callerKind
	known     bool // invokedBy names one of knownServices
	address   callerKind
	key       keyKind
	session   bool // there is a sessionContext that says something
	bearer    bool // there is a credentialId: a bearer token was used
	marks     markSet
	agent     agentKind
	failed    bool
}

// eventKind is what eventType says. For a service's own call only AWS's spelling counts; whatever
// points at a person counts in every spelling.
type eventKind uint8

const (
	apiCall       eventKind = iota // AwsApiCall, AwsServiceEvent, "" or absent
	consoleSignIn                  // AwsConsoleSignIn
	consoleAction                  // AwsConsoleAction
	otherEvent                     // anything else
)

// calledKind is what eventSource names: the service that was called.
type calledKind uint8

const (
	calledService calledKind = iota
	calledSignIn             // AWS Sign-In, in any partition or region
	calledOdd                // not a string
)

// keyKind is what userIdentity.accessKeyId is. AWS documents the prefixes: AKIA is a long-term key
// of an IAM user or of root, ASIA a temporary one of STS (AWS STS API Reference,
// "GetAccessKeyInfo").
type keyKind uint8

const (
	noKey        keyKind = iota // absent or ""
	temporaryKey                // ASIA
	longLivedKey                // AKIA
	otherKey                    // redacted, or not understood
)

// agentKind is what the user agent names. The client chooses it: it may name a reason, never a
// verdict.
type agentKind uint8

const (
	otherAgent   agentKind = iota
	browserAgent           // Mozilla/
	consoleAgent           // a server of the console
)

// credential reports whether the record shows that a key, a session or a bearer token was used. It
// is the one reading of the word: the conditions of service_invoked and the reasons of unexplained
// use it alike.
func (f facts) credential() bool { return f.key != noKey || f.session || f.bearer }

// has reports whether the record has one of the marks.
func (f facts) has(marks markSet) bool { return f.marks&marks != 0 }

// serviceNamed reports whether a service of any sort names itself in invokedBy.
func (f facts) serviceNamed() bool {
	return f.invokedBy == serviceCaller || f.invokedBy == agentCaller || f.invokedBy == consoleCaller
}

// call is one record under judgement: its facts, and what sentences about it need besides.
type call struct {
	facts
	ev     *Event
	caller caller // invokedBy
	from   caller // sourceIPAddress
	impact impact // what the call does, if that is grave
}

func readCall(ev *Event) *call {
	id := &ev.UserIdentity
	c := &call{ev: ev, caller: readCaller(id.InvokedBy), from: readCaller(ev.SourceIPAddress)}
	c.facts = facts{
		exactRoot: id.Type == "Root",
		emptyARN:  id.ARN.Present && id.ARN.Value == "",
		event:     readEventKind(ev.EventType),
		called:    readCalled(ev.EventSource),
		invokedBy: c.caller.kind,
		known:     c.caller.known(),
		address:   c.from.kind,
		key:       readKey(id.AccessKeyID),
		session:   !id.SessionContext.Raw.Empty(),
		bearer:    !id.CredentialID.Empty(),
		marks:     readMarks(ev),
		agent:     readAgent(ev.UserAgent),
		failed:    ev.Failed(),
	}
	c.impact = readImpact(c)
	return c
}

func readEventKind(t Text) eventKind {
	switch {
	case !t.Odd && slices.Contains([]string{"", "AwsApiCall", "AwsServiceEvent"}, t.Value):
		return apiCall
	case t.name() == "awsconsolesignin":
		return consoleSignIn
	case t.name() == "awsconsoleaction":
		return consoleAction
	}
	return otherEvent
}

func readCalled(t Text) calledKind {
	switch {
	case t.Odd:
		return calledOdd
	case slices.Contains(strings.Split(t.name(), "."), "signin"):
		return calledSignIn
	}
	return calledService
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

func readAgent(t Text) agentKind {
	name := strings.TrimPrefix(t.name(), "[") // some servers' agents are written as a list
	switch {
	case isConsoleServer(name):
		return consoleAgent
	case strings.HasPrefix(name, browserPrefix):
		return browserAgent
	}
	return otherAgent
}

func isConsoleServer(name string) bool {
	for _, prefix := range consoleAgentPrefixes {
		if strings.HasPrefix(name, prefix) {
			return true
		}
	}
	if strings.Contains(name, consoleBackEnd) {
		return true
	}
	name = consoleAgentSpelling.Replace(name)
	for _, part := range consoleAgentParts {
		if strings.Contains(name, part) {
			return true
		}
	}
	return false
}

func isCloudShell(userAgent Text) bool {
	return strings.Contains(userAgent.name(), "exec-env/cloudshell")
}

// longLived reports whether a long-lived key signed the call: such a key does not expire, and
// whoever has a copy has the account.
func (f facts) longLived() bool { return f.key == longLivedKey }
