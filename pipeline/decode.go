package pipeline

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"log/slog"
	"strings"
	"sync"
	"unicode/utf8"

	"rootwatch/classify"
	"rootwatch/classify/plain"
	"rootwatch/pipeline/envelope"
)

// decoder is the first stage: it pulls the units out of each record (package envelope knows the
// forms), counts them, and hands the events on.
type decoder struct {
	cfg        envelope.Config
	log        *slog.Logger
	decoders   sync.Pool // of *envelope.Decoder
	aggregates sync.Once // the first aggregated event is logged
}

func (d *decoder) process(ctx context.Context, w *work) error {
	units, _ := d.decoders.Get().(*envelope.Decoder)
	if units == nil {
		units = envelope.New(d.cfg)
	}
	defer func() {
		units.Release()
		w.expanded(0)
		d.decoders.Put(units)
	}()
	w.outcome.Events[ResultNotRoot] += w.NotRoot
	for i := range w.Records {
		if err := ctx.Err(); err != nil {
			return err
		}
		d.record(ctx, w, i, units)
	}
	return ctx.Err()
}

// record decodes one record. A panic is a fault of ours that these bytes brought out: they count as
// undecodable, and what was found before is judged. When ctx ends the rest is left: the batch goes
// no further.
func (d *decoder) record(ctx context.Context, w *work, index int, units *envelope.Decoder) {
	r := reading{decoder: d, work: w, index: index, record: &w.Records[index]}
	defer func() {
		if p := recover(); p != nil {
			r.undecodable(nil, panicked(p))
		}
		r.sumUp()
	}()
	counts := &w.outcome.Events
	for u := range units.Units(r.record.Data, w.File != "") {
		switch u.Kind {
		case envelope.LargeText:
			if w.slot.await(ctx) != nil {
				return
			}
			w.expanded(u.Size)
		case envelope.Event:
			if ctx.Err() != nil {
				return
			}
			r.event(ctx, u)
		case envelope.NotRoot:
			counts[ResultNotRoot] += u.Events
		case envelope.NotCloudTrail:
			counts[ResultNotCloudTrail]++
		case envelope.Aggregated:
			r.aggregated()
		case envelope.Heartbeat:
			counts[ResultHeartbeat]++
			if !u.Time.IsZero() {
				w.heartbeats = append(w.heartbeats, heartbeat{u.Region, u.Time})
			}
		case envelope.ForeignSource:
			r.foreignSource(u)
		case envelope.Undecodable:
			r.undecodable(u.Text, u.Err)
		}
	}
}

// maxLogged bounds how many undecodable units of one record, and how many events of foreign
// sources, are logged one by one: a record may hold as many as somebody likes.
const maxLogged = 10

// reading is the decoding of one record.
type reading struct {
	*decoder
	work                 *work
	index                int
	record               *Record
	undecodables, forged int // found so far
}

// event hands one CloudTrail event on to the stages that follow.
func (r *reading) event(ctx context.Context, u envelope.Unit) {
	e := new(classify.Event)
	if err := json.Unmarshal(u.Text, e); err != nil {
		r.undecodable(u.Text, err)
		return
	}
	e.EnvelopeAccount = u.Account
	r.work.add(ctx, event{Event: e, id: identify(e, u.Text), record: r.index, size: len(u.Text)})
}

// aggregated ends one of CloudTrail's aggregated events. That there are any is logged once.
func (r *reading) aggregated() {
	r.work.outcome.Events[ResultNotCloudTrail]++
	r.work.outcome.Aggregated++
	r.aggregates.Do(func() {
		r.log.Info("aggregated data events arrive: they sum calls up, are no calls, and are counted as not_cloudtrail (this is logged once)",
			"shard_id", r.work.ShardID, "sequence_number", r.record.SequenceNumber, "file", r.work.File)
	})
}

// foreignSource ends an event that somebody else has put on the bus.
func (r *reading) foreignSource(u envelope.Unit) {
	r.work.outcome.Events[ResultForeignSource]++
	if r.forged++; r.forged > maxLogged {
		return
	}
	r.log.Warn("foreign source: an event that only CloudTrail may send was put on the bus by somebody else",
		"source", plain.Cut(u.Source, 128), "detail_type", plain.Cut(u.DetailType, 128), "account", plain.Cut(u.Account, 128),
		"shard_id", r.work.ShardID, "sequence_number", r.record.SequenceNumber, "file", r.work.File)
}

// undecodable ends a broken unit.
func (r *reading) undecodable(text []byte, err error) {
	r.work.outcome.Events[ResultUndecodable]++
	if r.undecodables++; r.undecodables > maxLogged {
		return
	}
	r.work.broken(r.index, err)
	if len(text) == 0 {
		text = r.record.Data
	}
	logUndecodable(r.log, r.work.Batch, r.record, text, err)
}

// sumUp logs how many units were not logged one by one.
func (r *reading) sumUp() {
	if n := r.undecodables - maxLogged; n > 0 {
		r.log.Warn("more undecodable units in the same record", "units", n,
			"shard_id", r.work.ShardID, "sequence_number", r.record.SequenceNumber, "file", r.work.File)
	}
	if n := r.forged - maxLogged; n > 0 {
		r.log.Warn("more events of foreign sources in the same record", "events", n,
			"shard_id", r.work.ShardID, "sequence_number", r.record.SequenceNumber, "file", r.work.File)
	}
}

// identify gives what the copies of an event have in common; see [Finding.ID].
func identify(e *classify.Event, data []byte) string {
	id := e.EventID
	if e.UpdateOf() != "" && identifies(e.Addendum.OriginalEventID) {
		id = e.Addendum.OriginalEventID
	}
	switch {
	case !identifies(id):
		return hashed(data)
	case len(id.Value) > maxIDSize:
		return hashed([]byte(id.Value))
	}
	return id.Value
}

// identifies reports whether a text can tell events apart: a string that says something, and all of
// whose bytes were readable.
func identifies(id classify.Text) bool {
	return !id.Odd && strings.TrimSpace(id.Value) != "" && !strings.ContainsRune(id.Value, utf8.RuneError)
}

// maxIDSize bounds what a ledger keeps of one call; CloudTrail's ids have 36 bytes.
const maxIDSize = 128

func hashed(data []byte) string {
	sum := sha256.Sum256(data)
	return "sha256:" + hex.EncodeToString(sum[:])
}
