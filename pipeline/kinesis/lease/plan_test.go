package lease

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"
)

// situation is a view in words: what every case has is filled in, and a case says what is
// different.
type situation struct {
	shards  []string          // besides those that leases are named for
	parents map[string]string // child to parent
	leases  map[string]row    // by shard
	still   map[string]time.Duration
	gone    []string // shards that are not listed
	change  func(*view)
}

const testLease = 20 * time.Second

func (s situation) view() *view {
	now := time.Now()
	v := &view{
		me: "me", now: now, duration: testLease, shards: map[string]*shard{}, rows: map[string]*row{}, observed: observations{},
		held: map[string]string{}, backedOff: map[string]time.Time{}, freeSince: map[string]time.Time{}, missing: map[string]time.Time{},
	}
	for _, id := range slices.Concat(s.shards, slices.Collect(maps.Keys(s.leases))) {
		v.shards[id] = &shard{ID: id, Start: "1"}
		if p := s.parents[id]; p != "" {
			v.shards[id].Parents = []string{p}
		}
	}
	for id, l := range s.leases {
		l.shardID = id
		v.rows[id] = &l
		v.observed[id] = &observation{version: l.version(), since: now.Add(-s.still[id]), looked: now}
		if l.owner == "me" {
			v.held[id] = "1"
		}
	}
	for _, id := range s.gone {
		delete(v.shards, id)
	}
	if s.change != nil {
		s.change(v)
	}
	return v
}

// text is a plan in words, in the order of the shards' names.
func (p *plan) text() string {
	var all []string
	say := func(what string, ids []string) {
		slices.Sort(ids)
		if len(ids) > 0 {
			all = append(all, what+" "+strings.Join(ids, " "))
		}
	}
	var end, take, ask, cleanUp []string
	for _, e := range p.end {
		end = append(end, e.shardID)
	}
	for _, t := range p.take {
		take = append(take, t.shard.ID)
	}
	for _, a := range p.ask {
		ask = append(ask, a.lease.shardID)
	}
	for _, l := range p.cleanUp {
		cleanUp = append(cleanUp, l.shardID)
	}
	say("end", end)
	say("take", take)
	say("ask", ask)
	say("cancel", slices.Clone(p.cancel))
	say("remove", cleanUp)
	if p.soon {
		all = append(all, "look soon")
	}
	return strings.Join(all, ", ")
}

// by makes leases of one owner for each shard named.
func by(owner string, shards ...string) map[string]row {
	m := map[string]row{}
	for _, id := range shards {
		m[id] = row{owner: owner, epoch: 1, counter: 1, hasCounter: true}
	}
	return m
}

// and puts leases together.
func and(all ...map[string]row) map[string]row {
	m := map[string]row{}
	for _, a := range all {
		maps.Copy(m, a)
	}
	return m
}

// claimed is one lease that somebody has asked for.
func claimed(shard, owner, claim string) map[string]row {
	return map[string]row{shard: {owner: owner, claim: claim, epoch: 1, counter: 1, hasCounter: true}}
}

func checkpointed(shard, owner, checkpoint string) map[string]row {
	return map[string]row{shard: {owner: owner, checkpoint: checkpoint, epoch: 1, counter: 1, hasCounter: true}}
}

