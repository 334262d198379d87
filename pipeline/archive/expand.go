package archive

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
)

// maxNested is how often a text may be compressed: a delivery by Firehose is gzip in gzip, and
// somebody may have packed it once more. More is a bomb or a mistake.
const maxNested = 4

// maxWindow bounds a zstd decoder's memory: what `zstd --long` makes at its default.
const maxWindow = 128 << 20

var errNested = errors.New("compressed more than four times")

// expander gives the text of compressed files, one after another: its decoders are kept for the
// next file.
type expander struct {
	in    *bufio.Reader
	gzips [maxNested]*gzip.Reader
	zstds [maxNested]*zstd.Decoder
}

func newExpander() *expander { return &expander{in: bufio.NewReaderSize(nil, 64<<10)} }

// open returns the text of a file, and whether it is compressed.
func (x *expander) open(raw io.Reader) (text io.Reader, compressed bool, err error) {
	x.in.Reset(raw)
	in := x.in
	for level := 0; ; level++ {
		magic, _ := in.Peek(4) // an error comes again with the first Read
		var next io.Reader
		switch {
		case bytes.HasPrefix(magic, []byte{0x1f, 0x8b}) && level < maxNested:
			next, err = x.gzip(level, in)
		case isZstd(magic) && level < maxNested:
			next, err = x.zstd(level, in)
		case bytes.HasPrefix(magic, []byte{0x1f, 0x8b}) || isZstd(magic):
			return nil, true, errNested
		default:
			return in, level > 0, nil
		}
		if err != nil {
			return nil, true, err
		}
		in = bufio.NewReaderSize(next, 64<<10)
	}
}

// isZstd knows frames of zstd, and the skippable ones that pzstd begins with (RFC 8878, 3.1).
func isZstd(magic []byte) bool {
	return len(magic) == 4 && (string(magic) == "\x28\xb5\x2f\xfd" || magic[0]&0xf0 == 0x50 && string(magic[1:]) == "\x2a\x4d\x18")
}

func (x *expander) gzip(level int, in *bufio.Reader) (io.Reader, error) {
	if x.gzips[level] == nil {
		x.gzips[level] = new(gzip.Reader)
	}
	m := &gzipMembers{in: in, Reader: x.gzips[level]}
	if err := m.begin(); err != nil {
		return nil, named("gzip", err)
	}
	return &decoding{"gzip", m}, nil
}

func (x *expander) zstd(level int, in *bufio.Reader) (io.Reader, error) {
	if x.zstds[level] == nil {
		d, err := zstd.NewReader(nil, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxWindow(maxWindow))
		if err != nil {
			return nil, named("zstd", err)
		}
		x.zstds[level] = d
	}
	if err := x.zstds[level].Reset(in); err != nil {
		return nil, named("zstd", err)
	}
	return &decoding{"zstd", x.zstds[level]}, nil
}

func (x *expander) close() {
	for _, d := range x.zstds {
		if d != nil {
			d.Close()
		}
	}
}

// gzipMembers reads what gzip(1) reads: any number of members, and zero bytes behind the last one,
// with which tapes and block devices fill up.
type gzipMembers struct {
	in *bufio.Reader
	*gzip.Reader
}

// begin begins a member. The decoder would begin the next one by itself, and would take whatever
// stands there for a broken one.
func (m *gzipMembers) begin() error {
	if err := m.Reset(m.in); err != nil {
		return err
	}
	m.Multistream(false)
	return nil
}

func (m *gzipMembers) Read(p []byte) (int, error) {
	for {
		n, err := m.Reader.Read(p)
		switch {
		case err != io.EOF:
			return n, err
		case n > 0:
			return n, nil
		}
		if err := m.next(); err != nil {
			return 0, err
		}
	}
}

// next goes on to the next member; io.EOF if there is none.
func (m *gzipMembers) next() error {
	for {
		switch b, err := m.in.ReadByte(); {
		case err != nil:
			return err
		case b == 0:
			continue
		}
		if err := m.in.UnreadByte(); err != nil {
			return err
		}
		if magic, _ := m.in.Peek(2); !bytes.HasPrefix([]byte{0x1f, 0x8b}, magic) { // one byte of it is a member that is cut off
			return errBehind
		}
		if err := m.begin(); err != nil {
			return early(err)
		}
		return nil
	}
}

// early turns the end of a file where a member is due into the error that it is.
func early(err error) error {
	if err == io.EOF {
		return io.ErrUnexpectedEOF
	}
	return err
}

var errBehind = errors.New("something that is not gzip stands behind the gzip data")

// decoding names the compression in a decoder's errors.
type decoding struct {
	format string
	io.Reader
}

func (d *decoding) Read(p []byte) (int, error) {
	n, err := d.Reader.Read(p)
	if err != nil && err != io.EOF {
		err = named(d.format, err)
	}
	return n, err
}

func named(format string, err error) error {
	if err == errBehind {
		return err
	}
	if errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, io.EOF) {
		return fmt.Errorf("truncated: the %s data ends early", format)
	}
	return fmt.Errorf("broken %s data: %w", format, err)
}
