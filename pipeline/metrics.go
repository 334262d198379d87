package pipeline

import (
	"sync"
	"time"
	"unicode/utf8"

	"github.com/prometheus/client_golang/prometheus"

	"rootwatch/classify"
)

// otherAccount stands for all accounts beyond the cap: their calls are counted and page all the
// same.
const otherAccount = "other"

// maxRegions bounds the label of the heartbeats; AWS has some 40 regions.
const maxRegions = 100

// metrics are the pipeline's metrics. No label holds what comes from an event, but for account ids
// and regions, which are checked and capped.
type metrics struct {
	rootCalls          *prometheus.CounterVec // verdict, reason
	rootCallsByAccount *prometheus.CounterVec // account_id, verdict
	accountsOverflow   prometheus.Counter
	lastRootCall       *prometheus.GaugeVec // account_id, verdict
	lastUnpushed       *prometheus.GaugeVec // account_id, severity: the paging series
	records            prometheus.Counter
	recordBytes        prometheus.Counter
	events             *prometheus.CounterVec // result
	lastUndecodable    prometheus.Gauge
	eventDelay         prometheus.Histogram
	lastHeartbeat      *prometheus.GaugeVec // region
	unrecorded         prometheus.Gauge
	sinkFailures       prometheus.Counter
	oldest             prometheus.GaugeFunc

	maxAccounts int
	now         func() time.Time
	labelled    func(accountID string)

	mu       sync.Mutex           // guards what follows
	accounts map[string]bool      // those with a label value of their own
	regions  map[string]time.Time // newest heartbeat
	newest   map[series]time.Time // what the series of moments show
}

// series is one series of a gauge with two labels.
type series struct {
	of     *prometheus.GaugeVec
	labels [2]string
}

func newMetrics(maxAccounts int, now func() time.Time, ages *ages) *metrics {
	counter := func(name, help string) prometheus.CounterOpts {
		return prometheus.CounterOpts{Namespace: "rootwatch", Name: name, Help: help}
	}
	gauge := func(name, help string) prometheus.GaugeOpts {
		return prometheus.GaugeOpts{Namespace: "rootwatch", Name: name, Help: help}
	}
	m := &metrics{
		rootCalls: prometheus.NewCounterVec(counter("root_calls_total",
			"Root calls by verdict and reason, copies left out."), []string{"verdict", "reason"}),
		rootCallsByAccount: prometheus.NewCounterVec(counter("root_calls_by_account_total",
			"Root calls by account; \"other\" stands for all accounts beyond the cap."), []string{"account_id", "verdict"}),
		accountsOverflow: prometheus.NewCounter(counter("accounts_overflow_total",
			"Root calls shown under account_id \"other\" because the cap on accounts was reached.")),
		lastRootCall: prometheus.NewGaugeVec(gauge("last_root_call_timestamp_seconds",
			"When the newest root call of an account was counted, Unix time."), []string{"account_id", "verdict"}),
		lastUnpushed: prometheus.NewGaugeVec(gauge("last_unpushed_root_call_timestamp_seconds",
			"When the newest root call that no push has delivered was counted, Unix time."), []string{"account_id", "severity"}),
		records: prometheus.NewCounter(counter("records_total",
			"Records finished.")),
		recordBytes: prometheus.NewCounter(counter("record_bytes_total",
			"Bytes of the records finished, as received.")),
		events: prometheus.NewCounterVec(counter("events_total",
			"Events found in the records, each in exactly one result."), []string{"result"}),
		lastUndecodable: prometheus.NewGauge(gauge("last_undecodable_timestamp_seconds",
			"When something undecodable was last counted, Unix time; 0 if never.")),
		eventDelay: prometheus.NewHistogram(prometheus.HistogramOpts{
			Namespace: "rootwatch", Name: "event_delay_seconds",
			Help: "From a root call's eventTime until it was counted.",
			// CloudTrail delivers within minutes; a worker that was down starts up to a retention
			// late.
			Buckets:                        []float64{1, 5, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 4 * 3600, 12 * 3600, 86400, 3 * 86400, 7 * 86400},
			NativeHistogramBucketFactor:    1.1,
			NativeHistogramMaxBucketNumber: 100, NativeHistogramMinResetDuration: time.Hour,
		}),
		lastHeartbeat: prometheus.NewGaugeVec(gauge("last_heartbeat_timestamp_seconds",
			"Time of the newest heartbeat of a region, Unix time; of an expected region at least the process's start."), []string{"region"}),
		unrecorded: prometheus.NewGauge(gauge("unrecorded_root_calls",
			"Root calls that page without being recorded: the log or the ledger has not taken them.")),
		sinkFailures: prometheus.NewCounter(counter("sink_failures_total",
			"Root calls that the log, or another sink, did not take; they are tried again.")),
		oldest: prometheus.NewGaugeFunc(gauge("oldest_batch_seconds",
			"How long the oldest batch of records has been in the pipeline without being done; 0 without any."),
			func() float64 { return ages.oldest().Seconds() }),
		maxAccounts: maxAccounts,
		now:         now,
		accounts:    make(map[string]bool),
		regions:     make(map[string]time.Time),
		newest:      make(map[series]time.Time),
	}
	// A series that is born at 1 has no increase: each one that can be known beforehand starts at
	// 0.
	for _, r := range classify.Reasons() {
		m.rootCalls.WithLabelValues(string(r.Verdict), string(r.Reason))
		if r.Verdict == classify.Unexplained {
			m.rootCalls.WithLabelValues(string(classify.Expected), string(r.Reason))
		}
	}
	for r := range results {
		m.events.WithLabelValues(r.String())
	}
	return m
}

