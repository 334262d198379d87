package lease

import (
	"context"
	"time"

	"rootwatch/pipeline/retry"
)

// stopGrace is how long a write may go on after a stop that would otherwise be waited for.
const stopGrace = 500 * time.Millisecond

// lingering is a context that ends some time after ctx does.
func lingering(ctx context.Context, grace time.Duration) (context.Context, context.CancelFunc) {
	longer, cancel := context.WithCancelCause(context.WithoutCancel(ctx))
	stop := context.AfterFunc(ctx, func() {
		if retry.Sleep(longer, grace) == nil {
			cancel(context.Cause(ctx))
		}
	})
	return longer, func() { stop(); cancel(nil) }
}
