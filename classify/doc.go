// Package classify knows CloudTrail's root calls: which record is one, and what explains it.
//
// It stands between the pipeline's filter, which asks [IsRoot], and emit, which counts and logs the
// [Finding] that [Classify] gives. It reads a decoded record and nothing else: no input or output,
// no clock, no metrics.
//
// # The question
//
// A record whose userIdentity.type is Root was made with the account's own credentials. Some of
// these calls are harmless: services such as Elastic Load Balancing and Auto Scaling used to act as
// root and name themselves in invokedBy. The others were made by a person, or by somebody who holds
// a root key. A finding says which: service_invoked or unexplained.
//
// # The signal
//
// A DNS name in sourceIPAddress or userAgent does not tell the two apart, nor does invokedBy alone:
// the console's servers and services that act for a signed-in person carry them too. What tells
// them apart is evidence of a credential. A service that acts by itself leaves its name in
// invokedBy and sourceIPAddress and no key, no session and no TLS connection; whoever acts for a
// person leaves that person's key or session behind. So service_invoked needs all of
// [serviceConditions]; everything else is unexplained, and the first row of [rules] that fits gives
// the reason. What a rule does not understand counts against the service, never for it.
//
// # Files
//
//	event.go     a record, as far as judging and reporting need it
//	json.go      what a JSON value says, and the members of an object, read without decoding them into maps
//	identity.go  who a record says made the call
//	names.go     the lists of services, accounts and regions
//	marks.go     what only a client's call has
//	facts.go     a record in the few facts that rules look at
//	rules.go     the table of reasons, and the conditions of service_invoked
//	reasons.go   the table as others see it, and which of two reasons is graver
//	impact.go    what a call does, and how grave that is
//	session.go   which session a call belongs to
//	classify.go  a record in, a finding out
//	finding.go   verdicts, reasons, severities, and the finding
//	evidence.go  the fields that were weighed, with a note on each for a person
//	explain.go   the verdict in a sentence
package classify
