package kinesis

import (
	"io"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/sirupsen/logrus"

	"rootwatch/pipeline/awstest"
	"rootwatch/pipeline/kinesis/streamtest"
)

// What the library does wrong, file by file (clientlibrary/; common is worker/common-shard-consumer.go, polling is
// worker/polling-shard-consumer.go, ddb is checkpoint/dynamodb-checkpointer.go), and the tests that it does not happen
// here. Most of them stand beside one that shows the bare library doing it (TestTheBareLibrary…): if that ever fails,
// what is built around the library can go.
//
//	common:94, config.go:61: LATEST is the default, for the children of a split too
//	    TestRecordsPutBeforeTheFirstCheckpointAreReadAfterARestart, TestChildrenOfASplitAreReadFromTheirBeginning,
//	    TestAFirstStartAfterAReshardReadsNothingOlder                                                   start_test.go
//	ddb:252: a checkpoint is an unconditional put of the whole row: a former owner overwrites the new one, claims are wiped
//	    TestACheckpointOfAFormerOwnerIsRefused, TestAClaimSurvivesCheckpointRenewalAndRelease          leases_test.go
//	ddb:216: a renewal writes the older checkpoint back, over SHARD_END too
//	    TestARenewalTouchesOnlyTimeoutAndCounter                                                       leases_test.go
//	polling:103,205,234: lease lost, 5xx, expired iterator: the record processor is never told
//	    TestALostLeaseEndsItsSessionAndTheNextTenureReadsFromTheCheckpoint                             outage_test.go
//	    TestErrorsThatTimeHealsLoseAndDoubleNothing                                                     fetch_test.go
//	worker.go:311, ddb:291: after a write outage of its worker a shard is never read again
//	    TestAWorkerThatCannotWriteItsLeasesGivesThemUpAndComesBackWithoutARestart                      outage_test.go
//	polling:102: a renewal under way takes the lease again after its release
//	    TestALateRenewalDoesNotTakeAReleasedLease, TestALateRenewalDoesNotTakeUpTheNextTenure          leases_test.go
//	common:115: the wait for a parent shard has no end: Shutdown hangs
//	    TestStopDoesNotWaitForAParentThatIsUnfinishedElsewhere                                        reshard_test.go
//	common:126, polling:114, worker.go:493: a parent without a checkpoint counts as deleted, a second parent not at all
//	    TestAChildStartsOnlyAfterBothParentsOfAMerge, TestAParentWithoutALeaseIsReadBeforeItsChild,
//	    TestAMissingRowOfAParentThatStillExistsClosesTheGate                                          reshard_test.go
//	common:148, deaggregator.go:60,85: a bad aggregate drops its whole batch, or panics the process
//	    TestABadAggregateCostsNoOtherRecord, TestAggregatesAreExpandedAndBadOnesAreOneRecord,
//	    FuzzExpand                                                                                  aggregate_test.go
//	common:175: a panic in the record processor kills the process
//	    TestAPanicGivesTheLeaseUpAndTheProcessLives                                                     panic_test.go
//	polling:157: throttled, it looks neither at stop nor at lease
//	    TestStopIsQuickWhateverTheFetchesWaitFor                                                         stop_test.go
//	polling:183,241, worker.go:287: pauses that cannot be cut short
//	    TestStopIsQuickWhateverTheFetchesWaitFor                                                         stop_test.go
//	    TestTheLibrarysLimiterNeverTrips                                                                 pace_test.go
//	worker.go:276,368: sleeps first, then takes one lease a pass
//	    TestSixtyFourShardsAreHeldAndReadWithinAMinute                                                   rest_test.go
//	ddb:126,490: two workers that start at once race for the table; no wait for ACTIVE; provisioned 10/10
//	    TestWorkersThatStartTogetherShareOneNewTable                                                    table_test.go
//	ddb:361,450: no stealing while an open shard has no checkpoint; an unpaged scan that may be stale
//	    TestWorkersShareTheShardsEvenly                                                               balance_test.go
//	    TestTheScanIsConsistentAndReadsAllPages                                                         table_test.go
//	    TestTheLibrarysLeaseStealingIsNotUsed                                                                    here
//	worker.go:331,398: the guard "one steal at a time" never holds
//	    TestTwoNewcomersNeverAskForTheSameLease                                                       balance_test.go
//	    TestTheLibrarysLeaseStealingIsNotUsed                                                                    here
//	ddb:142: expiry compares hosts' clocks
//	    TestExpiryDoesNotCompareHostsClocks, TestTheFenceIsAheadOfExpiry                               expiry_test.go
//	record-processor-checkpointer.go:70: remembered before it is written; PrepareCheckpoint is a nil dereference
//	    TestTheEndOfAShardIsWrittenAgainUntilItIsThere,
//	    TestFetchCheckpointForgetsWhatTheLibraryHasOnlyRemembered                                     reshard_test.go
//	    TestTheSessionAsksTheLibraryForTheEndOfAShardAlone                                                       here
//	fan-out-shard-consumer.go:86: a blocked record processor loses the lease; errors of the stream are not read
//	    TestEnhancedFanOutIsNotUsed                                                                              here
//	metrics/prometheus, worker.go:186: default registry and mux, own listener, log.Fatalf
//	    TestTheLibrarysMetricsAreNotUsed, TestTheLibrarysLoggerNeverEndsTheProcess                               here
//	renewLease logs to the global logrus
//	    TestNothingIsWrittenPastTheLogger                                                                        here
//	MillisBehindLatest is dereferenced unchecked
//	    TestAnAnswerWithoutMillisBehindLatestIsTaken                                                    fetch_test.go
//	a closed shard that never gets Checkpoint(nil) starves the others
//	    TestFinishedShardsAreClosedAndReadNoMore                                                      reshard_test.go
//	a checkpoint older than the retention is asked for without an end
//	    TestACheckpointOlderThanTheRetentionGoesOnAtTheOldestRecordAndSaysWhatIsLost                    fetch_test.go
//	no drain in Shutdown, no deadline
//	    TestStopFinishesWhatIsInFlight, TestStopWithAStuckPipelineEndsInTimeAndCheckpointsNothingUnfinished
//	                                                                                                     stop_test.go

