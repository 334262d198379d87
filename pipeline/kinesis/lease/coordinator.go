package lease

import (
	"cmp"
	"context"
	"errors"
	"log/slog"
	"maps"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"rootwatch/pipeline/awserr"
	"rootwatch/pipeline/dynamo"
	"rootwatch/pipeline/kinesis/metrics"
	"rootwatch/pipeline/retry"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	awskinesis "github.com/aws/aws-sdk-go-v2/service/kinesis"
	"golang.org/x/sync/errgroup"
)

// Config is what a coordinator needs.
type Config struct {
	DynamoDB    *dynamodb.Client
	Kinesis     *awskinesis.Client
	Stream      Stream
	Application string  // name of the lease table
	Worker      string  // unique to this process
	Start       StartAt // the zero value: at the application's first start
	// Ran returns when the application was first started and when it lived last, as far as
	// something that outlives the lease table remembers; zero times if nothing does. Nil: nobody
	// remembers.
	Ran      func(context.Context) (firstStart, lastAlive time.Time, err error)
	Duration time.Duration
	Handoff  time.Duration // limit of a handoff
	// Readable is asked before each look at the table: how many leases are held, and which shards
	// are not finished. While it returns an error Kinesis gives this worker no records: the leases
	// are given up then, and none is taken.
	Readable func(ctx context.Context, held int, unfinished []string) error
	Metrics  *metrics.Metrics
	Logger   *slog.Logger
	Now      func() time.Time // the host's clock, for people who look at the table
}

// Coordinator shares the leases out with those of the other workers: in each pass it looks at the
// shards and at the lease table, has balance decide, and carries the plan out. Beside the passes it
// renews what is held and sees what others ask for.
type Coordinator struct {
	cfg     Config
	table   *table
	leases  *Registry
	metrics *metrics.Metrics
	log     *slog.Logger
	woken   chan struct{} // a held lease or a shard has ended: look now

	mu        sync.Mutex
	known     known                // published as one by each pass, so that nobody sees half of it
	backedOff map[string]time.Time // shards that the pipeline has failed in here: not ours again before then

	// Only the pass uses what follows, and Prepare before the first one.
	start      StartAt // of leases without a checkpoint
	first      firstStart
	fromFirst  bool      // start is the first start
	serverTime time.Time // Kinesis's, when the worker started

	shards    map[string]*shard
	lastList  time.Time
	listError error // of the last ListShards: shards is older than rows then
	rows      map[string]*row
	observed  observations
	freeSince map[string]time.Time // see view
	missing   map[string]time.Time // see view
	gone      map[string]struct{}  // shards that are not listed and that Kinesis does not know
	openEnds  openEnds             // leases at SHARD_END of open shards
	claims    map[string]time.Time // leases that this worker has asked for, since when
	dice      *rand.Rand
}

// known is what the passes have found out, for the library and for /-/ready.
type known struct {
	rows       map[string]*row
	listed     []string  // shards
	looked     time.Time // last good look at the table
	lookError  error     // of the last look
	unreadable error     // why Kinesis gives this worker no records
	wanted     int       // shards that nobody holds and that this worker could take
}

// New returns a coordinator and the registry of the leases that it holds; it calls nobody.
func New(cfg Config) (*Coordinator, *Registry) {
	c := &Coordinator{
		cfg: cfg, metrics: cfg.Metrics, log: cfg.Logger, woken: make(chan struct{}, 1),
		table:     &table{svc: cfg.DynamoDB, name: cfg.Application, me: cfg.Worker, duration: cfg.Duration, timeout: min(cfg.Duration/4, 5*time.Second), now: cfg.Now},
		backedOff: make(map[string]time.Time), start: cfg.Start, fromFirst: cfg.Start == StartAt{},
		observed: make(observations), gone: make(map[string]struct{}), openEnds: make(openEnds), claims: make(map[string]time.Time), dice: rand.New(rand.NewPCG(rand.Uint64(), rand.Uint64())),
	}
	c.leases = newRegistry(c.ended)
	return c, c.leases
}

// Prepare makes sure of the lease table, waiting out what waiting heals. serverTime is Kinesis's
// time, by which records arrive.
func (c *Coordinator) Prepare(ctx context.Context, serverTime time.Time) error {
	c.serverTime = serverTime
	return awserr.WaitOut(ctx, c.log, func() error {
		if err := c.makeTable(ctx); err != nil {
			return err
		}
		return c.table.tryPermissions(ctx)
	})
}

