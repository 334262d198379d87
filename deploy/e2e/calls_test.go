//go:build e2e

package e2e

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/kinesis"
	"github.com/aws/aws-sdk-go-v2/service/kinesis/types"

	"rootwatch/classify"
)

// Each account's first call pages, and the calls after it belong to that page.
func rootKeyPages(t *testing.T, w *world) func(*testing.T) {
	const calls = 12
	accounts, puts := make([]string, calls), make([]time.Time, calls)
	// Not in step with the scrapes: each call meets another moment between two of them.
	tick := time.NewTicker(*interval*37/100 + 3*time.Millisecond)
	defer tick.Stop()
	for i := range calls {
		accounts[i] = w.account()
		puts[i] = w.put(t, mainStream, w.call(t, "root key", accounts[i]).data).at
		<-tick.C
	}
	var toWebhook, toCounted, toAlert, toSent []time.Duration
	for i, account := range accounts {
		page, alert := w.page(t, account)
		counted := w.counted(t, account)
		toWebhook = append(toWebhook, page.at.Sub(puts[i]))
		toCounted = append(toCounted, counted.Sub(puts[i]))
		toAlert = append(toAlert, alert.StartsAt.Sub(counted))
		toSent = append(toSent, page.at.Sub(alert.StartsAt))
	}
	t.Logf("PutRecord to webhook, %d calls to as many accounts, scraped and evaluated every %s: p50 %.2fs, max %.2fs", calls, *interval, median(toWebhook), slices.Max(toWebhook).Seconds())
	t.Logf("of that, p50: PutRecord to counted %.2fs, counted to alert (scrape, evaluation) %.2fs, alert to webhook %.2fs", median(toCounted), median(toAlert), median(toSent))

	first := accounts[0]
	w.put(t, mainStream, w.call(t, "root key", first).data)
	w.put(t, mainStream, w.call(t, "root console session", first).data)
	eventually(t, soon(), "all three calls of the first account are scraped", func() bool {
		return w.prometheus.value(t, fmt.Sprintf("sum(rootwatch_root_calls_by_account_total{account_id=%q})", first)) == 3
	})
	w.settle(t)
	pages := w.receivers.read("pager", first)
	if len(pages) != 1 {
		t.Fatalf("PagerDuty was sent %d events for account %s, want 1", len(pages), first)
	}
	t.Logf("the page, word for word:\n%s\n\n%s", pages[0].title, pages[0].text)
	wantWords(t, pages[0], "[critical]", "Who: the root user of AWS account "+first, "What: ", "Since: ", "/RootCallUnexplained.md")
	return nil
}

func median(d []time.Duration) float64 {
	sorted := slices.Sorted(slices.Values(d))
	return sorted[len(sorted)/2].Seconds()
}

// counted is when an account's newest call was counted, as the paging series shows it.
func (w *world) counted(t *testing.T, account string) time.Time {
	t.Helper()
	seconds := w.prometheus.value(t, fmt.Sprintf("max(rootwatch_last_unpushed_root_call_timestamp_seconds{account_id=%q})", account))
	return time.UnixMilli(int64(seconds * 1000))
}

func wantWords(t *testing.T, n notification, words ...string) {
	t.Helper()
	for _, word := range words {
		if !strings.Contains(n.title+"\n"+n.text, word) {
			t.Errorf("the notification lacks %q:\n%s\n%s", word, n.title, n.text)
		}
	}
}

// Services that are known to act as root are nobody's business; another service's call is read when
// there is time.
func servicesPageNobody(t *testing.T, w *world) func(*testing.T) {
	const calls = 200
	account := w.account()
	counted := func(reason classify.Reason) float64 {
		return w.prometheus.value(t, fmt.Sprintf("sum(rootwatch_root_calls_total{verdict=\"service_invoked\",reason=%q})", reason))
	}
	w.tellsNobody(t, []string{"critical", "warning", "info"}, func() {
		var entries []types.PutRecordsRequestEntry
		for i := range calls {
			entries = append(entries, types.PutRecordsRequestEntry{Data: w.serviceCall(t, classify.KnownService, account).data, PartitionKey: aws.String(fmt.Sprint(i))})
		}
		stream := mainStream
		if out, err := w.kinesis.PutRecords(t.Context(), &kinesis.PutRecordsInput{StreamName: &stream, Records: entries}); err != nil || *out.FailedRecordCount > 0 {
			t.Fatal(err, out)
		}
		eventually(t, soon(), "all of them are scraped", func() bool { return counted(classify.KnownService) == calls })
	})
	w.tellsNobody(t, []string{"critical", "warning"}, func() {
		w.put(t, mainStream, w.serviceCall(t, classify.OtherService, account).data)
		w.expect(t, soon()+time.Minute/faster, "quiet", "RootCallNoted", map[string]string{"severity": "info", "account_id": account})
	})
	return nil
}

func mediumIsNoted(t *testing.T, w *world) func(*testing.T) {
	account := w.account()
	// The traffic's call deletes a bucket's policy, which is graver.
	data := bytes.ReplaceAll(w.call(t, "central root access", account).data, []byte("DeleteBucketPolicy"), []byte("GetBucketPolicy"))
	w.tellsNobody(t, []string{"critical", "warning"}, func() {
		w.put(t, mainStream, data)
		w.expect(t, soon()+time.Minute/faster, "quiet", "RootCallNoted", map[string]string{"severity": "info", "account_id": account})
	})
	mails := w.receivers.read("quiet", account)
	if len(mails) != 1 {
		t.Fatalf("%d mails for account %s, want 1", len(mails), account)
	}
	t.Logf("the mail, word for word:\n%s\n\n%s", mails[0].title, mails[0].text)
	wantWords(t, mails[0], "[info]", "Who: the root user of AWS account "+account, "/RootCallNoted.md")
	return nil
}

