package scan

import (
	"bytes"
	"encoding/binary"

	"rootwatch/classify"
)

// watched returns which watched member a plain name is, 0 if none. A name that encoding/json would
// take for a watched one though it is spelled in another case makes the value unsure.
func (w *walk) watched(name []byte, at level) members {
	if len(name) < 4 {
		return 0
	}
	// The first four letters in lower case tell nearly all names apart.
	head := binary.LittleEndian.Uint32(name) | 0x20202020
	switch at {
	case inEvent:
		switch head {
		case 'd' | 'e'<<8 | 't'<<16 | 'a'<<24:
			return w.spelled(name, "detail", detail) | w.spelled(name, "detail-type", detailType)
		case 's' | 'o'<<8 | 'u'<<16 | 'r'<<24:
			return w.spelled(name, "source", source)
		case 'u' | 's'<<8 | 'e'<<16 | 'r'<<24:
			return w.spelled(name, "userIdentity", eventIdentity)
		case 'e' | 'v'<<8 | 'e'<<16 | 'n'<<24:
			return w.spelled(name, "eventSource", eventSource) | w.spelled(name, "eventName", eventName) |
				w.spelled(name, "Events", otherForm)
		case 'r' | 'e'<<8 | 'c'<<16 | 'o'<<24:
			return w.spelled(name, "Records", otherForm)
		case 'm' | 'e'<<8 | 's'<<16 | 's'<<24:
			return w.spelled(name, "messageType", otherForm)
		case 'l' | 'o'<<8 | 'g'<<16 | 'e'<<24:
			return w.spelled(name, "logEvents", otherForm)
		case 'c' | 'l'<<8 | 'o'<<16 | 'u'<<24:
			return w.spelled(name, "CloudTrailEvent", otherForm)
		}
	case inDetail:
		if head == 'u'|'s'<<8|'e'<<16|'r'<<24 {
			return w.spelled(name, "userIdentity", detailIdentity)
		}
	case inIdentity:
		if head == 't'|'y'<<8|'p'<<16|'e'<<24 {
			return w.spelled(name, "type", identityType)
		}
	}
	return 0
}

// spelled returns member if the name is spelled like it.
func (w *walk) spelled(name []byte, like string, member members) members {
	if len(name) != len(like) {
		return 0
	}
	if string(name) == like {
		return member
	}
	if bytes.EqualFold(name, []byte(like)) {
		w.unsure = true
	}
	return 0
}

// FromAWS reports whether an envelope's source is a service of AWS: "aws." and a service's name,
// which PutEvents refuses to everybody else (EventBridge API Reference, PutEventsRequestEntry).
// Sources of partners ("aws.partner/example.com/…") begin in the same way, and what they send is
// the partner's.
func FromAWS[T string | []byte](source T) bool {
	const prefix, partner = "aws.", "partner"
	if len(source) <= len(prefix) || string(source[:len(prefix)]) != prefix {
		return false
	}
	service := source[len(prefix):]
	for i := range len(service) {
		switch c := service[i]; {
		case 'a' <= c && c <= 'z', '0' <= c && c <= '9', c == '-', c == '.':
		default:
			return false
		}
	}
	return len(service) < len(partner) || string(service[:len(partner)]) != partner ||
		len(service) > len(partner) && service[len(partner)] != '.'
}

// expected reports whether a watched member has a value that belongs to an event that root did not
// make.
func expected(member members, value []byte) bool {
	if len(value) < len(`"x"`) || value[0] != '"' || bytes.IndexByte(value, '\\') >= 0 {
		return false // not a string, an empty one, or one that is spelled with escapes
	}
	value = value[1 : len(value)-1]
	switch member {
	case detailType:
		return bytes.HasSuffix(value, []byte(" via CloudTrail"))
	case source:
		return FromAWS(value)
	case eventSource:
		return !bytes.HasPrefix(value, []byte("aws:")) // a notification of another service's, in CloudTrail's shape
	case eventName:
		return true
	case identityType:
		// A text of 32 bytes is converted on the stack, and no type that AWS documents is nearly as
		// long.
		return len(value) <= 32 && classify.NeverRoot(string(value))
	}
	return false
}
