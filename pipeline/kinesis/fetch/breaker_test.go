package fetch

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/smithy-go"
)

func TestSilenceIsTheTimeSinceTheOldestCallInVain(t *testing.T) {
	ctx, cancelled := t.Context(), func() context.Context { c, end := context.WithCancel(t.Context()); end(); return c }()
	failure, throttled := errors.New("reset"), error(&smithy.GenericAPIError{Code: "ProvisionedThroughputExceededException"})
	synctest.Test(t, func(t *testing.T) {
		var b Breaker
		check := func(what string, want time.Duration) {
			t.Helper()
			if got, _ := b.Silence(); got != want {
				t.Errorf("%s: silent for %s, want %s", what, got, want)
			}
		}
		answer := func(ctx context.Context, err error) { b.call(ctx, func() error { return err }) } //nolint:errcheck // it is err
		after := func(d time.Duration, ctx context.Context, err error) {                            // a call that lasts
			go b.call(ctx, func() error { time.Sleep(d); return err }) //nolint:errcheck // it is err
			synctest.Wait()
		}
		check("nothing asked", 0)
		after(3*time.Second, ctx, nil)
		after(5*time.Second, cancelled, context.Canceled)
		time.Sleep(2 * time.Second)
		check("two calls under way", 2*time.Second)
		time.Sleep(2 * time.Second)
		check("one of two answered a second ago", time.Second)
		time.Sleep(2 * time.Second)
		check("the other was called off", 0)
		answer(ctx, throttled)
		time.Sleep(time.Second)
		check("refused for its rate", 0)
		answer(ctx, failure)
		time.Sleep(4 * time.Second)
		check("failed", 4*time.Second)
		answer(ctx, throttled)
		answer(cancelled, context.Canceled)
		answer(ctx, errIterator)
		check("what shows no records changes nothing", 4*time.Second)
		if _, err := b.Silence(); !errors.Is(err, failure) {
			t.Errorf("the reason is %v", err)
		}
		answer(ctx, nil)
		check("answered", 0)
		answer(ctx, failure)
		time.Sleep(asksOn + time.Second)
		check("nobody asks any more", 0)
		answer(ctx, failure)
		b.forget()
		check("forgotten", 0)
		func() {
			defer func() { recover() }() //nolint:errcheck // it is the test's own
			b.call(ctx, func() error { panic("in a call") })
		}()
		time.Sleep(time.Second)
		check("a panic is no answer, and is over", time.Second)
	})
}
