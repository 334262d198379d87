package scan

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"strings"
	"testing"

	"rootwatch/classify"
)

// reference is [Next] by encoding/json: where the first value ends, and whether it is valid.
func reference(data []byte) (n int, v Verdict) {
	dec := json.NewDecoder(bytes.NewReader(data))
	var value json.RawMessage
	switch err := dec.Decode(&value); {
	case err == nil:
		return int(dec.InputOffset()), Unsure
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return 0, Incomplete
	}
	return 0, Invalid
}

// document is every member by which encoding/json could take a text for something.
type document struct {
	DetailType  json.RawMessage `json:"detail-type"`
	Source      json.RawMessage `json:"source"`
	Detail      json.RawMessage `json:"detail"`
	EventSource json.RawMessage `json:"eventSource"`
	EventName   json.RawMessage `json:"eventName"`

	Records         json.RawMessage `json:"Records"`
	Events          json.RawMessage `json:"Events"`
	MessageType     json.RawMessage `json:"messageType"`
	LogEvents       json.RawMessage `json:"logEvents"`
	CloudTrailEvent json.RawMessage `json:"CloudTrailEvent"`
}

// byRoot judges a valid text by encoding/json and [classify.IsRoot]. The error says why the text is
// not exactly one CloudTrail event that can be judged.
func byRoot(data []byte) (bool, error) {
	var doc document
	if err := json.Unmarshal(data, &doc); err != nil {
		return false, err
	}
	if doc.Records != nil || doc.Events != nil || doc.MessageType != nil || doc.LogEvents != nil || doc.CloudTrailEvent != nil {
		return false, errors.New("a list of events, or may be one")
	}
	record := data
	if doc.DetailType != nil {
		if !strings.HasSuffix(plainText(doc.DetailType), " via CloudTrail") {
			return false, errors.New("not CloudTrail's")
		}
		if source := plainText(doc.Source); !FromAWS(source) {
			return false, errors.New("foreign source")
		}
		if record = doc.Detail; len(record) == 0 || record[0] != '{' {
			return false, errors.New("no detail")
		}
	} else if plainText(doc.EventSource) == "" || plainText(doc.EventName) == "" {
		return false, errors.New("no CloudTrail record")
	} else if strings.HasPrefix(plainText(doc.EventSource), "aws:") {
		return false, errors.New("another service's notification")
	}
	var ev classify.Event
	if err := json.Unmarshal(record, &ev); err != nil {
		return false, err
	}
	if ev.UserIdentity.Type == "" {
		return false, errors.New("nobody is named")
	}
	return classify.IsRoot(&ev), nil
}

// plainText is the value of a string, "" for any other value.
func plainText(value json.RawMessage) string {
	var s any
	if json.Unmarshal(value, &s) != nil {
		return ""
	}
	text, _ := s.(string)
	return text
}

// check holds Next to all of its promises on one input.
func check(t *testing.T, data []byte) {
	t.Helper()
	n, v := Next(data)
	wantN, want := reference(data)
	if v == NotRoot {
		if want != Unsure {
			t.Fatalf("not root, but encoding/json says %v: %q", want, data)
		}
		if root, err := byRoot(data[:n]); root || err != nil {
			t.Fatalf("not root, but encoding/json says root = %v, error = %v: %q", root, err, data)
		}
		want = NotRoot
	}
	if n != wantN || v != want {
		t.Fatalf("Next = %d, %v; encoding/json says %d, %v: %q", n, v, wantN, want, data)
	}
	if n == 0 {
		return
	}
	// What follows the value has no say.
	if n2, v2 := Next(data[:n:n]); n2 != n || v2 != v {
		t.Fatalf("Next = %d, %v; without what follows %d, %v: %q", n, v, n2, v2, data)
	}
	// A value cut anywhere is incomplete, unless it is a number.
	if c := data[n-1]; c == '}' || c == ']' || c == '"' {
		for _, cut := range []int{n - 1, n / 2, n / 3} {
			if cutN, cutV := Next(data[:cut]); cutN != 0 || cutV != Incomplete {
				t.Fatalf("cut at %d: Next = %d, %v, want incomplete: %q", cut, cutN, cutV, data)
			}
		}
	}
}
