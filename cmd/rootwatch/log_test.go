package main

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
)

func TestNothingOfAnEventDrivesTheTerminalThatShowsTheLog(t *testing.T) {
	const hostile = "\x1b[2J\u009b2J\x7f\u202egnp.exe\u2066\U000e0001\nlevel=info é 世"
	for _, format := range []string{"json", "logfmt"} {
		t.Run(format, func(t *testing.T) {
			var out bytes.Buffer
			log, err := (&logFlags{level: "info", format: format}).logger(&out, nil)
			if err != nil {
				t.Fatal(err)
			}
			log.Info("root call", "user_agent", hostile)
			if strings.ContainsAny(out.String(), "\x1b\u009b\x7f\u202e\u2066\U000e0001") || strings.Count(out.String(), "\n") != 1 {
				t.Errorf("the line is %q", out.String())
			}
			if format != "json" {
				return
			}
			line := make(map[string]string)
			if err := json.Unmarshal(out.Bytes(), &line); err != nil || line["user_agent"] != hostile {
				t.Errorf("read back: %q (%v)", line["user_agent"], err)
			}
		})
	}
}
