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
	memories    sync.Pool // of *memory
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

// memory is what decoding a batch needs besides the batch, kept for the next one.
type memory struct {
	expander
	unquoted         []byte // the event that stood in a string
	document, single top    // what stands in a record, and in one event of it
}

// maxKept is the largest buffer that waits for another batch: one gzip bomb must not hold memory for good.
const maxKept = 4 << 20

// keep puts memory back for the next batch.
func (d *decoder) keep(m *memory) {
	m.document.reset()
	m.single.reset()
	if cap(m.unquoted) > maxKept {
		m.unquoted = nil
	}
	if cap(m.text) > maxKept {
		m.text = nil
	}
	d.memories.Put(m)
}

func (d *decoder) process(ctx context.Context, b *Batch) error {
	m, _ := d.memories.Get().(*memory)
	if m == nil {
		m = new(memory)
	}
	defer d.keep(m)
	b.counts[resultNotRoot] += b.NotRoot
	for i := range b.Records {
		if err := ctx.Err(); err != nil {
			return err
		}
		d.record(ctx, b, &b.Records[i], m)
	}
	return ctx.Err()
}

// record decodes one record. A panic is a fault of ours that these bytes brought out: they count as
// undecodable, and what was found before is judged.
func (d *decoder) record(ctx context.Context, b *Batch, rec *Record, m *memory) {
	b.bytes += len(rec.Data)
	r := reading{decoder: d, ctx: ctx, batch: b, from: rec, memory: m}
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
		broken := m.expand(ctx, b.place, rec.Data, d.maxExpanded)
		if ctx.Err() != nil {
			return // the batch goes no further
		}
		r.document(m.text, broken)
	} else {
		r.document(rec.Data, nil)
	}
}

// reading is the decoding of one record.
type reading struct {
	*decoder
	ctx     context.Context // of the batch, which is read in one go
	batch   *Batch
	from    *Record
	memory  *memory
	units   int    // found so far
	told    int    // of the undecodable ones, those that were logged
	untold  int    // and those that were not
	foreign int    // events of foreign sources
	owner   string // the account whose logs a CloudWatch Logs payload carries
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

// maxEvent bounds what one event may hold in memory. CloudTrail's have 256 KB at most, EventBridge's entries 1 MB.
const maxEvent = 4 << 20

// event passes on one CloudTrail record to the stages that follow; account is the envelope's.
func (r *reading) event(data []byte, account string) {
	switch {
	case len(data) > maxEvent:
		r.undecodable(data, errTooLong)
		return
	case r.ctx.Err() != nil:
		return // the batch goes no further
	}
	e := new(classify.Event)
	if err := json.Unmarshal(data, e); err != nil {
		r.undecodable(data, err)
		return
	}
	e.EnvelopeAccount = account
	r.units++
	r.batch.add(r.ctx, event{Event: e, id: identify(e, data), record: r.from}, len(data))
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

// identifies says whether a text can tell events apart: a string that says something, and all of whose bytes were readable.
func identifies(id classify.Text) bool {
	return !id.Odd && strings.TrimSpace(id.Value) != "" && !strings.ContainsRune(id.Value, utf8.RuneError)
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
