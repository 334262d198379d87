package main

import "slices"

// hostileAgents are what somebody writes into the user agent to pass for AWS: the name of its
// internal network, a service, the console, or nothing.
var hostileAgents = []string{"AWS Internal", "elasticloadbalancing.amazonaws.com", "console.amazonaws.com", ""}

// totals are what a set of scenarios holds.
type totals struct {
	Scenarios         int `json:"scenarios"`
	ScenariosByPeople int `json:"scenarios_by_people"` // with at least one call by a person: the others have nothing to miss
	People            int `json:"people"`              // records by people
	Services          int `json:"services"`            // records by services
}

// score is what one rule does to a set of scenarios.
type score struct {
	rule
	PeopleMissed     []string `json:"people_missed"`      // ids of records by people on which it does not alert
	ServicesAlerted  []string `json:"services_alerted"`   // ids of records by services on which it does
	ScenariosMissed  []string `json:"scenarios_missed"`   // names of those in which it alerts on no record by a person
	SwitchedOff      []string `json:"switched_off"`       // of those it alerts in, the ones that a forged user agent hides
	MissedWhenForged int      `json:"missed_when_forged"` // records by people missed with the worst user agent
}

// scores are the scores of all rules on one set.
type scores struct {
	Totals totals  `json:"totals"`
	Rules  []score `json:"rules"`
}

func scoreAll(all []scenario) scores {
	out := scores{Totals: count(all)}
	for _, r := range rules {
		out.Rules = append(out.Rules, scoreRule(r, all))
	}
	return out
}

func count(all []scenario) totals {
	out := totals{Scenarios: len(all)}
	for _, s := range all {
		people := s.number(person)
		out.People += people
		out.Services += s.number(service)
		if people > 0 {
			out.ScenariosByPeople++
		}
	}
	return out
}

func scoreRule(r rule, all []scenario) score {
	// Lists rather than nil, so that JSON has [] where nothing is wrong.
	out := score{rule: r, PeopleMissed: []string{}, ServicesAlerted: []string{}, ScenariosMissed: []string{}, SwitchedOff: []string{}}
	forged := make([]int, len(hostileAgents))
	for _, s := range all {
		missed, alerted := wrong(r, s.Records)
		out.PeopleMissed = append(out.PeopleMissed, missed...)
		out.ServicesAlerted = append(out.ServicesAlerted, alerted...)
		people := s.number(person)
		detected := len(missed) < people
		if !detected && people > 0 {
			out.ScenariosMissed = append(out.ScenariosMissed, s.Name)
		}
		hidden := false
		for i, agent := range hostileAgents {
			missed, _ := wrong(r, forge(s.Records, agent))
			forged[i] += len(missed)
			hidden = hidden || len(missed) == people
		}
		if detected && hidden {
			out.SwitchedOff = append(out.SwitchedOff, s.Name)
		}
	}
	out.MissedWhenForged = slices.Max(forged)
	return out
}

// number is how many of the scenario's records have the label.
func (s *scenario) number(who label) int {
	n := 0
	for _, e := range s.Records {
		if e.Label == who {
			n++
		}
	}
	return n
}

// wrong are the ids of the records by people on which the rule does not alert, and of those by
// services on which it does.
func wrong(r rule, entries []entry) (missed, alerted []string) {
	for i, alerts := range r.alertsOn(entries) {
		switch e := entries[i]; {
		case e.Label == person && !alerts:
			missed = append(missed, e.ID)
		case e.Label == service && alerts:
			alerted = append(alerted, e.ID)
		}
	}
	return missed, alerted
}

// forge writes one user agent into all records by people. Not every client could: the console's
// back ends and the services that act on a person's session choose theirs themselves. It is the
// most that a rule loses by believing the field.
func forge(entries []entry, agent string) []entry {
	out := slices.Clone(entries)
	for i := range out {
		if out[i].Label == person {
			out[i].Record = out[i].Record.withUserAgent(agent)
		}
	}
	return out
}