// makeTable makes sure of the table and of the first start in it.
func (c *Coordinator) makeTable(ctx context.Context) error {
	if err := c.table.ensure(ctx); err != nil {
		return err
	}
	wait := time.Duration(0)
	proposed := c.serverTime
	if !c.first.time.IsZero() {
		proposed = c.first.time
	}
	if c.fromFirst {
		wait = c.quarter() + time.Second // every running worker has looked by then
	}
	kept, err := c.table.firstStart(ctx, c.cfg.Stream.Name, proposed)
	if err != nil {
		return dynamo.Explain(err, c.table.svc, c.table.name)
	}
	begins := c.first.time.IsZero()
	c.first.adopt(kept, kept.Equal(proposed), wait)
	if begins {
		if err := c.recall(ctx); err != nil {
			c.first.time = time.Time{} // the next try begins again
			return err
		}
	}
	c.restart()
	return nil
}

// Wake has the coordinator look now.
func (c *Coordinator) Wake() {
	select {
	case c.woken <- struct{}{}:
	default:
	}
}

// ended notes that a lease was given back. A shard that the pipeline has failed in is left to the
// others for a while; when nobody wants it, it comes back.
func (c *Coordinator) ended(h *Held) {
	if cause := context.Cause(h.over); errors.Is(cause, ErrPanic) || errors.Is(cause, ErrRefused) {
		c.mu.Lock()
		c.backedOff[h.shard.ID] = time.Now().Add(c.quarter())
		c.mu.Unlock()
	}
	c.Wake()
}

// quarter of a lease is the rhythm of renewals and, at rest, of looks at the table.
func (c *Coordinator) quarter() time.Duration { return c.table.duration / 4 }

// Run passes until ctx ends.
func (c *Coordinator) Run(ctx context.Context) {
	for {
		next := c.pass(ctx)
		timer := time.NewTimer(next)
		select {
		case <-ctx.Done():
			timer.Stop()
			return
		case <-timer.C:
		case <-c.woken:
			timer.Stop()
			// Many leases end together: one look serves them all.
			if retry.Sleep(ctx, min(50*time.Millisecond, c.quarter())) != nil {
				return
			}
			c.lastList = time.Time{}
		}
	}
}

// pass looks, decides and carries out once, and returns when to look again.
func (c *Coordinator) pass(ctx context.Context) time.Duration {
	c.leases.sweep()
	c.metrics.LeasesHeld.Set(float64(len(c.leases.All()))) // also when the table does not answer
	busy := min(time.Second, c.table.duration/8)
	c.checkReadable(ctx)
	if err := c.look(ctx); err != nil {
		if ctx.Err() == nil {
			c.log.Error("the shards or the lease table cannot be read: no lease is taken until they can", "err", err)
		}
		c.publish(func(k *known) { k.lookError = err })
		return busy
	}
	p := balance(c.view(), c.dice)
	c.freeSince, c.missing = p.freeSince, p.missing
	c.publish(func(k *known) {
		k.rows, k.listed, k.looked, k.lookError, k.wanted = c.rows, slices.Collect(maps.Keys(c.shards)), time.Now(), c.listError, p.free
	})
	took := c.carryOut(ctx, p)
	c.publish(func(k *known) { k.wanted = p.free - took })
	c.metrics.LeasesHeld.Set(float64(len(c.leases.All())))
	if p.soon || took < len(p.take) {
		return busy
	}
	return c.quarter()
}

func (c *Coordinator) publish(change func(*known)) {
	c.mu.Lock()
	defer c.mu.Unlock()
	change(&c.known)
}

