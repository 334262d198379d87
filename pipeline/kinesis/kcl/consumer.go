package kcl

import (
	"runtime/debug"

	kcl "github.com/vmware/vmware-go-kcl-v2/clientlibrary/interfaces"

	"rootwatch/pipeline/kinesis/fetch"
	"rootwatch/pipeline/kinesis/lease"
)

// consumers makes the library's record processors.
type consumers struct{ cfg Config }

func (c *consumers) CreateProcessor() kcl.IRecordProcessor { return &consumer{cfg: c.cfg} }

// consumer is the library's record processor: one for each held lease. It hands every answer on.
type consumer struct {
	cfg    Config
	held   *lease.Held // nil: the lease has ended before the library came to it
	reader *fetch.Reader
}

// Initialize finds the held lease that the library's consumer was started for.
func (c *consumer) Initialize(in *kcl.InitializationInput) {
	if c.held = c.cfg.Leases.Get(in.ShardId); c.held != nil {
		c.reader = c.cfg.Fetcher.Reader(c.held)
	}
}

// ProcessRecords blocks as long as its receiver does: that is the back-pressure on fetching.
func (c *consumer) ProcessRecords(in *kcl.ProcessRecordsInput) {
	if c.held == nil {
		return // the next fetch ends the consumer
	}
	defer c.recovered("ProcessRecords")
	for i := range in.Records {
		in.Records[i].Data = fetch.Unmark(in.Records[i].Data)
	}
	c.cfg.Process(c.reader, in.Records)
}

// Shutdown closes a shard that was read to its end; on a stop there is nothing to do here, since
// the end of the held lease (RemoveLeaseOwner) drains and checkpoints whichever way the consumer
// ends.
func (c *consumer) Shutdown(in *kcl.ShutdownInput) {
	if c.held == nil || in.ShutdownReason != kcl.TERMINATE || !c.reader.AtEnd() {
		return
	}
	defer c.recovered("Shutdown")
	if err := in.Checkpointer.Checkpoint(nil); err != nil {
		c.held.Log().Warn("the shard is read to its end, but its end is not yet written: its last records will be read again", "err", err)
	}
}

// recovered gives the lease up when a callback has panicked; the process lives.
func (c *consumer) recovered(where string) {
	if v := recover(); v != nil {
		c.held.Panicked(where, v, debug.Stack())
	}
}
