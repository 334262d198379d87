package envelope

import (
	"errors"

	"rootwatch/classify"
	"rootwatch/pipeline/scan"
)

// topLevel is what stands at the top level of a text: enough to tell which form it has. Values are
// JSON texts; nil means absent or null. Names are matched as encoding/json matches them, upper and
// lower case alike, and of several members with one name the last holds, but for lists: each of
// them is judged.
type topLevel struct {
	// EventBridge
	detailType, source, account, region, time, detail []byte
	// A bare event. LookupEvents gives the same two members in capitals beside the event proper,
	// which matters: that element has no identity, and as a bare event it would pass for not root.
	eventSource, eventName     []byte
	lookupSource, lookupName   []byte
	cloudTrailEvent            []byte
	identity                   []byte // as encoding/json does, a null leaves what was there before
	eventType, eventCategory   []byte
	messageType, owner         []byte // CloudWatch Logs
	logEvents, records, events list
}

// list is an array of events.
type list struct {
	present  bool // even if it is empty
	elements []element
	notRoot  int // those that need no second look, left out of the elements
}

// element is an element of a list. broken means that the text breaks inside of it: only what stands
// whole in it counts.
type element struct {
	text   []byte
	quoted []byte // the value of the member that holds the event, of elements that are such a wrapping
	broken bool
}

// maxElements is how many elements a list that waits for another text has room for.
const maxElements = 1024

func (l *list) reset() {
	clear(l.elements) // or they would hold on to a record that is done
	*l = list{elements: l.elements[:0]}
	if cap(l.elements) > maxElements {
		l.elements = nil
	}
}

// reset forgets a text, and keeps the memory for the next one.
func (t *topLevel) reset() {
	t.logEvents.reset()
	t.records.reset()
	t.events.reset()
	*t = topLevel{logEvents: t.logEvents, records: t.records, events: t.events}
}

// elements is how many elements the lists have.
func (t *topLevel) elements() int {
	n := 0
	for _, l := range [...]*list{&t.logEvents, &t.records, &t.events} {
		n += len(l.elements) + l.notRoot
	}
	return n
}

// isEventBridge reports whether the text is an EventBridge envelope.
func (t *topLevel) isEventBridge() bool { return t.detailType != nil }

// isEvent reports whether the text is one event.
func (t *topLevel) isEvent() bool { return t.isEventBridge() || t.isBare() || t.isInsight() }

// isBare reports whether the text is an event by itself. A record of the stream may hold anything:
// what is not in a list of events must have both strings to be one.
func (t *topLevel) isBare() bool {
	if isString(t.eventSource) && isString(t.eventName) {
		return true
	}
	return t.cloudTrailEvent == nil &&
		(isString(t.eventSource) || isString(t.lookupSource)) && (isString(t.eventName) || isString(t.lookupName))
}

// isInsight reports whether the text is an Insight event: its source and its name stand in
// insightDetails (AWS CloudTrail User Guide, "CloudTrail record contents for Insights events").
func (t *topLevel) isInsight() bool {
	return (is(t.eventCategory, "Insight") || is(t.eventType, "AwsCloudTrailInsight")) && !t.holdsEvents()
}

// holdsEvents reports whether there is a list in the text, or what else holds events.
func (t *topLevel) holdsEvents() bool {
	return t.logEvents.present || t.records.present || t.events.present || t.cloudTrailEvent != nil
}

// holdsElements reports whether there is at least one element in a list, or what else holds an
// event.
func (t *topLevel) holdsElements() bool { return t.elements() > 0 || t.cloudTrailEvent != nil }

// lacksEvents reports whether the text says that there are events, and has no list of them.
func (t *topLevel) lacksEvents() bool {
	return !t.logEvents.present && is(t.messageType, "DATA_MESSAGE")
}

// isControl reports whether the text is CloudWatch Logs' own.
func (t *topLevel) isControl() bool {
	return !t.isEvent() && is(t.messageType, "CONTROL_MESSAGE") &&
		!t.records.present && !t.events.present && t.cloudTrailEvent == nil
}

// read reads the top level of a text of any form. On an error t holds what stands before it, the
// elements of a list that breaks included. More elements than maxEvents are an error; 0 means that
// no list is looked for.
func (t *topLevel) read(data []byte, maxEvents int, exhaustive bool) error {
	t.reset()
	w := walker{data: data, exhaustive: exhaustive}
	if w.peek() != '{' {
		if _, err := w.value(); err != nil {
			return err
		}
		return w.end()
	}
	for started := false; ; started = true {
		key, more, err := w.member(started)
		if err != nil {
			return err
		}
		if !more {
			return w.end()
		}
		if l := t.list(key); l != nil && maxEvents > 0 && w.peek() == '[' {
			if err := t.readList(&w, l, maxEvents); err != nil {
				return err
			}
			continue
		}
		v, err := w.value()
		if err != nil {
			return err
		}
		t.set(key, v)
	}
}

