package lease

import (
	"errors"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"rootwatch/pipeline/awstest"
	"rootwatch/pipeline/dynamo"
	"rootwatch/pipeline/kinesis/streamtest"
)

// tableOf is the lease table as a worker of that name would use it.
func tableOf(c *streamtest.Cloud, me string, duration time.Duration) *table {
	_, svc := c.Clients(me)
	return &table{svc: svc, name: streamtest.Application, me: me, duration: duration, timeout: 5 * time.Second, now: time.Now}
}

// rowOf reads one lease, nil if there is none.
func rowOf(t *testing.T, c *streamtest.Cloud, shardID string) *row {
	t.Helper()
	rows, _, err := tableOf(c, "test", time.Hour).scan(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return rows[shardID]
}

// must fails the test when a call to the table does.
func must(t *testing.T) func(*row, error) *row {
	return func(l *row, err error) *row {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return l
	}
}

func TestWhoMayAcquireALease(t *testing.T) {
	const counter, epoch = 7, 3
	own := map[string]string{attrOwner: "me", attrTimeout: "some time"}
	foreign := map[string]string{attrOwner: "other", attrTimeout: "some time"}
	with := func(m map[string]string, pairs ...string) map[string]string {
		m = maps.Clone(m)
		for pair := range slices.Chunk(pairs, 2) {
			m[pair[0]] = pair[1]
		}
		return m
	}
	for name, test := range map[string]struct {
		item    map[string]string // nil: no item
		stock   bool              // written by the library: neither epoch nor counter
		expired bool              // as we see it
		moved   bool              // the owner renews between our look and our update
		want    bool
	}{
		"no item":                  {want: true},
		"an item that nobody owns": {item: map[string]string{attrCheckpoint: "5"}, want: true},
		"owner removed by the library, timeout left": {item: map[string]string{attrTimeout: "some time"}, stock: true, want: true},
		"owner is the empty string":                  {item: map[string]string{attrOwner: ""}, want: true},
		"our own, left by an acquisition unheard of": {item: own, want: true},
		"another's":          {item: foreign},
		"another's, expired": {item: foreign, expired: true, want: true},
		"another's, expired, but renewed meanwhile":     {item: foreign, expired: true, moved: true},
		"another's of the library":                      {item: foreign, stock: true},
		"another's of the library, expired":             {item: foreign, stock: true, expired: true, want: true},
		"another's without a timeout, expired":          {item: map[string]string{attrOwner: "other"}, expired: true, want: true},
		"free, claimed by us":                           {item: map[string]string{attrClaim: "me"}, want: true},
		"free, claimed by another":                      {item: map[string]string{attrClaim: "third"}},
		"free, claimed by another that does not come":   {item: map[string]string{attrClaim: "third"}, expired: true, want: true},
		"another's, claimed by a third, expired":        {item: with(foreign, attrClaim, "third"), expired: true, want: true},
		"finished":                                      {item: map[string]string{attrCheckpoint: ShardEnd}},
		"finished, our own":                             {item: with(own, attrCheckpoint, ShardEnd)},
		"finished, and its owner expired":               {item: with(foreign, attrCheckpoint, ShardEnd), expired: true},
		"the claim is the empty string":                 {item: map[string]string{attrClaim: ""}, want: true},
		"another's, expired, claim is the empty string": {item: with(foreign, attrClaim, ""), expired: true, want: true},
	} {
		t.Run(name, func(t *testing.T) {
			streamtest.Bubble(t, func(t *testing.T) {
				c := streamtest.New(t, 1, awstest.Options{})
				c.EnsureTable()
				var seen *row
				if test.item != nil {
					item := dynamo.Item{attrShardID: dynamo.String("shard")}
					for k, v := range test.item {
						item[k] = dynamo.String(v)
					}
					if !test.stock {
						item[attrEpoch], item[attrCounter] = dynamo.Number(epoch), dynamo.Number(counter)
					}
					c.PutItem(item)
					seen = rowOf(t, c, "shard")
				}
				if test.moved {
					must(t)(tableOf(c, "other", time.Minute).renew(t.Context(), "shard", epoch, time.Time{}))
				}
				before := c.Item("shard")
				l, err := tableOf(c, "me", time.Minute).acquire(t.Context(), &shard{ID: "shard", Parents: []string{"parent"}, Start: "1"}, seen, test.expired)
				if !test.want {
					if !errors.Is(err, errFenced) {
						t.Fatalf("acquired: %v, %v", l, err)
					}
					if after := c.Item("shard"); len(after) != len(before) || dynamo.Text(after, attrOwner) != dynamo.Text(before, attrOwner) {
						t.Errorf("a refused acquisition has made %v of %v", after, before)
					}
					return
				}
				if err != nil {
					t.Fatal(err)
				}
				if l.owner != "me" || l.claim != "" || l.checkpoint != test.item[attrCheckpoint] || l.shardStart != "1" {
					t.Errorf("acquired %+v of %v", l, test.item)
				}
				if seen != nil && (l.epoch != seen.epoch+1 || l.counter != seen.counter+1) {
					t.Errorf("epoch and counter went from %d/%d to %d/%d", seen.epoch, seen.counter, l.epoch, l.counter)
				}
			})
		})
	}
}

// dynamodb-checkpointer.go:252 puts the whole row without a condition: a worker that has lost its
// lease overwrites its successor and the successor's checkpoint.
func TestACheckpointOfAFormerOwnerIsRefused(t *testing.T) {
	streamtest.Bubble(t, func(t *testing.T) {
		c := streamtest.New(t, 1, awstest.Options{})
		c.EnsureTable()
		former, owner := tableOf(c, "former", time.Minute), tableOf(c, "owner", time.Minute)
		s := &shard{ID: "shard"}
		old := must(t)(former.acquire(t.Context(), s, nil, false))
		current := must(t)(owner.acquire(t.Context(), s, old, true))
		if err := owner.checkpoint(t.Context(), s.ID, current.epoch, "20", "", []string{""}); err != nil {
			t.Fatal(err)
		}
		// The same worker in an earlier holding is a former owner, too.
		again := must(t)(former.acquire(t.Context(), s, rowOf(t, c, s.ID), true))
		if err := former.checkpoint(t.Context(), s.ID, again.epoch, "30", "", []string{"20"}); err != nil {
			t.Fatal(err)
		}
		for name, write := range map[string]func() error{
			"checkpoint of another":              func() error { return owner.checkpoint(t.Context(), s.ID, current.epoch, "21", "", []string{"30"}) },
			"checkpoint of an earlier holding":   func() error { return former.checkpoint(t.Context(), s.ID, old.epoch, "10", "", []string{"30"}) },
			"end of shard of an earlier holding": func() error { return former.checkpoint(t.Context(), s.ID, old.epoch, ShardEnd, "", []string{"30"}) },
			"renewal of an earlier holding":      func() error { _, err := former.renew(t.Context(), s.ID, old.epoch, time.Time{}); return err },
			"release of an earlier holding":      func() error { return former.release(t.Context(), s.ID, old.epoch) },
			"release by another":                 func() error { return owner.release(t.Context(), s.ID, current.epoch) },
		} {
			if err := write(); !errors.Is(err, errFenced) {
				t.Errorf("%s: %v", name, err)
			}
		}
		if l := rowOf(t, c, s.ID); l.owner != "former" || l.checkpoint != "30" || l.counter != again.counter {
			t.Errorf("the lease is %+v", l)
		}
	})
}

// The same put takes a ClaimRequest away: a claim on a busy shard was wiped again and again.
func TestAClaimSurvivesCheckpointRenewalAndRelease(t *testing.T) {
	streamtest.Bubble(t, func(t *testing.T) {
		c := streamtest.New(t, 1, awstest.Options{})
		c.EnsureTable()
		owner, claimer := tableOf(c, "owner", time.Minute), tableOf(c, "claimer", time.Minute)
		l := must(t)(owner.acquire(t.Context(), &shard{ID: "shard"}, nil, false))
		if err := claimer.claim(t.Context(), l); err != nil {
			t.Fatal(err)
		}
		if err := owner.checkpoint(t.Context(), "shard", l.epoch, "10", "", []string{""}); err != nil {
			t.Fatal(err)
		}
		renewed := must(t)(owner.renew(t.Context(), "shard", l.epoch, time.Time{}))
		if renewed.claim != "claimer" {
			t.Errorf("the owner sees the claim %q", renewed.claim)
		}
		if err := owner.release(t.Context(), "shard", l.epoch); err != nil {
			t.Fatal(err)
		}
		if l := rowOf(t, c, "shard"); l.claim != "claimer" || l.owner != "" || l.checkpoint != "10" {
			t.Errorf("the lease is %+v", l)
		}
	})
}

func TestASecondClaimDoesNotReplaceTheFirst(t *testing.T) {
	streamtest.Bubble(t, func(t *testing.T) {
		c := streamtest.New(t, 1, awstest.Options{})
		c.EnsureTable()
		l := must(t)(tableOf(c, "owner", time.Minute).acquire(t.Context(), &shard{ID: "shard"}, nil, false))
		first, second := tableOf(c, "first", time.Minute), tableOf(c, "second", time.Minute)
		for range 2 { // the answer to the first may have been lost
			if err := first.claim(t.Context(), l); err != nil {
				t.Fatal(err)
			}
		}
		if err := second.claim(t.Context(), l); !errors.Is(err, errFenced) {
			t.Errorf("a second claim: %v", err)
		}
		if claim := rowOf(t, c, "shard").claim; claim != "first" {
			t.Errorf("the claim is %q", claim)
		}
	})
}

// dynamodb-checkpointer.go:216 writes what the worker remembers as the checkpoint with every
// renewal: older than the table's, and over SHARD_END.
func TestARenewalTouchesOnlyTimeoutAndCounter(t *testing.T) {
	streamtest.Bubble(t, func(t *testing.T) {
		c := streamtest.New(t, 1, awstest.Options{})
		c.EnsureTable()
		owner := tableOf(c, "owner", time.Minute)
		l := must(t)(owner.acquire(t.Context(), &shard{ID: "shard", Start: "1", Parents: []string{"parent"}}, nil, false))
		for _, checkpoint := range []string{"10", ShardEnd} {
			if err := owner.checkpoint(t.Context(), "shard", l.epoch, checkpoint, "2026-01-01T00:00:00Z", []string{"", "10"}); err != nil {
				t.Fatal(err)
			}
			before := c.Item("shard")
			streamtest.Pass(t, time.Second)
			must(t)(owner.renew(t.Context(), "shard", l.epoch, time.Time{}))
			after := c.Item("shard")
			if !slices.Equal(slices.Sorted(maps.Keys(before)), slices.Sorted(maps.Keys(after))) {
				t.Errorf("attributes %v have become %v", before, after)
			}
			for name := range before {
				same := dynamo.Text(before, name) == dynamo.Text(after, name)
				if n, ok := dynamo.Int(before, name); ok {
					m, _ := dynamo.Int(after, name)
					same = n == m
				}
				if moves := name == attrTimeout || name == attrCounter; same == moves {
					t.Errorf("%s went from %v to %v", name, before[name], after[name])
				}
			}
		}
	})
}

// A write that was given up (a time limit, a cut connection) may land after the one that followed
// it.
func TestAnAbandonedCheckpointCannotTakeALaterOneBack(t *testing.T) {
	streamtest.Bubble(t, func(t *testing.T) {
		c := streamtest.New(t, 1, awstest.Options{})
		c.EnsureTable()
		owner := tableOf(c, "owner", time.Minute)
		l := must(t)(owner.acquire(t.Context(), &shard{ID: "shard"}, nil, false))
		for _, step := range []struct {
			name, checkpoint string
			before           []string
			want             error
			holds            string
		}{
			{"the first", "10", []string{""}, nil, "10"},
			{"the same again, since its answer was lost", "10", []string{""}, nil, "10"},
			{"after one that failed, landed or not", "30", []string{"10", "20"}, nil, "30"},
			{"the one that failed lands late", "20", []string{"10"}, errFenced, "30"},
			{"the first lands late", "10", []string{""}, errFenced, "30"},
			{"the end of the shard", ShardEnd, []string{"30"}, nil, ShardEnd},
			{"a late one after the end", "30", []string{"10", "20"}, errFenced, ShardEnd},
		} {
			if err := owner.checkpoint(t.Context(), "shard", l.epoch, step.checkpoint, "", step.before); !errors.Is(err, step.want) {
				t.Errorf("%s: %v, want %v", step.name, err, step.want)
			}
			if got := rowOf(t, c, "shard").checkpoint; got != step.holds {
				t.Errorf("%s: the checkpoint is %s, want %s", step.name, got, step.holds)
			}
		}
	})
}

func TestAFinishedShardStaysFinished(t *testing.T) {
	streamtest.Bubble(t, func(t *testing.T) {
		c := streamtest.New(t, 1, awstest.Options{})
		c.EnsureTable()
		owner := tableOf(c, "owner", time.Minute)
		l := must(t)(owner.acquire(t.Context(), &shard{ID: "shard"}, nil, false))
		for range 2 { // the answer to the first may have been lost
			if err := owner.checkpoint(t.Context(), "shard", l.epoch, ShardEnd, "", []string{""}); err != nil {
				t.Fatal(err)
			}
		}
		if err := owner.checkpoint(t.Context(), "shard", l.epoch, "10", "", []string{""}); !errors.Is(err, errFenced) {
			t.Errorf("a checkpoint after the shard's end: %v", err)
		}
		if err := tableOf(c, "other", time.Minute).claim(t.Context(), l); !errors.Is(err, errFenced) {
			t.Errorf("a claim on a finished shard: %v", err)
		}
	})
}

// polling-shard-consumer.go:102 does not wait for a renewal that is under way when it releases the
// lease: the renewal takes it again, for nobody.
func TestALateRenewalDoesNotTakeAReleasedLease(t *testing.T) {
	streamtest.Bubble(t, func(t *testing.T) {
		c := streamtest.New(t, 1, awstest.Options{})
		c.EnsureTable()
		owner := tableOf(c, "owner", time.Minute)
		l := must(t)(owner.acquire(t.Context(), &shard{ID: "shard"}, nil, false))
		if err := owner.release(t.Context(), "shard", l.epoch); err != nil {
			t.Fatal(err)
		}
		if _, err := owner.renew(t.Context(), "shard", l.epoch, time.Time{}); !errors.Is(err, errFenced) {
			t.Errorf("a renewal after the release: %v", err)
		}
		if l := rowOf(t, c, "shard"); l.owner != "" {
			t.Errorf("the lease belongs to %s", l.owner)
		}
	})
}

// dynamodb-checkpointer.go:450 scans one page, not consistently: with more leases than a page holds
// the rest looks free.
func TestTheScanIsConsistentAndReadsAllPages(t *testing.T) {
	streamtest.Bubble(t, func(t *testing.T) {
		c := streamtest.New(t, 1, awstest.Options{})
		c.EnsureTable()
		const rows = 12
		for i := range rows { // 300 KB each: a page holds 1 MB
			c.PutItem(dynamo.Item{attrShardID: dynamo.String(streamtest.ShardID(i)), attrOwner: dynamo.String("other"), "Padding": dynamo.String(strings.Repeat("x", 300_000))})
		}
		c.PutItem(dynamo.Item{attrShardID: dynamo.String(startKey)})
		pages := 0
		c.OnCall(func(k *streamtest.Call) {
			if k.Action == "dynamodb:Scan" {
				pages++
				if !strings.Contains(string(k.Request), `"ConsistentRead":true`) {
					t.Errorf("a scan that is not consistent: %s", k.Request)
				}
			}
		})
		leases, _, err := tableOf(c, "me", time.Minute).scan(t.Context())
		if err != nil || len(leases) != rows || pages < 4 {
			t.Errorf("%d leases in %d pages: %v", len(leases), pages, err)
		}
		if leases[startKey] != nil {
			t.Error("the item with the first start is taken for a lease")
		}
	})
}

func TestAVanishedTableHasItsOwnError(t *testing.T) {
	streamtest.Bubble(t, func(t *testing.T) {
		c := streamtest.New(t, 1, awstest.Options{})
		if _, _, err := tableOf(c, "me", time.Minute).scan(t.Context()); !errors.Is(err, errTableMissing) {
			t.Errorf("scanning a table that is not there: %v", err)
		}
	})
}
