package policy

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
)

// told are the lines of a log, as the entry's name and whether it has ended.
func told(t *testing.T, log string) (list []string) {
	t.Helper()
	for line := range strings.Lines(log) {
		var l struct{ Level, Msg, Policy, Until, Ticket, Approved_by string }
		if err := json.Unmarshal([]byte(line), &l); err != nil {
			t.Fatal(err)
		}
		if l.Level != "WARN" || l.Until == "" || l.Ticket != "OPS-1" || l.Approved_by != "Ada" {
			t.Errorf("the line is %s", line)
		}
		list = append(list, fmt.Sprintf("%s ended: %v", l.Policy, strings.Contains(l.Msg, "has ended")))
	}
	return list
}

// An entry is told of a day before its end, and at its end, once for each time that the file is
// read.
func TestEntriesAreToldOfWhenTheyEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		ending := func(name string, in time.Duration) string {
			return fmt.Sprintf("{name: %s, accounts: ['111122223333'], until: %s, ticket: OPS-1, approved_by: Ada}", name, start.Add(in).UTC().Format(time.RFC3339))
		}
		read := func(entries ...string) *Policy {
			p, err := Parse([]byte("expected: ["+strings.Join(entries, ", ")+"]"), time.Now())
			if err != nil {
				t.Fatal(err)
			}
			return p
		}
		var current atomic.Pointer[Policy]
		current.Store(read(ending("over", -time.Hour), ending("soon", time.Hour), ending("later", 48*time.Hour), ending("much-later", 60*24*time.Hour)))
		var out logged
		ctx, stop := context.WithCancel(t.Context())
		defer stop()
		go Remind(ctx, current.Load, time.Now, slog.New(slog.NewJSONHandler(&out, nil)))
		for _, step := range []struct {
			after time.Duration
			want  []string
		}{
			{time.Second, []string{"over ended: true", "soon ended: false"}},
			{59 * time.Minute, nil},
			{2 * time.Minute, []string{"soon ended: true"}},
			{22 * time.Hour, nil},
			{2 * time.Hour, []string{"later ended: false"}},
			{22 * time.Hour, nil},
			{2 * time.Hour, []string{"later ended: true"}},
			{24 * time.Hour, nil},
		} {
			time.Sleep(step.after)
			synctest.Wait()
			if diff := cmp.Diff(step.want, told(t, out.String())); diff != "" {
				t.Errorf("%s after the start (-want +got):\n%s", time.Since(start), diff)
			}
			out.Reset()
		}
		current.Store(read(ending("over", -time.Hour), ending("new", 90*time.Hour)))
		time.Sleep(time.Minute)
		synctest.Wait()
		if diff := cmp.Diff([]string{"over ended: true", "new ended: false"}, told(t, out.String())); diff != "" {
			t.Errorf("after the file was read again (-want +got):\n%s", diff)
		}
	})
}

// logged is what a logger in the background has written.
type logged struct {
	mu   sync.Mutex // guards text
	text bytes.Buffer
}

func (l *logged) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(b)
}

func (l *logged) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

func (l *logged) Reset() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.text.Reset()
}
