package ledger

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"rootwatch/classify"
	"rootwatch/pipeline"
	"rootwatch/pipeline/awstest"
	"rootwatch/pipeline/dynamo"
)

const testTable = "rootwatch-findings"

// task is the ledger as one task has it: its own memory, the shared table. Its clock stands at
// counted.
func task(t *testing.T, server *awstest.Server, name string) *Ledger {
	t.Helper()
	return taskAt(t, server.AWSConfig(name), counted)
}

func taskAt(t *testing.T, config aws.Config, now time.Time) *Ledger {
	t.Helper()
	l, err := New(Config{
		DynamoDB: dynamodb.NewFromConfig(config), Table: testTable, Remember: 100,
		Registerer: prometheus.NewRegistry(), Logger: slog.New(slog.DiscardHandler),
		Now: func() time.Time { return now },
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := l.Prepare(t.Context()); err != nil {
		t.Fatal(err)
	}
	return l
}

func newServer(t *testing.T) *awstest.Server {
	server := awstest.NewServer(awstest.Options{})
	t.Cleanup(server.Close)
	return server
}

var counted = time.UnixMilli(1_795_000_000_123)

func call(id string, verdict classify.Verdict, severity classify.Severity) *pipeline.Finding {
	return &pipeline.Finding{
		ID: id, Counted: counted, Event: &classify.Event{},
		Finding: classify.Finding{Verdict: verdict, Severity: severity, AccountID: "111122223333"},
	}
}

func unexplained(id string) *pipeline.Finding { return call(id, classify.Unexplained, classify.High) }

func record(t *testing.T, l *Ledger, f *pipeline.Finding) (first bool) {
	t.Helper()
	return recorded(t, l, f) == pipeline.First
}

func recorded(t *testing.T, l *Ledger, f *pipeline.Finding) pipeline.Recorded {
	t.Helper()
	outcome, err := try(t, l, f)
	if err != nil {
		t.Fatal(err)
	}
	return outcome
}

// try records and settles a call once.
func try(t *testing.T, l *Ledger, f *pipeline.Finding) (pipeline.Recorded, error) {
	t.Helper()
	outcome, err := l.Record(t.Context(), f)
	if err == nil {
		err = l.Settle(t.Context(), f)
	}
	return outcome, err
}

func TestACallIsFirstInOneTaskOnly(t *testing.T) {
	server := newServer(t)
	a, b := task(t, server, "a"), task(t, server, "b")
	if !record(t, a, unexplained("one")) {
		t.Error("the first task's call is not the first")
	}
	if b.Seen(unexplained("one")) {
		t.Error("the second task knows the call without asking")
	}
	if record(t, b, unexplained("one")) {
		t.Error("the copy in the second task is taken for another call")
	}
	if !b.Seen(unexplained("one")) {
		t.Error("the second task has not learnt the call")
	}
	if restarted := task(t, server, "c"); record(t, restarted, unexplained("one")) {
		t.Error("the copy after a restart is taken for another call")
	}
}

// A task has written a call down and died before it noted it. Another task finds it only because a
// call of its own has the same id. From then on it knows copies of both from memory, so it has to
// note both.
func TestACallThatIsFoundUnderAnothersIDIsNotedToo(t *testing.T) {
	server := newServer(t)
	dies, lives := task(t, server, "dies"), task(t, server, "lives")
	in := func(account string) *pipeline.Finding {
		f := unexplained("shared")
		f.AccountID = account
		return f
	}
	if _, err := dies.Record(t.Context(), in("444455556666")); err != nil {
		t.Fatal(err)
	}
	if !record(t, lives, in("111122223333")) {
		t.Error("another call of the same id is taken for a copy")
	}
	if !lives.Seen(in("444455556666")) {
		t.Error("the call that was found is not known")
	}
	newest, err := lives.Newest(t.Context())
	var accounts []string
	for _, n := range newest {
		accounts = append(accounts, n.AccountID)
	}
	slices.Sort(accounts)
	if !slices.Equal(accounts, []string{"111122223333", "444455556666"}) || err != nil {
		t.Errorf("the calls of %v are noted: %v", accounts, err)
	}
}

func TestOfManyTasksAtOnceOneIsFirst(t *testing.T) {
	server := newServer(t)
	var wg sync.WaitGroup
	firsts := make([]bool, 8)
	for i := range firsts {
		l := task(t, server, fmt.Sprint("task", i))
		wg.Go(func() {
			outcome, _ := l.Record(context.Background(), unexplained("one"))
			firsts[i] = outcome == pipeline.First
		})
	}
	wg.Wait()
	n := 0
	for _, first := range firsts {
		if first {
			n++
		}
	}
	if n != 1 {
		t.Errorf("%d of %d tasks were first, want one", n, len(firsts))
	}
}

func TestWhatMakesACallWorseIsACorrection(t *testing.T) {
	const first, same, worse = pipeline.First, pipeline.Copy, pipeline.Correction
	service := call("one", classify.ServiceInvoked, classify.None)
	planned := call("one", classify.Expected, classify.High)
	low, high, critical := call("one", classify.Unexplained, classify.Low), unexplained("one"), call("one", classify.Unexplained, classify.Critical)
	session, key := *critical, *critical
	session.Reason, key.Reason = classify.ConsoleSession, classify.AccessKey
	for _, tt := range []struct {
		name  string
		calls []*pipeline.Finding
		want  []pipeline.Recorded
	}{
		{"service_invoked, then unexplained", []*pipeline.Finding{service, high}, []pipeline.Recorded{first, worse}},
		{"unexplained, then service_invoked", []*pipeline.Finding{high, service}, []pipeline.Recorded{first, same}},
		{"turned once, then again", []*pipeline.Finding{service, high, high}, []pipeline.Recorded{first, worse, same}},
		{"turned, then the harmless one once more", []*pipeline.Finding{service, high, service}, []pipeline.Recorded{first, worse, same}},
		{"worse and worse", []*pipeline.Finding{low, high, critical, low}, []pipeline.Recorded{first, worse, worse, same}},
		{"better", []*pipeline.Finding{critical, high, low}, []pipeline.Recorded{first, same, same}},
		{"unexplained, then expected", []*pipeline.Finding{high, planned}, []pipeline.Recorded{first, same}},
		{"expected, then unexplained: the entry has ended", []*pipeline.Finding{planned, high, planned}, []pipeline.Recorded{first, same, same}},
		{"expected, then unexplained and worse", []*pipeline.Finding{planned, critical, high}, []pipeline.Recorded{first, worse, same}},
		{"service_invoked, then expected", []*pipeline.Finding{service, planned}, []pipeline.Recorded{first, worse}},
		{"another reason, which starts from a graver severity", []*pipeline.Finding{&session, &key, &session}, []pipeline.Recorded{first, worse, same}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			server := newServer(t)
			var got []pipeline.Recorded
			for i, f := range tt.calls {
				copied := *f
				got = append(got, recorded(t, task(t, server, fmt.Sprint("task", i)), &copied)) // a task each: none remembers
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("recorded (-want +got):\n%s", diff)
			}
			item, err := task(t, server, "reader").get(t.Context(), "one")
			if err != nil {
				t.Fatal(err)
			}
			worst := tt.calls[0]
			for _, f := range tt.calls {
				if f.GraverThan(worst.Verdict, worst.Reason, worst.Severity) {
					worst = f
				}
			}
			if v, r, s := verdictOf(item); v != worst.Verdict || r != worst.Reason || s != worst.Severity {
				t.Errorf("the item says %s %s %s, want the worst", v, r, s)
			}
		})
	}
}

// The replacement took effect, but its answer was lost: it is a correction still, and no call that
// was not counted.
func TestACorrectionWhoseAnswerWasLostIsStillOne(t *testing.T) {
	server := newServer(t)
	record(t, task(t, server, "a"), call("one", classify.Unexplained, classify.Low))
	l, f := task(t, server, "b"), unexplained("one")
	there, err := l.get(t.Context(), "one")
	if err != nil {
		t.Fatal(err)
	}
	w := l.writing(f) // as write does before it replaces
	w.correcting = true
	server.Inject(awstest.Fault{Service: "dynamodb", Operation: "PutItem", AccessKeyID: "b", Count: 3, Effect: awstest.FailAfter})
	if _, err := l.put(t.Context(), f, "one", w, dynamo.Text(there, attrToken)); err == nil {
		t.Fatal("no error though the answer was lost")
	}
	if outcome := recorded(t, l, f); outcome != pipeline.Correction {
		t.Errorf("the second try answers %d, want a correction", outcome)
	}
	if len(l.writings) != 0 {
		t.Errorf("%d tokens are kept of calls that are written down", len(l.writings))
	}
}

func TestAnotherCallUnderTheSameIDIsRecordedForItself(t *testing.T) {
	at := func(time string, more ...func(*classify.Event)) *pipeline.Finding {
		f := unexplained("redacted")
		f.Event.EventTime = classify.Text{Value: time, Present: true}
		for _, change := range more {
			change(f.Event)
		}
		return f
	}
	update := func(e *classify.Event) {
		e.Addendum.Reason = classify.Text{Value: "UPDATED_DATA", Present: true}
		e.Addendum.OriginalEventID = classify.Text{Value: "redacted", Present: true}
	}
	server := newServer(t)
	for i, tt := range []struct {
		name string
		f    *pipeline.Finding
		want pipeline.Recorded
	}{
		{"the first call", at("2026-11-02T08:00:00Z"), pipeline.First},
		{"another call", at("2026-11-02T08:00:01Z"), pipeline.First},
		{"a third", at("2026-11-02T08:00:02Z"), pipeline.First},
		{"a copy of the first", at("2026-11-02T08:00:00Z"), pipeline.Copy},
		{"a copy of the second", at("2026-11-02T08:00:01Z"), pipeline.Copy},
		{"a correction of the second that changes nothing", at("2026-11-02T08:00:01Z", update), pipeline.Copy},
		{"a correction under another time, of the call that has the id", at("2026-11-02T09:00:00Z", update), pipeline.Copy},
	} {
		if outcome := recorded(t, task(t, server, fmt.Sprint("task", i)), tt.f); outcome != tt.want {
			t.Errorf("%s: recorded as %d, want %d", tt.name, outcome, tt.want)
		}
	}
}

// This task meets the call that shares the id before the call that has it: a correction of the
// latter must not be measured against the former.
func TestACorrectionOfACallThatAnotherTaskRecordedIsHeard(t *testing.T) {
	server := newServer(t)
	at := func(time string, verdict classify.Verdict, severity classify.Severity) *pipeline.Finding {
		f := call("shared", verdict, severity)
		f.Event.EventTime = classify.Text{Value: time, Present: true}
		return f
	}
	record(t, task(t, server, "a"), at("2026-11-02T08:00:00Z", classify.ServiceInvoked, classify.Info))
	l := task(t, server, "b")
	if !record(t, l, at("2026-11-02T09:00:00Z", classify.Unexplained, classify.High)) {
		t.Fatal("another call under the id is not the first of its own")
	}
	correction := at("2026-11-02T08:00:00Z", classify.Unexplained, classify.High)
	correction.Event.Addendum.Reason = classify.Text{Value: "UPDATED_DATA", Present: true}
	correction.Event.Addendum.OriginalEventID = classify.Text{Value: "shared", Present: true}
	if l.Seen(correction) {
		t.Error("the correction is taken for a copy of the other call")
	}
	if outcome := recorded(t, l, correction); outcome != pipeline.Correction {
		t.Errorf("the correction is recorded as %d", outcome)
	}
	if !l.Seen(at("2026-11-02T09:00:00Z", classify.Unexplained, classify.High)) {
		t.Error("the other call is not known any more")
	}
}

// The write took effect, but its answer was lost: the call must be counted, by this task and only
// by it.
func TestAWriteWhoseAnswerWasLostIsStillTheFirst(t *testing.T) {
	for _, operation := range []string{"PutItem", "UpdateItem"} {
		t.Run(operation, func(t *testing.T) {
			server := newServer(t)
			l, f := task(t, server, "a"), unexplained("one")
			fault := server.Inject(awstest.Fault{Service: "dynamodb", Operation: operation, Effect: awstest.FailAfter})
			if _, err := try(t, l, f); err == nil {
				t.Fatal("no error though the answer was lost")
			}
			fault.Remove()
			if n := testutil.ToFloat64(l.failures); n != 1 {
				t.Errorf("%v failures are counted, want 1", n)
			}
			if !record(t, l, f) {
				t.Error("the second try does not know its own write")
			}
			if len(l.writings) != 0 {
				t.Errorf("%d tokens are kept of calls that are written down", len(l.writings))
			}
			if record(t, task(t, server, "b"), unexplained("one")) {
				t.Error("another task takes the call for its own")
			}
		})
	}
}

func TestTheNewestCallIsRestoredToTheMillisecond(t *testing.T) {
	server := newServer(t)
	l := task(t, server, "a")
	older, newer, other := unexplained("older"), unexplained("newer"), call("other", classify.Unexplained, classify.Critical)
	older.Counted = counted.Add(-time.Hour)
	other.AccountID = "unknown"
	harmless := call("harmless", classify.ServiceInvoked, classify.None)
	for _, f := range []*pipeline.Finding{newer, older, other, harmless} { // in any order
		record(t, l, f)
	}
	var got []Newest
	if err := task(t, server, "b").Restore(t.Context(), func(string) {}, func(n Newest) { got = append(got, n) }); err != nil {
		t.Fatal(err)
	}
	want := []Newest{{"111122223333", classify.High, counted}, {"unknown", classify.Critical, counted}}
	if diff := cmp.Diff(want, got, cmpopts.SortSlices(func(a, b Newest) bool { return a.AccountID < b.AccountID })); diff != "" {
		t.Errorf("newest (-want +got):\n%s", diff)
	}
}

// The process died between the two writes: the call is read again, by anybody, and is a copy then.
func TestACopyBringsTheNewestCallUpToWhenItWasCounted(t *testing.T) {
	server := newServer(t)
	l := task(t, server, "a")
	server.Inject(awstest.Fault{Service: "dynamodb", Operation: "UpdateItem", AccessKeyID: "a", Effect: awstest.Fail})
	if _, err := try(t, l, unexplained("one")); err == nil {
		t.Fatal("no error though the second write failed")
	}
	later := unexplained("one")
	later.Counted = counted.Add(10 * time.Minute)
	b := task(t, server, "b")
	if record(t, b, later) {
		t.Error("the copy is taken for another call")
	}
	got, err := b.Newest(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]Newest{{"111122223333", classify.High, counted}}, got); diff != "" {
		t.Errorf("newest (-want +got):\n%s", diff)
	}
}

