//go:build e2e

// Package e2e proves the whole way from a record in the stream to a page, with the programs that an
// operator runs: the rootwatch binary, Prometheus with the shipped rules, Alertmanager with the
// shipped routes and texts. Only Kinesis and DynamoDB (awstest, in the test's process, so that they
// outlive the workers) and whoever is notified (PagerDuty, Slack, a mail server, webhooks) are
// stand-ins. Everything is on loopback.
//
//	deploy/e2e/run                       all scenarios
//	deploy/e2e/run --then COMMAND ...    then COMMAND, with $PROM_URL, while traffic of all kinds flows
//	go test -tags e2e ./deploy/e2e -v -run EndToEnd/root_key -args -interval 15s
//
// What is shortened is written down in overlay_test.go, and that nothing else is changed is checked
// there. The windows in the rules' expressions are the shipped ones; where a scenario needs a past,
// Prometheus starts with one (history_test.go).
package e2e

import (
	"flag"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

var (
	interval = flag.Duration("interval", time.Second, "how often Prometheus scrapes and evaluates; operators are told 15s")
	thenDir  = flag.String("then.dir", ".", "working folder of the command that is run after the scenarios: what is left of the arguments")
)

// scenario is one story. What takes long to come true is waited for in what run returns, after the
// other scenarios.
type scenario struct {
	name string
	run  func(*testing.T, *world) (end func(*testing.T))
}

var scenarios = []scenario{
	{"a root key's call pages once, in seconds, with the account", rootKeyPages},
	{"two hundred calls by services page nobody", servicesPageNobody},
	{"a call of medium severity is a mail", mediumIsNoted},
	{"a survivor pages for the call of a task that was killed before it was scraped", survivorPages},
	{"a task killed after counting and before any scrape pages when it is started again", killedAfterCounting},
	{"a task killed after telling and before writing down pages when it is started again", killedBeforeWriting},
	{"rolling restarts page nobody, whoever was paged for before", rollingRestart},
	{"a call in the middle of a rolling restart pages once", callInRollingRestart},
	{"a call to an account that was paged for half an hour ago pages again", secondCallPages},
	{"a call that is delivered to two tasks pages once", deliveredTwice},
	{"what a caller chose stays text in a pushed call's page", hostileCall},
	{"two sessions of one account are two pages, and their end is none", twoSessions},
	{"a region that falls silent pages, one that beats does not", silentRegion},
	{"a forged event is the team's business", forgedEvent},
	{"an undecodable record is the team's business", undecodableRecord},
	{"a call that ledger or log do not take pages once", unrecordedPages},
	{"a live worker's metrics are what the rules expect", liveMetrics},
	{"stopped workers are noticed", stoppedWorkers},
}

func TestEndToEnd(t *testing.T) {
	w := newWorld(t)
	ends := make(map[string]func(*testing.T))
	for _, s := range scenarios {
		t.Run(s.name, func(t *testing.T) {
			if end := s.run(t, w); end != nil {
				ends[s.name] = end
			}
		})
	}
	for _, name := range slices.Sorted(maps.Keys(ends)) {
		t.Run(name+" (the end)", ends[name])
	}
	t.Run("nobody was told anything else, or anything twice", w.audit)
	if command := flag.Args(); len(command) > 0 && !t.Failed() {
		w.then(t, command)
	}
}

// audit compares all notifications of the run with those that the scenarios waited for.
func (w *world) audit(t *testing.T) {
	w.settle(t)
	want := make(map[string]int)
	for _, key := range w.expected {
		want[key]++
	}
	if diff := cmp.Diff(want, w.receivers.told()); diff != "" {
		t.Errorf("notifications, - expected, + sent:\n%s", diff)
	}
	// The team alone hears that something is over.
	for key, n := range w.receivers.resolved() {
		if !strings.HasPrefix(key, "team ") {
			t.Errorf("told %d times that it is over: %s", n, key)
		}
	}
	w.receivers.sameByAll(t)
	if n := w.receivers.count("dead-man"); n < 3 {
		t.Errorf("the dead man's receiver was called %d times, want it again and again", n)
	}
	w.prometheus.rulesAreHealthy(t)
}
