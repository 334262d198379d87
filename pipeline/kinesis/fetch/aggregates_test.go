package fetch

import (
	"bytes"
	"crypto/md5"
	"fmt"
	"slices"
	"testing"
	"time"

	"rootwatch/pipeline/kinesis/streamtest"

	"github.com/aws/aws-sdk-go-v2/aws"
	awstypes "github.com/aws/aws-sdk-go-v2/service/kinesis/types"
	deagg "github.com/awslabs/kinesis-aggregation/go/v2/deaggregator"
	"google.golang.org/protobuf/encoding/protowire"
)

func records(data ...[]byte) []awstypes.Record {
	out := make([]awstypes.Record, len(data))
	for i, d := range data {
		out[i] = awstypes.Record{Data: d, SequenceNumber: aws.String(fmt.Sprint(i + 1)), PartitionKey: aws.String("key"), ApproximateArrivalTimestamp: aws.Time(time.Unix(int64(i), 0))}
	}
	return out
}

// received is what the pipeline gets of records: expanded here, seen by the library, unmarked by
// the consumer.
func received(t testing.TB, in []awstypes.Record) (data [][]byte) {
	t.Helper()
	seen, err := deagg.DeaggregateRecords(expand(in))
	if err != nil {
		t.Fatalf("the library drops the batch: %v", err)
	}
	for i := range seen {
		data = append(data, Unmark(seen[i].Data))
	}
	return data
}

func TestAggregatesAreExpandedAndBadOnesAreOneRecord(t *testing.T) {
	nested := streamtest.AggregateOf("a", "b")
	tampered := streamtest.AggregateOf("a", "b")
	tampered[len(tampered)-1]++
	tests := map[string]struct {
		in   [][]byte
		want [][]byte
	}{
		"no records":                          {},
		"plain records":                       {in: [][]byte{[]byte("{}"), nil, []byte("x")}, want: [][]byte{[]byte("{}"), nil, []byte("x")}},
		"one aggregate":                       {in: [][]byte{streamtest.AggregateOf("a", "b", "c")}, want: [][]byte{[]byte("a"), []byte("b"), []byte("c")}},
		"aggregates between plain records":    {in: [][]byte{[]byte("x"), streamtest.AggregateOf("a", "b"), []byte("y"), streamtest.AggregateOf("c")}, want: [][]byte{[]byte("x"), []byte("a"), []byte("b"), []byte("y"), []byte("c")}},
		"an empty aggregate":                  {in: [][]byte{[]byte("x"), streamtest.Seal(streamtest.Keyed("key"))}, want: [][]byte{[]byte("x")}},
		"an aggregate of an empty message":    {in: [][]byte{streamtest.Seal(nil)}, want: [][]byte{streamtest.Seal(nil)}}, // too short to be one
		"unknown fields":                      {in: [][]byte{streamtest.Seal(protowire.AppendVarint(protowire.AppendTag(streamtest.Sub(streamtest.Keyed("key"), 0, []byte("a")), 9, protowire.VarintType), 1))}, want: [][]byte{[]byte("a")}},
		"an aggregate in an aggregate":        {in: [][]byte{streamtest.AggregateOf("x", string(nested))}, want: [][]byte{[]byte("x"), nested}},
		"wrong checksum":                      {in: [][]byte{tampered}, want: [][]byte{tampered}},
		"the magic alone":                     {in: [][]byte{aggregateMagic}, want: [][]byte{aggregateMagic}},
		"the magic and text":                  {in: [][]byte{append(slices.Clone(aggregateMagic), "text"...)}, want: [][]byte{append(slices.Clone(aggregateMagic), "text"...)}},
		"a zero before the magic":             {in: [][]byte{append([]byte{0}, nested...)}, want: [][]byte{append([]byte{0}, nested...)}},
		"zeros before the magic, in between":  {in: [][]byte{streamtest.AggregateOf("a", "\x00\x00"+string(nested))}, want: [][]byte{[]byte("a"), append([]byte{0, 0}, nested...)}},
		"a zero before a checksum that fails": {in: [][]byte{append([]byte{0}, tampered...)}, want: [][]byte{append([]byte{0}, tampered...)}},
	}
	for name, bad := range streamtest.BadAggregates() {
		tests[name] = struct{ in, want [][]byte }{in: [][]byte{[]byte("before"), bad, []byte("after")}, want: [][]byte{[]byte("before"), bad, []byte("after")}}
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			in := records(test.in...)
			got := received(t, in)
			if !slices.EqualFunc(got, test.want, bytes.Equal) {
				t.Errorf("%q became %q, want %q", test.in, got, test.want)
			}
			for i := range in {
				if !bytes.Equal(in[i].Data, test.in[i]) {
					t.Error("the answer itself was changed")
				}
			}
		})
	}
}

