package ledger

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"rootwatch/classify"
	"rootwatch/pipeline"
	"rootwatch/pipeline/awstest"
	"rootwatch/pipeline/dynamo"
)

const testAccount = "111122223333" // in part 3, as 999900000003 is

func at(id string, when time.Time) *pipeline.Finding {
	f := unexplained(id)
	f.Counted = when
	return f
}

func newestOf(t *testing.T, l *Ledger) []Newest {
	t.Helper()
	all, err := l.Newest(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return all
}

func wantNewest(t *testing.T, l *Ledger, want ...Newest) {
	t.Helper()
	if diff := cmp.Diff(want, newestOf(t, l)); diff != "" {
		t.Errorf("newest (-want +got):\n%s", diff)
	}
}

func TestAnAccountsSecondCallTakesThePlaceOfItsFirst(t *testing.T) {
	server := newServer(t)
	a, b := task(t, server, "a"), task(t, server, "b")
	record(t, a, at("one", counted.Add(-3*time.Minute)))
	record(t, a, at("two", counted.Add(-2*time.Minute)))
	wantNewest(t, b, Newest{testAccount, classify.High, counted.Add(-2 * time.Minute)})
	record(t, b, at("three", counted.Add(-time.Minute)))
	record(t, a, at("four", counted.Add(-90*time.Second))) // told late
	wantNewest(t, a, Newest{testAccount, classify.High, counted.Add(-time.Minute)})
}

// fill puts an item there with so many accounts and a pad that leaves so many bytes free.
func fill(t *testing.T, l *Ledger, id string, accounts int, counted time.Time, free int) {
	t.Helper()
	item := dynamo.Item{attrID: dynamo.String(id)}
	for i := range accounts {
		item[fmt.Sprintf("%012d", i)] = dynamo.Number(counted.UnixMilli())
	}
	const itemSize, accountSize = 400 << 10, 12 + 8 // a number of 13 digits counts for 8 bytes
	pad := itemSize - len(attrID) - len(id) - len("pad") - accounts*accountSize - free
	item["pad"] = dynamo.String(strings.Repeat("x", pad))
	if _, err := l.cfg.DynamoDB.PutItem(t.Context(), &dynamodb.PutItemInput{TableName: &l.cfg.Table, Item: item}); err != nil {
		t.Fatal(err)
	}
}

func TestAFullItemMakesRoomForACall(t *testing.T) {
	server := newServer(t)
	l := task(t, server, "a")
	fill(t, l, newestID(classify.High, part(testAccount)), 150, counted.Add(-49*time.Hour), 0)
	record(t, l, unexplained("one"))
	wantNewest(t, task(t, server, "b"), Newest{testAccount, classify.High, counted})
}

func TestAnAccountWithACallInTheLookBackStays(t *testing.T) {
	server := newServer(t)
	l := task(t, server, "a")
	id := newestID(classify.High, part(testAccount))
	fill(t, l, id, 150, counted.Add(-49*time.Hour), 0)
	seen, err := l.get(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	// between reading and taking out, one of them is heard of again
	if err := l.update(t.Context(), id, series{"000000000007", classify.High}, counted.UnixMilli(), counted.UnixMilli(), counted.Add(time.Hour).UnixMilli()); err != nil {
		t.Fatal(err)
	}
	removed, err := l.prune(t.Context(), id, seen)
	if err != nil || removed == 0 || removed >= 150 {
		t.Errorf("%d were taken out (%v), want some", removed, err)
	}
	after, err := l.get(t.Context(), id)
	if got, _ := dynamo.Int(after, "000000000007"); err != nil || got != counted.UnixMilli() {
		t.Errorf("the account's newest call is %d (%v)", got, err)
	}
}

func TestAnItemIsTidiedBeforeItIsFull(t *testing.T) {
	server := newServer(t)
	l := task(t, server, "a")
	id := newestID(classify.High, 0)
	fill(t, l, id, pruneAbove+500, counted.Add(-49*time.Hour), 1000)
	if shown := newestOf(t, l); len(shown) > 0 {
		t.Errorf("%d accounts are shown whose calls matter no more", len(shown))
	}
	item, err := l.get(t.Context(), id)
	if left := len(l.outdated(item)); err != nil || left != 500 {
		t.Errorf("%d accounts are left (%v), want 500", left, err)
	}
}

// A copy of a call whose account was taken out was shown in its time: read again, it must not page
// as a new one.
func TestACopyOfACallThatWasTakenOutIsNotShownAgain(t *testing.T) {
	server := newServer(t)
	first := task(t, server, "a")
	record(t, first, unexplained("one"))
	id := newestID(classify.High, part(testAccount))
	later := counted.Add(50 * time.Hour)
	cfg := server.AWSConfig("b")
	pruner := taskAt(t, cfg, later)
	item, err := pruner.get(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	if removed, err := pruner.prune(t.Context(), id, item); err != nil || removed != 1 {
		t.Fatalf("%d were taken out (%v), want one", removed, err)
	}
	if record(t, taskAt(t, cfg, later), unexplained("one")) {
		t.Error("the copy is a first")
	}
	wantNewest(t, taskAt(t, cfg, later))
	another := unexplained("two")
	another.Counted = later
	record(t, taskAt(t, cfg, later), another)
	if shown := newestOf(t, taskAt(t, cfg, later)); len(shown) != 1 {
		t.Errorf("%v are shown, want the new call", shown)
	}
}

// refusing stands before a server and answers one operation, from refuse on, as a role would that
// may not call it.
func refusing(t *testing.T, server *awstest.Server, operation string) (endpoint string, refuse func()) {
	var refused atomic.Bool
	front := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if refused.Load() && strings.HasSuffix(r.Header.Get("X-Amz-Target"), "."+operation) {
			w.WriteHeader(http.StatusBadRequest)
			io.WriteString(w, `{"__type":"com.amazon.coral.service#AccessDeniedException","Message":"User is not authorized"}`)
			return
		}
		server.ServeHTTP(w, r)
	}))
	t.Cleanup(front.Close)
	return front.URL, func() { refused.Store(true) }
}

