package archive

import (
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"rootwatch/classify"
	"rootwatch/pipeline"
)

func day(s string) time.Time {
	at, err := time.Parse(time.DateOnly, s)
	if err != nil {
		panic(err)
	}
	return at
}

func TestFoldersOfATrail(t *testing.T) {
	for _, c := range []struct {
		name, path string
		want       trailFolder
	}{
		{"a day", "/b/AWSLogs/111122223333/CloudTrail/us-east-1/2026/11/02", trailFolder{account: "111122223333", region: "us-east-1", from: day("2026-11-02"), to: day("2026-11-03")}},
		{"a day of an organisation's trail", "/b/AWSLogs/o-abcdefghij/111122223333/CloudTrail/us-gov-west-1/2026/11/02", trailFolder{account: "111122223333", region: "us-gov-west-1", from: day("2026-11-02"), to: day("2026-11-03")}},
		{"a day of Insights", "/b/AWSLogs/111122223333/CloudTrail-Insight/us-east-1/2026/12/31", trailFolder{account: "111122223333", region: "us-east-1", from: day("2026-12-31"), to: day("2027-01-01")}},
		{"a month", "AWSLogs/111122223333/CloudTrail/us-east-1/2024/02", trailFolder{account: "111122223333", region: "us-east-1", from: day("2024-02-01"), to: day("2024-03-01")}},
		{"a year", "AWSLogs/111122223333/CloudTrail/us-east-1/2024", trailFolder{account: "111122223333", region: "us-east-1", from: day("2024-01-01"), to: day("2025-01-01")}},
		{"a region", "AWSLogs/111122223333/CloudTrail/ap-southeast-2", trailFolder{account: "111122223333", region: "ap-southeast-2"}},
		{"an account", "AWSLogs/111122223333", trailFolder{account: "111122223333"}},
		{"an account of an organisation", "prefix/AWSLogs/o-abcdefghij/111122223333", trailFolder{account: "111122223333"}},
		{"an organisation", "AWSLogs/o-abcdefghij", trailFolder{}},
		{"a copy that begins at the account's CloudTrail", "/home/ann/CloudTrail/us-east-1/2026", trailFolder{region: "us-east-1", from: day("2026-01-01"), to: day("2027-01-01")}},
		{"digests", "AWSLogs/111122223333/CloudTrail-Digest/us-east-1/2026", trailFolder{account: "111122223333", region: "us-east-1", from: day("2026-01-01"), to: day("2027-01-01"), digest: true}},
		{"a day that no month has", "AWSLogs/111122223333/CloudTrail/us-east-1/2026/02/30", trailFolder{account: "111122223333", region: "us-east-1", from: day("2026-02-01"), to: day("2026-03-01")}},
		{"a month that no year has", "AWSLogs/111122223333/CloudTrail/us-east-1/2026/13/01", trailFolder{account: "111122223333", region: "us-east-1", from: day("2026-01-01"), to: day("2027-01-01")}},
		{"another service's logs", "AWSLogs/111122223333/Config/us-east-1/2026/11/2", trailFolder{account: "111122223333"}},
		{"no trail", "/home/ann/2026/11/02", trailFolder{}},
		{"an account that is too short", "AWSLogs/11112222333/CloudTrail/us-east-1", trailFolder{region: "us-east-1"}},
		{"no region", "CloudTrail/logs/2026/11/02", trailFolder{}},
	} {
		if got := trailFolderOf(c.path); got != c.want {
			t.Errorf("%s: %+v, want %+v", c.name, got, c.want)
		}
	}
}

