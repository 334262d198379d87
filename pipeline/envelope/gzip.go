package envelope

import (
	"bytes"
	"compress/gzip"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
)

var errTooBig = errors.New("limit exceeded: the record expands to more bytes than allowed")

func isGzip(data []byte) bool { return len(data) >= 2 && data[0] == 0x1f && data[1] == 0x8b }

// expander is what expanding a record needs.
type expander struct {
	zip  gzip.Reader
	in   bytes.Reader
	text []byte // the record's, until the next one is expanded
}

// expand fills text with what a record expands to, or with as much of it as there is before an
// error and the limit. Whenever the text is to take more than KeptBytes it yields LargeText.
func (x *expander) expand(data []byte, limit int, yield func(Unit) bool) error {
	x.text = x.text[:0]
	x.in.Reset(data)
	if err := x.zip.Reset(&x.in); err != nil {
		return fmt.Errorf("invalid gzip: %w", err)
	}
	size := promised(data, limit)
	for {
		if len(x.text) == cap(x.text) {
			// What the trailer promises goes at once, or the buffer and the next larger one were
			// held together.
			size = max(size, min(2*len(x.text), limit+1), minText)
			if size > KeptBytes && !yield(Unit{Kind: LargeText, Size: size + len(x.text)}) {
				return errLeft
			}
			x.text = append(make([]byte, 0, size), x.text...)
		}
		n, err := x.zip.Read(x.text[len(x.text):cap(x.text)])
		x.text = x.text[:len(x.text)+n]
		switch {
		case len(x.text) > limit:
			x.text = x.text[:limit]
			return errTooBig
		case err == io.EOF:
			return nil
		case err != nil:
			return fmt.Errorf("invalid gzip: %w", err)
		}
	}
}

// minText is the smallest buffer for a text.
const minText = 64 << 10

// promised is the size that a gzip's trailer gives to its text (RFC 1952, ISIZE), and one byte more
// to meet the end in: as far as that is possible (deflate makes at most 1,032 bytes of one) and
// allowed.
func promised(data []byte, limit int) int {
	if len(data) < 4 {
		return 0
	}
	size := int(binary.LittleEndian.Uint32(data[len(data)-4:]))
	return min(size, 1032*len(data), limit) + 1
}

// KeptBytes is the largest buffer that a decoder keeps between two records: one gzip bomb must not
// hold memory for good.
const KeptBytes = 4 << 20

// errLeft means that the consumer has left the sequence.
var errLeft = errors.New("the sequence was left")
