package kcl

import (
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	kcl "github.com/vmware/vmware-go-kcl-v2/clientlibrary/checkpoint"

	"github.com/vmware/vmware-go-kcl-v2/clientlibrary/config"
	"github.com/vmware/vmware-go-kcl-v2/clientlibrary/partition"

	"rootwatch/pipeline/awstest"
	"rootwatch/pipeline/dynamo"
	"rootwatch/pipeline/kinesis/lease"
	"rootwatch/pipeline/kinesis/streamtest"
)

// bareCheckpointer is the library's own, as its worker "me" would use it.
func bareCheckpointer(c *streamtest.Cloud, me string, duration time.Duration) *kcl.DynamoCheckpoint {
	_, d := c.Clients(me)
	cfg := config.NewKinesisClientLibConfig(streamtest.Application, streamtest.Stream, "us-east-1", me).WithFailoverTimeMillis(int(duration.Milliseconds()))
	return kcl.NewDynamoCheckpoint(cfg).WithDynamoDB(d)
}

func status(id string) *partition.ShardStatus {
	return &partition.ShardStatus{ID: id, Mux: &sync.RWMutex{}}
}

func TestTheBareLibraryOverwritesItsSuccessor(t *testing.T) {
	streamtest.Bubble(t, func(t *testing.T) {
		c := streamtest.New(t, 1, awstest.Options{})
		c.EnsureTable()
		former, s := bareCheckpointer(c, "former", 10*time.Second), status("shard")
		if err := former.GetLease(s, "former"); err != nil {
			t.Fatal(err)
		}
		c.PutItem(dynamo.Item{"ShardID": dynamo.String("shard"), "AssignedTo": dynamo.String("owner"), "LeaseTimeout": dynamo.String("2100-01-01T00:00:00Z"), "Checkpoint": dynamo.String("20"), "ClaimRequest": dynamo.String("third")})
		s.SetCheckpoint("10")
		if err := former.CheckpointSequence(s); err != nil {
			t.Fatal(err)
		}
		if l := c.Leases()["shard"]; l.Owner != "former" || l.Checkpoint != "10" || l.Claim != "" {
			t.Errorf("the library has left %+v: conditional checkpoints are not needed any more", l)
		}
	})
}

func TestTheBareLibrarysRenewalPutsAnOlderCheckpointBack(t *testing.T) {
	streamtest.Bubble(t, func(t *testing.T) {
		c := streamtest.New(t, 1, awstest.Options{})
		c.EnsureTable()
		me, s := bareCheckpointer(c, "me", 10*time.Second), status("shard")
		s.SetCheckpoint("10")
		if err := me.GetLease(s, "me"); err != nil {
			t.Fatal(err)
		}
		c.Set("shard", "Checkpoint", lease.ShardEnd)
		if err := me.GetLease(s, "me"); err != nil {
			t.Fatal(err)
		}
		if l := c.Leases()["shard"]; l.Checkpoint != "10" {
			t.Errorf("the checkpoint is %s: renewals of our own are not needed any more", l.Checkpoint)
		}
	})
}

func TestTheBareLibrarysLateRenewalTakesAReleasedLease(t *testing.T) {
	streamtest.Bubble(t, func(t *testing.T) {
		c := streamtest.New(t, 1, awstest.Options{})
		c.EnsureTable()
		me, s := bareCheckpointer(c, "me", 10*time.Second), status("shard")
		if err := me.GetLease(s, "me"); err != nil {
			t.Fatal(err)
		}
		if err := me.RemoveLeaseOwner("shard"); err != nil {
			t.Fatal(err)
		}
		if err := me.GetLease(s, "me"); err != nil || c.Leases()["shard"].Owner != "me" {
			t.Errorf("the library has refused a late renewal (%v): GetLease need not refuse it any more", err)
		}
	})
}