func TestFoldersOutsideTheSelectionStayUnread(t *testing.T) {
	root := t.TempDir()
	// A broken file in each folder shows which were read.
	for _, folder := range []string{
		"AWSLogs/111122223333/CloudTrail/us-east-1/2026/10/30", "AWSLogs/111122223333/CloudTrail/us-east-1/2026/10/31",
		"AWSLogs/111122223333/CloudTrail/us-east-1/2026/11/01", "AWSLogs/111122223333/CloudTrail/us-east-1/2026/11/02",
		"AWSLogs/111122223333/CloudTrail/us-east-1/2026/11/03", "AWSLogs/111122223333/CloudTrail/eu-west-1/2026/11/01",
		"AWSLogs/111122223333/CloudTrail-Digest/us-east-1/2026/11/01", "AWSLogs/111122223333/CloudTrail-Insight/us-east-1/2026/11/01",
		"AWSLogs/o-abcdefghij/444455556666/CloudTrail/us-east-1/2025/11/01", "elsewhere",
	} {
		write(t, root, filepath.Join(folder, "file.json"), `{"broken`)
	}
	const account = "AWSLogs/111122223333/"
	for _, c := range []struct {
		name            string
		from            string
		selection       Selection
		read            []string
		skipped, digest int
	}{
		{"everything but digests", "", Selection{}, []string{
			account + "CloudTrail/eu-west-1/2026/11/01", account + "CloudTrail/us-east-1/2026/10/30", account + "CloudTrail/us-east-1/2026/10/31",
			account + "CloudTrail/us-east-1/2026/11/01", account + "CloudTrail/us-east-1/2026/11/02", account + "CloudTrail/us-east-1/2026/11/03", account + "CloudTrail-Insight/us-east-1/2026/11/01", "AWSLogs/o-abcdefghij/444455556666/CloudTrail/us-east-1/2025/11/01", "elsewhere",
		}, 0, 1},
		{"since a day, and the day before it", "", Selection{Since: day("2026-11-02")}, []string{
			account + "CloudTrail/eu-west-1/2026/11/01", account + "CloudTrail/us-east-1/2026/11/01", account + "CloudTrail/us-east-1/2026/11/02",
			account + "CloudTrail/us-east-1/2026/11/03", account + "CloudTrail-Insight/us-east-1/2026/11/01", "elsewhere",
		}, 2, 1},
		{"until the end of a day, and the day after it", account + "CloudTrail/us-east-1", Selection{Until: day("2026-11-01").Add(-1)}, []string{
			account + "CloudTrail/us-east-1/2026/10/30", account + "CloudTrail/us-east-1/2026/10/31", account + "CloudTrail/us-east-1/2026/11/01",
		}, 2, 0},
		{"an account", "", Selection{Accounts: []string{"444455556666"}}, []string{"AWSLogs/o-abcdefghij/444455556666/CloudTrail/us-east-1/2025/11/01", "elsewhere"}, 1, 0},
		{"a region", "AWSLogs/111122223333", Selection{Regions: []string{"eu-west-1", "eu-west-2"}}, []string{account + "CloudTrail/eu-west-1/2026/11/01"}, 2, 1},
		{"a folder that is named, outside the selection", account + "CloudTrail/us-east-1/2026/10/30", Selection{Since: day("2026-11-02")}, nil, 1, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, summary := reviewed(t, Config{Paths: []string{filepath.Join(root, c.from)}, Selection: c.selection})
			var read []string
			for _, p := range summary.Problems {
				below, err := filepath.Rel(root, filepath.Dir(p.File))
				if err != nil {
					t.Fatal(err)
				}
				read = append(read, filepath.ToSlash(below))
			}
			if diff := cmp.Diff(c.read, read); diff != "" {
				t.Error(diff)
			}
			if summary.DigestFolders != c.digest || summary.Files != len(c.read) || c.skipped != summary.FoldersSkipped {
				t.Errorf("%d folders of digests, %d skipped, %d files", summary.DigestFolders, summary.FoldersSkipped, summary.Files)
			}
		})
	}
}

func TestSelectionOfCalls(t *testing.T) {
	call := func(at, account, region string) *pipeline.Finding {
		e := new(classify.Event)
		e.EventTime.Value, e.AWSRegion.Value = at, region
		return &pipeline.Finding{Event: e, Finding: classify.Finding{AccountID: account}}
	}
	all := Selection{Since: day("2026-11-02"), Until: day("2026-11-03"), Accounts: []string{"111122223333"}, Regions: []string{"us-east-1"}}
	for _, c := range []struct {
		name      string
		selection Selection
		call      *pipeline.Finding
		want      bool
	}{
		{"nothing is asked for in particular", Selection{}, call("", "unknown", ""), true},
		{"all fits", all, call("2026-11-02T08:00:00Z", "111122223333", "us-east-1"), true},
		{"at the first moment", all, call("2026-11-02T00:00:00Z", "111122223333", "us-east-1"), true},
		{"at the last moment", all, call("2026-11-03T00:00:00Z", "111122223333", "us-east-1"), true},
		{"too early", all, call("2026-11-01T23:59:59Z", "111122223333", "us-east-1"), false},
		{"too late", all, call("2026-11-03T00:00:01Z", "111122223333", "us-east-1"), false},
		{"another account", all, call("2026-11-02T08:00:00Z", "444455556666", "us-east-1"), false},
		{"another region", all, call("2026-11-02T08:00:00Z", "111122223333", "us-east-2"), false},
		{"no time, account and region that could be read", all, call("yesterday", "unknown", ""), true},
	} {
		if got := c.selection.Wants(c.call); got != c.want {
			t.Errorf("%s: %v", c.name, got)
		}
	}
}

// FuzzPlace checks that whatever a path says is what stands in it.
func FuzzPlace(f *testing.F) {
	f.Add("/b/AWSLogs/o-abcdefghij/111122223333/CloudTrail/us-east-1/2026/11/02")
	f.Add("CloudTrail-Digest/us-east-1/2026/02/30")
	f.Add("AWSLogs//CloudTrail/")
	f.Fuzz(func(t *testing.T, path string) {
		p := trailFolderOf(path)
		if !strings.Contains(path, p.account) || !strings.Contains(path, p.region) || p.to.Before(p.from) || p.from.IsZero() != p.to.IsZero() {
			t.Fatalf("%+v", p)
		}
		if span := p.to.Sub(p.from); !p.from.IsZero() && (span < 24*time.Hour || span > 366*24*time.Hour || !strings.Contains(path, p.from.Format("2006"))) {
			t.Fatalf("%+v", p)
		}
		if (&Selection{}).skips(p) {
			t.Fatal("nothing is asked for in particular, and the folder is skipped")
		}
	})
}
