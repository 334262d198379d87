package ledger

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"rootwatch/pipeline"
	"rootwatch/pipeline/awstest"
)

// Above the cap on accounts a restart must not deal the label values out anew: an account that came
// by a series of its own would page for a call of long ago.
func TestARestartKeepsWhichAccountsHaveLabelValues(t *testing.T) {
	server := newServer(t)
	account := func(i int) string { return fmt.Sprintf("11112222333%d", i) }
	series := func(l *Ledger, calls ...int) (accounts []string) {
		registry := prometheus.NewRegistry()
		quiet := slog.New(slog.DiscardHandler)
		line, err := pipeline.New(pipeline.Config{
			Sinks: []pipeline.Sink{pipeline.NewLogSink(quiet)}, Ledger: l, Labelled: l.Label, MaxAccounts: 2, Registerer: registry, Logger: quiet,
			Now: func() time.Time { return counted },
		})
		if err != nil {
			t.Fatal(err)
		}
		if err := l.Restore(t.Context(), line.Label, func(n Newest) { line.Raise(n.AccountID, n.Severity, n.Counted) }); err != nil {
			t.Fatal(err)
		}
		if err := line.Run(t.Context(), rootCalls{accounts: calls, account: account}); err != nil {
			t.Fatal(err)
		}
		if err := l.saveLabels(t.Context()); err != nil {
			t.Fatal(err)
		}
		families, err := registry.Gather()
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range families {
			if f.GetName() != "rootwatch_last_unpushed_root_call_timestamp_seconds" {
				continue
			}
			for _, m := range f.GetMetric() {
				accounts = append(accounts, m.GetLabel()[0].GetValue())
			}
		}
		slices.Sort(accounts)
		return accounts
	}
	want := []string{account(5), account(9), "other"}
	if got := series(task(t, server, "a"), 9, 5, 1); !slices.Equal(got, want) {
		t.Fatalf("the first task has series for %v, want %v", got, want)
	}
	if got := series(task(t, server, "b"), 2); !slices.Equal(got, want) {
		t.Errorf("after a restart there are series for %v, want %v", got, want)
	}
}

// What cannot be written down is written down later.
func TestLabelValuesAreWrittenDownInTheEnd(t *testing.T) {
	server := newServer(t)
	l := task(t, server, "a")
	l.Label("111122223333")
	fault := server.Inject(awstest.Fault{Service: "dynamodb", Operation: "UpdateItem", Effect: awstest.Fail})
	if l.saveLabels(t.Context()) == nil {
		t.Fatal("no error though the table does not take it")
	}
	fault.Remove()
	l.Label("444455556666")
	if err := l.saveLabels(t.Context()); err != nil {
		t.Fatal(err)
	}
	got, err := task(t, server, "b").labels(t.Context())
	if err != nil || !slices.Equal(got, []string{"111122223333", "444455556666"}) {
		t.Errorf("%v, %v", got, err)
	}
}

// rootCalls is a source of one root call for each account.
type rootCalls struct {
	accounts []int
	account  func(int) string
}

func (s rootCalls) Run(ctx context.Context, submit func(context.Context, *pipeline.Batch) error) error {
	for _, i := range s.accounts {
		done := make(chan struct{})
		record := fmt.Appendf(nil, `{"eventSource":"iam.amazonaws.com","eventName":"ListUsers","eventID":"of %[1]s","userIdentity":{"type":"Root","accountId":"%[1]s","accessKeyId":"AKIAX"}}`, s.account(i))
		if err := submit(ctx, &pipeline.Batch{Records: []pipeline.Record{{Data: record}}, Done: func(pipeline.Outcome) { close(done) }}); err != nil {
			return err
		}
		<-done
	}
	return nil
}
