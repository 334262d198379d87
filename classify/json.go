package classify

import (
	"bytes"
	"encoding/json"
	"iter"
	"slices"
	"strings"
	"unicode/utf8"
)

// This file walks over JSON texts that encoding/json has accepted. An event may be 4 MiB of very
// small values: to decode these into maps and slices costs a hundred times what the text does.

// EmptyValue reports whether a valid JSON value says nothing: null, "", or an object or array whose
// members are all empty in the same sense. A boolean or a number always says something, `false` and
// 0 included. Of several members with one name the last counts, as in encoding/json.
func EmptyValue[T ~string | ~[]byte](value T) bool {
	if silent(value) {
		return true
	}
	// Something says something, and counts unless a member of the same name follows.
	says, _ := speaks(string(value), space(value, 0), 0)
	return !says
}

// silent reports whether no value in the text says anything, overwritten ones included. Only a
// member's name is followed by a colon, so that no nesting needs to be remembered.
func silent[T ~string | ~[]byte](s T) bool {
	for i := 0; i < len(s); {
		switch s[i] {
		case '"':
			end := stringEnd(s, i)
			if next := space(s, end); end-i > len(`""`) && (next >= len(s) || s[next] != ':') {
				return false
			}
			i = end
		case '{', '}', '[', ']', ',', ':', ' ', '\t', '\r', '\n':
			i++
		case 'n':
			i += len("null")
		default:
			return false
		}
	}
	return true
}

// maxDepth is the nesting that encoding/json accepts.
const maxDepth = 10_000

// speaks reports whether the value that begins at i says something, and where it ends. Beyond what
// encoding/json accepts everything does.
func speaks(s string, i, depth int) (says bool, end int) {
	if i >= len(s) || depth > maxDepth {
		return true, len(s)
	}
	switch s[i] {
	case '"':
		end = stringEnd(s, i)
		return end-i > len(`""`), end
	case 'n':
		return false, i + len("null")
	case '[':
		for i = space(s, i+1); i < len(s) && s[i] != ']'; i = next(s, i) {
			if says {
				i = valueEnd(s, i)
			} else {
				says, i = speaks(s, i, depth+1)
			}
		}
		return says, i + 1
	case '{':
		return memberSpeaks(s, i, depth)
	}
	return true, valueEnd(s, i)
}

// memberSpeaks is speaks for the object that begins at i.
func memberSpeaks(s string, i, depth int) (says bool, end int) {
	var speaking nameSet
	for i = space(s, i+1); i < len(s) && s[i] != '}'; i = next(s, i) {
		start := i
		i = stringEnd(s, i)
		name := s[start:i]
		says, i = speaks(s, space(s, space(s, i)+1), depth+1)
		switch {
		case says:
			speaking.add(unquoted(name))
		case !speaking.empty():
			speaking.remove(unquoted(name))
		}
	}
	return !speaking.empty(), i + 1
}

// nameSet is a set of names. A few of them take no memory on the heap.
type nameSet struct {
	few  [4]string
	n    int // of few
	more map[string]struct{}
}

func (s *nameSet) empty() bool { return s.n == 0 && len(s.more) == 0 }

func (s *nameSet) add(name string) {
	if _, ok := s.more[name]; ok || slices.Contains(s.few[:s.n], name) {
		return
	}
	if s.n < len(s.few) {
		s.few[s.n] = name
		s.n++
		return
	}
	if s.more == nil {
		s.more = make(map[string]struct{})
	}
	s.more[name] = struct{}{}
}

func (s *nameSet) remove(name string) {
	delete(s.more, name)
	if i := slices.Index(s.few[:s.n], name); i >= 0 {
		s.n--
		s.few[i] = s.few[s.n]
	}
}

// members yields the names and the values of an object's members; of any other value there are
// none. The names are as they stand, quotes included.
func members(value []byte) iter.Seq2[[]byte, []byte] {
	return func(yield func(name, value []byte) bool) {
		i := space(value, 0)
		if i >= len(value) || value[i] != '{' {
			return
		}
		for i = space(value, i+1); i < len(value) && value[i] != '}'; i = next(value, i) {
			start := i
			i = stringEnd(value, i)
			name := value[start:i]
			start = space(value, space(value, i)+1)
			i = valueEnd(value, start)
			if start > i || !yield(name, value[start:i]) {
				return
			}
		}
	}
}

