package lease

import (
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"time"
)

// view is all that a worker decides by: what its last look has found, and what it remembers of the
// looks before.
type view struct {
	me       string
	now      time.Time
	duration time.Duration // of a lease
	shards   map[string]*shard
	rows     map[string]*row // the lease table, by shard id
	observed observations
	held     map[string]string // the shards whose leases this worker holds, with their first sequence numbers

	unreadable bool // Kinesis gives this worker no records: it takes nothing
	starting   bool // the first start may still be set back: nothing is taken yet
	oldShards  bool // the shards could not be listed: they are older than the leases

	backedOff map[string]time.Time // shards that the pipeline has failed in here: left to the others until then
	freeSince map[string]time.Time // free shards that were left to the others, since when
	missing   map[string]time.Time // leases whose shard is not listed, since when
}

// plan is what a worker does after a look. Deciding it calls nobody; the coordinator carries it
// out.
type plan struct {
	end     []ending // held leases that are given back
	take    []taking // free leases to acquire
	ask     []asking // leases to ask their owners for, once all that take names were got
	cancel  []string // leases that were asked for and are not wanted any more
	cleanUp []*row   // leases of deleted shards to remove

	free int  // shards that nobody holds and that this worker could take
	soon bool // something is under way that deserves an early look

	freeSince, missing map[string]time.Time // for the next view
}

type ending struct {
	shardID string
	why     error
}

type taking struct {
	shard   *shard
	seen    *row // nil: there is none yet
	expired bool // its owner, or who asked for it, has not moved it for a whole lease
	asked   bool // its owner hands it over to us
	oldest  bool // the shard is read from its beginning, whatever the configured start is
}

type asking struct {
	lease *row
	owner string
}

// quarter of a lease is the rhythm of renewals and, at rest, of looks at the table.
func (v *view) quarter() time.Duration { return v.duration / 4 }

func (v *view) expired(shardID string) bool {
	return v.observed.unchangedFor(shardID, v.now) >= v.duration
}

// balance decides what to do after a look. It is a function of its arguments alone; dice is for
// choices among equals, so that workers that look at the same moment do not all choose the same.
func balance(v *view, dice *rand.Rand) *plan {
	p := &plan{freeSince: make(map[string]time.Time), missing: make(map[string]time.Time)}
	for _, id := range slices.Sorted(maps.Keys(v.held)) {
		if s := v.shards[id]; s != nil && s.another(v.held[id]) {
			p.end = append(p.end, ending{id, ErrGone})
		}
	}
	v.cleanUp(p)
	c := v.census()
	p.free = len(c.free)
	if v.unreadable || v.starting {
		p.freeSince = v.freeSince
		p.soon = !v.unreadable
		return p
	}
	v.take(p, c, dice)
	if len(p.take) == len(c.free) {
		v.ask(p, c, dice)
	}
	p.soon = c.moving || len(p.take) < len(c.free) || len(p.ask) > 0
	return p
}

// retreat is the plan of a worker that Kinesis gives no records: others may have better luck.
func retreat(held, claims []string) *plan {
	p := &plan{cancel: claims}
	for _, id := range held {
		p.end = append(p.end, ending{id, ErrUnread})
	}
	return p
}

// census is who has how many of the shards that can be read now.
type census struct {
	load   map[string]int // by worker; leases that were asked for count as their next owner's
	free   []string       // shards that nobody holds
	theirs []string       // shards that others hold and nobody has asked for
	moving bool           // a lease is on its way to us, or about to expire
}

