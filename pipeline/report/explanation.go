package report

import (
	"bufio"
	"context"
	"fmt"
	"io"

	"rootwatch/pipeline"
)

// Explanation is a sink that waits for one root call, and shows what was weighed.
type Explanation struct {
	eventID string
	found   []*pipeline.Finding
}

// NewExplanation returns a sink for the root call with an event id.
func NewExplanation(eventID string) *Explanation { return &Explanation{eventID: eventID} }

// Take implements [pipeline.Sink].
func (x *Explanation) Take(_ context.Context, f *pipeline.Finding) error {
	if f.Event.EventID.Value == x.eventID || f.ID == x.eventID {
		x.found = append(x.found, f)
	}
	return nil
}

// Found is how many calls have the id: an update that makes another verdict of a call comes beside it.
func (x *Explanation) Found() int { return len(x.found) }

// Unexplained is how many of them nobody has explained.
func (x *Explanation) Unexplained() (n int) {
	for _, f := range x.found {
		if f.Verdict != "service_invoked" {
			n++
		}
	}
	return n
}

// Table writes the explanation for a terminal.
func (x *Explanation) Table(w io.Writer, screen Screen) error {
	out := bufio.NewWriter(w)
	for i, f := range x.found {
		if i > 0 {
			fmt.Fprintln(out)
		}
		fmt.Fprintln(out, screen.paint(f.Severity, fit(fmt.Sprintf("%s · %s · %s", f.Verdict, f.Reason, f.Severity), screen.limit())))
		for _, line := range wrap(plain(f.Explanation)+".", screen.limit()) {
			fmt.Fprintln(out, line)
		}
		fmt.Fprintln(out)
		event := "event " + orDash(f.Event.EventID.Value) + " at " + orDash(f.Event.EventTime.Value) + " in " + orDash(f.Event.AWSRegion.Value)
		for _, line := range []string{event, "account " + f.AccountID} {
			fmt.Fprintln(out, fit(plain(line), screen.limit()))
		}
		fmt.Fprintf(out, "file %s\n\n", plain(f.File)) // whole, to be opened
		rows := [][]string{{"FIELD", "VALUE", "SAYS"}}
		for _, e := range f.Evidence {
			rows = append(rows, []string{plain(e.Field), orDash(plain(e.Value)), plain(e.Says)})
		}
		g := measure(rows)
		if over := g[0] + g[1] + g[2] + 2*gap - screen.limit(); over > 0 {
			g[1] = max(g[1]-over, 20)
		}
		for _, r := range rows {
			fmt.Fprintln(out, fit(g.row(r), screen.limit()))
		}
	}
	if err := out.Flush(); err != nil {
		return fmt.Errorf("write the explanation: %w", err)
	}
	return nil
}

// Markdown writes the explanation as a document.
func (x *Explanation) Markdown(w io.Writer) error {
	out := bufio.NewWriter(w)
	for _, f := range x.found {
		fmt.Fprintf(out, "# Root call %s\n\n", code(f.Event.EventID.Value))
		fmt.Fprintf(out, "**%s**, %s, severity %s\n\n%s.\n\n", text(string(f.Verdict)), text(string(f.Reason)), f.Severity, text(f.Explanation))
		fmt.Fprintf(out, "- Time %s\n- Account %s\n- Region %s\n- File %s\n\n", code(f.Event.EventTime.Value), code(f.AccountID), code(f.Event.AWSRegion.Value), code(f.File))
		tableRow(out, "Field", "Value", "Says")
		tableRow(out, "---", "---", "---")
		for _, e := range f.Evidence {
			tableRow(out, code(e.Field), code(e.Value), text(e.Says))
		}
		fmt.Fprintln(out)
	}
	if err := out.Flush(); err != nil {
		return fmt.Errorf("write the explanation: %w", err)
	}
	return nil
}

// JSON writes the attributes of the log line and the evidence, one object a line.
func (x *Explanation) JSON(w io.Writer) error {
	for _, f := range x.found {
		line := appendObject(nil, f.Attrs())
		line = append(line[:len(line)-1], `,"evidence":`...)
		line = append(appendEvidence(line, f.Evidence), "}\n"...)
		if _, err := w.Write(line); err != nil {
			return fmt.Errorf("write the explanation: %w", err)
		}
	}
	return nil
}
