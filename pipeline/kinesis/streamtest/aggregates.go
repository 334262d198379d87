package streamtest

import (
	"crypto/md5"
	"slices"

	"google.golang.org/protobuf/encoding/protowire"
)

// The format of the Kinesis Producer Library, from its aggregation-format.md.
var aggregateMagic = []byte{0xF3, 0x89, 0x9A, 0xC2}

const (
	aggregatePartitionKeys = 1
	aggregateRecords       = 3
	recordPartitionKey     = 1
	recordData             = 3
)

// Seal makes an aggregate of a protobuf message, good or bad.
func Seal(message []byte) []byte {
	sum := md5.Sum(message)
	return slices.Concat(aggregateMagic, message, sum[:])
}

// Sub appends one record to an aggregate's message.
func Sub(message []byte, key uint64, data []byte) []byte {
	var record []byte
	record = protowire.AppendTag(record, recordPartitionKey, protowire.VarintType)
	record = protowire.AppendVarint(record, key)
	record = protowire.AppendTag(record, recordData, protowire.BytesType)
	record = protowire.AppendBytes(record, data)
	message = protowire.AppendTag(message, aggregateRecords, protowire.BytesType)
	return protowire.AppendBytes(message, record)
}

// Keyed begins a message with its table of partition keys.
func Keyed(keys ...string) (message []byte) {
	for _, k := range keys {
		message = protowire.AppendTag(message, aggregatePartitionKeys, protowire.BytesType)
		message = protowire.AppendString(message, k)
	}
	return message
}

// AggregateOf packs records of these data.
func AggregateOf(data ...string) []byte {
	message := Keyed("key")
	for _, d := range data {
		message = Sub(message, 0, []byte(d))
	}
	return Seal(message)
}

// BadAggregates are what the library drops a whole batch for, or dies of; all of them are one
// record here.
func BadAggregates() map[string][]byte {
	field := func(num protowire.Number, typ protowire.Type) []byte { return protowire.AppendTag(nil, num, typ) }
	bare := protowire.AppendBytes(field(aggregateRecords, protowire.BytesType), nil)
	huge := Keyed("key")
	for range 100_000 {
		huge = Sub(huge, 0, nil)
	}
	return map[string][]byte{
		"no protobuf":                         Seal([]byte("this is no protobuf at all")),
		"a truncated message":                 Seal(Sub(Keyed("key"), 0, []byte("data"))[:8]),
		"a length beyond the end":             Seal(append(field(aggregateRecords, protowire.BytesType), 0xFF, 0xFF, 0x03)),
		"partition key index out of range":    Seal(Sub(Sub(Keyed("key"), 0, []byte("good")), 1, []byte("bad"))),
		"partition key index of 2^63":         Seal(Sub(Keyed("key"), 1<<63, []byte("bad"))),
		"no partition key at all":             Seal(Sub(nil, 0, []byte("bad"))),
		"a record without a key and data":     Seal(append(Keyed("key"), bare...)),
		"keys of the wrong wire type":         Seal(Sub(protowire.AppendVarint(field(aggregatePartitionKeys, protowire.VarintType), 1), 0, []byte("bad"))),
		"records of the wrong wire type":      Seal(protowire.AppendVarint(field(aggregateRecords, protowire.VarintType), 1)),
		"a field number beyond all":           Seal([]byte("\x80\xfa\x81\x800" + "0")),
		"an end of a group that did not open": Seal(field(5, protowire.EndGroupType)),
		"a hundred thousand empty records":    Seal(huge),
	}
}
