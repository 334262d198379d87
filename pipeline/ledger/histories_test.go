package ledger_test

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/prometheus/client_golang/prometheus"
	"pgregory.net/rapid"

	"rootwatch/classify"
	"rootwatch/pipeline"
	"rootwatch/pipeline/awstest"
	"rootwatch/pipeline/ledger"
)

// Any interleaving of crashes, retries, copies, corrections, faults of the table and jumps of the
// clock leaves each root call counted once and paged at least once as the worst that was delivered
// of it.
//
// A history is drawn by rapid, which shrinks what fails: calls (an account each, so that a series
// tells the call), what is delivered of them in which batches, and the lives of the tasks that take
// the batches one after the other. A life may end in a crash; what was not done is delivered again
// in the next one. The last life ends by itself.
func TestEveryHistoryCountsOnceAndPagesTheWorst(t *testing.T) {
	histories := 0
	rapid.Check(t, func(rt *rapid.T) {
		h := drawHistory(rt)
		var wrong []string
		synctest.Test(t, func(t *testing.T) { wrong = h.run(t) })
		histories++
		if len(wrong) > 0 {
			rt.Fatalf("%s\nin %+v", strings.Join(wrong, "\n"), h)
		}
	})
	t.Logf("%d histories", histories)
}

// states are what a call may be delivered as, mildest first; they differ in what decides on the
// grade alone.
var states = []string{
	`"userIdentity":{"type":"Root","accountId":"%[1]s","invokedBy":"autoscaling.amazonaws.com"},"sourceIPAddress":"autoscaling.amazonaws.com"`,
	`"userIdentity":{"type":"Root","accountId":"%[1]s","arn":""},"sourceIPAddress":"203.0.113.7"`,
	`"userIdentity":{"type":"Root","accountId":"%[1]s","accessKeyId":"ASIAX"},"sourceIPAddress":"203.0.113.7"`,
	`"userIdentity":{"type":"Root","accountId":"%[1]s","accessKeyId":"AKIAX"},"sourceIPAddress":"203.0.113.7"`,
}

var gradeOf = []classify.Severity{classify.None, classify.Low, classify.High, classify.Critical}

// delivery is one record: a state of a call, as the call's own record or as a correction of it.
type delivery struct {
	call, state int
	update      bool
}

func (d delivery) record() []byte {
	account := fmt.Sprintf("1111222233%02d", d.call)
	id := fmt.Sprintf(`"eventID":"call-%d"`, d.call)
	if d.update {
		id = fmt.Sprintf(`"eventID":"update-%d-%d","addendum":{"reason":"UPDATED_DATA","originalEventID":"call-%d"}`, d.call, d.state, d.call)
	}
	return fmt.Appendf(nil, `{"eventSource":"ec2.amazonaws.com","eventName":"RunInstances","eventTime":"2026-11-02T08:00:00Z",`+states[d.state]+`,%[2]s}`, account, id)
}

// life is one task from its start to its end.
type life struct {
	crashAfter time.Duration // 0: it ends when all is done
	clock      time.Duration // how far its clock is wrong from half of its time on
	faults     []awstest.Fault
}

type history struct {
	calls   int
	batches [][]delivery
	lives   []life
}

func drawHistory(t *rapid.T) history {
	h := history{calls: rapid.IntRange(1, 4).Draw(t, "calls")}
	for range rapid.IntRange(1, 8).Draw(t, "batches") {
		var batch []delivery
		for range rapid.IntRange(1, 5).Draw(t, "deliveries") {
			batch = append(batch, delivery{
				call:   rapid.IntRange(0, h.calls-1).Draw(t, "call"),
				state:  rapid.IntRange(0, len(states)-1).Draw(t, "state"),
				update: rapid.Bool().Draw(t, "update"),
			})
		}
		h.batches = append(h.batches, batch)
	}
	effects := []awstest.Effect{awstest.Fail, awstest.FailAfter, awstest.Drop, awstest.Throttle}
	for range rapid.IntRange(0, 3).Draw(t, "crashes") {
		l := life{
			crashAfter: time.Duration(rapid.IntRange(1, 40_000).Draw(t, "crash after ms")) * time.Millisecond,
			clock:      time.Duration(rapid.SampledFrom([]int{0, 0, 0, -3600, 3600}).Draw(t, "clock s")) * time.Second,
		}
		for range rapid.IntRange(0, 2).Draw(t, "faults") {
			l.faults = append(l.faults, awstest.Fault{
				Service: "dynamodb", Operation: rapid.SampledFrom([]string{"PutItem", "UpdateItem", "GetItem", ""}).Draw(t, "operation"),
				Effect: rapid.SampledFrom(effects).Draw(t, "effect"), Count: rapid.IntRange(0, 6).Draw(t, "times"),
				Probability: rapid.SampledFrom([]float64{0, 0.3, 0.7}).Draw(t, "probability"),
			})
		}
		h.lives = append(h.lives, l)
	}
	return history{h.calls, h.batches, append(h.lives, life{})}
}