func newTestWorker(t *testing.T) *Worker {
	t.Helper()
	cfg := Config{
		Region: "us-east-1", Stream: testStream, Application: testApp, PollInterval: time.Second, LeaseDuration: 20 * time.Second, CheckpointInterval: time.Second,
		ShutdownTimeout: 25 * time.Second, MaxRecords: 1000, FetchMemory: 64 << 20, Registerer: prometheusRegistry(), Logger: new(logs).Logger(),
	}
	cfg.Kinesis, cfg.DynamoDB = streamtest.New(t, 1, awstest.Options{}).Clients("worker")
	w, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return w
}

func TestTheLibrarysMetricsAreNotUsed(t *testing.T) {
	names := func() []string {
		families, err := prometheus.DefaultGatherer.Gather()
		if err != nil {
			t.Fatal(err)
		}
		var all []string
		for _, f := range families {
			all = append(all, f.GetName())
		}
		return all
	}
	before := names()
	bubble(t, func(t *testing.T) {
		c := newCloud(t, 2, awstest.Options{})
		r := c.start("worker", setup{config: trimHorizon})
		c.Put(10)
		c.readAll(time.Minute, r)
		r.endWell()
		problems, err := testutil.GatherAndLint(r.registry)
		if err != nil || len(problems) > 0 {
			t.Errorf("the worker's metrics: %v %v", problems, err)
		}
	})
	if after := names(); !slices.Equal(before, after) {
		t.Errorf("metrics in the default registry: %v have become %v", before, after)
	}
}

func TestNothingIsWrittenPastTheLogger(t *testing.T) {
	bubble(t, func(t *testing.T) {
		c := newCloud(t, 1, awstest.Options{})
		c.start("worker", setup{}).holding(1)
		if logrus.StandardLogger().Out != io.Discard {
			t.Error("the global logrus, which the library uses for renewals, still writes")
		}
	})
}

// The calls that a worker makes in all its life, resharding and recovery included: its role needs these permissions
// (and those for making the table), and no others.
func TestTheWorkerCallsNothingThatItsRoleNeedNotAllow(t *testing.T) {
	bubble(t, func(t *testing.T) {
		c := newCloud(t, 2, awstest.Options{})
		a := c.start("worker", setup{config: trimHorizon})
		a.holding(2)
		b := c.start("other", setup{config: trimHorizon})
		until(t, time.Minute, "the shards are shared", func() bool { return even(2, a, b) })
		c.Put(20)
		c.readAll(time.Minute, a, b)
		c.Split(shardID(0))
		c.Split(shardID(1))
		c.ExpireIterators()
		c.Put(20)
		c.readAll(time.Minute, a, b)
		until(t, time.Minute, "the shards are shared", func() bool { return even(4, a, b) })
		b.endWell()
		a.holding(4)
		a.endWell()
		calls := slices.Sorted(maps.Keys(c.CallsBy("worker")))
		want := []string{
			"dynamodb:CreateTable", "dynamodb:DescribeTable", "dynamodb:Scan", "dynamodb:UpdateItem",
			"kinesis:DescribeStreamSummary", "kinesis:GetRecords", "kinesis:GetShardIterator", "kinesis:ListShards",
		}
		if !slices.Equal(calls, want) {
			t.Errorf("the worker has called %s", strings.Join(calls, ", "))
		}
	})
}
