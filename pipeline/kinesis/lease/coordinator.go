package lease

import (
	"cmp"
	"context"
	"errors"
	"log/slog"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"time"

	"rootwatch/pipeline/awserr"
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
	Duration    time.Duration
	Handoff     time.Duration // limit of a handoff
	// Readable is asked before each look at the table: how many leases are held, and which shards are not finished. While it
	// returns an error Kinesis gives this worker no records: the leases are given up then, and none is taken.
	Readable func(ctx context.Context, held int, unfinished []string) error
	Metrics  *metrics.Metrics
	Logger   *slog.Logger
	Now      func() time.Time // the host's clock, for people who look at the table
}

// Coordinator decides which leases are ours. In each pass it looks at the shards and at the lease table, takes what is free
// or has expired, up to a fair share, and asks for shards of workers that have two more than it. Its heartbeat renews what
// is held and sees what others ask for.
type Coordinator struct {
	cfg     Config
	table   *table
	leases  *Registry
	metrics *metrics.Metrics
	log     *slog.Logger
	kicked  chan struct{} // a tenure or a shard has ended: look now

	start      StartAt
	first      firstStart
	fromFirst  bool      // start is the first start
	serverTime time.Time // Kinesis's, at the start

	mu        sync.Mutex // guards what follows; the pass writes, the library and /-/ready read
	view      map[string]*row
	listed    []string             // shards, for the library
	looked    time.Time            // last good look at the table
	lookError error                // of the last look
	unheard   error                // why Kinesis gives this worker no records
	wanted    int                  // shards that nobody holds and that we could take
	resting   map[string]time.Time // shards that the pipeline has failed in here: not ours again before then

	// Only the pass uses these.
	shards    map[string]*Shard
	seen      map[string]*sighting // by shard id
	lastList  time.Time
	missing   map[string]time.Time // leases whose shard is not listed, since when
	freeSince map[string]time.Time // shards left to others because we have our share
	claims    map[string]time.Time // leases that we have asked for, since when
	listError error                // of the last ListShards: shards is older than the leases then
}

// New returns a coordinator and the registry of the leases that it holds; it calls nobody.
func New(cfg Config) (*Coordinator, *Registry) {
	c := &Coordinator{
		cfg: cfg, metrics: cfg.Metrics, log: cfg.Logger, kicked: make(chan struct{}, 1),
		table: &table{svc: cfg.DynamoDB, name: cfg.Application, me: cfg.Worker, duration: cfg.Duration, timeout: min(cfg.Duration/4, 5*time.Second), now: cfg.Now},
		start: cfg.Start, fromFirst: cfg.Start == StartAt{},
		resting: make(map[string]time.Time), seen: make(map[string]*sighting),
		missing: make(map[string]time.Time), freeSince: make(map[string]time.Time), claims: make(map[string]time.Time),
	}
	c.leases = NewRegistry(c.ended)
	return c, c.leases
}

// Prepare makes sure of the lease table, waiting out what waiting heals. serverTime is Kinesis's time, by which records arrive.
func (c *Coordinator) Prepare(ctx context.Context, serverTime time.Time) error {
	c.serverTime = serverTime
	return awserr.WaitOut(ctx, c.log, func() error { return c.makeTable(ctx) })
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
		return err
	}
	c.first.adopt(kept, kept.Equal(proposed), wait)
	c.restart()
	return nil
}

// sighting is how a lease's version has been seen by the local monotonic clock: no host's wall clock decides.
type sighting struct {
	version string
	since   time.Time // the lease was renewed at this moment or before
	looked  time.Time // last look at it
}

// Wake has the coordinator look now.
func (c *Coordinator) Wake() {
	select {
	case c.kicked <- struct{}{}:
	default:
	}
}

// ended takes note of the end of a tenure. A shard that the pipeline has failed in is left to the others for a while;
// when nobody wants it, it comes back.
func (c *Coordinator) ended(t *Held) {
	if cause := context.Cause(t.over); errors.Is(cause, ErrPanic) || errors.Is(cause, ErrRefused) {
		c.mu.Lock()
		c.resting[t.shard.ID] = time.Now().Add(c.quarter())
		c.mu.Unlock()
	}
	c.Wake()
}

// rests says whether a shard is left to the others.
func (c *Coordinator) rests(id string) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	until, ok := c.resting[id]
	if ok && !time.Now().Before(until) {
		delete(c.resting, id)
		return false
	}
	return ok
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
		case <-c.kicked:
			timer.Stop()
			// Many tenures end together: one look serves them all.
			if retry.Sleep(ctx, min(50*time.Millisecond, c.quarter())) != nil {
				return
			}
			c.lastList = time.Time{}
		}
	}
}

