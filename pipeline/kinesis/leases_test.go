package kinesis

import (
	"errors"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	kcl "github.com/vmware/vmware-go-kcl-v2/clientlibrary/checkpoint"
	"github.com/vmware/vmware-go-kcl-v2/clientlibrary/config"
	"github.com/vmware/vmware-go-kcl-v2/clientlibrary/partition"

	"rootwatch/pipeline/awstest"
	"rootwatch/pipeline/dynamo"
)

// bareCheckpointer is the library's own, as its worker "me" would use it.
func bareCheckpointer(c *Cloud, me string, duration time.Duration) *kcl.DynamoCheckpoint {
	_, d := c.Clients(me)
	cfg := config.NewKinesisClientLibConfig(testApp, testStream, "us-east-1", me).WithFailoverTimeMillis(int(duration.Milliseconds())).WithLogger(libraryLogger{new(logs).logger()})
	return kcl.NewDynamoCheckpoint(cfg).WithDynamoDB(d)
}

func status(id string) *partition.ShardStatus {
	return &partition.ShardStatus{ID: id, Mux: &sync.RWMutex{}}
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
			bubble(t, func(t *testing.T) {
				c := newCloud(t, 1, awstest.Options{})
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
					seen = c.Leases()["shard"]
				}
				if test.moved {
					must(t)(c.table("other", time.Minute).renew(t.Context(), "shard", epoch, time.Time{}))
				}
				before := c.Item("shard")
				l, err := c.table("me", time.Minute).acquire(t.Context(), &shard{id: "shard", parents: []string{"parent"}, start: "1"}, seen, test.expired)
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

// dynamodb-checkpointer.go:252 puts the whole row without a condition: a worker that has lost its lease overwrites its
// successor and the successor's checkpoint.
func TestACheckpointOfAFormerOwnerIsRefused(t *testing.T) {
	bubble(t, func(t *testing.T) {
		c := newCloud(t, 1, awstest.Options{})
		c.EnsureTable()
		former, owner := c.table("former", time.Minute), c.table("owner", time.Minute)
		s := &shard{id: "shard"}
		old := must(t)(former.acquire(t.Context(), s, nil, false))
		current := must(t)(owner.acquire(t.Context(), s, old, true))
		if err := owner.checkpoint(t.Context(), s.id, current.epoch, "20", "", []string{""}); err != nil {
			t.Fatal(err)
		}
		// The same worker in an earlier tenure is a former owner, too.
		again := must(t)(former.acquire(t.Context(), s, c.Leases()[s.id], true))
		if err := former.checkpoint(t.Context(), s.id, again.epoch, "30", "", []string{"20"}); err != nil {
			t.Fatal(err)
		}
		for name, write := range map[string]func() error{
			"checkpoint of another":             func() error { return owner.checkpoint(t.Context(), s.id, current.epoch, "21", "", []string{"30"}) },
			"checkpoint of an earlier tenure":   func() error { return former.checkpoint(t.Context(), s.id, old.epoch, "10", "", []string{"30"}) },
			"end of shard of an earlier tenure": func() error { return former.checkpoint(t.Context(), s.id, old.epoch, ShardEnd, "", []string{"30"}) },
			"renewal of an earlier tenure":      func() error { _, err := former.renew(t.Context(), s.id, old.epoch, time.Time{}); return err },
			"release of an earlier tenure":      func() error { return former.release(t.Context(), s.id, old.epoch) },
			"release by another":                func() error { return owner.release(t.Context(), s.id, current.epoch) },
		} {
			if err := write(); !errors.Is(err, errFenced) {
				t.Errorf("%s: %v", name, err)
			}
		}
		if l := c.Leases()[s.id]; l.owner != "former" || l.checkpoint != "30" || l.counter != again.counter {
			t.Errorf("the lease is %+v", l)
		}
	})
}

func TestTheBareLibraryOverwritesItsSuccessor(t *testing.T) {
	bubble(t, func(t *testing.T) {
		c := newCloud(t, 1, awstest.Options{})
		c.EnsureTable()
		former, s := bareCheckpointer(c, "former", 10*time.Second), status("shard")
		if err := former.GetLease(s, "former"); err != nil {
			t.Fatal(err)
		}
		c.PutItem(dynamo.Item{attrShardID: dynamo.String("shard"), attrOwner: dynamo.String("owner"), attrTimeout: dynamo.String("2100-01-01T00:00:00Z"), attrCheckpoint: dynamo.String("20"), attrClaim: dynamo.String("third")})
		s.SetCheckpoint("10")
		if err := former.CheckpointSequence(s); err != nil {
			t.Fatal(err)
		}
		if l := c.Leases()["shard"]; l.owner != "former" || l.checkpoint != "10" || l.claim != "" {
			t.Errorf("the library has left %+v: conditional checkpoints are not needed any more", l)
		}
	})
}

// The same put takes a ClaimRequest away: a claim on a busy shard was wiped again and again.
func TestAClaimSurvivesCheckpointRenewalAndRelease(t *testing.T) {
	bubble(t, func(t *testing.T) {
		c := newCloud(t, 1, awstest.Options{})
		c.EnsureTable()
		owner, claimer := c.table("owner", time.Minute), c.table("claimer", time.Minute)
		l := must(t)(owner.acquire(t.Context(), &shard{id: "shard"}, nil, false))
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
		if l := c.Leases()["shard"]; l.claim != "claimer" || l.owner != "" || l.checkpoint != "10" {
			t.Errorf("the lease is %+v", l)
		}
	})
}

func TestASecondClaimDoesNotReplaceTheFirst(t *testing.T) {
	bubble(t, func(t *testing.T) {
		c := newCloud(t, 1, awstest.Options{})
		c.EnsureTable()
		l := must(t)(c.table("owner", time.Minute).acquire(t.Context(), &shard{id: "shard"}, nil, false))
		first, second := c.table("first", time.Minute), c.table("second", time.Minute)
		for range 2 { // the answer to the first may have been lost
			if err := first.claim(t.Context(), l); err != nil {
				t.Fatal(err)
			}
		}
		if err := second.claim(t.Context(), l); !errors.Is(err, errFenced) {
			t.Errorf("a second claim: %v", err)
		}
		if claim := c.Leases()["shard"].claim; claim != "first" {
			t.Errorf("the claim is %q", claim)
		}
	})
}

// dynamodb-checkpointer.go:216 writes what the worker remembers as the checkpoint with every renewal: older than the
// table's, and over SHARD_END.
func TestARenewalTouchesOnlyTimeoutAndCounter(t *testing.T) {
	bubble(t, func(t *testing.T) {
		c := newCloud(t, 1, awstest.Options{})
		c.EnsureTable()
		owner := c.table("owner", time.Minute)
		l := must(t)(owner.acquire(t.Context(), &shard{id: "shard", start: "1", parents: []string{"parent"}}, nil, false))
		for _, checkpoint := range []string{"10", ShardEnd} {
			if err := owner.checkpoint(t.Context(), "shard", l.epoch, checkpoint, "2026-01-01T00:00:00Z", []string{"", "10"}); err != nil {
				t.Fatal(err)
			}
			before := c.Item("shard")
			pass(t, time.Second)
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

func TestTheBareLibrarysRenewalPutsAnOlderCheckpointBack(t *testing.T) {
	bubble(t, func(t *testing.T) {
		c := newCloud(t, 1, awstest.Options{})
		c.EnsureTable()
		me, s := bareCheckpointer(c, "me", 10*time.Second), status("shard")
		s.SetCheckpoint("10")
		if err := me.GetLease(s, "me"); err != nil {
			t.Fatal(err)
		}
		c.Set("shard", attrCheckpoint, ShardEnd)
		if err := me.GetLease(s, "me"); err != nil {
			t.Fatal(err)
		}
		if l := c.Leases()["shard"]; l.checkpoint != "10" {
			t.Errorf("the checkpoint is %s: renewals of our own are not needed any more", l.checkpoint)
		}
	})
}

// A write that was given up (a time limit, a cut connection) may land after the one that followed it.
func TestAnAbandonedCheckpointCannotTakeALaterOneBack(t *testing.T) {
	bubble(t, func(t *testing.T) {
		c := newCloud(t, 1, awstest.Options{})
		c.EnsureTable()
		owner := c.table("owner", time.Minute)
		l := must(t)(owner.acquire(t.Context(), &shard{id: "shard"}, nil, false))
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
			if got := c.Leases()["shard"].checkpoint; got != step.holds {
				t.Errorf("%s: the checkpoint is %s, want %s", step.name, got, step.holds)
			}
		}
	})
}

func TestAFinishedShardStaysFinished(t *testing.T) {
	bubble(t, func(t *testing.T) {
		c := newCloud(t, 1, awstest.Options{})
		c.EnsureTable()
		owner := c.table("owner", time.Minute)
		l := must(t)(owner.acquire(t.Context(), &shard{id: "shard"}, nil, false))
		for range 2 { // the answer to the first may have been lost
			if err := owner.checkpoint(t.Context(), "shard", l.epoch, ShardEnd, "", []string{""}); err != nil {
				t.Fatal(err)
			}
		}
		if err := owner.checkpoint(t.Context(), "shard", l.epoch, "10", "", []string{""}); !errors.Is(err, errFenced) {
			t.Errorf("a checkpoint after the shard's end: %v", err)
		}
		if err := c.table("other", time.Minute).claim(t.Context(), l); !errors.Is(err, errFenced) {
			t.Errorf("a claim on a finished shard: %v", err)
		}
	})
}

// polling-shard-consumer.go:102 does not wait for a renewal that is under way when it releases the lease: the renewal
// takes it again, for nobody.
func TestALateRenewalDoesNotTakeAReleasedLease(t *testing.T) {
	bubble(t, func(t *testing.T) {
		c := newCloud(t, 1, awstest.Options{})
		c.EnsureTable()
		owner := c.table("owner", time.Minute)
		l := must(t)(owner.acquire(t.Context(), &shard{id: "shard"}, nil, false))
		if err := owner.release(t.Context(), "shard", l.epoch); err != nil {
			t.Fatal(err)
		}
		if _, err := owner.renew(t.Context(), "shard", l.epoch, time.Time{}); !errors.Is(err, errFenced) {
			t.Errorf("a renewal after the release: %v", err)
		}
		if l := c.Leases()["shard"]; l.owner != "" {
			t.Errorf("the lease belongs to %s", l.owner)
		}
	})
}

func TestTheBareLibrarysLateRenewalTakesAReleasedLease(t *testing.T) {
	bubble(t, func(t *testing.T) {
		c := newCloud(t, 1, awstest.Options{})
		c.EnsureTable()
		me, s := bareCheckpointer(c, "me", 10*time.Second), status("shard")
		if err := me.GetLease(s, "me"); err != nil {
			t.Fatal(err)
		}
		if err := me.RemoveLeaseOwner("shard"); err != nil {
			t.Fatal(err)
		}
		if err := me.GetLease(s, "me"); err != nil || c.Leases()["shard"].owner != "me" {
			t.Errorf("the library has refused a late renewal (%v): GetLease need not refuse it any more", err)
		}
	})
}

// The library's consumer may ask once more for a lease whose tenure has ended; the next tenure is not for it.
func TestALateRenewalDoesNotTakeUpTheNextTenure(t *testing.T) {
	bubble(t, func(t *testing.T) {
		c := newCloud(t, 1, awstest.Options{})
		c.EnsureTable()
		table := c.table("me", time.Minute)
		leases := newCheckpointer("me")
		leases.finished, leases.changed = func(string) bool { return false }, func(*Held) {}
		m, log := NewMetrics(prometheusRegistry(), time.Now), new(logs)
		hold := func() {
			l := must(t)(table.acquire(t.Context(), &shard{id: "shard"}, nil, false))
			leases.hold(newHeld(&shard{id: "shard"}, l, StartAt{}, time.Now(), table, m, log.logger()))
		}
		s := status("shard")
		notAcquired := func(why string) {
			t.Helper()
			var refused kcl.ErrLeaseNotAcquired
			if err := leases.GetLease(s, "me"); !errors.As(err, &refused) {
				t.Errorf("%s: %v", why, err)
			}
		}
		hold()
		notAcquired("not yet shown to the library's event loop")
		if err := leases.RemoveLeaseOwner("shard"); err != nil || leases.tenure("shard") == nil {
			t.Errorf("a late release by the library has ended a tenure that it had not taken up: %v", err)
		}
		if err := leases.FetchCheckpoint(s); !errors.Is(err, kcl.ErrSequenceIDNotFound) || s.GetLeaseOwner() != "" {
			t.Fatalf("%v, owner %q", err, s.GetLeaseOwner())
		}
		for range 2 { // taking it up, and a renewal
			if err := leases.GetLease(s, "me"); err != nil {
				t.Fatal(err)
			}
		}
		again := status("shard") // the shard was out of ListShards for a moment
		if err := leases.FetchCheckpoint(again); !errors.Is(err, kcl.ErrSequenceIDNotFound) {
			t.Fatal(err)
		}
		if err := leases.GetLease(again, "me"); err == nil {
			t.Error("a second consumer of the same tenure is let in")
		}
		leases.tenure("shard").stopReading(ErrHandoff)
		notAcquired("reading has ended")
		if err := leases.RemoveLeaseOwner("shard"); err != nil {
			t.Fatal(err)
		}
		notAcquired("no tenure at all")
		hold()
		notAcquired("a late renewal in the next tenure")
		leases.tenure("shard").stopReading(ErrHandoff)
		leases.sweep()
		until(t, time.Minute, "the tenure nobody took up is given back", func() bool { return len(leases.tenures()) == 0 })
		if owner := c.Leases()["shard"].owner; owner != "" {
			t.Errorf("the lease belongs to %s", owner)
		}
	})
}

// A process that ran on the bare library leaves rows without epoch and counter behind, whose owner may be alive.
func TestRowsOfTheBareLibraryAreTakenOverWithTheirCheckpoints(t *testing.T) {
	bubble(t, func(t *testing.T) {
		c := newCloud(t, 2, awstest.Options{})
		c.Put(100)
		stock := c.startBare("stock", func(cfg *config.KinesisClientLibConfiguration) {
			cfg.ShardSyncIntervalMillis = 1000
			cfg.WithInitialPositionInStream(config.TRIM_HORIZON)
		})
		until(t, time.Minute, "the library reads all", func() bool { return len(stock.records()) == 100 })
		r := c.start("worker", setup{config: func(cfg *Config) { cfg.Start.TrimHorizon = true }})
		pass(t, 2*time.Minute)
		if held := r.holds(); len(held) > 0 {
			t.Fatalf("%v were taken from a worker that renews them", held)
		}
		c.Put(100)
		until(t, time.Minute, "the library reads on", func() bool { return len(stock.records()) == 200 })
		stock.Shutdown()
		c.Put(100)
		r.holding(2)
		until(t, time.Minute, "the worker reads on", func() bool { return len(r.records()) >= 100 })
		pass(t, 10*time.Second)
		if n := len(r.records()); n != 100 {
			t.Errorf("%d records were read after the library's checkpoints, want 100", n)
		}
		r.endWell()
		for id, l := range c.Leases() {
			if l.owner != "" || l.epoch != 1 || l.checkpoint == "" || !strings.HasPrefix(id, "shardId-") {
				t.Errorf("the lease of %s is left as %+v", id, l)
			}
		}
	})
}
