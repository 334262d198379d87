package archive

import (
	"bytes"
	"context"

	"rootwatch/pipeline"
)

const (
	// maxBatch is how many bytes of records a batch has at most, but for a single larger one.
	maxBatch = 1 << 20
	// maxRecords is how many records a batch has at most.
	maxRecords = 1000
)

// cutting makes batches of the pieces of a file.
type cutting struct {
	ctx   context.Context
	file  *file
	batch *pipeline.Batch
	spots []spot // of the batch's records
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

func (c *cutting) piece(data []byte, at spot) {
	if isDigest(data) {
		c.file.digest = true
		return
	}
	b := c.current()
	b.Records = append(b.Records, pipeline.Record{Data: bytes.Clone(data)})
	c.spots = append(c.spots, at)
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
	case c.file.batches <- cut{c.batch, c.spots}:
		c.batch, c.spots, c.bytes = nil, nil, 0
		return nil
	case <-c.ctx.Done():
		return c.ctx.Err()
	}
}