// pass looks and decides once, and returns when to look again.
func (c *Coordinator) pass(ctx context.Context) time.Duration {
	c.leases.sweep()
	c.metrics.LeasesHeld.Set(float64(len(c.leases.All()))) // also when the table does not answer
	busy := min(time.Second, c.table.duration/8)
	c.listen(ctx)
	if err := c.look(ctx); err != nil {
		if ctx.Err() == nil {
			c.log.Error("the shards or the lease table cannot be read: no lease is taken until they can", "err", err)
		}
		c.mu.Lock()
		c.lookError = err
		c.mu.Unlock()
		return busy
	}
	restless := c.decide(ctx)
	c.cleanUp(ctx)
	if restless {
		return busy
	}
	return c.quarter()
}

// list refreshes the shards. Where that fails the last list does: leases of shards that are known can still be taken, and
// somebody has to.
func (c *Coordinator) list(ctx context.Context) error {
	now := time.Now()
	if !c.lastList.IsZero() && now.Sub(c.lastList) < max(c.quarter(), time.Second) {
		return nil
	}
	shards, err := ListShards(ctx, c.cfg.Kinesis, c.cfg.Stream, 10*time.Second)
	if c.listError = err; err != nil {
		if c.shards == nil || ctx.Err() != nil {
			return err
		}
		c.log.Error("the shards cannot be listed: new ones stay unread until they can", "err", err)
		return nil
	}
	c.shards, c.lastList = shards, now
	return nil
}

// look refreshes shards and leases.
func (c *Coordinator) look(ctx context.Context) error {
	if err := c.list(ctx); err != nil {
		return err
	}
	view, first, err := c.table.scan(ctx)
	if errors.Is(err, errTableMissing) {
		c.log.Error("the lease table is gone: it is made anew, and shards whose checkpoint is lost are read from the application's start", "table", c.table.name)
		if err := c.makeTable(ctx); err != nil {
			return err
		}
		view, first, err = c.table.scan(ctx)
	}
	if err == nil {
		err = c.keepFirst(ctx, first)
	}
	if err != nil {
		c.metrics.TableFailures.Inc()
		return err
	}
	now := time.Now()
	c.sight(view, now)
	maps.DeleteFunc(c.claims, func(id string, asked time.Time) bool { // an old one that is not there was granted, or refused
		return (view[id] == nil || view[id].claim != c.table.me) && now.Sub(asked) > 2*c.table.timeout
	})
	open := 0
	listed := make([]string, 0, len(c.shards))
	for id, s := range c.shards {
		l := view[id]
		if l != nil {
			l.stale = s.another(l.shardStart)
		}
		if l == nil || !l.finished() {
			open++
		}
		listed = append(listed, id)
	}
	c.metrics.Shards.Set(float64(open))
	c.mu.Lock()
	defer c.mu.Unlock()
	c.view, c.listed, c.looked, c.lookError = view, listed, now, c.listError
	return nil
}

// sight notes which leases have moved. A lease moved somewhere between two looks; it is taken to have been half-way, so
// that expiry is on average neither early nor late. Its owner, whose clock starts with the renewal, has given it up after
// three quarters of the duration: half a look's distance (an eighth) leaves a distance between the two.
func (c *Coordinator) sight(view map[string]*row, now time.Time) {
	for id, l := range view {
		s := c.seen[id]
		switch v := l.version(); {
		case s == nil:
			c.seen[id] = &sighting{version: v, since: now, looked: now}
		case s.version != v:
			s.version, s.since = v, now.Add(-min(now.Sub(s.looked), c.quarter())/2)
			s.looked = now
		default:
			s.looked = now
		}
	}
	for id := range c.seen {
		if view[id] == nil {
			delete(c.seen, id)
		}
	}
}

// unmoved is how long a lease has stood still.
func (c *Coordinator) unmoved(id string) time.Duration {
	if s := c.seen[id]; s != nil {
		return time.Since(s.since)
	}
	return 0
}

