// Package coverage is what a review has read and what it has left out, so that an answer never
// passes for more than it is. The source of files (package archive) fills a [Summary] in, package
// review decides on it, and package report writes it in sentences.
package coverage

import (
	"fmt"

	"rootwatch/pipeline"
)

// Summary says what became of the paths of a review.
type Summary struct {
	Files          int             // read, the following three included
	Digests        int             // CloudTrail's digest files, recognised by their content
	NotCloudTrail  []Problem       // files in folders that are something else; standard input without anything in it
	NotFiles       []Problem       // pipes, devices and sockets in folders: left out
	Mixed          []Problem       // files that hold values that are not judged: those of others beside CloudTrail's, and aggregated events
	Problems       []Problem       // what could not be read, or not to its end; files that are something else and must not be
	FoldersSkipped int             // ruled out by the selection
	DigestFolders  int             // skipped unread
	Events         pipeline.Counts // all units found, without those of NotCloudTrail
	Sought         []string        // files whose text holds the id of the event that is to be explained

	Interrupted bool // the reading was ended before its end
	Unselected  int  // root calls that were not asked for; the report counts them
}

// Stdin is the path that stands for standard input.
const Stdin = "-"

// Problem is what is wrong with a file or folder.
type Problem struct {
	File   string
	Reason string // the first that was met
	More   int    // how many more there were
}

func (p Problem) String() string {
	if p.More > 0 {
		return fmt.Sprintf("%s: %s (and %d more)", p.File, p.Reason, p.More)
	}
	return p.File + ": " + p.Reason
}

// OtherFiles are the files that hold something else than CloudTrail's log: standard input is no
// file.
func (s *Summary) OtherFiles() (paths []string) {
	for _, p := range s.NotCloudTrail {
		if p.File != Stdin {
			paths = append(paths, p.File)
		}
	}
	return paths
}