// run plays a history, and says what is wrong with its end.
func (h history) run(t *testing.T) (wrong []string) {
	service := awstest.New(awstest.Options{Seed: 1})
	worst := make([]int, h.calls)
	delivered := make([]bool, h.calls)
	for _, batch := range h.batches {
		for _, d := range batch {
			worst[d.call], delivered[d.call] = max(worst[d.call], d.state), true
		}
	}
	counted, paged := make([]int, h.calls), make([]map[classify.Severity]bool, h.calls)
	for i := range paged {
		paged[i] = make(map[classify.Severity]bool)
	}
	left := h.batches
	for i, l := range h.lives {
		left = h.live(t, service, fmt.Sprint("task ", i), l, left, counted, paged)
	}
	if len(left) > 0 {
		wrong = append(wrong, fmt.Sprintf("%d batches are not done at the end", len(left)))
	}
	for call := range h.calls {
		grade := gradeOf[worst[call]]
		switch n := counted[call]; {
		case !delivered[call]:
			continue
		case n > 1, n < 1 && len(h.lives) == 1:
			wrong = append(wrong, fmt.Sprintf("call %d is counted %d times", call, n))
		}
		if grade != classify.None && !paged[call][grade] {
			wrong = append(wrong, fmt.Sprintf("call %d never paged as %s: %v", call, grade, paged[call]))
		}
	}
	return wrong
}

// live is one task's life; it gives what is not done at its end.
func (h history) live(t *testing.T, service *awstest.Service, name string, l life, toDo [][]delivery, counted []int, paged []map[classify.Severity]bool) (left [][]delivery) {
	start := time.Now()
	now := func() time.Time {
		if l.clock != 0 && time.Since(start) > l.crashAfter/2 {
			return time.Now().Add(l.clock)
		}
		return time.Now()
	}
	quiet, registry := slog.New(slog.DiscardHandler), prometheus.NewRegistry()
	book, err := ledger.New(ledger.Config{
		DynamoDB: dynamodb.NewFromConfig(service.Direct(name)), Table: "findings", Remember: 100, Registerer: registry, Logger: quiet, Now: now,
	})
	if err == nil {
		err = book.Prepare(t.Context())
	}
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range l.faults {
		defer service.Inject(f).Remove()
	}
	line, err := pipeline.New(pipeline.Config{
		Sinks: []pipeline.Sink{pipeline.NewLogSink(quiet)}, Ledger: book, Registerer: registry, Logger: quiet, Now: now, DecodeWorkers: 2,
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx, crash := context.WithCancel(t.Context())
	defer crash()
	var mu sync.Mutex // guards done
	done := make([]bool, len(toDo))
	if err := line.Run(ctx, source{toDo: toDo, l: l, done: func(i int) { mu.Lock(); defer mu.Unlock(); done[i] = true }}); err != nil {
		t.Fatal(err)
	}
	for i, batch := range toDo {
		if !done[i] {
			left = append(left, batch)
		}
	}
	observe(t, registry, counted, paged)
	if l.crashAfter == 0 { // whoever starts next shows what the ledger has
		newest, err := book.Newest(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		for _, n := range newest {
			pagedFor(paged, n.AccountID, n.Severity)
		}
	}
	return left
}

// source hands batches over, and ends when all are done or the task crashes.
type source struct {
	toDo [][]delivery
	l    life
	done func(i int)
}

func (s source) Run(ctx context.Context, submit func(context.Context, *pipeline.Batch) error) error {
	if s.l.crashAfter > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, s.l.crashAfter)
		defer cancel()
	}
	done := make(chan int, len(s.toDo))
	for i, batch := range s.toDo {
		b := &pipeline.Batch{ShardID: fmt.Sprint("shard ", i%2), Done: func(pipeline.Outcome) { s.done(i); done <- i }}
		for _, d := range batch {
			b.Records = append(b.Records, pipeline.Record{Data: d.record()})
		}
		if submit(ctx, b) != nil {
			return nil
		}
	}
	for range s.toDo {
		select {
		case <-done:
		case <-ctx.Done():
			return nil
		}
	}
	return nil
}

// observe adds what a task has counted and shown.
func observe(t *testing.T, registry *prometheus.Registry, counted []int, paged []map[classify.Severity]bool) {
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, family := range families {
		for _, m := range family.GetMetric() {
			labels := make(map[string]string)
			for _, l := range m.GetLabel() {
				labels[l.GetName()] = l.GetValue()
			}
			switch family.GetName() {
			case "rootwatch_root_calls_by_account_total":
				if i := callOf(labels["account_id"]); i >= 0 {
					counted[i] += int(m.GetCounter().GetValue())
				}
			case "rootwatch_last_unpushed_root_call_timestamp_seconds":
				pagedFor(paged, labels["account_id"], classify.Severity(labels["severity"]))
			}
		}
	}
}

func callOf(account string) (i int) {
	if _, err := fmt.Sscanf(account, "1111222233%02d", &i); err != nil {
		return -1
	}
	return i
}

func pagedFor(paged []map[classify.Severity]bool, account string, severity classify.Severity) {
	if i := callOf(account); i >= 0 && i < len(paged) && slices.Contains(classify.Severities(), severity) {
		paged[i][severity] = true
	}
}