// decide takes and asks for leases; it reports whether something is under way that deserves an early look.
func (c *Coordinator) decide(ctx context.Context) (restless bool) {
	held := make(map[string]bool)
	for _, t := range c.leases.All() {
		held[t.shard.ID] = true
		if s := c.shards[t.shard.ID]; s != nil && s.another(t.shard.Start) {
			c.wind(t, ErrGone)
		}
	}
	load := map[string]int{c.table.me: len(held)}
	var free, theirs []string
	for id, s := range c.shards {
		l := c.view[id]
		switch {
		case held[id] || l != nil && l.finished() || !mayStart(s, c.shards, c.view):
		case l == nil || l.owner == "" || l.owner == c.table.me:
			free = append(free, id)
		case c.unmoved(id) >= c.table.duration:
			free = append(free, id)
		default:
			holder := l.owner
			if l.claim != "" { // as good as handed over: two newcomers must not ask for the same surplus
				holder = l.claim
			} else {
				theirs = append(theirs, id)
			}
			load[holder]++
			if l.claim == c.table.me || c.unmoved(id) > c.table.duration/2 {
				restless = true
			}
		}
	}
	if c.unheard != nil || c.first.waits() {
		c.mu.Lock()
		c.wanted = len(free)
		c.mu.Unlock()
		return c.unheard == nil
	}
	total := len(free)
	for _, n := range load {
		total += n
	}
	share := (total + len(load) - 1) / len(load)
	took := c.take(ctx, free, share-load[c.table.me], len(load) > 1)
	load[c.table.me] += took
	asked := 0
	if len(free) == took {
		asked = c.ask(ctx, theirs, load)
	}
	c.mu.Lock()
	c.wanted = len(free) - took
	c.mu.Unlock()
	c.metrics.LeasesHeld.Set(float64(len(c.leases.All())))
	return restless || len(free) > took || asked > 0
}

// take acquires free leases up to room, and those beyond it that no other worker has wanted for a quarter of a lease.
func (c *Coordinator) take(ctx context.Context, free []string, room int, peers bool) (took int) {
	rand.Shuffle(len(free), func(i, j int) { free[i], free[j] = free[j], free[i] })
	waiting := make(map[string]time.Time)
	var mu sync.Mutex
	var group errgroup.Group
	group.SetLimit(16)
	for _, id := range free {
		l := c.view[id]
		expired := l != nil && c.unmoved(id) >= c.table.duration
		if c.rests(id) {
			continue
		}
		if l != nil && l.claim != "" && l.claim != c.table.me && !expired {
			continue // handed over to a peer: its turn, for the time of a lease
		}
		mine := l != nil && l.claim == c.table.me
		if room <= 0 && peers && !mine {
			since, ok := c.freeSince[id]
			if !ok {
				since = time.Now()
			}
			if time.Since(since) < c.quarter() {
				waiting[id] = since
				continue
			}
		}
		if ctx.Err() != nil {
			break // a stop: each of these may take as long as a call to a table that does not answer
		}
		room--
		group.Go(func() error {
			if ctx.Err() == nil && c.acquire(ctx, c.shards[id], l, expired, mine) {
				mu.Lock()
				took++
				mu.Unlock()
			}
			return nil
		})
	}
	c.freeSince = waiting
	group.Wait() //nolint:errcheck // its functions return none
	return took
}

func (c *Coordinator) acquire(ctx context.Context, s *Shard, seen *row, expired, claimed bool) bool {
	if seen != nil && seen.stale {
		c.log.Warn("the lease is of a deleted stream's shard of the same name: it is removed, and the shard read from the start",
			"shard_id", s.ID, "lease_start", seen.shardStart, "shard_start", s.Start)
		if err := c.table.remove(ctx, seen); err != nil {
			return false
		}
		seen = nil
	}
	asked := time.Now()
	// Not cut short by a stop: a lease that was taken without our knowing it would be nobody's until it expires.
	l, err := c.table.acquire(context.WithoutCancel(ctx), s, seen, expired)
	if err != nil {
		if !errors.Is(err, errFenced) && ctx.Err() == nil {
			c.metrics.TableFailures.Inc()
			c.log.Warn("a lease could not be taken", "shard_id", s.ID, "err", err)
		}
		return false
	}
	start := c.start
	if bornRead(s, c.view) {
		start = StartAt{Oldest: true}
	}
	change := metrics.LeaseAcquired
	if claimed {
		change = metrics.LeaseStolen
	}
	c.metrics.LeaseChanges.WithLabelValues(change).Inc()
	t := newHeld(s, l, start, asked, c.table, c.metrics, c.log)
	t.log.Info("lease acquired", "change", change, "checkpoint", l.checkpoint)
	c.leases.hold(t)
	return true
}