func (m *metrics) register(r prometheus.Registerer) error {
	for _, c := range []prometheus.Collector{
		m.rootCalls, m.rootCallsByAccount, m.accountsOverflow, m.lastRootCall, m.lastUnpushed,
		m.records, m.recordBytes, m.events, m.lastUndecodable, m.eventDelay, m.lastHeartbeat,
		m.unrecorded, m.sinkFailures, m.oldest,
	} {
		if err := r.Register(c); err != nil {
			return err
		}
	}
	return nil
}

// rootCall counts one root call, and sets the series that pages for it.
func (m *metrics) rootCall(f *Finding) {
	calls := m.rootCalls.WithLabelValues(string(f.Verdict), string(f.Reason))
	if id := f.Event.EventID.Value; exemplary(id) {
		calls.(prometheus.ExemplarAdder).AddWithExemplar(1, prometheus.Labels{"event_id": id})
	} else {
		calls.Inc()
	}
	m.events.WithLabelValues(ResultRoot.String()).Inc()

	account := m.account(f.AccountID)
	if account == otherAccount {
		m.accountsOverflow.Inc()
	}
	m.rootCallsByAccount.WithLabelValues(account, string(f.Verdict)).Inc()
	m.corrected(f)
	if t, err := time.Parse(time.RFC3339, f.Event.EventTime.Value); err == nil {
		m.eventDelay.Observe(max(0, f.Counted.Sub(t).Seconds())) // another host's clock may be ahead
	}
}

// corrected sets the series that tell of a call, and page for it unless it was expected, without
// counting it: it was counted before, as something milder.
func (m *metrics) corrected(f *Finding) {
	account := m.account(f.AccountID)
	m.advance(m.lastRootCall, account, string(f.Verdict), f.Counted)
	m.raise(account, f.Verdict.Paging(f.Severity), f.Counted)
}

// raise brings the paging series of an account up to a call counted at that moment.
func (m *metrics) raise(account string, severity classify.Severity, at time.Time) {
	if severity != classify.None {
		m.advance(m.lastUnpushed, account, string(severity), at)
	}
}

// maxAhead is how far another task's clock may be ahead of this one's.
const maxAhead = 5 * time.Minute

// advance brings a series up to a moment. It does not go back: calls are counted by several
// goroutines, and restored ones come in any order. But a moment that lies in the future was shown
// by a clock that was wrong then, and would hide all calls until that moment: it gives way.
func (m *metrics) advance(of *prometheus.GaugeVec, account, label string, at time.Time) {
	m.mu.Lock()
	defer m.mu.Unlock()
	key := series{of, [2]string{account, label}}
	newest := m.newest[key]
	if at.After(newest) || newest.After(m.now().Add(maxAhead)) {
		m.newest[key] = at
		of.WithLabelValues(account, label).Set(unixSeconds(at))
	}
}

// batch counts all else in a batch, whose units ended as these results.
func (m *metrics) batch(w *work, events Counts, now time.Time) {
	m.records.Add(float64(w.records))
	m.recordBytes.Add(float64(w.recordBytes))
	for r, n := range events {
		if n > 0 && Result(r) != ResultRoot { // root calls are counted one by one, when they are finished
			m.events.WithLabelValues(Result(r).String()).Add(float64(n))
		}
	}
	if events[ResultUndecodable] > 0 {
		m.lastUndecodable.Set(unixSeconds(now))
	}
	for _, h := range w.heartbeats {
		if h.time.After(now) {
			h.time = now // or one wrong clock would hide a silence
		}
		m.heartbeat(h.region, h.time)
	}
}

// heartbeat keeps the newest heartbeat of a region; they may come in any order.
func (m *metrics) heartbeat(region string, at time.Time) {
	m.mu.Lock()
	defer m.mu.Unlock()
	newest, known := m.regions[region]
	if !classify.IsRegion(region) || !known && len(m.regions) >= maxRegions || known && !at.After(newest) {
		return
	}
	m.regions[region] = at
	m.lastHeartbeat.WithLabelValues(region).Set(unixSeconds(at))
}

// account is the label value for an account.
func (m *metrics) account(id string) string {
	if !classify.IsAccountID(id) {
		return classify.UnknownAccount
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.accounts[id] {
		return id
	}
	if len(m.accounts) >= m.maxAccounts {
		return otherAccount
	}
	m.accounts[id] = true
	if m.labelled != nil {
		m.labelled(id)
	}
	return id
}

// exemplary reports whether an id fits into an exemplar: client_golang panics on one that does not.
func exemplary(id string) bool {
	return id != "" && utf8.ValidString(id) &&
		utf8.RuneCountInString("event_id")+utf8.RuneCountInString(id) <= prometheus.ExemplarMaxRunes
}

func unixSeconds(t time.Time) float64 { return float64(t.UnixNano()) / 1e9 }
