// Package lease shares the shards of a stream among the workers of an application. A lease is an
// item of a DynamoDB table: who reads the shard, how far it is read, who asks for it. A held lease
// is one that this worker has, from its acquisition until it is given back.
//
// No clock of another host decides anything: a lease has expired when it has not moved for its
// whole duration by the local monotonic clock, and its owner gives it up after three quarters of
// that.
package lease