func TestWhatTheTableDoesNotTakeStopsNobody(t *testing.T) {
	for name, refuse := range map[string]func(*testing.T, *awstest.Server) *Ledger{
		"an item that is full of what still matters": func(t *testing.T, server *awstest.Server) *Ledger {
			l := task(t, server, "a")
			fill(t, l, newestID(classify.High, part(testAccount)), 0, counted, 5)
			return l
		},
		"a role that may no longer": func(t *testing.T, server *awstest.Server) *Ledger {
			endpoint, refuse := refusing(t, server, "UpdateItem")
			l := taskAt(t, awstest.Config(endpoint, "us-east-1", "a"), counted)
			refuse()
			return l
		},
	} {
		t.Run(name, func(t *testing.T) {
			server := newServer(t)
			l := refuse(t, server)
			if !record(t, l, unexplained("one")) {
				t.Error("the call is not the first")
			}
			if n := testutil.ToFloat64(l.failures); n != 1 {
				t.Errorf("%v failures are counted, want 1", n)
			}
			wantNewest(t, l, Newest{testAccount, classify.High, counted}) // this task shows it
			wantNewest(t, task(t, server, "b"))
			if record(t, task(t, server, "b"), unexplained("one")) {
				t.Error("the call itself is not in the table")
			}
		})
	}
}

func TestAnAccountThatIsNoneIsUnknown(t *testing.T) {
	server := newServer(t)
	l := task(t, server, "a")
	for i, account := range []string{"", "12", strings.Repeat("9", 70_000), "11112222333x"} {
		f := unexplained(fmt.Sprint(i))
		f.AccountID = account
		record(t, l, f)
	}
	wantNewest(t, l, Newest{"unknown", classify.High, counted})
}

func TestAWrongClockSilencesNobody(t *testing.T) {
	server := newServer(t)
	ahead := counted.AddDate(5, 0, 0)
	record(t, taskAt(t, server.AWSConfig("a"), ahead), at("one", ahead))
	right := task(t, server, "b")
	var log strings.Builder
	right.cfg.Logger = slog.New(slog.NewTextHandler(&log, nil))
	wantNewest(t, right)
	record(t, right, unexplained("two"))
	wantNewest(t, right, Newest{testAccount, classify.High, counted})
	if n := strings.Count(log.String(), "level=ERROR"); n != 1 || !strings.Contains(log.String(), testAccount) {
		t.Errorf("the log does not tell of it once:\n%s", log.String())
	}

	t.Run("nor does one that is a little ahead flap", func(t *testing.T) {
		record(t, taskAt(t, server.AWSConfig("c"), counted.Add(4*time.Minute)), at("three", counted.Add(4*time.Minute)))
		record(t, right, at("four", counted.Add(time.Minute)))
		wantNewest(t, right, Newest{testAccount, classify.High, counted.Add(4 * time.Minute)})
	})
	t.Run("its call is shown when it is read again", func(t *testing.T) {
		server := newServer(t)
		record(t, taskAt(t, server.AWSConfig("a"), ahead), at("one", ahead))
		b := task(t, server, "b")
		if record(t, b, unexplained("one")) {
			t.Error("the copy is taken for another call")
		}
		wantNewest(t, b, Newest{testAccount, classify.High, counted})
	})
}

