package pipeline

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"rootwatch/classify"
)

// finding is a judged call of an account.
func finding(account string, verdict classify.Verdict, reason classify.Reason, severity classify.Severity) *Finding {
	return &Finding{
		ID: "one", Event: &classify.Event{}, Counted: time.Now().Truncate(time.Millisecond),
		Finding: classify.Finding{Verdict: verdict, Reason: reason, Severity: severity, AccountID: account},
	}
}

func TestMetricsFollowPrometheusConventions(t *testing.T) {
	r := newRig(t, Config{Sinks: []Sink{new(kept)}, HeartbeatRegions: []string{"eu-west-1"}})
	r.emit.metrics.rootCall(finding("111122223333", classify.Unexplained, classify.AccessKey, classify.Critical))
	problems, err := testutil.GatherAndLint(r.registry)
	if err != nil || len(problems) > 0 {
		t.Errorf("%v, %v", problems, err)
	}
}

// increase() needs a sample from before the call.
func TestEveryPairAndResultIsThereFromTheStart(t *testing.T) {
	r := newRig(t, Config{Sinks: []Sink{new(kept)}})
	calls := r.series("rootwatch_root_calls_total")
	pairs := classify.Reasons()
	for _, reason := range classify.Reasons() {
		if reason.Verdict == classify.Unexplained { // a call of any of these reasons may be expected
			reason.Verdict = classify.Expected
			pairs = append(pairs, reason)
		}
	}
	for _, reason := range pairs {
		if n, ok := calls[fmt.Sprintf(`reason="%s",verdict="%s"`, reason.Reason, reason.Verdict)]; !ok || n != 0 {
			t.Errorf("%s/%s is %v, %v; want 0", reason.Verdict, reason.Reason, n, ok)
		}
	}
	if len(calls) != len(pairs) {
		t.Errorf("%d pairs, want %d", len(calls), len(pairs))
	}
	if n := len(r.series("rootwatch_events_total")); n != int(results) {
		t.Errorf("%d results, want %d", n, results)
	}
}

func TestAccountsBeyondTheCapPageAllTheSame(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, Config{Sinks: []Sink{new(kept)}, MaxAccounts: 2})
		for i := range 4 {
			r.emit.metrics.rootCall(finding(fmt.Sprintf("11112222333%d", i), classify.Unexplained, classify.AccessKey, classify.Critical))
		}
		r.emit.metrics.rootCall(finding("no account", classify.Unexplained, classify.AccessKey, classify.Critical))
		now := unixSeconds(time.Now())
		want := map[string]float64{}
		for _, account := range []string{"111122223330", "111122223331", "other", "unknown"} {
			want[fmt.Sprintf(`account_id="%s",severity="critical"`, account)] = now
		}
		if diff := cmp.Diff(want, r.series("rootwatch_last_unpushed_root_call_timestamp_seconds")); diff != "" {
			t.Errorf("paging series (-want +got):\n%s", diff)
		}
		for range 60 { // each minute, from the ledger
			r.Raise("111122223339", classify.Critical, time.Now().Add(-time.Hour))
		}
		if n := r.series("rootwatch_accounts_overflow_total")[""]; n != 2 {
			t.Errorf("%v calls overflowed, want 2", n)
		}
	})
}

func TestThePagingSeriesNeverGoesBackAndLeavesServicesOut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, Config{Sinks: []Sink{new(kept)}})
		now := time.Now().Truncate(time.Millisecond)
		r.Raise("111122223333", classify.High, now)
		r.Raise("111122223333", classify.High, now.Add(-time.Hour))
		r.Raise("111122223333", classify.None, now)
		r.emit.metrics.rootCall(finding("111122223333", classify.ServiceInvoked, classify.KnownService, classify.None))
		r.emit.metrics.rootCall(finding("111122223333", classify.ServiceInvoked, classify.OtherService, classify.Info))
		want := map[string]float64{
			`account_id="111122223333",severity="high"`: unixSeconds(now),
			`account_id="111122223333",severity="info"`: unixSeconds(now),
		}
		if diff := cmp.Diff(want, r.series("rootwatch_last_unpushed_root_call_timestamp_seconds")); diff != "" {
			t.Errorf("paging series (-want +got):\n%s", diff)
		}
	})
}

