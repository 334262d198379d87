//go:build e2e

package e2e

import (
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// receivers are all whom Alertmanager notifies.
type receivers struct {
	server *httptest.Server
	mails  []*mailServer

	mu  sync.Mutex // guards what follows
	all []notification
	odd []string // what came and could not be read
}

// notification is what one integration of a receiver was sent. A webhook's has the alerts, the
// others' have the text that a person reads.
type notification struct {
	at          time.Time
	receiver    string
	by          string // webhook, pagerduty, slack or mail
	alerts      []alert
	title, text string
	incident    string // PagerDuty's dedup_key: what has the same is the same page
}

type alert struct {
	Status      string            `json:"status"`
	Labels      map[string]string `json:"labels"`
	Annotations map[string]string `json:"annotations"`
	StartsAt    time.Time         `json:"startsAt"`
}

func newReceivers(t *testing.T) *receivers {
	r := &receivers{}
	mux := http.NewServeMux()
	for by, read := range map[string]func(receiver string, body []byte) (notification, error){
		"webhook": readWebhook, "pagerduty": readPagerDuty, "slack": readSlack,
	} {
		mux.HandleFunc("POST /{receiver}/"+by, func(w http.ResponseWriter, request *http.Request) {
			at := time.Now()
			body, err := io.ReadAll(request.Body)
			var n notification
			if err == nil {
				n, err = read(request.PathValue("receiver"), body)
			}
			n.at, n.receiver, n.by = at, request.PathValue("receiver"), by
			r.add(n, err)
			fmt.Fprint(w, "ok") // Slack says so, and Alertmanager looks for it
		})
	}
	r.server = httptest.NewServer(mux)
	t.Cleanup(r.close)
	return r
}

func (r *receivers) close() {
	r.server.Close()
	for _, m := range r.mails {
		m.close()
	}
}

func (r *receivers) url(receiver, by string) string { return r.server.URL + "/" + receiver + "/" + by }

// mailServer starts a mail server for one receiver and gives its address.
func (r *receivers) mailServer(t *testing.T, receiver string) string {
	m := newMailServer(t, func(n notification, err error) {
		n.receiver = receiver
		r.add(n, err)
	})
	r.mails = append(r.mails, m)
	return m.address()
}

func (r *receivers) add(n notification, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if err != nil {
		r.odd = append(r.odd, fmt.Sprintf("%s by %s: %v", n.receiver, n.by, err))
		return
	}
	r.all = append(r.all, n)
}

func (r *receivers) sent() []notification {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.all)
}

func readWebhook(receiver string, body []byte) (n notification, err error) {
	var in struct {
		Receiver string
		Alerts   []alert
	}
	if err := json.Unmarshal(body, &in); err != nil {
		return n, err
	}
	if in.Receiver != receiver {
		return n, fmt.Errorf("a notification for receiver %q", in.Receiver)
	}
	n.alerts = in.Alerts
	return n, nil
}

// readPagerDuty takes an event as PagerDuty's Events API v2 does: with the key out of its file, and
// the fields that it asks for.
func readPagerDuty(_ string, body []byte) (n notification, err error) {
	var in struct {
		RoutingKey  string `json:"routing_key"`
		DedupKey    string `json:"dedup_key"`
		EventAction string `json:"event_action"`
		Payload     struct {
			Summary, Source, Severity string
			CustomDetails             map[string]any `json:"custom_details"`
		}
	}
	if err := json.Unmarshal(body, &in); err != nil {
		return n, err
	}
	p := in.Payload
	if in.RoutingKey != routingKey || in.DedupKey == "" || in.EventAction != "trigger" || p.Source == "" || p.Severity != "critical" || len(p.Summary) > 1024 {
		return n, fmt.Errorf("not an event that opens an incident: %s", body)
	}
	text, ok := p.CustomDetails["firing"].(string)
	if !ok {
		return n, fmt.Errorf("the details hold no text: %s", body)
	}
	n.title, n.text, n.incident = p.Summary, text, in.DedupKey
	return n, nil
}

func readSlack(_ string, body []byte) (n notification, err error) {
	var in struct {
		Channel     string
		Attachments []struct{ Title, Text string }
	}
	if err := json.Unmarshal(body, &in); err != nil {
		return n, err
	}
	if in.Channel == "" || len(in.Attachments) != 1 {
		return n, fmt.Errorf("not one message to a channel: %s", body)
	}
	n.title, n.text = in.Attachments[0].Title, in.Attachments[0].Text
	return n, nil
}

// key names an alert at a receiver: "pager RootCallUnexplained account_id=111122223333
// severity=critical".
func key(receiver string, labels map[string]string) string {
	words := []string{receiver, labels["alertname"]}
	for _, name := range slices.Sorted(maps.Keys(labels)) {
		if name != "alertname" {
			words = append(words, name+"="+labels[name])
		}
	}
	return strings.Join(words, " ")
}

// told counts, for each alert, the notifications in which a receiver's webhook was told that it
// fires. The dead man's, which come for ever, are left out.
func (r *receivers) told() map[string]int { return r.withStatus("firing") }

// resolved counts those in which it was told that the alert is over.
func (r *receivers) resolved() map[string]int { return r.withStatus("resolved") }

func (r *receivers) withStatus(status string) map[string]int {
	counts := make(map[string]int)
	for _, n := range r.sent() {
		for _, a := range n.alerts {
			if a.Status == status && n.receiver != "dead-man" {
				counts[key(n.receiver, a.Labels)]++
			}
		}
	}
	return counts
}

// find gives the first notification of an alert by webhook.
func (r *receivers) find(want string) (notification, alert, bool) {
	for _, n := range r.sent() {
		for _, a := range n.alerts {
			if a.Status == "firing" && key(n.receiver, a.Labels) == want {
				return n, a, true
			}
		}
	}
	return notification{}, alert{}, false
}

// read gives the notifications of a receiver that a person reads and whose title or text contains a
// word.
func (r *receivers) read(receiver, word string) []notification {
	var found []notification
	for _, n := range r.sent() {
		if n.receiver == receiver && n.by != "webhook" && strings.Contains(n.title+"\n"+n.text, word) {
			found = append(found, n)
		}
	}
	return found
}

func (r *receivers) count(receiver string) (n int) {
	for _, s := range r.sent() {
		if s.receiver == receiver {
			n++
		}
	}
	return n
}

// sameByAll: whoever has a webhook beside another integration was sent as much by one as by the
// other, and all of it could be read.
func (r *receivers) sameByAll(t *testing.T) {
	counts := make(map[string]map[string]int)
	for _, n := range r.sent() {
		if counts[n.receiver] == nil {
			counts[n.receiver] = make(map[string]int)
		}
		counts[n.receiver][n.by]++
	}
	t.Logf("notifications: %v", counts)
	for receiver, by := range counts {
		if len(slices.Compact(slices.Sorted(maps.Values(by)))) != 1 || receiver != "dead-man" && len(by) != 2 {
			t.Errorf("%s was sent %v notifications, want as many by each integration", receiver, by)
		}
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, odd := range r.odd {
		t.Error(odd)
	}
}
