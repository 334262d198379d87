package main

import (
	"encoding/json"

	"rootwatch/classify"
)

// rootwatch's own rule is the only thing in this folder that needs more than the standard library.
// Without this file the benchmark scores the others.
func init() {
	rules = append([]rule{{
		Name:    "rootwatch",
		Looks:   "a root call that shows a credential, or that no service made by itself",
		Version: "this repository",
		Source:  "../rules.go",
		alerts:  rootwatchAlerts,
	}}, rules...)
}

// rootwatchAlerts reports whether a page follows: a service's own call, known or other, is counted
// and shown and pages nobody. A record that cannot be decoded is no alert here, although the
// program alerts on those as such.
func rootwatchAlerts(r record) bool {
	data, err := json.Marshal(r)
	if err != nil {
		return false
	}
	var ev classify.Event
	if json.Unmarshal(data, &ev) != nil {
		return false
	}
	return classify.IsRoot(&ev) && classify.Classify(&ev).Verdict == classify.Unexplained
}
