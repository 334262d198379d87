package main

import (
	"fmt"
	"io"
	"net/http"
	"os"
	"slices"
	"strings"
	"time"

	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
)

// readExposition reads metrics in the text format from an http URL or a file.
func readExposition(from string) (map[string]*dto.MetricFamily, error) {
	var in io.ReadCloser
	if strings.HasPrefix(from, "http://") || strings.HasPrefix(from, "https://") {
		client := &http.Client{Timeout: 10 * time.Second}
		resp, err := client.Get(from)
		if err != nil {
			return nil, fmt.Errorf("read metrics: %w", err)
		}
		if resp.StatusCode != http.StatusOK {
			resp.Body.Close()
			return nil, fmt.Errorf("read metrics of %s: %s", from, resp.Status)
		}
		in = resp.Body
	} else {
		f, err := os.Open(from)
		if err != nil {
			return nil, fmt.Errorf("read metrics: %w", err)
		}
		in = f
	}
	defer in.Close()
	text := expfmt.NewTextParser(model.UTF8Validation)
	families, err := text.TextToMetricFamilies(in)
	if err != nil {
		return nil, fmt.Errorf("read metrics of %s: %w", from, err)
	}
	return families, nil
}

// checkLive compares what a worker exports with the contract: names, types and labels.
func checkLive(families map[string]*dto.MetricFamily) []string {
	var faults []string
	for _, m := range contract {
		family := families[m.name]
		if family == nil {
			if !m.lazy {
				faults = append(faults, fmt.Sprintf("the worker does not export %s", m.name))
			}
			continue
		}
		if got := strings.ToLower(family.GetType().String()); got != string(m.typ) {
			faults = append(faults, fmt.Sprintf("%s is a %s, not a %s", m.name, got, m.typ))
		}
		for _, series := range family.GetMetric() {
			var names []string
			for _, l := range series.GetLabel() {
				names = append(names, l.GetName())
				key := m.name + " " + l.GetName()
				if known, closed := values[key]; closed && !slices.Contains(known, l.GetValue()) {
					faults = append(faults, fmt.Sprintf("%s has %s=%q, which is not in the list", m.name, l.GetName(), l.GetValue()))
				}
			}
			slices.Sort(names)
			if !slices.Equal(names, m.labels) {
				faults = append(faults, fmt.Sprintf("%s has the labels %v, not %v", m.name, names, m.labels))
				break
			}
		}
	}
	return faults
}
