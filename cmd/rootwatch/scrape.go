package main

import (
	"bytes"
	"compress/gzip"
	"io"
	"maps"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"github.com/prometheus/common/expfmt"
)

const (
	// scrapeAge is how old an answer may be that a client of /metrics gets. Prometheus asks each 15
	// seconds.
	scrapeAge = time.Second
	// selectionsAtOnce bounds the requests for some metrics by name (?name[]=), whose answers are
	// not shared.
	selectionsAtOnce = 2
)

// scrapes answers /metrics. With many accounts an answer is megabytes, and a client that does not
// read it holds it until the write timeout. So all who ask within a second share one answer, which
// is kept compressed, and one is made at a time.
type scrapes struct {
	whole, selections http.Handler // promhttp's

	mu      sync.Mutex // held while an answer is made
	answers map[expfmt.Format]*scrape
}

// scrape is one answer.
type scrape struct {
	made   time.Time
	status int
	header http.Header
	body   []byte // as the header's Content-Encoding says: gzip, unless it is an error
}

func newScrapes(gatherer prometheus.Gatherer) *scrapes {
	return &scrapes{
		whole:      promhttp.HandlerFor(gatherer, promhttp.HandlerOpts{EnableOpenMetrics: true}),
		selections: promhttp.HandlerFor(gatherer, promhttp.HandlerOpts{EnableOpenMetrics: true, MaxRequestsInFlight: selectionsAtOnce}),
		answers:    make(map[expfmt.Format]*scrape),
	}
}

// ServeHTTP implements http.Handler.
func (s *scrapes) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.URL.RawQuery != "" {
		s.selections.ServeHTTP(w, r)
		return
	}
	answer := s.answer(r)
	maps.Copy(w.Header(), answer.header)
	var body io.Reader = bytes.NewReader(answer.body)
	if answer.header.Get("Content-Encoding") == "" || acceptsGzip(r.Header) {
		w.Header().Set("Content-Length", strconv.Itoa(len(answer.body)))
	} else {
		w.Header().Del("Content-Encoding")
		plain, err := gzip.NewReader(body)
		if err != nil {
			http.Error(w, "the metrics cannot be unpacked: "+err.Error(), http.StatusInternalServerError)
			return
		}
		body = plain
	}
	w.WriteHeader(answer.status)
	io.Copy(w, body) //nolint:errcheck // the asker has gone
}

// answer is an answer in the format that is asked for, from this second. There are as many as
// formats: what is older goes.
func (s *scrapes) answer(r *http.Request) *scrape {
	format := expfmt.NegotiateAccept(r.Header, expfmt.DefaultOpenMetricsAcceptedFormats()...)
	s.mu.Lock()
	defer s.mu.Unlock()
	maps.DeleteFunc(s.answers, func(_ expfmt.Format, a *scrape) bool { return time.Since(a.made) >= scrapeAge })
	if a := s.answers[format]; a != nil {
		return a
	}
	request := r.Clone(r.Context())
	request.Header.Set("Accept-Encoding", "gzip")
	recorder := &recorder{scrape: scrape{status: http.StatusOK, header: make(http.Header)}}
	s.whole.ServeHTTP(recorder, request)
	recorder.made = time.Now() // at its end: who has waited for it takes it, however long it took
	s.answers[format] = &recorder.scrape
	return &recorder.scrape
}

// recorder is a http.ResponseWriter that keeps what it is given.
type recorder struct{ scrape }

func (r *recorder) Header() http.Header    { return r.header }
func (r *recorder) WriteHeader(status int) { r.status = status }
func (r *recorder) Write(b []byte) (int, error) {
	r.body = append(r.body, b...)
	return len(b), nil
}

func acceptsGzip(h http.Header) bool {
	for accepted := range strings.SplitSeq(strings.Join(h.Values("Accept-Encoding"), ","), ",") {
		name, weight, _ := strings.Cut(accepted, ";")
		if strings.EqualFold(strings.TrimSpace(name), "gzip") {
			return strings.ReplaceAll(weight, " ", "") != "q=0"
		}
	}
	return false
}
