// Package scan says of an event, without decoding it, that root surely did not make it.
//
// It stands in front of the exact decoder of package pipeline and takes the mass of the traffic off
// it: one pass validates the JSON as strictly as encoding/json does and finds `userIdentity.type`
// on the way, 8 bytes at a time and without allocating. It never guesses: whatever is not plain (an
// escaped, repeated or oddly spelled key on the path, an unexpected type, an identity that might be
// root) is left to the exact decoder.
//
// The promise of every [Verdict], with json for encoding/json:
//
//	NotRoot     ⇒  json accepts data[:n], and reads in it one CloudTrail event that root did not make
//	Unsure      ⇒  json accepts data[:n]
//	Incomplete  ⇒  json finds "unexpected end of JSON input"
//	Invalid     ⇒  json finds another error in the first value
package scan

// Verdict is what [Next] found out about a value.
type Verdict uint8

const (
	// Unsure is a valid JSON value that the exact decoder must judge.
	Unsure Verdict = iota
	// NotRoot is a valid JSON object that is one CloudTrail event, bare or in EventBridge's
	// envelope, made by somebody who is surely not root.
	NotRoot
	// Incomplete means that data ends inside the value, or before it. Nothing is wrong up to there.
	Incomplete
	// Invalid means that no continuation makes the data a JSON value that encoding/json accepts.
	Invalid
)

func (v Verdict) String() string {
	switch v {
	case Unsure:
		return "unsure"
	case NotRoot:
		return "not root"
	case Incomplete:
		return "incomplete"
	case Invalid:
		return "invalid"
	}
	return "unknown"
}

// Next scans the first JSON value of data, skipping leading white space. For Unsure and NotRoot n
// is the number of bytes up to the end of the value, leading white space included, trailing not;
// for Incomplete and Invalid it is 0. What follows the value is not looked at: who expects a single
// value checks that only JSON's white space follows, because encoding/json refuses anything else
// there.
//
// A value that is longer than data is Incomplete, and the next call starts again at its beginning.
// A reader that has at least twice the bytes before each new try (it doubles a buffer of which the
// value fills more than half) scans less than three times the value's length in all, however long
// it is; one that adds a fixed amount needs quadratic time.
//
// A number has no end of its own: one that reaches the end of data counts as complete, so in
// mid-stream a bare number with n == len(data) may go on. Objects, arrays, strings and literals are
// complete when Next says so.
func Next(data []byte) (n int, v Verdict) {
	i := space(data, 0)
	if i == len(data) {
		return 0, Incomplete
	}
	var w walk
	if data[i] == '{' {
		n = w.object(data, i, 0, inEvent)
	} else {
		n = w.skip(data, i, 0)
	}
	switch {
	case n == cutOff:
		return 0, Incomplete
	case n < 0:
		return 0, Invalid
	case w.notRoot():
		return n, NotRoot
	}
	return n, Unsure
}
