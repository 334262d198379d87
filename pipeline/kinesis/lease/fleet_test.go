package lease

import (
	"container/heap"
	"flag"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"testing"
	"time"
)

var fleets = flag.Uint64("fleets", 400, "how many fleets TestAnyFleetComesToRestWithEveryShardRead tries")

// What must hold for any fleet. The test says how near to it they come.
const (
	freeBound     = testLease * 3 / 4 // a released shard has an owner again within this
	deadBound     = testLease * 9 / 4 // a dead worker's, with a claim of a dead worker on it, too
	settleBound   = testLease * 3     // after the last disturbance everything is even and rests
	settlePasses  = 100               // and no worker has made more passes by then
	longestDrain  = 3 * time.Second   // a handoff of the simulation finishes what is in flight within this
	longestDelay  = 2 * time.Second   // from a look to the last of its calls
	disturbed     = 4 * testLease     // how long things happen to a fleet
	observedAfter = testLease         // how long it must rest
)

// fleet is a simulation: the lease table, and workers that look, plan and act on it in made-up
// time, each in its own rhythm. What a worker decides is balance's; what a call does is as the
// table's conditions have it.
type fleet struct {
	t       *testing.T
	seed    uint64
	dice    *rand.Rand
	now     time.Time
	events  events
	stale   bool // calls come some time after the look that they were decided by
	shards  map[string]*shard
	rows    map[string]*row
	workers []*simulated
	byName  map[string]*simulated
	lonely  map[string]time.Time // shards that no living worker owns, since when
	orphan  map[string]bool      // of them: those that a dead worker has owned, or asked for
	longest struct{ free, orphan, settle time.Duration }
	passes  int
	changed time.Time // last time that a lease changed hands or was asked for
}

// simulated is one worker of a fleet.
type simulated struct {
	*fleet
	name      string
	dead      bool
	observed  observations
	freeSince map[string]time.Time
	missing   map[string]time.Time
	leaving   map[string]bool // leases that it is handing over
	passes    int             // since the last disturbance
}

type event struct {
	at time.Time
	do func()
}

type events []event

func (e events) Len() int           { return len(e) }
func (e events) Less(i, j int) bool { return e[i].at.Before(e[j].at) }
func (e events) Swap(i, j int)      { e[i], e[j] = e[j], e[i] }
func (e *events) Push(x any)        { *e = append(*e, x.(event)) }
func (e *events) Pop() any {
	last := (*e)[len(*e)-1]
	*e = (*e)[:len(*e)-1]
	return last
}

func (f *fleet) after(d time.Duration, do func()) { heap.Push(&f.events, event{f.now.Add(d), do}) }

func (f *fleet) upTo(most time.Duration) time.Duration {
	return time.Duration(f.dice.Int64N(int64(most)))
}

// run goes on until then.
func (f *fleet) run(until time.Time) {
	for len(f.events) > 0 && !f.events[0].at.After(until) {
		e := heap.Pop(&f.events).(event)
		f.now = e.at
		e.do()
		f.watch()
	}
	f.now = until
}

func (f *fleet) failf(format string, args ...any) {
	f.t.Helper()
	f.t.Fatalf("fleet %d, after %s: %s", f.seed, f.now.Sub(time.Time{}.AddDate(2026, 0, 0)), fmt.Sprintf(format, args...))
}

// alive reports whether a worker of that name lives.
func (f *fleet) alive(name string) bool {
	w := f.byName[name]
	return w != nil && !w.dead
}

func (f *fleet) living() (n int) {
	for _, w := range f.workers {
		if !w.dead {
			n++
		}
	}
	return n
}

// watch holds what happens against the bounds.
func (f *fleet) watch() {
	anybody := f.living() > 0
	for id := range f.shards {
		l := f.rows[id]
		if !anybody || l != nil && (l.finished() || f.alive(l.owner)) {
			f.owned(id)
			continue
		}
		if _, known := f.lonely[id]; !known {
			f.lonely[id] = f.now
		}
		if l != nil && (l.owner != "" || l.claim != "" && !f.alive(l.claim)) {
			f.orphan[id] = true
		}
		bound := freeBound
		if f.orphan[id] {
			bound = deadBound
		}
		if lonely := f.now.Sub(f.lonely[id]); lonely > bound {
			f.failf("%s has had no owner for %s: %+v", id, lonely, l)
		}
	}
}

