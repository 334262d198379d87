package report

import (
	"fmt"
	"strings"

	"rootwatch/classify/plain"
	"rootwatch/pipeline"
)

// Totals is what was read, and what was not.
type Totals struct {
	Files          int
	Events         pipeline.Counts
	Digests        int
	NotCloudTrail  []string // files
	FoldersSkipped int
	DigestFolders  int
	NotFiles       int // pipes, devices and sockets
	Broken         int // files and folders that could not be judged, or not to their end
	Interrupted    bool
	Unselected     int      // root calls that were not asked for
	Sought         []string // files whose text holds the id of the event to be explained
}

// all is the number of events that were read, by anybody: what is not CloudTrail's is none.
func (t *Totals) all() int {
	return t.Events.Total() - t.Events[pipeline.ResultNotCloudTrail] - t.Events[pipeline.ResultHeartbeat]
}

// maxNamed is how many files are named in a sentence.
const maxNamed = 3

// Lines say in sentences what was read; unexplained and invoked are the root calls that were asked
// for.
func (t *Totals) Lines(unexplained, invoked int) []string {
	of := []string{counted(unexplained, "unexplained root call", "unexplained root calls"), number(invoked) + " by services themselves"}
	for _, p := range []struct {
		n         int
		one, many string
	}{
		{t.Unselected, "root call outside the selection", "root calls outside the selection"},
		{t.Events[pipeline.ResultDuplicate], "copy of a root call", "copies of root calls"},
		{t.Events[pipeline.ResultNotRoot], "not by root", "not by root"},
		{t.Events[pipeline.ResultUndecodable], "undecodable", "undecodable"},
		{t.Events[pipeline.ResultForeignSource], "from a foreign source", "from a foreign source"},
	} {
		if p.n > 0 {
			of = append(of, counted(p.n, p.one, p.many))
		}
	}
	lines := []string{fmt.Sprintf("Read %s in %s: %s.", counted(t.all(), "event", "events"), counted(t.Files, "file", "files"), strings.Join(of, ", "))}
	var unread []string
	for _, p := range []struct {
		n         int
		one, many string
	}{
		{t.FoldersSkipped, "folder outside the selection", "folders outside the selection"},
		{t.DigestFolders, "folder of digests", "folders of digests"},
		{t.Digests, "digest file", "digest files"},
		{t.NotFiles, "pipe, device or socket", "pipes, devices and sockets"},
		{t.Events[pipeline.ResultNotCloudTrail], "value that is not CloudTrail's", "values that are not CloudTrail's"},
	} {
		if p.n > 0 {
			unread = append(unread, counted(p.n, p.one, p.many))
		}
	}
	if n := len(t.NotCloudTrail); n > 0 {
		named := strings.Join(quoted(t.NotCloudTrail[:min(n, maxNamed)]), ", ")
		if n > maxNamed {
			named += ", …"
		}
		unread = append(unread, counted(n, "file that is not CloudTrail's", "files that are not CloudTrail's")+" ("+named+")")
	}
	if len(unread) > 0 {
		lines = append(lines, "Left out: "+strings.Join(unread, ", ")+".")
	}
	if t.Events[pipeline.ResultForeignSource] > 0 {
		lines = append(lines, "Events from a foreign source claim to be CloudTrail's and were put on a bus by somebody else: they are not judged, unless --eventbridge.trusted-source names their source.")
	}
	if t.Broken > 0 {
		lines = append(lines, "The answer is not complete: "+counted(t.Broken, "file or folder", "files or folders")+" could not be judged in full.")
	}
	if t.Interrupted {
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
