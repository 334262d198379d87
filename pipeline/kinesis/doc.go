// Package kinesis is the pipeline's source: a KCL worker that reads one Kinesis stream together
// with its peers and hands every GetRecords answer to the pipeline as a batch.
//
// The motor is vmware-go-kcl-v2. Used bare it loses records, hangs and dies in ways that are known,
// so it is fenced in through the hooks it has, and every decision that a record's fate hangs on is
// taken here. A package imports only those before it:
//
//	metrics  the counters and gauges of the source
//	lease    which shards are whose: the lease table, balance, renewals, checkpoints
//	fetch    reading a shard: iterators, errors, limits, memory, aggregates, retention
//	kcl      the library, answered by lease and fetch; nobody else imports it
//	kinesis  the worker that wires them, and the record processor that makes batches
//
// The promise: a record is checkpointed only after the pipeline has finished with it and with
// everything before it in its shard, and whatever happens to a worker, its leases are somebody's
// again soon after.
package kinesis
