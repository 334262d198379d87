package report

import (
	"fmt"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/mattn/go-runewidth"
)

// columns measures texts as terminals do that are not set to a language of East Asia: the same everywhere.
var columns = runewidth.Condition{StrictEmojiNeutral: true}

// printable says whether a character may be shown: it has a place of its own on the line, moves nothing, and hides
// nothing. That leaves out control characters (escape sequences, line ends), those that turn the direction of
// writing, and what stands for broken UTF-8.
func printable(r rune, size int) bool {
	return unicode.IsPrint(r) && !(r == utf8.RuneError && size == 1)
}

// plain is a text on one line of visible characters; all others are escaped as Go escapes them.
func plain(s string) string {
	return escape(s, func(r rune) bool { return false })
}

// Plain is a text of somebody else's as it may be shown on a terminal.
func Plain(s string) string { return plain(s) }

// escape escapes what is not printable, and what is asked for besides.
func escape(s string, also func(rune) bool) string {
	var b strings.Builder
	for i := 0; i < len(s); {
		r, size := utf8.DecodeRuneInString(s[i:])
		switch {
		case !printable(r, size):
			quoted := strconv.QuoteToASCII(s[i : i+size])
			b.WriteString(quoted[1 : len(quoted)-1])
		case also(r):
			fmt.Fprintf(&b, `\x%02x`, r)
		default:
			b.WriteString(s[i : i+size])
		}
		i += size
	}
	return b.String()
}

// fit is a plain text in at most so many columns of a terminal; what is left out is marked.
func fit(s string, width int) string {
	if columns.StringWidth(s) <= width {
		return s
	}
	return columns.Truncate(s, width, "…")
}

// pad fills a text up with blanks to so many columns.
func pad(s string, width int) string {
	return s + strings.Repeat(" ", max(0, width-columns.StringWidth(s)))
}

// code is a text in Markdown that stays a text: a code span, in which there are neither links nor markup, without the
// two characters that could end the span or the cell of a table.
func code(s string) string {
	if s == "" {
		return "–"
	}
	s = escape(s, func(r rune) bool { return r == '`' || r == '|' })
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
