//go:build e2e

package e2e

import (
	"fmt"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"
)

// The window of a quarter of an hour stands in the expression, which is not touched. So: a region
// whose newest heartbeat is already older pages at once; and of the region that is configured and
// never reports, the server is asked what the rule will say a quarter of an hour after the tasks'
// start.
func silentRegion(t *testing.T, w *world) func(*testing.T) {
	w.put(t, mainStream, heartbeat("eu-central-1", time.Now().Add(-20*time.Minute)))
	labels := map[string]string{"severity": "critical", "region": "eu-central-1"}
	w.expect(t, soon(), "pager", "RootwatchSilent", labels)
	eventually(t, soon(), "the page for a person", func() bool { return len(w.receivers.read("pager", "eu-central-1")) > 0 })
	page := w.receivers.read("pager", "eu-central-1")[0]
	t.Logf("the page, word for word:\n%s\n\n%s", page.title, page.text)
	wantWords(t, page, "[critical]", "Where: region eu-central-1", "/RootwatchSilent.md")

	newest := func(region string) float64 {
		return w.prometheus.value(t, fmt.Sprintf("max(max_over_time(rootwatch_last_heartbeat_timestamp_seconds{region=%q}[1d]))", region))
	}
	never := newest("eu-west-1") // the start of the youngest task: it has never reported
	eventually(t, soon(), "us-east-1 beats on after that", func() bool { return newest("us-east-1") > never+3 })
	rule := w.prometheus.rule(t, "RootwatchSilent")
	for _, c := range []struct {
		after time.Duration
		want  []string
	}{
		{15*time.Minute - time.Second, []string{"eu-central-1"}},
		{15*time.Minute + time.Second, []string{"eu-central-1", "eu-west-1"}},
	} {
		var silent []string
		for _, s := range w.prometheus.query(t, rule, time.UnixMilli(int64(never*1000)).Add(c.after)) {
			silent = append(silent, s.labels["region"])
		}
		slices.Sort(silent)
		if !slices.Equal(silent, c.want) {
			t.Errorf("%s after the start of the tasks the rule finds silent: %q, want %q", c.after, silent, c.want)
		}
	}
	return nil
}

func forgedEvent(t *testing.T, w *world) func(*testing.T) {
	account := w.account()
	w.tellsNobody(t, []string{"critical", "info"}, func() {
		w.put(t, mainStream, w.call(t, "forged source", account).data)
		w.expect(t, soon()+30*time.Second/faster, "team", "RootwatchForeignSource", map[string]string{"severity": "warning"})
	})
	w.neverScraped(t, account)
	return nil
}

func undecodableRecord(t *testing.T, w *world) func(*testing.T) {
	w.tellsNobody(t, []string{"critical", "info"}, func() {
		w.put(t, mainStream, w.call(t, "cut short", "").data)
		w.expect(t, soon()+30*time.Second/faster, "team", "RootwatchUndecodable", map[string]string{"severity": "warning"})
	})
	return nil
}

// liveMetrics does what METRICS adds to deploy/tools/check-prometheus, with /metrics of a worker
// that has seen all of this: names, types and labels are those that the rules, the dashboard and
// the runbooks count on, and promtool has nothing to say.
func liveMetrics(t *testing.T, w *world) func(*testing.T) {
	url := "http://" + w.live[0].address + "/metrics"
	said, err := output("go", "-C", "../tools", "run", "./checkrules", "-deploy", "..", "-metrics", url)
	if err != nil {
		t.Error(err)
	}
	t.Log(said)
	var complaints strings.Builder
	promtool := exec.Command(tool(t, "promtool"), "check", "metrics")
	promtool.Stdin, promtool.Stdout, promtool.Stderr = strings.NewReader(w.live[0].get("/metrics")), &complaints, &complaints
	if err := promtool.Run(); err != nil || complaints.Len() > 0 {
		t.Errorf("promtool check metrics: %v\n%s", err, complaints.String())
	}
	return nil
}

// All workers end, one after SIGTERM, the others by kill -9; one of them is taken from service
// discovery, the others stay and do not answer.
func stoppedWorkers(t *testing.T, w *world) func(*testing.T) {
	// Until then nobody has missed a worker.
	if _, _, told := w.receivers.find("pager RootwatchDown severity=critical"); told {
		t.Error("RootwatchDown was told before the workers were stopped")
	}
	if len(w.live) == 0 {
		t.Fatal("no worker is live")
	}
	w.live[0].stop(t)
	w.unscrape(t, w.live[0])
	for _, p := range w.scraped {
		p.kill()
	}
	stopped := time.Now()
	page, _ := w.expect(t, soon()+5*time.Minute/faster, "pager", "RootwatchDown", map[string]string{"severity": "critical"})
	t.Logf("paged %.1fs after the last worker ended, with `for` shortened from 5m to %s", page.at.Sub(stopped).Seconds(), 5*time.Minute/faster)
	w.live = nil
	return nil
}
