package fetch

import (
	"context"
	"sync"
	"time"

	"rootwatch/pipeline/kinesis/lease"
	"rootwatch/pipeline/kinesis/metrics"

	"github.com/aws/aws-sdk-go-v2/aws"
	awskinesis "github.com/aws/aws-sdk-go-v2/service/kinesis"
)

// What was not read within the stream's retention is gone, and Kinesis does not always say so: a
// sequence number that was trimmed may be refused or be taken for the oldest record left, and an
// iterator moves over what was deleted before it. So the books are kept here: up to when everything
// that arrived was handed on, against the oldest moment that is retained.

// retention is how long the stream keeps its records. It is asked for again where it matters, since
// it can be changed.
type retention struct {
	svc    *awskinesis.Client
	stream lease.Stream
	now    func() time.Time

	mu    sync.Mutex
	hours time.Duration // as last heard; zero: not yet
	asked time.Time
}

func (r *retention) set(hours int32) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.hours, r.asked = time.Duration(hours)*time.Hour, r.now()
}

func (r *retention) known() time.Duration {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.hours
}

// ask returns what Kinesis says now, or said not longer ago than age; what was known before where
// it does not answer.
func (r *retention) ask(ctx context.Context, age time.Duration) time.Duration {
	r.mu.Lock()
	fresh := r.now().Sub(r.asked) < age
	if !fresh {
		r.asked = r.now() // also of a call that fails: it is made on the way to a read
	}
	r.mu.Unlock()
	if fresh {
		return r.known()
	}
	in := &awskinesis.DescribeStreamSummaryInput{}
	in.StreamName, in.StreamARN = r.stream.Params()
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	if out, err := r.svc.DescribeStreamSummary(ctx, in); err == nil {
		r.set(aws.ToInt32(out.StreamDescriptionSummary.RetentionPeriodHours))
	}
	return r.known()
}

// toleratedGap is how much of a gap is nothing: at the oldest record some seconds always pass
// between two reads.
const toleratedGap = time.Minute

// checkRetention looks, before a read, whether what comes next was deleted before it was read. A
// gap is counted once, and reading goes on at the oldest record left.
func (r *Reader) checkRetention() {
	// It may have been lowered: once in a while it is asked for without need.
	if kept := r.retention.ask(r.held.Reading(), 10*time.Minute); r.readUpTo.IsZero() || kept == 0 || r.retention.now().Sub(r.readUpTo) <= kept {
		return
	}
	horizon := r.retention.now().Add(-r.retention.ask(r.held.Reading(), time.Minute))
	if !r.readUpTo.Before(horizon) {
		return
	}
	if r.skipped += horizon.Sub(r.readUpTo); r.skipped >= toleratedGap {
		r.lost("records were not read within the stream's retention: reading goes on at the oldest one left", r.readUpTo, horizon, nil)
		r.skipped = 0
		if r.iterator == nil {
			r.last, r.resume, r.start = lease.Position{}, "", lease.StartAt{Oldest: true}
		}
	}
	r.readUpTo = horizon
}

// trimmed is called when Kinesis refuses the sequence number after which reading was to go on. To
// go on asking would never end: reading goes on at the oldest record. Nothing is lost where the
// shard was only quiet: everything that had arrived within the retention was read, and the sequence
// number is older than it.
func (r *Reader) trimmed(after string, refused error) {
	horizon := r.retention.now().Add(-r.retention.ask(r.held.Reading(), time.Minute))
	at := r.positionTime()
	quiet := r.retention.known() > 0 && !at.IsZero() && at.Before(horizon) && !r.readUpTo.Before(horizon)
	if quiet {
		r.held.Log().Info("the checkpoint is older than the stream's retention, and nothing has arrived since: nothing is lost", "checkpoint", after, "checkpoint_time", at)
	} else {
		r.lost("the checkpoint is older than the stream's retention, or not of this stream: reading goes on at the oldest record; what lay between is lost", at, horizon, refused)
	}
	r.last, r.resume, r.start = lease.Position{}, "", lease.StartAt{Oldest: true}
}

// lost counts a gap and names it.
func (r *Reader) lost(what string, from, to time.Time, err error) {
	r.metrics.DataLoss.WithLabelValues(metrics.LossExpiredCheckpoint).Inc()
	log := r.held.Log().With("checkpoint", r.position(), "gap_from", lease.Stamp(from), "gap_to", lease.Stamp(to))
	if err != nil {
		log = log.With("err", err)
	}
	log.Error(what)
}
