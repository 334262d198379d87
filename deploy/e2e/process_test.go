//go:build e2e

package e2e

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// process is a program that the test started; it is gone when the test ends.
type process struct {
	name    string
	cmd     *exec.Cmd
	address string // of its web server
	log     string // file of its output
	ended   chan struct{}
	err     error // how it ended, once ended is closed
}

// start starts a program with a web server on a port of its own choice, and waits until it says
// which. The world's test owns it; t is the one that fails if it cannot be started.
func (w *world) start(t *testing.T, name string, env []string, program string, args ...string) *process {
	t.Helper()
	log, err := os.Create(w.logOf(name))
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	return w.startInto(t, log, name, env, program, args...)
}

func (w *world) logOf(name string) string { return filepath.Join(w.folder, name+".log") }

// startInto is start with another output than the log's file, which whoever reads the output
// writes.
func (w *world) startInto(t *testing.T, output *os.File, name string, env []string, program string, args ...string) *process {
	t.Helper()
	p := &process{name: name, log: w.logOf(name), ended: make(chan struct{})}
	p.cmd = exec.Command(program, append(args, "--web.listen-address=127.0.0.1:0")...)
	p.cmd.Dir, p.cmd.Env = w.folder, append([]string{"HOME=" + w.folder}, env...)
	p.cmd.Stdout, p.cmd.Stderr = output, output
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		p.err = p.cmd.Wait()
		close(p.ended)
	}()
	w.t.Cleanup(func() {
		p.kill()
		if w.t.Failed() {
			w.t.Logf("the end of the log of %s:\n%s", name, p.tail())
		}
	})
	eventually(t, 30*time.Second, name+" listens", func() bool {
		p.alive(t)
		p.address = listening(p.text())
		return p.address != ""
	})
	return p
}

// listening is the address in the line of Prometheus's exporter-toolkit, which all of the programs
// use; "" before it.
func listening(log string) string {
	if found := regexp.MustCompile(`(?:msg="Listening on".* address=|"msg":"Listening on","address":")(127\.0\.0\.1:\d+)`).FindStringSubmatch(log); found != nil {
		return found[1]
	}
	return ""
}

// alive fails the test if the process has ended.
func (p *process) alive(t *testing.T) {
	t.Helper()
	select {
	case <-p.ended:
		t.Fatalf("%s has ended (%v):\n%s", p.name, p.err, p.tail())
	default:
	}
}

// kill is kill -9.
func (p *process) kill() {
	p.cmd.Process.Kill() //nolint:errcheck // it may have ended
	<-p.ended
}

// stop is what a deploy does: SIGTERM; the process must end by itself, with 0.
func (p *process) stop(t *testing.T) {
	t.Helper()
	p.cmd.Process.Signal(syscall.SIGTERM) //nolint:errcheck // it may have ended
	select {
	case <-p.ended:
		if p.err != nil {
			t.Errorf("after SIGTERM %s ended with: %v", p.name, p.err)
		}
	case <-time.After(30 * time.Second):
		p.kill()
		t.Errorf("%s has not ended 30s after SIGTERM", p.name)
	}
}

// ready waits until the process's web server says so.
func (p *process) ready(t *testing.T) {
	t.Helper()
	eventually(t, 30*time.Second, p.name+" is ready", func() bool {
		p.alive(t)
		return p.get("/-/ready") != ""
	})
}

// text is all that the process has written.
func (p *process) text() string {
	text, err := os.ReadFile(p.log)
	if err != nil {
		return err.Error()
	}
	return string(text)
}

func (p *process) tail() string {
	text := p.text()
	return text[max(0, len(text)-2000):]
}

// get asks the process's web server; "" if it does not answer with 200.
func (p *process) get(path string) string {
	client := &http.Client{Timeout: 5 * time.Second}
	response, err := client.Get("http://" + p.address + path)
	if err != nil {
		return ""
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil || response.StatusCode != http.StatusOK {
		return ""
	}
	return string(body)
}

// shows reports whether the process's own /metrics has a line that begins so.
func (p *process) shows(line string) bool { return strings.Contains("\n"+p.get("/metrics"), "\n"+line) }

// metric is the value of a series in the process's own /metrics.
func (p *process) metric(t *testing.T, series string) float64 {
	t.Helper()
	for line := range strings.Lines(p.get("/metrics")) {
		if rest, ok := strings.CutPrefix(line, series+" "); ok {
			value, err := strconv.ParseFloat(strings.TrimSpace(rest), 64)
			if err != nil {
				t.Fatalf("%s of %s: %v", series, p.name, err)
			}
			return value
		}
	}
	t.Fatalf("%s does not show %s", p.name, series)
	return 0
}

// leases are the shards that the worker reads.
func (p *process) leases() []string {
	var shards []string
	for line := range strings.Lines(p.get("/metrics")) {
		if rest, ok := strings.CutPrefix(line, `rootwatch_shard_behind_latest_seconds{shard_id="`); ok {
			shard, _, _ := strings.Cut(rest, `"`)
			shards = append(shards, shard)
		}
	}
	return shards
}

// tells reports whether the worker's log has the root call with this event id.
func (p *process) tells(t *testing.T, id string) bool {
	t.Helper()
	log, err := os.Open(p.log)
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	lines := bufio.NewScanner(log)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		var line struct {
			Msg string
			ID  string `json:"event_id"`
		}
		if json.Unmarshal(lines.Bytes(), &line) == nil && line.Msg == "root call" && line.ID == id {
			return true // the last line of a killed process may be cut; it is passed over
		}
	}
	return false
}

// eventually waits until ok, and fails the test when that takes too long.
func eventually(t *testing.T, within time.Duration, what string, ok func() bool) {
	t.Helper()
	deadline := time.NewTimer(within)
	defer deadline.Stop()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for !ok() {
		select {
		case <-deadline.C:
			t.Fatalf("not within %s: %s", within, what)
		case <-tick.C:
		}
	}
}

// tool is the path of one of Prometheus's programs in the proven version.
func tool(t *testing.T, name string) string {
	t.Helper()
	out, err := output("../tools/prom", "--path", name)
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(out)
}

// output runs a command and gives what it wrote to its standard output; an error has what it wrote
// besides.
func output(name string, args ...string) (string, error) {
	var stdout, stderr strings.Builder
	cmd := exec.Command(name, args...)
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Run(); err != nil {
		return "", fmt.Errorf("%s: %w\n%s%s", cmd, err, stdout.String(), stderr.String())
	}
	return stdout.String(), nil
}
