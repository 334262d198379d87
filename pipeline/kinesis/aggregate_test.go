package kinesis

import (
	"bytes"
	"context"
	"crypto/md5"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awstypes "github.com/aws/aws-sdk-go-v2/service/kinesis/types"
	deagg "github.com/awslabs/kinesis-aggregation/go/v2/deaggregator"
	"google.golang.org/protobuf/encoding/protowire"

	"rootwatch/pipeline/awstest"
)

// seal makes an aggregate of a protobuf message, good or bad.
func seal(message []byte) []byte {
	sum := md5.Sum(message)
	return slices.Concat(aggregateMagic, message, sum[:])
}

// sub appends one record to an aggregate's message.
func sub(message []byte, key uint64, data []byte) []byte {
	var record []byte
	record = protowire.AppendTag(record, recordPartitionKey, protowire.VarintType)
	record = protowire.AppendVarint(record, key)
	record = protowire.AppendTag(record, recordData, protowire.BytesType)
	record = protowire.AppendBytes(record, data)
	message = protowire.AppendTag(message, aggregateRecords, protowire.BytesType)
	return protowire.AppendBytes(message, record)
}

// keyed begins a message with its table of partition keys.
func keyed(keys ...string) (message []byte) {
	for _, k := range keys {
		message = protowire.AppendTag(message, aggregatePartitionKeys, protowire.BytesType)
		message = protowire.AppendString(message, k)
	}
	return message
}

func aggregateOf(data ...string) []byte {
	message := keyed("key")
	for _, d := range data {
		message = sub(message, 0, []byte(d))
	}
	return seal(message)
}

// badAggregates are what the library drops a whole batch for, or dies of; all of them are one record here.
func badAggregates() map[string][]byte {
	field := func(num protowire.Number, typ protowire.Type) []byte { return protowire.AppendTag(nil, num, typ) }
	bare := protowire.AppendBytes(field(aggregateRecords, protowire.BytesType), nil)
	huge := keyed("key")
	for range 100_000 {
		huge = sub(huge, 0, nil)
	}
	return map[string][]byte{
		"no protobuf":                         seal([]byte("this is no protobuf at all")),
		"a truncated message":                 seal(sub(keyed("key"), 0, []byte("data"))[:8]),
		"a length beyond the end":             seal(append(field(aggregateRecords, protowire.BytesType), 0xFF, 0xFF, 0x03)),
		"partition key index out of range":    seal(sub(sub(keyed("key"), 0, []byte("good")), 1, []byte("bad"))),
		"partition key index of 2^63":         seal(sub(keyed("key"), 1<<63, []byte("bad"))),
		"no partition key at all":             seal(sub(nil, 0, []byte("bad"))),
		"a record without a key and data":     seal(append(keyed("key"), bare...)),
		"keys of the wrong wire type":         seal(sub(protowire.AppendVarint(field(aggregatePartitionKeys, protowire.VarintType), 1), 0, []byte("bad"))),
		"records of the wrong wire type":      seal(protowire.AppendVarint(field(aggregateRecords, protowire.VarintType), 1)),
		"a field number beyond all":           seal([]byte("\x80\xfa\x81\x800" + "0")),
		"an end of a group that did not open": seal(field(5, protowire.EndGroupType)),
		"a hundred thousand empty records":    seal(huge),
	}
}

func records(data ...[]byte) []awstypes.Record {
	out := make([]awstypes.Record, len(data))
	for i, d := range data {
		out[i] = awstypes.Record{Data: d, SequenceNumber: aws.String(fmt.Sprint(i + 1)), PartitionKey: aws.String("key"), ApproximateArrivalTimestamp: aws.Time(time.Unix(int64(i), 0))}
	}
	return out
}

// received is what the pipeline gets of records: expanded here, seen by the library, unmarked in the session.
func received(t testing.TB, in []awstypes.Record) (data [][]byte) {
	t.Helper()
	seen, err := deagg.DeaggregateRecords(expand(in))
	if err != nil {
		t.Fatalf("the library drops the batch: %v", err)
	}
	for i := range seen {
		data = append(data, unmark(seen[i].Data))
	}
	return data
}

