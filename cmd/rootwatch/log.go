package main

import (
	"fmt"
	"io"
	"log/slog"
	"strings"

	"github.com/alecthomas/kingpin/v2"
	"github.com/aws/smithy-go/logging"

	"rootwatch/classify/plain"
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

// logger writes to w. replace, which may be nil, sees each attribute first.
func (f *logFlags) logger(w io.Writer, replace func([]string, slog.Attr) slog.Attr) (*slog.Logger, error) {
	var level slog.Level
	if err := level.UnmarshalText([]byte(f.level)); err != nil {
		return nil, usageError{fmt.Errorf("--log.level: %w", err)}
	}
	options := &slog.HandlerOptions{Level: level, ReplaceAttr: replace}
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

// visibleJSON is for lines of JSON. encoding/json does not escape some characters that a terminal
// acts on, such as U+009B, which begins a control sequence; and an attacker chooses values of
// events.
type visibleJSON struct{ w io.Writer }

func (v visibleJSON) Write(line []byte) (int, error) {
	if _, err := v.w.Write(plain.VisibleJSON(line)); err != nil {
		return 0, err
	}
	return len(line), nil
}
