package kinesis

import (
	"context"
	"runtime/debug"
	"sync"

	"github.com/aws/aws-sdk-go-v2/aws"
	kcl "github.com/vmware/vmware-go-kcl-v2/clientlibrary/interfaces"

	"rootwatch/pipeline"
)

// session is the library's record processor: one for each tenure. It hands every answer to the pipeline as a batch and
// returns at once, so that fetching goes on while the pipeline works; the batch's Done moves the checkpoint.
type session struct {
	leases *checkpointer
	submit func(context.Context, *pipeline.Batch) error
	tenure *Held
}

type sessions struct {
	leases *checkpointer
	submit func(context.Context, *pipeline.Batch) error
}

func (f *sessions) CreateProcessor() kcl.IRecordProcessor {
	return &session{leases: f.leases, submit: f.submit}
}

// Initialize finds the tenure that the library's consumer was started for.
func (s *session) Initialize(in *kcl.InitializationInput) {
	s.tenure = s.leases.tenure(in.ShardId)
}

// ProcessRecords blocks while the pipeline is full: that is the back-pressure on fetching.
func (s *session) ProcessRecords(in *kcl.ProcessRecordsInput) {
	t := s.tenure
	if t == nil {
		return // the next fetch ends the consumer
	}
	if t.over.Err() != nil {
		t.from.closed = false // these may be the shard's last records, and nobody has seen them
		return
	}
	memory, submitted := t.from.memory, false
	t.from.memory = share{}
	free := sync.OnceFunc(func() { memory.resize(0) })
	defer s.recovered("ProcessRecords")
	defer func() {
		if !submitted { // the batch stays in flight: nothing after it is checkpointed
			free()
		}
	}()
	batch := &pipeline.Batch{ShardID: t.shard.id, Records: make([]pipeline.Record, len(in.Records))}
	for i := range in.Records {
		r := &in.Records[i]
		batch.Records[i] = pipeline.Record{
			Data:           unmark(r.Data),
			SequenceNumber: aws.ToString(r.SequenceNumber),
			Arrival:        aws.ToTime(r.ApproximateArrivalTimestamp),
		}
	}
	// The whole answer ends at its last record, also where an aggregate there had nothing in it.
	done := t.Add(t.from.last)
	batch.Abandoned = func() bool { return t.over.Err() != nil }
	batch.Done = func(pipeline.Outcome) {
		free()
		if !batch.Abandoned() { // what the pipeline has left, or has finished too late, its next owner reads again
			done()
		}
	}
	err := s.submit(t.over, batch)
	submitted = err == nil
	if err != nil && t.over.Err() == nil {
		t.log.Error("the pipeline takes no more batches: the lease is given up", "err", err)
		t.end(ErrRefused)
	}
}

// Shutdown closes a shard that was read to its end; on a stop there is nothing to do here, since the end of the tenure
// (RemoveLeaseOwner) drains and checkpoints whichever way the consumer ends.
func (s *session) Shutdown(in *kcl.ShutdownInput) {
	t := s.tenure
	if t == nil || in.ShutdownReason != kcl.TERMINATE || !t.from.closed {
		return
	}
	defer s.recovered("Shutdown")
	if err := in.Checkpointer.Checkpoint(nil); err != nil {
		t.log.Warn("the shard is read to its end, but its end is not yet written: its last records will be read again", "err", err)
	}
}

// recovered gives the lease up when a callback has panicked; the process lives.
func (s *session) recovered(where string) {
	if v := recover(); v != nil {
		s.tenure.Panicked(where, v, debug.Stack())
	}
}
