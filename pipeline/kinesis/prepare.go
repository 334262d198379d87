package kinesis

import (
	"context"
	"errors"
	"fmt"
	"time"

	awsmiddleware "github.com/aws/aws-sdk-go-v2/aws/middleware"
	awskinesis "github.com/aws/aws-sdk-go-v2/service/kinesis"
	awstypes "github.com/aws/aws-sdk-go-v2/service/kinesis/types"

	"github.com/aws/aws-sdk-go-v2/aws"

	"rootwatch/pipeline/awserr"
	"rootwatch/pipeline/kinesis/lease"
)

// Prepare makes sure of stream and lease table, waiting out what waiting heals. Run does it if
// nobody has; who wants to touch other things only when the stream is there calls it before.
func (w *Worker) Prepare(ctx context.Context) error {
	var serverTime time.Time
	if err := awserr.WaitOut(ctx, w.log, func() (err error) { serverTime, err = w.describe(ctx); return err }); err != nil {
		return err
	}
	if err := w.coordinator.Prepare(ctx, serverTime); err != nil {
		return err
	}
	w.prepared = true
	return nil
}

// describe checks that the stream is there and may be read. It returns Kinesis's time, by which
// records arrive: a first start by a local clock that is ahead would skip some.
func (w *Worker) describe(ctx context.Context) (time.Time, error) {
	in := &awskinesis.DescribeStreamSummaryInput{}
	in.StreamName, in.StreamARN = w.stream.Params()
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	out, err := w.cfg.Kinesis.DescribeStreamSummary(ctx, in)
	if err == nil && out.StreamDescriptionSummary.StreamStatus != awstypes.StreamStatusCreating {
		err = w.tryReading(ctx)
	}
	if err != nil {
		return time.Time{}, w.explain(err)
	}
	w.fetcher.SetRetention(aws.ToInt32(out.StreamDescriptionSummary.RetentionPeriodHours))
	w.log.Info("reading stream", "stream", w.stream.String(), "region", w.cfg.Region,
		"open_shards", aws.ToInt32(out.StreamDescriptionSummary.OpenShardCount), "retention_hours", aws.ToInt32(out.StreamDescriptionSummary.RetentionPeriodHours))
	if t, ok := awsmiddleware.GetServerTime(out.ResultMetadata); ok && t.Before(time.Now()) {
		return t, nil
	}
	return time.Now(), nil
}

// tryReading needs the permissions for the calls that DescribeStreamSummary does not show, so that
// one that is missing ends the program with a word about it. What may heal is left to the reading
// itself.
func (w *Worker) tryReading(ctx context.Context) error {
	id, err := lease.OpenShard(ctx, w.cfg.Kinesis, w.stream)
	if err != nil || id == "" {
		return err
	}
	if err := w.breaker.Probe(ctx, id); awserr.Denied(err) || awserr.KeyRefused(err) {
		return err
	}
	return nil
}

// StreamError is the error of a stream that cannot be read at the start.
type StreamError struct {
	Stream, Region string
	Problem        StreamProblem
	Err            error // AWS's answer
}

// StreamProblem is what is wrong with a stream, as far as AWS's answer shows.
type StreamProblem int

const (
	StreamFails        StreamProblem = iota // for another reason than those that follow
	StreamMissing                           // there is no stream of that name
	StreamDenied                            // the role lacks a permission on it
	StreamKeyIsRefused                      // its records cannot be decrypted
)

func (e *StreamError) Error() string {
	what := "stream %s in region %s: %v"
	switch e.Problem {
	case StreamMissing:
		what = "stream %s does not exist in region %s: %v"
	case StreamKeyIsRefused:
		what = "stream %s in region %s cannot be decrypted: %v"
	case StreamDenied:
		what = "no permission to read stream %s in region %s: %v"
	}
	return fmt.Sprintf(what, e.Stream, e.Region, e.Err)
}

func (e *StreamError) Unwrap() error { return e.Err }

// explain makes a *StreamError of the error of a call about the stream.
func (w *Worker) explain(err error) error {
	e := &StreamError{Stream: w.stream.String(), Region: w.cfg.Region, Err: err}
	var missing *awstypes.ResourceNotFoundException
	switch {
	case errors.As(err, &missing):
		e.Problem = StreamMissing
	case awserr.KeyRefused(err):
		e.Problem = StreamKeyIsRefused
	case awserr.Denied(err):
		e.Problem = StreamDenied
	}
	return e
}
