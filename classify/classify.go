package classify

// Classify judges one root call. For an event that [IsRoot] does not name the answer means nothing.
func Classify(ev *Event) Finding {
	f := readFacts(ev)
	out := Finding{Service: f.service(), AccountID: account(ev), Evidence: f.evidence()}
	if f.isService() {
		out.Verdict, out.Reason, out.Severity = ServiceInvoked, OtherService, Info
		if f.invokedBy.known() {
			out.Reason, out.Severity = KnownService, None
		}
	} else {
		r := f.unexplained()
		out.Verdict, out.Reason, out.Severity = Unexplained, r.reason, f.severity(r)
	}
	out.Explanation = f.explain(out.Reason)
	return out
}

// unexplained is the first rule that fits; the last one fits everything.
func (f *facts) unexplained() *unexplainedRule {
	for i := range unexplainedRules {
		if unexplainedRules[i].when(f) {
			return &unexplainedRules[i]
		}
	}
	panic("classify: the last rule must fit every call")
}

// service is the name in invokedBy, if it is that of a service of any sort.
func (f *facts) service() string { return f.invokedBy.name }
