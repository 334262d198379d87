package main

import (
	"bytes"
	"embed"
	"encoding/json"
	"fmt"
	"path"
)

//go:embed scenarios/*.json
var scenarioFiles embed.FS

// scenario is one thing that happens to an account, and the root calls that CloudTrail records of
// it.
type scenario struct {
	Name    string  `json:"name"`    // that of its file
	Title   string  `json:"title"`   // for a table
	Happens string  `json:"happens"` // one or two sentences
	Records []entry `json:"records"` // in the order of the calls
}

// entry is one labelled record.
type entry struct {
	ID       string `json:"id"`       // unique in the benchmark: the record's eventID is not always
	Label    label  `json:"label"`    // who made the call
	Argument string `json:"argument"` // why, in one sentence
	Source   string `json:"source"`   // what the argument rests on: AWS's page, or "seen in records" and the year
	Record   record `json:"record"`   // as CloudTrail writes it
}

// label is who made a root call.
type label string

const (
	person  label = "person"  // a person, or somebody who holds root credentials: to be alerted on
	service label = "service" // an AWS service by itself: not to be alerted on
)

// scenarios are all scenarios, in the order of their names.
func scenarios() ([]scenario, error) {
	files, err := scenarioFiles.ReadDir("scenarios")
	if err != nil {
		return nil, err
	}
	var all []scenario
	for _, file := range files {
		data, err := scenarioFiles.ReadFile(path.Join("scenarios", file.Name()))
		if err != nil {
			return nil, err
		}
		var s scenario
		decoder := json.NewDecoder(bytes.NewReader(data))
		decoder.DisallowUnknownFields() // a misspelt member of the header would be lost; record is a map and takes any
		if err := decoder.Decode(&s); err != nil {
			return nil, fmt.Errorf("scenarios/%s: %w", file.Name(), err)
		}
		if s.Name+".json" != file.Name() {
			return nil, fmt.Errorf("scenarios/%s: its name is %q", file.Name(), s.Name)
		}
		all = append(all, s)
	}
	return all, nil
}

// record is a CloudTrail record as decoded JSON.
type record map[string]any

// field is the value at the path and whether there is one. null counts as none: CloudTrail writes
// it for a request without parameters.
func (r record) field(path ...string) (any, bool) {
	var at any = map[string]any(r)
	for _, key := range path {
		object, ok := at.(map[string]any)
		if !ok {
			return nil, false
		}
		at = object[key]
	}
	return at, at != nil
}

// has reports whether the record has the field.
func (r record) has(path ...string) bool {
	_, ok := r.field(path...)
	return ok
}

// text is the string at the path, "" if there is none or it is not a string.
func (r record) text(path ...string) string {
	value, _ := r.field(path...)
	s, _ := value.(string)
	return s
}

// withUserAgent is a copy of the record in which the client wrote something else into its user
// agent.
func (r record) withUserAgent(agent string) record {
	forged := make(record, len(r)+1)
	for key, value := range r {
		forged[key] = value
	}
	forged["userAgent"] = agent
	return forged
}
