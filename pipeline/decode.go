package pipeline

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"log/slog"
	"sync"

	"rootwatch/classify"
	"rootwatch/pipeline/scan"
)

// decoder is the first stage: it finds the CloudTrail events in each record. What a record may look like, and
// what each unit in it counts as, stands in envelope.go.
type decoder struct {
	trusted     map[string]bool
	maxExpanded int
	maxEvents   int
	exhaustive  bool // do without the scanner: what it is compared with
	log         *slog.Logger
	expanders   sync.Pool // of *expander
}

func newDecoder(cfg *Config) *decoder {
	d := &decoder{
		trusted:     make(map[string]bool),
		maxExpanded: cfg.MaxExpanded,
		maxEvents:   cfg.MaxEvents,
		log:         cfg.Logger,
	}
	for _, s := range cfg.TrustedSources {
		d.trusted[s] = true
	}
	return d
}

func (d *decoder) process(ctx context.Context, b *Batch) error {
	b.counts[resultNotRoot] += b.NotRoot
	for i := range b.Records {
		if err := ctx.Err(); err != nil {
			return err
		}
		d.record(b, &b.Records[i])
	}
	return nil
}

// record decodes one record. A panic is a fault of ours that these bytes brought out: they count as
// undecodable, and what was found before is judged.
func (d *decoder) record(b *Batch, rec *Record) {
	b.bytes += len(rec.Data)
	r := reading{decoder: d, batch: b, from: rec}
	defer func() {
		if p := recover(); p != nil {
			r.undecodable(rec.Data, panicked(p))
		}
		if r.untold > 0 {
			d.log.Warn("more undecodable units in the same record", "units", r.untold,
				"shard_id", b.ShardID, "sequence_number", rec.SequenceNumber, "file", b.File)
		}
		if r.foreign > maxTold {
			d.log.Warn("more events of foreign sources in the same record", "events", r.foreign-maxTold,
				"shard_id", b.ShardID, "sequence_number", rec.SequenceNumber, "file", b.File)
		}
	}()
	if isGzip(rec.Data) {
		r.gzipped(rec.Data)
	} else {
		r.document(rec.Data, nil)
	}
}

// reading is the decoding of one record.
type reading struct {
	*decoder
	batch   *Batch
	from    *Record
	units   int    // found so far
	told    int    // of the undecodable ones, those that were logged
	untold  int    // and those that were not
	foreign int    // events of foreign sources
	owner   string // the account whose logs a CloudWatch Logs payload carries

	unquoted []byte // the event that stood in a string; its memory serves the next one
}

// count ends a unit as a result.
func (r *reading) count(res result) { r.countMany(res, 1) }

func (r *reading) countMany(res result, n int) {
	r.units += n
	r.batch.counts[res] += n
}

// maxTold bounds how many undecodable units of one record, and how many events of foreign sources, are logged one
// by one: a record may hold as many as somebody likes.
const maxTold = 10

// undecodable ends a broken unit.
func (r *reading) undecodable(data []byte, err error) {
	r.count(resultUndecodable)
	if len(data) == 0 {
		data = r.from.Data
	}
	if r.told >= maxTold {
		r.untold++
		return
	}
	r.told++
	r.batch.broken = append(r.batch.broken, err)
	logUndecodable(r.log, r.batch, r.from, data, err)
}

// event passes on one CloudTrail record to the stages that follow; account is the envelope's.
func (r *reading) event(data []byte, account string) {
	e := new(classify.Event)
	if err := json.Unmarshal(data, e); err != nil {
		r.undecodable(data, err)
		return
	}
	e.EnvelopeAccount = account
	r.units++
	r.batch.events = append(r.batch.events, event{Event: e, id: identify(e, data), record: r.from})
}

// identify gives what the copies of an event have in common; see [Finding.ID].
func identify(e *classify.Event, data []byte) string {
	id := e.EventID.Value
	if original := e.UpdateOf(); original != "" {
		id = original
	}
	switch {
	case id == "":
		return hashed(data)
	case len(id) > maxIDSize:
		return hashed([]byte(id))
	}
	return id
}

// maxIDSize bounds what a ledger keeps of one call; CloudTrail's ids have 36 bytes.
const maxIDSize = 128

func hashed(data []byte) string {
	sum := sha256.Sum256(data)
	return "sha256:" + hex.EncodeToString(sum[:])
}

// surelyNotRoot says that a text is exactly one CloudTrail event, bare or in AWS's own EventBridge envelope,
// and that root did not make it: the long way would come to the same result.
func (r *reading) surelyNotRoot(data []byte) bool {
	if r.exhaustive {
		return false
	}
	n, v := scan.Next(data)
	return v == scan.NotRoot && blank(data[n:])
}

// blank says whether nothing but JSON's white space is left.
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
