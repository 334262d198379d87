package scan

import (
	"bytes"
	"errors"
	"io"
	"testing"
	"testing/iotest"

	"rootwatch/pipeline/scan/scantest"
)

// splitter reads the elements of a JSON array one by one, as a reader of a log file of any size
// does.
type splitter struct {
	r          io.Reader
	buf        []byte
	start, end int // what is left in buf
	scanned    int // bytes given to Next in all
}

// next returns the next element, valid until the next call.
func (s *splitter) next() ([]byte, Verdict, error) {
	for {
		rest := s.buf[s.start:s.end]
		s.scanned += len(rest)
		n, v := Next(rest)
		switch v {
		case Invalid:
			return nil, v, errors.New("invalid")
		case Incomplete:
			if err := s.more(); err != nil {
				return nil, v, err
			}
			continue
		}
		s.scanned -= len(rest) - n
		s.start += n
		for s.start == s.end {
			if err := s.more(); err != nil {
				return nil, v, err
			}
		}
		s.start++ // the comma or the closing bracket
		return rest[:n], v, nil
	}
}

// more fills the buffer, having made it so large that there is twice as much to scan as there was.
func (s *splitter) more() error {
	left := s.buf[s.start:s.end]
	if 2*len(left) > len(s.buf) {
		s.buf = make([]byte, 2*len(s.buf))
	}
	s.end = copy(s.buf, left)
	s.start = 0
	n, err := io.ReadFull(s.r, s.buf[s.end:])
	s.end += n
	if n > 0 {
		return nil
	}
	return err
}

func TestElementsOfAStreamAreReadInLinearTime(t *testing.T) {
	g := scantest.New(8)
	var events [][]byte
	for range 1000 {
		events = append(events, g.Bare(scantest.Ordinary))
	}
	huge := []byte(`{"a":"` + string(bytes.Repeat([]byte("x"), 3<<20)) + `"}`)
	events[500] = huge
	list := append(bytes.Join(events, []byte(",")), ']')

	for name, r := range map[string]io.Reader{
		"in large pieces": bytes.NewReader(list),
		"in small pieces": iotest.HalfReader(bytes.NewReader(list)),
	} {
		for _, size := range []int{1, 1000, 1 << 16} {
			s := &splitter{r: r, buf: make([]byte, size)}
			for i, want := range events {
				got, v, err := s.next()
				if err != nil {
					t.Fatalf("%s, buffer of %d, element %d: %v", name, size, i, err)
				}
				if !bytes.Equal(got, want) || v == Unsure != (i == 500) {
					t.Fatalf("%s, buffer of %d, element %d: %v, %d bytes, want %d", name, size, i, v, len(got), len(want))
				}
			}
			if s.scanned > 3*len(list) {
				t.Errorf("%s, buffer of %d: scanned %d bytes of %d", name, size, s.scanned, len(list))
			}
			r = bytes.NewReader(list)
		}
	}
}
