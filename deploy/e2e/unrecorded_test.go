//go:build e2e

package e2e

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// A call that was judged while the ledger is denied, the log is full, or both, pages within a
// minute, and is not counted. When they are back it is told, written down and counted once, and
// nobody is told again: audit sees to that at the end.
func unrecordedPages(t *testing.T, w *world) func(*testing.T) {
	for _, c := range []struct {
		name        string
		ledger, log bool
		says        string // /-/ready
	}{
		{"the ledger is denied", true, false, "the ledger has not taken a root call"},
		{"the log is full", false, true, "the log or another sink has not answered"},
		{"both", true, true, "the log or another sink has not answered"},
	} {
		t.Run(c.name, func(t *testing.T) {
			role, output := w.newRole(t), newLogPipe(t)
			name := w.nextWorker()
			output.copyTo(t, w.logOf(name))
			worker := w.startInto(t, output.write, name, workerEnv(name, role.url), w.binary, workerArgs(loneStream)...)
			w.scrape(t, worker)
			worker.ready(t)
			role.denied.Store(c.ledger)
			if c.log {
				output.hang(t)
			}
			account := w.account()
			call := w.call(t, "root key", account)
			put := w.put(t, loneStream, call.data)
			page, _ := w.expect(t, time.Minute, "pager", "RootCallUnexplained", map[string]string{"severity": "critical", "account_id": account})
			t.Logf("paged %.1fs after PutRecord", page.at.Sub(put.at).Seconds())
			shown := w.counted(t, account)
			eventually(t, 15*time.Second, "/-/ready tells of it", func() bool {
				status, body := worker.asks(t, "/-/ready")
				return status == http.StatusServiceUnavailable && strings.Contains(body, c.says)
			})
			if !worker.shows("rootwatch_unrecorded_root_calls 1") || worker.shows(countedSeries(account)) || w.checkpointed(t, loneStream, put) {
				t.Error("the call is recorded, counted or done with")
			}

			role.denied.Store(false)
			if c.log {
				output.goOn()
			}
			eventually(t, time.Minute, "the call is told, written down, counted and done with", func() bool {
				return worker.tells(t, call.id) && w.written(t, loneStream, call.id) && worker.shows(countedSeries(account)+"1") && w.checkpointed(t, loneStream, put)
			})
			worker.ready(t)
			w.settle(t)
			if now := w.counted(t, account); !now.Equal(shown) {
				t.Errorf("the paging series has moved from %s to %s: it pages a second time", shown, now)
			}
			if n := len(w.receivers.read("pager", account)); n != 1 {
				t.Errorf("%d pages for account %s, want one", n, account)
			}
			w.unscrape(t, worker)
			worker.stop(t)
		})
	}
	return nil
}

// countedSeries is the line of /metrics that counts an account's unexplained calls, up to its
// value.
func countedSeries(account string) string {
	return fmt.Sprintf(`rootwatch_root_calls_by_account_total{account_id=%q,verdict="unexplained"} `, account)
}

// asks gives the answer of the process's web server, whatever its status.
func (p *process) asks(t *testing.T, path string) (status int, body string) {
	t.Helper()
	response, err := http.Get("http://" + p.address + path)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return response.StatusCode, string(text)
}

// role stands before AWS; while it is denied, nobody who comes through it may write items.
type role struct {
	url    string
	denied atomic.Bool
}

func (w *world) newRole(t *testing.T) *role {
	r := &role{}
	front := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, request *http.Request) {
		if r.denied.Load() && strings.HasSuffix(request.Header.Get("X-Amz-Target"), ".PutItem") {
			rw.Header().Set("Content-Type", "application/x-amz-json-1.0")
			rw.WriteHeader(http.StatusBadRequest)
			io.WriteString(rw, `{"__type":"com.amazon.coral.service#AccessDeniedException","Message":"User is not authorized to perform: dynamodb:PutItem"}`) //nolint:errcheck // the asker has gone
			return
		}
		w.server.ServeHTTP(rw, request)
	}))
	t.Cleanup(front.Close)
	r.url = front.URL
	return r
}

// logPipe is a pipe that a process writes to. Somebody copies it into a file, unless it hangs.
type logPipe struct {
	read, write *os.File
	room        int           // a descriptor of the writing end that does not block
	hangs       chan struct{} // the copying has stopped
	again       chan struct{}
}

func newLogPipe(t *testing.T) *logPipe {
	t.Helper()
	read, write, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { read.Close(); write.Close() })
	// Opened anew it has flags of its own: the process must block.
	room, err := syscall.Open(fmt.Sprintf("/proc/self/fd/%d", write.Fd()), syscall.O_WRONLY|syscall.O_NONBLOCK|syscall.O_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { syscall.Close(room) })
	o := &logPipe{read: read, write: write, room: room, hangs: make(chan struct{}), again: make(chan struct{})}
	t.Cleanup(func() { close(o.again) })
	return o
}

func (o *logPipe) copyTo(t *testing.T, file string) {
	t.Helper()
	to, err := os.Create(file)
	if err != nil {
		t.Fatal(err)
	}
	go func() {
		defer to.Close()
		for {
			_, err := io.Copy(to, o.read)
			if !errors.Is(err, os.ErrDeadlineExceeded) {
				return
			}
			o.hangs <- struct{}{}
			<-o.again
		}
	}()
}

// hang stops the copying and fills the pipe, so that the next write blocks.
func (o *logPipe) hang(t *testing.T) {
	t.Helper()
	if err := o.read.SetReadDeadline(time.Now()); err != nil {
		t.Fatal(err)
	}
	<-o.hangs
	for _, filling := range []string{strings.Repeat("\n", 4096), "\n"} {
		for {
			if _, err := syscall.Write(o.room, []byte(filling)); errors.Is(err, syscall.EAGAIN) {
				break
			} else if err != nil {
				t.Fatal(err)
			}
		}
	}
}

// goOn lets the copying go on.
func (o *logPipe) goOn() {
	o.read.SetReadDeadline(time.Time{}) //nolint:errcheck // the end of the test finds that nothing was copied
	o.again <- struct{}{}
}
