package policy

import (
	"context"
	"log/slog"
	"time"
)

// warnBefore is how long before its end an entry is told of.
const warnBefore = 24 * time.Hour

// Notice is an entry that ends soon, or has ended.
type Notice struct {
	Entry *Entry
	Ended bool
}

// Notices are the entries that have come within a day of their end, or to it, after one moment and
// up to another. From the zero time on these are all that have ended or end soon: of an entry that
// has ended its warning is left out.
func (p *Policy) Notices(after, now time.Time) (list []Notice) {
	passed := func(at time.Time) bool { return at.After(after) && !at.After(now) }
	for i := range p.Entries {
		e := &p.Entries[i]
		switch {
		case passed(e.Until):
			list = append(list, Notice{e, true})
		case passed(e.Until.Add(-warnBefore)) && now.Before(e.Until):
			list = append(list, Notice{e, false})
		}
	}
	return list
}

// noticeEvery is how often entries are looked at for their end.
const noticeEvery = 30 * time.Second

// Remind logs the entries of the current policy that end soon or have ended, each once for each
// time that the file is read, until ctx ends.
func Remind(ctx context.Context, current func() *Policy, clock func() time.Time, log *slog.Logger) {
	var known *Policy
	var after time.Time
	for {
		p, now := current(), clock()
		if p != known {
			known, after = p, time.Time{}
		}
		for _, n := range p.Notices(after, now) {
			n.log(log)
		}
		after = now
		select {
		case <-time.After(noticeEvery):
		case <-ctx.Done():
			return
		}
	}
}

func (n Notice) log(log *slog.Logger) {
	text := "an entry of the policy ends within a day: calls after that page, renew it if they are still planned"
	if n.Ended {
		text = "an entry of the policy has ended and does nothing: take it out, or renew it"
	}
	log.Warn(text, "policy", n.Entry.Name, "until", n.Entry.Until.Format(time.RFC3339), "ticket", n.Entry.Ticket, "approved_by", n.Entry.ApprovedBy)
}
