package archive

import (
	"errors"
	"fmt"
	"io/fs"
	"sync"

	"rootwatch/pipeline"
	"rootwatch/pipeline/coverage"
)

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

// placed is a problem with its place in the order of files.
type placed struct {
	position int
	coverage.Problem
}

// cut is a batch with the places of its records.
type cut struct {
	*pipeline.Batch
	spots []spot
}

// spot is a place in a text: in bytes from 0, in lines from 1.
type spot struct{ offset, line int64 }

func (s spot) String() string { return fmt.Sprintf("byte %d of the text (line %d)", s.offset, s.line) }

// Why a file is no log of CloudTrail's.
const (
	alienEmpty = "empty"
	alienZeros = "nothing but zero bytes"
	alienText  = "not JSON"
	alienJSON  = "JSON, but no event of CloudTrail's in it"
	nothing    = "empty: nothing to judge"
)

// reason is what is wrong, without the path: that stands beside it.
func reason(err error) string {
	var pathError *fs.PathError
	if errors.As(err, &pathError) {
		return pathError.Op + ": " + pathError.Err.Error()
	}
	return err.Error()
}
