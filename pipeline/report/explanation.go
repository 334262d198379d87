package report

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"strings"

	"rootwatch/classify"
	"rootwatch/classify/plain"
	"rootwatch/pipeline"
	"rootwatch/pipeline/coverage"
)

// explainer is a sink that waits for one root call, and shows what was weighed.
type explainer struct {
	eventID string
	found   []*pipeline.Finding
	more    map[string]*alsoIn // by event id and call: where copies of what was found are
	left    *pipeline.Finding  // the first that was not asked for
}

// alsoIn is where more copies of a record are.
type alsoIn struct {
	files []string // the first ones
	more  int
}

// maxFound is how many calls are explained at most: ids are made by whoever sends the record.
const maxFound = 100

// newExplainer returns a sink for the root call with an event id.
func newExplainer(eventID string) *explainer {
	return &explainer{eventID: eventID, more: make(map[string]*alsoIn)}
}

// is reports whether a call is the one: by its own id, or by that of the record that it corrects.
func (x *explainer) is(f *pipeline.Finding) bool {
	return x.eventID != "" && (f.Event.EventID.Value == x.eventID || f.ID == x.eventID)
}

// Take implements [pipeline.Sink].
func (x *explainer) Take(_ context.Context, f *pipeline.Finding) error {
	if x.is(f) && len(x.found) < maxFound {
		x.found = append(x.found, f)
	}
	return nil
}

// copy takes a call that the pipeline has counted before. A record that was found before is only
// mentioned; a corrected one, or the one that was corrected, is shown.
func (x *explainer) copy(f *pipeline.Finding) {
	if !x.is(f) {
		return
	}
	id := f.Event.EventID.Value
	for _, g := range x.found {
		if g.Event.EventID.Value != id || g.Verdict != f.Verdict || !sameCall(f, g) {
			continue
		}
		also := x.more[id+f.OwnID()]
		if also == nil {
			also = new(alsoIn)
			x.more[id+f.OwnID()] = also
		}
		if len(also.files) < maxNamed {
			also.files = append(also.files, f.File)
		} else {
			also.more++
		}
		return
	}
	if len(x.found) < maxFound {
		x.found = append(x.found, f)
	}
}

// leaveOut takes note of a call outside the selection.
func (x *explainer) leaveOut(f *pipeline.Finding) {
	if x.is(f) && x.left == nil {
		x.left = f
	}
}

// missing says why there is nothing to explain, as far as that is known.
func (x *explainer) missing(read coverage.Summary) string {
	switch {
	case x.left != nil:
		return fmt.Sprintf("the call is outside the selection: account %s, region %s, time %s, in %s", plain.Visible(cut(x.left.AccountID)),
			orDash(plain.Visible(cut(x.left.Event.AWSRegion.Value))), orDash(plain.Visible(cut(x.left.Event.EventTime.Value))), plain.Visible(x.left.File))
	case len(read.Sought) > 0:
		return fmt.Sprintf("the id stands in %s, but not as that of a root call: the event is somebody else's, or broken, or only speaks of that id", plain.Visible(read.Sought[0]))
	case len(read.Problems) > 0 || read.Interrupted:
		return "it is nowhere in what could be read"
	case read.FoldersSkipped > 0:
		return "it is nowhere in what was read; folders outside the selection were not"
	}
	return "it is nowhere in what was read"
}

// asides are what else is to be known of a call that was found: the pipeline counts copies once.
func (x *explainer) asides(i int) (lines []string) {
	f := x.found[i]
	switch original := f.Event.UpdateOf(); {
	case original != "":
		lines = append(lines, "It corrects event "+cut(original)+" (addendum UPDATED_DATA): the two are one call, and are counted once.")
	case i > 0 && x.firstOf(f) < i:
		lines = append(lines, "It is a copy of the call above.")
	case i > 0:
		lines = append(lines, "It has the event id of the call above and is another call: their times, services, names or accounts differ.")
	}
	if also := x.more[f.Event.EventID.Value+f.OwnID()]; also != nil && i == x.firstOf(f) {
		line := "Copies of it are in " + strings.Join(also.files, ", ")
		if also.more > 0 {
			line += " and " + number(also.more) + " more places"
		}
		lines = append(lines, line+".")
	}
	return lines
}

// sameCall reports whether two records with one id are about one call.
func sameCall(f, g *pipeline.Finding) bool {
	return f.Identity().Same(g.Identity()) || g.Identity().Same(f.Identity())
}

