package scan

// walk is what is known of one value while it is scanned.
type walk struct {
	seen   members // watched members met, each once, plain and of the expected kind
	unsure bool    // met something that only the exact decoder may judge
}

// members is a set of watched members.
type members uint16

const (
	detailType     members = 1 << iota // of the event: a string that ends in " via CloudTrail"
	source                             // of the event: AWS's, see [FromAWS]
	detail                             // of the event: an object
	eventSource                        // of the event: a string that is not empty, and not a notification's
	eventName                          // of the event: a string that is not empty
	eventIdentity                      // userIdentity of the event: an object
	detailIdentity                     // userIdentity of the detail: an object
	identityType                       // type of a userIdentity: one that is never root's
	otherForm                          // of the event: what other kinds of documents are known by
)

// The members that make an event surely not root's: exactly these, and no other watched one.
const (
	envelope = detailType | source | detail | detailIdentity | identityType
	bare     = eventSource | eventName | eventIdentity | identityType
)

func (w *walk) notRoot() bool { return !w.unsure && (w.seen == envelope || w.seen == bare) }

// level is one of the objects whose members are watched.
type level uint8

const (
	inEvent level = iota
	inDetail
	inIdentity
)

// object validates the object that starts at i, below depth others, and takes note of its watched
// members.
func (w *walk) object(data []byte, i, depth int, at level) int {
	if i = space(data, i+1); i == len(data) {
		return cutOff
	}
	if data[i] == '}' {
		return i + 1
	}
	for {
		start := i + 1
		plain := false
		if i, plain = name(data, i); i < 0 {
			return i
		}
		var member members
		if plain {
			member = w.watched(data[start:i-1], at)
		} else {
			w.unsure = true // it might be a watched one in disguise
		}
		if uint(i) < uint(len(data)) && data[i] == ':' {
			i = space(data, i+1)
		} else if i = colon(data, i); i < 0 {
			return i
		}
		if member != 0 {
			if i = w.value(data, i, depth+1, member); i < 0 {
				return i
			}
		} else if uint(i) < uint(len(data)) && data[i] == '"' {
			i = run(data, i+1, 0)
			if closes(data, i) {
				i++
			} else if i = text(data, i); i < 0 {
				return i
			}
		} else if i = w.skip(data, i, depth+1); i < 0 {
			return i
		}
		if i = space(data, i); i == len(data) {
			return cutOff
		}
		switch data[i] {
		case '}':
			return i + 1
		case ',':
			i = space(data, i+1)
		default:
			return malformed
		}
	}
}

// value validates the value of a watched member and takes note of it.
func (w *walk) value(data []byte, i, depth int, member members) int {
	if w.seen&member != 0 {
		w.unsure = true // repeated: what counts then is for the exact decoder to know
	}
	w.seen |= member
	if i < len(data) && data[i] == '{' {
		switch member {
		case detail:
			return w.object(data, i, depth, inDetail)
		case eventIdentity, detailIdentity:
			return w.object(data, i, depth, inIdentity)
		}
	}
	end := w.skip(data, i, depth)
	if end > 0 && !expected(member, data[i:end]) {
		w.unsure = true
	}
	return end
}
