package classify

import (
	"strings"

	"rootwatch/classify/plain"
)

// explain says in one sentence, for a person, what happened and why that is the verdict. Values of the record stand
// in it only as [shown] gives them.
func (f *facts) explain(r Reason) string {
	call, as, from := f.call(), f.as(), f.place(" from ")
	switch r {
	case KnownService:
		return f.invokedBy.name + " called " + call + " as root on its own: no key and no session were used"
	case OtherService:
		return f.invokedBy.name + " called " + call + " as root on its own: no key and no session were used, but it is not known to do so and worth a look"
	case NoRootARN:
		return call + " was recorded as root" + from + ", but the record names no account's root" + f.although()
	case SignIn:
		return f.explainSignIn(call)
	case AssumedRoot:
		return call + " was called" + from + " in a session of central root access, which the organisation's management account or its delegate opened" + f.withKey()
	case AccessKey:
		return f.explainKey(call, as, from)
	case Forwarded:
		if f.credential() {
			return f.invokedBy.name + " called " + call + " " + as + " for somebody whose key or session is in the record"
		}
		return f.invokedBy.name + " called " + call + " " + as + ", and it only ever acts for whoever is signed in"
	case ConsoleSession:
		return f.explainConsole(call, as)
	case CLISession:
		return f.explainCLI(call, as)
	case AWSInternal:
		return call + " was called " + as + " inside AWS's network, and the record does not say for whom: such calls turned out to be people's"
	}
	if f.invokedBy.named() {
		return f.invokedBy.name + " names itself as the caller of " + call + " " + as + ", but " + f.against()
	}
	return call + " was called " + as + from + ", and the record does not say by whom or with which credential"
}

func (f *facts) explainSignIn(call string) string {
	who := "somebody" + f.place(" at ")
	mfa := map[string]string{"true": ", with MFA", "false": ", without MFA"}[f.ev.MFA()]
	switch {
	case !isSignIn(f.ev.EventSource): // type AwsConsoleSignIn of another service, as billingconsole SetContactAddress
		if f.signInFailed() {
			call += ", which failed"
		}
		return who + " acts in the console as root (" + call + ")" + mfa + f.withKey()
	case f.signInFailed():
		return who + " failed at the root sign-in page (" + call + "), which takes the root user's e-mail address" + f.although()
	}
	return who + " is at the root sign-in page (" + call + ")" + mfa + f.withKey()
}

// explainConsole does not speak of the console where only a sign-in is named: `aws login` signs in as well.
func (f *facts) explainConsole(call, as string) string {
	switch {
	case isCloudShell(f.ev.UserAgent):
		return "somebody in CloudShell called " + call + " " + as + " with the console's session" + f.notTheirs()
	case f.console():
		return "the console called " + call + " " + as + " for somebody signed in" + f.place(" at ")
	}
	return "somebody" + f.place(" at ") + " called " + call + " " + as + " with the credentials of a sign-in"
}

func (f *facts) explainKey(call, as, from string) string {
	key := shown(f.ev.Key())
	if f.key == temporaryKey {
		return call + " was called " + as + from + " with the temporary key " + key + ", whose session the record does not have"
	}
	if f.key != longLivedKey {
		return call + " was called " + as + from + " with the key " + key + " and without a session, as only long-lived keys are used"
	}
	if f.invokedBy.named() {
		if f.source.name == f.invokedBy.name {
			from = ""
		}
		from += " through " + f.invokedBy.name
	}
	if isCloudShell(f.ev.UserAgent) {
		return "somebody in CloudShell called " + call + " " + as + " with the long-lived key " + key + f.notTheirs()
	}
	return call + " was called " + as + from + " with the long-lived key " + key
}

func (f *facts) explainCLI(call, as string) string {
	with := " with a session"
	if f.key == temporaryKey {
		with = " with a temporary key"
	}
	if isCloudShell(f.ev.UserAgent) {
		return "somebody in CloudShell called " + call + " " + as + with + f.notTheirs()
	}
	return "somebody" + f.place(" at ") + " called " + call + " " + as + with
}

// notTheirs adds whose the address of a call from CloudShell is.
func (f *facts) notTheirs() string {
	if f.source.kind != otherCaller {
		return ""
	}
	return ": the address" + f.place(" ") + " is AWS's, not the person's"
}

// withKey adds the long-lived key that makes a call critical whatever it is.
func (f *facts) withKey() string {
	if f.key != longLivedKey {
		return ""
	}
	return ", with the long-lived key " + shown(f.ev.Key())
}

// although adds to a call that looks harmless that somebody was in.
func (f *facts) although() string {
	if f.key == longLivedKey {
		return ", although the long-lived key " + shown(f.ev.Key()) + " was used"
	}
	if f.credential() {
		return ", although a key or a session was used"
	}
	return ""
}

// against says why a call that names a service is not the service's own.
func (f *facts) against() string {
	if marks := f.clientMarks(); len(marks) > 0 {
		return "only a client's call has " + marks[0].Field
	}
	if f.source.kind != serviceCaller {
		return "the call did not come from a service" + f.place(": it came from ")
	}
	return "its type or event type is not that of a service's own call"
}

// call is what was called: the service's short name and the event's.
func (f *facts) call() string {
	source := f.ev.EventSource.Value
	for _, suffix := range serviceSuffixes {
		source = strings.TrimSuffix(source, suffix)
	}
	var words []string
	for _, word := range []string{source, f.ev.EventName.Value} {
		if word != "" {
			words = append(words, shown(word))
		}
	}
	if len(words) == 0 {
		return "an unnamed event"
	}
	return strings.Join(words, " ")
}

func (f *facts) as() string {
	if strings.EqualFold(f.ev.UserIdentity.Type, "FederatedUser") {
		return "as a user federated by root"
	}
	return "as root"
}

// place is where the call came from, after the given words; nothing if the record does not tell.
func (f *facts) place(words string) string {
	switch f.source.kind {
	case noCaller:
		return ""
	case internalCaller:
		return " inside AWS's network"
	}
	return words + shown(f.ev.SourceIPAddress.Value)
}

// maxShown is how many bytes of one value a sentence takes.
const maxShown = 100

// shown is a value of the record as it may stand in a sentence.
func shown(s string) string { return plain.Shown(s, maxShown) }

func isCloudShell(userAgent Text) bool {
	return strings.Contains(userAgent.name(), "exec-env/cloudshell")
}
