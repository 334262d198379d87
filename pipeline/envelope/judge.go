package envelope

import "errors"

// maxEvent bounds what one event may hold in memory. CloudTrail's have 256 KB at most,
// EventBridge's entries 1 MB.
const maxEvent = 4 << 20

var (
	errTooLong    = errors.New("limit exceeded: an event of more than 4 MiB, sixteen times what CloudTrail makes")
	errNoIdentity = errors.New("no userIdentity: who called cannot be judged")
)

// event is the unit of a text that is one event, and stands in no EventBridge envelope. t is its
// top level, account what is known of the account.
func event(text []byte, t *topLevel, account string) Unit {
	if t.isNotification() {
		return Unit{Kind: NotCloudTrail, Events: 1}
	}
	return detail(text, t, account)
}

// detail is the unit of one event that is CloudTrail's for sure: EventBridge takes events of AWS's
// services from nobody else. An event that says nothing of who called is undecodable, unless it is
// of a kind that names nobody: counted as not root's it would look like an all-clear.
func detail(text []byte, t *topLevel, account string) Unit {
	switch {
	case len(text) > maxEvent:
		return undecodable(text, errTooLong)
	case t.isAggregated():
		return Unit{Kind: Aggregated, Events: 1}
	case !t.identifies() && !t.namesNobody():
		return undecodable(text, errNoIdentity)
	}
	return Unit{Kind: Event, Events: 1, Text: text, Account: account}
}

// isNotification reports whether the event is another service's message in CloudTrail's shape: an
// S3 notification has the source aws:s3, the events that invoke a Lambda function aws:kinesis,
// aws:sqs and the like (Amazon S3 User Guide, "Event message structure"; AWS Lambda Developer
// Guide, the services' example events). CloudTrail's sources are DNS names.
func (t *topLevel) isNotification() bool {
	return begins(t.eventSource, "aws:") || begins(t.lookupSource, "aws:")
}

// isAggregated reports whether the text is one of the aggregated events that a trail writes beside
// its data events, if asked to: five minutes of calls, counted by one dimension. It has an eventId,
// no eventName and no identity (AWS CloudTrail User Guide, "CloudTrail record contents for
// aggregated events").
func (t *topLevel) isAggregated() bool {
	return (is(t.eventCategory, "Aggregated") || is(t.eventType, "AwsAggregatedEvent")) &&
		!isString(t.eventName) && !isString(t.lookupName) && !t.identifies() && !t.holdsEvents()
}

// namesNobody reports whether the event is of a kind that has no identity: an Insight, or what a
// service did without a call (AWS CloudTrail User Guide, "CloudTrail record contents", userIdentity
// and eventType).
func (t *topLevel) namesNobody() bool {
	return is(t.eventCategory, "Insight") || is(t.eventType, "AwsCloudTrailInsight") || is(t.eventType, "AwsServiceEvent")
}

// identifies reports whether there is an identity that says something. One of a wrong type does: it
// is refused when the event is decoded.
func (t *topLevel) identifies() bool { return t.identity != nil && !saysNothing(t.identity) }
