package awstest

import (
	"time"
)

// Options says how a [Service] behaves. The zero value is a fast one in account 123456789012 and
// us-east-1 whose resources are ACTIVE at once and whose rates are not limited.
type Options struct {
	// Clock tells the time: of arrival, of expiry, of the trim horizon. time.Now if nil.
	Clock func() time.Time
	// IteratorLifetime is how long a shard iterator is good for. 5 minutes if 0, as AWS says.
	IteratorLifetime time.Duration
	// CreateDuration is how long a stream or table is CREATING, and DELETING.
	CreateDuration time.Duration
	// UpdateDuration is how long a stream is UPDATING before a split, a merge, a new shard count or
	// a new retention takes effect.
	UpdateDuration time.Duration
	// Limits switches AWS's rates on: of a shard 5 GetRecords and 2 MB a second read, 1,000 records
	// or 1 MB a second written; of a stream 10 calls of UpdateShardCount in 24 hours.
	Limits bool
	// TrimmedIterators lets GetShardIterator take AFTER_SEQUENCE_NUMBER with the number of a record
	// that has been trimmed, which is an InvalidArgumentException otherwise. Consumers of AWS's
	// Kinesis have reported it (harlow/kinesis-consumer#125): the answers are empty at first, with
	// another iterator each and the whole retention in MillisBehindLatest. Here two are, then come
	// the records from the trim horizon on.
	TrimmedIterators bool
	// MaxStreamBytes bounds the memory that one stream takes; 0 is no bound. The oldest records of
	// the largest shard are trimmed first, as if their retention had passed.
	MaxStreamBytes int64
	// AccountID and Region are part of every ARN. "123456789012" and "us-east-1" if empty.
	AccountID string
	Region    string
	// Admin opens /_rootwatch/ to [Admin]: faults and recorded calls, for a server in another
	// process.
	Admin bool
	// Seed is that of the dice for faults with a Probability.
	Seed uint64
}

func (o Options) withDefaults() Options {
	if o.Clock == nil {
		o.Clock = time.Now
	}
	if o.IteratorLifetime == 0 {
		o.IteratorLifetime = 5 * time.Minute
	}
	if o.AccountID == "" {
		o.AccountID = "123456789012"
	}
	if o.Region == "" {
		o.Region = "us-east-1"
	}
	return o
}
