package archive

import (
	"bytes"
	"errors"
	"fmt"
	"io"

	"rootwatch/pipeline/scan"
)

// cutter cuts a text into the values that may be events. It knows of the forms only what it takes
// to find these:
//
//	a JSON value           as it is
//	a JSON array           its elements, each like a text of its own
//	{"Records":[…]}        the elements; {"Events":[…]} of LookupEvents and of FilterLogEvents likewise
//	time JSON value        the value: a line of an export by CloudWatch Logs
//
// Any number of them may stand one behind the other, with or without white space: JSON lines, and
// what Firehose writes. Every other document is one value; if it does not fit into the buffer it is
// gone through member by member, and the elements of its lists are the values.
//
// Where the text breaks, the broken piece is handed over like any other (the decoder judges what
// stands before the break, and says what is wrong), and the cutter goes on behind it, where the
// next value begins.
type cutter struct {
	in         io.Reader
	out        pieces
	buf        []byte
	start, end int   // what is left in buf
	base       int64 // offset in the text of buf[0]
	lines      int64 // line ends in the text before buf[counted]
	counted    int
	limit      int   // bytes that buf may grow to
	err        error // why in has ended: io.EOF, or what broke
}

// pieces takes what is cut out.
type pieces interface {
	// notRoot takes note of an event that root surely did not make.
	notRoot()
	// piece takes a value, or a broken one, for the decoder, and where it begins. The bytes are the
	// cutter's.
	piece(data []byte, at spot)
	// broken takes note of a break between values.
	broken(err error)
}

// spot is the place of a byte in the buffer. Calls must not go back.
func (c *cutter) spot(i int) spot {
	c.count(i)
	return spot{c.base + int64(i), c.lines + 1}
}

func (c *cutter) count(i int) {
	if i > c.counted {
		c.lines += int64(bytes.Count(c.buf[c.counted:i], []byte{'\n'}))
		c.counted = i
	}
}

const (
	// minBuffer is what is read at once at least.
	minBuffer = 256 << 10
	// maxBuffer bounds the memory for one file. Values of half of it are sure to fit; CloudTrail's
	// events have 256 KB at most, EventBridge's entries 1 MB, and an answer of LookupEvents has 50
	// events.
	maxBuffer = 32 << 20
	// maxDepth is how deep arrays are looked into.
	maxDepth = 8
)

var (
	errReported = errors.New("reported already")
	errTooLong  = errors.New("a value of more than 16 MiB, longer than any event")
	errCutOff   = errors.New("truncated: the text ends in the middle of a list")
)

func (c *cutter) reset(in io.Reader, out pieces) {
	if cap(c.buf) > minBuffer || c.buf == nil {
		c.buf = make([]byte, minBuffer) // one huge value must not hold memory for good
	}
	*c = cutter{in: in, out: out, buf: c.buf, limit: c.limit}
	if c.limit == 0 {
		c.limit = maxBuffer
	}
}

// more reads on behind what is left. It doubles a buffer of which more than half is taken, so that
// there is twice as much to scan as there was (see [scan.Next]); false means that the text has
// ended or that the limit is reached.
func (c *cutter) more() bool {
	if c.err != nil {
		return false
	}
	behind := min(c.start, 1) // the byte before what is left shows whether a line begins here
	left := c.buf[c.start-behind : c.end]
	c.count(c.start - behind)
	if 2*len(left) > len(c.buf) {
		if len(c.buf) >= c.limit {
			return false
		}
		c.buf = make([]byte, 2*len(c.buf))
	}
	c.base += int64(c.start - behind)
	c.counted -= c.start - behind
	c.start, c.end = behind, copy(c.buf, left)
	n, err := fill(c.in, c.buf[c.end:])
	c.end += n
	c.err = err
	return n > 0
}

// atLeast reads on until so many bytes are left, or all that there are.
func (c *cutter) atLeast(n int) []byte {
	for c.end-c.start < n && c.more() {
	}
	return c.buf[c.start:c.end]
}

// peek is the next byte that is not white space; false at the end.
func (c *cutter) peek() (byte, bool) {
	for {
		for ; c.start < c.end; c.start++ {
			switch b := c.buf[c.start]; b {
			case ' ', '\t', '\r', '\n':
			default:
				return b, true
			}
		}
		if !c.more() {
			return 0, false
		}
	}
}

// text cuts the whole text.
func (c *cutter) text() {
	for {
		if _, ok := c.peek(); !ok {
			return
		}
		c.start += stamp(c.atLeast(maxStamp))
		if _, ok := c.peek(); !ok {
			return
		}
		err := c.unit(0)
		if err == nil {
			continue
		}
		if err != errReported {
			c.out.broken(fmt.Errorf("%w, at %s", err, c.spot(c.start)))
		}
		if !c.nextLine() {
			return
		}
	}
}

