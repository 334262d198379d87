package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// A trail with calls of root in two accounts and regions, and what else lies beside it.
func reviewTrail(t *testing.T) string {
	t.Helper()
	folder := t.TempDir()
	call := func(id, account, region, at, identity string) string {
		return fmt.Sprintf(`{"Records":[{"eventVersion":"1.11","userIdentity":{"type":"Root","arn":"arn:aws:iam::%[2]s:root","accountId":"%[2]s"%[5]s},"eventTime":%[4]q,`+
			`"eventSource":"ec2.amazonaws.com","eventName":"RunInstances","awsRegion":%[3]q,"sourceIPAddress":"autoscaling.amazonaws.com","userAgent":"autoscaling.amazonaws.com","eventID":%[1]q}]}`,
			id, account, region, at, identity)
	}
	const key, service = `,"accessKeyId":"AKIAIOSFODNN7EXAMPLE"`, `,"invokedBy":"autoscaling.amazonaws.com"`
	for name, text := range map[string]string{
		"AWSLogs/111122223333/CloudTrail/us-east-1/2026/11/02/a.json": call("key", "111122223333", "us-east-1", "2026-11-02T08:00:00Z", key),
		"AWSLogs/111122223333/CloudTrail/eu-west-1/2026/11/05/b.json": call("service", "111122223333", "eu-west-1", "2026-11-05T08:00:00Z", service),
		"AWSLogs/444455556666/CloudTrail/us-east-1/2026/11/09/c.json": call("late", "444455556666", "us-east-1", "2026-11-09T08:00:00Z", key),
		"AWSLogs/README.txt": "Read me.",
	} {
		path := filepath.Join(folder, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return folder
}

// reviewIDs are the event ids of a review's output as JSON.
func reviewIDs(t *testing.T, out string) string {
	t.Helper()
	var ids []string
	for line := range strings.Lines(out) {
		var call struct {
			EventID string `json:"event_id"`
		}
		if err := json.Unmarshal([]byte(line), &call); err != nil {
			t.Fatalf("%v in %q", err, line)
		}
		ids = append(ids, call.EventID)
	}
	return strings.Join(ids, " ")
}

func TestReview(t *testing.T) {
	folder := reviewTrail(t)
	broken := filepath.Join(t.TempDir(), "broken\x1b[31m.json")
	if err := os.WriteFile(broken, []byte(`{"Records":[{"eventSource":`), 0o644); err != nil {
		t.Fatal(err)
	}
	file := func(name, text string) string {
		path := filepath.Join(filepath.Dir(broken), name)
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		return path
	}
	const user = `{"eventVersion":"1.11","userIdentity":{"type":"IAMUser"},"eventSource":"ec2.amazonaws.com","eventName":"RunInstances","eventID":"other"}`
	other, mixed, empty := file("other.json", user), file("mixed.json", user+"\n{}\n"), file("empty.json", "")
	lost := file("lost.json", `{"Records":[{"eventSource":"iam.amazonaws.com","eventName":"CreateUser","eventID":"lost"}]}`)
	notification := file("notification.json", `{"Records":[{"eventVersion":"2.1","eventSource":"aws:s3","eventName":"ObjectCreated:Put","userIdentity":{"principalId":"AWS:A"}}]}`)
	aggregated := file("aggregated.json", `{"Records":[{"eventId":"1","eventCategory":"Aggregated","eventType":"AwsAggregatedEvent","eventSource":"s3.amazonaws.com"}]}`)
	harmless := filepath.Join(folder, "AWSLogs/111122223333/CloudTrail/eu-west-1")
	for _, c := range []struct {
		name string
		args []string
		code int
		ids  string // of the output as JSON
		out  string // otherwise: in the output
		err  string // in what is said beside it
	}{
		{name: "a folder, json where there is no terminal", args: []string{folder}, ids: "service key late", err: "Read 3 events in 4 files: 2 unexplained root calls, 1 by services themselves."},
		{name: "what is not CloudTrail is named", args: []string{folder}, ids: "service key late", err: "1 file that is not CloudTrail's ("},
		{name: "exit code 3", args: []string{"--exit-code", folder}, code: 3, ids: "service key late"},
		{name: "exit code 3 is for unexplained calls", args: []string{"--exit-code", harmless}, ids: "service"},
		{name: "exit code 3 is for calls that are asked for", args: []string{"--exit-code", "--region=eu-west-1", folder}, ids: "service"},
		{name: "a broken file wins over exit code 3", args: []string{"--exit-code", folder, broken}, code: 1, ids: "service key late", err: `broken\x1b[31m.json: the JSON text ends in the middle of a value`},
		{name: "a missing file", args: []string{"/nowhere/at/all", harmless}, code: 1, ids: "service", err: "/nowhere/at/all: stat: no such file or directory"},
		{name: "a file that is not CloudTrail, named", args: []string{filepath.Join(folder, "AWSLogs/README.txt")}, code: 1, err: "README.txt: not CloudTrail: not JSON"},
		{name: "since a day", args: []string{"--since=2026-11-05", folder}, ids: "service late", err: "Left out: 1 folder outside the selection"},
		{name: "until the end of a day", args: []string{"--until=2026-11-05", folder}, ids: "service key"},
		{name: "until a time", args: []string{"--until=2026-11-05T07:59:59Z", folder}, ids: "key", err: "1 root call outside the selection"},
		{name: "accounts", args: []string{"--account=444455556666,777788889999", folder}, ids: "late"},
		{name: "regions", args: []string{"--region=eu-west-1", "--region=us-east-1", folder}, ids: "service key late"},
		{name: "a table", args: []string{"--output=table", folder}, out: "Account 111122223333 · s-9be89632 · key AKIAIOSFODNN7EXAMPLE · 1 call · critical\n"},
		{name: "markdown", args: []string{"--output=MARKDOWN", folder}, out: "### Account `111122223333`: 1 call, critical\n"},
		{name: "an explanation", args: []string{"--output=table", "--explain=key", folder}, out: "userIdentity.accessKeyId"},
		{name: "an explanation as json", args: []string{"--explain=service", "--exit-code", folder}, ids: "service"},
		{name: "an explanation of an unexplained call", args: []string{"--explain=key", "--exit-code", folder}, code: 3, ids: "key"},
		{name: "an explanation of a call outside the selection", args: []string{"--explain=key", "--account=444455556666", filepath.Join(folder, "AWSLogs/111122223333/CloudTrail/us-east-1/2026/11/02/a.json")}, code: 1,
			err: "the call is outside the selection: account 111122223333, region us-east-1, time 2026-11-02T08:00:00Z, in "},
		{name: "an explanation of somebody else's event", args: []string{"--explain=other", other}, code: 1, err: "but not as that of a root call"},
		{name: "an explanation of nothing", args: []string{"--explain=none", folder}, code: 1, err: `no root call with the event id "none" was found: it is nowhere in what was read`},
		{name: "no path", args: nil, code: 2, err: "required argument 'path' not provided"},
		{name: "an output that does not exist", args: []string{"--output=xml", folder}, code: 2, err: `is "xml", want one of table, json, markdown`},
		{name: "a time that is none", args: []string{"--since=yesterday", folder}, code: 2, err: "want a time such as"},
		{name: "an end before the beginning", args: []string{"--since=2026-11-05", "--until=2026-11-04", folder}, code: 2, err: "--until 2026-11-04T23:59:59Z is before --since 2026-11-05T00:00:00Z"},
		{name: "an account that is none", args: []string{"--account=1111", folder}, code: 2, err: `--account "1111" is not an account's id of 12 digits`},
		{name: "a region that is none", args: []string{"--region=us-east1", folder}, code: 2, err: `--region "us-east1" is not a region's name`},
		{name: "a region of a partition to come", args: []string{"--region=xy-isoz-west-12", folder}},
		{name: "an empty file, named", args: []string{empty}, code: 1, err: "empty: nothing to judge"},
		{name: "what is left out is told with its reason", args: []string{folder}, ids: "service key late", err: "AWSLogs/README.txt: left out: not JSON"},
		{name: "values that are something else", args: []string{mixed}, err: "1 value in it is not CloudTrail's, and is not judged"},
		{name: "an event that has lost its identity", args: []string{lost}, code: 1, err: "lost.json: no userIdentity: who called cannot be judged, in the value that begins at byte 12 of the text (line 1)"},
		{name: "a notification that is no log", args: []string{notification}, code: 1, err: "notification.json: not CloudTrail: JSON, but no event of CloudTrail's in it"},
		{name: "aggregated events", args: []string{aggregated}, err: "aggregated.json: 1 aggregated event in it sums up data events"},
		{name: "standard input twice", args: []string{"-", "-"}, code: 2, err: "only once"},
		{name: "an empty path", args: []string{""}, code: 2, err: "a path is empty"},
	} {
		t.Run(c.name, func(t *testing.T) {
			var out, errs bytes.Buffer
			code := run(context.Background(), append([]string{"review"}, c.args...), &out, &errs)
			if code != c.code {
				t.Errorf("exit code %d, want %d; %s", code, c.code, errs.String())
			}
			if c.out != "" {
				if !strings.Contains(out.String(), c.out) {
					t.Errorf("%q is not in\n%s", c.out, out.String())
				}
			} else if ids := reviewIDs(t, out.String()); ids != c.ids {
				t.Errorf("calls %q, want %q", ids, c.ids)
			}
			if !strings.Contains(errs.String(), c.err) {
				t.Errorf("%q is not in\n%s", c.err, errs.String())
			}
			if strings.Contains(errs.String(), "\x1b") {
				t.Errorf("an escape sequence in %q", errs.String())
			}
		})
	}
}

func TestReviewReadsStandardInput(t *testing.T) {
	var out, errs bytes.Buffer
	f := &reviewFlags{paths: []string{"-"}, output: "table", stdin: strings.NewReader(`{"Events":[]}`)}
	if err := f.run(context.Background(), &out, &errs); err != nil {
		t.Fatal(err)
	}
	if got, want := out.String(), "Read 0 events in 1 file: 0 unexplained root calls, 0 by services themselves.\n"; got != want || errs.Len() > 0 {
		t.Errorf("%q, want %q; %s", got, want, errs.String())
	}
}

func TestReviewOfNothingIsNoError(t *testing.T) {
	var out, errs bytes.Buffer
	f := &reviewFlags{paths: []string{"-"}, output: "json", stdin: strings.NewReader("\n")}
	if err := f.run(context.Background(), &out, &errs); err != nil || out.Len() > 0 || !strings.Contains(errs.String(), "standard input: left out: empty: nothing to judge") {
		t.Errorf("%v, %q, %q", err, out.String(), errs.String())
	}
}

// TestReviewThatIsInterruptedEndsItsLines stops a review that waits for more: what it has found is
// written in whole lines.
func TestReviewThatIsInterruptedEndsItsLines(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	var out, errs bytes.Buffer
	endless, writing := io.Pipe()
	f := &reviewFlags{paths: []string{reviewTrail(t), "-"}, output: "json", stdin: endless}
	go func() {
		for range 20 { // more than is read ahead, so that the files before are judged
			_, _ = writing.Write(bytes.Repeat([]byte("{}\n"), 100_000))
		}
		cancel()
		_ = writing.Close()
	}()
	err := f.run(ctx, &out, &errs)
	if err == nil || !strings.Contains(err.Error(), "interrupted, the output is incomplete") || !strings.Contains(errs.String(), "The answer is not complete: the reading was interrupted.") {
		t.Errorf("%v; %s", err, errs.String())
	}
	if ids := reviewIDs(t, out.String()); ids != "service key late" {
		t.Errorf("calls %q", ids)
	}
}

func TestReviewCanBeInterrupted(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	var out, errs bytes.Buffer
	if code := run(ctx, []string{"review", reviewTrail(t)}, &out, &errs); code != 1 || !strings.Contains(errs.String(), "interrupted") {
		t.Errorf("exit code %d: %s", code, errs.String())
	}
}
