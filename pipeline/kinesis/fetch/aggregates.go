package fetch

import (
	"bytes"
	"crypto/md5"
	"errors"
	"slices"

	awstypes "github.com/aws/aws-sdk-go-v2/service/kinesis/types"
	"google.golang.org/protobuf/encoding/protowire"
)

// aggregateMagic begins a record into which the Kinesis Producer Library has packed many: the
// magic, one protobuf message, its MD5 (amazon-kinesis-producer, aggregation-format.md).
var aggregateMagic = []byte{0xF3, 0x89, 0x9A, 0xC2}

// poisonMark stands before data that looks like an aggregate and must not reach the library's own
// expansion, which drops the whole batch for bad protobuf and panics for a partition key index out
// of range. Unmark takes it away. Data that begins with the mark by itself is marked as well:
// Unmark returns all data as it was received.
const poisonMark = 0x00

func isAggregate(data []byte) bool {
	if !bytes.HasPrefix(data, aggregateMagic) || len(data) <= len(aggregateMagic)+md5.Size {
		return false
	}
	message, digest := data[len(aggregateMagic):len(data)-md5.Size], data[len(data)-md5.Size:]
	sum := md5.Sum(message)
	return bytes.Equal(sum[:], digest)
}

// expand replaces each aggregate among the records by the records in it. One that cannot be read
// stays as it is, as one record, marked: it ends as undecodable, alone.
func expand(records []awstypes.Record) []awstypes.Record {
	if !slices.ContainsFunc(records, func(r awstypes.Record) bool { return bytes.HasPrefix(r.Data, aggregateMagic) || isMarked(r.Data) }) {
		return records
	}
	out := make([]awstypes.Record, 0, len(records))
	for _, r := range records {
		if !isAggregate(r.Data) { // also with a checksum that does not fit: the library sees it so too
			r.Data = escape(r.Data)
			out = append(out, r)
			continue
		}
		parts, err := parseAggregate(r.Data[len(aggregateMagic) : len(r.Data)-md5.Size])
		if err != nil {
			r.Data = escape(r.Data)
			out = append(out, r)
			continue
		}
		for _, data := range parts {
			part := r
			part.Data = escape(data) // an aggregate in an aggregate: no producer makes one
			out = append(out, part)
		}
	}
	return out
}

// escape marks what must be marked.
func escape(data []byte) []byte {
	if isAggregate(data) || isMarked(data) {
		return append([]byte{poisonMark}, data...)
	}
	return data
}

// isMarked reports whether marks and the magic stand at the beginning.
func isMarked(data []byte) bool {
	return len(data) > 0 && data[0] == poisonMark && bytes.HasPrefix(bytes.TrimLeft(data, string(rune(poisonMark))), aggregateMagic)
}

// Unmark returns the data as it was received.
func Unmark(data []byte) []byte {
	if isMarked(data) {
		return data[1:]
	}
	return data
}

var errAggregate = errors.New("not an AggregatedRecord")

// Field numbers of the messages AggregatedRecord and Record.
const (
	aggregatePartitionKeys = 1
	aggregateRecords       = 3
	recordPartitionKey     = 1
	recordData             = 3
)

// An aggregate with more than a few records must have this many bytes for each: no event is as
// small, and millions of empty records in one answer would take gigabytes.
const (
	minAggregated = 64
	fewAggregated = 100
)

// parseAggregate returns the data of the records in an AggregatedRecord; the slices share memory
// with message.
func parseAggregate(message []byte) ([][]byte, error) {
	var keys uint64
	var records [][]byte
	most := fewAggregated + len(message)/minAggregated
	for len(message) > 0 {
		num, typ, n := consumeTag(message)
		if n < 0 {
			return nil, protowire.ParseError(n)
		}
		message = message[n:]
		if num == aggregatePartitionKeys || num == aggregateRecords {
			if typ != protowire.BytesType {
				return nil, errAggregate
			}
			field, n := protowire.ConsumeBytes(message)
			if n < 0 {
				return nil, protowire.ParseError(n)
			}
			message = message[n:]
			if num == aggregatePartitionKeys {
				keys++
			} else {
				records = append(records, field)
			}
			if len(records) > most {
				return nil, errAggregate
			}
			continue
		}
		if n = protowire.ConsumeFieldValue(num, typ, message); n < 0 {
			return nil, protowire.ParseError(n)
		}
		message = message[n:]
	}
	for i, r := range records {
		data, key, err := parseAggregated(r)
		if err != nil || key >= keys {
			return nil, errAggregate
		}
		records[i] = data
	}
	return records, nil
}

// consumeTag refuses the field numbers that protobuf does not have, as the library's parser does.
func consumeTag(b []byte) (protowire.Number, protowire.Type, int) {
	num, typ, n := protowire.ConsumeTag(b)
	if n > 0 && num > protowire.MaxValidNumber {
		return 0, 0, -1
	}
	return num, typ, n
}

// parseAggregated reads one Record: both its partition key's index and its data are required.
func parseAggregated(message []byte) (data []byte, key uint64, err error) {
	hasKey, hasData := false, false
	for len(message) > 0 {
		num, typ, n := consumeTag(message)
		if n < 0 {
			return nil, 0, protowire.ParseError(n)
		}
		message = message[n:]
		switch {
		case num == recordPartitionKey && typ == protowire.VarintType:
			key, n = protowire.ConsumeVarint(message)
			hasKey = true
		case num == recordData && typ == protowire.BytesType:
			data, n = protowire.ConsumeBytes(message)
			hasData = true
		default:
			n = protowire.ConsumeFieldValue(num, typ, message)
		}
		if n < 0 {
			return nil, 0, protowire.ParseError(n)
		}
		message = message[n:]
	}
	if !hasKey || !hasData {
		return nil, 0, errAggregate
	}
	return data, key, nil
}
