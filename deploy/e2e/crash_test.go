//go:build e2e

package e2e

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"rootwatch/pipeline/awstest"
)

// pagingSeries is the line of /metrics that pages for an account, up to its value.
func pagingSeries(account string) string {
	return fmt.Sprintf(`rootwatch_last_unpushed_root_call_timestamp_seconds{account_id=%q,severity="critical"} `, account)
}

// neverScraped fails if Prometheus has, or ever had, a sample of an account.
func (w *world) neverScraped(t *testing.T, account string) {
	t.Helper()
	if found := w.prometheus.query(t, fmt.Sprintf(`last_over_time({account_id=%q}[1h])`, account), time.Now()); len(found) > 0 {
		t.Fatalf("account %s was scraped: %v", account, found)
	}
}

// written reports whether a ledger has a call.
func (w *world) written(t *testing.T, application, id string) bool {
	t.Helper()
	out, err := w.dynamo.GetItem(t.Context(), &dynamodb.GetItemInput{
		TableName: aws.String(application + "-findings"), Key: map[string]types.AttributeValue{"id": &types.AttributeValueMemberS{Value: id}}, ConsistentRead: aws.Bool(true),
	})
	if err != nil {
		t.Fatal(err)
	}
	return len(out.Item) > 0
}

// checkpointed reports whether the lease table has a record as the last one that is done with.
func (w *world) checkpointed(t *testing.T, application string, s sent) bool {
	t.Helper()
	out, err := w.dynamo.GetItem(t.Context(), &dynamodb.GetItemInput{
		TableName: &application, Key: map[string]types.AttributeValue{"ShardID": &types.AttributeValueMemberS{Value: s.shard}}, ConsistentRead: aws.Bool(true),
	})
	if err != nil {
		t.Fatal(err)
	}
	checkpoint, ok := out.Item["Checkpoint"].(*types.AttributeValueMemberS)
	return ok && checkpoint.Value == s.sequence
}

// The only task counts a call and is killed before Prometheus has seen it. The next one shows what
// the ledger has, so that the alert comes; the moment in it is that of the first counting.
func killedAfterCounting(t *testing.T, w *world) func(*testing.T) {
	for name, checkpointed := range map[string]bool{"at once": false, "when its checkpoint has passed the call": true} {
		t.Run(name, func(t *testing.T) {
			account := w.account()
			c := w.call(t, "root key", account)
			first := w.worker(t, loneStream)
			s := w.put(t, loneStream, c.data)
			eventually(t, 20*time.Second, "the call is counted", func() bool {
				return first.tells(t, c.id) && first.shows(pagingSeries(account)) && (!checkpointed || w.checkpointed(t, loneStream, s))
			})
			first.kill()
			w.neverScraped(t, account)

			again := time.Now()
			second := w.worker(t, loneStream)
			w.scrape(t, second)
			page, _ := w.page(t, account)
			t.Logf("paged %.1fs after the start of the next task", page.at.Sub(again).Seconds())
			if counted := w.counted(t, account); !counted.Before(again) {
				t.Errorf("the page's moment is %s: the call was counted before %s", counted, again)
			}
			w.unscrape(t, second)
			second.stop(t)
		})
	}
	return nil
}

// The log line is out, the ledger does not answer, and the task is killed: the call is neither
// written down nor counted, and no checkpoint has passed it. The next task reads it again.
func killedBeforeWriting(t *testing.T, w *world) func(*testing.T) {
	account := w.account()
	c := w.call(t, "root key", account)
	first := w.worker(t, loneStream)
	eventually(t, 20*time.Second, "the task has the shard", func() bool { return len(first.leases()) == 1 })
	hanging := w.server.Inject(awstest.Fault{Service: "dynamodb", Operation: "PutItem", Resource: loneStream + "-findings", Effect: awstest.Hang})
	defer hanging.Remove()
	w.put(t, loneStream, c.data)
	eventually(t, 20*time.Second, "the call is told", func() bool { return first.tells(t, c.id) && hanging.Hits() > 0 })
	if first.shows(pagingSeries(account)) {
		t.Error("the call is counted before it is written down")
	}
	first.kill()
	hanging.Remove()
	if w.written(t, loneStream, c.id) {
		t.Error("the ledger has the call although its table does not answer")
	}
	w.neverScraped(t, account)

	second := w.worker(t, loneStream)
	w.scrape(t, second)
	w.page(t, account)
	if !second.tells(t, c.id) || !w.written(t, loneStream, c.id) {
		t.Error("the next task has not told the call, or not written it down")
	}
	w.unscrape(t, second)
	second.stop(t)
	return nil
}