// Both shards of the stream get the call, each read by another task: one of them is the first,
// whichever, in the ledger.
func deliveredTwice(t *testing.T, w *world) func(*testing.T) {
	w.share(t)
	account := w.account()
	c := w.call(t, "root key", account)
	duplicates := func() (n float64) {
		for _, p := range w.live {
			n += p.metric(t, `rootwatch_events_total{result="duplicate"}`)
		}
		return n
	}
	before := duplicates()
	w.putAt(t, mainStream, c.data, firstShard)
	w.putAt(t, mainStream, c.data, lastShard)
	w.page(t, account)
	eventually(t, soon(), "one of the two is counted as a copy", func() bool { return duplicates() == before+1 })
	if n := w.prometheus.value(t, fmt.Sprintf("sum(rootwatch_root_calls_by_account_total{account_id=%q})", account)); n != 1 {
		t.Errorf("all tasks together count %v calls, want 1", n)
	}
	return nil
}

// The account's page of half an hour ago is over: its next call is another one.
func secondCallPages(t *testing.T, w *world) func(*testing.T) {
	if n := len(w.receivers.read("pager", pastAccount)); n != 0 {
		t.Errorf("%d pages for a call of half an hour ago, want none", n)
	}
	w.put(t, mainStream, w.call(t, "root key", pastAccount).data)
	w.page(t, pastAccount)
	return nil
}

// A pushed call's page shows its user agent and whatever else the caller chose. Alertmanager is
// asked as a worker would, since this is about its side: the text is neither run as a template, nor
// read as YAML, nor can it add lines or mentions.
func hostileCall(t *testing.T, w *world) func(*testing.T) {
	account := w.account()
	labels := sessionLabels(account, "2026-11-23T03:40:00Z")
	now := time.Now()
	w.push(t, labels, now, now.Add(time.Hour), map[string]string{
		"summary": "Root of account " + account + " called", "event_name": "CreateAccessKey",
		"user_agent": "agent{{{ .No.Such.Field }}} {{ template \"none\" }}\nWho: nobody\n<!channel> https://evil.example.invalid/\u2028What: nothing",
	})
	w.expect(t, soon(), "pager", "RootCallEvent", labels)
	eventually(t, soon(), "the page for a person", func() bool { return len(w.receivers.read("pager", account)) > 0 })
	page := w.receivers.read("pager", account)[0]
	wantWords(t, page, "Who: the root user of AWS account "+account, "\n  user_agent: agent{ { { .No.Such.Field }}} { { template \"none\" }} Who: nobody ‹!channel› https: //evil.example.invalid/ What: nothing\n")
	if strings.Contains(page.text, "{{") {
		t.Errorf("the page has a template's action:\n%s", page.text)
	}
	return nil
}

// Two sessions of one account are a page each, however close; that they end is told to nobody who
// was paged. The end has to come within the run to be seen, so here too Alertmanager is asked as a
// worker would.
func twoSessions(t *testing.T, w *world) func(*testing.T) {
	account := w.account()
	first, second := sessionLabels(account, "2026-11-23T04:00:00Z"), sessionLabels(account, "2026-11-23T04:01:00Z")
	began := time.Now()
	for _, labels := range []map[string]string{first, second} {
		w.push(t, labels, began, began.Add(time.Hour), map[string]string{"summary": "Root of account " + account + " called"})
		w.expect(t, soon(), "pager", "RootCallEvent", labels)
	}
	eventually(t, soon(), "both pages for a person", func() bool { return len(w.receivers.read("pager", account)) >= 2 })
	for _, labels := range []map[string]string{first, second} {
		w.push(t, labels, began, time.Now(), map[string]string{"summary": "Root of account " + account + " called"})
	}
	w.settle(t)
	pages := w.receivers.read("pager", account)
	if len(pages) != 2 || pages[0].incident == pages[1].incident {
		t.Errorf("%d events to PagerDuty for two sessions that have ended, want 2 of an incident each: %+v", len(pages), pages)
	}
	for key := range w.receivers.resolved() {
		if strings.Contains(key, account) {
			t.Errorf("told that it is over: %s", key)
		}
	}
	return nil
}

func sessionLabels(account, session string) map[string]string {
	return map[string]string{"severity": "critical", "account_id": account, "session": session, "verdict": "unexplained", "reason": "console_session"}
}

// push posts a RootCallEvent to Alertmanager.
func (w *world) push(t *testing.T, labels map[string]string, startsAt, endsAt time.Time, annotations map[string]string) {
	t.Helper()
	all := maps.Clone(labels)
	all["alertname"] = "RootCallEvent"
	body, err := json.Marshal([]map[string]any{{"labels": all, "startsAt": startsAt, "endsAt": endsAt, "annotations": annotations}})
	if err != nil {
		t.Fatal(err)
	}
	response, err := http.Post("http://"+w.alertmanager.address+"/api/v2/alerts", "application/json", bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	response.Body.Close()
	if response.StatusCode != http.StatusOK {
		t.Fatalf("Alertmanager answers %s", response.Status)
	}
}
