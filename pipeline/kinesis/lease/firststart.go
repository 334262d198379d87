package lease

import (
	"context"
	"errors"
	"time"
)

// firstStart is the moment from which an application reads where it has no checkpoint, as the lease
// table keeps it. It goes with the table: one that is made anew by a worker that starts must not
// move it past what nobody has read yet. So whoever knows an earlier moment puts that into the
// table, and who has just written the first one waits until the others, if there are any, have had
// a look.
type firstStart struct {
	time  time.Time
	until time.Time // no lease is taken before then
}

// adopt takes the moment that the table has. ours reports whether it is the one that this worker
// has just proposed.
func (f *firstStart) adopt(kept time.Time, ours bool, wait time.Duration) {
	if f.time.IsZero() && ours {
		f.until = time.Now().Add(wait)
	}
	if f.time.IsZero() || kept.Before(f.time) {
		f.time = kept
	}
}

func (f *firstStart) waits() bool { return time.Now().Before(f.until) }

// keepFirst compares the table's first start with the one that we know: the earlier one counts.
func (c *Coordinator) keepFirst(ctx context.Context, seen string) error {
	table := parseTime(seen)
	if c.first.time.IsZero() || !table.IsZero() && !table.After(c.first.time) {
		c.first.time = table
		c.restart()
		return nil
	}
	c.log.Warn("the first start in the lease table is later than the application's, or missing: it is set back",
		"table", c.table.name, "found", seen, "first_start", Stamp(c.first.time))
	if err := c.table.lowerFirstStart(ctx, seen, c.first.time); err != nil && !errors.Is(err, errFenced) {
		return err // with errFenced somebody was faster: the next look shows it
	}
	return nil
}

// recall takes over the first start that the application remembers outside the lease table, where
// the table's is later: the table was lost, or is named otherwise, and nobody ran who knew better.
// The next look puts it into the table.
func (c *Coordinator) recall(ctx context.Context) error {
	if c.cfg.Ran == nil {
		return nil
	}
	first, lastAlive, err := c.cfg.Ran(ctx)
	if err != nil || first.IsZero() || !first.Before(c.first.time) {
		return err
	}
	c.log.Warn("the lease table is younger than the application: shards without a checkpoint are read from the application's first start, or from the oldest record that is left; copies are recognised",
		"table", c.table.name, "table_start", Stamp(c.first.time), "first_start", Stamp(first), "last_alive", Stamp(lastAlive))
	c.first.time = first
	return nil
}

// FirstStart is the application's first start, once Prepare has succeeded and until Run begins.
func (c *Coordinator) FirstStart() time.Time { return c.first.time }

// restart has leases without a checkpoint begin at the first start, where that is configured.
func (c *Coordinator) restart() {
	if c.fromFirst {
		c.start = StartAt{Time: c.first.time}
	}
}
