package classify

import "testing"

// What a change of the policy must not do: page a second time for a call that is known, or take a
// call back that paged.
func TestWhatMakesAKnownCallWorse(t *testing.T) {
	for _, tt := range []struct {
		name       string
		is, was    Verdict
		reason     Reason
		grade      Severity
		wasReason  Reason
		wasGrade   Severity
		makesWorse bool
	}{
		{"the same", Unexplained, Unexplained, ConsoleSession, High, ConsoleSession, High, false},
		{"a person's after a service's", Unexplained, ServiceInvoked, ConsoleSession, High, KnownService, None, true},
		{"a service's after a person's", ServiceInvoked, Unexplained, KnownService, None, ConsoleSession, High, false},
		{"a graver reason at the same grade", Unexplained, Unexplained, AccessKey, Critical, ConsoleSession, Critical, true},
		{"the entry has gone", Unexplained, Expected, ConsoleSession, High, ConsoleSession, High, false},
		{"the entry has gone, and the call is graver", Unexplained, Expected, AccessKey, Critical, ConsoleSession, High, true},
		{"the entry has gone, and the call is milder", Unexplained, Expected, NoRootARN, Low, ConsoleSession, High, false},
		{"an entry has come", Expected, Unexplained, ConsoleSession, High, ConsoleSession, High, false},
		{"an entry has come, and the call is graver", Expected, Unexplained, AccessKey, Critical, ConsoleSession, High, false},
		{"expected as before", Expected, Expected, ConsoleSession, High, ConsoleSession, High, false},
		{"expected as before, and graver", Expected, Expected, AccessKey, Critical, ConsoleSession, High, true},
		{"an expected call after a service's", Expected, ServiceInvoked, ConsoleSession, High, KnownService, None, true},
		{"a service's after an expected one", ServiceInvoked, Expected, KnownService, None, ConsoleSession, High, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			f := Finding{Verdict: tt.is, Reason: tt.reason, Severity: tt.grade}
			if got := f.GraverThan(tt.was, tt.wasReason, tt.wasGrade); got != tt.makesWorse {
				t.Errorf("graver: %v, want %v", got, tt.makesWorse)
			}
		})
	}
}

func TestAnExpectedCallPagesWithNothing(t *testing.T) {
	for _, v := range []Verdict{ServiceInvoked, Unexplained, Expected} {
		for _, s := range Severities() {
			want := s
			if v == Expected {
				want = None
			}
			if got := v.Paging(s); got != want {
				t.Errorf("%s, %s pages with %s, want %s", v, s, got, want)
			}
		}
	}
}

func TestLongLivedKeys(t *testing.T) {
	for key, want := range map[string]bool{"AKIAX": true, "akiax": true, "ASIAX": false, "": false, "HIDDEN": false} {
		ev := Event{UserIdentity: Identity{AccessKeyID: Text{Value: key, Present: true}}}
		if got := ev.LongLivedKey(); got != want {
			t.Errorf("%q is long-lived: %v, want %v", key, got, want)
		}
	}
}
