package main

import (
	"bytes"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

const twoEntries = `expected:
  - name: ended
    accounts: ["111122223333"]
    from: 2026-10-01T00:00:00Z
    until: 2026-11-01T00:00:00Z
  - name: move
    accounts: ["111122223333"]
    event_names: [RunInstances, CreateAccessKey]
    source_networks: [203.0.113.0/24]
    from: 2026-12-01T00:00:00Z
    until: 2026-12-31T00:00:00Z
`

func TestCheckPolicy(t *testing.T) {
	now := time.Date(2026, 11, 20, 0, 0, 0, 0, time.UTC)
	t.Chdir(t.TempDir())
	call := func(id, account string, at time.Time) string { return string(sessionCall(id, account, at).Data) }
	inWindow := time.Date(2026, 12, 5, 8, 0, 0, 0, time.UTC)
	service := strings.NewReplacer(`"accessKeyId":"ASIAX","sessionContext":{"attributes":{"creationDate":"2026-12-05T08:00:00Z"}}`, `"invokedBy":"autoscaling.amazonaws.com"`,
		"203.0.113.7", "autoscaling.amazonaws.com").Replace(call("service", "111122223333", inWindow))
	for name, text := range map[string]string{
		"policy.yaml": twoEntries, "none.yaml": "expected: []\n", "broken.yaml": "expected: [{name: a}]\nmore: x\n",
		"fits.json": call("fits", "111122223333", inWindow), "early.json": call("early", "111122223333", now), "service.json": service,
		"two.json":  `{"Records":[` + call("fits", "111122223333", inWindow) + "," + call("other", "444455556666", inWindow) + "]}",
		"user.json": `{"eventVersion":"1.11","userIdentity":{"type":"IAMUser"},"eventSource":"ec2.amazonaws.com","eventName":"RunInstances","eventID":"other"}`,
		"cut.json":  `{"Records":[{"eventSource":`,
	} {
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	const list = "policy.yaml: 2 entries\n" +
		"ENTRY  STATE             FROM                  UNTIL                 ACCOUNTS  \n" +
		"ended  ended             2026-10-01T00:00:00Z  2026-11-01T00:00:00Z  1         \n" +
		"move   not yet in force  2026-12-01T00:00:00Z  2026-12-31T00:00:00Z  1         \n"
	const fits = "\nfits at 2026-12-05T08:00:00Z: ec2 RunInstances in account 111122223333 from 203.0.113.7: unexplained, cli_session, high\n" +
		"  ended: the call was made after it ended, at 2026-11-01T00:00:00Z\n  move: expects it\n  Expected, by move: it would not page.\n"
	for _, c := range []struct {
		name        string
		path, event string
		code        int
		out, err    string
	}{
		{"a policy", "policy.yaml", "", 0, list, ""},
		{"a policy without entries", "none.yaml", "", 0, "none.yaml: 0 entries\n", ""},
		{"a broken one", "broken.yaml", "", exitFailed, "", "broken.yaml: line 1: entry \"a\": accounts is missing: name the ids of the accounts whose root calls are expected\n" +
			"broken.yaml: line 1: entry \"a\": until is missing: every entry must end, 90 days at most after it begins\n" +
			"broken.yaml: line 2: unknown key \"more\": a policy has the one key expected, a list of entries\n" +
			"rootwatch: broken.yaml cannot be used: 3 problems\n"},
		{"none there", "missing.yaml", "", exitFailed, "", "rootwatch: open missing.yaml: no such file or directory\n"},
		{"a call that is expected", "policy.yaml", "fits.json", 0, list + fits, ""},
		{"a call before the window", "policy.yaml", "early.json", exitUnexplained, list + "\nearly at 2026-11-20T00:00:00Z: ec2 RunInstances in account 111122223333 from 203.0.113.7: unexplained, cli_session, high\n" +
			"  ended: the call was made after it ended, at 2026-11-01T00:00:00Z\n  move: the call was made before it begins, at 2026-12-01T00:00:00Z\n  Not expected: it stays unexplained.\n", ""},
		{"one of two", "policy.yaml", "two.json", exitUnexplained, list + fits + "\nother at 2026-12-05T08:00:00Z: ec2 RunInstances in account 444455556666 from 203.0.113.7: unexplained, cli_session, high\n" +
			"  ended: account 444455556666 is not among its accounts\n  move: account 444455556666 is not among its accounts\n  Not expected: it stays unexplained.\n", ""},
		{"a service's own call", "policy.yaml", "service.json", 0, list + "\nservice at 2026-12-05T08:00:00Z: ec2 RunInstances in account 111122223333 from autoscaling.amazonaws.com: service_invoked, known_service, none\n" +
			"  A service's own call: it never pages, and no entry is asked.\n", ""},
		{"somebody else's event", "policy.yaml", "user.json", exitFailed, list, "rootwatch: user.json has no root call\n"},
		{"half an event", "policy.yaml", "cut.json", exitFailed, list, "rootwatch: cut.json: the JSON text ends in the middle of a value"},
		{"no event there", "policy.yaml", "missing.json", exitFailed, list, "rootwatch: missing.json: stat: no such file or directory\n"},
	} {
		t.Run(c.name, func(t *testing.T) {
			var stdout, stderr bytes.Buffer
			f := &checkPolicyFlags{path: c.path, event: c.event, now: func() time.Time { return now }}
			if code := exitCode(f.run(t.Context(), &stdout, &stderr), &stderr); code != c.code {
				t.Errorf("exit code %d, want %d", code, c.code)
			}
			if diff := cmp.Diff(c.out, stdout.String()); diff != "" {
				t.Errorf("standard output (-want +got):\n%s", diff)
			}
			if got := stderr.String(); !strings.HasPrefix(got, c.err) || c.err == "" && got != "" {
				t.Errorf("standard error:\n%s\nwant\n%s", got, c.err)
			}
		})
	}
}

func TestCheckPolicyReadsTheEventFromStandardInput(t *testing.T) {
	text := policyFor("111122223333", time.Now().Add(-time.Hour), time.Now().Add(time.Hour))
	var stdout, stderr bytes.Buffer
	f := &checkPolicyFlags{path: fileWith(t, "policy.yaml", text), event: loneDash, now: time.Now, stdin: bytes.NewReader(sessionCall("one", "111122223333", time.Now()).Data)}
	if err := f.run(t.Context(), &stdout, &stderr); err != nil || !strings.Contains(stdout.String(), "it would not page") {
		t.Errorf("error %v\n%s%s", err, stdout.String(), stderr.String())
	}
	if code := run(t.Context(), []string{"check-policy"}, &stdout, &stderr); code != exitUsage || !strings.Contains(stderr.String(), "required argument 'file'") {
		t.Errorf("exit code %d without a file: %s", code, stderr.String())
	}
	if code := run(t.Context(), []string{"check-policy", fileWith(t, "policy.yaml", text), "--event"}, &stdout, &stderr); code != exitUsage {
		t.Errorf("exit code %d without an event", code)
	}
}
