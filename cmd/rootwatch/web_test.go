package main

import (
	"bufio"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// manySeries are as many as thousands of accounts have: some megabytes in the text format.
func manySeries(t *testing.T) *prometheus.Registry {
	t.Helper()
	registry := prometheus.NewRegistry()
	counter := prometheus.NewCounterVec(prometheus.CounterOpts{Name: "calls_total", Help: "Calls."}, []string{"account_id", "verdict"})
	registry.MustRegister(counter)
	for i := range 30_000 {
		counter.WithLabelValues(fmt.Sprintf("%012d", i), "an-explanation-that-is-as-long-as-the-names-of-several-labels-together-"+strings.Repeat("x", 50)).Inc()
	}
	return registry
}

// startWeb serves a registry; tune may change the server before it begins.
func startWeb(t *testing.T, registry prometheus.Gatherer, tune func(*webServer)) string {
	t.Helper()
	flags := &webFlags{addresses: []string{"127.0.0.1:0"}}
	server, err := flags.listen(registry, func() error { return nil }, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	if tune != nil {
		tune(server)
	}
	address := server.listeners[0].Addr().String()
	served := make(chan error, 1)
	go func() { served <- server.serve() }()
	t.Cleanup(func() {
		server.close()
		if err := <-served; err != nil {
			t.Error(err)
		}
	})
	return address
}

// deaf asks for the metrics and reads nothing.
func deaf(t *testing.T, address string) net.Conn {
	t.Helper()
	dialer := net.Dialer{Control: func(_, _ string, raw syscall.RawConn) (err error) {
		controlled := raw.Control(func(fd uintptr) { err = syscall.SetsockoptInt(int(fd), syscall.SOL_SOCKET, syscall.SO_RCVBUF, 4096) })
		return errors.Join(controlled, err)
	}}
	conn, err := dialer.DialContext(t.Context(), "tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	if _, err := io.WriteString(conn, "GET /metrics HTTP/1.1\r\nHost: rootwatch\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	return conn
}

func liveHeap() int64 {
	runtime.GC()
	runtime.GC() // what the pools held
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

// It is not parallel: others would be in the measurement.
func TestClientsThatDoNotReadHoldLittleMemory(t *testing.T) {
	const clients = 200
	registry := manySeries(t)
	var active atomic.Int64
	address := startWeb(t, registry, func(s *webServer) {
		s.http.WriteTimeout = 5 * time.Minute // longer than the test takes on a slow machine
		s.http.ConnState = func(_ net.Conn, state http.ConnState) {
			switch state {
			case http.StateActive:
				active.Add(1)
			case http.StateIdle, http.StateClosed:
				active.Add(-1)
			}
		}
	})
	before := liveHeap()
	for range clients {
		deaf(t, address)
	}
	eventually(t, time.Minute, "all clients are answered", func() bool { return active.Load() == clients })

	response, err := http.Get("http://" + address + "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil || response.StatusCode != http.StatusOK || strings.Count(string(text), "\ncalls_total{") != 30_000 {
		t.Errorf("a client that reads is answered %s with %d bytes: %v", response.Status, len(text), err)
	}
	size := int64(len(text))
	text = nil

	held := liveHeap() - before
	t.Logf("%d clients that do not read an answer of %d KB hold %d KB", clients, size>>10, held>>10)
	if size < 4<<20 {
		t.Errorf("the answer has %d bytes: the kernel's buffers may hold it, and nobody is kept waiting", size)
	}
	if n := active.Load(); n < clients {
		t.Errorf("%d clients are kept waiting, want %d", n, clients)
	}
	if most := int64(48 << 20); held > most {
		t.Errorf("they hold %d MB, want %d MB at the most", held>>20, most>>20)
	}
}

func TestAClientThatDoesNotReadIsLetGo(t *testing.T) {
	t.Parallel()
	var closed atomic.Int64
	address := startWeb(t, manySeries(t), func(s *webServer) {
		if s.http.WriteTimeout != writeTimeout {
			t.Errorf("the write timeout is %s", s.http.WriteTimeout)
		}
		s.http.WriteTimeout = time.Second
		s.http.ConnState = func(_ net.Conn, state http.ConnState) {
			if state == http.StateClosed {
				closed.Add(1)
			}
		}
	})
	for range 5 {
		deaf(t, address)
	}
	eventually(t, 30*time.Second, "their connections are closed", func() bool { return closed.Load() == 5 })
}

func TestConnectionsBeyondTheLimitWait(t *testing.T) {
	t.Parallel()
	address := startWeb(t, prometheus.NewRegistry(), nil)
	idle := make([]net.Conn, maxConnections)
	for i := range idle {
		conn, err := net.Dial("tcp", address)
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		idle[i] = conn
		if _, err := io.WriteString(conn, "GET /-/healthy HTTP/1.1\r\nHost: rootwatch\r\n\r\n"); err != nil {
			t.Fatal(err)
		}
		if _, err := bufio.NewReader(conn).ReadString('\n'); err != nil {
			t.Fatal(err)
		}
	}
	answered := make(chan error, 1)
	go func() {
		response, err := http.Get("http://" + address + "/-/healthy")
		if err == nil {
			response.Body.Close()
		}
		answered <- err
	}()
	select {
	case err := <-answered:
		t.Fatalf("one connection more is answered (%v)", err)
	case <-time.After(200 * time.Millisecond):
	}
	idle[0].Close()
	if err := <-answered; err != nil {
		t.Error(err)
	}
}

func TestAScrapeIsWhatPrometheusAsksFor(t *testing.T) {
	t.Parallel()
	registry := prometheus.NewRegistry()
	gauge := prometheus.NewGauge(prometheus.GaugeOpts{Name: "answers", Help: "Answers."})
	other := prometheus.NewGauge(prometheus.GaugeOpts{Name: "questions", Help: "Questions."})
	registry.MustRegister(gauge, other)
	address := startWeb(t, registry, nil)
	for name, c := range map[string]struct {
		query, accept, encoding string
		contentType, compressed string
		last                    string // line
		without                 string
	}{
		"as text":                      {contentType: "text/plain; version=0.0.4", last: "questions 0"},
		"as text, packed":              {encoding: "deflate, gzip;q=0.8", contentType: "text/plain; version=0.0.4", compressed: "gzip", last: "questions 0"},
		"packed is refused":            {encoding: "gzip; q=0", contentType: "text/plain; version=0.0.4", last: "questions 0"},
		"as OpenMetrics":               {accept: "application/openmetrics-text;version=1.0.0", contentType: "application/openmetrics-text; version=1.0.0", last: "# EOF"},
		"as OpenMetrics, packed":       {accept: "application/openmetrics-text;version=1.0.0", encoding: "gzip", contentType: "application/openmetrics-text; version=1.0.0", compressed: "gzip", last: "# EOF"},
		"some metrics alone, as text":  {query: "?name[]=answers", contentType: "text/plain; version=0.0.4", last: "answers 0", without: "questions"},
		"some metrics alone, and more": {query: "?name[]=answers&name[]=questions", encoding: "gzip", contentType: "text/plain; version=0.0.4", compressed: "gzip", last: "questions 0"},
	} {
		t.Run(name, func(t *testing.T) {
			request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+address+"/metrics"+c.query, nil)
			if err != nil {
				t.Fatal(err)
			}
			request.Header.Set("Accept", c.accept)
			request.Header.Set("Accept-Encoding", c.encoding) // set, the client unpacks nothing by itself
			response, err := http.DefaultTransport.RoundTrip(request)
			if err != nil {
				t.Fatal(err)
			}
			defer response.Body.Close()
			body := io.Reader(response.Body)
			if got := response.Header.Get("Content-Encoding"); got != c.compressed {
				t.Errorf("packed as %q", got)
			} else if got == "gzip" {
				if body, err = gzip.NewReader(body); err != nil {
					t.Fatal(err)
				}
			}
			text, err := io.ReadAll(body)
			if err != nil {
				t.Fatal(err)
			}
			if got := response.Header.Get("Content-Type"); !strings.HasPrefix(got, c.contentType) {
				t.Errorf("its type is %q", got)
			}
			if !strings.HasSuffix(string(text), "\n"+c.last+"\n") || c.without != "" && strings.Contains(string(text), c.without) {
				t.Errorf("the answer is %s", text)
			}
		})
	}
}

// failing is a collector whose metrics cannot be gathered.
type failing struct{}

func (failing) Describe(chan<- *prometheus.Desc) {}
func (failing) Collect(ch chan<- prometheus.Metric) {
	ch <- prometheus.NewInvalidMetric(prometheus.NewInvalidDesc(errors.New("it cannot be gathered")), errors.New("it cannot be gathered"))
}

func TestMetricsThatCannotBeGatheredAreAnError(t *testing.T) {
	t.Parallel()
	registry := prometheus.NewRegistry()
	registry.MustRegister(failing{})
	address := startWeb(t, registry, nil)
	response, err := http.Get("http://" + address + "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil || response.StatusCode != http.StatusInternalServerError || !strings.Contains(string(text), "it cannot be gathered") {
		t.Errorf("%s %s %v", response.Status, text, err)
	}
}

func TestManyWhoAskAtOnceShareAnAnswer(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var gathered atomic.Int64
		registry := prometheus.NewRegistry()
		registry.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "gathered", Help: "Times."}, func() float64 { return float64(gathered.Add(1)) }))
		s := newScrapes(registry)
		ask := func(accept string) string {
			w, r := httptest.NewRecorder(), httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/metrics", nil)
			r.Header.Set("Accept", accept)
			s.ServeHTTP(w, r)
			return w.Body.String()
		}
		var asking sync.WaitGroup
		for range 50 {
			asking.Go(func() { ask("text/plain") })
		}
		asking.Wait()
		if n := gathered.Load(); n != 1 {
			t.Errorf("for 50 clients the metrics are gathered %d times, want once", n)
		}
		if text := ask("application/openmetrics-text"); !strings.HasSuffix(text, "gathered 2.0\n# EOF\n") {
			t.Errorf("in another format the answer is %s", text)
		}
		time.Sleep(scrapeAge)
		if text := ask("text/plain"); !strings.HasSuffix(text, "gathered 3\n") {
			t.Errorf("a second later the answer is %s", text)
		}
		if n := len(s.answers); n != 1 {
			t.Errorf("%d answers are kept, want the new one alone", n)
		}
	})
}
