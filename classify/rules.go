package classify

// rule is a row of the table of reasons: the whole rule.
type rule struct {
	reason  Reason
	verdict Verdict
	when    func(facts) bool
	// severity is the grade to start from, otherwise the grade in a special case. What the call
	// does may raise either of an unexplained call ([Impacts]); grades are all that can come of it,
	// worst first.
	severity  Severity
	otherwise grade
	grades    []Severity
	means     string // what it is, in a few words
	why       string // why the verdict follows
	source    string // of the evidence
	sentence  func(*call) string
}

// grade is a severity for a case; the zero grade is none.
type grade struct {
	when     func(facts) bool
	words    string // the case, in words
	severity Severity
}

// rules are the reasons. They are tried in this order for every root call, and the first that fits
// is the reason: the two of service_invoked ask for all of serviceConditions, the last row fits
// everything.
var rules = []rule{
	{
		reason: KnownService, verdict: ServiceInvoked,
		when:     func(f facts) bool { return f.isService() && f.known },
		severity: None, grades: []Severity{None},
		means:    "Elastic Load Balancing or Auto Scaling by itself",
		why:      "a service that is known to act as root by itself called, without key or session",
		source:   "AWS re:Post, \"Root\" in CloudTrail logs; seen in records of 2015 to 2017",
		sentence: (*call).explainKnown,
	},
	{
		reason: OtherService, verdict: ServiceInvoked,
		when:     facts.isService,
		severity: Info, grades: []Severity{Info},
		means:    "another service, with the same evidence: worth a look, never a page",
		why:      "another service called by itself, without key or session: worth a look, never a page",
		source:   "seen in records of 2015 to 2017",
		sentence: (*call).explainOther,
	},
	{
		reason: NoRootARN, verdict: Unexplained,
		when:     func(f facts) bool { return f.exactRoot && f.emptyARN },
		severity: Low, otherwise: grade{facts.credential, "with a key or session", High},
		grades:   []Severity{Critical, High, Low},
		means:    "recorded as root, but no account's root is named",
		why:      "recorded as root, but no account's root is named",
		source:   "seen in records: a failed ExternalIdPDirectoryLogin",
		sentence: (*call).explainNoARN,
	},
	{
		reason: SignIn, verdict: Unexplained,
		when:     func(f facts) bool { return f.event == consoleSignIn || f.called == calledSignIn && !f.credential() },
		severity: High, otherwise: grade{func(f facts) bool { return f.failed && !f.credential() }, "failed", Medium},
		grades:   []Severity{Critical, High, Medium},
		means:    "somebody is at the root sign-in page",
		why:      "somebody is at the root sign-in page; a failed login needs the root's e-mail address",
		source:   "AWS CloudTrail User Guide, \"AWS Management Console sign-in events\"; AWS Sign-In User Guide, \"Sign-In with OAuth 2.0\"",
		sentence: (*call).explainSignIn,
	},
	{
		reason: AssumedRoot, verdict: Unexplained,
		when:     func(f facts) bool { return f.has(markAssumedRoot) },
		severity: Medium, grades: []Severity{Critical, High, Medium},
		means:    "central root access from the organisation's management account",
		why:      "an organisation's management account used central root access; a session lasts 900 s at most",
		source:   "AWS STS API Reference, AssumeRoot; IAM User Guide, \"Track privileged tasks in CloudTrail\"",
		sentence: (*call).explainAssumedRoot,
	},
	{
		reason: AccessKey, verdict: Unexplained,
		// A key that is neither AKIA nor ASIA is redacted: without a session beside it the worst
		// case is assumed.
		when:     func(f facts) bool { return f.longLived() || f.key == otherKey && !f.session && !f.serviceNamed() },
		severity: Critical, grades: []Severity{Critical},
		means:    "a long-lived root key exists and is in use",
		why:      "a long-lived root key exists and is in use; no user agent and no service in between makes it milder",
		source:   "AWS STS API Reference, GetAccessKeyInfo: the prefixes AKIA and ASIA",
		sentence: (*call).explainKey,
	},
	{
		reason: Forwarded, verdict: Unexplained,
		when: func(f facts) bool {
			return f.invokedBy == agentCaller || f.invokedBy == serviceCaller && f.credential()
		},
		severity: High, grades: []Severity{Critical, High},
		means:    "a service acted on a person's root session or key",
		why:      "a service acted on a person's root session or key",
		source:   "IAM User Guide, \"Forward access sessions\"; the caller's key or session in 1,250 of 1,251 records",
		sentence: (*call).explainForwarded,
	},
	{
		reason: ConsoleSession, verdict: Unexplained,
		when: func(f facts) bool {
			return f.has(markConsole|markConsoleSession) || f.event == consoleAction || f.invokedBy == consoleCaller ||
				f.agent == consoleAgent || f.agent == browserAgent && f.credential()
		},
		severity: High, grades: []Severity{Critical, High},
		means:    "the console",
		why:      "the console makes calls with the person's session",
		source:   "AWS CloudTrail User Guide, sessionCredentialFromConsole; seen in records: the 655 calls of one console session",
		sentence: (*call).explainConsole,
	},
	{
		reason: CLISession, verdict: Unexplained,
		when:     facts.credential,
		severity: High, grades: []Severity{Critical, High},
		means:    "a temporary key or session: `aws login`, CloudShell, GetSessionToken",
		why:      "a temporary key or a session outside the console: aws login, CloudShell, GetSessionToken from a root key",
		source:   "AWS STS API Reference, GetSessionToken; AWS Sign-In User Guide, `aws login`",
		sentence: (*call).explainCLI,
	},
	{
		reason: AWSInternal, verdict: Unexplained,
		when:     func(f facts) bool { return f.address == internalCaller || f.invokedBy == internalCaller },
		severity: High, grades: []Severity{Critical, High},
		means:    "`AWS Internal`: not attributable, and the real ones turned out to be people",
		why:      "not attributable; real ones turned out to be people",
		source:   "AWS CloudTrail User Guide, sourceIPAddress; seen in records",
		sentence: (*call).explainInternal,
	},
	{
		reason: Unattributed, verdict: Unexplained,
		when:     func(facts) bool { return true },
		severity: High, grades: []Severity{Critical, High},
		means:    "anything else: fail towards alerting",
		why:      "nothing tells who made it: fail towards alerting",
		source:   "what is not understood counts against a service",
		sentence: (*call).explainUnattributed,
	},
}