func TestTheBareLibraryStealsByTheHostsClock(t *testing.T) {
	streamtest.Bubble(t, func(t *testing.T) {
		c := streamtest.New(t, 1, awstest.Options{})
		c.EnsureTable()
		c.PutItem(dynamo.Item{"ShardID": dynamo.String("shard"), "AssignedTo": dynamo.String("a worker whose clock is behind"),
			"LeaseTimeout": dynamo.String(time.Now().Add(-time.Second).UTC().Format(time.RFC3339Nano))})
		if err := bareCheckpointer(c, "me", 20*time.Second).GetLease(status("shard"), "me"); err != nil {
			t.Errorf("the library has refused it (%v): the counter is not needed any more", err)
		}
	})
}

// The library's memory of a shard must not decide anything either: FetchCheckpoint puts the table's
// truth back.
func TestFetchCheckpointForgetsWhatTheLibraryHasOnlyRemembered(t *testing.T) {
	leases := &checkpointer{leases: noLeases(), finished: func(id string) bool { return id == "finished" }}
	for id, want := range map[string]string{"finished": lease.ShardEnd, "open": ""} {
		s := status(id)
		s.SetCheckpoint("remembered")
		if err := leases.FetchCheckpoint(s); (err == nil) != (want != "") || s.GetCheckpoint() != want {
			t.Errorf("%s: checkpoint %q, %v", id, s.GetCheckpoint(), err)
		}
	}
}

func TestTheBareLibrarysWorkersRaceForTheTable(t *testing.T) {
	streamtest.Bubble(t, func(t *testing.T) {
		c := streamtest.New(t, 1, awstest.Options{})
		c.Inject(awstest.Fault{Service: "dynamodb", Operation: "CreateTable", Effect: awstest.Slow, Delay: time.Second})
		failed := make(chan error, 4)
		for i := range 4 {
			go func() { failed <- bareCheckpointer(c, fmt.Sprint("worker ", i), time.Minute).Init() }()
		}
		bad := 0
		for range 4 {
			if <-failed != nil {
				bad++
			}
		}
		if bad != 3 {
			t.Errorf("%d of 4 workers of the bare library have failed, it used to be 3: a table of our own making is not needed any more", bad)
		}
	})
}

// The library's consumer may ask once more for a lease that was given back; when it is held again
// that is not for it.
func TestALateRenewalDoesNotTakeUpTheNextHolding(t *testing.T) {
	streamtest.Bubble(t, func(t *testing.T) {
		c := streamtest.New(t, 1, awstest.Options{})
		r := newRig(t, c)
		id := streamtest.ShardID(0)
		leases, s := newCheckpointer(r.Config), status(id)
		notAcquired := func(why string) {
			t.Helper()
			var refused kcl.ErrLeaseNotAcquired
			if err := leases.GetLease(s, "me"); !errors.As(err, &refused) {
				t.Errorf("%s: %v", why, err)
			}
		}
		r.hold()
		notAcquired("not yet shown to the library's event loop")
		if err := leases.RemoveLeaseOwner(id); err != nil || r.Leases.Get(id) == nil {
			t.Errorf("a late release by the library has ended a lease that it had not taken up: %v", err)
		}
		if err := leases.FetchCheckpoint(s); !errors.Is(err, kcl.ErrSequenceIDNotFound) || s.GetLeaseOwner() != "" {
			t.Fatalf("%v, owner %q", err, s.GetLeaseOwner())
		}
		for range 2 { // taking it up, and a renewal
			if err := leases.GetLease(s, "me"); err != nil {
				t.Fatal(err)
			}
		}
		again := status(id) // the shard was out of ListShards for a moment
		if err := leases.FetchCheckpoint(again); !errors.Is(err, kcl.ErrSequenceIDNotFound) {
			t.Fatal(err)
		}
		if err := leases.GetLease(again, "me"); err == nil {
			t.Error("a second consumer of the same lease is let in")
		}
		r.Leases.Get(id).StopReading(lease.ErrHandoff)
		notAcquired("reading has ended")
		if err := leases.RemoveLeaseOwner(id); err != nil {
			t.Fatal(err)
		}
		notAcquired("no lease at all")
		r.hold()
		notAcquired("a late renewal when the lease is held again")
		r.Leases.Empty(lease.ErrHandoff) // nobody has taken it up
		if owner := c.Leases()[id].Owner; owner != "" {
			t.Errorf("the lease belongs to %s", owner)
		}
	})
}
