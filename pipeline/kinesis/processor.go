package kinesis

import (
	"context"
	"sync"

	"github.com/aws/aws-sdk-go-v2/aws"
	awstypes "github.com/aws/aws-sdk-go-v2/service/kinesis/types"

	"rootwatch/pipeline"
	"rootwatch/pipeline/kinesis/fetch"
	"rootwatch/pipeline/kinesis/lease"
)

// processor hands every answer to the pipeline as a batch and returns at once, so that fetching
// goes on while the pipeline works; the batch's Done moves the checkpoint.
type processor func(context.Context, *pipeline.Batch) error

// process blocks while the pipeline is full: that is the back-pressure on fetching.
func (submit processor) process(r *fetch.Reader, records []awstypes.Record) {
	last, memory, ok := r.Take()
	if !ok {
		return
	}
	h, submitted := r.Held(), false
	free := sync.OnceFunc(func() { memory.Resize(0) })
	defer func() {
		if !submitted { // the batch stays in flight: nothing after it is checkpointed
			free()
		}
	}()
	batch := &pipeline.Batch{ShardID: h.ShardID(), Records: make([]pipeline.Record, len(records))}
	for i := range records {
		r := &records[i]
		batch.Records[i] = pipeline.Record{Data: r.Data, SequenceNumber: aws.ToString(r.SequenceNumber), Arrival: aws.ToTime(r.ApproximateArrivalTimestamp)}
	}
	// The whole answer ends at its last record, also where an aggregate there had nothing in it.
	done := h.Add(last)
	batch.Abandoned = func() bool { return h.Over().Err() != nil }
	expanded := 0
	batch.Expanded = func(bytes int) {
		memory.Add(int64(bytes - expanded))
		expanded = bytes
	}
	batch.Judged = free
	batch.Done = func(pipeline.Outcome) {
		free()
		if !batch.Abandoned() { // what the pipeline has left, or has finished too late, its next owner reads again
			done()
		}
	}
	err := submit(h.Over(), batch)
	submitted = err == nil
	if err != nil && h.Over().Err() == nil {
		h.Log().Error("the pipeline takes no more batches: the lease is given up", "err", err)
		h.End(lease.ErrRefused)
	}
}
