//go:build chaos

package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awskinesis "github.com/aws/aws-sdk-go-v2/service/kinesis"
	"github.com/aws/aws-sdk-go-v2/service/kinesis/types"
)

// produce puts records at the set rate: numbered root calls, others, and poison.
func (c *chaos) produce(ctx context.Context) {
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	random := rand.New(rand.NewPCG(c.seed, 2))
	rate := *chaosRate
	if c.outage != nil { // they run beside each other; every shard gets a root call a second
		rate = 100
	}
	for ctx.Err() == nil {
		<-tick.C
		var entries []types.PutRecordsRequestEntry
		var roots []string
		for range rate / 10 {
			c.records++
			data := chaosEvent(fmt.Sprintf("other-%d", c.records), "AssumedRole")
			switch n := random.IntN(100); {
			case n < 10:
				id := fmt.Sprintf("root-%d", c.records)
				roots = append(roots, id)
				data = chaosEvent(id, "Root")
			case n < 12:
				data = data[:len(data)/2]
			case n < 13:
				data = []byte("\xf3\x89\x9a\xc2 no aggregate")
			case n < 18 && c.large > 0:
				data = fmt.Appendf(data[:len(data)-2], `,"requestParameters":{"x":"%s"}}}`, strings.Repeat("x", c.large))
			}
			entries = append(entries, types.PutRecordsRequestEntry{Data: data, PartitionKey: aws.String(fmt.Sprint(random.Uint64()))})
		}
		c.mu.Lock()
		c.roots = append(c.roots, roots...)
		c.mu.Unlock()
		c.put(entries)
	}
}

func chaosEvent(id, identity string) []byte {
	return fmt.Appendf(nil, `{"version":"0","id":"%[1]s","detail-type":"AWS API Call via CloudTrail","source":"aws.iam","account":"111122223333","time":"2026-11-23T00:00:00Z","region":"us-east-1","resources":[],"detail":{"eventVersion":"1.11","userIdentity":{"type":"%[2]s","arn":"arn:aws:iam::111122223333:root","accountId":"111122223333","accessKeyId":"AKIAIOSFODNN7EXAMPLE"},"eventTime":"2026-11-23T00:00:00Z","eventSource":"iam.amazonaws.com","eventName":"ListUsers","awsRegion":"us-east-1","sourceIPAddress":"192.0.2.1","userAgent":"aws-cli","eventID":"%[1]s","eventType":"AwsApiCall"}}`, id, identity)
}

func (c *chaos) put(entries []types.PutRecordsRequestEntry) {
	deadline := time.Now().Add(30 * time.Second)
	for len(entries) > 0 && time.Now().Before(deadline) {
		out, err := c.client.PutRecords(c.t.Context(), &awskinesis.PutRecordsInput{StreamName: &c.stream, Records: entries})
		if err != nil {
			continue // of a reshard: the same entries again
		}
		var again []types.PutRecordsRequestEntry
		for i, r := range out.Records {
			if r.ErrorCode != nil {
				again = append(again, entries[i])
			}
		}
		entries = again
	}
	if len(entries) > 0 {
		c.t.Errorf("%d records could not be put", len(entries))
	}
}
