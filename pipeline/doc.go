// Package pipeline takes records from a source and brings the root calls in them to the sinks and
// the metrics. It is one line of stages with bounded channels between them; what travels is the
// batch:
//
//	Source → decode (several workers) → filter-root → classify → emit → sinks, ledger, metrics
//
//	decode    pulls the CloudTrail events out of each record, whatever they are wrapped in
//	filter    keeps the calls that were made as an account's root
//	classify  judges each of them (package classify holds the rules), and asks the policy whether it was planned
//	emit      drops copies, hands findings to the sinks, writes them down in the ledger, counts, and says Done
//
// The files:
//
//	source.go      what a source must do, and what it is told
//	finding.go     what a sink is given
//	ledger.go      what a ledger must do; one in memory
//	pipeline.go    the configuration; New wires the stages, Run runs them
//	line.go        work on its way: slots, partial batches, channels
//	decode.go      the first stage
//	filter.go      the second
//	classify.go    the third
//	emit.go        the fourth
//	fair.go        its queue, in which accounts take turns
//	limiter.go     how many calls it writes down at a time
//	unrecorded.go  calls that page before they are recorded
//	ages.go        how long each batch has been in the pipeline
//	panic.go       a panic as an error
//	stuck.go       which sink, or the ledger, a batch waits for
//	identity.go    which records are copies of one call
//	log.go         the log line of a root call, and its attributes
//	metrics.go     all counters and gauges
//
// Three promises hold. A batch is Done only when everything in it is finished, so what a source
// checkpoints can never be lost. Batches leave in the order in which they were submitted, although
// several are decoded at once. And no record stops the line: what cannot be read is counted, logged
// and left behind.
//
// Memory is bounded by the batches that the source hands over, whatever is packed into them: a
// batch with many root calls goes through the later stages as several partial batches, and of texts
// that expand to more than a few MB there is one at a time.
//
// The forms of records stand in pipeline/envelope. The sources stand in the folders below
// (pipeline/kinesis for the worker, pipeline/archive for the command line, whose sinks are in
// pipeline/report); both the worker and the command line go through this package, so that there is
// one decoder and one judgement.
package pipeline
