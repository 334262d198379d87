package archive

import (
	"context"
	"io"
)

// ahead reads on a goroutine of its own. Above a decoder it lets one large file be expanded on one
// core and cut on the other; above standard input it lets a reader be interrupted that waits for a
// terminal or a pipe.
type ahead struct {
	ctx    context.Context
	stop   context.CancelFunc
	blocks chan block
	free   chan []byte
	now    block
	rest   []byte // of now, still to be read
}

type block struct {
	data []byte
	err  error // what ended the reading, behind data
}

func readAhead(ctx context.Context, r io.Reader) *ahead {
	ctx, stop := context.WithCancel(ctx)
	a := &ahead{ctx: ctx, stop: stop, blocks: make(chan block), free: make(chan []byte, 3)}
	for range cap(a.free) {
		a.free <- make([]byte, 256<<10)
	}
	go a.run(r)
	return a
}

func (a *ahead) run(r io.Reader) {
	defer close(a.blocks)
	for {
		select {
		case data := <-a.free:
			n, err := fill(r, data)
			select {
			case a.blocks <- block{data[:n], err}:
			case <-a.ctx.Done():
				return
			}
			if err != nil {
				return
			}
		case <-a.ctx.Done():
			return
		}
	}
}

// fill reads until p is full or the reader ends. Unlike io.ReadFull it hands on the reader's own
// error: a cut gzip stream must not pass for the end of the text.
func fill(r io.Reader, p []byte) (n int, err error) {
	for n < len(p) && err == nil {
		var m int
		m, err = r.Read(p[n:])
		n += m
	}
	return n, err
}

// Read implements [io.Reader].
func (a *ahead) Read(p []byte) (int, error) {
	for len(a.rest) == 0 {
		if a.now.err != nil {
			return 0, a.now.err
		}
		if a.now.data != nil {
			a.free <- a.now.data[:cap(a.now.data)]
		}
		select {
		case a.now = <-a.blocks:
			a.rest = a.now.data
		case <-a.ctx.Done():
			return 0, a.ctx.Err()
		}
	}
	n := copy(p, a.rest)
	a.rest = a.rest[n:]
	return n, nil
}

// close ends the goroutine and waits for it: what it read from may be used again.
func (a *ahead) close() {
	a.stop()
	for range a.blocks { //nolint:revive // drained until it is closed
	}
}
