package scan

import (
	"encoding/binary"
	"math/bits"
)

// Eight copies of a byte in a word.
const (
	each  = 0x0101010101010101
	highs = 0x80 * each
)

// special returns a word whose lowest set bit stands in the first byte of w that is not copied from
// a string as it is: a quote, a backslash or a control character. It is 0 if there is none. Bits
// above the lowest one mean nothing (a borrow may have set them).
//
// For a byte below 0x80 the difference has its high bit set if and only if the byte is less than
// what is subtracted. Flipping 0x02 swaps the quote (0x22) with the space (0x20): the quote then
// borders on the control characters, and one comparison finds both.
func special(w uint64) uint64 {
	return ((w ^ 0x02*each - 0x21*each) | (w ^ '\\'*each - each)) &^ w & highs
}

// run returns the index of the first byte from i on that is special, or has one of the bits of also
// in its eighth of a word. In the last seven bytes of data it stops early: the byte at the returned
// index may be any, those before it are plain. It is small enough for the compiler to inline it,
// which is half of the speed.
func run(data []byte, i int, also uint64) int {
	for i >= 0 && i < len(data)-7 { // so that no bound need be checked again
		w := binary.LittleEndian.Uint64(data[i:])
		if m := special(w) | w&also; m != 0 {
			return i + bits.TrailingZeros64(m)>>3
		}
		i += 8
	}
	return i
}

// closes reports whether i is the index of a closing quote, after [run].
func closes(data []byte, i int) bool { return uint(i) < uint(len(data)) && data[i] == '"' }

// text validates a string from behind its opening quote to behind its closing one.
func text(data []byte, i int) int {
	for {
		if i = run(data, i, 0); i >= len(data) {
			return cutOff
		}
		switch c := data[i]; {
		case c == '"':
			return i + 1
		case c < ' ' || c == '\\':
			if i = escape(data, i); i < 0 {
				return i
			}
		default:
			i++
		}
	}
}

// escape validates the escape at i, and refuses the control character that may stand there instead.
func escape(data []byte, i int) int {
	if data[i] != '\\' {
		return malformed
	}
	i++
	if i == len(data) {
		return cutOff
	}
	switch data[i] {
	case '"', '\\', '/', 'b', 'f', 'n', 'r', 't':
		return i + 1
	case 'u':
		i++
		for end := i + 4; i < end; i++ {
			if i == len(data) {
				return cutOff
			}
			if c := data[i] | 0x20; !digit(data[i]) && (c < 'a' || c > 'f') {
				return malformed
			}
		}
		return i
	}
	return malformed
}

// name validates the string that opens at i, where a member must begin. plain is false if it has an
// escape or is not ASCII, so that its bytes are not what encoding/json compares.
func name(data []byte, i int) (end int, plain bool) {
	if i == len(data) {
		return cutOff, true
	}
	if data[i] != '"' {
		return malformed, true
	}
	for i = run(data, i+1, highs); i < len(data); i++ {
		switch c := data[i]; {
		case c == '"':
			return i + 1, true
		case c < ' ' || c == '\\' || c >= 0x80:
			return text(data, i), false
		}
	}
	return cutOff, true
}
