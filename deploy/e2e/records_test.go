//go:build e2e

package e2e

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/kinesis"

	"rootwatch/classify"
	"rootwatch/pipeline/cloudtrailtest"
)

// Hash keys of a stream's first and last shard.
const (
	firstShard = "0"
	lastShard  = "340282366920938463463374607431768211455"
)

// record is one event on its way to the stream.
type record struct {
	data []byte
	id   string // of the event
}

// call gives the next made-up event of a kind, moved to an account.
func (w *world) call(t *testing.T, kind, account string) record {
	t.Helper()
	return w.event(t, account, func(r cloudtrailtest.Record) bool { return r.Kind == kind })
}

// serviceCall is one that a service made by itself.
func (w *world) serviceCall(t *testing.T, reason classify.Reason, account string) record {
	t.Helper()
	return w.event(t, account, func(r cloudtrailtest.Record) bool { return r.Reason == reason })
}

func (w *world) event(t *testing.T, account string, is func(cloudtrailtest.Record) bool) record {
	t.Helper()
	for range 10_000 {
		r := w.traffic.Next()
		if !is(r) {
			continue
		}
		var e struct {
			Account string
			Detail  struct{ EventID string }
		}
		if json.Unmarshal(r.Data, &e) != nil {
			return record{data: r.Data} // cut short, as it should be
		}
		return record{bytes.ReplaceAll(r.Data, []byte(e.Account), []byte(account)), e.Detail.EventID}
	}
	t.Fatal("the traffic has no such event")
	return record{}
}

// account is one that no scenario has used yet.
func (w *world) account() string {
	w.accounts++
	return fmt.Sprintf("111122223%03d", 333+w.accounts-1)
}

// heartbeat is a region's, sent at a time.
func heartbeat(region string, at time.Time) []byte {
	return fmt.Appendf(nil, `{"version":"0","id":"%s-%d","detail-type":"Scheduled Event","source":"aws.events","account":"111122223333","time":%q,"region":%q,"resources":["arn:aws:events:%s:111122223333:rule/rootwatch-heartbeat"],"detail":{}}`,
		region, at.UnixNano(), at.UTC().Format(time.RFC3339), region, region)
}

// beat sends a heartbeat each second until ctx ends.
func (w *world) beat(ctx context.Context, region string) {
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for {
		if _, err := w.putRecord(ctx, mainStream, heartbeat(region, time.Now()), ""); err != nil && ctx.Err() == nil {
			w.t.Errorf("sending a heartbeat: %v", err)
			return
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
	}
}

// sent is where and when a record went into a stream.
type sent struct {
	at              time.Time // just before it
	shard, sequence string
}

// put puts a record into a stream.
func (w *world) put(t *testing.T, stream string, data []byte) sent {
	t.Helper()
	return w.putAt(t, stream, data, "")
}

// putAt puts a record into the shard of a stream that has a hash key.
func (w *world) putAt(t *testing.T, stream string, data []byte, hashKey string) sent {
	t.Helper()
	s, err := w.putRecord(t.Context(), stream, data, hashKey)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func (w *world) putRecord(ctx context.Context, stream string, data []byte, hashKey string) (sent, error) {
	in := &kinesis.PutRecordInput{StreamName: &stream, Data: data, PartitionKey: aws.String(fmt.Sprint(len(data), "-", time.Now().UnixNano()))}
	if hashKey != "" {
		in.ExplicitHashKey = &hashKey
	}
	at := time.Now()
	out, err := w.kinesis.PutRecord(ctx, in)
	if err != nil {
		return sent{}, err
	}
	return sent{at, *out.ShardId, *out.SequenceNumber}, nil
}