// One of two tasks counts a call and is killed before Prometheus has seen it, and nobody starts it
// again. The other one looks into the ledger each minute.
func survivorPages(t *testing.T, w *world) func(*testing.T) {
	account := w.account()
	c := w.call(t, "root key", account)
	survivor := w.worker(t, survivorStream)
	w.scrape(t, survivor)
	victim := w.worker(t, survivorStream)
	eventually(t, 30*time.Second, "both have a shard", func() bool { return len(survivor.leases()) == 1 && len(victim.leases()) == 1 })
	hashKey := map[string]string{"shardId-000000000000": firstShard, "shardId-000000000001": lastShard}[victim.leases()[0]]
	s := w.putAt(t, survivorStream, c.data, hashKey)
	eventually(t, 20*time.Second, "the call is counted, and its record done with", func() bool {
		return victim.tells(t, c.id) && victim.shows(pagingSeries(account)) && w.checkpointed(t, survivorStream, s)
	})
	w.await(account)
	victim.kill()
	killed := time.Now()
	w.neverScraped(t, account)
	return func(t *testing.T) {
		t.Logf("paged %.1fs after kill -9", w.refreshed(t, account).at.Sub(killed).Seconds())
	}
}

// refreshed waits for the page of an account that a living worker finds in the ledger, where it
// looks each minute.
func (w *world) refreshed(t *testing.T, account string) notification {
	t.Helper()
	n, _ := w.expect(t, time.Minute+soon(), "pager", "RootCallUnexplained", map[string]string{"severity": "critical", "account_id": account})
	return n
}

// roll replaces the oldest live worker of a stream as a deploy does: the new one is up and scraped
// before the old one is told to end.
func (w *world) roll(t *testing.T, stream string) {
	t.Helper()
	next := w.worker(t, stream)
	w.scrape(t, next)
	next.ready(t)
	old := w.live[0]
	old.stop(t)
	w.unscrape(t, old)
	w.live = append(slices.Clone(w.live[1:]), next)
}

// Every task that starts shows the newest call of each account: those that were paged for minutes
// ago, and one of half an hour ago, whose alert has ended and must not come again.
func rollingRestart(t *testing.T, w *world) func(*testing.T) {
	w.tellsNobody(t, []string{"critical", "warning", "info"}, func() {
		for range 3 {
			w.roll(t, mainStream)
		}
		w.share(t)
		for _, p := range w.live {
			shown := fmt.Sprintf(`rootwatch_last_unpushed_root_call_timestamp_seconds{account_id=%q,instance=%q}`, pastAccount, p.address)
			eventually(t, soon(), "the new task shows the call of half an hour ago", func() bool { return w.prometheus.value(t, shown) == float64(w.past.UnixNano())/1e9 })
		}
	})
	return nil
}

// A task that is told to end between counting and the next scrape takes the count with it; the
// others have it from the ledger.
func callInRollingRestart(t *testing.T, w *world) func(*testing.T) {
	accounts := []string{w.account(), w.account()}
	for i, hashKey := range []string{firstShard, lastShard} {
		w.await(accounts[i])
		w.putAt(t, mainStream, w.call(t, "root key", accounts[i]).data, hashKey)
	}
	w.roll(t, mainStream)
	return func(t *testing.T) {
		for _, account := range accounts {
			w.refreshed(t, account)
		}
	}
}
