// Package envelope reads a record as a sequence of units: the CloudTrail events that it holds,
// whatever they are wrapped in, and everything beside them that must be counted.
//
//	envelope.go  the decoder
//	forms.go     which form a record has, and where its events stand
//	judge.go     what an event must say to be judged
//	toplevel.go  the members by which forms and events are known
//	gzip.go      bounded expansion
//	unit.go      what is yielded
//	walk.go      steps through a JSON text without copying it
//
// The consumer pulls: nothing here knows what becomes of a unit, and no context, log, batch or
// channel is in it. The worker and `rootwatch review` read every record through this package.
package envelope

import (
	"iter"
	"slices"

	"rootwatch/pipeline/scan"
)

// Config is how a decoder reads.
type Config struct {
	// TrustedSources are values of an EventBridge envelope's `source`, besides AWS's own, that are
	// believed.
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
	// The top levels of the record, of one element of its lists, and of the detail in an
	// EventBridge envelope.
	document, listed, detail topLevel
	owner                    string // the account whose logs a CloudWatch Logs payload carries
}

// New returns a decoder.
func New(cfg Config) *Decoder { return &Decoder{cfg: cfg} }

// Release forgets the last record, and gives large buffers back. It is for a decoder that is put
// aside.
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

// Units yields the units of a record in their order. inFile reports that the record was cut out of
// a log file.
//
// Of a record that is broken the units before the break come first, and the break is one more,
// undecodable. A sequence may be left at any unit; of one decoder only one may be under way.
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

// surelyNotRoot reports whether a text is exactly one CloudTrail event, bare or in AWS's own
// EventBridge envelope, that root did not make: the long way would come to the same result.
func (d *Decoder) surelyNotRoot(text []byte) bool {
	if d.exhaustive {
		return false
	}
	n, v := scan.Next(text)
	return v == scan.NotRoot && blank(text[n:])
}

// believes reports whether a source may speak for CloudTrail: AWS's services, and those that the
// operator trusts.
func (d *Decoder) believes(source string) bool {
	return scan.FromAWS(source) || slices.Contains(d.cfg.TrustedSources, source)
}
