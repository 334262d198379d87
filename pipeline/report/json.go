package report

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"log/slog"
	"unicode/utf16"
	"unicode/utf8"

	"rootwatch/classify"
	"rootwatch/pipeline"
)

// JSON writes one object a line for each root call, when it comes: the attributes of the log line.
type JSON struct {
	w *bufio.Writer
}

// NewJSON returns a sink that writes to w; [JSON.Flush] writes what it has kept back.
func NewJSON(w io.Writer) *JSON { return &JSON{bufio.NewWriterSize(w, 64<<10)} }

// Take implements [pipeline.Sink].
func (j *JSON) Take(_ context.Context, f *pipeline.Finding) error {
	line := append(appendObject(nil, f.Attrs()), '\n')
	if len(line) > j.w.Available() { // whole lines only, however the program ends
		if err := j.Flush(); err != nil {
			return err
		}
	}
	if _, err := j.w.Write(line); err != nil {
		return fmt.Errorf("write a root call: %w", err)
	}
	return nil
}

// Flush is for when no more calls come.
func (j *JSON) Flush() error {
	if err := j.w.Flush(); err != nil {
		return fmt.Errorf("write root calls: %w", err)
	}
	return nil
}

// appendObject adds a JSON object of strings.
func appendObject(b []byte, attrs []slog.Attr) []byte {
	b = append(b, '{')
	for i, a := range attrs {
		if i > 0 {
			b = append(b, ',')
		}
		b = appendString(b, a.Key)
		b = append(b, ':')
		b = appendString(b, a.Value.String())
	}
	return append(b, '}')
}

// appendEvidence adds a JSON list of what was weighed.
func appendEvidence(b []byte, evidence []classify.Evidence) []byte {
	b = append(b, '[')
	for i, e := range evidence {
		if i > 0 {
			b = append(b, ',')
		}
		b = appendObject(b, []slog.Attr{slog.String("field", e.Field), slog.String("value", e.Value), slog.String("says", e.Says)})
	}
	return append(b, ']')
}

// appendString adds a JSON string that is safe to look at: beyond what JSON asks for, all that is not printable is
// written as \u and four digits. encoding/json lets DEL, the C1 control characters and those that turn the direction
// of writing pass. Broken UTF-8 becomes U+FFFD, as there.
func appendString(b []byte, s string) []byte {
	b = append(b, '"')
	for i := 0; i < len(s); {
		r, size := utf8.DecodeRuneInString(s[i:])
		switch {
		case r == '"' || r == '\\':
			b = append(b, '\\', byte(r))
		case printable(r, size):
			b = append(b, s[i:i+size]...)
		case r > 0xffff:
			high, low := utf16.EncodeRune(r)
			b = fmt.Appendf(b, `\u%04x\u%04x`, high, low)
		default:
			b = fmt.Appendf(b, `\u%04x`, r)
		}
		i += size
	}
	return append(b, '"')
}
