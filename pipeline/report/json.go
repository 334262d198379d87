package report

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"log/slog"

	"rootwatch/classify"
	"rootwatch/classify/plain"
	"rootwatch/pipeline"
)

// jsonSink writes one object a line for each root call, when it comes: the attributes of the log
// line.
type jsonSink struct {
	w *bufio.Writer
}

// newJSONSink returns a sink that writes to w; [jsonSink.Flush] writes what it has kept back.
func newJSONSink(w io.Writer) *jsonSink { return &jsonSink{bufio.NewWriterSize(w, 64<<10)} }

// Take implements [pipeline.Sink].
func (j *jsonSink) Take(_ context.Context, f *pipeline.Finding) error {
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

// Flush writes what is kept back, when no more calls come.
func (j *jsonSink) Flush() error {
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
		b = plain.AppendJSON(b, a.Key)
		b = append(b, ':')
		b = plain.AppendJSON(b, a.Value.String())
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
