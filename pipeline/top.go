package pipeline

import (
	"strings"

	"rootwatch/pipeline/scan"
)

// top is what stands at the top level of a text: enough to tell which form it has. Values are JSON texts;
// nil means absent or null. Names are matched as encoding/json matches them, upper and lower case alike, and
// of several members with one name the last holds.
type top struct {
	// EventBridge
	detailType, source, account, region, time, detail []byte
	// A bare event. LookupEvents gives the same two members in capitals beside the event proper, which
	// matters: that element has no identity, and as a bare event it would pass for not root.
	eventSource, eventName     []byte
	lookupSource, lookupName   []byte
	cloudTrailEvent            []byte
	messageType, owner         []byte // CloudWatch Logs
	message                    []byte // an element of logEvents
	logEvents, records, events *list
}

// list is an array of events.
type list struct {
	elements [][]byte
	notRoot  int // those that need no second look, left out of the elements
}

func (l *list) size() int { return len(l.elements) + l.notRoot }

// single says whether the text is one event.
func (t *top) single() bool { return t.detailType != nil || t.bare() }

func (t *top) bare() bool {
	if isString(t.eventSource) && isString(t.eventName) {
		return true
	}
	return t.cloudTrailEvent == nil &&
		(isString(t.eventSource) || isString(t.lookupSource)) && (isString(t.eventName) || isString(t.lookupName))
}

// control says whether the text is CloudWatch Logs' own.
func (t *top) control() bool { return !t.single() && textOr(t.messageType) == "CONTROL_MESSAGE" }

// readTop reads the top level of a text of any form. On an error t holds what stands before it, the
// elements of a list that breaks included. Lists of more than maxElements are an error; 0 means that no list
// is looked for.
func (r *reading) readTop(data []byte, maxElements int) (t *top, err error) {
	t = new(top)
	w := walker{data: data, exhaustive: r.exhaustive}
	if w.peek() != '{' {
		if _, err := w.value(); err != nil {
			return t, err
		}
		return t, w.end()
	}
	err = w.object(func(key string) error {
		if l := t.list(key); l != nil && maxElements > 0 && w.peek() == '[' {
			*l = new(list)
			return r.readList(&w, *l, maxElements, l == &t.records && !r.exhaustive)
		}
		v, err := w.value()
		if err != nil {
			return err
		}
		if f := t.field(key); f != nil {
			if *f = v; string(v) == "null" {
				*f = nil
			}
		}
		return nil
	})
	if err != nil {
		return t, err
	}
	return t, w.end()
}

// readList reads an array's elements. ofEvents means that each of them should be an event: those that are surely
// not root's are only counted.
func (r *reading) readList(w *walker, l *list, maxElements int, ofEvents bool) error {
	return w.array(func() error {
		if l.size() == maxElements {
			return errTooMany
		}
		if ofEvents {
			if n, v := scan.Next(w.data[w.pos:]); v == scan.NotRoot {
				w.pos += n
				l.notRoot++
				return nil
			}
		}
		v, err := w.value()
		if err == nil {
			l.elements = append(l.elements, v)
		}
		return err
	})
}

// list gives the list that a member's name means, nil for any other name.
func (t *top) list(key string) **list {
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
func (t *top) field(key string) *[]byte {
	switch key { // LookupEvents' capitals, before case is ignored
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
	case named(key, "cloudTrailEvent"):
		return &t.cloudTrailEvent
	case named(key, "messageType"):
		return &t.messageType
	case named(key, "owner"):
		return &t.owner
	case named(key, "message"):
		return &t.message
	}
	return nil
}

// named says whether a member's name means a field, by the rule of encoding/json. A letter's other case may
// take more bytes (the Kelvin sign is a K), never fewer.
func named(key, field string) bool { return len(key) >= len(field) && strings.EqualFold(key, field) }

func isString(value []byte) bool { return len(value) > 0 && value[0] == '"' }

// textOr is a string's value, "" for anything else.
func textOr(value []byte) string {
	if !isString(value) {
		return ""
	}
	s, err := text(value)
	if err != nil {
		return ""
	}
	return s
}
