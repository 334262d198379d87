//go:build chaos

package main

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	ddb "github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
)

// logDoubled says after which mischief root calls were told a second time.
func (c *chaos) logDoubled() {
	type telling struct {
		id string
		at time.Time
	}
	var tellings []telling
	for _, p := range c.all {
		for _, line := range p.lines() {
			if at, err := time.Parse(time.RFC3339Nano, fmt.Sprint(line["time"])); err == nil && line["msg"] == "root call" {
				tellings = append(tellings, telling{fmt.Sprint(line["event_id"]), at})
			}
		}
	}
	slices.SortFunc(tellings, func(a, b telling) int { return a.at.Compare(b.at) })
	known := make(map[string]bool)
	after := make(map[string]int)
	for _, t := range tellings {
		if !known[t.id] {
			known[t.id] = true
			continue
		}
		last := "nothing"
		for _, d := range c.done {
			if d.began.Before(t.at) {
				last = d.name
			}
		}
		after[last]++
	}
	c.t.Logf("told more than once, by the last mischief before: %v", after)
}

// missing returns those of ids that were not told in a log line, or are not in the ledger.
func (c *chaos) missing(ids []string) []string {
	told := make(map[string]bool)
	c.mu.Lock()
	all := slices.Clone(c.all)
	c.mu.Unlock()
	for _, p := range all {
		for _, id := range p.rootCalls() {
			told[id] = true
		}
	}
	written := make(map[string]bool)
	c.scan(c.app+"-findings", func(item map[string]ddb.AttributeValue) { written[text(item, "id")] = true })
	return slices.DeleteFunc(slices.Clone(ids), func(id string) bool { return told[id] && written[id] })
}

func text(item map[string]ddb.AttributeValue, name string) string {
	if v, ok := item[name].(*ddb.AttributeValueMemberS); ok {
		return v.Value
	}
	return ""
}

func (c *chaos) scan(table string, each func(map[string]ddb.AttributeValue)) {
	var from map[string]ddb.AttributeValue
	for {
		out, err := c.table.Scan(c.t.Context(), &dynamodb.ScanInput{TableName: &table, ExclusiveStartKey: from, ConsistentRead: aws.Bool(true)})
		if err != nil {
			return // not made yet
		}
		for _, item := range out.Items {
			each(item)
		}
		if from = out.LastEvaluatedKey; len(from) == 0 {
			return
		}
	}
}

// watchCheckpoints counts the checkpoints that go back, until ctx ends.
func (c *chaos) watchCheckpoints(ctx context.Context) (regressions int) {
	newest := make(map[string]string)
	tick := time.NewTicker(25 * time.Millisecond)
	defer tick.Stop()
	for ctx.Err() == nil {
		<-tick.C
		c.scan(c.app, func(item map[string]ddb.AttributeValue) {
			shard, checkpoint := text(item, "ShardID"), text(item, "Checkpoint")
			if before := newest[shard]; before != "" && (before == "SHARD_END" && checkpoint != before ||
				checkpoint != "SHARD_END" && hashKey(&checkpoint).Cmp(hashKey(&before)) < 0) {
				regressions++
				c.t.Errorf("the checkpoint of %s went from %s to %q", shard, before, checkpoint)
			}
			newest[shard] = checkpoint
		})
	}
	return regressions
}
