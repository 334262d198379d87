package pipeline

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
// each of them as it is or gzipped. An event in a list is bare or in an EventBridge envelope; lists are not
// looked for inside lists.

var (
	errEmpty     = errors.New("empty record")
	errTooMany   = errors.New("limit exceeded: more events in one record than allowed")
	errNoDetail  = errors.New("the envelope's detail is not an object")
	errNoEvents  = errors.New("a DATA_MESSAGE without a list of logEvents")
	errNoMessage = errors.New("the log event's message is not a string")
	errNoEvent   = errors.New("the element's CloudTrailEvent is not a string")
)

// document decodes the text of a record. broken says why the text is not all that was sent, nil if it is: the
// events before the break are judged, and the break is one undecodable unit.
func (r *reading) document(data []byte, broken error) {
	if broken == nil && !beginsAsList(data) && r.surelyNotRoot(data) {
		r.count(resultNotRoot)
		return
	}
	if broken == nil && len(data) == 0 {
		broken = errEmpty
	}
	t, err := r.readTop(data, r.maxEvents)
	switch {
	case err != nil && (t.single() || t.control()):
		// Not one whole event: nothing to judge.
	case err != nil:
		// What stood behind the break might have made it another form: these are events all the same.
		_ = r.many(t)
	default:
		err = r.whole(data, t)
	}
	if broken != nil {
		err = broken // the first cause
	}
	switch {
	case err != nil:
		r.undecodable(data, err)
	case r.units == 0:
		r.count(resultNotCloudTrail) // none of the forms, or a list without an element
	}
}

// listBeginnings are the members that the forms with a list begin with, as AWS writes them.
var listBeginnings = []string{`"Records"`, `"messageType"`, `"Events"`}

// beginsAsList says whether a text looks like a list: the scanner would go through all of it in vain. Where that is
// an error nothing is lost but time.
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

// whole decodes a valid text of any form.
func (r *reading) whole(data []byte, t *top) error {
	switch {
	case t.detailType != nil:
		r.eventBridge(t)
	case t.bare():
		r.event(data, r.owner)
	case t.control():
		r.count(resultNotCloudTrail) // CloudWatch Logs tries whether the stream can be reached
	default:
		return r.many(t)
	}
	return nil
}

// one decodes a text that should be one event: an element of a list, or a string in it.
func (r *reading) one(data []byte) {
	if r.surelyNotRoot(data) {
		r.count(resultNotRoot)
		return
	}
	t, err := r.readTop(data, 0)
	switch {
	case err != nil:
		r.undecodable(data, err)
	case t.single():
		_ = r.whole(data, t)
	default:
		r.count(resultNotCloudTrail)
	}
}

// many decodes the forms that hold a list; in any other text it finds nothing. It fails if the text says that
// there are events and has none.
func (r *reading) many(t *top) error {
	switch {
	case t.logEvents != nil:
		r.owner = textOr(t.owner)
		r.countMany(resultNotRoot, t.logEvents.notRoot)
		for _, e := range t.logEvents.elements {
			r.logEvent(e)
		}
	case textOr(t.messageType) == "DATA_MESSAGE":
		return errNoEvents
	case t.records != nil:
		r.countMany(resultNotRoot, t.records.notRoot)
		for _, e := range t.records.elements {
			r.one(e)
		}
	case t.events != nil:
		for _, e := range t.events.elements {
			r.lookedUp(e)
		}
	case t.cloudTrailEvent != nil:
		r.quoted(t.cloudTrailEvent, errNoEvent)
	}
	return nil
}

// logEvent decodes an element of logEvents.
func (r *reading) logEvent(element []byte) {
	t, err := r.readTop(element, 0)
	switch {
	case err != nil:
		r.undecodable(element, err)
	case t.message == nil:
		r.undecodable(element, errNoMessage)
	default:
		r.quoted(t.message, errNoMessage)
	}
}

// lookedUp decodes an element of LookupEvents' Events.
func (r *reading) lookedUp(element []byte) {
	t, err := r.readTop(element, 0)
	switch {
	case err != nil:
		r.undecodable(element, err)
	case t.cloudTrailEvent == nil:
		r.count(resultNotCloudTrail)
	default:
		r.quoted(t.cloudTrailEvent, errNoEvent)
	}
}

// quoted decodes an event that stands in a string; wrong is the error if it is none.
func (r *reading) quoted(value []byte, wrong error) {
	event, ok := appendText(r.unquoted[:0], value)
	if !ok {
		r.undecodable(value, wrong)
		return
	}
	r.unquoted = event
	r.one(event)
}

// viaCloudTrail ends the detail-type of all of CloudTrail's events, those to come included: AWS API Call, AWS
// Console Sign In, AWS Service Event, AWS Insight ….
const viaCloudTrail = " via CloudTrail"

// eventBridge handles an EventBridge envelope.
func (r *reading) eventBridge(t *top) {
	detailType, source := textOr(t.detailType), textOr(t.source)
	switch {
	case source == "aws.events" && detailType == "Scheduled Event":
		r.count(resultHeartbeat)
		if at, err := time.Parse(time.RFC3339, textOr(t.time)); err == nil {
			r.batch.heartbeats = append(r.batch.heartbeats, heartbeat{textOr(t.region), at})
		}
	case !strings.HasSuffix(detailType, viaCloudTrail):
		r.count(resultNotCloudTrail)
	case !r.believes(source):
		r.count(resultForeignSource)
		if r.foreign++; r.foreign <= maxTold {
			r.log.Warn("foreign source: an event that only CloudTrail may send was put on the bus by somebody else",
				"source", cut(source, 128), "detail_type", cut(detailType, 128), "account", cut(textOr(t.account), 128),
				"shard_id", r.batch.ShardID, "sequence_number", r.from.SequenceNumber, "file", r.batch.File)
		}
	case len(t.detail) == 0 || t.detail[0] != '{':
		r.undecodable(t.detail, errNoDetail)
	default:
		account := textOr(t.account)
		if account == "" {
			account = r.owner
		}
		r.event(t.detail, account)
	}
}

// believes says whether a source may speak for CloudTrail: AWS's services, whose prefix PutEvents refuses to
// everybody else (EventBridge API Reference, PutEventsRequestEntry), and those that the operator trusts.
func (r *reading) believes(source string) bool {
	service, ok := strings.CutPrefix(source, "aws.")
	return ok && service != "" || r.trusted[source]
}
