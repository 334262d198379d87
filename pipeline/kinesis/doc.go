// Package kinesis is the pipeline's source: a KCL worker that reads one Kinesis stream together with its
// peers and hands every GetRecords answer to the pipeline as a batch.
//
// The motor is vmware-go-kcl-v2. Used bare it loses records, hangs and dies in ways that are known, so it is
// fenced in through the hooks it has (a checkpointer, a Kinesis client, a logger, a monitoring service), and
// every decision that a record's fate hangs on is taken here:
//
//	shards.go       which shards there are, and which may start: children after all their parents
//	table.go        the lease table: one DynamoDB item a shard, every write conditional on owner and epoch
//	coordinator.go  whose lease is whose: expiry, taking, balance
//	heartbeat.go    renewals, and handoffs to those who ask
//	tenure.go       one holding of one lease: records in flight, the checkpoint, its end
//	checkpointer.go the library's checkpointer: answers from memory what the coordinator has decided
//	client.go       the library's Kinesis client: answered by the fetch guard, never by the network
//	fetch.go        the fetch guard: iterators, errors, pace, memory
//	aggregate.go    KPL aggregates, expanded without trust
//	session.go      the library's record processor: a batch in, its checkpoint when it is done
//	worker.go       New and Run: start, stop, the deadline
//
// The promise: a record is checkpointed only after the pipeline has finished with it and with everything
// before it in its shard, and whatever happens to a worker, its leases are somebody's again soon after.
package kinesis
