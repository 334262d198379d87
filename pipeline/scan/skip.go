package scan

// Functions that scan take the index at which to start and return the index behind what they
// accepted, or one of these.
const (
	cutOff    = -1 // the data ends too early
	malformed = -2
)

const (
	// maxDepth is the nesting that encoding/json accepts.
	maxDepth = 10_000
	// maxPlainDepth is the nesting beyond which a value is left to the exact decoder.
	maxPlainDepth = 64
)

// skip validates the value that starts at i, which is below depth arrays and objects.
func (w *walk) skip(data []byte, i, depth int) int {
	if uint(i) >= uint(len(data)) {
		return cutOff
	}
	switch data[i] {
	case '"':
		return text(data, i+1)
	case '{', '[':
		return w.container(data, i, depth)
	}
	return scalar(data, i)
}

// container validates the array or object that starts at i. It keeps the kinds of the open ones in
// the bits of a word, the innermost lowest, and calls itself where 64 are not enough.
//
// Its steps are labels and not functions, and strings without escapes are read in place: calls here
// would cost a quarter of the speed.
func (w *walk) container(data []byte, i, depth int) int {
	var objects uint64 // 1: object, 0: array
	open := 0
	var c byte

value: // a value begins at i
	if uint(i) >= uint(len(data)) {
		return cutOff
	}
	switch c = data[i]; c {
	case '"':
		i = run(data, i+1, 0)
		if closes(data, i) {
			i++
		} else if i = text(data, i); i < 0 {
			return i
		}
	case '{', '[':
		if open == 64 {
			if i = w.container(data, i, depth+open); i < 0 {
				return i
			}
			break
		}
		open++
		if depth+open > maxPlainDepth {
			w.unsure = true
			if depth+open > maxDepth {
				return malformed
			}
		}
		objects <<= 1
		if i = space(data, i+1); i == len(data) {
			return cutOff
		}
		if data[i] == c+2 { // '}' is '{'+2, ']' is '['+2
			goto closed
		}
		if c == '{' {
			objects |= 1
			goto member
		}
		goto value
	default:
		if i = scalar(data, i); i < 0 {
			return i
		}
	}

after: // a value has ended before i
	if i = space(data, i); i == len(data) {
		return cutOff
	}
	if data[i] == ',' {
		i = space(data, i+1)
		if objects&1 != 0 {
			goto member
		}
		goto value
	}
	if data[i] != ']'+byte(objects&1)<<5 {
		return malformed
	}

closed: // the innermost closes at i
	i++
	objects >>= 1
	open--
	if open > 0 {
		goto after
	}
	return i

member: // a member begins at i
	if uint(i) >= uint(len(data)) {
		return cutOff
	}
	if data[i] != '"' {
		return malformed
	}
	i = run(data, i+1, 0)
	if closes(data, i) {
		i++
	} else if i = text(data, i); i < 0 {
		return i
	}
	if uint(i) < uint(len(data)) && data[i] == ':' {
		i = space(data, i+1)
	} else if i = colon(data, i); i < 0 {
		return i
	}
	goto value
}

// colon validates the colon at i, with white space around it, and returns where the value begins.
func colon(data []byte, i int) int {
	if i = space(data, i); i == len(data) {
		return cutOff
	}
	if data[i] != ':' {
		return malformed
	}
	return space(data, i+1)
}

// space returns the index of the first byte from i on that is not white space.
func space(data []byte, i int) int {
	const white uint64 = 1<<' ' | 1<<'\n' | 1<<'\r' | 1<<'\t'
	for uint(i) < uint(len(data)) && data[i] <= ' ' && white>>data[i]&1 != 0 {
		i++
	}
	return i
}
