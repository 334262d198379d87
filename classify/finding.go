package classify

import "slices"

// Verdict is the answer for one root call.
type Verdict string

// The two verdicts.
const (
	ServiceInvoked Verdict = "service_invoked" // an AWS service called by itself: all evidence says so
	Unexplained    Verdict = "unexplained"     // a person, or somebody who holds a root key
)

// Reason names why the verdict follows; the closed list is in [Reasons].
type Reason string

// Reasons of service_invoked.
const (
	KnownService Reason = "known_service"
	OtherService Reason = "other_service"
)

// Reasons of unexplained, in the order in which they are tried: the first that fits is the call's reason.
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
	// Impact is what the call does, if that is grave in itself ([Impacts]): "gives root a long-lived access key". It is ""
	// for all other calls, for those that failed, and for a service's own.
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

// GraverThan reports whether the finding makes a call worse that was judged otherwise before, as a corrected record may:
// unexplained instead of a service's, a graver severity, or at the same severity a reason that starts from a graver one.
func (f *Finding) GraverThan(verdict Verdict, reason Reason, severity Severity) bool {
	switch {
	case f.Verdict != verdict:
		return f.Verdict == Unexplained
	case f.Severity != severity:
		return worse(f.Severity, severity) == f.Severity
	}
	was, is := startOf(reason), startOf(f.Reason)
	return was != is && worse(was, is) == is
}

// startOf is the severity that a reason starts from, "" for what is none.
func startOf(reason Reason) Severity {
	for i := range rules {
		if rules[i].reason == reason {
			return rules[i].severity
		}
	}
	return ""
}

// Evidence is one field of the record and what it says about who made the call.
type Evidence struct {
	Field string // as in the record: "userIdentity.invokedBy"
	Value string // the record's value, "" if absent; what a terminal could not show is escaped, and 1 KB is kept
	Says  string // what follows from it: "a service names itself"
}

// ReasonInfo is one valid pair of verdict and reason.
type ReasonInfo struct {
	Verdict    Verdict
	Reason     Reason
	Severity   Severity   // to start from
	Otherwise  string     // the case of another start and that grade: "failed: medium"; "" if there is none
	Severities []Severity // all that a call of this reason can get, worst first
	Means      string     // what it is, in a few words; Markdown
	Why        string     // why the verdict follows
	Source     string     // the AWS page that says so, or "seen in records"
}

// Severities lists all severities, worst first.
func Severities() []Severity { return []Severity{Critical, High, Medium, Low, Info, None} }

// Reasons lists every valid pair of verdict and reason, those of service_invoked first, the others in the order in
// which they are tried. It is a closed list: no finding carries any other pair.
func Reasons() []ReasonInfo {
	infos := make([]ReasonInfo, 0, len(rules))
	for i := range rules {
		r := &rules[i]
		info := ReasonInfo{
			Verdict: r.verdict, Reason: r.reason, Severity: r.severity, Severities: slices.Clone(r.grades),
			Means: r.means, Why: r.why, Source: r.source,
		}
		if r.otherwise.when != nil {
			info.Otherwise = r.otherwise.words + ": " + string(r.otherwise.severity)
		}
		infos = append(infos, info)
	}
	return infos
}
