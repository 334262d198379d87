package lease

import "time"

// observation is when a lease was seen to move, by the local monotonic clock: no host's wall clock
// decides.
type observation struct {
	version string
	since   time.Time // the lease was renewed at this moment or before
	looked  time.Time // last look at it
}

// observations are those of all leases, by shard id.
type observations map[string]*observation

// observe notes which leases have moved since the look before; rhythm is the usual distance of two
// looks. A lease moved somewhere between two looks; it is taken to have been half-way, so that
// expiry is on average neither early nor late. Its owner, whose clock starts with the renewal, has
// given it up after three quarters of the duration: half a look's distance (an eighth) leaves a
// distance between the two.
func (o observations) observe(rows map[string]*row, now time.Time, rhythm time.Duration) {
	for id, l := range rows {
		s := o[id]
		switch v := l.version(); {
		case s == nil:
			o[id] = &observation{version: v, since: now, looked: now}
		case s.version != v:
			s.version, s.since = v, now.Add(-min(now.Sub(s.looked), rhythm)/2)
			s.looked = now
		default:
			s.looked = now
		}
	}
	for id := range o {
		if rows[id] == nil {
			delete(o, id)
		}
	}
}

// unchangedFor is how long a lease has not moved.
func (o observations) unchangedFor(shardID string, now time.Time) time.Duration {
	if s := o[shardID]; s != nil {
		return now.Sub(s.since)
	}
	return 0
}
