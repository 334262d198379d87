package pipeline

import (
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
)

var errTooBig = errors.New("limit exceeded: the record expands to more bytes than allowed")

func isGzip(data []byte) bool { return len(data) >= 2 && data[0] == 0x1f && data[1] == 0x8b }

// expander is what expanding a record needs, kept for the next one.
type expander struct {
	zip gzip.Reader
	buf bytes.Buffer
}

// maxKept is the largest buffer that waits for another record: one gzip bomb must not hold memory for good.
const maxKept = 4 << 20

// gzipped decodes a gzipped record. What could be expanded is decoded even if the rest could not.
func (r *reading) gzipped(data []byte) {
	x, _ := r.expanders.Get().(*expander)
	if x == nil {
		x = new(expander)
	}
	broken := x.expand(data, r.maxExpanded)
	r.document(x.buf.Bytes(), broken)
	if x.buf.Cap() <= maxKept {
		r.expanders.Put(x)
	}
}

// expand fills the buffer with the text, or with as much of it as there is before an error and the limit.
func (x *expander) expand(data []byte, limit int) error {
	x.buf.Reset()
	if err := x.zip.Reset(bytes.NewReader(data)); err != nil {
		return fmt.Errorf("invalid gzip: %w", err)
	}
	_, err := io.Copy(&x.buf, io.LimitReader(&x.zip, int64(limit)+1))
	if err != nil {
		return fmt.Errorf("invalid gzip: %w", err)
	}
	if x.buf.Len() > limit {
		x.buf.Truncate(limit)
		return errTooBig
	}
	return nil
}
