package kinesis

import (
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"
)

// Results of a fetch, causes of known data loss, changes of a lease: label values.
const (
	fetchOK              = "ok"
	fetchThrottled       = "throttled"
	fetchFailed          = "failed"
	fetchExpiredIterator = "expired_iterator"

	lossExpiredCheckpoint = "expired_checkpoint" // the checkpoint is older than the stream's retention
	lossShardDeleted      = "shard_deleted"      // a shard was deleted by retention before it was read to its end

	leaseAcquired = "acquired" // taken while it was free or expired
	leaseStolen   = "stolen"   // handed over by its owner because we asked for it
	leaseReleased = "released" // given up by us, in order
	leaseLost     = "lost"     // found to be another's, or not renewed in time
)

type metrics struct {
	shards             prometheus.Gauge
	leasesHeld         prometheus.Gauge
	leaseChanges       *prometheus.CounterVec
	checkpoints        prometheus.Counter
	checkpointFailures prometheus.Counter
	tableFailures      prometheus.Counter
	fetches            *prometheus.CounterVec
	dataLoss           *prometheus.CounterVec
	panics             prometheus.Counter
	fetchMemory        prometheus.Gauge
	lag                *lagCollector
}

func newMetrics(reg prometheus.Registerer, now func() time.Time) *metrics {
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
	m := &metrics{
		shards:             gauge("rootwatch_shards", "Shards of the stream that are not finished, whoever reads them."),
		leasesHeld:         gauge("rootwatch_leases_held", "Leases of shards that this worker holds."),
		leaseChanges:       vec("rootwatch_lease_changes_total", "Changes of leases as this worker saw them.", "change", leaseAcquired, leaseLost, leaseReleased, leaseStolen),
		checkpoints:        counter("rootwatch_checkpoints_total", "Checkpoints written to the lease table."),
		checkpointFailures: counter("rootwatch_checkpoint_failures_total", "Checkpoints that could not be written; they are tried again."),
		tableFailures:      counter("rootwatch_lease_table_failures_total", "Calls to the lease table that failed."),
		fetches:            vec("rootwatch_fetches_total", "Calls of GetRecords by how they ended.", "result", fetchOK, fetchThrottled, fetchFailed, fetchExpiredIterator),
		dataLoss:           vec("rootwatch_data_loss_total", "Times that records are known to have been skipped.", "cause", lossExpiredCheckpoint, lossShardDeleted),
		panics:             counter("rootwatch_panics_recovered_total", "Panics in callbacks of the Kinesis library that were recovered; the lease was given up."),
		fetchMemory:        gauge("rootwatch_fetch_memory_bytes", "Memory that fetches and the batches in flight have reserved, in bytes."),
		lag:                &lagCollector{now: now, tenures: make(map[string]lagSample)},
	}
	reg.MustRegister(m.lag)
	return m
}

// lagCollector exports rootwatch_shard_behind_latest_seconds: what the last good answer said plus the time since
// it, computed at the scrape, so that the figure grows while no answer comes. A shard is shown while it is ours.
type lagCollector struct {
	now     func() time.Time
	mu      sync.Mutex
	tenures map[string]lagSample // by shard
}

type lagSample struct {
	behind time.Duration
	at     time.Time
}

var lagDesc = prometheus.NewDesc("rootwatch_shard_behind_latest_seconds",
	"How far reading is behind the newest record of a shard that this worker holds, including the time since the last answer.", []string{"shard_id"}, nil)

func (c *lagCollector) Describe(ch chan<- *prometheus.Desc) { ch <- lagDesc }

func (c *lagCollector) Collect(ch chan<- prometheus.Metric) {
	now := c.now()
	c.mu.Lock()
	defer c.mu.Unlock()
	for id, s := range c.tenures {
		ch <- prometheus.MustNewConstMetric(lagDesc, prometheus.GaugeValue, (s.behind + now.Sub(s.at)).Seconds(), id)
	}
}

func (c *lagCollector) set(shardID string, behind time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.tenures[shardID] = lagSample{behind, c.now()}
}

func (c *lagCollector) drop(shardID string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.tenures, shardID)
}

// oldest returns the time since the oldest of the last good answers, 0 if no shard is held.
func (c *lagCollector) oldest() (shardID string, age time.Duration) {
	now := c.now()
	c.mu.Lock()
	defer c.mu.Unlock()
	for id, s := range c.tenures {
		if a := now.Sub(s.at); a >= age {
			shardID, age = id, a
		}
	}
	return shardID, age
}