// view is what the last look has found.
func (c *Coordinator) view() *view {
	v := &view{
		me: c.table.me, now: time.Now(), duration: c.table.duration, shards: c.shards, rows: c.rows, observed: c.observed,
		held: make(map[string]string), starting: c.first.waits(), oldShards: c.listError != nil, freeSince: c.freeSince, missing: c.missing,
	}
	for _, h := range c.leases.All() {
		v.held[h.shard.ID] = h.shard.Start
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	v.unreadable = c.known.unreadable != nil
	maps.DeleteFunc(c.backedOff, func(_ string, until time.Time) bool { return !v.now.Before(until) })
	v.backedOff = maps.Clone(c.backedOff)
	return v
}

// look refreshes shards and leases.
func (c *Coordinator) look(ctx context.Context) error {
	if err := c.list(ctx); err != nil {
		return err
	}
	rows, first, err := c.table.scan(ctx)
	if errors.Is(err, errTableMissing) {
		c.log.Error("the lease table is gone: it is made anew, and shards whose checkpoint is lost are read from the application's start", "table", c.table.name)
		if err := c.makeTable(ctx); err != nil {
			return err
		}
		rows, first, err = c.table.scan(ctx)
	}
	if err == nil {
		err = c.keepFirst(ctx, first)
	}
	if err != nil {
		c.metrics.TableFailures.Inc()
		return err
	}
	now := time.Now()
	c.rows = rows
	c.observed.observe(rows, now, c.quarter())
	maps.DeleteFunc(c.claims, func(id string, asked time.Time) bool { // an old one that is not there was granted, or refused
		return (rows[id] == nil || rows[id].claim != c.table.me) && now.Sub(asked) > 2*c.table.timeout
	})
	for id, s := range c.shards {
		if l := rows[id]; l != nil {
			l.stale = s.another(l.shardStart)
		}
	}
	if c.listError == nil {
		c.openEnds.find(rows, c.shards, now, c.lastList, c.table.duration/2)
	}
	open := 0
	for id := range c.shards {
		l := rows[id]
		if l == nil || !l.finished() {
			open++
		}
	}
	c.metrics.Shards.Set(float64(open))
	return nil
}

// carryOut does what a plan says and returns how many of its leases were got.
func (c *Coordinator) carryOut(ctx context.Context, p *plan) (took int) {
	for _, e := range p.end {
		if h := c.leases.Get(e.shardID); h != nil {
			h.beginHandoff(e.why, c.cfg.Handoff)
		}
	}
	cancelling, done := lingering(ctx, stopGrace)
	defer done()
	c.cancelClaims(cancelling, p.cancel)
	took = c.take(ctx, p.take)
	if took == len(p.take) {
		c.ask(ctx, p.ask)
	}
	c.cleanUp(ctx, p.cleanUp)
	return took
}

// calls are made at once, so many at the most.
const calls = 16

// take acquires leases, unless a stop comes between: each may take as long as a call to a table
// that does not answer.
func (c *Coordinator) take(ctx context.Context, all []taking) int {
	var took atomic.Int64
	var group errgroup.Group
	group.SetLimit(calls)
	for _, t := range all {
		group.Go(func() error {
			if ctx.Err() == nil && c.acquire(ctx, t) {
				took.Add(1)
			}
			return nil
		})
	}
	group.Wait() //nolint:errcheck // its functions return none
	return int(took.Load())
}

func (c *Coordinator) acquire(ctx context.Context, t taking) bool {
	s, seen := t.shard, t.seen
	if seen != nil && seen.stale {
		c.log.Warn("the lease is of a deleted stream's shard of the same name: it is removed, and the shard read from the start",
			"shard_id", s.ID, "lease_start", seen.shardStart, "shard_start", s.Start)
		if err := c.table.remove(ctx, seen); err != nil {
			return false
		}
		seen = nil
	}
	asked := time.Now()
	// Not cut short by a stop at once: a lease that was taken without our knowing it would be
	// nobody's until it expires.
	acquiring, done := lingering(ctx, stopGrace)
	defer done()
	l, err := c.table.acquire(acquiring, s, seen, t.expired)
	if err != nil {
		if !errors.Is(err, errFenced) && ctx.Err() == nil {
			c.metrics.TableFailures.Inc()
			c.log.Warn("a lease could not be taken", "shard_id", s.ID, "err", err)
		}
		return false
	}
	start := c.start
	if t.oldest {
		start = StartAt{Oldest: true}
	}
	change := metrics.LeaseAcquired
	if t.asked {
		change = metrics.LeaseStolen
	}
	if seen != nil && seen.open {
		change = metrics.LeaseReopened
		c.log.Error("a lease was at the end of its shard, and the shard is open: it is read on", "shard_id", s.ID,
			"from", cmp.Or(l.checkpoint, "the start"), "checkpoint_time", l.checkedAt)
	}
	c.metrics.LeaseChanges.WithLabelValues(change).Inc()
	h := newHeld(s, l, start, asked, c.table, c.metrics, c.log)
	h.log.Info("lease acquired", "change", change, "checkpoint", l.checkpoint)
	c.leases.hold(h)
	return true
}

// ask puts our claim on leases of others, until a call fails. One that is refused was lost or
// claimed meanwhile.
func (c *Coordinator) ask(ctx context.Context, all []asking) {
	for _, a := range all {
		id := a.lease.shardID
		c.claims[id] = time.Now() // before it is sent: its answer may be lost
		switch err := c.table.claim(ctx, a.lease); {
		case err == nil:
			c.log.Info("asked for a lease", "shard_id", id, "owner", a.owner)
		case !errors.Is(err, errFenced):
			c.metrics.TableFailures.Inc()
			c.log.Warn("a lease could not be asked for", "shard_id", id, "err", err)
			return
		}
	}
}

// CancelClaims takes back what was asked for and not got: a lease that is handed over to a worker
// that has stopped, or takes none, would be nobody's until the claim expires. It is called after
// the last pass.
func (c *Coordinator) CancelClaims() {
	ctx, cancel := context.WithTimeout(context.Background(), ReleaseTimeout)
	defer cancel()
	c.cancelClaims(ctx, slices.Collect(maps.Keys(c.claims)))
}

func (c *Coordinator) cancelClaims(ctx context.Context, ids []string) {
	var group errgroup.Group
	group.SetLimit(calls)
	for _, id := range ids {
		delete(c.claims, id)
		group.Go(func() error {
			if err := c.table.unclaim(ctx, id); err != nil && !errors.Is(err, errFenced) {
				c.log.Warn("a lease that was asked for could not be left to the others: it is free after a lease's time", "shard_id", id, "err", err)
			}
			return nil
		})
	}
	group.Wait() //nolint:errcheck // its functions return none
}

// cleanUp removes leases of deleted shards.
func (c *Coordinator) cleanUp(ctx context.Context, all []*row) {
	for _, l := range all {
		switch err := c.table.remove(ctx, l); {
		case err != nil:
			c.log.Warn("the lease of a deleted shard could not be removed", "shard_id", l.shardID, "err", err)
		case l.finished():
			c.log.Info("lease of a deleted shard removed", "shard_id", l.shardID)
		default:
			c.metrics.DataLoss.WithLabelValues(metrics.LossShardDeleted).Inc()
			c.log.Error("a shard was deleted before it was read to its end: its last records are lost", "shard_id", l.shardID, "checkpoint", l.checkpoint, "checkpoint_time", l.checkedAt)
		}
	}
}

// Finished reports whether a shard has been read to its end, by anybody.
func (c *Coordinator) Finished(shardID string) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	l := c.known.rows[shardID]
	return l != nil && l.finished()
}

