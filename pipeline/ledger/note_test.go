package ledger

import (
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"rootwatch/classify"
	"rootwatch/pipeline/awstest"
)

// direct is a ledger on a table without a network between, so that made-up time passes.
func direct(t *testing.T, service *awstest.Service) *Ledger {
	t.Helper()
	l := taskAt(t, service.Direct("a"), time.Now())
	l.cfg.Now = time.Now
	return l
}

func TestABurstIsNotedOnceAHalfSecond(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		service := awstest.New(awstest.Options{})
		l := direct(t, service)
		before := writes(service)
		start := time.Now()
		var group sync.WaitGroup
		for i := range 2000 { // in two seconds, in two series
			f := call(fmt.Sprint("call ", i), classify.Unexplained, []classify.Severity{classify.High, classify.Critical}[i%2])
			f.Counted = time.Now().Truncate(time.Millisecond)
			group.Go(func() {
				if outcome, err := try(t, l, f); err != nil || outcome == 0 {
					t.Errorf("%s: %v", f.ID, err)
				}
			})
			time.Sleep(time.Millisecond)
		}
		group.Wait()
		puts, notes := writes(service)["PutItem"]-before["PutItem"], writes(service)["UpdateItem"]-before["UpdateItem"]
		if puts != 2000 || notes < 8 || notes > 12 {
			t.Errorf("%d puts and %d notes, want 2000 and about 10", puts, notes)
		}
		newest, err := l.Newest(t.Context())
		if err != nil || len(newest) != 2 {
			t.Fatalf("%v, %v", newest, err)
		}
		for _, n := range newest {
			if age := start.Add(2 * time.Second).Sub(n.Counted); age > 5*time.Millisecond {
				t.Errorf("the newest %s call is %v too old", n.Severity, age)
			}
		}
		if len(l.writings) != 0 || len(l.notes) != 0 {
			t.Errorf("%d calls and %d notes are kept", len(l.writings), len(l.notes))
		}
	})
}

func TestTheFirstCallOfASeriesIsNotedAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := direct(t, awstest.New(awstest.Options{}))
		for i := range 5 {
			f := unexplained(fmt.Sprint("call ", i))
			f.AccountID, f.Counted = fmt.Sprintf("11112222333%d", i), time.Now()
			start := time.Now()
			if record(t, l, f); time.Since(start) > 0 {
				t.Errorf("account %d waited %v", i, time.Since(start))
			}
		}
	})
}

// writes counts the calls of each operation.
func writes(service *awstest.Service) map[string]int {
	counts := make(map[string]int)
	for c, n := range service.Calls() {
		counts[strings.TrimPrefix(c.Action, "dynamodb:")] += n
	}
	return counts
}
