package fetch

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	awskinesis "github.com/aws/aws-sdk-go-v2/service/kinesis"
	awstypes "github.com/aws/aws-sdk-go-v2/service/kinesis/types"

	"rootwatch/pipeline/awserr"
	"rootwatch/pipeline/kinesis/lease"
	"rootwatch/pipeline/kinesis/metrics"
)

// The end of a shard is for ever: nobody reads it after that. An answer of GetRecords without a
// next iterator is Kinesis's way to show it, and may be a strange answer as well. So it is believed
// only when the list of shards shows it too.

// errOnceMore has a shard that seems to be at its end read once more, with a new iterator.
var errOnceMore = errors.New("the end of the shard is confirmed by a second read")

// judge looks whether an answer may be believed. One with records and without a next iterator is:
// its records are handed on, and the next read is made with a new iterator after them.
func (r *Reader) judge(out *awskinesis.GetRecordsOutput) error {
	r.doubtful = !r.inOrder(out.Records)
	// A new iterator of a closed shard may give empty answers with a next iterator before its end
	// shows again: as long as no record comes they do not speak against it.
	r.confirming = r.confirming && len(out.Records) == 0
	switch {
	case aws.ToString(out.NextShardIterator) != "":
		if r.openEnded {
			r.openEnded = false
			r.strange("an answer had no next iterator, and the shard goes on: it was read on after the last record")
		}
		return nil
	case len(out.Records) > 0:
		return nil
	}
	ending, err := lease.EndOf(r.held.Reading(), r.cfg.Kinesis, r.cfg.Stream, r.held.ShardID())
	switch {
	case err != nil:
		return err
	case ending.Closed && !before(r.position(), ending.Last):
		return nil
	case ending.Closed && ending.Children && (r.openEnded || r.confirming): // an iterator after the last record led here
		return nil
	case ending.Closed && ending.Children:
		r.confirming, r.iterator = true, nil
		return errOnceMore
	}
	r.openEnded, r.confirming = false, false
	return &awserr.StrangeError{Operation: "Kinesis GetRecords", Problem: "has no next iterator, and the shard is not at its end"}
}

// position is the sequence number after which reading goes on, "" if there is none yet.
func (r *Reader) position() string { return cmp.Or(r.last.SequenceNumber, r.resume) }

// inOrder reports whether records go on in the order of the shard from where reading has come to.
// Those that do not are brought into order: what comes twice is recognised further down, and the
// position never goes back.
func (r *Reader) inOrder(records []awstypes.Record) bool {
	last := r.position()
	for i := range records {
		number := aws.ToString(records[i].SequenceNumber)
		if last != "" && !before(last, number) && isNumber(last) && isNumber(number) {
			slices.SortStableFunc(records, func(a, b awstypes.Record) int { return compare(*a.SequenceNumber, *b.SequenceNumber) })
			return false
		}
		last = number
	}
	return true
}

// before compares two sequence numbers: decimal numbers of up to 128 digits.
// https://docs.aws.amazon.com/kinesis/latest/APIReference/API_Record.html
func before(a, b string) bool { return compare(a, b) < 0 }

func compare(a, b string) int {
	a, b = strings.TrimLeft(a, "0"), strings.TrimLeft(b, "0")
	return cmp.Or(cmp.Compare(len(a), len(b)), cmp.Compare(a, b))
}

func isNumber(s string) bool {
	return s != "" && !strings.ContainsFunc(s, func(c rune) bool { return c < '0' || c > '9' })
}

// strange counts and logs an answer that was not believed.
func (r *Reader) strange(what string) {
	r.metrics.Fetches.WithLabelValues(metrics.FetchStrange).Inc()
	r.held.Log().Warn(what, "result", metrics.FetchStrange, "after", r.position())
}

// read makes one call of GetRecords with the present iterator.
func (r *Reader) read(ctx context.Context) (*awskinesis.GetRecordsOutput, error) {
	return r.cfg.Kinesis.GetRecords(ctx, &awskinesis.GetRecordsInput{ShardIterator: r.iterator, Limit: &r.limit, StreamARN: r.arn()})
}
