package main

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"rootwatch/pipeline/cloudtrailtest"
)

// fileWith is a file with a text.
func fileWith(t *testing.T, name, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// sessionCall is a root call of a session, in a bare record.
func sessionCall(id, account string, at time.Time) cloudtrailtest.Record {
	text := fmt.Sprintf(`{"eventVersion":"1.11","userIdentity":{"type":"Root","arn":"arn:aws:iam::%[2]s:root","accountId":"%[2]s","accessKeyId":"ASIAX",`+
		`"sessionContext":{"attributes":{"creationDate":%[3]q}}},"eventTime":%[3]q,"eventSource":"ec2.amazonaws.com","eventName":"RunInstances","awsRegion":"us-east-1",`+
		`"sourceIPAddress":"203.0.113.7","userAgent":"aws-cli/2","eventID":%[1]q}`, id, account, at.UTC().Format(time.RFC3339))
	return cloudtrailtest.Record{Data: []byte(text)}
}

func policyFor(account string, from, until time.Time) string {
	return fmt.Sprintf("expected:\n- name: for-%s\n  accounts: ['%s']\n  from: %s\n  until: %s\n", account, account, from.UTC().Format(time.RFC3339), until.UTC().Format(time.RFC3339))
}

// A window of the policy opens and closes while calls arrive, over a change of the file, a broken
// one and SIGHUP.
func TestAPolicyThatChangesWhileCallsArrive(t *testing.T) {
	t.Parallel()
	const one, two = "111122223333", "444455556666"
	now := time.Now()
	server, client := testStream(t, 1)
	policyFile := fileWith(t, "policy.yaml", policyFor(one, now.Add(-time.Hour), now.Add(time.Hour)))
	accountsFile := fileWith(t, "accounts.json", `{"Accounts": [{"Id": "`+one+`", "Name": "prod-billing", "Status": "ACTIVE"}]}`)
	p := startWorker(t, endpointsOf(server), "one", "--kinesis.stream=trail", "--kinesis.start=trim-horizon", "--policy.file="+policyFile, "--accounts.file="+accountsFile)
	arrive := func(calls ...cloudtrailtest.Record) {
		t.Helper()
		before := p.metric("rootwatch_events_total", "result=root")
		putAll(t, client, calls)
		eventually(t, 30*time.Second, "the calls are counted", func() bool { return p.metric("rootwatch_events_total", "result=root") == before+float64(len(calls)) })
	}
	arrive(sessionCall("in-time", one, now), sessionCall("too-early", one, now.Add(-2*time.Hour)), sessionCall("other-account", two, now))
	if n := p.metric("rootwatch_last_unpushed_root_call_timestamp_seconds", "account_id="+two); n == 0 {
		t.Error("the call that nobody expects does not page")
	}

	write := func(text string) {
		if err := os.WriteFile(policyFile, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	inForce := func(want float64) func() bool {
		return func() bool { return p.metric("rootwatch_config_last_reload_successful", "file=policy") == want }
	}
	write("expected: [{name: broken}]")
	p.signal(syscall.SIGHUP)
	eventually(t, 10*time.Second, "the broken file is told of", inForce(0))
	arrive(sessionCall("under-the-old-file", one, now))
	write(policyFor(two, now.Add(-time.Hour), now.Add(time.Hour)))
	eventually(t, 30*time.Second, "the new file is read without a signal", inForce(1))
	arrive(sessionCall("no-more", one, now), sessionCall("now", two, now))
	p.stop(10 * time.Second)

	got := map[string]string{}
	for _, line := range p.lines() {
		if line["msg"] == "root call" {
			got[fmt.Sprint(line["event_id"])] = fmt.Sprintf("%s %s %s %s", line["verdict"], line["policy"], line["severity"], line["account_name"])
		}
	}
	want := map[string]string{
		"in-time": "expected for-111122223333 high prod-billing", "too-early": "unexplained  high prod-billing", "other-account": "unexplained  high ",
		"under-the-old-file": "expected for-111122223333 high prod-billing", "no-more": "unexplained  high prod-billing", "now": "expected for-444455556666 high ",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("lines (-want +got):\n%s", diff)
	}
	if log, _ := readLog(p); !strings.Contains(log, `line 1: entry \"broken\": accounts is missing`) || !strings.Contains(log, "an entry of the policy ends within a day") {
		t.Error("the log does not tell what is wrong with the file, or which entry ends")
	}
}

func TestAPolicyThatIsTriedOut(t *testing.T) {
	t.Parallel()
	const account = "111122223333"
	now := time.Now()
	server, client := testStream(t, 1)
	policyFile := fileWith(t, "policy.yaml", policyFor(account, now.Add(-time.Hour), now.Add(time.Hour)))
	p := startWorker(t, endpointsOf(server), "one", "--kinesis.stream=trail", "--kinesis.start=trim-horizon", "--policy.file="+policyFile, "--policy.dry-run")
	putAll(t, client, []cloudtrailtest.Record{sessionCall("one", account, now)})
	eventually(t, 30*time.Second, "the call pages", func() bool {
		return p.metric("rootwatch_last_unpushed_root_call_timestamp_seconds", "account_id="+account) > 0
	})
	p.stop(10 * time.Second)
	for _, line := range p.lines() {
		if line["msg"] == "root call" && (line["verdict"] != "unexplained" || line["policy"] != "" || line["policy_dry_run"] != "for-"+account) {
			t.Errorf("the line is %v", line)
		}
	}
}

func TestFilesThatAreBrokenStopTheProgram(t *testing.T) {
	t.Setenv("AWS_REGION", "us-east-1")
	until := time.Now().AddDate(0, 0, 10).UTC().Format(time.RFC3339)
	broken := fileWith(t, "policy.yaml", "expected:\n- name: move\n  account: ['111122223333']\n  until: "+until+"\n")
	accounts := fileWith(t, "accounts.yaml", "- {id: 1, name: a}\n")
	for name, c := range map[string]struct {
		args []string
		says string
	}{
		"no policy there":             {[]string{"run", "--kinesis.stream=s", "--policy.file=missing.yaml"}, "--policy.file (ROOTWATCH_POLICY_FILE): missing.yaml is not there"},
		"a broken policy":             {[]string{"run", "--kinesis.stream=s", "--policy.file=" + broken}, broken + `: line 2: entry "move": accounts is missing: name the ids of the accounts whose root calls are expected (and 1 more)`},
		"no policy to try out":        {[]string{"run", "--kinesis.stream=s", "--policy.dry-run"}, "--policy.dry-run (ROOTWATCH_POLICY_DRY_RUN) has no policy to try out"},
		"no accounts there":           {[]string{"run", "--kinesis.stream=s", "--accounts.file=missing.yaml"}, "--accounts.file (ROOTWATCH_ACCOUNTS_FILE): missing.yaml is not there"},
		"broken accounts":             {[]string{"run", "--kinesis.stream=s", "--accounts.file=" + accounts}, accounts + `: line 1: account 1: id is "1", want 12 digits`},
		"broken accounts, a review":   {[]string{"review", "--accounts.file=" + accounts, "."}, accounts + `: line 1: account 1: id is "1", want 12 digits`},
		"no accounts there, a review": {[]string{"review", "--accounts.file=missing.yaml", "."}, "missing.yaml: no such file"},
	} {
		t.Run(name, func(t *testing.T) {
			var stdout, stderr bytes.Buffer
			if code := run(t.Context(), c.args, &stdout, &stderr); code != exitUsage {
				t.Errorf("exit code %d, want %d", code, exitUsage)
			}
			if text := stderr.String(); !strings.Contains(text, c.says) || strings.Count(text, "\n") != 1 || stdout.Len() > 0 {
				t.Errorf("standard error is not one line that says %q:\n%s", c.says, text)
			}
		})
	}
}

func TestAReviewNamesAccounts(t *testing.T) {
	folder := reviewTrail(t)
	accounts := fileWith(t, "accounts.yaml", "- {id: '111122223333', name: prod-billing, owner: payments, tags: {env: prod}}\n")
	for output, want := range map[string]string{
		"table": "Account 111122223333 (prod-billing, owner payments, env=prod) · s-", "json": `"account_id":"111122223333","account_name":"prod-billing"`,
		"markdown": "### Account `111122223333` \\(prod-billing, owner payments, env=prod\\): 1 call",
	} {
		var stdout, stderr bytes.Buffer
		if code := run(t.Context(), []string{"review", "--output=" + output, "--accounts.file=" + accounts, folder}, &stdout, &stderr); code != 0 {
			t.Errorf("%s: exit code %d: %s", output, code, stderr.String())
		}
		if !strings.Contains(stdout.String(), want) {
			t.Errorf("%s: no %s in\n%s", output, want, stdout.String())
		}
	}
}
