package archive

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"os"
	"sync/atomic"

	"rootwatch/pipeline/coverage"
)

// largeFile is from how many bytes on a compressed file is expanded on a goroutine of its own.
const largeFile = 8 << 20

// reader reads one file after another.
type reader struct {
	source   *Source
	expander *expander
	cutter   cutter
}

func newReader(s *Source) *reader { return &reader{source: s, expander: newExpander()} }

func (r *reader) close() { r.expander.close() }

// read reads a file and closes its batches. It fails only when ctx ends: any other error is
// recorded with the file.
func (r *reader) read(ctx context.Context, f *file) error {
	defer close(f.batches)
	defer r.source.files.Add(1)
	cut := &cutting{ctx: ctx, file: f}
	err := r.open(ctx, f, func(text io.Reader) error {
		r.cutter.reset(text, cut)
		return r.text(f)
	})
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if err != nil {
		f.fail(errors.New(reason(err)))
	}
	return cut.flush()
}

// open opens a file and what it is compressed with.
func (r *reader) open(ctx context.Context, f *file, read func(text io.Reader) error) error {
	raw := r.source.cfg.Stdin
	large := true // it may be
	info, err := os.Stat(f.path)
	switch {
	case f.path == coverage.Stdin:
		raw = readAhead(ctx, raw) // not waited for if ctx ends: a terminal may never answer
	case err != nil:
		return err
	case !info.Mode().IsRegular():
		raw = readAhead(ctx, &opening{path: f.path}) // likewise: a pipe that nobody writes to does not even open
	default:
		opened, err := os.Open(f.path)
		if err != nil {
			return err
		}
		defer opened.Close() //nolint:errcheck // nothing was written
		large = info.Size() >= largeFile
		raw = opened
	}
	text, compressed, err := r.expander.open(&counted{ctx: ctx, Reader: raw, bytes: &r.source.bytes})
	if err != nil {
		return err
	}
	if compressed && large {
		a := readAhead(ctx, text)
		defer a.close()
		text = a
	}
	if seek := r.source.cfg.Seek; seek != "" {
		text = &seeking{Reader: text, text: []byte(seek), found: &f.sought}
	}
	return read(text)
}

// opening opens a file with the first Read, and closes it with the last.
type opening struct {
	path string
	file *os.File
}

func (o *opening) Read(p []byte) (n int, err error) {
	if o.file == nil {
		if o.file, err = os.Open(o.path); err != nil {
			return 0, err
		}
	}
	if n, err = o.file.Read(p); err != nil {
		o.file.Close() //nolint:errcheck // nothing was written
	}
	return n, err
}

// seeking looks for a text in what is read.
type seeking struct {
	io.Reader
	text  []byte
	end   []byte // of what was read before: the text may begin in it
	found *bool
}

func (s *seeking) Read(p []byte) (int, error) {
	n, err := s.Reader.Read(p)
	if *s.found || n == 0 {
		return n, err
	}
	keep := len(s.text) - 1
	s.end = append(s.end, p[:min(n, keep)]...)
	*s.found = bytes.Contains(p[:n], s.text) || bytes.Contains(s.end, s.text)
	if n >= keep {
		s.end = append(s.end[:0], p[n-keep:n]...)
	} else {
		s.end = append(s.end[:0], s.end[max(0, len(s.end)-keep):]...)
	}
	return n, err
}

// text cuts the text of a file that may be CloudTrail's.
func (r *reader) text(f *file) error {
	c := &r.cutter
	if b := c.atLeast(3); bytes.HasPrefix(b, []byte("\xef\xbb\xbf")) {
		c.start += 3
	} else if bytes.HasPrefix(b, []byte("\xff\xfe")) || bytes.HasPrefix(b, []byte("\xfe\xff")) {
		return errUTF16
	}
	if alien := c.alien(); alien != "" && (c.err == nil || c.err == io.EOF) {
		f.alien = alien
		return nil
	}
	c.text()
	if c.err != io.EOF {
		return c.err
	}
	return nil
}

var errUTF16 = errors.New("the text is UTF-16, as PowerShell writes it; convert it to UTF-8")

// alien says why a text is surely no log of CloudTrail's, "" if it may be one. A file that begins
// as a document or an exported line does is read in any case, so that a broken one is noticed;
// another only if it speaks of events further on.
func (c *cutter) alien() string {
	if _, ok := c.peek(); !ok {
		return alienEmpty
	}
	rest := c.atLeast(maxStamp)
	switch {
	case documentBegins(rest[stamp(rest):]) || speaksOfEvents(rest):
		return ""
	case c.err == io.EOF && json.Valid(rest):
		return alienJSON
	case len(bytes.Trim(rest, "\x00")) == 0:
		return alienZeros
	}
	return alienText
}

// counted counts what is read, and ends with ctx.
type counted struct {
	ctx context.Context
	io.Reader
	bytes *atomic.Int64
}

func (r *counted) Read(p []byte) (int, error) {
	if err := r.ctx.Err(); err != nil {
		return 0, err
	}
	n, err := r.Reader.Read(p)
	r.bytes.Add(int64(n))
	return n, err
}
