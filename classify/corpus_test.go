package classify

import (
	"bufio"
	"encoding/json"
	"os"
	"path/filepath"
	"testing"
)

// corpusVariable names a folder of *.jsonl files with records and what they must be judged as.
const corpusVariable = "ROOTWATCH_CORPUS"

type corpusLine struct {
	Verdict string          `json:"verdict"` // not_root, or a Verdict
	Reason  string          `json:"reason"`
	Record  json.RawMessage `json:"record"`
}

// The corpus is for checking only, and not part of the project: without it this test has nothing to
// say.
func TestCorpus(t *testing.T) {
	folder := os.Getenv(corpusVariable)
	if folder == "" {
		t.Logf("%s is not set: no records to check against", corpusVariable)
		return
	}
	files, err := filepath.Glob(filepath.Join(folder, "*.jsonl"))
	if err != nil || len(files) == 0 {
		t.Fatalf("no *.jsonl in %s (%v)", folder, err)
	}
	records, roots := 0, 0
	for _, name := range files {
		file, err := os.Open(name)
		if err != nil {
			t.Fatal(err)
		}
		lines := bufio.NewScanner(file)
		lines.Buffer(nil, 16<<20)
		for lines.Scan() {
			var line corpusLine
			if err := json.Unmarshal(lines.Bytes(), &line); err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			records++
			if line.Verdict != "not_root" {
				roots++
			}
			checkCorpusLine(t, filepath.Base(name), &line)
		}
		if err := lines.Err(); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		file.Close()
	}
	t.Logf("%d records, %d of them by root", records, roots)
}

func checkCorpusLine(t *testing.T, file string, line *corpusLine) {
	t.Helper()
	var envelope struct {
		DetailType string          `json:"detail-type"`
		Detail     json.RawMessage `json:"detail"`
	}
	record := line.Record
	if err := json.Unmarshal(record, &envelope); err == nil && envelope.DetailType != "" {
		record = envelope.Detail
	}
	var ev Event
	if err := json.Unmarshal(record, &ev); err != nil {
		t.Errorf("%s: undecodable: %v", file, err)
		return
	}
	id := ev.EventID.Value
	if !IsRoot(&ev) {
		if line.Verdict != "not_root" {
			t.Errorf("%s: %s is %s by root, and was not taken for root's", file, id, line.Verdict)
		}
		return
	}
	got := Classify(&ev)
	if string(got.Verdict) != line.Verdict {
		t.Errorf("%s: %s is judged %s (%s), want %s (%s)", file, id, got.Verdict, got.Reason, line.Verdict, line.Reason)
	} else if string(got.Reason) != line.Reason {
		t.Errorf("%s: %s has the reason %s, want %s", file, id, got.Reason, line.Reason)
	}
}
