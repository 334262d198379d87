package ledger

import (
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"

	"rootwatch/classify"
	"rootwatch/pipeline"
	"rootwatch/pipeline/dynamo"
)

// An expected call is written down like any other, with the entry's name, and nothing restores it
// as a call that pages.
func TestAnExpectedCallNeverComesIntoTheSeriesThatPages(t *testing.T) {
	server := newServer(t)
	planned := call("one", classify.Expected, classify.Critical)
	planned.Policy, planned.Account = "move", pipeline.Account{Name: "prod"}
	copied := *planned
	gone := *planned // the same record, judged after the entry was taken out
	gone.Verdict, gone.Policy = classify.Unexplained, ""
	for i, f := range []*pipeline.Finding{planned, &copied, &gone} {
		want := pipeline.Copy
		if i == 0 {
			want = pipeline.First
		}
		if got := recorded(t, task(t, server, fmt.Sprint("task", i)), f); got != want {
			t.Errorf("record %d is %d, want %d", i, got, want)
		}
	}
	reader := task(t, server, "reader")
	if newest, err := reader.Newest(t.Context()); err != nil || len(newest) > 0 {
		t.Errorf("newest calls %v, %v; want none", newest, err)
	}
	item, err := reader.get(t.Context(), "one")
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]string{}
	for _, name := range []string{"verdict", "severity", "policy", "account_name"} {
		got[name] = dynamo.Text(item, name)
	}
	want := map[string]string{"verdict": "expected", "severity": "critical", "policy": "move", "account_name": "prod"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("item (-want +got):\n%s", diff)
	}
}

// A task may die between writing an unexplained call down and noting it as its account's newest.
// Whoever reads the record again may do so under a policy that expects it by now: it pages all the
// same.
func TestAnUnexplainedCallPagesThoughItsCopyIsExpected(t *testing.T) {
	server := newServer(t)
	if _, err := task(t, server, "dies").Record(t.Context(), unexplained("one")); err != nil {
		t.Fatal(err)
	}
	if got := recorded(t, task(t, server, "next"), call("one", classify.Expected, classify.High)); got != pipeline.Copy {
		t.Errorf("recorded as %d, want a copy", got)
	}
	newest, err := task(t, server, "reader").Newest(t.Context())
	if want := []Newest{{"111122223333", classify.High, counted}}; err != nil || !cmp.Equal(want, newest) {
		t.Errorf("newest calls %v, %v; want %v", newest, err, want)
	}
}

// A corrected record of an expected call says something else, as that it came from another address.
// If the policy does not expect that, it is heard, whichever of the two comes first.
func TestACorrectionThatIsNotExpectedIsHeard(t *testing.T) {
	original := call("one", classify.Expected, classify.High)
	correction := unexplained("one")
	correction.Event = &classify.Event{Addendum: classify.Addendum{
		Reason: classify.Text{Value: "UPDATED_DATA", Present: true}, OriginalEventID: classify.Text{Value: "one", Present: true},
	}}
	expected, unexpected := *correction, *original
	expected.Verdict, unexpected.Verdict = classify.Expected, classify.Unexplained
	for name, records := range map[string][2]*pipeline.Finding{
		"the original was expected":                  {original, correction},
		"the correction came first and was expected": {&expected, &unexpected},
	} {
		t.Run(name, func(t *testing.T) {
			server := newServer(t)
			for i, f := range []*pipeline.Finding{records[0], records[1], records[1], records[0]} {
				want := []pipeline.Recorded{pipeline.First, pipeline.Correction, pipeline.Copy, pipeline.Copy}[i]
				copied := *f
				if got := recorded(t, task(t, server, fmt.Sprint("task", i)), &copied); got != want {
					t.Errorf("record %d is %d, want %d", i, got, want)
				}
			}
			if newest, err := task(t, server, "reader").Newest(t.Context()); err != nil || len(newest) != 1 {
				t.Errorf("newest calls %v, %v; want one", newest, err)
			}
		})
	}
}
