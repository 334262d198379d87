package archive

import (
	"bytes"
	"context"
	"encoding/json"

	"rootwatch/pipeline"
)

// cutting makes batches of the pieces of a file.
type cutting struct {
	ctx   context.Context
	file  *file
	batch *pipeline.Batch
	spots []spot // of the batch's records
	bytes int
}

// cut is a batch with the places of its records.
type cut struct {
	*pipeline.Batch
	spots []spot
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

// isDigest reports whether a piece is a digest file of CloudTrail's: it lists log files, and holds no event (AWS CloudTrail
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
