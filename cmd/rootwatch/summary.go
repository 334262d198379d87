package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"rootwatch/classify"
	"rootwatch/pipeline"
)

// findingPrinter prints findings for a person who watches the demo.
type findingPrinter struct{ w io.Writer }

func newFindingPrinter(w io.Writer) *findingPrinter { return &findingPrinter{w} }

// Take implements pipeline.Sink.
func (p *findingPrinter) Take(_ context.Context, f *pipeline.Finding) error {
	mark := "service  "
	if f.Verdict == classify.Unexplained {
		mark = "ROOT CALL"
	}
	_, err := fmt.Fprintf(p.w, "%s  %s  %-8s  %-15s  account %s  %s\n", time.Now().Format(time.TimeOnly), mark, f.Severity, f.Reason, f.AccountID, f.Explanation)
	return err
}

// tally counts events by result, and root calls by verdict and reason.
type tally struct{ counts map[[3]string]int }

func newTally() *tally { return &tally{make(map[[3]string]int)} }

func (t *tally) add(result, verdict, reason string, n int) {
	t.counts[[3]string{result, verdict, reason}] += n
}

func (t *tally) events() (n int) {
	for _, c := range t.counts {
		n += c
	}
	return n
}

// countedBy reads the worker's counters.
func countedBy(registry *prometheus.Registry) (*tally, error) {
	families, err := registry.Gather()
	if err != nil {
		return nil, fmt.Errorf("reading the worker's metrics: %w", err)
	}
	t := newTally()
	for _, family := range families {
		for _, m := range family.GetMetric() {
			labels := make(map[string]string)
			for _, l := range m.GetLabel() {
				labels[l.GetName()] = l.GetValue()
			}
			n := int(m.GetCounter().GetValue())
			switch {
			case n == 0:
			case family.GetName() == "rootwatch_events_total" && labels["result"] != "root":
				t.add(labels["result"], "", "", n)
			case family.GetName() == "rootwatch_root_calls_total":
				t.add("root", labels["verdict"], labels["reason"], n)
			}
		}
	}
	return t, nil
}

// printSummary shows what was sent beside what was counted; a difference is an error.
func printSummary(w io.Writer, sent, counted *tally) error {
	keys := make(map[[3]string]bool)
	for k := range sent.counts {
		keys[k] = true
	}
	for k := range counted.counts {
		keys[k] = true
	}
	fmt.Fprintln(w)
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "RESULT\tVERDICT\tREASON\tSENT\tCOUNTED\t")
	differ := false
	for _, k := range slices.SortedFunc(maps.Keys(keys), func(a, b [3]string) int { return slices.Compare(a[:], b[:]) }) {
		mark := ""
		if sent.counts[k] != counted.counts[k] {
			differ, mark = true, "differs"
		}
		fmt.Fprintf(table, "%s\t%s\t%s\t%d\t%d\t%s\n", k[0], dash(k[1]), dash(k[2]), sent.counts[k], counted.counts[k], mark)
	}
	fmt.Fprintf(table, "%s\t\t\t%d\t%d\t\n", strings.ToUpper("all"), sent.events(), counted.events())
	if err := table.Flush(); err != nil {
		return err
	}
	if differ {
		return errors.New("what was counted is not what was sent")
	}
	return nil
}

func dash(s string) string {
	if s == "" {
		return "-"
	}
	return s
}
