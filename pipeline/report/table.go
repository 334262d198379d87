package report

import (
	"bufio"
	"fmt"
	"io"
	"slices"
	"strings"
	"unicode/utf8"

	"rootwatch/classify"
	"rootwatch/classify/plain"
	"rootwatch/pipeline"
	"rootwatch/pipeline/coverage"
)

// Screen is what a table is written to.
type Screen struct {
	Width int  // columns; 0 for as many as it takes
	Color bool // ANSI colours
}

// Table writes the calls for a terminal: those that nobody has explained session by session, then
// those that services made, summed up, then the totals.
func (c *collection) Table(w io.Writer, screen Screen, read coverage.Summary) error {
	out := bufio.NewWriter(w)
	sessions := c.sessions()
	layout := screen.layout(sessions)
	for _, s := range sessions {
		fmt.Fprintln(out, screen.paint(s.worst(), fit(s.title(), screen.limit())))
		layout.write(out, headings)
		for i := range s.calls {
			layout.write(out, s.calls[i].cells())
		}
		fmt.Fprintln(out)
	}
	if left := c.unexplained - len(c.calls); left > 0 {
		more := counted(left, "unexplained root call", "unexplained root calls") + " more are not shown; --output=json has them all."
		for _, l := range wrap(more, screen.limit()) {
			fmt.Fprintln(out, l)
		}
		fmt.Fprintln(out)
	}
	if len(c.services) > 0 {
		fmt.Fprintln(out, fit("Made by services themselves, as root:", screen.limit()))
		rows := [][]string{{"SERVICE", "CALLS", "ACCOUNTS", "REASON", "NEWEST"}}
		for _, l := range c.invokedBy() {
			rows = append(rows, []string{plain.Visible(l.name), number(l.calls), number(len(l.accounts)), string(l.reason), plain.Visible(l.newest)})
		}
		grid := measure(rows)
		for _, r := range rows {
			fmt.Fprintln(out, fit(grid.row(r), screen.limit()))
		}
		fmt.Fprintln(out)
	}
	lines := totals(read, c.unexplained, c.invoked)
	if len(c.calls) > 0 {
		lines = append(lines, furtherOn)
	}
	for _, line := range lines {
		for _, l := range wrap(line, screen.limit()) {
			fmt.Fprintln(out, l)
		}
	}
	if err := out.Flush(); err != nil {
		return fmt.Errorf("write the table: %w", err)
	}
	return nil
}

// furtherOn says how to get from the table to one call.
const furtherOn = "Event ids and files: --output=json or --output=markdown. What was weighed for one call: --explain EVENT_ID."

// title is the line above a session's calls.
func (s *session) title() string {
	parts := []string{"Account " + plain.Visible(s.Account+named(s.calls[0].account)), s.id}
	switch started := s.started(); {
	case started != "":
		parts = append(parts, "session since "+plain.Visible(started))
	case s.signIn:
		parts = append(parts, "sign-in from "+orDash(plain.Visible(s.Value)))
	case len(s.keys()) == 0:
		parts = append(parts, "no session, from "+orDash(plain.Visible(s.Value)))
	}
	if keys := s.keys(); len(keys) > 0 {
		text := "key " + plain.Visible(keys[0])
		if len(keys) > 1 {
			text += fmt.Sprintf(" and %s more", number(len(keys)-1))
		}
		parts = append(parts, text)
	}
	parts = append(parts, counted(len(s.calls), "call", "calls"), string(s.worst()))
	return strings.Join(parts, " · ")
}

// named is what is known of an account besides its id, in brackets; "" if nothing is.
func named(a pipeline.Account) string {
	known := a.String()
	if known == "" {
		return ""
	}
	return " (" + cut(known) + ")"
}

var headings = []string{"TIME", "REGION", "CALL", "ADDRESS", "USER AGENT", "MFA", "RESULT", "REASON"}

func (c *call) cells() []string {
	cells := []string{c.time, c.region, shortSource(c.source) + " " + c.name, c.address, c.agent, c.mfa, c.result, c.reason}
	for i, s := range cells {
		s = plain.Cut(s, utf8.UTFMax*widest+len(plain.Mark))
		cells[i] = orDash(fit(plain.Visible(s), widest))
	}
	return cells
}

// shortSource is a service's name without the domain that all of them have.
func shortSource(source string) string { return strings.TrimSuffix(source, ".amazonaws.com") }

// grid is the widths of columns.
type grid []int

// gap stands between two columns.
const gap = 2