func TestTheRecordsOfAnAggregateKeepItsSequenceNumberAndArrival(t *testing.T) {
	in := records([]byte("x"), streamtest.AggregateOf("a", "b"))
	for _, r := range expand(in)[1:] {
		if *r.SequenceNumber != "2" || !r.ApproximateArrivalTimestamp.Equal(time.Unix(1, 0)) {
			t.Errorf("%q has sequence number %s and arrival %s", r.Data, *r.SequenceNumber, r.ApproximateArrivalTimestamp)
		}
	}
}

// deaggregator.go:60 returns nothing at all for one bad aggregate, and :85 takes an index
// unchecked.
func TestTheBareLibraryDropsTheBatchOrPanics(t *testing.T) {
	dropped, err := deagg.DeaggregateRecords(records([]byte("good"), streamtest.Seal([]byte("this is no protobuf at all")), []byte("good")))
	if err == nil || len(dropped) != 0 {
		t.Errorf("%d records are left of a batch with a bad aggregate, %v: expanding is not needed any more", len(dropped), err)
	}
	defer func() {
		if recover() == nil {
			t.Error("a partition key index out of range is no panic: expanding is not needed any more")
		}
	}()
	deagg.DeaggregateRecords(records(streamtest.Seal(streamtest.Sub(streamtest.Keyed("key"), 1, []byte("bad"))))) //nolint:errcheck // it panics
}

// FuzzExpand: whatever the records hold, nothing panics, the library neither errs nor panics on
// what it is given, and what is no aggregate arrives as it was.
func FuzzExpand(f *testing.F) {
	f.Add([]byte("plain"), []byte("message"), false)
	f.Add(streamtest.AggregateOf("a", "b"), streamtest.Sub(streamtest.Keyed("key"), 0, []byte("data")), true)
	for _, bad := range streamtest.BadAggregates() {
		if len(bad) < 1000 {
			f.Add(bad, bad[len(aggregateMagic):len(bad)-md5.Size], true)
		}
	}
	f.Add(append([]byte{0, 0}, streamtest.AggregateOf("a")...), streamtest.Sub(streamtest.Keyed("key", "other"), 1, streamtest.AggregateOf("nested")), true)
	f.Fuzz(func(t *testing.T, data, message []byte, sealed bool) {
		second := message
		if sealed {
			second = streamtest.Seal(message)
		}
		in := records([]byte("first"), data, second, []byte("last"))
		got := received(t, in)
		if len(got) < 2 || string(got[0]) != "first" || string(got[len(got)-1]) != "last" {
			t.Fatalf("%q and %q became %q", data, second, got)
		}
		got = got[1 : len(got)-1]
		if !isAggregate(data) {
			if len(got) == 0 || !bytes.Equal(got[0], data) {
				t.Errorf("%q is no aggregate, and became %q", data, got)
			}
		}
		if !isAggregate(second) {
			if len(got) == 0 || !bytes.Equal(got[len(got)-1], second) {
				t.Errorf("%q is no aggregate, and became %q", second, got)
			}
		}
		if !isAggregate(data) && isAggregate(second) {
			checkExpansion(t, second, got[1:])
		}
	})
}

// checkExpansion compares with the library: what an aggregate is expanded to is what the library
// makes of it. We may be stricter (it stays one record then) and we fail less often.
func checkExpansion(t *testing.T, aggregate []byte, got [][]byte) {
	want, ok := libraryExpansion(aggregate)
	switch whole := len(got) == 1 && bytes.Equal(got[0], aggregate); {
	case ok && !whole && !slices.EqualFunc(got, want, bytes.Equal):
		t.Errorf("%q became %q, by the library %q", aggregate, got, want)
	case !ok && len(got) == 0:
		t.Errorf("the library cannot read %q, and nothing is left of it", aggregate)
	}
}

func libraryExpansion(aggregate []byte) (data [][]byte, ok bool) {
	defer func() {
		if recover() != nil {
			ok = false
		}
	}()
	out, err := deagg.DeaggregateRecords(records(aggregate))
	if err != nil {
		return nil, false
	}
	for i := range out {
		data = append(data, out[i].Data)
	}
	return data, true
}