// set takes note of a member.
func (t *topLevel) set(key, value []byte) {
	f := t.field(key)
	switch {
	case f == nil:
	case f == &t.identity && *f != nil && saysNothing(value):
		// encoding/json adds what the second object says to the first.
	case string(value) != "null":
		*f = value
	case f != &t.identity:
		*f = nil
	}
}

var errTooMany = errors.New("limit exceeded: more events in one record than allowed")

// readList reads an array's elements.
func (t *topLevel) readList(w *walker, l *list, maxEvents int) error {
	l.present = true
	for started := false; ; started = true {
		more, err := w.element(started)
		if err != nil || !more {
			return err
		}
		if t.elements() == maxEvents {
			return errTooMany
		}
		w.peek()
		start := w.pos
		var quoted []byte
		switch l {
		case &t.records:
			if w.notRoot() {
				l.notRoot++
				continue
			}
			_, err = w.value()
		case &t.logEvents:
			quoted, err = w.find("message")
		default:
			quoted, err = w.find("CloudTrailEvent")
		}
		switch {
		case err == nil:
			l.elements = append(l.elements, element{text: w.data[start:w.pos], quoted: quoted})
		case quoted != nil:
			l.elements = append(l.elements, element{text: w.data[start:], quoted: quoted, broken: true})
			return err
		default:
			return err
		}
	}
}

// notRoot steps over the next value if it is an event that root surely did not make.
func (w *walker) notRoot() bool {
	if w.exhaustive {
		return false
	}
	n, v := scan.Next(w.data[w.pos:])
	if v != scan.NotRoot {
		return false
	}
	w.pos += n
	return true
}

// find steps over the next value. If that is an object it gives the value of one of its members,
// nil if that is absent or null, and on an error what stands before it.
func (w *walker) find(member string) (found []byte, err error) {
	if w.peek() != '{' {
		_, err := w.value()
		return nil, err
	}
	for started := false; ; started = true {
		key, more, err := w.member(started)
		if err != nil || !more {
			return found, err
		}
		v, err := w.value()
		if err != nil {
			return found, err
		}
		if named(key, member) {
			if found = v; string(v) == "null" {
				found = nil
			}
		}
	}
}

// list gives the list that a member's name means, nil for any other name.
func (t *topLevel) list(key []byte) *list {
	switch {
	case named(key, "logEvents"):
		return &t.logEvents
	case named(key, "Records"):
		return &t.records
	case named(key, "Events"):
		return &t.events
	}
	return nil
}

// field gives the field that a member's name means, nil for any other name.
func (t *topLevel) field(key []byte) *[]byte {
	switch string(key) { // LookupEvents' capitals, before case is ignored
	case "EventSource":
		return &t.lookupSource
	case "EventName":
		return &t.lookupName
	}
	switch {
	case named(key, "detail-type"):
		return &t.detailType
	case named(key, "source"):
		return &t.source
	case named(key, "account"):
		return &t.account
	case named(key, "region"):
		return &t.region
	case named(key, "time"):
		return &t.time
	case named(key, "detail"):
		return &t.detail
	case named(key, "eventSource"):
		return &t.eventSource
	case named(key, "eventName"):
		return &t.eventName
	case named(key, "userIdentity"):
		return &t.identity
	case named(key, "eventType"):
		return &t.eventType
	case named(key, "eventCategory"):
		return &t.eventCategory
	case named(key, "cloudTrailEvent"):
		return &t.cloudTrailEvent
	case named(key, "messageType"):
		return &t.messageType
	case named(key, "owner"):
		return &t.owner
	}
	return nil
}

// saysNothing reports whether a valid value is an object without any member that says something.
func saysNothing(value []byte) bool {
	w := walker{data: value}
	if w.peek() != '{' {
		return false
	}
	for started := false; ; started = true {
		_, more, err := w.member(started)
		if err != nil {
			return false
		}
		if !more {
			break
		}
		v, err := w.value()
		if err != nil {
			return false
		}
		switch v[0] {
		case '"':
			if len(v) > len(`""`) {
				return false
			}
		case '{', '[', 'n':
		default:
			return false // a number or a boolean
		}
	}
	return classify.EmptyValue(value)
}