// firstRule is the first row that fits; the last one fits everything.
func firstRule(f facts) *rule {
	for i := range rules {
		if rules[i].when(f) {
			return &rules[i]
		}
	}
	panic("classify: the last rule must fit every call")
}

// severityOf grades a call of this reason: the row's grade, raised by what the call does, and
// critical for a long-lived key whatever the reason, which is said here alone. A service's own call
// keeps its grade: it must never page.
func (r *rule) severityOf(f facts, does Severity) Severity {
	if r.verdict == ServiceInvoked {
		return r.severity
	}
	start := r.severity
	if r.otherwise.when != nil && r.otherwise.when(f) {
		start = r.otherwise.severity
	}
	if f.longLived() {
		start = Critical
	}
	return worse(start, does)
}

// serviceCondition is one of the conditions that must all hold before a root call counts as a
// service's own. They are facts that AWS writes: the user agent is not among them, because the
// client chooses it.
type serviceCondition struct {
	holds  func(facts) bool
	words  string             // what it asks for
	broken func(*call) string // what is said of a call that fails it, after "but"
}

// serviceConditions are tried in this order. In every public record of a service that acted as root
// by itself all of them hold; in every one of a person at least one fails. What is not understood
// fails.
var serviceConditions = []serviceCondition{
	{func(f facts) bool { return f.exactRoot }, "the type is Root",
		func(*call) string { return "its type is not that of a service's own call" }},
	{func(f facts) bool { return f.event == apiCall }, "an API call or a service event",
		func(*call) string { return "its event type is not that of a service's own call" }},
	{func(f facts) bool { return f.called == calledService }, "not at the sign-in page",
		func(*call) string { return "no service calls AWS Sign-In as root by itself" }},
	{func(f facts) bool { return f.invokedBy == serviceCaller }, "a service names itself in invokedBy, and it is no agent",
		func(*call) string { return "it calls for whoever is signed in" }},
	{func(f facts) bool { return f.address == serviceCaller }, "sourceIPAddress names a service too",
		func(c *call) string { return "the call did not come from a service" + c.location(": it came from ") }},
	{func(f facts) bool { return !f.credential() }, "no key, no session and no bearer token",
		func(*call) string { return "a key, a session or a bearer token was used" }},
	{func(f facts) bool { return f.marks == 0 }, "nothing else that only a client's call has",
		func(c *call) string { return "only a client's call has " + c.marks.firstMark().field }},
}

// brokenCondition is the first condition of service_invoked that does not hold, nil if all do.
func (f facts) brokenCondition() *serviceCondition {
	for i := range serviceConditions {
		if !serviceConditions[i].holds(f) {
			return &serviceConditions[i]
		}
	}
	return nil
}

// isService reports whether a service made the call by itself.
func (f facts) isService() bool { return f.brokenCondition() == nil }
