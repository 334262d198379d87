package archive

import (
	"bytes"
	"encoding/json"
)

// speaksOfEvents reports whether a text that begins as something else holds events, as they are or
// in strings: what a command said on standard error may stand before its answer.
func speaksOfEvents(text []byte) bool {
	for _, sign := range []string{`"eventSource"`, `eventSource\"`, `"eventVersion"`, `eventVersion\"`, `"CloudTrailEvent"`} {
		if bytes.Contains(text, []byte(sign)) {
			return true
		}
	}
	return false
}

// documentBegins reports whether a text begins with an object, or with a list of values that may be
// events.
func documentBegins(text []byte) bool {
	if len(text) == 0 || text[0] != '{' && text[0] != '[' {
		return false
	}
	inside := bytes.TrimLeft(text[1:], " \t\r\n")
	switch {
	case len(inside) == 0:
		return true
	case text[0] == '{':
		return inside[0] == '"' || inside[0] == '}'
	}
	return bytes.IndexByte([]byte(`{["]`), inside[0]) >= 0
}

// isDigest reports whether a piece is a digest file of CloudTrail's: it lists log files, and holds
// no event (AWS CloudTrail User Guide, "CloudTrail digest file structure").
func isDigest(data []byte) bool {
	if !bytes.Contains(data, []byte(`"digestS3Bucket"`)) {
		return false
	}
	var d struct {
		Bucket     string          `json:"digestS3Bucket"`
		Start      string          `json:"digestStartTime"`
		Source     json.RawMessage `json:"eventSource"`
		DetailType json.RawMessage `json:"detail-type"`
		Records    json.RawMessage `json:"Records"`
	}
	return json.Unmarshal(data, &d) == nil && d.Bucket != "" && d.Start != "" &&
		d.Source == nil && d.DetailType == nil && d.Records == nil
}
