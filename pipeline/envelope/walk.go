package envelope

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"unicode/utf16"
	"unicode/utf8"

	"rootwatch/classify/plain"
	"rootwatch/pipeline/scan"
)

// walker steps through a JSON text, value by value and without copying it. It accepts what
// encoding/json accepts; where the text breaks it has stepped over everything before, which is the
// reason for it: the events before the break of a truncated payload are judged.
type walker struct {
	data       []byte
	pos        int
	exhaustive bool   // do without the scanner
	name       []byte // of the last member, if it was spelled with escapes
}

var errTruncated = errors.New("the JSON text ends in the middle of a value")

func (w *walker) syntax(want string) error {
	if w.pos >= len(w.data) {
		return errTruncated
	}
	return fmt.Errorf("invalid JSON at byte %d: %s where %s is due", w.pos, plain.Begins(w.data[w.pos:], 1), want)
}

// peek is the next byte that is not white space, 0 at the end.
func (w *walker) peek() byte {
	for ; w.pos < len(w.data); w.pos++ {
		switch c := w.data[w.pos]; c {
		case ' ', '\t', '\r', '\n':
		default:
			return c
		}
	}
	return 0
}

// take steps over one byte of punctuation, if it is the next.
func (w *walker) take(c byte) bool {
	if w.peek() == c && w.pos < len(w.data) {
		w.pos++
		return true
	}
	return false
}

// end fails if anything follows.
func (w *walker) end() error {
	if w.peek(); w.pos < len(w.data) {
		return fmt.Errorf("more than one JSON value: the first ends before byte %d of %d", w.pos, len(w.data))
	}
	return nil
}

// value steps over one value of any kind and returns its text. What the scanner calls invalid is
// looked at again for the reason. Either way a value ends where encoding/json ends it, whatever
// follows: of 01 it is the 0.
func (w *walker) value() ([]byte, error) {
	w.peek()
	rest := w.data[w.pos:]
	if !w.exhaustive {
		switch n, v := scan.Next(rest); v {
		case scan.Unsure, scan.NotRoot:
			w.pos += n
			return rest[:n], nil
		case scan.Incomplete:
			return nil, errTruncated
		case scan.Invalid:
			// Without a copy of what may be a large part of the record: the text is checked before
			// anything is decoded, and the first fault is in this value.
			if err := json.Unmarshal(rest, new(json.RawMessage)); err != nil {
				return nil, fmt.Errorf("invalid JSON in the value at byte %d: %w", w.pos, err)
			}
		}
	}
	d := json.NewDecoder(bytes.NewReader(rest))
	var v json.RawMessage
	switch err := d.Decode(&v); {
	case err == nil:
		n := int(d.InputOffset())
		w.pos += n
		return rest[:n], nil
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return nil, errTruncated
	default:
		return nil, fmt.Errorf("invalid JSON in the value at byte %d: %w", w.pos, err)
	}
}

// member steps to the value of an object's next member and gives its name, which is valid until the
// next call; more is false behind the last one. started reports whether it was called for this
// object before: the first call steps into it.
func (w *walker) member(started bool) (name []byte, more bool, err error) {
	if more, err = w.next(started, '{', '}'); err != nil || !more {
		return nil, false, err
	}
	if w.peek() != '"' {
		return nil, false, w.syntax("a member's name")
	}
	if name, err = w.value(); err != nil {
		return nil, false, err
	}
	if bytes.IndexByte(name, '\\') >= 0 {
		w.name, _ = appendText(w.name[:0], name)
		name = w.name
	} else {
		name = name[1 : len(name)-1]
	}
	if !w.take(':') {
		return nil, false, w.syntax(`":"`)
	}
	return name, true, nil
}

// element steps to an array's next element, as member does in an object.
func (w *walker) element(started bool) (more bool, err error) { return w.next(started, '[', ']') }

// next steps over what stands before the next part of an object or array, or over its end.
func (w *walker) next(started bool, begin, end byte) (more bool, err error) {
	switch {
	case !started && !w.take(begin):
		return false, w.syntax(strconv.Quote(string(begin)))
	case w.take(end):
		return false, nil
	case started && !w.take(','):
		return false, w.syntax(`"," or ` + strconv.Quote(string(end)))
	}
	return true, nil
}

