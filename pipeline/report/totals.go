package report

import (
	"fmt"
	"strings"

	"rootwatch/classify/plain"
	"rootwatch/pipeline"
	"rootwatch/pipeline/coverage"
)

// all is the number of events that were read, by anybody: what is not CloudTrail's is none.
func all(read coverage.Summary) int {
	return read.Events.Total() - read.Events[pipeline.ResultNotCloudTrail] - read.Events[pipeline.ResultHeartbeat]
}

// maxNamed is how many files are named in a sentence.
const maxNamed = 3

// totals say in sentences what was read; unexplained and invoked are the root calls that were asked
// for.
func totals(read coverage.Summary, unexplained, invoked int) []string {
	of := []string{counted(unexplained, "unexplained root call", "unexplained root calls"), number(invoked) + " by services themselves"}
	for _, p := range []struct {
		n         int
		one, many string
	}{
		{read.Unselected, "root call outside the selection", "root calls outside the selection"},
		{read.Events[pipeline.ResultDuplicate], "copy of a root call", "copies of root calls"},
		{read.Events[pipeline.ResultNotRoot], "not by root", "not by root"},
		{read.Events[pipeline.ResultUndecodable], "undecodable", "undecodable"},
		{read.Events[pipeline.ResultForeignSource], "from a foreign source", "from a foreign source"},
	} {
		if p.n > 0 {
			of = append(of, counted(p.n, p.one, p.many))
		}
	}
	lines := []string{fmt.Sprintf("Read %s in %s: %s.", counted(all(read), "event", "events"), counted(read.Files, "file", "files"), strings.Join(of, ", "))}
	var unread []string
	for _, p := range []struct {
		n         int
		one, many string
	}{
		{read.FoldersSkipped, "folder outside the selection", "folders outside the selection"},
		{read.DigestFolders, "folder of digests", "folders of digests"},
		{read.Digests, "digest file", "digest files"},
		{len(read.NotFiles), "pipe, device or socket", "pipes, devices and sockets"},
		{read.Events[pipeline.ResultNotCloudTrail], "value that is not CloudTrail's", "values that are not CloudTrail's"},
	} {
		if p.n > 0 {
			unread = append(unread, counted(p.n, p.one, p.many))
		}
	}
	others := read.OtherFiles()
	if n := len(others); n > 0 {
		named := strings.Join(quoted(others[:min(n, maxNamed)]), ", ")
		if n > maxNamed {
			named += ", …"
		}
		unread = append(unread, counted(n, "file that is not CloudTrail's", "files that are not CloudTrail's")+" ("+named+")")
	}
	if len(unread) > 0 {
		lines = append(lines, "Left out: "+strings.Join(unread, ", ")+".")
	}
	if read.Events[pipeline.ResultForeignSource] > 0 {
		lines = append(lines, "Events from a foreign source claim to be CloudTrail's and were put on a bus by somebody else: they are not judged, unless --eventbridge.trusted-source names their source.")
	}
	if n := len(read.Problems); n > 0 {
		lines = append(lines, "The answer is not complete: "+counted(n, "file or folder", "files or folders")+" could not be judged in full.")
	}
	if read.Interrupted {
		lines = append(lines, "The answer is not complete: the reading was interrupted.")
	}
	return lines
}

func quoted(texts []string) (plainTexts []string) {
	for _, s := range texts {
		plainTexts = append(plainTexts, plain.Visible(s))
	}
	return plainTexts
}
