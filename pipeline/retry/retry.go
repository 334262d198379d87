// Package retry is the one policy for waiting before another try. It knows nothing of what is
// tried.
package retry

import (
	"context"
	"time"

	"github.com/cenkalti/backoff/v5"
)

const (
	firstPause = 100 * time.Millisecond
	growth     = 2
)

// Do calls try until it succeeds, returns an error made by Stop, or ctx ends; it calls try at least
// once. The pauses between two tries grow from 100 ms to longest and are spread at random, so that
// many who failed together do not come back together. failed, which may be nil, is told of each
// error that is followed by another try, and of the pause before it. The error is that of the last
// try without Stop around it, or the cause of the context's end.
func Do(ctx context.Context, longest time.Duration, try func() error, failed func(err error, pause time.Duration)) error {
	policy := backoff.NewExponentialBackOff()
	policy.InitialInterval, policy.Multiplier, policy.MaxInterval = firstPause, growth, longest
	_, err := backoff.Retry(ctx, func() (struct{}, error) { return struct{}{}, try() },
		backoff.WithBackOff(policy), backoff.WithMaxElapsedTime(0), backoff.WithNotify(failed))
	return err
}

// Stop marks an error that another try would not mend.
func Stop(err error) error { return backoff.Permanent(err) }

// Sleep waits for d; it fails, with the cause, when ctx ends before that.
func Sleep(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