// text is the value of a valid JSON string; it fails for any other value.
func text(value []byte) (string, error) {
	var s *string
	if err := json.Unmarshal(value, &s); err != nil {
		return "", err
	}
	if s == nil {
		return "", errors.New("null where a string is due")
	}
	return *s, nil
}

// appendText appends the value of a valid JSON string to buf, as encoding/json decodes it; ok is
// false for any other value. Most strings that hold an event are ASCII with a backslash before each
// quote.
func appendText(buf, value []byte) (_ []byte, ok bool) {
	if !isString(value) {
		return buf, false
	}
	start, rest := len(buf), value[1:len(value)-1]
	for {
		i := bytes.IndexByte(rest, '\\')
		if i < 0 {
			break
		}
		buf = append(buf, rest[:i]...)
		if rest = rest[i+1:]; rest[0] != 'u' {
			buf, rest = append(buf, simpleEscapes[rest[0]]), rest[1:]
			continue
		}
		var r rune
		r, rest = codeUnits(rest[1:])
		buf = utf8.AppendRune(buf, r)
	}
	buf = append(buf, rest...)
	if utf8.Valid(buf[start:]) {
		return buf, true
	}
	return appendDecoded(buf[:start], value)
}

// simpleEscapes are the bytes that two-letter escapes stand for.
var simpleEscapes = [256]byte{'"': '"', '\\': '\\', '/': '/', 'b': '\b', 'f': '\f', 'n': '\n', 'r': '\r', 't': '\t'}

// codeUnits reads four hexadecimal digits, and a second escape if the two are a surrogate pair.
// Half a pair stands for U+FFFD, and what follows it for itself.
func codeUnits(digits []byte) (r rune, rest []byte) {
	r, rest = hexadecimal(digits), digits[4:]
	if !utf16.IsSurrogate(r) {
		return r, rest
	}
	if len(rest) >= len(`\u0000`) && rest[0] == '\\' && rest[1] == 'u' {
		if pair := utf16.DecodeRune(r, hexadecimal(rest[2:])); pair != utf8.RuneError {
			return pair, rest[len(`\u0000`):]
		}
	}
	return utf8.RuneError, rest
}

// hexadecimal is the value of four valid digits.
func hexadecimal(digits []byte) (r rune) {
	for _, c := range digits[:4] {
		switch {
		case c <= '9':
			c -= '0'
		default:
			c = c | 0x20 - 'a' + 10
		}
		r = r<<4 | rune(c)
	}
	return r
}

// appendDecoded does as appendText, by encoding/json: bytes that are not UTF-8 are replaced.
func appendDecoded(buf, value []byte) ([]byte, bool) {
	s, err := text(value)
	return append(buf, s...), err == nil
}

// named reports whether a member's name means a field, by the rule of encoding/json. A letter's
// other case may take more bytes (the Kelvin sign is a K), never fewer.
func named(key []byte, field string) bool {
	if len(key) < len(field) || key[0] < 0x80 && key[0]|0x20 != field[0]|0x20 {
		return false
	}
	return string(key) == field || bytes.EqualFold(key, []byte(field))
}

func isString(value []byte) bool { return len(value) > 0 && value[0] == '"' }

// is reports whether a value is a string with this text.
func is(value []byte, text string) bool {
	if !isString(value) || len(value) < len(text)+2 {
		return false
	}
	return string(value[1:len(value)-1]) == text || bytes.IndexByte(value, '\\') >= 0 && textOr(value) == text
}

// begins reports whether a value is a string that begins with this text.
func begins(value []byte, text string) bool {
	if !isString(value) {
		return false
	}
	return bytes.HasPrefix(value[1:], []byte(text)) || bytes.IndexByte(value, '\\') >= 0 && strings.HasPrefix(textOr(value), text)
}

// textOr is a string's value, "" for anything else.
func textOr(value []byte) string {
	if !isString(value) {
		return ""
	}
	if plain := value[1 : len(value)-1]; bytes.IndexByte(plain, '\\') < 0 && utf8.Valid(plain) {
		return string(plain)
	}
	s, err := text(value)
	if err != nil {
		return ""
	}
	return s
}

// blank reports whether nothing but JSON's white space is left.
func blank(rest []byte) bool {
	for _, c := range rest {
		switch c {
		case ' ', '\t', '\r', '\n':
		default:
			return false
		}
	}
	return true
}
