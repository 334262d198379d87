package pipeline

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"rootwatch/classify"
)

// toldTo is a sink that keeps what it takes.
type toldTo struct{ findings []*Finding }

func (s *toldTo) Take(_ context.Context, f *Finding) error {
	s.findings = append(s.findings, f)
	return nil
}

// planned expects the calls whose ids begin so.
func planned(ev *classify.Event, _ *classify.Finding) string {
	if strings.HasPrefix(ev.EventID.Value, "planned") {
		return "move"
	}
	return ""
}

func TestAPlannedCallIsToldAndCountedAndDoesNotPage(t *testing.T) {
	const paging = "rootwatch_last_unpushed_root_call_timestamp_seconds"
	for _, tt := range []struct {
		name        string
		expects     func(*classify.Event, *classify.Finding) string
		dryRun      bool
		verdict     classify.Verdict
		policy, dry string
		pages       bool
	}{
		{"without a policy", nil, false, classify.Unexplained, "", "", true},
		{"with one", planned, false, classify.Expected, "move", "", false},
		{"with one that is tried out", planned, true, classify.Unexplained, "", "move", true},
		{"with one that fails", func(*classify.Event, *classify.Finding) string { panic("a fault of ours") }, false, classify.Unexplained, "", "", true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			sink := new(toldTo)
			r := newRig(t, Config{Sinks: []Sink{sink}, Expects: tt.expects, DryRun: tt.dryRun})
			if err := r.Run(t.Context(), batches{batch(withID(rootEvent, "planned-1"))}); err != nil {
				t.Fatal(err)
			}
			if len(sink.findings) != 1 {
				t.Fatalf("%d calls were told", len(sink.findings))
			}
			f := sink.findings[0]
			if f.Verdict != tt.verdict || f.Policy != tt.policy || f.DryRun != tt.dry {
				t.Errorf("%s by %q, in a dry run by %q; want %s, %q, %q", f.Verdict, f.Policy, f.DryRun, tt.verdict, tt.policy, tt.dry)
			}
			if f.Reason != classify.AccessKey || f.Severity != classify.Critical {
				t.Errorf("%s, %s: the judgement has changed", f.Reason, f.Severity)
			}
			if pages := len(r.series(paging)) > 0; pages != tt.pages {
				t.Errorf("it pages: %v, want %v", pages, tt.pages)
			}
			pair := fmt.Sprintf(`reason="access_key",verdict="%s"`, tt.verdict)
			if n := r.series("rootwatch_root_calls_total")[pair]; n != 1 {
				t.Errorf("%v calls are counted as %s", n, pair)
			}
			account := fmt.Sprintf(`account_id="111122223333",verdict="%s"`, tt.verdict)
			for _, metric := range []string{"rootwatch_root_calls_by_account_total", "rootwatch_last_root_call_timestamp_seconds"} {
				if n := r.series(metric); len(n) != 1 || n[account] == 0 {
					t.Errorf("%s is %v", metric, n)
				}
			}
		})
	}
}

func TestThePolicyIsNotAskedAboutAServicesOwnCall(t *testing.T) {
	sink := new(toldTo)
	asked := func(ev *classify.Event, _ *classify.Finding) string { return "everything" }
	r := newRig(t, Config{Sinks: []Sink{sink}, Expects: asked})
	own := `{"eventID":"own","eventTime":"2026-11-02T08:00:00Z","eventSource":"ec2.amazonaws.com","eventName":"RunInstances",` +
		`"userIdentity":{"type":"Root","accountId":"111122223333","invokedBy":"autoscaling.amazonaws.com"},"sourceIPAddress":"autoscaling.amazonaws.com"}`
	if err := r.Run(t.Context(), batches{batch(own)}); err != nil {
		t.Fatal(err)
	}
	if f := sink.findings[0]; f.Verdict != classify.ServiceInvoked || f.Policy != "" {
		t.Errorf("%s by %q, want a service's own call", f.Verdict, f.Policy)
	}
}

