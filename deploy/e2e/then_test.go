//go:build e2e

package e2e

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/kinesis"
	"github.com/aws/aws-sdk-go-v2/service/kinesis/types"

	"rootwatch/pipeline/awstest"
	"rootwatch/pipeline/cloudtrailtest"
)

// then runs a command while two workers read traffic of all kinds and have had faults of most
// kinds, so that there is something to see in every metric: for what looks at a live Prometheus,
// such as deploy/grafana/check. Stream and Prometheus are new ones: nobody wants to look at the
// dozen tasks and accounts that the scenarios went through within minutes.
func (w *world) then(t *testing.T, command []string) {
	for _, p := range w.scraped {
		p.kill()
	}
	w.prometheus.kill()
	w.scraped, w.live = nil, []*process{w.worker(t, thenStream), w.worker(t, thenStream)}
	w.startPrometheus(t, "prometheus-then")
	w.scrape(t, w.live...)
	w.share(t)
	ctx, cancel := context.WithCancel(t.Context())
	var feeding sync.WaitGroup
	feeding.Go(func() { w.feed(ctx) })
	defer feeding.Wait()
	defer cancel()
	w.roll(t, thenStream)
	w.fail(t)
	for _, expr := range []string{
		`sum(rootwatch_fetches_total{result="throttled"})`, `sum(rootwatch_fetches_total{result="failed"})`, `sum(rootwatch_fetches_total{result="expired_iterator"})`,
		`sum(rootwatch_checkpoint_failures_total)`, `sum(rootwatch_lease_changes_total)`, `sum(rootwatch_events_total{result="duplicate"})`,
		`sum(rootwatch_events_total{result="foreign_source"})`, `sum(rate(rootwatch_records_total[30s])) > 100`,
	} {
		eventually(t, time.Minute, expr, func() bool { return w.prometheus.value(t, expr) > 0 })
	}
	cmd := exec.CommandContext(ctx, command[0], command[1:]...)
	cmd.Dir, cmd.Stdout, cmd.Stderr = *thenDir, os.Stdout, os.Stderr
	cmd.Env = append(os.Environ(), "PROM_URL="+w.prometheus.url(), "METRICS_URL=http://"+w.live[0].address+"/metrics")
	if err := cmd.Run(); err != nil {
		t.Errorf("%s: %v", cmd, err)
	}
}

// fail makes some calls of each of these kinds go wrong, one kind after the other.
func (w *world) fail(t *testing.T) {
	t.Helper()
	for _, f := range []awstest.Fault{
		{Operation: "GetRecords", Effect: awstest.Throttle, Count: 4},
		{Operation: "GetRecords", Effect: awstest.Fail, Count: 4},
		{Operation: "GetRecords", Effect: awstest.ExpireIterator, Count: 2},
		{Operation: "UpdateItem", Resource: thenStream, Effect: awstest.Fail, Count: 12},
		{Operation: "PutItem", Resource: thenStream + "-findings", Effect: awstest.Fail, Count: 4},
	} {
		fault := w.server.Inject(f)
		eventually(t, time.Minute, fmt.Sprintf("%s has met %q %d times", f.Operation, f.Effect, f.Count), func() bool { return fault.Hits() == f.Count })
	}
}

// feed puts 200 events a second into the stream, a notable one among seventy.
func (w *world) feed(ctx context.Context) {
	traffic := cloudtrailtest.New(2, 150, time.Now)
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	stream := thenStream
	for {
		var entries []types.PutRecordsRequestEntry
		for range 20 {
			r := traffic.Next()
			entries = append(entries, types.PutRecordsRequestEntry{Data: r.Data, PartitionKey: aws.String(r.Kind + time.Now().String())})
		}
		if _, err := w.kinesis.PutRecords(ctx, &kinesis.PutRecordsInput{StreamName: &stream, Records: entries}); err != nil && ctx.Err() == nil {
			w.t.Errorf("feeding the stream: %v", err)
			return
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
	}
}