func TestAnyIDIsAKey(t *testing.T) {
	server := newServer(t)
	for name, id := range map[string]string{
		"long":                      strings.Repeat("x", 5000),
		"like an item of our own":   "newest/high/0",
		"with characters of others": "é\x00/\n",
	} {
		t.Run(name, func(t *testing.T) {
			if !record(t, task(t, server, "a"), unexplained(id)) {
				t.Error("not the first")
			}
			if record(t, task(t, server, "b"), unexplained(id)) {
				t.Error("its copy is the first again")
			}
		})
	}
}

func TestAnItemSaysWhoWhatWhereAndExpires(t *testing.T) {
	server := newServer(t)
	l, f := task(t, server, "a"), unexplained("one")
	f.ShardID = "shardId-000000000001"
	f.Event.EventName = classify.Text{Value: "CreateAccessKey", Present: true}
	record(t, l, f)
	item, err := l.get(t.Context(), "one")
	if err != nil {
		t.Fatal(err)
	}
	for attribute, want := range map[string]string{"account_id": "111122223333", "event_name": "CreateAccessKey", "verdict": "unexplained", "severity": "high", "shard_id": f.ShardID} {
		if got := dynamo.Text(item, attribute); got != want {
			t.Errorf("%s is %q, want %q", attribute, got, want)
		}
	}
	if at, _ := dynamo.Int(item, attrExpires); at != counted.Add(35*24*time.Hour).Unix() {
		t.Errorf("it expires at %d, want 35 days after it was counted", at)
	}
	ttl, err := l.cfg.DynamoDB.DescribeTimeToLive(t.Context(), &dynamodb.DescribeTimeToLiveInput{TableName: &l.cfg.Table})
	if err != nil || ttl.TimeToLiveDescription.AttributeName == nil || *ttl.TimeToLiveDescription.AttributeName != attrExpires {
		t.Errorf("time to live: %+v, %v; want it on %s", ttl, err, attrExpires)
	}
}

func TestATablesNameIsCheckedBeforeItIsUsed(t *testing.T) {
	for _, name := range []string{"", "ab", strings.Repeat("x", 256), "a/b", "ä-findings"} {
		if _, err := New(Config{Table: name, Remember: 1, Registerer: prometheus.NewRegistry()}); err == nil {
			t.Errorf("%q is taken for a table's name", name)
		}
	}
}

func TestADeletedTableIsMadeAnew(t *testing.T) {
	server := newServer(t)
	l := task(t, server, "a")
	table := testTable
	if _, err := l.cfg.DynamoDB.DeleteTable(t.Context(), &dynamodb.DeleteTableInput{TableName: &table}); err != nil {
		t.Fatal(err)
	}
	f := unexplained("one")
	if _, err := try(t, l, f); err == nil {
		t.Error("no error though there was no table")
	}
	if !record(t, l, f) {
		t.Error("the second try is not the first")
	}
	if record(t, task(t, server, "b"), unexplained("one")) {
		t.Error("another task does not see the call in the new table")
	}
}