// A task whose clock is years ahead would silence the account for years.
func TestACallCountedInTheFutureIsRefused(t *testing.T) {
	var out bytes.Buffer
	now := time.Unix(1_790_000_000, 0)
	r := newRig(t, Config{Sinks: []Sink{new(kept)}, Now: func() time.Time { return now }, Logger: slog.New(slog.NewJSONHandler(&out, nil))})
	r.Raise("111122223333", classify.Critical, now.AddDate(5, 0, 0))
	r.Raise("111122223333", classify.Critical, now.Add(maxAhead+time.Millisecond))
	if s := r.series("rootwatch_last_unpushed_root_call_timestamp_seconds"); len(s) != 0 || strings.Count(out.String(), `"level":"ERROR"`) != 2 {
		t.Errorf("the series is %v, and the log %s", s, out.String())
	}
	if err := r.Run(t.Context(), batches{batch(rootEvent)}); err != nil {
		t.Fatal(err)
	}
	r.Raise("444455556666", classify.Critical, now.Add(maxAhead)) // clocks may differ a little
	want := map[string]float64{
		`account_id="111122223333",severity="critical"`: unixSeconds(now),
		`account_id="444455556666",severity="critical"`: unixSeconds(now.Add(maxAhead)),
	}
	if diff := cmp.Diff(want, r.series("rootwatch_last_unpushed_root_call_timestamp_seconds")); diff != "" {
		t.Errorf("paging series (-want +got):\n%s", diff)
	}
}

func TestEachAccountHasItsCallsAndItsNewestOne(t *testing.T) {
	r := newRig(t, Config{Sinks: []Sink{new(kept)}})
	now := time.Now().Truncate(time.Millisecond)
	call := func(account string, verdict classify.Verdict, at time.Time) {
		f := finding(account, verdict, classify.AccessKey, classify.Critical)
		f.Counted = at
		r.emit.metrics.rootCall(f)
	}
	var calls sync.WaitGroup
	for i := range 50 { // in any order, as the ledger answers
		calls.Go(func() { call("111122223333", classify.Unexplained, now.Add(-time.Duration((i+25)%50)*time.Second)) })
	}
	calls.Wait()
	call("111122223333", classify.Unexplained, now.Add(-time.Hour))
	call("111122223333", classify.ServiceInvoked, now.Add(-2*time.Hour))
	call("444455556666", classify.Unexplained, now.Add(-3*time.Hour))
	labels := [...]string{
		`account_id="111122223333",verdict="unexplained"`, `account_id="111122223333",verdict="service_invoked"`, `account_id="444455556666",verdict="unexplained"`,
	}
	counts := map[string]float64{labels[0]: 51, labels[1]: 1, labels[2]: 1}
	if diff := cmp.Diff(counts, r.series("rootwatch_root_calls_by_account_total")); diff != "" {
		t.Errorf("calls (-want +got):\n%s", diff)
	}
	newest := map[string]float64{labels[0]: unixSeconds(now), labels[1]: unixSeconds(now.Add(-2 * time.Hour)), labels[2]: unixSeconds(now.Add(-3 * time.Hour))}
	if diff := cmp.Diff(newest, r.series("rootwatch_last_root_call_timestamp_seconds")); diff != "" {
		t.Errorf("newest calls (-want +got):\n%s", diff)
	}
}

func TestACallsIDIsItsExemplar(t *testing.T) {
	r := newRig(t, Config{Sinks: []Sink{new(kept)}})
	if err := r.Run(t.Context(), batches{batch(rootEvent)}); err != nil {
		t.Fatal(err)
	}
	families, err := r.registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	var ids []string
	for _, family := range families {
		for _, m := range family.GetMetric() {
			for _, l := range m.GetCounter().GetExemplar().GetLabel() {
				ids = append(ids, fmt.Sprintf("%s %s=%s", family.GetName(), l.GetName(), l.GetValue()))
			}
		}
	}
	if diff := cmp.Diff([]string{"rootwatch_root_calls_total event_id=root-1"}, ids); diff != "" {
		t.Errorf("exemplars (-want +got):\n%s", diff)
	}
}

// What is shown after a restart must be what was shown before, or a deploy would look like another
// call.
func TestARestoredCallShowsTheVeryValue(t *testing.T) {
	before, after := newRig(t, Config{Sinks: []Sink{new(kept)}}), newRig(t, Config{Sinks: []Sink{new(kept)}})
	f := finding("111122223333", classify.Unexplained, classify.SignIn, classify.High)
	before.emit.metrics.rootCall(f)
	after.Raise(f.AccountID, f.Severity, time.UnixMilli(f.Counted.UnixMilli()))
	const metric = "rootwatch_last_unpushed_root_call_timestamp_seconds"
	if diff := cmp.Diff(before.series(metric), after.series(metric)); diff != "" {
		t.Errorf("-before +after:\n%s", diff)
	}
}

