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

// decoder is the first stage: it pulls the units out of each record (package envelope knows the forms), counts them, and
// hands the events on.
type decoder struct {
	cfg        envelope.Config
	log        *slog.Logger
	decoders   sync.Pool // of *envelope.Decoder
	aggregated sync.Once // the first aggregated event is logged
}

func newDecoder(cfg *Config) *decoder {
	return &decoder{
		cfg: envelope.Config{TrustedSources: cfg.TrustedSources, MaxExpanded: cfg.MaxExpanded, MaxEvents: cfg.MaxEvents},
		log: cfg.Logger,
	}
}

func (d *decoder) process(ctx context.Context, b *Batch) error {
	units, _ := d.decoders.Get().(*envelope.Decoder)
	if units == nil {
		units = envelope.New(d.cfg)
	}
	defer func() {
		units.Release()
		d.decoders.Put(units)
	}()
	b.counts[resultNotRoot] += b.NotRoot
	for i := range b.Records {
		if err := ctx.Err(); err != nil {
			return err
		}
		d.record(ctx, b, &b.Records[i], units)
	}
	return ctx.Err()
}

// record decodes one record. A panic is a fault of ours that these bytes brought out: they count as undecodable, and what was
// found before is judged. When ctx ends the rest is left: the batch goes no further.
func (d *decoder) record(ctx context.Context, b *Batch, rec *Record, units *envelope.Decoder) {
	b.bytes += len(rec.Data)
	r := reading{decoder: d, batch: b, record: rec}
	defer func() {
		if p := recover(); p != nil {
			r.undecodable(rec.Data, panicked(p))
		}
		r.sumUp()
	}()
	for u := range units.Units(rec.Data, b.File != "") {
		switch u.Kind {
		case envelope.LargeText:
			if b.place.await(ctx) != nil {
				return
			}
		case envelope.Event:
			if ctx.Err() != nil {
				return
			}
			r.event(ctx, u)
		case envelope.Undecodable:
			r.undecodable(u.Text, u.Err)
		case envelope.ForeignSource:
			r.foreignSource(u)
		case envelope.Heartbeat:
			b.counts[resultHeartbeat]++
			if !u.Time.IsZero() {
				b.heartbeats = append(b.heartbeats, heartbeat{u.Region, u.Time})
			}
		case envelope.NotRoot:
			b.counts[resultNotRoot] += u.Events
		case envelope.NotCloudTrail:
			b.counts[resultNotCloudTrail] += u.Events
		case envelope.Aggregated:
			b.counts[resultNotCloudTrail] += u.Events
			b.aggregated += u.Events
			d.aggregated.Do(func() {
				d.log.Info("aggregated data events arrive: they sum calls up, are no calls, and are counted as not_cloudtrail (this is logged once)",
					"shard_id", b.ShardID, "sequence_number", rec.SequenceNumber, "file", b.File)
			})
		}
	}
}

// maxLogged bounds how many undecodable units of one record, and how many events of foreign sources, are logged one
// by one: a record may hold as many as somebody likes.
const maxLogged = 10

// reading is the decoding of one record.
type reading struct {
	*decoder
	batch                *Batch
	record               *Record
	undecodables, forged int // found so far
}

// undecodable ends a broken unit.
func (r *reading) undecodable(text []byte, err error) {
	r.batch.counts[resultUndecodable]++
	if r.undecodables++; r.undecodables > maxLogged {
		return
	}
	r.batch.broken = append(r.batch.broken, err)
	if len(text) == 0 {
		text = r.record.Data
	}
	logUndecodable(r.log, r.batch, r.record, text, err)
}

// foreignSource ends an event that somebody else has put on the bus.
func (r *reading) foreignSource(u envelope.Unit) {
	r.batch.counts[resultForeignSource]++
	if r.forged++; r.forged > maxLogged {
		return
	}
	r.log.Warn("foreign source: an event that only CloudTrail may send was put on the bus by somebody else",
		"source", plain.Cut(u.Source, 128), "detail_type", plain.Cut(u.DetailType, 128), "account", plain.Cut(u.Account, 128),
		"shard_id", r.batch.ShardID, "sequence_number", r.record.SequenceNumber, "file", r.batch.File)
}

// sumUp logs how many units were not logged one by one.
func (r *reading) sumUp() {
	if n := r.undecodables - maxLogged; n > 0 {
		r.log.Warn("more undecodable units in the same record", "units", n,
			"shard_id", r.batch.ShardID, "sequence_number", r.record.SequenceNumber, "file", r.batch.File)
	}
	if n := r.forged - maxLogged; n > 0 {
		r.log.Warn("more events of foreign sources in the same record", "events", n,
			"shard_id", r.batch.ShardID, "sequence_number", r.record.SequenceNumber, "file", r.batch.File)
	}
}

// event hands one CloudTrail event on to the stages that follow.
func (r *reading) event(ctx context.Context, u envelope.Unit) {
	e := new(classify.Event)
	if err := json.Unmarshal(u.Text, e); err != nil {
		r.undecodable(u.Text, err)
		return
	}
	e.EnvelopeAccount = u.Account
	r.batch.add(ctx, event{Event: e, id: identify(e, u.Text), record: r.record}, len(u.Text))
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

// identifies reports whether a text can tell events apart: a string that says something, and all of whose bytes were readable.
func identifies(id classify.Text) bool {
	return !id.Odd && strings.TrimSpace(id.Value) != "" && !strings.ContainsRune(id.Value, utf8.RuneError)
}

// maxIDSize bounds what a ledger keeps of one call; CloudTrail's ids have 36 bytes.
const maxIDSize = 128

func hashed(data []byte) string {
	sum := sha256.Sum256(data)
	return "sha256:" + hex.EncodeToString(sum[:])
}
