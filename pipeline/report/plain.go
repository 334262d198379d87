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

// width is how many columns a plain text takes. Nearly all are ASCII, and a report has millions of them.
func width(s string) int {
	if whole, marked := strings.CutSuffix(s, mark); ascii(whole) {
		if marked {
			return len(whole) + 1
		}
		return len(whole)
	}
	return columns.StringWidth(s)
}

// mark stands for what is left out.
const mark = "…"

// ascii says whether a text is made of ASCII's visible characters and blanks.
func ascii(s string) bool {
	for i := range len(s) {
		if s[i] < ' ' || s[i] > '~' {
			return false
		}
	}
	return true
}

// printable says whether a character may be shown: it has a place of its own on the line, moves nothing, and hides
// nothing. That leaves out control characters (escape sequences, line ends), those that turn the direction of
// writing, and what stands for broken UTF-8.
func printable(r rune, size int) bool {
	return unicode.IsPrint(r) && !(r == utf8.RuneError && size == 1)
}

// plain is a text on one line of visible characters; all others are escaped as Go escapes them.
func plain(s string) string {
	if ascii(s) {
		return s
	}
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

// cut is a text that may be kept, of maxText bytes at most: what is left out is marked, and does not stay in memory.
func cut(s string) string {
	if len(s) <= maxText {
		return s
	}
	return beginning(s, maxText-len(mark)) + mark
}

// beginning is so many bytes of a text at most, up to the end of a character.
func beginning(s string, n int) string {
	if len(s) <= n {
		return s
	}
	for n > 0 && !utf8.RuneStart(s[n]) {
		n--
	}
	return strings.Clone(s[:n])
}

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
	case ascii(strings.TrimSuffix(s, mark)):
		return s[:limit-1] + mark
	}
	return columns.Truncate(s, limit, mark)
}

// pad fills a text up with blanks to so many columns.
func pad(s string, columns int) string {
	return s + strings.Repeat(" ", max(0, columns-width(s)))
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
