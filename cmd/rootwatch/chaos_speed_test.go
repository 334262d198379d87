//go:build chaos

package main

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awskinesis "github.com/aws/aws-sdk-go-v2/service/kinesis"
	"github.com/aws/aws-sdk-go-v2/service/kinesis/types"
)

// A worker is killed with kill -9; its shards are read again within the lease's duration and three
// seconds.
func TestChaosTakeover(t *testing.T) {
	for _, lease := range []time.Duration{2 * time.Second, 20 * time.Second} {
		t.Run(lease.String(), func(t *testing.T) {
			t.Parallel()
			server, client := testStream(t, 4)
			var workers [2]*process
			for i := range workers {
				workers[i] = startWorker(t, endpointsOf(server), fmt.Sprint("w", i), "--kinesis.stream=trail", "--kinesis.start=trim-horizon", "--kinesis.lease-duration="+lease.String(), "--kinesis.poll-interval=200ms")
				eventually(t, 10*time.Second, "the first worker holds all", func() bool { return i > 0 || workers[0].metric("rootwatch_leases_held") == 4 })
			}
			eventually(t, 3*lease, "the leases are shared", func() bool {
				return workers[0].metric("rootwatch_leases_held") == 2 && workers[1].metric("rootwatch_leases_held") == 2
			})
			workers[0].kill()
			killed := time.Now()
			for i := range 40 { // to all shards
				put := &awskinesis.PutRecordInput{StreamName: aws.String("trail"), PartitionKey: aws.String(fmt.Sprint(i)), Data: chaosEvent(fmt.Sprint("root-", i), "Root")}
				if _, err := client.PutRecord(t.Context(), put); err != nil {
					t.Fatal(err)
				}
			}
			eventually(t, lease+10*time.Second, "all records are read", func() bool { return workers[1].metric("rootwatch_root_calls_total") == 40 })
			took := time.Since(killed)
			t.Logf("lease %s: all shards read again %s after kill -9", lease, took)
			if took > lease+3*time.Second {
				t.Errorf("taking over took %s, want at most %s", took, lease+3*time.Second)
			}
		})
	}
}

// One worker, started on 64 shards with 500 MB behind: it holds and reads all soon, in bounded
// memory.
func TestChaosCatchUp(t *testing.T) {
	const shards, total = 64, 500 << 20
	server, client := testStream(t, shards)
	filler := strings.Repeat("x", *chaosSize)
	n := 0
	for put := 0; put < total; {
		var entries []types.PutRecordsRequestEntry
		for range min(500, (4<<20) / *chaosSize) {
			data := chaosEvent(fmt.Sprint("other-", n), "AssumedRole")
			data = fmt.Appendf(data[:len(data)-2], `,"requestParameters":{"x":"%s"}}}`, filler[:*chaosSize-len(data)])
			entries = append(entries, types.PutRecordsRequestEntry{Data: data, PartitionKey: aws.String(fmt.Sprint(rand.Uint64()))})
			put += len(data)
			n++
		}
		if out, err := client.PutRecords(t.Context(), &awskinesis.PutRecordsInput{StreamName: aws.String("trail"), Records: entries}); err != nil || *out.FailedRecordCount > 0 {
			t.Fatal(err, out)
		}
	}
	began := time.Now()
	w := startWorker(t, endpointsOf(server), "one", "--kinesis.stream=trail", "--kinesis.start=trim-horizon", "--kinesis.lease-duration=20s")
	held := eventually(t, 60*time.Second, "all leases are held and have answered", func() bool {
		return w.metric("rootwatch_leases_held") == shards && w.metric("rootwatch_fetches_total", "result=ok") >= shards
	})
	eventually(t, 3*time.Minute, "all records are read", func() bool { return w.metric("rootwatch_records_total") >= float64(n) })
	took := time.Since(began)
	t.Logf("64 leases held after %s; %d records, %d MB read after %s (%.0f records/s); peak resident memory %d MiB",
		held, n, total>>20, took, float64(n)/took.Seconds(), w.peakMemory()>>20)
	if undecodable := w.metric("rootwatch_events_total", "result=undecodable"); undecodable > 0 {
		t.Errorf("%v records are undecodable", undecodable)
	}
	if w.peakMemory() > 256<<20 {
		t.Errorf("peak memory %d MiB, want at most 256", w.peakMemory()>>20)
	}
	w.stop(10 * time.Second)
}