// unit cuts the value that begins here.
func (c *cutter) unit(depth int) error {
	b, ok := c.peek()
	switch {
	case !ok:
		return c.cutOff()
	case b == '[' && depth < maxDepth:
		return c.array(func() error { return c.unit(depth + 1) })
	case b == '{' && opensList(c.atLeast(maxOpening)):
		return c.members()
	}
	data, v := c.value()
	switch {
	case v == scan.Incomplete && c.err == nil && b == '{':
		return c.members()
	case v == scan.Unsure && answersWithMessages(data):
		c.start -= len(data)
		return c.members()
	}
	return c.ended(data, v, depth > 0, quotedEvent)
}

// value scans the value that begins here and steps over it, if it is valid.
func (c *cutter) value() ([]byte, scan.Verdict) {
	for {
		rest := c.buf[c.start:c.end]
		n, v := scan.Next(rest)
		inNumber := n > 0 && n == len(rest) && '0' <= rest[n-1] && rest[n-1] <= '9'
		if (v == scan.Incomplete || inNumber) && c.more() {
			continue
		}
		if v == scan.Incomplete || v == scan.Invalid {
			return rest, v
		}
		c.start += n
		return rest[:n], v
	}
}

// ended hands over what value has found. inList says that a comma or a bracket must follow a broken
// value, wrap makes of a value what the decoder understands.
func (c *cutter) ended(data []byte, v scan.Verdict, inList bool, wrap func([]byte) []byte) error {
	switch v {
	case scan.NotRoot:
		c.out.notRoot()
		return nil
	case scan.Unsure:
		c.out.piece(wrap(data), c.spot(c.start-len(data)))
		return nil
	case scan.Incomplete:
		if c.err == nil {
			c.out.broken(fmt.Errorf("%w, at %s", errTooLong, c.spot(c.start)))
			return c.skip()
		}
		if line := beginning(data); line >= 0 {
			data = data[:line] // an earlier line is cut off, and the last ones only seem to belong to it
		}
		c.out.piece(data, c.spot(c.start))
		c.start += len(data)
		return errReported
	}
	return c.invalid(inList)
}

// invalid hands over a broken value. Where it ends is a guess: at the bracket that closes it, if
// what follows goes well with that, but in any case before the next line that begins as a value
// does.
func (c *cutter) invalid(inList bool) error {
	for {
		rest := c.buf[c.start:c.end]
		line := beginning(rest)
		within := rest
		if line >= 0 {
			within = rest[:line]
		}
		var s skimmer
		if n, ended := s.feed(within); ended && n > 0 {
			follows := bytes.TrimLeft(rest[n:], " \t\r\n")
			if len(follows) == 0 && c.more() {
				continue
			}
			if !inList || len(follows) > 0 && (follows[0] == ',' || follows[0] == ']') {
				c.out.piece(rest[:n], c.spot(c.start))
				c.start += n
				return nil
			}
		}
		if line < 0 && c.more() {
			continue
		}
		c.out.piece(within, c.spot(c.start))
		c.start += len(within)
		return errReported
	}
}

// nextLine steps over everything before the next line that begins as a value does.
func (c *cutter) nextLine() bool {
	for {
		rest := c.atLeast(maxStamp)
		if c.start > 0 && c.buf[c.start-1] == '\n' && begins(rest) {
			return true
		}
		if i := beginning(rest); i >= 0 {
			c.start += i
			return true
		}
		// The last line may begin here and go on behind the buffer.
		c.start = max(c.start, c.end-maxStamp)
		if !c.more() {
			return false
		}
	}
}

// beginning is where the first line but the one that data is in begins as a value does, -1 if none
// does.
func beginning(data []byte) int {
	for i := 0; ; {
		n := bytes.IndexByte(data[i:], '\n')
		if n < 0 {
			return -1
		}
		if i += n + 1; begins(data[i:]) {
			return i
		}
	}
}

// begins reports whether a line begins as a document, an event or an exported line does.
func begins(line []byte) bool {
	return len(line) > 0 && (line[0] == '{' || line[0] == '[') || stamp(line) > 0
}

// array cuts the elements of the array that begins here.
func (c *cutter) array(element func() error) error {
	c.start++
	if b, ok := c.peek(); ok && b == ']' {
		c.start++
		return nil
	}
	for {
		if _, ok := c.peek(); !ok {
			return c.cutOff()
		}
		if err := element(); err != nil {
			return err
		}
		switch b, ok := c.peek(); {
		case !ok:
			return c.cutOff()
		case b == ']':
			c.start++
			return nil
		case b != ',':
			return fmt.Errorf("invalid JSON: %q where a comma or the end of a list is due", b)
		}
		c.start++
	}
}

// cutOff is what is wrong when the text ends too early. If the file could not be read further, that
// is reported already.
func (c *cutter) cutOff() error {
	if c.err == io.EOF {
		return errCutOff
	}
	return errReported
}
