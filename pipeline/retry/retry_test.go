package retry

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"
)

func TestDoTriesUntilItSucceedsWithPausesThatGrowToTheLongest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const longest = 2 * time.Second
		tries, began := 0, time.Now()
		var pauses []time.Duration
		err := Do(t.Context(), longest, func() error {
			if tries++; tries <= 12 {
				return errors.New("not yet")
			}
			return nil
		}, func(_ error, pause time.Duration) { pauses = append(pauses, pause) })
		if err != nil || tries != 13 || len(pauses) != 12 {
			t.Fatalf("%d tries, %d pauses: %v", tries, len(pauses), err)
		}
		var sum time.Duration
		for i, pause := range pauses {
			middle := min(firstPause<<i, longest)
			if pause < middle/2 || pause > middle*3/2 {
				t.Errorf("pause %d is %s, want about %s", i+1, pause, middle)
			}
			sum += pause
		}
		if took := time.Since(began); took != sum {
			t.Errorf("it took %s, the pauses are %s", took, sum)
		}
	})
}

func TestDoEndsWithAnErrorThatIsMarked(t *testing.T) {
	fatal := errors.New("fatal")
	tries := 0
	err := Do(t.Context(), time.Second, func() error { tries++; return Stop(fmt.Errorf("reading: %w", fatal)) }, nil)
	if tries != 1 || err.Error() != "reading: fatal" || !errors.Is(err, fatal) {
		t.Errorf("%d tries: %v", tries, err)
	}
}

func TestDoAndSleepEndWithTheirContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		stop := errors.New("stop")
		for name, wait := range map[string]func(context.Context) error{
			"Do": func(ctx context.Context) error {
				return Do(ctx, time.Hour, func() error { return errors.New("not yet") }, nil)
			},
			"Sleep": func(ctx context.Context) error { return Sleep(ctx, time.Hour) },
		} {
			ctx, cancel := context.WithCancelCause(t.Context())
			time.AfterFunc(time.Minute, func() { cancel(stop) })
			began := time.Now()
			if err := wait(ctx); !errors.Is(err, stop) || time.Since(began) != time.Minute {
				t.Errorf("%s ends after %s: %v", name, time.Since(began), err)
			}
		}
		if err := Sleep(t.Context(), time.Second); err != nil {
			t.Error(err)
		}
	})
}
