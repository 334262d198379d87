package classify

import "slices"

// GraverThan reports whether the finding makes a call worse that was judged otherwise before, as a
// corrected record may: unexplained instead of a service's, a graver severity, or at the same
// severity a reason that starts from a graver one. An expected call is compared by its judgement,
// so a change of the policy alone makes no call worse; and it never takes the place of an
// unexplained one.
func (f *Finding) GraverThan(verdict Verdict, reason Reason, severity Severity) bool {
	switch {
	case f.Verdict == Expected && verdict == Unexplained:
		return false
	case f.Verdict.judged() != verdict.judged():
		return f.Verdict.judged() == Unexplained
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

// Reasons lists every pair of verdict and reason that [Classify] gives, those of service_invoked
// first, the others in the order in which they are tried. It is a closed list; an expected call
// keeps the reason that it was unexplained for.
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
