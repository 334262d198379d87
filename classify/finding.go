package classify

// Verdict is the answer for one root call.
type Verdict string

// The verdicts. [Classify] gives one of the first two; whoever knows what was planned may make the
// third of an unexplained call.
const (
	ServiceInvoked Verdict = "service_invoked" // an AWS service called by itself: all evidence says so
	Unexplained    Verdict = "unexplained"     // a person, or somebody who holds a root key
	Expected       Verdict = "expected"        // judged unexplained, and an entry of a policy expects it: it never pages
)

// judged is the verdict that the evidence gave: what was planned is no part of the judgement.
func (v Verdict) judged() Verdict {
	if v == Expected {
		return Unexplained
	}
	return v
}

// Paging is the severity that a call of this verdict and severity pages with, or is noted with:
// [None] if it does neither.
func (v Verdict) Paging(s Severity) Severity {
	if v == Expected {
		return None
	}
	return s
}

// Reason names why the verdict follows; the closed list is in [Reasons].
type Reason string

// Reasons of service_invoked.
const (
	KnownService Reason = "known_service"
	OtherService Reason = "other_service"
)

// Reasons of unexplained, in the order in which they are tried: the first that fits is the call's
// reason.
const (
	NoRootARN      Reason = "no_root_arn"
	SignIn         Reason = "sign_in"
	AssumedRoot    Reason = "assumed_root"
	AccessKey      Reason = "access_key"
	Forwarded      Reason = "forwarded"
	ConsoleSession Reason = "console_session"
	CLISession     Reason = "cli_session"
	AWSInternal    Reason = "aws_internal"
	Unattributed   Reason = "unattributed"
)

// Severity is how urgent a call is to start with; a label value of the metrics.
type Severity string

// Severities of unexplained calls are critical to low; a service's own call is info or none.
const (
	Critical Severity = "critical"
	High     Severity = "high"
	Medium   Severity = "medium"
	Low      Severity = "low"
	Info     Severity = "info" // other_service: worth a look, never a page
	None     Severity = "none" // known_service
)

// Finding is the judgement of one root call.
type Finding struct {
	Verdict  Verdict
	Reason   Reason
	Severity Severity
	// Impact is what the call does, if that is grave in itself ([Impacts]): "gives root a
	// long-lived access key". It is "" for all other calls, for those that failed, and for a
	// service's own.
	Impact string
	// Service is the DNS name of the service that made or forwarded the call, "" if none is named.
	Service string
	// AccountID is the 12 digits of the account whose root made the call, or "unknown".
	AccountID string
	// Evidence lists the fields that decided, in the order in which they were weighed.
	Evidence []Evidence
	// Explanation is one sentence for a person.
	Explanation string
}

// Evidence is one field of the record and what it says about who made the call.
type Evidence struct {
	Field string // as in the record: "userIdentity.invokedBy"
	Value string // the record's value, "" if absent; what a terminal could not show is escaped, and 1 KB is kept
	Says  string // what follows from it: "a service names itself"
}

// Severities lists all severities, worst first.
func Severities() []Severity { return []Severity{Critical, High, Medium, Low, Info, None} }

// worse is the graver of two severities; "" is milder than all.
func worse(a, b Severity) Severity {
	for _, s := range Severities() {
		if a == s || b == s {
			return s
		}
	}
	return a
}
