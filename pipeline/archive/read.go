package archive

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"os"
	"sync/atomic"

	"rootwatch/pipeline"
)

const (
	// maxBatch is how many bytes of records a batch has at most, but for a single larger one.
	maxBatch = 1 << 20
	// maxRecords is how many records a batch has at most.
	maxRecords = 1000
	// largeFile is from how many bytes on a compressed file is expanded on a goroutine of its own.
	largeFile = 8 << 20
)

// reader reads one file after another.
type reader struct {
	source   *Source
	expander *expander
	cutter   cutter
}

func newReader(s *Source) *reader { return &reader{source: s, expander: newExpander()} }

func (r *reader) close() { r.expander.close() }

// read reads a file and closes its batches. It fails only when ctx ends: all else is the file's own matter.
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
	if f.path == Stdin {
		raw = readAhead(ctx, raw) // left to itself if ctx ends: a terminal may never answer
	} else {
		opened, err := os.Open(f.path)
		if err != nil {
			return err
		}
		defer opened.Close() //nolint:errcheck // nothing was written
		if info, err := opened.Stat(); err == nil && info.Mode().IsRegular() {
			large = info.Size() >= largeFile
		}
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
	return read(text)
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

// alien says why a text is surely no log of CloudTrail's, "" if it may be one. A file that begins as a document or an
// exported line does is read in any case, so that a broken one is noticed; another only if it speaks of events further on.
func (c *cutter) alien() string {
	if _, ok := c.peek(); !ok {
		return "empty"
	}
	rest := c.atLeast(maxStamp)
	if documentBegins(rest[stamp(rest):]) || bytes.Contains(rest, []byte(`"eventSource"`)) {
		return ""
	}
	return "not JSON"
}

// documentBegins says whether a text begins with an object, or with a list of values that may be events.
func documentBegins(text []byte) bool {
	if len(text) == 0 || text[0] != '{' && text[0] != '[' {
		return false
	}
	inside := bytes.TrimLeft(text[1:], " \t\r\n")
	switch {
	case len(inside) == 0:
		return true
	case text[0] == '{':
		return inside[0] == '"' || inside[0] == '}'
	}
	return bytes.IndexByte([]byte(`{["]`), inside[0]) >= 0
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

// cutting makes batches of the pieces of a file.
type cutting struct {
	ctx   context.Context
	file  *file
	batch *pipeline.Batch
	bytes int
}

func (c *cutting) current() *pipeline.Batch {
	if c.batch == nil {
		c.batch = &pipeline.Batch{File: c.file.path}
	}
	return c.batch
}

func (c *cutting) notRoot() { c.current().NotRoot++ }

func (c *cutting) broken(err error) { c.file.fail(err) }

func (c *cutting) piece(data []byte) {
	if isDigest(data) {
		c.file.digest = true
		return
	}
	b := c.current()
	b.Records = append(b.Records, pipeline.Record{Data: bytes.Clone(data)})
	if c.bytes += len(data); c.bytes >= maxBatch || len(b.Records) >= maxRecords {
		_ = c.flush() // only ctx can fail it, and then the next Read fails too
	}
}

// flush hands the batch over to whoever submits it.
func (c *cutting) flush() error {
	if c.batch == nil {
		return nil
	}
	c.file.hold()
	select {
	case c.file.batches <- c.batch:
		c.batch, c.bytes = nil, 0
		return nil
	case <-c.ctx.Done():
		return c.ctx.Err()
	}
}

// isDigest says whether a piece is a digest file of CloudTrail's: it lists log files, and holds no event (AWS CloudTrail
// User Guide, "CloudTrail digest file structure").
func isDigest(data []byte) bool {
	if !bytes.Contains(data, []byte(`"digestS3Bucket"`)) {
		return false
	}
	var d struct {
		Bucket     string          `json:"digestS3Bucket"`
		Start      string          `json:"digestStartTime"`
		Source     json.RawMessage `json:"eventSource"`
		DetailType json.RawMessage `json:"detail-type"`
		Records    json.RawMessage `json:"Records"`
	}
	return json.Unmarshal(data, &d) == nil && d.Bucket != "" && d.Start != "" &&
		d.Source == nil && d.DetailType == nil && d.Records == nil
}
