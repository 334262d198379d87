package classify

// Classify judges one root call. For an event that [IsRoot] does not name the answer means nothing.
func Classify(ev *Event) Finding {
	c := readCall(ev)
	r := firstRule(c.facts)
	out := Finding{
		Verdict: r.verdict, Reason: r.reason, Severity: r.severityOf(c.facts, c.impact.severity),
		Service: c.caller.name, AccountID: account(ev), Evidence: c.evidence(), Explanation: c.explain(r),
	}
	if r.verdict == Unexplained {
		out.Impact = c.impact.does
	}
	return out
}