// measure gives each column the width of its widest cell.
func measure(rows [][]string) grid {
	g := make(grid, len(rows[0]))
	for _, r := range rows {
		for i, cell := range r {
			g[i] = max(g[i], width(cell))
		}
	}
	return g
}

func (g grid) row(cells []string) string {
	var b strings.Builder
	for i, cell := range cells {
		if i == len(cells)-1 {
			b.WriteString(fit(cell, g[i]))
			break
		}
		b.WriteString(pad(fit(cell, g[i]), g[i]+gap))
	}
	return strings.TrimRight(b.String(), " ")
}

// floors are how far columns may shrink on a screen that is too narrow, one stage after another:
// first the user agent, which is the longest and says least, then what can be recognised by its
// beginning.
var floors = []grid{
	{1 << 20, 1 << 20, 1 << 20, 1 << 20, 24, 1 << 20, 1 << 20, 1 << 20},
	{20, 9, 20, 15, 12, 3, 8, 15},
}

// layout is how a call is written: on one line, or on two where one would say too little.
type layout struct {
	screen Screen
	lines  [][]int // columns of each line
	grid   grid
}

var (
	allColumns = []int{0, 1, 2, 3, 4, 5, 6, 7}
	narrow     = [][]int{{0, 1, 2, 3}, {5, 6, 7, 4}}
)

// widest is how many characters a column shows at most: a long name must not push the other columns
// off the screen.
const widest = 200

// indent stands before the second line of a call.
const indent = "  "

// layout gives the columns of all sessions the same widths.
func (s Screen) layout(sessions []*session) layout {
	rows := [][]string{headings}
	for _, session := range sessions {
		for i := range session.calls {
			rows = append(rows, session.calls[i].cells())
		}
	}
	g := measure(rows)
	for i := range g {
		g[i] = min(g[i], widest)
	}
	over := g.over(allColumns, s.limit())
	shrunk := slices.Clone(g)
	for _, floor := range floors {
		over = shrunk.shrink(floor, over)
	}
	if over <= 0 {
		return layout{s, [][]int{allColumns}, shrunk}
	}
	for _, line := range narrow {
		floor := slices.Repeat(grid{1 << 20}, len(g))
		for _, column := range line {
			floor[column] = floors[len(floors)-1][column]
		}
		g.shrink(floor, g.over(line, s.limit()-len(indent)))
	}
	return layout{s, narrow, g}
}

// over is by how much a line of columns is too wide.
func (g grid) over(line []int, limit int) int {
	n := gap*(len(line)-1) - limit
	for _, column := range line {
		n += g[column]
	}
	return n
}

// write writes a row of cells.
func (l layout) write(out io.Writer, cells []string) {
	for i, line := range l.lines {
		var shown []string
		var widths grid
		for _, column := range line {
			shown = append(shown, cells[column])
			widths = append(widths, l.grid[column])
		}
		text := widths.row(shown)
		if i > 0 {
			text = indent + text
		}
		fmt.Fprintln(out, fit(text, l.screen.limit()))
	}
}

// shrink takes so many columns from those that are furthest above their floors, and returns what is
// left to be taken.
func (g grid) shrink(floor grid, over int) int {
	for ; over > 0; over-- {
		most, spare := -1, 0
		for i, columns := range g {
			if left := columns - floor[i]; left > spare {
				most, spare = i, left
			}
		}
		if most < 0 {
			return over
		}
		g[most]--
	}
	return over
}

// limit is the width for what is not laid out in columns.
func (s Screen) limit() int {
	if s.Width <= 0 {
		return 1 << 20
	}
	return s.Width
}

// paint gives a line the colour of a severity.
func (s Screen) paint(severity classify.Severity, line string) string {
	code := map[classify.Severity]string{classify.Critical: "1;31", classify.High: "31", classify.Medium: "33", classify.Low: "36"}[severity]
	if !s.Color || code == "" {
		return line
	}
	return "\x1b[" + code + "m" + line + "\x1b[0m"
}

// wrap breaks a sentence into lines.
func wrap(line string, limit int) (lines []string) {
	rest := ""
	for _, word := range strings.Fields(line) {
		if width(word) > limit {
			parts := split(word, limit)
			if rest != "" {
				lines = append(lines, rest)
			}
			lines = append(lines, parts[:len(parts)-1]...)
			rest = parts[len(parts)-1]
			continue
		}
		switch {
		case rest == "":
			rest = word
		case width(rest)+1+width(word) > limit:
			lines = append(lines, rest)
			rest = word
		default:
			rest += " " + word
		}
	}
	return append(lines, rest)
}
