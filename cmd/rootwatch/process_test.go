package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
)

// The test binary is rootwatch itself when this variable is set: workers in tests are real
// processes, to be killed.
const asProgram = "ROOTWATCH_TEST_AS_PROGRAM"

func TestMain(m *testing.M) {
	if os.Getenv(asProgram) != "" {
		main()
	}
	os.Exit(m.Run())
}

// process is a rootwatch in a process of its own.
type process struct {
	t       *testing.T
	cmd     *exec.Cmd
	address string // of its web server
	log     string // file of its standard error
	exited  chan error
}

// startWorker starts `rootwatch run`, or another command's arguments, against an endpoint, as the
// identity key.
func startWorker(t *testing.T, endpoints map[string]string, key string, args ...string) *process {
	t.Helper()
	return startWorkerBy(t, nil, endpoints, key, args...)
}

// startWorkerBy starts a worker by a command that becomes the program which its last arguments
// name: one that sets limits. What endpoints holds is the environment.
func startWorkerBy(t *testing.T, by []string, endpoints map[string]string, key string, args ...string) *process {
	t.Helper()
	p := &process{t: t, address: freeAddress(t), log: filepath.Join(t.TempDir(), "log"), exited: make(chan error, 1)}
	log, err := os.Create(p.log)
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	command := slices.Concat(by, []string{os.Args[0], "run", "--web.listen-address=" + p.address, "--log.format=json"}, args)
	p.cmd = exec.Command(command[0], command[1:]...)
	p.cmd.Stderr = log
	p.cmd.Env = []string{asProgram + "=1", "AWS_REGION=us-east-1", "AWS_ACCESS_KEY_ID=" + key, "AWS_SECRET_ACCESS_KEY=test", "HOME=" + t.TempDir()}
	for name, value := range endpoints {
		p.cmd.Env = append(p.cmd.Env, name+"="+value)
	}
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() { p.exited <- p.cmd.Wait() }()
	t.Cleanup(func() {
		p.signal(syscall.SIGCONT)
		p.cmd.Process.Kill()
		if t.Failed() {
			p.printLog()
		}
	})
	return p
}

func freeAddress(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

func (p *process) signal(s syscall.Signal) { p.cmd.Process.Signal(s) }

// stop sends SIGTERM and returns how long the process took to end; it must end with 0. It waits
// until the worker listens: before main has begun nothing handles the signal, and the kernel ends
// the process.
func (p *process) stop(within time.Duration) time.Duration {
	p.t.Helper()
	eventually(p.t, 10*time.Second, "the worker listens", p.listens)
	began := time.Now()
	p.signal(syscall.SIGTERM)
	select {
	case err := <-p.exited:
		if err != nil {
			p.t.Errorf("after SIGTERM the worker ended with %v", err)
		}
	case <-time.After(within):
		p.t.Errorf("the worker has not ended %s after SIGTERM", within)
		p.kill()
	}
	return time.Since(began)
}

func (p *process) listens() bool {
	conn, err := net.Dial("tcp", p.address)
	if err != nil {
		return false
	}
	conn.Close()
	return true
}

func (p *process) kill() {
	p.cmd.Process.Kill()
	<-p.exited
}

func (p *process) printLog() {
	text, _ := os.ReadFile(p.log)
	if len(text) > 20_000 {
		text = text[len(text)-20_000:]
	}
	p.t.Logf("log of process %d:\n%s", p.cmd.Process.Pid, text)
}

// lines are the log's messages so far.
func (p *process) lines() []map[string]any {
	p.t.Helper()
	file, err := os.Open(p.log)
	if err != nil {
		p.t.Fatal(err)
	}
	defer file.Close()
	var lines []map[string]any
	scanner := bufio.NewScanner(file)
	scanner.Buffer(nil, 1<<20)
	for scanner.Scan() {
		line := make(map[string]any)
		if json.Unmarshal(scanner.Bytes(), &line) == nil { // the last line of a killed process may be cut
			lines = append(lines, line)
		}
	}
	return lines
}

// rootCalls are the event ids of the log's root calls, as often as they were logged.
func (p *process) rootCalls() []string {
	var ids []string
	for _, line := range p.lines() {
		if line["msg"] == "root call" {
			ids = append(ids, fmt.Sprint(line["event_id"]))
		}
	}
	return ids
}

// metric sums the samples of a metric whose labels contain all of the given ones (label=value); 0
// if it is not there or the process does not answer.
func (p *process) metric(name string, labels ...string) float64 {
	client := &http.Client{Timeout: 2 * time.Second}
	response, err := client.Get("http://" + p.address + "/metrics")
	if err != nil {
		return 0
	}
	defer response.Body.Close()
	parser := expfmt.NewTextParser(model.LegacyValidation)
	families, err := parser.TextToMetricFamilies(response.Body)
	if err != nil || families[name] == nil {
		return 0
	}
	sum := 0.0
samples:
	for _, m := range families[name].Metric {
		for _, want := range labels {
			found := false
			for _, l := range m.Label {
				found = found || l.GetName()+"="+l.GetValue() == want
			}
			if !found {
				continue samples
			}
		}
		sum += m.GetCounter().GetValue() + m.GetGauge().GetValue()
	}
	return sum
}

func (p *process) get(path string) (int, string) {
	response, err := http.Get("http://" + p.address + path)
	if err != nil {
		return 0, err.Error()
	}
	defer response.Body.Close()
	body, _ := io.ReadAll(response.Body)
	return response.StatusCode, string(body)
}

// peakMemory is the largest resident memory of the process so far, in bytes.
func (p *process) peakMemory() int64 {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.cmd.Process.Pid))
	if err != nil {
		return 0
	}
	for line := range strings.Lines(string(text)) {
		if kb, ok := strings.CutPrefix(line, "VmHWM:"); ok {
			n, _ := strconv.ParseInt(strings.TrimSuffix(strings.TrimSpace(kb), " kB"), 10, 64)
			return n << 10
		}
	}
	return 0
}

// eventually waits until ok, and fails the test when that takes too long.
func eventually(t *testing.T, within time.Duration, what string, ok func() bool) time.Duration {
	t.Helper()
	began := time.Now()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for !ok() {
		if time.Since(began) > within {
			t.Fatalf("not within %s: %s", within, what)
		}
		<-tick.C
	}
	return time.Since(began)
}

func readLog(p *process) (string, error) {
	text, err := os.ReadFile(p.log)
	return string(text), err
}
