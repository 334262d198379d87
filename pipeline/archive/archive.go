package archive

import (
	"context"
	"errors"
	"io"
	"runtime"
	"sync"
	"sync/atomic"

	"golang.org/x/sync/errgroup"

	"rootwatch/pipeline"
	"rootwatch/pipeline/coverage"
)

// Config says what is read.
type Config struct {
	// Paths are files, folders (with all that is below them) and "-" for Stdin.
	Paths []string
	Stdin io.Reader
	// Selection rules out folders of a trail's layout. The zero value reads everything.
	Selection Selection
	// Seek is a text that is looked for, to tell of an event that is not a root call whether it is
	// there at all. "" for none.
	Seek string
	// Readers is how many files are read at once. Default GOMAXPROCS.
	Readers int
}

// Source is a [pipeline.Source] of files. It is for one Run.
type Source struct {
	cfg     Config
	files   atomic.Int64 // finished
	bytes   atomic.Int64 // read from the files, as they are stored
	summary summary
}

// New checks the configuration. Nothing is read before [Source.Run].
func New(cfg Config) (*Source, error) {
	if len(cfg.Paths) == 0 {
		return nil, errors.New("no path is named: name files, folders or - for standard input")
	}
	stdin := 0
	for _, p := range cfg.Paths {
		switch p {
		case "":
			return nil, errors.New(`a path is empty; "." is the folder that you are in`)
		case coverage.Stdin:
			stdin++
		}
	}
	if stdin > 1 {
		return nil, errors.New("standard input (-) can be read only once")
	}
	if cfg.Readers <= 0 {
		cfg.Readers = runtime.GOMAXPROCS(0)
	}
	return &Source{cfg: cfg}, nil
}

// Progress is how many files are finished and how many of their bytes, as stored, are read. It may
// be called while Run goes on.
func (s *Source) Progress() (files int, bytes int64) {
	return int(s.files.Load()), s.bytes.Load()
}

// Run implements [pipeline.Source]. Files are read several at a time, and their batches are
// submitted as if it had been one after another: what comes out does not depend on who was faster.
// What is wrong with a file is no error of Run's, and ends the reading of that file alone; see
// [Source.Summary].
func (s *Source) Run(ctx context.Context, submit func(context.Context, *pipeline.Batch) error) error {
	group, ctx := errgroup.WithContext(ctx)
	toRead, inOrder := make(chan *file), make(chan *file, 2*s.cfg.Readers)
	group.Go(func() error {
		defer close(toRead)
		defer close(inOrder)
		return s.walk(ctx, func(f *file) error {
			for _, queue := range []chan *file{inOrder, toRead} {
				select {
				case queue <- f:
				case <-ctx.Done():
					return ctx.Err()
				}
			}
			return nil
		})
	})
	for range s.cfg.Readers {
		group.Go(func() error {
			r := newReader(s)
			defer r.close()
			for f := range toRead {
				if err := r.read(ctx, f); err != nil {
					return err
				}
			}
			return nil
		})
	}
	var done sync.WaitGroup
	group.Go(func() error { return s.submit(ctx, inOrder, submit, &done) })
	if err := group.Wait(); err != nil {
		return err
	}
	done.Wait() // for batches that were taken; a pipeline that does not finish them is stopped by its owner
	return nil
}

// submit hands over what the readers have found, file by file.
func (s *Source) submit(ctx context.Context, files <-chan *file, submit func(context.Context, *pipeline.Batch) error, done *sync.WaitGroup) error {
	for f := range files {
		for b := range each(ctx, f.batches) {
			done.Add(1)
			b.Done = func(o pipeline.Outcome) {
				f.add(o, b.spots)
				s.release(f)
				done.Done()
			}
			if err := submit(ctx, b.Batch); err != nil {
				return err
			}
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
		s.release(f)
	}
	return ctx.Err()
}

// each gives what comes out of a channel until it is closed or ctx ends.
func each(ctx context.Context, in <-chan cut) func(yield func(cut) bool) {
	return func(yield func(cut) bool) {
		for {
			select {
			case b, ok := <-in:
				if !ok || !yield(b) {
					return
				}
			case <-ctx.Done():
				return
			}
		}
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
