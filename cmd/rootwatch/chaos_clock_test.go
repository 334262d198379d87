//go:build chaos

package main

import (
	"os"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"
	"unsafe"
)

// clockFile is the variable that names a file with the seconds by which a worker's calendar is
// ahead. The worker looks at it again and again, so that a test can move the clock of a process
// that runs.
const clockFile = "ROOTWATCH_TEST_CLOCK"

func init() {
	path := os.Getenv(clockFile)
	if os.Getenv(asProgram) == "" || path == "" {
		return
	}
	var ahead atomic.Int64
	now = func() time.Time { return jumped(time.Now(), ahead.Load()) }
	go func() {
		for ; ; time.Sleep(20 * time.Millisecond) {
			text, err := os.ReadFile(path)
			if err != nil {
				continue // not written yet
			}
			if seconds, err := strconv.ParseInt(strings.TrimSpace(string(text)), 10, 64); err == nil {
				ahead.Store(seconds)
			}
		}
	}()
}

// jumped is t as it would be if the calendar had been moved and nothing else: t.Add would move the
// monotonic reading as well, which no jump of a clock does. In a time with such a reading, bits 30
// to 62 of the first word are the seconds since 1885.
func jumped(t time.Time, seconds int64) time.Time {
	words := (*struct {
		wall uint64
		ext  int64
		loc  *time.Location
	})(unsafe.Pointer(&t))
	if words.wall>>63 == 0 {
		return t.Add(time.Duration(seconds) * time.Second)
	}
	words.wall = uint64(int64(words.wall) + seconds<<30)
	return t
}

// The test of the test: a jump moves the calendar, and not the distance between two readings.
func TestChaosClock(t *testing.T) {
	before := time.Now()
	for _, seconds := range []int64{3600, -3600, 86400} {
		after := jumped(before, seconds)
		if moved := after.Round(0).Sub(before.Round(0)); moved != time.Duration(seconds)*time.Second {
			t.Errorf("the calendar has moved by %s, want %d s", moved, seconds)
		}
		if passed := after.Sub(before); passed != 0 {
			t.Errorf("%s have passed, want 0", passed)
		}
	}
}
