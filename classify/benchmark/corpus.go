package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
)

// labelOf is the label of a record by its verdict in a corpus. Records that are not root's have
// none.
var labelOf = map[string]label{"unexplained": person, "service_invoked": service}

// readCorpus reads labelled records from the *.jsonl files of a folder; none by root is an error.
// Nothing says which records belong together, so that each is a scenario of its own.
func readCorpus(folder string) ([]scenario, error) {
	files, err := filepath.Glob(filepath.Join(folder, "*.jsonl"))
	if err != nil {
		return nil, err
	}
	var all []scenario
	for _, name := range files {
		data, err := os.ReadFile(name)
		if err != nil {
			return nil, err
		}
		lines := bufio.NewScanner(bytes.NewReader(data))
		lines.Buffer(nil, len(data)+1)
		for number := 1; lines.Scan(); number++ {
			id := fmt.Sprintf("%s:%d", filepath.Base(name), number)
			s, err := corpusRecord(id, lines.Bytes())
			if err != nil {
				return nil, fmt.Errorf("%s: %w", id, err)
			}
			if s != nil {
				all = append(all, *s)
			}
		}
		if err := lines.Err(); err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
	}
	if len(all) == 0 {
		return nil, fmt.Errorf("%s has no *.jsonl file with a record by root", folder)
	}
	return all, nil
}

// corpusRecord reads one line; nil is a record that is not root's. An EventBridge envelope is taken
// off.
func corpusRecord(id string, line []byte) (*scenario, error) {
	var of struct {
		Verdict string `json:"verdict"`
		Record  record `json:"record"`
	}
	if err := json.Unmarshal(line, &of); err != nil {
		return nil, err
	}
	if of.Verdict == "not_root" {
		return nil, nil
	}
	by, ok := labelOf[of.Verdict]
	if !ok {
		return nil, fmt.Errorf("unknown verdict %q", of.Verdict)
	}
	if detail, ok := of.Record["detail"].(map[string]any); ok && of.Record.has("detail-type") {
		of.Record = detail
	}
	return &scenario{Name: id, Records: []entry{{ID: id, Label: by, Record: of.Record}}}, nil
}