// next returns where the next member or element begins, or the bracket that closes, behind a value
// that ends before i.
func next[T ~string | ~[]byte](s T, i int) int {
	if i = space(s, i); i < len(s) && s[i] == ',' {
		i = space(s, i+1)
	}
	return i
}

// valueEnd returns where the value that begins at i ends.
func valueEnd[T ~string | ~[]byte](s T, i int) int {
	for depth := 0; i < len(s); {
		switch s[i] {
		case '"':
			i = stringEnd(s, i)
		case '{', '[':
			depth++
			i++
		case '}', ']':
			depth--
			i++
		case ',', ':', ' ', '\t', '\r', '\n':
			i++
			continue // only between the parts of an array or object
		default:
			i = scalarEnd(s, i)
		}
		if depth <= 0 {
			return i
		}
	}
	return i
}

// scalarEnd returns where the number or the literal that begins at i ends.
func scalarEnd[T ~string | ~[]byte](s T, i int) int {
	for i++; i < len(s); i++ {
		switch s[i] {
		case ',', ']', '}', ' ', '\t', '\r', '\n':
			return i
		}
	}
	return i
}

// stringEnd returns where the string that begins at i ends.
func stringEnd[T ~string | ~[]byte](s T, i int) int {
	for i++; i < len(s); i++ {
		switch s[i] {
		case '"':
			return i + 1
		case '\\':
			i++
		}
	}
	return len(s)
}

// space returns the index of the first byte from i on that is not white space.
func space[T ~string | ~[]byte](s T, i int) int {
	for i < len(s) && (s[i] == ' ' || s[i] == '\t' || s[i] == '\r' || s[i] == '\n') {
		i++
	}
	return i
}

// unquoted is the text of a valid JSON string. One of plain ASCII is not copied.
func unquoted(s string) string {
	if escaped, ascii := inspect(s); !escaped && len(s) >= len(`""`) {
		if s = s[1 : len(s)-1]; ascii {
			return s
		}
		return replaced(s)
	}
	var text string
	if json.Unmarshal([]byte(s), &text) != nil {
		return s // not a string
	}
	return text
}

// inspect reports whether a JSON string has escapes, and if not whether all of it is ASCII.
func inspect(s string) (escaped, ascii bool) {
	ascii = true
	for i := range len(s) {
		switch c := s[i]; {
		case c == '\\':
			return true, ascii
		case c >= utf8.RuneSelf:
			ascii = false
		}
	}
	return false, ascii
}

// replaced is s with U+FFFD for each byte that is not UTF-8, as encoding/json decodes it.
func replaced(s string) string {
	if utf8.ValidString(s) {
		return s
	}
	size := 0
	for _, r := range s {
		size += utf8.RuneLen(r)
	}
	var text strings.Builder
	text.Grow(size)
	for _, r := range s {
		text.WriteRune(r)
	}
	return text.String()
}

// compact is a valid JSON value without the white space between its parts.
func compact(value []byte) string {
	var text strings.Builder
	text.Grow(len(value))
	start := 0
	for i := 0; i < len(value); {
		switch value[i] {
		case '"':
			i = stringEnd(value, i)
		case ' ', '\t', '\r', '\n':
			text.Write(value[start:i])
			i = space(value, i)
			start = i
		default:
			i++
		}
	}
	text.Write(value[start:])
	return text.String()
}

// member is a field of a struct, and the name of the member that it takes.
type member struct {
	name  string
	field json.Unmarshaler
}

// readMembers fills fields from an object as encoding/json does: names are the same in upper and
// lower case, and a later member adds to an earlier one. A value that is no object has no members.
func readMembers(object []byte, fields ...member) error {
	for name, value := range members(object) {
		if name = name[1 : len(name)-1]; bytes.IndexByte(name, '\\') >= 0 {
			name = []byte(unquoted(`"` + string(name) + `"`))
		}
		for _, f := range fields {
			if len(name) >= len(f.name) && bytes.EqualFold(name, []byte(f.name)) {
				if err := f.field.UnmarshalJSON(value); err != nil {
					return err
				}
				break
			}
		}
	}
	return nil
}
