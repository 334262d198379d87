package archive

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"sync"

	"rootwatch/pipeline"
	"rootwatch/pipeline/coverage"
)

// summary is a coverage.Summary in the making.
type summary struct {
	mu sync.Mutex // guards all that follows: readers, the walk and the pipeline write to it
	coverage.Summary
	aliens, noFiles, mixed, problems, sought []placed
}

// placed is a problem with its place in the order of files.
type placed struct {
	position int
	coverage.Problem
}

// Summary is for when Run has returned. Its lists are in the order of the files.
func (s *Source) Summary() coverage.Summary {
	s.summary.mu.Lock()
	defer s.summary.mu.Unlock()
	all := s.summary.Summary
	all.NotCloudTrail = inOrder(s.summary.aliens)
	all.NotFiles = inOrder(s.summary.noFiles)
	all.Mixed = inOrder(s.summary.mixed)
	for _, p := range inOrder(s.summary.sought) {
		all.Sought = append(all.Sought, p.File)
	}
	all.Problems = inOrder(s.summary.problems)
	return all
}

func inOrder(list []placed) (problems []coverage.Problem) {
	slices.SortStableFunc(list, func(a, b placed) int { return cmp.Compare(a.position, b.position) })
	for _, p := range list {
		problems = append(problems, p.Problem)
	}
	return problems
}

func (s *summary) problem(position int, p coverage.Problem) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.problems = append(s.problems, placed{position, p})
}

func (s *summary) noFile(position int, p coverage.Problem) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.noFiles = append(s.noFiles, placed{position, p})
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
	trail    bool // found where a log file of CloudTrail's is due
	// batches are made by a reader, and submitted when it is the file's turn. They are closed at
	// its end.
	batches chan cut

	alien  string // why it is no log of CloudTrail's; set before batches are closed
	digest bool   // likewise
	sought bool   // likewise: Config.Seek stands in its text

	mu         sync.Mutex      // guards what follows
	pending    int             // batches that are not done, and 1 until the last is submitted
	events     pipeline.Counts // what the units ended as
	aggregated int             // of those that are not CloudTrail's calls, its aggregated events
	read       faults          // what the reader found to be wrong
	decoded    faults          // what the decoder found to be wrong
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
		batches: make(chan cut, 2), pending: 1,
	}
}

func (f *file) fail(err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.read.add(err)
}

// note is something to be said of the file, and how much more there is.
func (f *file) note(reason string, more int) placed {
	return placed{f.position, coverage.Problem{File: f.path, Reason: reason, More: more}}
}

func (f *file) hold() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.pending++
}

// add takes note of what became of a batch, whose records begin at these places.
func (f *file) add(o pipeline.Outcome, spots []spot) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.events.Add(o.Events)
	f.aggregated += o.Aggregated
	for _, b := range o.Broken {
		if f.decoded.first == nil { // the others are only counted
			b.Err = fmt.Errorf("%w, in the value that begins at %s", b.Err, spots[b.Record])
		}
		f.decoded.add(b.Err)
	}
}

// release is called once for each batch that is done, and once when all are submitted. The last one
// ends the file.
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
	units, others := f.events.Total(), f.events[pipeline.ResultNotCloudTrail]
	if others > f.aggregated && others == units {
		f.alien = alienJSON
	}
	if f.sought {
		s.sought = append(s.sought, f.note("", 0))
	}
	first := f.read.first // it names the cause, and the place
	if first == nil {
		first = f.decoded.first
	}
	if f.alien == "" || first != nil {
		s.Events.Add(f.events)
	}
	switch {
	case first != nil:
		s.problems = append(s.problems, f.note(first.Error(), f.read.count+f.decoded.count-1))
	case f.digest && units == 0:
		s.Digests++
	case f.alien == alienEmpty && f.path == coverage.Stdin: // what a search has found that found nothing
		s.aliens = append(s.aliens, f.note(nothing, 0))
	case f.alien == alienEmpty && f.named:
		s.problems = append(s.problems, f.note(nothing, 0))
	case f.alien != "" && f.named:
		s.problems = append(s.problems, f.note("not CloudTrail: "+f.alien, 0))
	case f.alien != "" && f.trail:
		s.problems = append(s.problems, f.note(f.alien+", where a log file of CloudTrail's is due", 0))
	case f.alien != "":
		s.aliens = append(s.aliens, f.note(f.alien, 0))
	case others > 0:
		s.mixed = append(s.mixed, f.note(mixture(others-f.aggregated, f.aggregated), 0))
	}
}

// Why a file is no log of CloudTrail's.
const (
	alienEmpty = "empty"
	alienZeros = "nothing but zero bytes"
	alienText  = "not JSON"
	alienJSON  = "JSON, but no event of CloudTrail's in it"
	nothing    = "empty: nothing to judge"
)

// mixture says what stands in a file that holds no calls: aggregated events (package envelope), and
// others.
func mixture(others, aggregated int) string {
	var parts []string
	switch others {
	case 0:
	case 1:
		parts = append(parts, "1 value in it is not CloudTrail's, and is not judged")
	default:
		parts = append(parts, fmt.Sprintf("%d values in it are not CloudTrail's, and are not judged", others))
	}
	switch aggregated {
	case 0:
	case 1:
		parts = append(parts, "1 aggregated event in it sums up data events: it is no call, and is not judged")
	default:
		parts = append(parts, fmt.Sprintf("%d aggregated events in it sum up data events: they are no calls, and are not judged", aggregated))
	}
	return strings.Join(parts, "; ")
}
