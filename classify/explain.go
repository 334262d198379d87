package classify

import "strings"

// explain is one sentence for a person: what happened, and why that is the verdict. Values of the
// record stand in it only as [shown] gives them.
func (c *call) explain(r *rule) string {
	sentence := r.sentence(c)
	if r.verdict == Unexplained && c.impact.does != "" {
		sentence += "; this " + c.impact.does
	}
	return sentence
}

func (c *call) explainKnown() string {
	return c.caller.name + " called " + c.what() + " as root on its own: no key and no session were used"
}

func (c *call) explainOther() string {
	return c.explainKnown() + ", but it is not known to do so and worth a look"
}

func (c *call) explainNoARN() string {
	return c.what() + " was recorded as root" + c.location(" from ") + ", but the record names no account's root" + c.although()
}

func (c *call) explainSignIn() string {
	who := "somebody" + c.location(" at ")
	mfa := map[string]string{"true": ", with MFA", "false": ", without MFA"}[c.ev.MFA()]
	what := c.what()
	switch {
	case c.called != calledSignIn: // type AwsConsoleSignIn of another service, as billingconsole SetContactAddress
		if c.failed {
			what += ", which failed"
		}
		return who + " acts in the console as root (" + what + ")" + mfa + c.withKey()
	case c.failed:
		return who + " failed at the root sign-in page (" + what + "), which takes the root user's e-mail address" + c.although()
	}
	return who + " is at the root sign-in page (" + what + ")" + mfa + c.withKey()
}

func (c *call) explainAssumedRoot() string {
	return c.what() + " was called" + c.location(" from ") + " in a session of central root access, which the organisation's management account or its delegate opened" + c.withKey()
}

func (c *call) explainKey() string {
	key, from := shown(c.ev.Key()), c.location(" from ")
	if !c.longLived() {
		return c.what() + " was called " + c.as() + from + " with the key " + key + " and without a session, as only long-lived keys are used"
	}
	if c.serviceNamed() {
		if c.from.name == c.caller.name {
			from = ""
		}
		from += " through " + c.caller.name
	}
	if isCloudShell(c.ev.UserAgent) {
		return "somebody in CloudShell called " + c.what() + " " + c.as() + " with the long-lived key " + key + c.notTheirs()
	}
	return c.what() + " was called " + c.as() + from + " with the long-lived key " + key
}

func (c *call) explainForwarded() string {
	if c.credential() {
		return c.caller.name + " called " + c.what() + " " + c.as() + " for somebody whose key or session is in the record"
	}
	return c.caller.name + " called " + c.what() + " " + c.as() + ", and it only ever acts for whoever is signed in"
}

func (c *call) explainConsole() string {
	if isCloudShell(c.ev.UserAgent) {
		return "somebody in CloudShell called " + c.what() + " " + c.as() + " with the console's session" + c.notTheirs()
	}
	return "the console called " + c.what() + " " + c.as() + " for somebody signed in" + c.location(" at ")
}

func (c *call) explainCLI() string {
	with := " with a session"
	switch {
	case c.has(markSignIn):
		with = " with the credentials of a sign-in"
	case c.key == temporaryKey && !c.session:
		with = " with the temporary key " + shown(c.ev.Key()) + ", whose session the record does not have"
	case c.key == temporaryKey:
		with = " with a temporary key"
	case !c.session && c.key == noKey:
		with = " with a bearer token"
	}
	if isCloudShell(c.ev.UserAgent) {
		return "somebody in CloudShell called " + c.what() + " " + c.as() + with + c.notTheirs()
	}
	return "somebody" + c.location(" at ") + " called " + c.what() + " " + c.as() + with
}

func (c *call) explainInternal() string {
	return c.what() + " was called " + c.as() + " inside AWS's network, and the record does not say for whom: such calls turned out to be people's"
}

func (c *call) explainUnattributed() string {
	if c.serviceNamed() {
		return c.caller.name + " names itself as the caller of " + c.what() + " " + c.as() + ", but " + c.brokenCondition().broken(c)
	}
	return c.what() + " was called " + c.as() + c.location(" from ") + ", and the record does not say by whom or with which credential"
}

// notTheirs adds whose the address of a call from CloudShell is.
func (c *call) notTheirs() string {
	if c.address != otherCaller {
		return ""
	}
	return ": the address" + c.location(" ") + " is AWS's, not the person's"
}

// withKey adds the long-lived key that makes a call critical whatever it is.
func (c *call) withKey() string {
	if !c.longLived() {
		return ""
	}
	return ", with the long-lived key " + shown(c.ev.Key())
}

// although adds to a call that looks harmless that somebody had a credential.
func (c *call) although() string {
	if c.longLived() {
		return ", although the long-lived key " + shown(c.ev.Key()) + " was used"
	}
	if c.credential() {
		return ", although a key or a session was used"
	}
	return ""
}

// what was called: the service's short name and the event's.
func (c *call) what() string {
	source := c.ev.EventSource.Value
	for _, suffix := range serviceSuffixes {
		source = strings.TrimSuffix(source, suffix)
	}
	var words []string
	for _, word := range []string{source, c.ev.EventName.Value} {
		if word != "" {
			words = append(words, shown(word))
		}
	}
	if len(words) == 0 {
		return "an unnamed event"
	}
	return strings.Join(words, " ")
}

func (c *call) as() string {
	if strings.EqualFold(c.ev.UserIdentity.Type, "FederatedUser") {
		return "as a user federated by root"
	}
	return "as root"
}

// location is where the call came from, after the given words; nothing if the record does not say.
func (c *call) location(words string) string {
	switch c.address {
	case noCaller:
		return ""
	case internalCaller:
		return " inside AWS's network"
	}
	return words + shown(c.ev.SourceIPAddress.Value)
}