func (f *fleet) owned(id string) {
	since, lonely := f.lonely[id]
	if !lonely {
		return
	}
	if f.orphan[id] {
		f.longest.orphan = max(f.longest.orphan, f.now.Sub(since))
	} else {
		f.longest.free = max(f.longest.free, f.now.Sub(since))
	}
	delete(f.lonely, id)
	delete(f.orphan, id)
}

// join starts a worker.
func (f *fleet) join() *simulated {
	w := &simulated{fleet: f, name: fmt.Sprint("worker ", len(f.workers)), observed: observations{}, leaving: map[string]bool{}}
	f.workers = append(f.workers, w)
	f.byName[w.name] = w
	f.disturb()
	f.after(f.upTo(time.Second), w.look)
	f.after(f.upTo(testLease/4), w.renew)
	return w
}

// disturb notes that something has happened to the fleet.
func (f *fleet) disturb() {
	f.changed = f.now
	for _, w := range f.workers {
		w.passes = 0
	}
}

// look is one pass of a worker: it sees the table as it is, and acts on it now or somewhat later.
func (w *simulated) look() {
	if w.dead {
		return
	}
	w.passes++
	w.fleet.passes++
	seen := make(map[string]*row)
	held := make(map[string]string)
	for id, l := range w.rows {
		c := *l
		seen[id] = &c
		if l.owner == w.name && !l.finished() {
			held[id] = ""
		}
	}
	w.observed.observe(seen, w.now, testLease/4)
	v := &view{
		me: w.name, now: w.now, duration: testLease, shards: maps.Clone(w.shards), rows: seen, observed: w.observed, held: held, freeSince: w.freeSince, missing: w.missing,
	}
	p := balance(v, w.dice)
	w.freeSince, w.missing = p.freeSince, p.missing
	w.judge(v, p)
	delay := time.Duration(0)
	if w.stale {
		delay = w.upTo(longestDelay)
	}
	w.after(delay, func() { w.act(p) })
}

// judge holds a plan against what its worker knows.
func (w *simulated) judge(v *view, p *plan) {
	c := v.census()
	owners := map[string]bool{w.name: true}
	total, mine := len(c.free)+len(v.held), len(v.held)
	for id := range v.shards {
		l := v.rows[id]
		_, held := v.held[id]
		if held || l == nil || l.finished() || slices.Contains(c.free, id) {
			continue
		}
		total++
		if l.claim != "" {
			owners[l.claim] = true
		} else {
			owners[l.owner] = true
		}
		if l.claim == w.name {
			mine++
		}
	}
	share := (total + len(owners) - 1) / len(owners)
	contested := 0 // taken though it may be others' turn
	for _, t := range p.take {
		since, waited := v.freeSince[t.shard.ID]
		if !t.asked && !(waited && v.now.Sub(since) >= testLease/4) {
			contested++
		}
	}
	if n := mine + contested; contested > 0 && n > share && len(owners) > 1 {
		w.failf("%s takes up to %d of %d shards, the share of %d workers is %d", w.name, n, total, len(owners), share)
	}
	if n := mine + len(p.take) + len(p.ask); len(p.ask) > 0 && n > share {
		w.failf("%s asks for so many that it has %d of %d shards, the share of %d workers is %d", w.name, n, total, len(owners), share)
	}
	for _, a := range p.ask {
		if l := v.rows[a.lease.shardID]; l.claim != "" || l.owner == w.name || l.owner == "" || l.finished() {
			w.failf("%s asks for %+v", w.name, l)
		}
	}
}

// act makes a plan's calls, and the next look.
func (w *simulated) act(p *plan) {
	if w.dead {
		return
	}
	took := 0
	for _, t := range p.take {
		if w.acquire(t) {
			took++
		}
	}
	if took == len(p.take) {
		for _, a := range p.ask {
			w.claim(a)
		}
	}
	next := testLease / 4
	if p.soon || took < len(p.take) {
		next = time.Second
	}
	w.after(next, w.look)
}

