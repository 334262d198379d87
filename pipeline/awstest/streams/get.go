package streams

import (
	"encoding/json"
	"slices"
	"strconv"
	"sync"
	"time"

	"rootwatch/pipeline/awstest/wire"
)

const (
	maxGetRecords = 10000
	maxGetBytes   = 10 << 20 // of data and keys in one GetRecords answer
)

type getRecordsInput struct {
	dryRun
	ShardIterator *string
	Limit         *int
	StreamARN     string
}

type childShard struct {
	ShardId      string
	ParentShards []string
	HashKeyRange hashKeyRange
}

// page is one GetRecords answer before it is written.
type page struct {
	records  [][]byte
	bytes    int // of records as written
	next     string
	behind   int64 // milliseconds
	children []childShard
}

// pages keeps the slices of pages, for the garbage collector's sake.
var pages = sync.Pool{New: func() any { return new(page) }}

func getRecords(s *Service, r *wire.Request, in *getRecordsInput) (any, error) {
	if err := in.refuse(); err != nil {
		return nil, err
	}
	if in.ShardIterator == nil {
		return nil, wire.Missing("shardIterator")
	}
	limit, err := wire.PageSize(in.Limit, "limit", maxGetRecords, maxGetRecords)
	if err != nil {
		return nil, err
	}
	p := pages.Get().(*page)
	*p = page{records: p.records[:0]}
	defer func() {
		clear(p.records)
		pages.Put(p)
	}()
	if r.Empty {
		limit = 0
	}
	if err := s.fill(p, *in.ShardIterator, in.StreamARN, limit); err != nil {
		return nil, err
	}
	if r.NoIterator {
		p.next, p.children = "", nil
	}
	if r.Backwards {
		slices.Reverse(p.records)
	}
	return p.encode(), nil
}

// fill takes the records at an iterator; they are written after the stream is unlocked. With a
// limit of 0 it finds none, and the reader stays where it is.
func (s *Service) fill(p *page, token, arn string, limit int) error {
	it, ok := parseIterator(token)
	if !ok {
		return wire.Errorf("InvalidArgumentException", "Invalid ShardIterator.")
	}
	if err := s.checkIterator(it); err != nil {
		return err
	}
	st, now, err := s.servingStream(it.name, arn)
	if err != nil {
		return err
	}
	defer st.mu.Unlock()
	sh := st.shard(shardID(it.shard))
	if st.id != it.stream || sh == nil {
		return s.shardNotFound(it.name, shardID(it.shard))
	}
	if s.opts.Limits && !sh.limits.get(now) {
		return wire.Errorf(throttled, "%s", s.rateExceeded(st, sh))
	}
	switch {
	case limit == 0:
		p.behind = max(sh.behind(it.ordinal, now), 1)
		p.next = s.iterator(st, sh, it.ordinal, it.blank, now)
		return nil
	case it.blank > 0:
		p.behind = retention.Milliseconds()
		p.next = s.iterator(st, sh, it.ordinal, it.blank-1, now)
		return nil
	}
	from := int(max(it.ordinal, sh.first) - sh.first) // what was trimmed meanwhile is passed over, as AWS does
	size := p.take(sh.records[min(from, len(sh.records)):], limit)
	if s.opts.Limits {
		sh.limits.got(size)
	}
	s.finish(p, st, sh, from+len(p.records), now)
	return nil
}

// take collects records up to the limits of one answer, at least one if there is any.
func (p *page) take(records []record, limit int) (size int) {
	for i := range records {
		if len(p.records) == limit || i > 0 && size+records[i].size > maxGetBytes {
			break
		}
		size += records[i].size
		p.bytes += len(records[i].wire) + 1
		p.records = append(p.records, records[i].wire)
	}
	return size
}

// finish says where the reader stands after this answer; to is the index of the next record.
func (s *Service) finish(p *page, st *stream, sh *shard, to int, now time.Time) {
	if to < len(sh.records) {
		p.behind = sh.behind(sh.first+uint64(max(to-1, 0)), now)
	} else if !sh.isOpen() {
		p.children = st.children(sh)
		return
	}
	p.next = s.iterator(st, sh, sh.first+uint64(to), 0, now)
}

// behind is the age in milliseconds of the record at an ordinal, or of the first after it; 0 if
// there is none.
func (sh *shard) behind(ordinal uint64, now time.Time) int64 {
	i := max(ordinal, sh.first) - sh.first
	if i >= uint64(len(sh.records)) {
		return 0
	}
	return max(now.UnixMilli()-sh.records[i].arrived, 0)
}

// checkIterator refuses an iterator that has expired.
func (s *Service) checkIterator(it iterator) error {
	now, issued := s.opts.Clock(), time.UnixMilli(it.issued)
	if it.generation == s.iterators.Load() && now.Sub(issued) <= s.opts.IteratorLifetime {
		return nil
	}
	const layout = "Mon Jan 02 15:04:05 UTC 2006"
	return wire.Errorf("ExpiredIteratorException", "Iterator expired. The iterator was created at time %s while right now it is %s which is further in the future than the tolerated delay of %d milliseconds.",
		issued.UTC().Format(layout), now.UTC().Format(layout), s.opts.IteratorLifetime.Milliseconds())
}

// children are the shards that a closed shard was split or merged into.
func (st *stream) children(parent *shard) []childShard {
	children := []childShard{}
	for _, sh := range st.shards {
		if sh.parent != parent.id && sh.adjacent != parent.id {
			continue
		}
		parents := slices.DeleteFunc([]string{sh.parent, sh.adjacent}, func(id string) bool { return id == "" })
		children = append(children, childShard{sh.id, parents, sh.hashKeyRange()})
	}
	return children
}

// encode writes the answer by hand: this is the one that has to be fast.
func (p *page) encode() *wire.Body {
	out := wire.TakeBody()
	out.Grow(p.bytes + 1024)
	b := append(out.B, `{"Records":[`...)
	for i, wire := range p.records {
		if i > 0 {
			b = append(b, ',')
		}
		b = append(b, wire...)
	}
	b = append(b, `],"MillisBehindLatest":`...)
	b = strconv.AppendInt(b, p.behind, 10)
	if p.next != "" {
		b = append(b, `,"NextShardIterator":"`...)
		b = append(b, p.next...)
		b = append(b, '"')
	}
	if p.children != nil {
		b = append(b, `,"ChildShards":`...)
		b = appendJSON(b, p.children)
	}
	out.B = append(b, '}')
	return out
}

// appendJSON adds a value that always encodes.
func appendJSON(b []byte, v any) []byte {
	out, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	return append(b, out...)
}