// firstOf is the place of the first record of the same call.
func (x *explainer) firstOf(f *pipeline.Finding) int {
	for i, g := range x.found {
		if g.ID == f.ID && sameCall(f, g) {
			return i
		}
	}
	return -1
}

// Found is how many calls have the id: an update that changes a call's verdict is one more.
func (x *explainer) Found() int { return len(x.found) }

// Unexplained is how many of them nobody has explained.
func (x *explainer) Unexplained() (n int) {
	for _, f := range x.found {
		if f.Verdict != "service_invoked" {
			n++
		}
	}
	return n
}

// Table writes the explanation for a terminal.
func (x *explainer) Table(w io.Writer, screen Screen) error {
	out := bufio.NewWriter(w)
	for i, f := range x.found {
		if i > 0 {
			fmt.Fprintln(out)
		}
		fmt.Fprintln(out, screen.paint(f.Severity, fit(fmt.Sprintf("%s · %s · %s", f.Verdict, f.Reason, f.Severity), screen.limit())))
		event := "event " + orDash(f.Event.EventID.Value) + " at " + orDash(f.Event.EventTime.Value) + " in " + orDash(f.Event.AWSRegion.Value)
		paragraphs := append([]string{f.Explanation + "."}, x.asides(i)...)
		for _, p := range append(paragraphs, "", event, "account "+f.AccountID+named(f.Account)) {
			for _, line := range wrap(plain.Visible(p), screen.limit()) {
				fmt.Fprintln(out, line)
			}
		}
		fmt.Fprintf(out, "file %s\n\n", plain.Visible(f.File)) // in one piece, to be copied
		screen.weighed(out, f.Evidence)
	}
	if err := out.Flush(); err != nil {
		return fmt.Errorf("write the explanation: %w", err)
	}
	return nil
}

// leastValue is how many columns a long value needs beside other columns.
const leastValue = 30

// weighed writes the fields, their whole values and what each says: in three columns if that leaves
// enough for the values, otherwise with what it says below the value. No part of an answer is left
// out.
func (s Screen) weighed(out io.Writer, evidence []classify.Evidence) {
	rows := [][]string{{"FIELD", "VALUE", "SAYS"}}
	for _, e := range evidence {
		rows = append(rows, []string{plain.Visible(e.Field), orDash(plain.Visible(e.Value)), plain.Visible(e.Says)})
	}
	g := measure(rows)
	if room := s.limit() - g[0] - g[2] - 2*gap; room >= min(g[1], leastValue) {
		g[1] = min(g[1], room)
		for _, r := range rows {
			for i, part := range split(r[1], g[1]) {
				if i > 0 {
					r = []string{"", "", ""}
				}
				fmt.Fprintln(out, g.row([]string{r[0], part, r[2]}))
			}
		}
		return
	}
	column := g[0] + gap
	if s.limit()-column < leastValue {
		column = 0 // below the field
	}
	for _, r := range rows {
		lines := split(r[1], s.below(column, 1))
		for _, says := range wrap(r[2], s.below(column, 2)) {
			lines = append(lines, indent+says)
		}
		before := pad(r[0], column)
		if column == 0 {
			for _, line := range split(r[0], s.limit()) {
				fmt.Fprintln(out, line)
			}
			before = indent
		}
		for _, line := range lines {
			fmt.Fprintln(out, before+line)
			before = strings.Repeat(" ", width(before))
		}
	}
}

// below is how many columns are left beside the field, or below it with one step of indenting or
// two.
func (s Screen) below(column, steps int) int {
	if column == 0 {
		column = len(indent)
	}
	return max(1, s.limit()-column-(steps-1)*len(indent))
}

// Markdown writes the explanation as a document.
func (x *explainer) Markdown(w io.Writer) error {
	out := bufio.NewWriter(w)
	for i, f := range x.found {
		fmt.Fprintf(out, "# Root call %s\n\n", code(f.Event.EventID.Value))
		fmt.Fprintf(out, "**%s**, %s, severity %s\n\n%s.\n\n", text(string(f.Verdict)), text(string(f.Reason)), f.Severity, text(f.Explanation))
		for _, aside := range x.asides(i) {
			fmt.Fprintf(out, "%s\n\n", text(aside))
		}
		fmt.Fprintf(out, "- Time %s\n- Account %s%s\n- Region %s\n- File %s\n\n", code(f.Event.EventTime.Value), code(f.AccountID), text(named(f.Account)), code(f.Event.AWSRegion.Value), code(f.File))
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
func (x *explainer) JSON(w io.Writer) error {
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