// acquire is the table's, with its conditions.
func (w *simulated) acquire(t taking) bool {
	l := w.rows[t.shard.ID]
	if l == nil {
		if t.seen != nil {
			return false
		}
		l = &row{shardID: t.shard.ID, hasCounter: true}
	}
	unmoved := t.expired && t.seen != nil && l.owner == t.seen.owner && l.counter == t.seen.counter && l.epoch == t.seen.epoch
	free := l.owner == "" || l.owner == w.name || unmoved
	unclaimed := l.claim == "" || l.claim == w.name || t.expired && t.seen != nil && l.claim == t.seen.claim
	if l.checkpoint == ShardEnd || !free || !unclaimed {
		return false
	}
	if l.owner != "" && w.alive(l.owner) && l.owner != w.name {
		w.failf("%s takes %s from %s, which lives", w.name, t.shard.ID, l.owner)
	}
	w.rows[t.shard.ID] = l
	l.owner, l.claim, l.epoch, l.counter = w.name, "", l.epoch+1, l.counter+1
	w.changed = w.now
	return true
}

// claim is the table's, with its conditions.
func (w *simulated) claim(a asking) {
	l := w.rows[a.lease.shardID]
	if l == nil || l.owner != a.lease.owner || l.epoch != a.lease.epoch || l.checkpoint == ShardEnd || l.claim != "" && l.claim != w.name {
		return
	}
	l.claim = w.name
	w.changed = w.now
	if w.stale {
		return
	}
	// Looks and calls are one here, so each newcomer sees what the one before has asked for.
	load := map[string]int{}
	for _, o := range w.rows {
		switch {
		case o.finished():
		case o.claim != "":
			load[o.claim]++
		default:
			load[o.owner]++
		}
	}
	if load[w.name] > load[l.owner]+1 {
		w.failf("%s has or has asked for %d, and %s is left with %d", w.name, load[w.name], l.owner, load[l.owner])
	}
}

// renew moves the counters of what a worker holds, and begins the handoffs that others ask for.
func (w *simulated) renew() {
	if w.dead {
		return
	}
	for id, l := range w.rows {
		if l.owner != w.name {
			continue
		}
		l.counter++
		if l.claim != "" && l.claim != w.name && !w.leaving[id] {
			w.leaving[id] = true
			w.after(w.upTo(longestDrain), func() { w.release(id) })
		}
	}
	w.after(testLease/4, w.renew)
}

func (w *simulated) release(id string) {
	delete(w.leaving, id)
	if l := w.rows[id]; !w.dead && l != nil && l.owner == w.name {
		l.owner, l.counter = "", l.counter+1
		w.changed = w.now
	}
}

// stop ends a worker in order: it releases what it holds and takes its claims back.
func (w *simulated) stop() {
	for id, l := range w.rows {
		w.release(id)
		if l.claim == w.name {
			l.claim = ""
		}
	}
	w.dead = true
}

// newFleet is a fleet of some workers on a table in any state.
func newFleet(t *testing.T, seed uint64) *fleet {
	f := &fleet{
		t: t, seed: seed, dice: rand.New(rand.NewPCG(seed, 4)), now: time.Time{}.AddDate(2026, 0, 0),
		byName: map[string]*simulated{}, shards: map[string]*shard{}, rows: map[string]*row{}, lonely: map[string]time.Time{}, orphan: map[string]bool{},
	}
	f.stale = f.dice.IntN(2) == 0
	for range 1 + f.dice.IntN(6) {
		f.join()
	}
	names := []string{"", "", "dead 1", "dead 2"}
	for _, w := range f.workers {
		names = append(names, w.name)
	}
	anybody := func() string { return names[f.dice.IntN(len(names))] }
	lopsided := f.dice.IntN(2) == 0
	one := anybody()
	for i := range f.dice.IntN(40) {
		id := fmt.Sprintf("shardId-%012d", i)
		f.shards[id] = &shard{ID: id}
		if f.dice.IntN(4) == 0 {
			continue // no lease yet
		}
		l := &row{shardID: id, owner: anybody(), epoch: f.dice.Int64N(9), counter: f.dice.Int64N(99), hasCounter: true}
		if lopsided {
			l.owner = one
		}
		if f.dice.IntN(4) == 0 {
			l.claim = anybody()
		}
		if l.claim == l.owner { // an acquisition takes the claim away
			l.claim = ""
		}
		if f.dice.IntN(10) == 0 {
			l.checkpoint = ShardEnd
		}
		f.rows[id] = l
	}
	return f
}

