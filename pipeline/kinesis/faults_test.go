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
)

// What the library does wrong, file by file (clientlibrary/; common is
// worker/common-shard-consumer.go, polling is worker/polling-shard-consumer.go, ddb is
// checkpoint/dynamodb-checkpointer.go), and the tests that it does not happen here, by file. Most
// of them stand beside one that shows the bare library doing it (TestTheBareLibrary…): if that ever
// fails, what is built around the library can go.
//
//	common:94, config.go:61: LATEST is the default, for the children of a split too
//	    start_test.go: TestRecordsPutBeforeTheFirstCheckpointAreReadAfterARestart,
//	        TestChildrenOfASplitAreReadFromTheirBeginning,
//	        TestAFirstStartAfterAReshardReadsNothingOlder
//	ddb:252: a checkpoint is an unconditional put of the whole row: a former owner overwrites the new one, claims are wiped
//	    lease/leases_test.go: TestACheckpointOfAFormerOwnerIsRefused,
//	        TestAClaimSurvivesCheckpointRenewalAndRelease
//	ddb:216: a renewal writes the older checkpoint back, over SHARD_END too
//	    lease/leases_test.go: TestARenewalTouchesOnlyTimeoutAndCounter
//	polling:103,205,234: lease lost, 5xx, expired iterator: the record processor is never told
//	    outage_test.go: TestALostLeaseIsGivenUpAndIsReadFromItsCheckpointWhenItIsHeldAgain
//	    fetch_test.go: TestErrorsThatTimeHealsLoseAndDoubleNothing
//	worker.go:311, ddb:291: after a write outage of its worker a shard is never read again
//	    outage_test.go: TestAWorkerThatCannotWriteItsLeasesGivesThemUpAndComesBackWithoutARestart
//	polling:102: a renewal under way takes the lease again after its release
//	    lease/leases_test.go: TestALateRenewalDoesNotTakeAReleasedLease
//	    kcl/checkpointer_test.go: TestALateRenewalDoesNotTakeUpTheNextHolding
//	common:115: the wait for a parent shard has no end: Shutdown hangs
//	    reshard_test.go: TestStopDoesNotWaitForAParentThatIsUnfinishedElsewhere
//	common:126, polling:114, worker.go:493: a parent without a checkpoint counts as deleted, a second parent not at all
//	    reshard_test.go: TestAChildStartsOnlyAfterBothParentsOfAMerge,
//	        TestAParentWithoutALeaseIsReadBeforeItsChild,
//	        TestAMissingRowOfAParentThatStillExistsClosesTheGate
//	common:148, deaggregator.go:60,85: a bad aggregate drops its whole batch, or panics the process
//	    aggregate_test.go: TestABadAggregateCostsNoOtherRecord
//	    fetch/aggregates_test.go: TestAggregatesAreExpandedAndBadOnesAreOneRecord, FuzzExpand
//	common:175: a panic in the record processor kills the process
//	    panic_test.go: TestAPanicGivesTheLeaseUpAndTheProcessLives
//	polling:157: throttled, it looks neither at stop nor at lease
//	    stop_test.go: TestStopIsQuickWhateverTheFetchesWaitFor
//	polling:183,241, worker.go:287: pauses that cannot be cut short
//	    stop_test.go: TestStopIsQuickWhateverTheFetchesWaitFor
//	    fetch/limiter_test.go: TestTheLibrarysLimiterNeverTrips
//	worker.go:276,368: sleeps first, then takes one lease a pass
//	    rest_test.go: TestSixtyFourShardsAreHeldAndReadWithinAMinute
//	ddb:126,490: two workers that start at once race for the table; no wait for ACTIVE; provisioned 10/10
//	    table_test.go: TestWorkersThatStartTogetherShareOneNewTable
//	ddb:361,450: no stealing while an open shard has no checkpoint; an unpaged scan that may be stale
//	    balance_test.go: TestWorkersShareTheShardsEvenly
//	    lease/leases_test.go: TestTheScanIsConsistentAndReadsAllPages
//	    kcl/library_test.go: TestTheLibrarysLeaseStealingIsNotUsed
//	worker.go:331,398: the guard "one steal at a time" never holds
//	    balance_test.go: TestTwoNewcomersNeverAskForTheSameLease
//	    kcl/library_test.go: TestTheLibrarysLeaseStealingIsNotUsed
//	ddb:142: expiry compares hosts' clocks
//	    clocks_test.go: TestExpiryDoesNotCompareHostsClocks
//	    lease/expiry_test.go: TestTheFenceIsAheadOfExpiry
//	record-processor-checkpointer.go:70: remembered before it is written; PrepareCheckpoint is a nil dereference
//	    reshard_test.go: TestTheEndOfAShardIsWrittenAgainUntilItIsThere
//	    kcl/checkpointer_test.go: TestFetchCheckpointForgetsWhatTheLibraryHasOnlyRemembered
//	    kcl/library_test.go: TestTheConsumerAsksTheLibraryForTheEndOfAShardAlone
//	fan-out-shard-consumer.go:86: a blocked record processor loses the lease; errors of the stream are not read
//	    kcl/library_test.go: TestEnhancedFanOutIsNotUsed
//	metrics/prometheus, worker.go:186: default registry and mux, own listener, log.Fatalf
//	    here: TestTheLibrarysMetricsAreNotUsed
//	    kcl/library_test.go: TestTheLibrarysLoggerNeverEndsTheProcess
//	renewLease logs to the global logrus
//	    here: TestNothingIsWrittenPastTheLogger
//	MillisBehindLatest is dereferenced unchecked
//	    fetch_test.go: TestAnAnswerWithoutMillisBehindLatestIsTaken
//	a closed shard that never gets Checkpoint(nil) starves the others
//	    reshard_test.go: TestFinishedShardsAreClosedAndReadNoMore
//	a checkpoint older than the retention is asked for without an end
//	    fetch_test.go: TestACheckpointOlderThanTheRetentionGoesOnAtTheOldestRecordAndSaysWhatIsLost
//	no drain in Shutdown, no deadline
//	    stop_test.go: TestStopFinishesWhatIsInFlight,
//	        TestStopWithAStuckPipelineEndsInTimeAndCheckpointsNothingUnfinished

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

// The calls that a worker makes in all its life, resharding and recovery included: its role needs
// these permissions (and those for making the table), and no others.
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
			"dynamodb:CreateTable", "dynamodb:DeleteItem", "dynamodb:DescribeTable", "dynamodb:Scan", "dynamodb:UpdateItem",
			"kinesis:DescribeStreamSummary", "kinesis:GetRecords", "kinesis:GetShardIterator", "kinesis:ListShards",
		}
		if !slices.Equal(calls, want) {
			t.Errorf("the worker has called %s", strings.Join(calls, ", "))
		}
	})
}