func TestBalanceOfTakingAndAsking(t *testing.T) {
	for name, c := range map[string]struct {
		situation
		want string
	}{
		"nothing there": {situation{}, ""},
		"alone with shards without leases: takes all":       {situation{shards: []string{"a", "b", "c"}}, "take a b c"},
		"alone with released leases: takes all":             {situation{leases: by("", "a", "b")}, "take a b"},
		"its own from an acquisition whose answer was lost": {situation{leases: by("me", "a"), change: func(v *view) { clear(v.held) }}, "take a"},
		"holds all": {situation{leases: by("me", "a", "b")}, ""},
		"another holds one, two are free: takes its share":              {situation{leases: by("other", "a"), shards: []string{"b"}}, "take b"},
		"another's has not moved for half a lease":                      {situation{leases: by("other", "a"), still: map[string]time.Duration{"a": testLease/2 + 1}}, "look soon"},
		"another's has not moved for a whole lease":                     {situation{leases: by("other", "a"), still: map[string]time.Duration{"a": testLease}}, "take a"},
		"another has two more: asks for one":                            {situation{leases: and(by("other", "a"), claimed("b", "other", "third"), by("other", "c"))}, "ask a, look soon | ask c, look soon"},
		"another has one more: that is even":                            {situation{leases: and(by("other", "a", "b"), by("me", "c"))}, ""},
		"four of another: asks for two":                                 {situation{leases: and(by("other", "a", "b", "c", "d"))}, "ask #2, look soon"},
		"two others with three each: asks each for one":                 {situation{leases: and(by("x", "a", "b", "c"), by("y", "d", "e", "f"))}, "ask #2, look soon"},
		"one with eight, one with one: asks for no more than its share": {situation{leases: and(by("x", "a", "b", "c", "d", "e", "f", "g", "h"), by("y", "i"))}, "ask #3, look soon"},
		"asked for already: its owner has it no more":                   {situation{leases: and(claimed("a", "other", "me"), by("other", "b"))}, "look soon"},
		"asked for by a third: the third counts as its owner":           {situation{leases: and(claimed("a", "other", "third"), claimed("b", "other", "third"))}, ""},
		"released to us: taken beyond the share":                        {situation{leases: and(claimed("a", "", "me"), by("me", "b", "c"), by("other", "d"))}, "take a"},
		"released to a third: its turn":                                 {situation{leases: claimed("a", "", "third")}, "look soon"},
		"released to a third that does not come for a lease":            {situation{leases: claimed("a", "", "third"), still: map[string]time.Duration{"a": testLease}}, "take a"},
		"the pipeline failed in it: left to the others":                 {situation{shards: []string{"a"}, change: func(v *view) { v.backedOff["a"] = v.now.Add(time.Second) }}, "look soon"},
		"the pipeline failed in it, long ago":                           {situation{shards: []string{"a"}, change: func(v *view) { v.backedOff["a"] = v.now }}, "take a"},
		"beyond the share: left to the others at first":                 {situation{shards: []string{"a"}, leases: and(by("me", "b", "c"), by("other", "d"))}, "look soon"},
		"beyond the share, and nobody came for a quarter":               {situation{shards: []string{"a"}, leases: and(by("me", "b", "c"), by("other", "d")), change: func(v *view) { v.freeSince["a"] = v.now.Add(-testLease / 4) }}, "take a"},
		"nothing is asked for while something is free":                  {situation{shards: []string{"x"}, leases: by("other", "a", "b", "c", "d"), change: func(v *view) { v.backedOff["x"] = v.now.Add(time.Second) }}, "look soon"},
		"Kinesis gives no records: takes nothing":                       {situation{shards: []string{"a"}, leases: by("other", "b", "c"), change: func(v *view) { v.unreadable = true }}, ""},
		"the first start may be set back: waits":                        {situation{shards: []string{"a"}, change: func(v *view) { v.starting = true }}, "look soon"},
		"read to its end":                                               {situation{leases: checkpointed("a", "", ShardEnd)}, ""},
		"read to its end in a stream of the same name":                  {situation{leases: checkpointed("a", "", ShardEnd), change: func(v *view) { v.rows["a"].stale = true }}, "take a"},
		"a child of an unfinished parent: the parent alone":             {situation{shards: []string{"a", "child"}, parents: map[string]string{"child": "a"}}, "take a"},
		"a child of a finished parent":                                  {situation{leases: checkpointed("a", "", ShardEnd), shards: []string{"child"}, parents: map[string]string{"child": "a"}}, "take child"},
		"its shard belongs to a stream made anew: given back":           {situation{leases: by("me", "a"), change: func(v *view) { v.held["a"] = "0" }}, "end a"},
		"the shards that were deleted meanwhile are not in its way":     {situation{leases: and(by("other", "a", "b"), by("me", "c")), gone: []string{"a", "b"}}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			for seed := range uint64(50) { // whatever the dice say
				v := c.view()
				got := balance(v, rand.New(rand.NewPCG(seed, 1))).text()
				if n, found := strings.CutPrefix(c.want, "ask #"); found { // which is left to the dice
					asked := strings.Fields(strings.TrimPrefix(strings.TrimSuffix(got, ", look soon"), "ask "))
					if fmt.Sprintf("%d, look soon", len(asked)) != n || !strings.HasPrefix(got, "ask ") {
						t.Fatalf("with seed %d: %q, want %s asked for", seed, got, n)
					}
					continue
				}
				if !slices.Contains(strings.Split(c.want, " | "), got) {
					t.Fatalf("with seed %d: %q, want %q", seed, got, c.want)
				}
			}
		})
	}
}

