package pipeline

import (
	"context"
	"time"
)

// Source gives batches to the pipeline.
type Source interface {
	// Run hands batches over until ctx ends or there is nothing left to read. Submitting blocks
	// when the pipeline is full: that is the back-pressure. In both cases Run then waits for the
	// batches it has handed over to be done (as long as its own deadline allows) and returns: the
	// pipeline stops with it, and what is not done by then is cut short. submit may be called from
	// several goroutines; batches come out in the order in which submit took them. It fails when
	// its context ends or when the pipeline has stopped; the batch was not taken then, and its Done
	// is never called. Nothing is submitted after Run has returned.
	Run(ctx context.Context, submit func(context.Context, *Batch) error) error
}

// Batch is what a source hands over at a time: one GetRecords answer, or a run of records from a
// log file. It belongs to the pipeline from submit until Done, which may come before submit has
// returned.
type Batch struct {
	// ShardID is the Kinesis shard that the records came from, "" for a file.
	ShardID string
	// File is the path of the log file that the records came from, "" for Kinesis.
	File    string
	Records []Record
	// NotRoot is how many events stood beside these records of which package scan has said, while
	// the source looked for their ends, that root surely did not make them: they are counted and
	// not decoded again.
	NotRoot int
	// Judged, if set, is called once, before Done, when all events of the batch are judged: its
	// records are not looked at any more, and the source may use their memory for others. What is
	// not recorded, because the ledger is gone, must not keep others from being read and judged.
	// Like Done it should only take note.
	Judged func()
	// Done is called once, by emit, after everything in the batch is finished: only then may the
	// source checkpoint it. A batch whose Done is never called (the pipeline was cut short) must be
	// read again. It holds the whole line up while it runs, so it should only take note. nil if
	// nobody asks.
	Done func(Outcome)
	// Abandoned, if set, reports whether the source has given the batch up (its lease is lost), so
	// that it will be read again by somebody else: emit then leaves what is in it, and calls Done
	// at once with an empty Outcome, which the source must not take for finished.
	Abandoned func() bool
	// Expanded, if set, is told how many bytes the pipeline holds of texts that are much larger
	// than the batch's records, because these were compressed: before it takes them, and 0 when it
	// has given them back, which is before Done. A source whose memory is bounded reads less
	// meanwhile. It must not wait: the memory that others hold may depend on this batch's end.
	Expanded func(bytes int)
}

// Record is one record of the source as it was received.
type Record struct {
	Data           []byte
	SequenceNumber string    // Kinesis sequence number, "" for a file
	Arrival        time.Time // when the source received it (ApproximateArrivalTimestamp), zero if unknown
}

// Outcome is what has become of a batch.
type Outcome struct {
	Events     Counts
	Aggregated int      // of ResultNotCloudTrail, CloudTrail's aggregated events
	Broken     []Broken // in their order; of many in one record the first ones speak for all
}

// Broken is why something in a record is undecodable.
type Broken struct {
	Record int // its index in the batch
	Err    error
}

// Counts is how many units of records ended as each result.
type Counts [results]int

// Result is what a unit of a record ends as: each of them in exactly one. Its text is the label of
// rootwatch_events_total.
type Result uint8

// The results.
const (
	ResultRoot          Result = iota // a root call, judged and shown
	ResultNotRoot                     // a CloudTrail event by anybody else, or of a kind that names nobody
	ResultNotCloudTrail               // valid JSON that is no CloudTrail event
	ResultHeartbeat                   // a Scheduled Event: proof that the way from EventBridge is open
	ResultForeignSource               // says that it comes from CloudTrail, and was put on the bus by somebody else
	ResultUndecodable                 // broken, beyond a limit, or without saying who called
	ResultDuplicate                   // a copy of a root call that was finished before
	results
)

func (r Result) String() string {
	return [results]string{
		ResultRoot:          "root",
		ResultNotRoot:       "not_root",
		ResultNotCloudTrail: "not_cloudtrail",
		ResultHeartbeat:     "heartbeat",
		ResultForeignSource: "foreign_source",
		ResultUndecodable:   "undecodable",
		ResultDuplicate:     "duplicate",
	}[r]
}

// Add adds other to c.
func (c *Counts) Add(other Counts) {
	for r, n := range other {
		c[r] += n
	}
}

// Total is the number of units.
func (c *Counts) Total() (n int) {
	for _, of := range c {
		n += of
	}
	return n
}

// add adds another part of the same batch to o, behind what o has.
func (o *Outcome) add(other Outcome) {
	o.Events.Add(other.Events)
	o.Aggregated += other.Aggregated
	o.Broken = append(o.Broken, other.Broken...)
}
