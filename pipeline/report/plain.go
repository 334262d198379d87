package report

import (
	"strconv"
	"strings"

	"github.com/mattn/go-runewidth"

	"rootwatch/classify/plain"
)

// columns measures texts as terminals do that are not set to a language of East Asia: the same
// everywhere.
var columns = runewidth.Condition{StrictEmojiNeutral: true}

// width is how many columns a plain text takes. Nearly all are ASCII, and a report has millions of
// them.
func width(s string) int {
	if whole, marked := strings.CutSuffix(s, plain.Mark); ascii(whole) {
		if marked {
			return len(whole) + 1
		}
		return len(whole)
	}
	return columns.StringWidth(s)
}

// ascii reports whether a text is made of ASCII's visible characters and blanks.
func ascii(s string) bool {
	for i := range len(s) {
		if s[i] < ' ' || s[i] > '~' {
			return false
		}
	}
	return true
}

// cut is a text that may be kept, of maxText bytes at most: what is left out does not stay in
// memory.
func cut(s string) string { return plain.Cut(s, maxText) }

// split breaks a plain text into lines of so many columns.
func split(s string, limit int) (lines []string) {
	begin, used := 0, 0
	for i, r := range s {
		w := columns.RuneWidth(r)
		if used+w > limit && i > begin {
			lines = append(lines, s[begin:i])
			begin, used = i, 0
		}
		used += w
	}
	return append(lines, s[begin:])
}

// fit is a plain text in at most so many columns of a terminal; what is left out is marked.
func fit(s string, limit int) string {
	switch {
	case limit <= 0:
		return ""
	case width(s) <= limit:
		return s
	case ascii(strings.TrimSuffix(s, plain.Mark)):
		return s[:limit-1] + plain.Mark
	}
	return columns.Truncate(s, limit, plain.Mark)
}

// pad fills a text up with blanks to so many columns.
func pad(s string, columns int) string {
	return s + strings.Repeat(" ", max(0, columns-width(s)))
}

// code is a text in Markdown that stays a text: a code span, in which there are neither links nor
// markup, without the two characters that could end the span or the cell of a table.
func code(s string) string {
	if s == "" {
		return "–"
	}
	s = plain.VisibleExcept(s, "`|")
	if strings.Trim(s, " ") == "" {
		s = strconv.Quote(s)
	}
	return "`" + s + "`"
}

// orDash is a text, or a sign that there is none.
func orDash(s string) string {
	if s == "" {
		return "-"
	}
	return s
}

// number is a number with commas between the thousands.
func number(n int) string {
	s := strconv.Itoa(n)
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}

// counted is a number of things: "1 file", "2,000 files".
func counted(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return number(n) + " " + many
}