// What was counted as expected, or as unexplained, stays that when the record is read again under
// another policy.
func TestAPolicyThatChangesPagesForNoCopy(t *testing.T) {
	for _, before := range []bool{true, false} {
		t.Run(fmt.Sprint("expected before: ", before), func(t *testing.T) {
			expected := before
			r := newRig(t, Config{Sinks: []Sink{new(kept)}, Expects: func(*classify.Event, *classify.Finding) string {
				if expected {
					return "move"
				}
				return ""
			}})
			if err := r.Run(t.Context(), batches{batch(rootEvent)}); err != nil {
				t.Fatal(err)
			}
			calls := r.series("rootwatch_root_calls_total")
			pages := r.series("rootwatch_last_unpushed_root_call_timestamp_seconds")
			if (len(pages) > 0) == before {
				t.Fatalf("%v pages", pages)
			}
			expected = !expected
			if err := r.Run(t.Context(), batches{batch(rootEvent), batch(viaEventBridge(rootEvent))}); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(calls, r.series("rootwatch_root_calls_total")); diff != "" {
				t.Errorf("a copy was counted:\n%s", diff)
			}
			if diff := cmp.Diff(pages, r.series("rootwatch_last_unpushed_root_call_timestamp_seconds")); diff != "" {
				t.Errorf("a copy pages:\n%s", diff)
			}
			if n := r.events()["duplicate"]; n != 2 {
				t.Errorf("%d copies, want 2", n)
			}
		})
	}
}

// A ledger that does not answer makes unexplained calls page without it, and no others.
func TestAnExpectedCallThatIsNotRecordedDoesNotPage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		ledger := &flakyLedger{record: func(*Finding) (Recorded, error) {
			if time.Since(start) < time.Minute {
				return 0, errors.New("access denied")
			}
			return First, nil
		}}
		r := newRig(t, Config{Ledger: ledger, Sinks: []Sink{new(kept)}, Expects: planned})
		ended := make(chan error)
		go func() {
			ended <- r.Run(t.Context(), batches{batch(withID(rootEvent, "planned-1"), withID(rootEvent, "other"))})
		}()
		time.Sleep(defaultPageAfter + time.Second)
		if n := r.series("rootwatch_unrecorded_root_calls")[""]; n != 1 {
			t.Errorf("%v calls page without being recorded, want the one that nobody expects", n)
		}
		if err := <-ended; err != nil {
			t.Fatal(err)
		}
	})
}

func TestNamesOfAccountsComeIntoTheLine(t *testing.T) {
	var out bytes.Buffer
	sink := new(toldTo)
	accounts := map[string]Account{"111122223333": {Name: "prod-billing", Owner: "payments"}}
	r := newRig(t, Config{
		Sinks: []Sink{sink}, Logger: slog.New(slog.NewTextHandler(&out, nil)),
		Account: func(id string) Account {
			if id == "444455556666" {
				panic("a fault of ours")
			}
			return accounts[id]
		},
	})
	others := strings.ReplaceAll(withID(rootEvent, "root-2"), "111122223333", "444455556666")
	if err := r.Run(t.Context(), batches{batch(rootEvent, others, strings.ReplaceAll(withID(rootEvent, "root-3"), "111122223333", "777788889999"))}); err != nil {
		t.Fatal(err)
	}
	got := map[string]string{}
	for _, f := range sink.findings {
		for _, a := range f.Attrs() {
			if a.Key == "account_name" {
				got[f.AccountID] = a.Value.String()
			}
		}
	}
	want := map[string]string{"111122223333": "prod-billing", "444455556666": "", "777788889999": ""}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("names (-want +got):\n%s", diff)
	}
	if !strings.Contains(out.String(), "could not be looked up") {
		t.Errorf("the log does not tell of the failure: %s", out.String())
	}
	for _, metric := range []string{"rootwatch_root_calls_by_account_total", "rootwatch_last_unpushed_root_call_timestamp_seconds"} {
		for labels := range r.series(metric) {
			if strings.Contains(labels, "prod-billing") {
				t.Errorf("%s has a name among its labels: %s", metric, labels)
			}
		}
	}
}