// Listed returns the ids of the stream's shards, as the last look found them.
func (c *Coordinator) Listed() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.known.listed
}

// Status is what a coordinator knows of its own health.
type Status struct {
	Looked time.Time // last good look at the table; zero: none yet
	Err    error     // why leases or shards cannot be looked at, or Kinesis gives no records; nil if all is well
	Wanted int       // shards that nobody holds and that this worker could take
}

// Status returns the state as of the last pass.
func (c *Coordinator) Status() Status {
	c.mu.Lock()
	defer c.mu.Unlock()
	return Status{Looked: c.known.looked, Err: cmp.Or(c.known.lookError, c.known.unreadable), Wanted: c.known.wanted}
}

// checkReadable gives the leases up when Kinesis gives no records; none is taken until it does.
func (c *Coordinator) checkReadable(ctx context.Context) {
	held := c.leases.All()
	err := c.cfg.Readable(ctx, len(held), c.unfinished())
	was := c.known.unreadable // only the pass writes it
	c.publish(func(k *known) { k.unreadable = err })
	if err == nil || was != nil {
		return
	}
	ids := make([]string, len(held))
	for i, h := range held {
		ids[i] = h.shard.ID
	}
	c.carryOut(ctx, retreat(ids, slices.Collect(maps.Keys(c.claims))))
}

// unfinished are the shards that are not read to their end.
func (c *Coordinator) unfinished() []string {
	ids := make([]string, 0, len(c.shards))
	for id := range c.shards {
		if l := c.rows[id]; l == nil || !l.finished() {
			ids = append(ids, id)
		}
	}
	return ids
}
