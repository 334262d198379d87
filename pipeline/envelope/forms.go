package envelope

import (
	"bytes"
	"errors"
	"strings"
	"time"
)

// The forms that a record may have, tried in this order:
//
//	EventBridge envelope     {"detail-type":"AWS API Call via CloudTrail","source":"aws.ec2",…,"detail":{event}}
//	bare event               {"eventSource":"…","eventName":"…",…}, by a rule's InputPath $.detail
//	CloudWatch Logs payload  {"messageType":"DATA_MESSAGE","owner":"…",…,"logEvents":[{"message":"event"},…]}
//	S3 log file              {"Records":[event,…]}
//	LookupEvents answer      {"Events":[{"CloudTrailEvent":"event"},…]}, and one element of it alone
//
// each of them as it is or gzipped. An event in a list is bare or in an EventBridge envelope; lists
// are not looked for inside lists. Insight events and aggregated events may stand wherever an event
// may. See judge.go for what an event must say.

var (
	errEmpty     = errors.New("empty record")
	errNoDetail  = errors.New("the envelope's detail is not an object")
	errNoEvents  = errors.New("a DATA_MESSAGE without a list of logEvents")
	errNoMessage = errors.New("the log event's message is not a string")
	errNoEvent   = errors.New("the element's CloudTrailEvent is not a string")
)

// readDocument yields the units of a record's text. broken is why the text is not all that was
// sent, nil if it is: the events before the break are judged, and the break is one undecodable
// unit.
func (d *Decoder) readDocument(data []byte, broken error, inFile bool, yield func(Unit) bool) {
	if broken == nil && !beginsAsList(data) && d.surelyNotRoot(data) {
		yield(Unit{Kind: NotRoot, Events: 1})
		return
	}
	if broken == nil && len(data) == 0 {
		broken = errEmpty
	}
	t := &d.document
	err := t.read(data, d.cfg.MaxEvents, d.exhaustive)
	switch {
	case err != nil && (t.isEvent() || t.isControl()):
		// Not one whole event: nothing to judge.
	case err == nil && t.isEventBridge():
		if !yield(d.eventBridge(t)) {
			return
		}
	case err == nil && (t.isEvent() || t.isAggregated() || inFile && t.identity != nil && !t.holdsEvents()):
		// What comes out of a log file stood in a list there: see readListed.
		if !yield(event(data, t, "")) {
			return
		}
	case err == nil && t.isControl(): // CloudWatch Logs tries whether the stream can be reached
		if !yield(Unit{Kind: NotCloudTrail, Events: 1}) {
			return
		}
	default:
		// Of a text that breaks, what stood behind the break might have made it another form: these
		// are events all the same.
		if !d.readLists(t, yield) {
			return
		}
		switch {
		case err != nil:
		case t.lacksEvents():
			err = errNoEvents
		case !t.holdsElements() && broken == nil: // none of the forms, or a list without an element
			yield(Unit{Kind: NotCloudTrail, Events: 1})
		}
	}
	if broken != nil {
		err = broken // the first cause
	}
	if err != nil {
		yield(undecodable(data, err))
	}
}

// listBeginnings are the members that the forms with a list begin with, as AWS writes them.
var listBeginnings = []string{`"Records"`, `"messageType"`, `"Events"`}

// beginsAsList reports whether a text looks like a list: the scanner would go through all of it in
// vain. Where that is an error nothing is lost but time.
func beginsAsList(data []byte) bool {
	w := walker{data: data}
	if !w.take('{') || w.peek() != '"' {
		return false
	}
	for _, member := range listBeginnings {
		if bytes.HasPrefix(data[w.pos:], []byte(member)) {
			return true
		}
	}
	return false
}

// readLists yields the units of the forms that hold a list; in any other text there are none.
// Should there be several lists, all are judged. It returns false if the consumer has left.
func (d *Decoder) readLists(t *topLevel, yield func(Unit) bool) bool {
	d.owner = textOr(t.owner)
	if n := t.records.notRoot; n > 0 && !yield(Unit{Kind: NotRoot, Events: n}) {
		return false
	}
	for _, e := range t.logEvents.elements {
		if !d.readWrapped(e, errNoMessage, yield) {
			return false
		}
	}
	for _, e := range t.records.elements {
		if !yield(d.readListed(e.text)) {
			return false
		}
	}
	for _, e := range t.events.elements {
		if e.quoted == nil {
			if !yield(Unit{Kind: NotCloudTrail, Events: 1}) {
				return false
			}
		} else if !d.readWrapped(e, errNoEvent, yield) {
			return false
		}
	}
	return t.cloudTrailEvent == nil || yield(d.readQuoted(t.cloudTrailEvent, errNoEvent))
}

// readWrapped yields the unit of an element that should hold an event in a string; wrong is the
// error if it does not.
func (d *Decoder) readWrapped(e element, wrong error, yield func(Unit) bool) bool {
	switch {
	case e.quoted == nil:
		return yield(undecodable(e.text, wrong))
	case e.broken && !isString(e.quoted):
		return true // the break is a unit of its own
	}
	return yield(d.readQuoted(e.quoted, wrong))
}

// readQuoted reads an event that stands in a string; wrong is the error if it is none.
func (d *Decoder) readQuoted(value []byte, wrong error) Unit {
	if len(value) > 2*maxEvent {
		return undecodable(value, errTooLong)
	}
	text, ok := appendText(d.unquoted[:0], value)
	if !ok {
		return undecodable(value, wrong)
	}
	d.unquoted = text
	return d.readListed(text)
}

// readListed reads a text that should be one event: an element of a list, or a string in it. There
// an identity is enough to be judged, as in an envelope: a root call that lacks another member must
// not vanish.
func (d *Decoder) readListed(text []byte) Unit {
	if d.surelyNotRoot(text) {
		return Unit{Kind: NotRoot, Events: 1}
	}
	t := &d.listed
	err := t.read(text, 0, d.exhaustive)
	switch {
	case err != nil:
		return undecodable(text, err)
	case t.isEventBridge():
		return d.eventBridge(t)
	case t.isEvent(), t.isAggregated(), t.identity != nil:
		return event(text, t, d.owner)
	}
	return Unit{Kind: NotCloudTrail, Events: 1}
}

// viaCloudTrail ends the detail-type of all of CloudTrail's events, those to come included: AWS API
// Call, AWS Console Sign In, AWS Service Event, AWS Insight ….
const viaCloudTrail = " via CloudTrail"

// eventBridge reads an EventBridge envelope.
func (d *Decoder) eventBridge(t *topLevel) Unit {
	detailType, source, account := textOr(t.detailType), textOr(t.source), textOr(t.account)
	switch {
	case source == "aws.events" && detailType == "Scheduled Event":
		at, _ := time.Parse(time.RFC3339, textOr(t.time)) // zero if it is no time
		return Unit{Kind: Heartbeat, Events: 1, Region: textOr(t.region), Time: at}
	case !strings.HasSuffix(detailType, viaCloudTrail):
		return Unit{Kind: NotCloudTrail, Events: 1}
	case !d.believes(source):
		return Unit{Kind: ForeignSource, Events: 1, Source: source, DetailType: detailType, Account: account}
	case len(t.detail) == 0 || t.detail[0] != '{':
		return undecodable(t.detail, errNoDetail)
	case account == "":
		account = d.owner
	}
	if err := d.detail.read(t.detail, 0, d.exhaustive); err != nil {
		return undecodable(t.detail, err)
	}
	return detail(t.detail, &d.detail, account)
}