// happen disturbs a fleet in one way.
func (f *fleet) happen() {
	switch w := f.workers[f.dice.IntN(len(f.workers))]; f.dice.IntN(5) {
	case 0:
		if len(f.workers) < 12 {
			f.join()
		}
	case 1:
		w.dead = true // killed: what it holds and has asked for stays in the table
	case 2:
		w.stop()
	case 3: // a reshard ends a shard and brings another
		for id, l := range f.rows {
			if !l.finished() && f.alive(l.owner) {
				l.checkpoint = ShardEnd
				f.release(id)
				break
			}
		}
		id := fmt.Sprintf("shardId-%012d", len(f.shards))
		f.shards[id] = &shard{ID: id}
	case 4: // a handful at once
		for range f.dice.IntN(4) {
			id := fmt.Sprintf("shardId-%012d", len(f.shards))
			f.shards[id] = &shard{ID: id}
		}
	}
	f.disturb()
}

func (f *fleet) release(id string) {
	l := f.rows[id]
	l.owner, l.counter = "", l.counter+1
}

// uneven reports why a fleet's shards are not shared evenly, "" if they are.
func (f *fleet) uneven() string {
	load := map[string]int{}
	living := f.living()
	for _, w := range f.workers {
		if !w.dead {
			load[w.name] = 0
		}
	}
	if living == 0 {
		return ""
	}
	open := 0
	for id := range f.shards {
		switch l := f.rows[id]; {
		case l != nil && l.finished():
			continue
		case l == nil, !f.alive(l.owner), l.claim != "":
			return fmt.Sprintf("%s is %+v", id, l)
		}
		open++
		load[f.rows[id].owner]++
	}
	for name, n := range load {
		if n > open/living+1 || n < open/living {
			return fmt.Sprintf("%s has %d of %d shards, %d workers live", name, n, open, living)
		}
	}
	return ""
}

// Whatever a table looks like and whatever happens to the workers on it: no shard is long without
// an owner, no worker takes or asks for more than its share, no living worker's lease is taken, and
// when nothing happens any more all is soon even and stays so.
func TestAnyFleetComesToRestWithEveryShardRead(t *testing.T) {
	began := time.Now()
	var free, orphan, settle time.Duration
	passes, most, workers := 0, 0, 0
	for seed := range *fleets {
		f := newFleet(t, seed)
		start := f.now
		if f.dice.IntN(3) > 0 { // else: from any state, undisturbed
			for range f.dice.IntN(8) {
				f.after(f.upTo(disturbed), f.happen)
			}
			f.run(start.Add(disturbed))
		}
		quiet := f.now
		for f.uneven() != "" || f.now.Sub(f.changed) < observedAfter {
			if f.now.Sub(quiet) > settleBound+observedAfter {
				f.failf("still not at rest %s after the last disturbance: %s", f.now.Sub(quiet), f.uneven())
			}
			f.run(f.now.Add(time.Second))
		}
		if settled := f.changed.Sub(quiet); settled > settleBound {
			f.failf("at rest only %s after the last disturbance", settled)
		}
		for _, w := range f.workers {
			if most = max(most, w.passes); w.passes > settlePasses {
				f.failf("%s has made %d passes since the last disturbance", w.name, w.passes)
			}
		}
		free, orphan, settle = max(free, f.longest.free), max(orphan, f.longest.orphan), max(settle, f.changed.Sub(quiet))
		passes += f.passes
		workers += len(f.workers)
	}
	t.Logf("%d fleets with %d workers and %d plans in %s; longest: a released shard without an owner %s, a dead worker's %s, until all is even %s and %d passes of one worker",
		*fleets, workers, passes, time.Since(began).Round(time.Millisecond), free, orphan, settle, most)
}
