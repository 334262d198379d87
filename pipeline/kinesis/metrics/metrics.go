// Package metrics holds what the Kinesis source shows Prometheus: all counters, gauges and their
// label values.
package metrics

import (
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"
)

// Results of a fetch, causes of known data loss, changes of a lease: label values.
const (
	FetchOK              = "ok"
	FetchThrottled       = "throttled"
	FetchFailed          = "failed"
	FetchExpiredIterator = "expired_iterator"
	FetchStrange         = "strange" // answered with what cannot be believed

	LossExpiredCheckpoint = "expired_checkpoint" // the checkpoint is older than the stream's retention
	LossShardDeleted      = "shard_deleted"      // a shard was deleted by retention before it was read to its end

	LeaseAcquired = "acquired" // taken while it was free or expired
	LeaseStolen   = "stolen"   // handed over by its owner because we asked for it
	LeaseReopened = "reopened" // at SHARD_END while its shard is open: taken to be read on
	LeaseReleased = "released" // given up by us, in order
	LeaseLost     = "lost"     // found to be another's, or not renewed in time
)

type Metrics struct {
	Shards             prometheus.Gauge
	LeasesHeld         prometheus.Gauge
	LeaseChanges       *prometheus.CounterVec
	Checkpoints        prometheus.Counter
	CheckpointFailures prometheus.Counter
	TableFailures      prometheus.Counter
	Fetches            *prometheus.CounterVec
	DataLoss           *prometheus.CounterVec
	Panics             prometheus.Counter
	FetchMemory        prometheus.Gauge
	Lag                *Lag
}

func New(reg prometheus.Registerer, now func() time.Time) *Metrics {
	f := promauto.With(reg)
	counter := func(name, help string) prometheus.Counter {
		return f.NewCounter(prometheus.CounterOpts{Name: name, Help: help})
	}
	gauge := func(name, help string) prometheus.Gauge {
		return f.NewGauge(prometheus.GaugeOpts{Name: name, Help: help})
	}
	vec := func(name, help, label string, values ...string) *prometheus.CounterVec {
		v := f.NewCounterVec(prometheus.CounterOpts{Name: name, Help: help}, []string{label})
		for _, value := range values {
			v.WithLabelValues(value)
		}
		return v
	}
	m := &Metrics{
		Shards:             gauge("rootwatch_shards", "Shards of the stream that are not finished, whoever reads them."),
		LeasesHeld:         gauge("rootwatch_leases_held", "Leases of shards that this worker holds."),
		LeaseChanges:       vec("rootwatch_lease_changes_total", "Changes of leases as this worker saw them.", "change", LeaseAcquired, LeaseLost, LeaseReleased, LeaseReopened, LeaseStolen),
		Checkpoints:        counter("rootwatch_checkpoints_total", "Checkpoints written to the lease table."),
		CheckpointFailures: counter("rootwatch_checkpoint_failures_total", "Checkpoints that could not be written; they are tried again."),
		TableFailures:      counter("rootwatch_lease_table_failures_total", "Calls to the lease table that failed."),
		Fetches:            vec("rootwatch_fetches_total", "Calls of GetRecords by how they ended.", "result", FetchOK, FetchThrottled, FetchFailed, FetchExpiredIterator, FetchStrange),
		DataLoss:           vec("rootwatch_data_loss_total", "Times that records are known to have been skipped.", "cause", LossExpiredCheckpoint, LossShardDeleted),
		Panics:             counter("rootwatch_panics_recovered_total", "Panics in callbacks of the Kinesis library that were recovered; the lease was given up."),
		FetchMemory:        gauge("rootwatch_fetch_memory_bytes", "Memory that fetches and the batches in flight have reserved, in bytes."),
		Lag:                &Lag{now: now, samples: make(map[string]lagSample)},
	}
	reg.MustRegister(m.Lag)
	return m
}

// Lag exports rootwatch_shard_behind_latest_seconds: what the last good answer said plus the time
// since it, or the age of the oldest batch that the pipeline has not finished, whichever is more.
// It is computed at the scrape, so that the figure grows while no answer comes and while nothing is
// finished. A shard is shown while it is ours.
type Lag struct {
	now     func() time.Time
	mu      sync.Mutex
	samples map[string]lagSample // by shard
}

type lagSample struct {
	behind  time.Duration
	at      time.Time
	waiting func() time.Duration // age of the oldest batch in flight, 0 if there is none
}

var lagDesc = prometheus.NewDesc("rootwatch_shard_behind_latest_seconds",
	"How far reading is behind the newest record of a shard that this worker holds, including the time since the last answer, or how long the oldest batch in flight has waited, if that is longer.", []string{"shard_id"}, nil)

func (c *Lag) Describe(ch chan<- *prometheus.Desc) { ch <- lagDesc }

func (c *Lag) Collect(ch chan<- prometheus.Metric) {
	now := c.now()
	c.mu.Lock()
	defer c.mu.Unlock()
	for id, s := range c.samples {
		ch <- prometheus.MustNewConstMetric(lagDesc, prometheus.GaugeValue, max(s.behind+now.Sub(s.at), s.waiting()).Seconds(), id)
	}
}

// Hold shows a shard from now on. waiting is asked at each scrape for the age of the oldest batch
// in flight.
func (c *Lag) Hold(shardID string, waiting func() time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.samples[shardID] = lagSample{at: c.now(), waiting: waiting}
}

// Set notes a good answer about a shard that is shown.
func (c *Lag) Set(shardID string, behind time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if s, shown := c.samples[shardID]; shown {
		c.samples[shardID] = lagSample{behind, c.now(), s.waiting}
	}
}

func (c *Lag) Drop(shardID string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.samples, shardID)
}

// Oldest returns the time since the oldest of the last good answers, 0 if no shard is held.
func (c *Lag) Oldest() (shardID string, age time.Duration) {
	now := c.now()
	c.mu.Lock()
	defer c.mu.Unlock()
	for id, s := range c.samples {
		if a := now.Sub(s.at); a >= age {
			shardID, age = id, a
		}
	}
	return shardID, age
}
