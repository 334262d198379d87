// Package fetch reads the shards of held leases. It answers the calls of the Kinesis library and
// makes its own to Kinesis: every error that time heals is waited out here, within the limits of a
// shard and of the worker's memory.
package fetch
