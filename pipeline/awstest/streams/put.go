package streams

import (
	"encoding/base64"
	"encoding/json"
	"time"
	"unicode/utf8"

	"rootwatch/pipeline/awstest/wire"
)

// entry is one record of a PutRecord or PutRecords request. Data stays in base64: that is how
// GetRecords answers too.
type entry struct {
	Data            *string
	PartitionKey    *string
	ExplicitHashKey *string
}

type putRecordInput struct {
	dryRun
	StreamName, StreamARN string
	entry
	SequenceNumberForOrdering string
}

type putRecordsInput struct {
	dryRun
	StreamName, StreamARN string
	Records               []entry
}

const (
	maxPutRecords = 500
	maxPutBytes   = 10 << 20 // of all data and keys of one PutRecords
)

type putResult struct {
	ShardId        string `json:",omitempty"`
	SequenceNumber string `json:",omitempty"`
	ErrorCode      string `json:",omitempty"`
	ErrorMessage   string `json:",omitempty"`
}

// checked is an entry that may be stored.
type checked struct {
	data string // base64
	key  string
	hash hashKey
	size int // of data and key
}

func putRecord(s *Service, r *wire.Request, in *putRecordInput) (any, error) {
	if err := in.refuse(); err != nil {
		return nil, err
	}
	st, now, err := s.servingStream(in.StreamName, in.StreamARN)
	if err != nil {
		return nil, err
	}
	defer st.mu.Unlock()
	c, err := in.check(st)
	if err != nil {
		return nil, err
	}
	res := s.put(r, st, c, now)
	if res.ErrorCode != "" {
		return nil, wire.Errorf(res.ErrorCode, "%s", res.ErrorMessage)
	}
	return res, nil
}

// putRecords stores what it can: an invalid record refuses the whole request, a throttled shard
// only its own records.
func putRecords(s *Service, r *wire.Request, in *putRecordsInput) (any, error) {
	if err := in.refuse(); err != nil {
		return nil, err
	}
	if len(in.Records) == 0 || len(in.Records) > maxPutRecords {
		return nil, wire.Invalid("1 validation error detected: %d records at 'records' failed to satisfy constraint: Member must have length between 1 and %d", len(in.Records), maxPutRecords)
	}
	st, now, err := s.servingStream(in.StreamName, in.StreamARN)
	if err != nil {
		return nil, err
	}
	defer st.mu.Unlock()
	entries := make([]checked, len(in.Records))
	total := 0
	for i := range in.Records {
		if entries[i], err = in.Records[i].check(st); err != nil {
			return nil, err
		}
		total += entries[i].size
	}
	if total > maxPutBytes {
		return nil, wire.Errorf("InvalidArgumentException", "Records size exceeds %d MB limit", maxPutBytes>>20)
	}
	out := struct {
		FailedRecordCount int
		Records           []putResult
	}{Records: make([]putResult, len(entries))}
	for i, c := range entries {
		out.Records[i] = s.put(r, st, c, now)
		if out.Records[i].ErrorCode != "" {
			out.FailedRecordCount++
		}
	}
	return out, nil
}

func (e *entry) check(st *stream) (c checked, err error) {
	if e.Data == nil {
		return c, wire.Missing("data")
	}
	if e.PartitionKey == nil {
		return c, wire.Missing("partitionKey")
	}
	if n := utf8.RuneCountInString(*e.PartitionKey); n < 1 || n > 256 {
		return c, wire.Invalid("1 validation error detected: Value '%s' at 'partitionKey' failed to satisfy constraint: Member must have length between 1 and 256", *e.PartitionKey)
	}
	c.key, c.data = *e.PartitionKey, *e.Data
	n, err := base64Len(c.data)
	if err != nil {
		return c, wire.Errorf("SerializationException", "data can not be converted to a Blob: %v", err)
	}
	c.size = n + len(c.key)
	if c.size > st.maxRecordBytes {
		return c, wire.Invalid("1 validation error detected: Value at 'data' failed to satisfy constraint: data and partition key have %d bytes, more than the stream's limit of %d", c.size, st.maxRecordBytes)
	}
	if e.ExplicitHashKey == nil {
		c.hash = hashOf(c.key)
		return c, nil
	}
	if err := checkHashKey("explicitHashKey", *e.ExplicitHashKey); err != nil {
		return c, err
	}
	var ok bool
	if c.hash, ok = parseHashKey(*e.ExplicitHashKey); !ok {
		return c, wire.Errorf("InvalidArgumentException", "Invalid ExplicitHashKey. ExplicitHashKey must be in the range: [0, 2^128-1]. Specified value was %s", *e.ExplicitHashKey)
	}
	return c, nil
}

// base64Len is the number of bytes that s stands for, if it is the standard encoding of some.
func base64Len(s string) (int, error) {
	buf := wire.TakeBody()
	defer buf.Release()
	buf.Grow(base64.StdEncoding.DecodedLen(len(s)))
	b, err := base64.StdEncoding.Strict().AppendDecode(buf.B, []byte(s))
	if err != nil {
		return 0, err
	}
	buf.B = b
	if base64.StdEncoding.EncodedLen(len(b)) != len(s) {
		return 0, base64.CorruptInputError(len(s)) // line breaks, which the decoder skips
	}
	return len(b), nil
}

// put stores one record; the stream is locked.
func (s *Service) put(r *wire.Request, st *stream, c checked, now time.Time) putResult {
	sh := st.shardFor(c.hash)
	if r.Refuse != nil && r.Refuse(sh.id) || s.opts.Limits && !sh.limits.put(now, c.size) {
		return putResult{ErrorCode: throttled, ErrorMessage: s.rateExceeded(st, sh)}
	}
	at := now.UnixMilli()
	if n := len(sh.records); n > 0 {
		at = max(at, sh.records[n-1].arrived) // a clock may be set back; arrival in a shard is not
	}
	number := sh.sequence(sh.next(), at).String()
	wire := appendRecord(make([]byte, 0, len(c.data)+len(c.key)+len(number)+100), number, at, c)
	sh.records = append(sh.records, record{arrived: at, size: c.size, wire: wire})
	sh.bytes += int64(len(wire))
	st.bytes += int64(len(wire))
	st.trimByBytes(s.opts.MaxStreamBytes)
	return putResult{ShardId: sh.id, SequenceNumber: number}
}

// appendRecord writes a record as GetRecords answers it: once, when it is put.
func appendRecord(b []byte, number string, arrivedMillis int64, c checked) []byte {
	b = append(b, `{"SequenceNumber":"`...)
	b = append(b, number...)
	b = append(b, `","ApproximateArrivalTimestamp":`...)
	b = wire.AppendMillis(b, arrivedMillis)
	b = append(b, `,"Data":"`...)
	b = append(b, c.data...)
	b = append(b, `","PartitionKey":`...)
	b = appendString(b, c.key)
	return append(b, '}')
}

// appendString writes a JSON string.
func appendString(b []byte, s string) []byte {
	for i := range len(s) {
		if s[i] < ' ' || s[i] == '"' || s[i] == '\\' || s[i] >= utf8.RuneSelf {
			quoted, err := json.Marshal(s)
			if err != nil { // a string always encodes
				panic(err)
			}
			return append(b, quoted...)
		}
	}
	b = append(b, '"')
	b = append(b, s...)
	return append(b, '"')
}