func TestAnIDThatIsNoExemplarIsCountedWithoutOne(t *testing.T) {
	for name, id := range map[string]string{"too long": strings.Repeat("x", 200), "no UTF-8": "\xff", "empty": "", "ordinary": "303c31dd-aeee-4d5d-9311-61a1aa802c6f"} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, Config{Sinks: []Sink{new(kept)}})
			f := finding("111122223333", classify.Unexplained, classify.AccessKey, classify.Critical)
			f.Event.EventID = classify.Text{Value: id, Present: true}
			r.emit.metrics.rootCall(f)
			if n := r.series("rootwatch_root_calls_total")[`reason="access_key",verdict="unexplained"`]; n != 1 {
				t.Errorf("%v calls are counted, want 1", n)
			}
		})
	}
}

func TestTheDelayIsFromTheEventsOwnTime(t *testing.T) {
	now := time.Date(2026, 11, 2, 8, 0, 0, 0, time.UTC)
	tests := []struct {
		name, eventTime string
		count           uint64
		sum             float64
	}{
		{"ten minutes ago", "2026-11-02T07:50:00Z", 1, 600},
		{"a clock that is ahead", "2026-11-02T08:00:05Z", 1, 0},
		{"no time", "", 0, 0},
		{"no valid time", "yesterday", 0, 0},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r := newRig(t, Config{Sinks: []Sink{new(kept)}})
			f := finding("111122223333", classify.Unexplained, classify.SignIn, classify.High)
			f.Counted, f.Event.EventTime = now, classify.Text{Value: tt.eventTime, Present: true}
			r.emit.metrics.rootCall(f)
			families, err := r.registry.Gather()
			if err != nil {
				t.Fatal(err)
			}
			for _, family := range families {
				if family.GetName() != "rootwatch_event_delay_seconds" {
					continue
				}
				if h := family.GetMetric()[0].GetHistogram(); h.GetSampleCount() != tt.count || h.GetSampleSum() != tt.sum {
					t.Errorf("%d observations of %v s in all, want %d of %v", h.GetSampleCount(), h.GetSampleSum(), tt.count, tt.sum)
				}
				return
			}
			t.Error("the histogram is not registered")
		})
	}
}

func TestAnUndecodableRecordIsTimed(t *testing.T) {
	now := time.Unix(1_790_000_000, 0)
	r := newRig(t, Config{Sinks: []Sink{new(kept)}, Now: func() time.Time { return now }})
	at := func() float64 { return r.series("rootwatch_last_undecodable_timestamp_seconds")[""] }
	if err := r.Run(t.Context(), batches{batch(userEvent)}); err != nil || at() != 0 {
		t.Fatalf("after a good record: %v, error %v", at(), err)
	}
	if err := r.Run(t.Context(), batches{batch("{")}); err != nil || at() != 1_790_000_000 {
		t.Fatalf("after a broken record: %v, error %v", at(), err)
	}
}

func TestNoLabelHoldsWhatAnEventSays(t *testing.T) {
	r := newRig(t, Config{Sinks: []Sink{new(kept)}})
	const mark = "zq9"
	hostile := strings.NewReplacer("AKIA", mark+"AKIA", "ec2.amazonaws.com", mark+".amazonaws.com", "RunInstances", mark, "us-east-1", mark+"-east-1").Replace(rootEvent)
	heart := `{"detail-type":"Scheduled Event","source":"aws.events","region":"` + mark + `","time":"2026-11-23T00:00:00Z","detail":{}}`
	if err := r.Run(t.Context(), batches{batch(hostile, viaEventBridge(hostile), heart)}); err != nil {
		t.Fatal(err)
	}
	families, err := r.registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, family := range families {
		for _, m := range family.GetMetric() {
			for _, l := range m.GetLabel() {
				if strings.Contains(l.GetValue(), mark) {
					t.Errorf("%s{%s=%q}", family.GetName(), l.GetName(), l.GetValue())
				}
			}
		}
	}
}

func TestTheNewestHeartbeatOfARegionIsShown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, Config{Sinks: []Sink{new(kept)}, HeartbeatRegions: []string{"eu-west-1", "us-east-1"}})
		start := time.Now()
		time.Sleep(time.Hour)
		now := time.Now()
		r.emit.metrics.batch(&work{Batch: &Batch{}, heartbeats: []heartbeat{
			{"us-east-1", now.Add(-time.Minute)}, {"us-east-1", now.Add(-time.Hour)}, // in any order
			{"ap-south-1", now.Add(time.Hour)}, // a clock that is ahead
			{"not a region", now},
		}}, Counts{}, now)
		want := map[string]float64{
			`region="eu-west-1"`:  unixSeconds(start), // never reported
			`region="us-east-1"`:  unixSeconds(now.Add(-time.Minute)),
			`region="ap-south-1"`: unixSeconds(now),
		}
		if diff := cmp.Diff(want, r.series("rootwatch_last_heartbeat_timestamp_seconds")); diff != "" {
			t.Errorf("heartbeats (-want +got):\n%s", diff)
		}
	})
}

