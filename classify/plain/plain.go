// Package plain makes text from outside harmless: a record's values, an error's words, a file's
// name. Whoever sends a record chooses what stands in it, and it ends on a terminal, in a log line,
// in a document, on a page or in a table.
//
// [Cut] bounds a text, [Visible] puts it on one line of visible characters, [Shown] makes it a word
// of a sentence, [AppendJSON] a JSON string, [VisibleJSON] does the same for JSON that is written
// already, [Begins] the beginning of bytes that are no text. What is short and clean stays as it
// is.
//
// It stands below everything else and imports the standard library alone.
package plain

import (
	"fmt"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf16"
	"unicode/utf8"
)

// Mark stands for what a text was cut of.
const Mark = "…"

// Cut is s in at most n bytes, the mark included: what goes beyond is left out, between two
// characters, and marked. What was cut off does not stay in memory. For an n that has no room for
// the mark it is "".
func Cut(s string, n int) string {
	if len(s) <= n {
		return s
	}
	end := n - len(Mark)
	if end < 0 {
		return ""
	}
	for end > 0 && !utf8.RuneStart(s[end]) {
		end--
	}
	return s[:end] + Mark
}

// IsVisible reports whether a character of so many bytes may be shown: it has a place of its own on
// the line, moves nothing and hides nothing. That leaves out control characters (escape sequences,
// line ends), those that turn the direction of writing, and what stands for broken UTF-8.
func IsVisible(r rune, size int) bool {
	return unicode.IsPrint(r) && !(r == utf8.RuneError && size == 1)
}

// Visible is s on one line of valid UTF-8 without invisible characters, which are escaped as in Go:
// \n, \x1b, \u202e.
func Visible(s string) string {
	return VisibleExcept(s, "")
}

// VisibleExcept is as [Visible], and escapes the ASCII characters of also too.
func VisibleExcept(s, also string) string {
	if also == "" && isASCII(s) {
		return s
	}
	var b strings.Builder
	for i := 0; i < len(s); {
		r, size := utf8.DecodeRuneInString(s[i:])
		switch {
		case !IsVisible(r, size):
			quoted := strconv.QuoteToASCII(s[i : i+size])
			b.WriteString(quoted[1 : len(quoted)-1])
		case r < utf8.RuneSelf && strings.IndexByte(also, byte(r)) >= 0:
			fmt.Fprintf(&b, `\x%02x`, r)
		default:
			b.WriteString(s[i : i+size])
		}
		i += size
	}
	return b.String()
}

// isASCII reports whether a text has only ASCII's visible characters and blanks.
func isASCII(s string) bool {
	for i := range len(s) {
		if s[i] < ' ' || s[i] > '~' {
			return false
		}
	}
	return true
}

// wordCharacters are those of names, addresses, keys and times.
const wordCharacters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.:/_-"

// Shown is s as it may stand in a sentence: as it is when it is at most n bytes of letters, digits
// and . : / _ -, otherwise cut and quoted, so that no value can pass for part of the sentence,
// break the line or drive a terminal.
func Shown(s string, n int) string {
	if s != "" && len(s) <= n && strings.Trim(s, wordCharacters) == "" {
		return s
	}
	return strconv.Quote(Cut(s, n))
}

// Begins is the beginning of data, at most n bytes of it, quoted and in ASCII.
func Begins(data []byte, n int) string {
	return strconv.QuoteToASCII(string(data[:min(len(data), max(n, 0))]))
}

// AppendJSON appends s to b as a JSON string that is safe to look at: beyond what JSON asks for,
// all that is not visible is written as \u and four digits. encoding/json lets DEL, the C1 control
// characters and those that turn the direction of writing pass. Broken UTF-8 becomes U+FFFD, as
// there.
func AppendJSON(b []byte, s string) []byte {
	b = append(b, '"')
	for i := 0; i < len(s); {
		r, size := utf8.DecodeRuneInString(s[i:])
		switch {
		case r == '"' || r == '\\':
			b = append(b, '\\', byte(r))
		case IsVisible(r, size):
			b = append(b, s[i:i+size]...)
		default:
			b = appendEscape(b, r)
		}
		i += size
	}
	return append(b, '"')
}

// VisibleJSON is JSON, made by others, that is safe to look at: what [AppendJSON] would escape is
// escaped as there. Beyond ASCII that stands in strings only, where both say the same; line ends
// stay. What is clean already is returned as it is.
func VisibleJSON(text []byte) []byte {
	hidden := func(r rune, size int) bool { return r >= 0x7f && !IsVisible(r, size) }
	var b []byte
	done := 0 // how much of text is in b
	for i := 0; i < len(text); {
		r, size := utf8.DecodeRune(text[i:])
		if hidden(r, size) {
			b = appendEscape(append(b, text[done:i]...), r)
			done = i + size
		}
		i += size
	}
	if done == 0 {
		return text
	}
	return append(b, text[done:]...)
}

// appendEscape appends JSON's escape of a character.
func appendEscape(b []byte, r rune) []byte {
	if r > 0xffff {
		high, low := utf16.EncodeRune(r)
		return fmt.Appendf(b, `\u%04x\u%04x`, high, low)
	}
	return fmt.Appendf(b, `\u%04x`, r)
}
