package archive

// skimmer finds the end of a value by its brackets and quotes, in as many pieces as it comes. It
// does not validate: it is for values that are too long for the buffer, or broken.
type skimmer struct {
	depth    int
	inString bool
	escaped  bool
	begun    bool
}

// feed takes the next piece. It returns how many of its bytes belong to the value, and whether the
// value ends there. A line that ends inside a string ends nothing: no JSON string goes over a
// line's end, so the brackets behind it mean something else.
func (s *skimmer) feed(data []byte) (n int, ended bool) {
	for i, b := range data {
		switch {
		case s.escaped:
			s.escaped = false
		case s.inString:
			switch b {
			case '\\':
				s.escaped = true
			case '\n':
				return i, false
			case '"':
				if s.inString = false; s.depth == 0 {
					return i + 1, true
				}
			}
		default:
			switch b {
			case '"':
				s.inString, s.begun = true, true
			case '{', '[':
				s.depth++
				s.begun = true
			case '}', ']':
				if s.depth--; s.depth <= 0 {
					return i + max(0, 1+s.depth), true // a bracket too much is not part of the value
				}
			case ',', ' ', '\t', '\r', '\n':
				if s.depth == 0 && s.begun {
					return i, true
				}
			default:
				s.begun = true
			}
		}
	}
	return len(data), false
}

// skip steps over the value that begins here, whatever its length.
func (c *cutter) skip() error {
	var s skimmer
	for {
		n, ended := s.feed(c.buf[c.start:c.end])
		broken := !ended && c.start+n < c.end
		c.start += n
		switch {
		case ended:
			return nil
		case broken:
			return errReported
		case !c.more():
			return c.cutOff()
		}
	}
}