// ask puts our claim on leases of the workers that have at least two more than we, until nobody has.
func (c *Coordinator) ask(ctx context.Context, theirs []string, load map[string]int) (asked int) {
	slices.Sort(theirs)
	rand.Shuffle(len(theirs), func(i, j int) { theirs[i], theirs[j] = theirs[j], theirs[i] })
	spent := make(map[string]bool) // workers whose surplus is claimed already
	for {
		donor := ""
		for w := range load {
			if !spent[w] && (donor == "" || load[w] > load[donor]) {
				donor = w
			}
		}
		if donor == "" || load[donor]-load[c.table.me] < 2 {
			return asked
		}
		i := slices.IndexFunc(theirs, func(id string) bool { return c.view[id].owner == donor })
		if i < 0 {
			spent[donor] = true
			continue
		}
		id := theirs[i]
		theirs = slices.Delete(theirs, i, i+1)
		c.claims[id] = time.Now() // before it is sent: its answer may be lost
		if err := c.table.claim(ctx, c.view[id]); err != nil {
			if !errors.Is(err, errFenced) {
				c.metrics.TableFailures.Inc()
				c.log.Warn("a lease could not be asked for", "shard_id", id, "err", err)
				return asked
			}
			load[donor]--
			continue
		}
		c.log.Info("asked for a lease", "shard_id", id, "owner", donor)
		load[donor]--
		load[c.table.me]++
		asked++
	}
}

// CancelClaims takes back what we have asked for and not got: a lease that is handed over to a worker that has stopped, or takes
// none, would be nobody's until the claim expires. Only the pass calls it, and the stop after the last pass.
func (c *Coordinator) CancelClaims() {
	var group errgroup.Group
	group.SetLimit(16)
	for id := range c.claims {
		delete(c.claims, id)
		group.Go(func() error {
			if err := c.table.unclaim(context.Background(), id); err != nil && !errors.Is(err, errFenced) {
				c.log.Warn("a lease that was asked for could not be left to the others: it is free after a lease's time", "shard_id", id, "err", err)
			}
			return nil
		})
	}
	group.Wait() //nolint:errcheck // its functions return none
}

// cleanUp removes the leases of shards that Kinesis has deleted, once they have been missing for a whole lease.
func (c *Coordinator) cleanUp(ctx context.Context) {
	if c.listError != nil {
		clear(c.missing) // what is missing in an old list may be new
		return
	}
	for id := range c.missing {
		if c.view[id] == nil || c.shards[id] != nil {
			delete(c.missing, id)
		}
	}
	for _, id := range slices.Sorted(maps.Keys(c.view)) {
		l := c.view[id]
		if c.shards[id] != nil || !strings.HasPrefix(id, "shardId-") {
			continue
		}
		since, known := c.missing[id]
		if !known {
			c.missing[id] = time.Now()
			continue
		}
		if time.Since(since) < c.table.duration {
			continue
		}
		if t := c.leases.Get(id); t != nil {
			c.wind(t, ErrGone)
			continue
		}
		if l.owner != "" && c.unmoved(id) < c.table.duration {
			continue
		}
		if err := c.table.remove(ctx, l); err != nil {
			c.log.Warn("the lease of a deleted shard could not be removed", "shard_id", id, "err", err)
			continue
		}
		if l.finished() {
			c.log.Info("lease of a deleted shard removed", "shard_id", id)
			continue
		}
		c.metrics.DataLoss.WithLabelValues(metrics.LossShardDeleted).Inc()
		c.log.Error("a shard was deleted before it was read to its end: its last records are lost", "shard_id", id, "checkpoint", l.checkpoint, "checkpoint_time", l.checkedAt)
	}
}

// Finished reports whether a shard has been read to its end, by anybody.
func (c *Coordinator) Finished(shardID string) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	l := c.view[shardID]
	return l != nil && l.finished()
}

// Listed returns the ids of the stream's shards, as the last look found them.
func (c *Coordinator) Listed() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.listed
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
	return Status{Looked: c.looked, Err: cmp.Or(c.lookError, c.unheard), Wanted: c.wanted}
}

// listen gives the leases up when Kinesis gives no records, and lets none be taken until it does.
func (c *Coordinator) listen(ctx context.Context) {
	held := c.leases.All()
	err := c.cfg.Readable(ctx, len(held), c.unfinished())
	begins := err != nil && c.unheard == nil
	c.mu.Lock()
	c.unheard = err
	c.mu.Unlock()
	if !begins {
		return
	}
	for _, t := range held {
		c.wind(t, ErrUnread)
	}
	c.CancelClaims()
}

// unfinished are the shards that are not read to their end.
func (c *Coordinator) unfinished() []string {
	ids := make([]string, 0, len(c.shards))
	for id := range c.shards {
		if l := c.view[id]; l == nil || !l.finished() {
			ids = append(ids, id)
		}
	}
	return ids
}
