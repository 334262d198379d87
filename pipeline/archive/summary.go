package archive

import (
	"cmp"
	"fmt"
	"slices"
	"sync"

	"rootwatch/pipeline"
)

// Summary says what became of the paths.
type Summary struct {
	Files          int            // read, the following three included
	Digests        int            // CloudTrail's digest files, recognised by their content
	NotCloudTrail  []Problem      // files in folders that are something else
	Problems       []Problem      // what could not be read, or not to its end; files named directly that are something else
	FoldersSkipped int            // ruled out by the selection
	DigestFolders  int            // skipped unread
	Events         map[string]int // all units found, by the results of rootwatch_events_total
}

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

// summary is a Summary in the making.
type summary struct {
	mu sync.Mutex // guards all that follows: readers, the walk and the pipeline write to it
	Summary
	aliens, problems []placed
}

// placed is a problem with its place in the order of files.
type placed struct {
	position int
	Problem
}

// Summary is for when Run has returned. Its lists are in the order of the files.
func (s *Source) Summary() Summary {
	s.summary.mu.Lock()
	defer s.summary.mu.Unlock()
	all := s.summary.Summary
	all.NotCloudTrail = inOrder(s.summary.aliens)
	all.Problems = inOrder(s.summary.problems)
	return all
}

func inOrder(list []placed) (problems []Problem) {
	slices.SortStableFunc(list, func(a, b placed) int { return cmp.Compare(a.position, b.position) })
	for _, p := range list {
		problems = append(problems, p.Problem)
	}
	return problems
}

func (s *summary) problem(position int, p Problem) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.problems = append(s.problems, placed{position, p})
}

func (s *summary) skip(count *int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	*count++
}

// file is one file on its way.
type file struct {
	path     string
	position int  // among all files
	named    bool // by the user, not found in a folder
	// batches are made by a reader, and submitted when it is the file's turn. They are closed at its end.
	batches chan *pipeline.Batch

	alien  string // why it is no log of CloudTrail's; set before batches are closed
	digest bool   // likewise

	mu      sync.Mutex     // guards what follows
	pending int            // batches that are not done, and 1 until the last is submitted
	events  map[string]int // what the units ended as
	read    faults         // what the reader found to be wrong
	decoded faults         // what the decoder found to be wrong
}

// faults are counted, and the first speaks for all: a large file may be wrong in every line.
type faults struct {
	first error
	count int
}

func (f *faults) add(err error) {
	if f.first == nil {
		f.first = err
	}
	f.count++
}

func newFile(path string, position int, named bool) *file {
	return &file{
		path: path, position: position, named: named,
		batches: make(chan *pipeline.Batch, 2), pending: 1, events: make(map[string]int),
	}
}

func (f *file) fail(err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.read.add(err)
}

func (f *file) hold() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.pending++
}

// add takes note of what became of a batch.
func (f *file) add(b *pipeline.Batch) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for result, n := range b.Events() {
		f.events[result] += n
	}
	for _, err := range b.Broken() {
		f.decoded.add(err)
	}
}

// release is called once for each batch that is done, and once when all are submitted. The last one ends the file.
func (s *Source) release(f *file) {
	f.mu.Lock()
	f.pending--
	last := f.pending == 0
	f.mu.Unlock()
	if last {
		s.summary.add(f)
	}
}

// add takes a finished file into account.
func (s *summary) add(f *file) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.Files++
	if s.Events == nil {
		s.Events = make(map[string]int)
	}
	units := 0
	for result, n := range f.events {
		s.Events[result] += n
		units += n
	}
	if alien := f.events["not_cloudtrail"]; alien > 0 && alien == units {
		f.alien = "JSON, but no event of CloudTrail's in it"
	}
	first := f.read.first // it names the cause, and the place
	if first == nil {
		first = f.decoded.first
	}
	switch {
	case first != nil:
		s.problems = append(s.problems, placed{f.position, Problem{f.path, first.Error(), f.read.count + f.decoded.count - 1}})
	case f.digest && units == 0:
		s.Digests++
	case f.alien != "" && f.named:
		s.problems = append(s.problems, placed{f.position, Problem{f.path, "not CloudTrail: " + f.alien, 0}})
	case f.alien != "":
		s.aliens = append(s.aliens, placed{f.position, Problem{f.path, f.alien, 0}})
	}
}
