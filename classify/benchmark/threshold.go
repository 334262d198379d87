package main

import "time"

// threshold is a rule that needs several records: at least so many different values among those
// that fit, of one group, within a time.
type threshold struct {
	fits   func(record) bool
	per    func(record) string // the group: what the records have in common
	count  func(record) string // what must differ for a record to count
	least  int
	within time.Duration
}

// alertsOn reports for each of a scenario's records whether it is part of an alert. A record
// without a time of its own meets no other.
func (t threshold) alertsOn(entries []entry) []bool {
	out := make([]bool, len(entries))
	for _, first := range entries {
		if !t.fits(first.Record) {
			continue
		}
		var inside []int
		different := map[string]bool{}
		for i, e := range entries {
			if t.fits(e.Record) && t.per(e.Record) == t.per(first.Record) && t.follows(first.Record, e.Record) {
				inside = append(inside, i)
				different[t.count(e.Record)] = true
			}
		}
		if len(different) < t.least {
			continue
		}
		for _, i := range inside {
			out[i] = true
		}
	}
	return out
}

// follows reports whether the record is in the time that begins with the first one.
func (t threshold) follows(first, r record) bool {
	begin, err := time.Parse(time.RFC3339, first.text("eventTime"))
	if err != nil {
		return false
	}
	at, err := time.Parse(time.RFC3339, r.text("eventTime"))
	return err == nil && !at.Before(begin) && at.Sub(begin) <= t.within
}

// alertsOn reports for each of a scenario's records whether the rule alerts on it.
func (r rule) alertsOn(entries []entry) []bool {
	out := make([]bool, len(entries))
	for i, e := range entries {
		out[i] = r.alerts(e.Record)
	}
	for _, t := range r.repeated {
		for i, alerts := range t.alertsOn(entries) {
			out[i] = out[i] || alerts
		}
	}
	return out
}
