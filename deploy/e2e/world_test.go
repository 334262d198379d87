//go:build e2e

package e2e

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/kinesis"

	"rootwatch/pipeline/awstest"
	"rootwatch/pipeline/cloudtrailtest"
)

// The streams, each with an application of its own name.
const (
	mainStream     = "rootwatch" // two shards, and two workers that read them most of the time
	loneStream     = "lone"      // one shard: a worker at a time
	survivorStream = "survivor"  // two shards: one worker is killed, the other lives to the end
	thenStream     = "then"      // two shards, with the traffic for the command after the scenarios
)

const routingKey = "0123456789abcdef0123456789abcdef"

// world is all that runs.
type world struct {
	t      *testing.T // owns all processes
	folder string
	binary string // rootwatch

	server  *awstest.Server
	kinesis *kinesis.Client
	dynamo  *dynamodb.Client

	receivers    *receivers
	alertmanager *process
	prometheus   *prometheus
	targets      string // file of the tasks to scrape

	traffic  *cloudtrailtest.Traffic
	accounts int       // used by scenarios
	past     time.Time // when the call of pastAccount was counted
	serial   int       // of worker processes
	scraped  []*process
	live     []*process // workers of the stream that is played with
	expected []string   // keys of all alerts that must have been told, once each
	awaited  []string   // keys of those that may be told at any time from now on
}

func newWorld(t *testing.T) *world {
	w := &world{
		t: t, folder: t.TempDir(), server: awstest.NewServer(awstest.Options{}),
		traffic: cloudtrailtest.New(1, 10_000, time.Now), past: time.Now().Add(-pastAge).Truncate(time.Millisecond),
	}
	t.Cleanup(w.server.Close)
	w.binary = filepath.Join(w.folder, "rootwatch")
	if _, err := output("go", "build", "-o", w.binary, "rootwatch/cmd/rootwatch"); err != nil {
		t.Fatal(err)
	}
	w.kinesis, w.dynamo = kinesis.NewFromConfig(w.server.AWSConfig("producer")), dynamodb.NewFromConfig(w.server.AWSConfig("producer"))
	for stream, shards := range map[string]int32{mainStream: 2, loneStream: 1, survivorStream: 2, thenStream: 2} {
		if _, err := w.kinesis.CreateStream(t.Context(), &kinesis.CreateStreamInput{StreamName: &stream, ShardCount: aws.Int32(shards)}); err != nil {
			t.Fatal(err)
		}
	}
	w.receivers = newReceivers(t)
	w.alertmanager = w.startAlertmanager(t)
	w.live = []*process{w.worker(t, mainStream), w.worker(t, mainStream)}
	w.recordPast(t, filepath.Join(w.folder, "prometheus"))
	w.startPrometheus(t, "prometheus")
	w.scrape(t, w.live...)
	w.share(t) // by now they have made the ledger
	w.writePast(t)
	ctx, cancel := context.WithCancel(context.Background())
	var beating sync.WaitGroup
	beating.Go(func() { w.beat(ctx, "us-east-1") })
	t.Cleanup(func() { cancel(); beating.Wait() })
	return w
}

func (w *world) startAlertmanager(t *testing.T) *process {
	config, key := filepath.Join(w.folder, "alertmanager.yml"), filepath.Join(w.folder, "routing-key")
	templates, err := filepath.Abs("../alertmanager/rootwatch.tmpl")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(key, []byte(routingKey), 0o600); err != nil {
		t.Fatal(err)
	}
	overlayAlertmanager(t, config, templates, key, w.receivers)
	p := w.start(t, "alertmanager", nil, tool(t, "alertmanager"), "--config.file="+config, "--storage.path="+filepath.Join(w.folder, "alertmanager"),
		"--web.external-url=http://alertmanager.example.invalid:9093", "--cluster.listen-address=")
	p.ready(t)
	return p
}

// startPrometheus starts a server with a storage of its name; it has the tasks that scrape gives
// it.
func (w *world) startPrometheus(t *testing.T, name string) {
	base := filepath.Join(w.folder, name)
	w.targets = base + "-targets.json"
	w.writeTargets(t)
	overlayRules(t, base+"-rules.yml")
	overlayPrometheus(t, base+".yml", base+"-rules.yml", w.targets, w.alertmanager.address)
	p := w.start(t, name, nil, tool(t, "prometheus"), "--config.file="+base+".yml", "--storage.tsdb.path="+base, "--web.external-url=http://prometheus.example.invalid:9090/")
	w.prometheus = &prometheus{p}
	p.ready(t)
}