func TestACleanUpWaitsForAWholeLease(t *testing.T) {
	const id = "shardId-000000000000"
	for name, c := range map[string]struct {
		situation
		want string
	}{
		"missing for the first time": {situation{leases: checkpointed(id, "", "10"), gone: []string{id}}, ""},
		"missing for half a lease":   {situation{leases: checkpointed(id, "", "10"), gone: []string{id}, change: missingFor(id, testLease/2)}, ""},
		"missing for a whole lease":  {situation{leases: checkpointed(id, "", "10"), gone: []string{id}, change: missingFor(id, testLease)}, "remove " + id},
		"the same, held by another":  {situation{leases: checkpointed(id, "other", "10"), gone: []string{id}, change: missingFor(id, testLease)}, ""},
		"the same, of a dead owner": {situation{leases: checkpointed(id, "dead", "10"), still: map[string]time.Duration{id: testLease}, gone: []string{id}, change: missingFor(id, testLease)},
			"remove " + id},
		"the same, held here": {situation{leases: checkpointed(id, "me", "10"), gone: []string{id}, change: missingFor(id, testLease)}, "end " + id},
		"in an old list": {situation{leases: checkpointed(id, "", "10"), gone: []string{id}, change: func(v *view) {
			missingFor(id, testLease)(v)
			v.oldShards = true
		}}, ""},
		"an item that is no lease": {situation{leases: checkpointed("note", "", "10"), gone: []string{"note"}, change: missingFor("note", testLease)}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			if got := balance(c.view(), rand.New(rand.NewPCG(1, 1))).text(); got != c.want {
				t.Errorf("%q, want %q", got, c.want)
			}
		})
	}
}

func missingFor(id string, d time.Duration) func(*view) {
	return func(v *view) { v.missing[id] = v.now.Add(-d) }
}

func TestARetreatGivesBackAllAndCancelsAll(t *testing.T) {
	p := retreat([]string{"a", "b"}, []string{"c"})
	if got := p.text(); got != "end a b, cancel c" {
		t.Errorf("%q", got)
	}
	for _, e := range p.end {
		if e.why != ErrUnread {
			t.Errorf("%s is given back because %v", e.shardID, e.why)
		}
	}
}

// What a plan is decided from is as it was: the same view, the same dice, the same plan.
func TestBalanceChangesNothingAndRepeatsItself(t *testing.T) {
	s := situation{leases: and(by("x", "a", "b", "c", "d", "e"), by("", "f", "g"), claimed("h", "x", "y"), by("me", "i")), shards: []string{"j"}}
	v := s.view()
	before := fmt.Sprintf("%+v %v %v %v", v, v.rows["a"], v.freeSince, v.missing)
	first := balance(v, rand.New(rand.NewPCG(7, 7)))
	if after := fmt.Sprintf("%+v %v %v %v", v, v.rows["a"], v.freeSince, v.missing); after != before {
		t.Errorf("the view was\n%s\nand is\n%s", before, after)
	}
	second := balance(v, rand.New(rand.NewPCG(7, 7)))
	if first.text() != second.text() {
		t.Errorf("%q, then %q", first.text(), second.text())
	}
}
