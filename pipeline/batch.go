package pipeline

import (
	"context"
	"time"

	"rootwatch/classify"
)

// Source gives batches to the pipeline.
type Source interface {
	// Run hands batches over until ctx ends or there is nothing left to read. Submitting blocks when the
	// pipeline is full: that is the back-pressure. In both cases Run then waits for the batches it has handed
	// over to be done (as long as its own deadline allows) and returns: the pipeline stops with it, and what
	// is not done by then is cut short. submit may be called from several goroutines; batches come out in the
	// order in which submit took them. It fails when its context ends or when the pipeline has stopped; the
	// batch was not taken then, and its Done is never called. Nothing is submitted after Run has returned.
	Run(ctx context.Context, submit func(context.Context, *Batch) error) error
}

// Batch is the unit on the channels: one GetRecords answer, or a run of records from a log file.
// It belongs to the pipeline from submit until Done, which may come before submit has returned.
type Batch struct {
	// ShardID is the Kinesis shard that the records came from, "" for a file.
	ShardID string
	// File is the path of the log file that the records came from, "" for Kinesis.
	File    string
	Records []Record
	// NotRoot is how many events stood beside these records of which package scan has said, while the source
	// looked for their ends, that root surely did not make them: they are counted and not decoded again.
	NotRoot int
	// Done is called once, by emit, after everything in the batch is finished: only then may the source
	// checkpoint it. A batch whose Done is never called (the pipeline was cut short) must be read again.
	// It holds the whole line up while it runs, so it should only take note. nil if nobody asks.
	Done func()
	// Abandoned, if set, says whether the source has given the batch up (its lease is lost), so that it will
	// be read again by somebody else: emit then leaves what is in it, and calls Done at once, which the source
	// must not take for finished.
	Abandoned func() bool

	place      *place       // in the queue behind decode; nil: the batch is alone, and goes in one piece
	events     []event      // set by decode, thinned out by filter, judged by classify
	size       int          // bytes of these events' texts
	counts     resultCounts // what has ended on the way, added to the metrics by emit
	aggregated int          // of the not_cloudtrail ones, CloudTrail's aggregated events
	bytes      int          // sum of the records' sizes, as received
	broken     []error      // why units are undecodable: the first of each record
	heartbeats []heartbeat  // those found, shown by emit

	of *Batch // of a part that went ahead: the batch, which comes last and is Done
	// What has become of the parts that went ahead. Only emit may look at it: decode may still be busy with the batch.
	before       resultCounts
	brokenBefore []error
}

func (b *Batch) done() {
	if b.Done != nil {
		b.Done()
	}
}

// Events is how many units of the batch ended as each result, by the names of rootwatch_events_total. It is for
// Done to ask.
func (b *Batch) Events() map[string]int {
	events := make(map[string]int)
	for r, n := range b.counts {
		if n > 0 {
			events[result(r).String()] = n
		}
	}
	return events
}

// Broken says why units of the batch are undecodable, in their order; of many in one record the first ones
// speak for all. It is for Done to ask.
func (b *Batch) Broken() []error { return b.broken }

// Aggregated is how many of the events that are not CloudTrail's calls are its aggregated events. It is for Done to ask.
func (b *Batch) Aggregated() int { return b.aggregated }

// Record is one record of the source as it was received.
type Record struct {
	Data           []byte
	SequenceNumber string    // Kinesis sequence number, "" for a file
	Arrival        time.Time // when the source received it (ApproximateArrivalTimestamp), zero if unknown
}

// event is one CloudTrail event on its way through the stages.
type event struct {
	*classify.Event
	id      string // see Finding.ID
	record  *Record
	finding *Finding // nil until classify
}

// heartbeat is one Scheduled Event of a region's heartbeat rule.
type heartbeat struct {
	region string
	time   time.Time
}

// Finding is a judged root call together with where it came from: what sinks take.
type Finding struct {
	classify.Finding
	Event *classify.Event
	// ID is what the copies of one call have in common, beside [Finding.Identity]: the eventID, for an update the eventID of
	// what it updates. Where that is no string or says nothing it is a hash of the record, and where it is longer than an id can
	// be a hash of it.
	ID string
	// Counted is the moment at which emit took the call up, in whole milliseconds: the value of the paging
	// series, here and in every task that restores it from a ledger.
	Counted        time.Time
	ShardID        string
	SequenceNumber string
	File           string
	Arrival        time.Time
}

// Sink takes findings in emit's order. An error stops the line: emit takes the same finding to the sink
// again, with growing pauses, until it is accepted or the pipeline stops. A sink may therefore see a finding
// twice: after an error, and when a batch that was cut short is read again. Take must return when ctx ends.
type Sink interface {
	Take(ctx context.Context, f *Finding) error
}
