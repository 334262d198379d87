package main

import (
	"bytes"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"unicode"
	"unicode/utf16"
	"unicode/utf8"

	"github.com/alecthomas/kingpin/v2"
	"github.com/aws/smithy-go/logging"
)

// logFlags are --log.level and --log.format.
type logFlags struct {
	level  string
	format string
}

func (f *logFlags) register(cmd *kingpin.CmdClause, level, format string) {
	choiceFlag(cmd, "log.level", "Only messages of this level or above; one of debug, info, warn, error. Root calls are always logged.", &f.level, level, "debug", "info", "warn", "error")
	choiceFlag(cmd, "log.format", "Format of the log on standard error; one of json, logfmt.", &f.format, format, "json", "logfmt")
}

func (f *logFlags) logger(w io.Writer) (*slog.Logger, error) {
	var level slog.Level
	if err := level.UnmarshalText([]byte(f.level)); err != nil {
		return nil, usageError{fmt.Errorf("--log.level: %w", err)}
	}
	options := &slog.HandlerOptions{Level: level}
	if f.format == "logfmt" {
		return slog.New(slog.NewTextHandler(w, options)), nil
	}
	return slog.New(slog.NewJSONHandler(visibleJSON{w}, options)), nil
}

// awsLogger takes the AWS SDK's own messages, which otherwise go to standard error as they are.
type awsLogger struct{ log *slog.Logger }

// Logf implements logging.Logger.
func (l awsLogger) Logf(level logging.Classification, format string, args ...any) {
	to := l.log.Debug
	if level == logging.Warn {
		to = l.log.Warn
	}
	to(strings.TrimSpace(fmt.Sprintf(format, args...)), "from", "aws-sdk")
}

// visibleJSON is for lines of JSON: what JSON lets pass and a terminal does not show as such (delete, the C1 control characters,
// of which U+009B begins a terminal's commands, and formatting such as a change of direction) is written as JSON's own escapes.
// They stand in strings only, where both are the same. Values of events are the attacker's.
type visibleJSON struct{ w io.Writer }

func (v visibleJSON) Write(line []byte) (int, error) {
	hidden := func(r rune) bool { return r >= 0x7f && r <= 0x9f || unicode.Is(unicode.Cf, r) }
	out := line
	if bytes.ContainsFunc(line, hidden) {
		out = make([]byte, 0, len(line)+64)
		for _, r := range string(line) {
			switch {
			case !hidden(r):
				out = utf8.AppendRune(out, r)
			case r > 0xffff:
				high, low := utf16.EncodeRune(r)
				out = fmt.Appendf(out, `\u%04x\u%04x`, high, low)
			default:
				out = fmt.Appendf(out, `\u%04x`, r)
			}
		}
	}
	if _, err := v.w.Write(out); err != nil {
		return 0, err
	}
	return len(line), nil
}
