package pipeline

import (
	"fmt"
	"runtime/debug"
)

// recovered runs f and makes an error of a panic.
func recovered(f func() error) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = panicked(p)
		}
	}()
	return f()
}

// panicError is a recovered panic with the stack that it left behind.
type panicError struct {
	value any
	stack []byte
}

func panicked(value any) *panicError { return &panicError{value, debug.Stack()} }

func (e *panicError) Error() string { return fmt.Sprintf("panic: %v\n%s", e.value, e.stack) }
