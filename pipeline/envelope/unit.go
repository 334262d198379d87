package envelope

import "time"

// Kind is what a unit is.
type Kind uint8

// The kinds. A record yields at least one unit that is not LargeText.
const (
	// Event is a CloudTrail event that must be judged: Text and Account.
	Event Kind = iota
	// NotRoot stands for Events events of which package scan says that root surely did not make
	// them.
	NotRoot
	// NotCloudTrail is valid JSON that is no CloudTrail event.
	NotCloudTrail
	// Aggregated is one of CloudTrail's aggregated events: it sums up data events, and is the
	// record of no call.
	Aggregated
	// Heartbeat is a Scheduled Event of EventBridge's: Region, and Time, which is zero if it cannot
	// be read.
	Heartbeat
	// ForeignSource is an event in an EventBridge envelope whose source may not speak for
	// CloudTrail: Source, DetailType and Account.
	ForeignSource
	// Undecodable is something broken, beyond a limit, or of a wrong type on the way to the
	// verdict: Text and Err.
	Undecodable
	// LargeText is no part of the record: to go on, the decoder needs a text of more than
	// [KeptBytes] in memory, or a larger one than it has said before: Size. A consumer with several
	// decoders waits here, so that one of them holds such a text at a time.
	LargeText
	kinds
)

func (k Kind) String() string {
	return [kinds]string{"event", "not root", "not CloudTrail", "aggregated", "heartbeat", "foreign source", "undecodable", "large text"}[k]
}

// Unit is one thing in a record. Which fields are set depends on its kind.
type Unit struct {
	Kind   Kind
	Events int // of NotRoot, how many; 1 otherwise
	// Text is the JSON text of an event, or the broken text, or the beginning of it. It is valid
	// until the next unit.
	Text []byte
	// Account is what the envelope says of the account: `account` of EventBridge's, `owner` of
	// CloudWatch Logs'.
	Account            string
	Err                error
	Source, DetailType string
	Size               int // of LargeText, bytes that are held at the most until the next unit
	Region             string
	Time               time.Time
}

// undecodable is the unit of a broken text.
func undecodable(text []byte, err error) Unit {
	return Unit{Kind: Undecodable, Events: 1, Text: text, Err: err}
}
