// Package envelope reads a record as a sequence of units: the CloudTrail events that it holds, whatever they are wrapped
// in, and everything beside them that must be counted.
//
//	envelope.go  units, and the decoder that yields them
//	forms.go     which form a record has, and where its events stand
//	toplevel.go  the members by which the forms are told apart
//	gzip.go      bounded expansion
//	walk.go      steps through a JSON text without copying it
//
// The consumer pulls: nothing here knows what becomes of a unit, and no context, log, batch or channel is in it. The worker
// and `rootwatch review` read every record through this package.
package envelope

import (
	"errors"
	"iter"
	"slices"
	"time"

	"rootwatch/pipeline/scan"
)

// Kind is what a unit is.
type Kind uint8

// The kinds. A record yields at least one unit that is not LargeText.
const (
	// Event is a CloudTrail event that must be judged: Text and Account.
	Event Kind = iota
	// NotRoot stands for Events events of which package scan says that root surely did not make them.
	NotRoot
	// NotCloudTrail is valid JSON that is no CloudTrail event.
	NotCloudTrail
	// Aggregated is one of CloudTrail's aggregated events: it sums up data events, and is the record of no call.
	Aggregated
	// Heartbeat is a Scheduled Event of EventBridge's: Region, and Time, which is zero if it cannot be read.
	Heartbeat
	// ForeignSource is an event in an EventBridge envelope whose source may not speak for CloudTrail: Source, DetailType
	// and Account.
	ForeignSource
	// Undecodable is something broken, beyond a limit, or of a wrong type on the way to the verdict: Text and Err.
	Undecodable
	// LargeText is no part of the record: to go on, the decoder needs a text of more than [KeptBytes] in memory. A consumer
	// with several decoders waits here, so that one of them holds such a text at a time.
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
	// Text is the JSON text of an event, or the broken text, or the beginning of it. It is valid until the next unit.
	Text []byte
	// Account is what the envelope says of the account: `account` of EventBridge's, `owner` of CloudWatch Logs'.
	Account            string
	Err                error
	Source, DetailType string
	Region             string
	Time               time.Time
}

// Config is how a decoder reads.
type Config struct {
	// TrustedSources are values of an EventBridge envelope's `source`, besides AWS's own, that are believed.
	TrustedSources []string
	// MaxExpanded is how many bytes a gzipped record may expand to.
	MaxExpanded int
	// MaxEvents is how many events one record may hold.
	MaxEvents int
}

// Decoder reads one record after another, and keeps its memory for the next one.
type Decoder struct {
	cfg        Config
	exhaustive bool // do without the scanner: what it is compared with

	expander
	unquoted []byte // the event that stood in a string
	// The top levels of the record, of one element of its lists, and of the detail in an EventBridge envelope.
	document, listed, detail topLevel
	owner                    string // the account whose logs a CloudWatch Logs payload carries
}

// New returns a decoder.
func New(cfg Config) *Decoder { return &Decoder{cfg: cfg} }

// KeptBytes is the largest buffer that a decoder keeps between two records: one gzip bomb must not hold memory for good.
const KeptBytes = 4 << 20

// Release forgets the last record, and gives large buffers back. It is for a decoder that is put aside.
func (d *Decoder) Release() {
	d.document.reset()
	d.listed.reset()
	d.detail.reset()
	d.owner = ""
	if cap(d.unquoted) > KeptBytes {
		d.unquoted = nil
	}
	if cap(d.text) > KeptBytes {
		d.text = nil
	}
}

// Units yields the units of a record in their order. inFile reports that the record was cut out of a log file.
//
// Of a record that is broken the units before the break come first, and the break is one more, undecodable. A sequence may be
// left at any unit; of one decoder only one may be under way.
func (d *Decoder) Units(record []byte, inFile bool) iter.Seq[Unit] {
	return func(yield func(Unit) bool) { d.record(record, inFile, yield) }
}

func (d *Decoder) record(data []byte, inFile bool, yield func(Unit) bool) {
	d.owner = ""
	var broken error
	if isGzip(data) {
		if broken = d.expand(data, d.cfg.MaxExpanded, yield); broken == errLeft {
			return
		}
		data = d.text
	}
	d.readDocument(data, broken, inFile, yield)
}

// undecodable is the unit of a broken text.
func undecodable(text []byte, err error) Unit {
	return Unit{Kind: Undecodable, Events: 1, Text: text, Err: err}
}

// surelyNotRoot reports whether a text is exactly one CloudTrail event, bare or in AWS's own EventBridge envelope,
// that root did not make: the long way would come to the same result.
func (d *Decoder) surelyNotRoot(text []byte) bool {
	if d.exhaustive {
		return false
	}
	n, v := scan.Next(text)
	return v == scan.NotRoot && blank(text[n:])
}

// blank reports whether nothing but JSON's white space is left.
func blank(rest []byte) bool {
	for _, c := range rest {
		switch c {
		case ' ', '\t', '\r', '\n':
		default:
			return false
		}
	}
	return true
}

// believes reports whether a source may speak for CloudTrail: AWS's services, and those that the operator trusts.
func (d *Decoder) believes(source string) bool {
	return scan.FromAWS(source) || slices.Contains(d.cfg.TrustedSources, source)
}

// errLeft means that the consumer has left the sequence.
var errLeft = errors.New("the sequence was left")
