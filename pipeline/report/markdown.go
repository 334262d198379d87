package report

import (
	"bufio"
	"fmt"
	"io"
	"strings"

	"rootwatch/classify/plain"
	"rootwatch/pipeline/coverage"
)

// Markdown writes the calls as a document to attach to a ticket.
func (c *collection) Markdown(w io.Writer, read coverage.Summary) error {
	out := bufio.NewWriter(w)
	fmt.Fprintf(out, "# Root calls\n\n")
	for _, line := range totals(read, c.unexplained, c.invoked) {
		fmt.Fprintf(out, "%s\n\n", text(line))
	}
	if c.unexplained > 0 {
		fmt.Fprintf(out, "## Unexplained\n\n")
	}
	for _, s := range c.sessions() {
		s.markdown(out)
	}
	if left := c.unexplained - len(c.calls); left > 0 {
		fmt.Fprintf(out, "%s more are not shown.\n\n", counted(left, "unexplained root call", "unexplained root calls"))
	}
	if len(c.services) > 0 {
		fmt.Fprintf(out, "## Made by services themselves\n\n")
		tableRow(out, "Service", "Calls", "Accounts", "Reason", "Newest")
		tableRow(out, "---", "---:", "---:", "---", "---")
		for _, l := range c.invokedBy() {
			tableRow(out, code(l.name), number(l.calls), number(len(l.accounts)), string(l.reason), code(l.newest))
		}
		fmt.Fprintln(out)
	}
	if err := out.Flush(); err != nil {
		return fmt.Errorf("write the document: %w", err)
	}
	return nil
}

func (s *session) markdown(out io.Writer) {
	fmt.Fprintf(out, "### Account %s%s: %s, %s\n\n", code(s.Account), text(named(s.calls[0].account)), counted(len(s.calls), "call", "calls"), s.worst())
	fmt.Fprintf(out, "- Id %s\n", s.id)
	if started := s.started(); started != "" {
		fmt.Fprintf(out, "- Session since %s\n", code(started))
	}
	for i, key := range s.keys() {
		if i == maxNamed {
			fmt.Fprintf(out, "- and %s more\n", counted(len(s.keys())-maxNamed, "key", "keys"))
			break
		}
		fmt.Fprintf(out, "- Key %s\n", code(key))
	}
	switch {
	case s.signIn:
		fmt.Fprintf(out, "- Sign-in from %s\n", code(s.Value))
	case s.started() == "" && len(s.keys()) == 0:
		fmt.Fprintf(out, "- No session, from %s\n", code(s.Value))
	}
	fmt.Fprintln(out)
	tableRow(out, "Time", "Region", "Call", "Address", "User agent", "MFA", "Result", "Reason", "Severity", "Event", "File")
	tableRow(out, "---", "---", "---", "---", "---", "---", "---", "---", "---", "---", "---")
	for _, c := range s.calls {
		tableRow(out, code(c.time), code(c.region), code(strings.TrimSpace(shortSource(c.source)+" "+c.name)), code(c.address), code(c.agent),
			code(c.mfa), code(c.result), c.reason, string(c.severity), code(c.id), code(c.file))
	}
	fmt.Fprintln(out)
}

func tableRow(out io.Writer, cells ...string) {
	fmt.Fprintf(out, "| %s |\n", strings.Join(cells, " | "))
}

// markup are the characters that mean something in Markdown, in the middle of a line or at its
// beginning.
const markup = "\\`*_{}[]()<>#+!|&~@"

// text is a sentence in Markdown that stays one: file names stand in it.
func text(s string) string {
	var b strings.Builder
	for _, r := range plain.Visible(s) {
		if strings.ContainsRune(markup, r) {
			b.WriteByte('\\')
		}
		b.WriteRune(r)
	}
	return b.String()
}
