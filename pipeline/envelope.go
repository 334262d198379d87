package pipeline

import (
	"bytes"
	"errors"
	"strings"
	"time"

	"rootwatch/classify/plain"
	"rootwatch/pipeline/scan"
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
// looked for inside lists. Insight events, which have no identity, may stand wherever an event may.

var (
	errEmpty     = errors.New("empty record")
	errTooMany   = errors.New("limit exceeded: more events in one record than allowed")
	errTooLong   = errors.New("limit exceeded: an event of more than 4 MiB, sixteen times what CloudTrail makes")
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
	t := &r.memory.document
	err := r.readTop(t, data, r.maxEvents)
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
	case t.single(), r.batch.File != "" && t.identity != nil && !t.many():
		// What comes out of a log file stood in a list there: see one.
		r.event(data, r.owner)
	case t.control():
		r.count(resultNotCloudTrail) // CloudWatch Logs tries whether the stream can be reached
	default:
		return r.many(t)
	}
	return nil
}

// one decodes a text that should be one event: an element of a list, or a string in it. There an identity is
// enough to be judged, as in an envelope: a root call that lacks another member must not vanish.
func (r *reading) one(data []byte) {
	if r.surelyNotRoot(data) {
		r.count(resultNotRoot)
		return
	}
	t := &r.memory.single
	err := r.readTop(t, data, 0)
	switch {
	case err != nil:
		r.undecodable(data, err)
	case t.detailType != nil:
		r.eventBridge(t)
	case t.single(), t.identity != nil:
		r.event(data, r.owner)
	default:
		r.count(resultNotCloudTrail)
	}
}

// many decodes the forms that hold a list; in any other text it finds nothing. Should there be several lists, all are
// judged. It fails if the text says that there are events and has none.
func (r *reading) many(t *top) error {
	r.owner = textOr(t.owner)
	r.countMany(resultNotRoot, t.records.notRoot)
	for _, e := range t.logEvents.elements {
		r.wrapped(e, errNoMessage)
	}
	for _, e := range t.records.elements {
		r.one(e.text)
	}
	for _, e := range t.events.elements {
		if e.quoted == nil {
			r.count(resultNotCloudTrail)
			continue
		}
		r.wrapped(e, errNoEvent)
	}
	if t.cloudTrailEvent != nil {
		r.quoted(t.cloudTrailEvent, errNoEvent)
	}
	if !t.logEvents.present && is(t.messageType, "DATA_MESSAGE") {
		return errNoEvents
	}
	return nil
}

// wrapped decodes an element that should hold an event in a string; wrong is the error if it does not.
func (r *reading) wrapped(e element, wrong error) {
	switch {
	case e.quoted == nil:
		r.undecodable(e.text, wrong)
	case e.broken && !isString(e.quoted):
		// The break is told of already.
	default:
		r.quoted(e.quoted, wrong)
	}
}

// quoted decodes an event that stands in a string; wrong is the error if it is none.
func (r *reading) quoted(value []byte, wrong error) {
	if len(value) > 2*maxEvent {
		r.undecodable(value, errTooLong)
		return
	}
	event, ok := appendText(r.memory.unquoted[:0], value)
	if !ok {
		r.undecodable(value, wrong)
		return
	}
	r.memory.unquoted = event
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
				"source", plain.Cut(source, 128), "detail_type", plain.Cut(detailType, 128), "account", plain.Cut(textOr(t.account), 128),
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

// believes says whether a source may speak for CloudTrail: AWS's services, and those that the operator trusts.
func (r *reading) believes(source string) bool { return scan.FromAWS(source) || r.trusted[source] }
