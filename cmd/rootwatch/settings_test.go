package main

import (
	"bytes"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"rootwatch/pipeline/cloudtrailtest"
)

func TestWrongSettingsStopTheProgramAtOnce(t *testing.T) {
	t.Setenv("AWS_REGION", "us-east-1")
	broken := filepath.Join(t.TempDir(), "web.yml")
	if err := os.WriteFile(broken, []byte("tls_server_config:\n  certfile: a\n  key: b\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	busy := freeAddress(t)
	l, err := net.Listen("tcp", busy)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	for name, c := range map[string]struct {
		args []string
		code int
		says string
	}{
		"no stream":                        {[]string{"run"}, exitUsage, "--kinesis.stream"},
		"a blank stream":                   {[]string{"run", "--kinesis.stream= "}, exitUsage, "no stream is named"},
		"not a stream's name":              {[]string{"run", "--kinesis.stream=a/b"}, exitUsage, `--kinesis.stream (ROOTWATCH_KINESIS_STREAM): "a/b"`},
		"another service's ARN":            {[]string{"run", "--kinesis.stream=arn:aws:s3:us-east-1:111122223333:stream/x"}, exitUsage, "not the ARN of a Kinesis stream"},
		"latest":                           {[]string{"run", "--kinesis.stream=s", "--kinesis.start=latest"}, exitUsage, "latest is not offered"},
		"no time":                          {[]string{"run", "--kinesis.stream=s", "--kinesis.start=yesterday"}, exitUsage, "RFC 3339"},
		"a time to come":                   {[]string{"run", "--kinesis.stream=s", "--kinesis.start=2999-01-01T00:00:00Z"}, exitUsage, "future"},
		"the zero time":                    {[]string{"run", "--kinesis.stream=s", "--kinesis.start=0001-01-01T00:00:00Z"}, exitUsage, "trim-horizon"},
		"a lease too short":                {[]string{"run", "--kinesis.stream=s", "--kinesis.lease-duration=1s"}, exitUsage, "2s at least"},
		"no duration":                      {[]string{"run", "--kinesis.stream=s", "--kinesis.lease-duration=20"}, exitUsage, "(its variable is ROOTWATCH_KINESIS_LEASE_DURATION)"},
		"a poll too quick":                 {[]string{"run", "--kinesis.stream=s", "--kinesis.poll-interval=1ms"}, exitUsage, "--kinesis.poll-interval"},
		"no checkpoints":                   {[]string{"run", "--kinesis.stream=s", "--kinesis.checkpoint-interval=0s"}, exitUsage, "--kinesis.checkpoint-interval"},
		"no time to stop":                  {[]string{"run", "--kinesis.stream=s", "--shutdown-timeout=-1s"}, exitUsage, "--shutdown-timeout"},
		"too many records":                 {[]string{"run", "--kinesis.stream=s", "--kinesis.max-records=10001"}, exitUsage, "--kinesis.max-records is \"10001\", want a whole number, 1 to 10000 (its variable is ROOTWATCH_KINESIS_MAX_RECORDS)"},
		"too little memory":                {[]string{"run", "--kinesis.stream=s", "--kinesis.fetch-memory=1MiB"}, exitUsage, "16 MiB"},
		"no accounts":                      {[]string{"run", "--kinesis.stream=s", "--metrics.max-accounts=0"}, exitUsage, "--metrics.max-accounts"},
		"not a table's name":               {[]string{"run", "--kinesis.stream=s", "--kinesis.application=a/b"}, exitUsage, "--kinesis.application"},
		"not a ledger's name":              {[]string{"run", "--kinesis.stream=s", "--ledger.table=a b"}, exitUsage, "--ledger.table (ROOTWATCH_LEDGER_TABLE)"},
		"one table for both":               {[]string{"run", "--kinesis.stream=s", "--ledger.table=rootwatch"}, exitUsage, "name the same table"},
		"no room for the ledger's name":    {[]string{"run", "--kinesis.stream=s", "--kinesis.application=" + strings.Repeat("x", 247)}, exitUsage, "246 characters"},
		"no level":                         {[]string{"run", "--kinesis.stream=s", "--log.level=loud"}, exitUsage, "--log.level"},
		"no address":                       {[]string{"run", "--kinesis.stream=s", "--web.listen-address=nowhere"}, exitUsage, "--web.listen-address"},
		"an empty address":                 {[]string{"run", "--kinesis.stream=s", "--web.listen-address="}, exitUsage, "--web.listen-address"},
		"an address without a port":        {[]string{"run", "--kinesis.stream=s", "--web.listen-address=127.0.0.1:"}, exitUsage, "--web.listen-address"},
		"an address in use":                {[]string{"run", "--kinesis.stream=s", "--web.listen-address=" + busy}, exitUsage, "--web.listen-address"},
		"no web configuration":             {[]string{"run", "--kinesis.stream=s", "--web.config.file=missing.yml"}, exitUsage, "missing.yml"},
		"a broken web configuration":       {[]string{"run", "--kinesis.stream=s", "--web.config.file=" + broken}, exitUsage, "--web.config.file"},
		"no region for heartbeats":         {[]string{"run", "--kinesis.stream=s", "--heartbeat.regions=eu-west-1,mars"}, exitUsage, "--heartbeat.regions is \"mars\""},
		"an unknown flag":                  {[]string{"run", "--kinesis.streem=s"}, exitUsage, "streem"},
		"an unknown command":               {[]string{"walk"}, exitUsage, "walk"},
		"a demo too fast":                  {[]string{"demo", "--rate=0"}, exitUsage, "--rate"},
		"a demo of no number":              {[]string{"demo", "--rate=x"}, exitUsage, "--rate is \"x\""},
		"a demo of no length":              {[]string{"demo", "--for=x"}, exitUsage, "--for is \"x\""},
		"a demo that ends before":          {[]string{"demo", "--for=-1s"}, exitUsage, "--for"},
		"a demo at an address in use":      {[]string{"demo", "--web.listen-address=" + busy}, exitUsage, "--web.listen-address"},
		"a health check with a wrong flag": {[]string{"healthcheck", "--nothing"}, exitFailed, "--nothing"},
		"a health check of no address":     {[]string{"healthcheck", "--web.listen-address=x"}, exitFailed, "--web.listen-address"},
		"a health check, broken settings":  {[]string{"healthcheck", "--web.config.file=" + broken + "x"}, exitFailed, "--web.config.file"},
	} {
		t.Run(name, func(t *testing.T) {
			var stdout, stderr bytes.Buffer
			if code := run(t.Context(), c.args, &stdout, &stderr); code != c.code {
				t.Errorf("exit code %d, want %d", code, c.code)
			}
			if text := stderr.String(); !strings.Contains(text, c.says) || strings.Count(text, "\n") != 1 {
				t.Errorf("standard error is not one line that says %q:\n%s", c.says, text)
			}
			if stdout.Len() > 0 {
				t.Errorf("standard output: %s", stdout.String())
			}
		})
	}
}

func TestFlagsAreVariablesToo(t *testing.T) {
	t.Setenv("AWS_REGION", "us-east-1")
	t.Setenv("ROOTWATCH_KINESIS_STREAM", "s")
	t.Setenv("ROOTWATCH_KINESIS_LEASE_DURATION", "soon")
	var stderr bytes.Buffer
	if code := run(t.Context(), []string{"run"}, &bytes.Buffer{}, &stderr); code != exitUsage || !strings.Contains(stderr.String(), "from ROOTWATCH_KINESIS_LEASE_DURATION") {
		t.Errorf("exit code %d: %s", code, stderr.String())
	}
}

func TestCommasAndRepetitionMakeLists(t *testing.T) {
	var got []string
	list := &listFlag{&got}
	for _, s := range []string{"a, b", "", "c,"} {
		if err := list.Set(s); err != nil {
			t.Fatal(err)
		}
	}
	if diff := cmp.Diff([]string{"a", "b", "c"}, got); diff != "" {
		t.Errorf("list (-want +got):\n%s", diff)
	}
}

func TestWhereToStart(t *testing.T) {
	for s, want := range map[string]start{
		"first-start":          {mode: firstStart},
		"TRIM-horizon":         {mode: trimHorizon},
		"2026-01-01T00:00:00Z": {time: time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)},
	} {
		var got start
		v := &value[start]{flag: "kinesis.start", to: &got, parse: parseStart}
		if err := v.Set(" " + s + "\n"); err != nil || got.mode != want.mode || !got.time.Equal(want.time) {
			t.Errorf("%q: %+v, %v; want %+v", s, got, err, want)
		}
	}
}

func TestAtSignsAreFilesNames(t *testing.T) {
	t.Chdir(t.TempDir())
	if err := os.WriteFile("arguments", []byte("--exit-code\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	if code := run(t.Context(), []string{"review", "@arguments"}, &out, &out); code == 0 || !strings.Contains(out.String(), "@arguments") {
		t.Errorf("exit code %d: %s", code, out.String())
	}
}

func TestAnUnstampedVersionIsDev(t *testing.T) {
	var out bytes.Buffer
	if code := run(t.Context(), []string{"--version"}, &out, &out); code != 0 || !strings.Contains(out.String(), "version dev") {
		t.Errorf("exit code %d: %s", code, out.String())
	}
	families, err := newRegistry().Gather()
	if err != nil {
		t.Fatal(err)
	}
	if text := fmt.Sprint(families); !strings.Contains(text, "rootwatch_build_info") || !strings.Contains(text, `value:"dev"`) {
		t.Error("rootwatch_build_info does not say dev")
	}
}

func TestTheDemosAddressCanBeOpened(t *testing.T) {
	dir := t.TempDir()
	certificate(t, dir)
	config := filepath.Join(dir, "web.yml")
	if err := os.WriteFile(config, []byte("tls_server_config:\n  cert_file: cert.pem\n  key_file: key.pem\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	_, port, _ := net.SplitHostPort(freeAddress(t))
	for name, c := range map[string]struct {
		web  webFlags
		want string
	}{
		"any host": {webFlags{addresses: []string{":" + port}}, "http://127.0.0.1:" + port + "/metrics"},
		"TLS":      {webFlags{addresses: []string{"localhost:" + port}, configFile: config}, "https://localhost:" + port + "/metrics"},
	} {
		t.Run(name, func(t *testing.T) {
			if err := c.web.reserve(); err != nil {
				t.Fatal(err)
			}
			if got, err := c.web.url("/metrics"); err != nil || got != c.want {
				t.Errorf("%s, %v; want %s", got, err, c.want)
			}
		})
	}
}

// program is rootwatch with an environment of its own.
func program(t *testing.T, env []string, args ...string) *exec.Cmd {
	t.Helper()
	cmd := exec.Command(os.Args[0], args...)
	cmd.Env = append([]string{asProgram + "=1", "HOME=" + t.TempDir(), "AWS_EC2_METADATA_DISABLED=true"}, env...)
	return cmd
}

func TestWhatCannotHealEndsTheProgramWithWhatToSet(t *testing.T) {
	t.Parallel()
	keys := []string{"AWS_REGION=us-east-1", "AWS_ACCESS_KEY_ID=key", "AWS_SECRET_ACCESS_KEY=secret"}
	for name, c := range map[string]struct {
		env  []string
		says string
	}{
		"no credentials":          {[]string{"AWS_REGION=us-east-1"}, "AWS_ACCESS_KEY_ID"},
		"an endpoint of no kind":  {append(keys, "AWS_ENDPOINT_URL=ftp://127.0.0.1"), "AWS_ENDPOINT_URL"},
		"an endpoint of no host":  {append(keys, "AWS_ENDPOINT_URL=http://"), "AWS_ENDPOINT_URL"},
		"no profile of that name": {[]string{"AWS_REGION=us-east-1", "AWS_PROFILE=nobody"}, "nobody"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			cmd := program(t, c.env, "run", "--kinesis.stream=s", "--web.listen-address=127.0.0.1:0")
			began := time.Now()
			out, err := cmd.CombinedOutput()
			if err == nil || cmd.ProcessState.ExitCode() != exitFailed || time.Since(began) > 20*time.Second {
				t.Errorf("ended with %v after %s", err, time.Since(began))
			}
			lines := strings.Split(strings.TrimSpace(string(out)), "\n")
			last := lines[len(lines)-1]
			if !strings.HasPrefix(last, "rootwatch: ") || !strings.Contains(last, c.says) {
				t.Errorf("the last line does not say %s:\n%s", c.says, out)
			}
		})
	}
}

func TestALogThatNobodyReadsDoesNotHoldTheProgram(t *testing.T) {
	t.Parallel()
	server, client := testStream(t, 1)
	var records []cloudtrailtest.Record
	for traffic := cloudtrailtest.New(1, 10_000, time.Now); len(records) < 2000; { // a pipe holds 64 KiB
		records = append(records, traffic.Next())
	}
	putAll(t, client, records)
	cmd := program(t, []string{"AWS_REGION=us-east-1", "AWS_ACCESS_KEY_ID=key", "AWS_SECRET_ACCESS_KEY=secret", "AWS_ENDPOINT_URL=" + server.URL},
		"run", "--kinesis.stream=trail", "--kinesis.start=trim-horizon", "--web.listen-address="+freeAddress(t), "--shutdown-timeout=1s")
	read, write, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer read.Close()
	cmd.Stderr = write
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	write.Close()
	time.Sleep(5 * time.Second) // until it is stuck: nothing shows from outside when
	began := time.Now()
	if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	kill := time.AfterFunc(20*time.Second, func() { cmd.Process.Kill() })
	defer kill.Stop()
	err = cmd.Wait()
	if took := time.Since(began); cmd.ProcessState.ExitCode() != exitFailed || took > 10*time.Second {
		t.Errorf("ended with %v %s after SIGTERM, want exit code %d after 2s", err, took, exitFailed)
	}
}

func TestEveryLineOfAJSONLogIsJSON(t *testing.T) {
	t.Parallel()
	server, _ := testStream(t, 1)
	p := startWorker(t, endpointsOf(server), "one", "--kinesis.stream=trail", "--log.level=debug")
	eventually(t, 20*time.Second, "the worker is ready", func() bool { code, _ := p.get("/-/ready"); return code == 200 })
	conn, err := net.Dial("tcp", p.address)
	if err != nil {
		t.Fatal(err)
	}
	fmt.Fprint(conn, "GET / HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\n")
	conn.Close()
	p.stop(10 * time.Second)
	text, err := readLog(p)
	if err != nil {
		t.Fatal(err)
	}
	if n := strings.Count(text, "\n"); n != len(p.lines()) {
		t.Errorf("%d lines of %d are JSON:\n%s", len(p.lines()), n, text)
	}
	if !strings.Contains(text, `"connecting to stream"`) {
		t.Error("the log does not say which stream is asked for")
	}
}