func TestAggregatesAreExpandedAndBadOnesAreOneRecord(t *testing.T) {
	nested := aggregateOf("a", "b")
	tampered := aggregateOf("a", "b")
	tampered[len(tampered)-1]++
	tests := map[string]struct {
		in   [][]byte
		want [][]byte
	}{
		"no records":                          {},
		"plain records":                       {in: [][]byte{[]byte("{}"), nil, []byte("x")}, want: [][]byte{[]byte("{}"), nil, []byte("x")}},
		"one aggregate":                       {in: [][]byte{aggregateOf("a", "b", "c")}, want: [][]byte{[]byte("a"), []byte("b"), []byte("c")}},
		"aggregates between plain records":    {in: [][]byte{[]byte("x"), aggregateOf("a", "b"), []byte("y"), aggregateOf("c")}, want: [][]byte{[]byte("x"), []byte("a"), []byte("b"), []byte("y"), []byte("c")}},
		"an empty aggregate":                  {in: [][]byte{[]byte("x"), seal(keyed("key"))}, want: [][]byte{[]byte("x")}},
		"an aggregate of an empty message":    {in: [][]byte{seal(nil)}, want: [][]byte{seal(nil)}}, // too short to be one
		"unknown fields":                      {in: [][]byte{seal(protowire.AppendVarint(protowire.AppendTag(sub(keyed("key"), 0, []byte("a")), 9, protowire.VarintType), 1))}, want: [][]byte{[]byte("a")}},
		"an aggregate in an aggregate":        {in: [][]byte{aggregateOf("x", string(nested))}, want: [][]byte{[]byte("x"), nested}},
		"wrong checksum":                      {in: [][]byte{tampered}, want: [][]byte{tampered}},
		"the magic alone":                     {in: [][]byte{aggregateMagic}, want: [][]byte{aggregateMagic}},
		"the magic and text":                  {in: [][]byte{append(slices.Clone(aggregateMagic), "text"...)}, want: [][]byte{append(slices.Clone(aggregateMagic), "text"...)}},
		"a zero before the magic":             {in: [][]byte{append([]byte{0}, nested...)}, want: [][]byte{append([]byte{0}, nested...)}},
		"zeros before the magic, in between":  {in: [][]byte{aggregateOf("a", "\x00\x00"+string(nested))}, want: [][]byte{[]byte("a"), append([]byte{0, 0}, nested...)}},
		"a zero before a checksum that fails": {in: [][]byte{append([]byte{0}, tampered...)}, want: [][]byte{append([]byte{0}, tampered...)}},
	}
	for name, bad := range badAggregates() {
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
	in := records([]byte("x"), aggregateOf("a", "b"))
	for _, r := range expand(in)[1:] {
		if *r.SequenceNumber != "2" || !r.ApproximateArrivalTimestamp.Equal(time.Unix(1, 0)) {
			t.Errorf("%q has sequence number %s and arrival %s", r.Data, *r.SequenceNumber, r.ApproximateArrivalTimestamp)
		}
	}
}

// deaggregator.go:60 returns nothing at all for one bad aggregate, and :85 takes an index unchecked.
func TestTheBareLibraryDropsTheBatchOrPanics(t *testing.T) {
	dropped, err := deagg.DeaggregateRecords(records([]byte("good"), seal([]byte("this is no protobuf at all")), []byte("good")))
	if err == nil || len(dropped) != 0 {
		t.Errorf("%d records are left of a batch with a bad aggregate, %v: expanding is not needed any more", len(dropped), err)
	}
	defer func() {
		if recover() == nil {
			t.Error("a partition key index out of range is no panic: expanding is not needed any more")
		}
	}()
	deagg.DeaggregateRecords(records(seal(sub(keyed("key"), 1, []byte("bad"))))) //nolint:errcheck // it panics
}

// The whole way: through the stand-in, the fetch guard, the library and the session.
func TestABadAggregateCostsNoOtherRecord(t *testing.T) {
	bubble(t, func(t *testing.T) {
		c := newCloud(t, 1, awstest.Options{})
		r := c.start("worker", setup{config: trimHorizon})
		var want []string
		put := func(data []byte, records ...string) {
			c.PutData(shardID(0), data)
			want = append(want, records...)
		}
		put([]byte("first"), "first")
		for name, bad := range badAggregates() {
			put(bad, string(bad))
			put([]byte("after "+name), "after "+name)
			put(aggregateOf("1 after "+name, "2 after "+name), "1 after "+name, "2 after "+name)
		}
		put(seal(keyed("key"))) // with nothing in it, at the end
		until(t, time.Minute, "all is read", func() bool { return len(r.records()) >= len(want) })
		pass(t, 5*time.Second)
		if got := r.records(); !slices.Equal(got, want) {
			t.Errorf("%d records were read, want %d", len(got), len(want))
		}
		if n := r.metric("rootwatch_panics_recovered_total", ""); n != 0 {
			t.Errorf("%v panics", n)
		}
		if n := r.metric("rootwatch_fetch_memory_bytes", ""); n != 0 {
			t.Errorf("%v bytes are still reserved", n)
		}
		r.endWell()
		after := c.start("after", setup{config: trimHorizon})
		after.holding(1)
		pass(t, 5*time.Second)
		if got := after.records(); len(got) != 0 {
			t.Errorf("%d records were read again", len(got))
		}
	})
}

// A restart in the middle of an aggregate reads the whole of it again: checkpoints are whole sequence numbers.
func TestAnAggregateIsCheckpointedAsAWhole(t *testing.T) {
	bubble(t, func(t *testing.T) {
		c := newCloud(t, 1, awstest.Options{})
		c.PutData(shardID(0), []byte("x"))
		h := hold{}
		r := c.start("worker", setup{config: trimHorizon, submit: h.submit})
		until(t, time.Minute, "one record", func() bool { return len(r.records()) == 1 })
		h.set(true)
		c.PutData(shardID(0), aggregateOf("a", "b", "c"))
		until(t, time.Minute, "three more", func() bool { return len(r.records()) == 4 })
		r.end() //nolint:errcheck // it is stuck, and says so
		after := c.start("after", setup{config: trimHorizon})
		until(t, time.Minute, "the aggregate again", func() bool { return slices.Equal(after.records(), []string{"a", "b", "c"}) })
	})
}

// The memory of what an aggregate is expanded to is booked, and given back whatever becomes of it.
func TestMemoryOfExpandedAggregatesIsBooked(t *testing.T) {
	bubble(t, func(t *testing.T) {
		c := newCloud(t, 1, awstest.Options{})
		h := hold{on: true}
		r := c.start("worker", setup{config: trimHorizon, submit: h.submit})
		data := make([]string, 1000)
		for i := range data {
			data[i] = strings.Repeat("x", 100)
		}
		c.PutData(shardID(0), aggregateOf(data...))
		until(t, time.Minute, "a thousand records", func() bool { return len(r.records()) == 1000 })
		if n := r.metric("rootwatch_fetch_memory_bytes", ""); n < 1000*(100+recordOverhead) {
			t.Errorf("%v bytes are reserved for a thousand records of 100 bytes", n)
		}
		h.finish()
		pass(t, 5*time.Second)
		if n := r.metric("rootwatch_fetch_memory_bytes", ""); n != 0 {
			t.Errorf("%v bytes are still reserved", n)
		}
	})
}

// The last answer of a closed shard may come when the lease is lost: there is no next fetch to give its memory back.
func TestMemoryOfAnAnswerThatNobodyTakesIsGivenBack(t *testing.T) {
	for name, last := range map[string][]byte{"records": []byte("x"), "an empty aggregate": seal(keyed("key"))} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				c := newCloud(t, 1, awstest.Options{})
				r := c.start("worker", setup{config: trimHorizon, worker: func(w *Worker) {
					ended := w.guard.shardEnded
					w.guard.shardEnded = func() { // between the last answer and its processing
						ended()
						if last[0] == 'x' {
							w.leases.tenure(shardID(0)).end(ErrLost)
						}
					}
				}, submit: func(_ context.Context, _ *reader, b *batch) error { b.Done(outcome{}); return nil }})
				r.holding(1)
				until(t, time.Minute, "it reads", func() bool { return c.CallsBy("worker")["kinesis:GetRecords"] > 3 })
				fault := c.Inject(awstest.Fault{Operation: "GetRecords", Effect: awstest.Throttle})
				c.PutData(shardID(0), last)
				c.Split(shardID(0))
				fault.Remove()
				until(t, time.Minute, "the children are read", func() bool { return !slices.Contains(r.holds(), shardID(0)) })
				pass(t, 10*time.Second)
				if n := r.metric("rootwatch_fetch_memory_bytes", ""); n != 0 {
					t.Errorf("%v bytes are still reserved", n)
				}
			})
		})
	}
}

// FuzzExpand: whatever the records hold, nothing panics, the library neither errs nor panics on what it is given, and
// what is no aggregate arrives as it was.
func FuzzExpand(f *testing.F) {
	f.Add([]byte("plain"), []byte("message"), false)
	f.Add(aggregateOf("a", "b"), sub(keyed("key"), 0, []byte("data")), true)
	for _, bad := range badAggregates() {
		if len(bad) < 1000 {
			f.Add(bad, bad[len(aggregateMagic):len(bad)-md5.Size], true)
		}
	}
	f.Add(append([]byte{0, 0}, aggregateOf("a")...), sub(keyed("key", "other"), 1, aggregateOf("nested")), true)
	f.Fuzz(func(t *testing.T, data, message []byte, sealed bool) {
		second := message
		if sealed {
			second = seal(message)
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

// checkExpansion compares with the library: what an aggregate is expanded to is what the library makes of it. We may be
// stricter (it stays one record then) and we fail less often.
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