// worker starts `rootwatch run` on a stream. Nobody scrapes it until scrape says so.
func (w *world) worker(t *testing.T, stream string) *process {
	t.Helper()
	name := w.nextWorker()
	return w.start(t, name, workerEnv(name, w.server.URL), w.binary, workerArgs(stream)...)
}

func (w *world) nextWorker() string {
	w.serial++
	return fmt.Sprintf("worker-%d", w.serial)
}

func workerEnv(name, endpoint string) []string {
	return []string{"AWS_REGION=us-east-1", "AWS_ACCESS_KEY_ID=" + name, "AWS_SECRET_ACCESS_KEY=test", "AWS_ENDPOINT_URL=" + endpoint}
}

func workerArgs(stream string) []string {
	return []string{"run", "--kinesis.stream=" + stream, "--kinesis.application=" + stream,
		"--kinesis.start=trim-horizon", "--kinesis.lease-duration=5s", "--heartbeat.regions=us-east-1,eu-west-1"}
}

// share waits until the live workers hold a shard each.
func (w *world) share(t *testing.T) {
	t.Helper()
	eventually(t, 30*time.Second, "each worker has a shard", func() bool {
		return !slices.ContainsFunc(w.live, func(p *process) bool { return len(p.leases()) != 2/len(w.live) })
	})
}

// scrape gives Prometheus tasks to scrape besides those that it has, and waits until it does.
func (w *world) scrape(t *testing.T, tasks ...*process) {
	t.Helper()
	w.scraped = append(w.scraped, tasks...)
	w.writeTargets(t)
	for _, task := range tasks {
		eventually(t, 20*time.Second+2**interval, task.name+" is scraped", func() bool {
			return w.prometheus.value(t, fmt.Sprintf(`up{job="rootwatch",instance=%q}`, task.address)) == 1
		})
	}
}

// unscrape takes tasks from Prometheus, as service discovery does with those that are gone.
func (w *world) unscrape(t *testing.T, tasks ...*process) {
	t.Helper()
	w.scraped = slices.DeleteFunc(w.scraped, func(p *process) bool { return slices.Contains(tasks, p) })
	w.writeTargets(t)
}

func (w *world) writeTargets(t *testing.T) {
	t.Helper()
	addresses := []string{}
	for _, p := range w.scraped {
		addresses = append(addresses, p.address)
	}
	text, err := json.Marshal([]map[string]any{{"targets": addresses}})
	if err != nil {
		t.Fatal(err)
	}
	// Renamed into place: Prometheus must never read half a file.
	if err := os.WriteFile(w.targets+".new", text, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(w.targets+".new", w.targets); err != nil {
		t.Fatal(err)
	}
}

// expect waits until a receiver was told of an alert, with exactly these labels besides its name;
// audit sees to it that it was told once.
func (w *world) expect(t *testing.T, within time.Duration, receiver, alertname string, labels map[string]string) (notification, alert) {
	t.Helper()
	all := maps.Clone(labels)
	all["alertname"] = alertname
	want := key(receiver, all)
	w.expected = append(w.expected, want)
	var n notification
	var a alert
	eventually(t, within, want, func() (ok bool) {
		n, a, ok = w.receivers.find(want)
		return ok
	})
	return n, a
}

// page waits for the page of an account.
func (w *world) page(t *testing.T, account string) (notification, alert) {
	t.Helper()
	return w.expect(t, soon(), "pager", "RootCallUnexplained", map[string]string{"severity": "critical", "account_id": account})
}

// await says that an account will be paged for, sooner or later.
func (w *world) await(account string) {
	w.awaited = append(w.awaited, key("pager", map[string]string{"alertname": "RootCallUnexplained", "severity": "critical", "account_id": account}))
}

// soon is how long a page may take: a read, a scrape, an evaluation, and a slow machine.
func soon() time.Duration { return 15*time.Second + 3**interval }

// settle waits until what was counted by now would have been told: some evaluations, and the
// slowest group's wait.
func (w *world) settle(t *testing.T) {
	t.Helper()
	enough := time.Now().Add(3**interval + time.Minute/faster + 2*time.Second)
	eventually(t, time.Minute+5**interval, "all rules are evaluated some times more", func() bool { return w.prometheus.evaluatedAfter(t, enough) })
}

// tellsNobody fails if anybody was told anything new, of the severities that are given, from before
// do until it would be known.
func (w *world) tellsNobody(t *testing.T, severities []string, do func()) {
	t.Helper()
	before := w.receivers.told()
	do()
	w.settle(t)
	for key, n := range w.receivers.told() {
		if n != before[key] && !slices.Contains(w.awaited, key) && slices.ContainsFunc(severities, func(s string) bool { return strings.Contains(key, "severity="+s) }) {
			t.Errorf("told: %s", key)
		}
	}
}