func (v *view) census() *census {
	c := &census{load: map[string]int{v.me: len(v.held)}}
	for _, id := range slices.Sorted(maps.Keys(v.shards)) {
		s, l := v.shards[id], v.rows[id]
		_, held := v.held[id]
		switch {
		case held || l != nil && l.finished() || !mayStart(s, v.shards, v.rows):
		case l == nil || l.owner == "" || l.owner == v.me || v.expired(id):
			c.free = append(c.free, id)
		default:
			if l.claim != "" { // as good as handed over: two newcomers must not ask for the same surplus
				c.load[l.claim]++
			} else {
				c.load[l.owner]++
				c.theirs = append(c.theirs, id)
			}
			if l.claim == v.me || v.observed.unchangedFor(id, v.now) > v.duration/2 {
				c.moving = true
			}
		}
	}
	return c
}

// share is how many leases each worker may have, rounded up.
func (c *census) share() int {
	total := len(c.free)
	for _, n := range c.load {
		total += n
	}
	return (total + len(c.load) - 1) / len(c.load)
}

// take chooses free leases up to our share, and those beyond it that no other worker has wanted for
// a quarter of a lease.
func (v *view) take(p *plan, c *census, dice *rand.Rand) {
	room, peers := c.share()-c.load[v.me], len(c.load) > 1
	free := slices.Clone(c.free)
	dice.Shuffle(len(free), func(i, j int) { free[i], free[j] = free[j], free[i] })
	for _, id := range free {
		s, l := v.shards[id], v.rows[id]
		if v.now.Before(v.backedOff[id]) {
			continue
		}
		expired := l != nil && v.expired(id)
		asked := l != nil && l.claim == v.me
		if l != nil && l.claim != "" && !asked && !expired {
			continue // handed over to a peer: its turn, for the time of a lease
		}
		if room <= 0 && peers && !asked {
			since, known := v.freeSince[id]
			if !known {
				since = v.now
			}
			if v.now.Sub(since) < v.quarter() {
				p.freeSince[id] = since
				continue
			}
		}
		room--
		p.take = append(p.take, taking{s, l, expired, asked, bornRead(s, v.rows)})
	}
}

// ask chooses leases of the workers that have at least two more than we, until none has or we have
// our share: the rest of a surplus is for the workers that have less.
func (v *view) ask(p *plan, c *census, dice *rand.Rand) {
	load, theirs := maps.Clone(c.load), slices.Clone(c.theirs)
	load[v.me] += len(p.take)
	dice.Shuffle(len(theirs), func(i, j int) { theirs[i], theirs[j] = theirs[j], theirs[i] })
	owners := slices.Sorted(maps.Keys(load))
	dice.Shuffle(len(owners), func(i, j int) { owners[i], owners[j] = owners[j], owners[i] })
	for len(owners) > 0 && load[v.me] < c.share() {
		most := 0
		for i, w := range owners {
			if load[w] > load[owners[most]] {
				most = i
			}
		}
		owner := owners[most]
		if load[owner]-load[v.me] < 2 {
			return
		}
		i := slices.IndexFunc(theirs, func(id string) bool { return v.rows[id].owner == owner })
		if i < 0 { // all that it has is asked for already
			owners = slices.Delete(owners, most, most+1)
			continue
		}
		p.ask = append(p.ask, asking{v.rows[theirs[i]], owner})
		theirs = slices.Delete(theirs, i, i+1)
		load[owner]--
		load[v.me]++
	}
}

// cleanUp chooses the leases of shards that Kinesis has deleted, once they have been missing for a
// whole lease. What is missing in an old list may be new.
func (v *view) cleanUp(p *plan) {
	if v.oldShards {
		return
	}
	for _, id := range slices.Sorted(maps.Keys(v.rows)) {
		if v.shards[id] != nil || !strings.HasPrefix(id, "shardId-") {
			continue
		}
		since, known := v.missing[id]
		if !known {
			since = v.now
		}
		p.missing[id] = since
		if v.now.Sub(since) < v.duration {
			continue
		}
		_, held := v.held[id]
		switch l := v.rows[id]; {
		case held:
			p.end = append(p.end, ending{id, ErrGone})
		case l.owner == "" || v.expired(id):
			p.cleanUp = append(p.cleanUp, l)
		}
	}
}
