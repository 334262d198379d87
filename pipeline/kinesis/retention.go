package kinesis

import (
	"context"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awskinesis "github.com/aws/aws-sdk-go-v2/service/kinesis"
)

// What was not read within the stream's retention is gone, and Kinesis does not always say so: a sequence number that was
// trimmed may be refused or be taken for the oldest record left, and an iterator moves over what was deleted before it. So
// the books are kept here: up to when everything that arrived was handed on, against the oldest moment that is retained.

// retention is how long the stream keeps its records. It is asked for again where it matters, since it can be changed.
type retention struct {
	svc    *awskinesis.Client
	stream Stream
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

// ask returns what Kinesis says now, or said not longer ago than age; what was known before where it does not answer.
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

// toleratedGap is how much of a gap is nothing: at the oldest record some seconds always pass between two reads.
const toleratedGap = time.Minute

// checkRetention looks, before a read, whether what comes next was deleted before it was read. A gap is counted once, and reading
// goes on at the oldest record left.
func (g *guard) checkRetention(t *Held) {
	r := &t.from
	// It may have been lowered: once in a while it is asked for without need.
	if kept := g.retention.ask(t.reading, 10*time.Minute); r.read.IsZero() || kept == 0 || g.retention.now().Sub(r.read) <= kept {
		return
	}
	horizon := g.retention.now().Add(-g.retention.ask(t.reading, time.Minute))
	if !r.read.Before(horizon) {
		return
	}
	if r.skipped += horizon.Sub(r.read); r.skipped >= toleratedGap {
		g.lost(t, "records were not read within the stream's retention: reading goes on at the oldest one left", r.read, horizon, nil)
		r.skipped = 0
		if r.iterator == nil {
			r.last, r.resume, r.start = position{}, "", StartAt{oldest: true}
		}
	}
	r.read = horizon
}

// trimmed is called when Kinesis refuses the sequence number after which reading was to go on. To go on asking would never
// end: reading goes on at the oldest record. Nothing is lost where the shard was only quiet: everything that had arrived
// within the retention was read, and the sequence number is older than it.
func (g *guard) trimmed(t *Held, after string, refused error) {
	r := &t.from
	horizon := g.retention.now().Add(-g.retention.ask(t.reading, time.Minute))
	at := r.positionTime()
	quiet := g.retention.known() > 0 && !at.IsZero() && at.Before(horizon) && !r.read.Before(horizon)
	if quiet {
		t.log.Info("the checkpoint is older than the stream's retention, and nothing has arrived since: nothing is lost", "checkpoint", after, "checkpoint_time", at)
	} else {
		g.lost(t, "the checkpoint is older than the stream's retention, or not of this stream: reading goes on at the oldest record; what lay between is lost", at, horizon, refused)
	}
	r.last, r.resume, r.start = position{}, "", StartAt{oldest: true}
}

// lost counts a gap and names it.
func (g *guard) lost(t *Held, what string, from, to time.Time, err error) {
	r := &t.from
	g.metrics.DataLoss.WithLabelValues(LossExpiredCheckpoint).Inc()
	checkpoint := r.last.sequenceNumber
	if checkpoint == "" {
		checkpoint = r.resume
	}
	log := t.log.With("checkpoint", checkpoint, "gap_from", Stamp(from), "gap_to", Stamp(to))
	if err != nil {
		log = log.With("err", err)
	}
	log.Error(what)
}

// stamp is a time for a log, "" if it is not known.
func Stamp(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format(time.RFC3339Nano)
}

// frontier is up to when the application has finished everything that arrived in the shard, as the lease tells it; zero if
// it does not. A lease that was held before and has no checkpoint has finished nothing since the start.
func (l *row) frontier(start StartAt) time.Time {
	read := later(parseTime(l.readTime), parseTime(l.checkedAt))
	if read.IsZero() && l.checkpoint == "" && l.epoch > 1 && !start.oldest {
		return start.time
	}
	return read
}

func parseTime(s string) time.Time {
	t, err := time.Parse(time.RFC3339Nano, s)
	if err != nil {
		return time.Time{}
	}
	return t
}

func later(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}