// The process died between the two writes, and nobody read the record again for a while.
func TestACopyThatWasNeverShownIsShownWhereItPages(t *testing.T) {
	for name, c := range map[string]struct {
		died  bool // before the newest call was written
		after time.Duration
		want  time.Duration // the newest call, after the first reading
	}{
		"soon":                         {true, 9 * time.Minute, 0},
		"after the window of the rule": {true, 11 * time.Minute, 11 * time.Minute},
		"after more than a day":        {true, 30 * time.Hour, 30 * time.Hour},
		"it was shown":                 {false, 30 * time.Hour, 0},
	} {
		t.Run(name, func(t *testing.T) {
			server := newServer(t)
			a := task(t, server, "a")
			if _, err := a.put(t.Context(), unexplained("one"), "one", &writing{token: "token"}, ""); err != nil {
				t.Fatal(err)
			}
			if !c.died {
				if err := a.raise(t.Context(), series{testAccount, classify.High}, counted.UnixMilli(), counted.UnixMilli()); err != nil {
					t.Fatal(err)
				}
			}
			for i, later := range []time.Duration{c.after, c.after + time.Hour} { // and a second time, which must page nobody
				now := counted.Add(later)
				b := taskAt(t, server.AWSConfig(fmt.Sprint("reader", i)), now)
				if record(t, b, at("one", now)) {
					t.Error("the copy is taken for another call")
				}
				wantNewest(t, b, Newest{testAccount, classify.High, counted.Add(c.want)})
			}
		})
	}
}

func TestRefreshShowsWhatOtherTasksCounted(t *testing.T) {
	server := newServer(t)
	a, b := task(t, server, "a"), task(t, server, "b")
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	shown := make(chan Newest)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		a.Refresh(ctx, time.Millisecond, func(n Newest) {
			select {
			case shown <- n:
			case <-ctx.Done():
			}
		})
	}()
	for i := range 2 { // again and again, not once
		when := counted.Add(time.Duration(i) * time.Second)
		record(t, b, at(fmt.Sprint(i), when))
		for {
			n, open := Newest{}, true
			select {
			case n = <-shown:
			case <-ctx.Done():
				open = false
			}
			if !open {
				t.Fatalf("call %d is never shown", i)
			}
			if n.Counted.Equal(when) {
				break
			}
		}
	}
	cancel()
	<-ended
}

func TestTheNewestCallsAreReadAsTheyAreNow(t *testing.T) {
	server := newServer(t)
	l := task(t, server, "a")
	record(t, l, unexplained("one"))
	server.Inject(awstest.Fault{Service: "dynamodb", Operation: "GetItem", Effect: awstest.Stale})
	wantNewest(t, l, Newest{testAccount, classify.High, counted})
}

func TestAReadWithoutAnAnswerEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		service := awstest.New(awstest.Options{})
		l, err := New(Config{
			DynamoDB: dynamodb.NewFromConfig(service.Direct("a")), Table: testTable, Remember: 1,
			Registerer: prometheus.NewRegistry(), Logger: slog.New(slog.DiscardHandler),
		})
		if err != nil {
			t.Fatal(err)
		}
		if err := l.Prepare(t.Context()); err != nil {
			t.Fatal(err)
		}
		service.Inject(awstest.Fault{Service: "dynamodb", Operation: "GetItem", Effect: awstest.Hang})
		began := time.Now()
		if _, err := l.Newest(t.Context()); err == nil {
			t.Error("no error though nothing answers")
		}
		if took := time.Since(began); took > callTimeout {
			t.Errorf("the read took %s", took)
		}
		if n := testutil.ToFloat64(l.failures); n != 1 {
			t.Errorf("%v failures are counted, want 1", n)
		}
	})
}

func TestARoleThatMayNotSetTheTimeToLiveIsEnough(t *testing.T) {
	server := newServer(t)
	endpoint, refuse := refusing(t, server, "UpdateTimeToLive")
	refuse()
	l := taskAt(t, awstest.Config(endpoint, "us-east-1", "a"), counted)
	if !record(t, l, unexplained("one")) {
		t.Error("the call is not the first")
	}
}