func TestRegionsAreBounded(t *testing.T) {
	r := newRig(t, Config{Sinks: []Sink{new(kept)}})
	now := time.Unix(1_790_000_000, 0)
	var made []heartbeat
	for i := range 3 * maxRegions {
		made = append(made, heartbeat{fmt.Sprintf("%c%c-west-%d", 'a'+i/26%26, 'a'+i%26, 1+i%9), now})
	}
	r.emit.metrics.batch(&work{Batch: &Batch{}, heartbeats: made}, Counts{}, now)
	r.emit.metrics.batch(&work{Batch: &Batch{}, heartbeats: []heartbeat{{made[0].region, now.Add(time.Minute)}}}, Counts{}, now.Add(time.Minute))
	shown := r.series("rootwatch_last_heartbeat_timestamp_seconds")
	if len(shown) != maxRegions {
		t.Errorf("%d regions are shown, want %d", len(shown), maxRegions)
	}
	if at := shown[fmt.Sprintf("region=%q", made[0].region)]; at != 1_790_000_060 {
		t.Errorf("a region within the bound is shown with %v, want its newest heartbeat", at)
	}
}

func TestTheLogLineHasAllAttributesInOrder(t *testing.T) {
	want := []string{
		"verdict", "reason", "severity", "impact", "policy", "policy_dry_run", "service", "event_id", "event_time", "account_id", "account_name", "region",
		"event_source", "event_name", "source_ip", "user_agent", "access_key_id", "session", "session_started", "mfa", "error_code", "read_only", "addendum", "explanation",
		"shard_id", "sequence_number",
	}
	f := finding("111122223333", classify.Unexplained, classify.AccessKey, classify.Critical)
	f.Event.UserAgent = classify.Text{Value: "evil\nlevel=info \x1b[2J", Present: true}
	f.ShardID = "shardId-7"
	var keys []string
	for _, a := range f.Attrs() {
		keys = append(keys, a.Key)
		if a.Value.Kind() != slog.KindString {
			t.Errorf("%s is a %s, want a string", a.Key, a.Value.Kind())
		}
	}
	if diff := cmp.Diff(want, keys); diff != "" {
		t.Errorf("attributes (-want +got):\n%s", diff)
	}
	var out bytes.Buffer
	quiet := slog.New(slog.NewJSONHandler(&out, &slog.HandlerOptions{Level: slog.LevelError + 4}))
	if err := NewLogSink(quiet).Take(t.Context(), f); err != nil {
		t.Fatal(err)
	}
	line := make(map[string]any)
	if err := json.Unmarshal(out.Bytes(), &line); err != nil || strings.Count(out.String(), "\n") != 1 || strings.Contains(out.String(), "\x1b") {
		t.Fatalf("not one line of JSON (%v): %q", err, out.String())
	}
	if line["msg"] != "root call" || line["level"] != "WARN" || line["user_agent"] != f.Event.UserAgent.Value {
		t.Errorf("the line is %v", line)
	}
}

// FuzzDecode: whatever a record holds, it ends in at least one result, and nothing panics.
func FuzzDecode(f *testing.F) {
	for _, s := range []string{
		rootEvent, userEvent, viaEventBridge(rootEvent), logged(rootEvent, userEvent), zipped(logged(rootEvent, "{")), lookedUp(rootEvent),
		inFile(rootEvent, userEvent), zipped(inFile(rootEvent))[:40], "", "null", "[]", `{"detail-type":"x via CloudTrail"}`, "\x1f\x8b",
	} {
		f.Add([]byte(s))
	}
	cfg := &Config{Logger: slog.New(slog.DiscardHandler), MaxExpanded: 1 << 20, MaxEvents: 100}
	cfg.setDefaults()
	decode, filter, judge := newDecoder(cfg), &rootFilter{log: cfg.Logger}, &classifier{log: cfg.Logger}
	f.Fuzz(func(t *testing.T, data []byte) {
		b := &work{Batch: &Batch{Records: []Record{{Data: data}}}}
		if decode.process(t.Context(), b) != nil || filter.process(t.Context(), b) != nil || judge.process(t.Context(), b) != nil {
			t.Fatal("not processed")
		}
		if len(b.events)+b.outcome.Events.Total() == 0 {
			t.Errorf("%q ends in no result", data)
		}
		for _, e := range b.events {
			if e.finding == nil || e.finding.ID == "" {
				t.Errorf("an event without a finding or an id: %+v", e)
			}
		}
		for _, broken := range b.outcome.Broken {
			if _, isPanic := broken.Err.(*panicError); isPanic {
				t.Errorf("%q made the decoder panic: %v", data, broken.Err)
			}
		}
	})
}
