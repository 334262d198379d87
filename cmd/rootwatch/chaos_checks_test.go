//go:build chaos

package main

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	ddb "github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
)

// calm ends all faults and sees to it that all workers run.
func (c *chaos) calm() {
	if c.server != nil {
		c.server.ClearFaults()
	}
	for _, w := range c.workers {
		w.signal(syscall.SIGCONT)
	}
}

// check waits until all that was put is told and written down, no shard is taken for ended that is
// not, and every worker answers that it is ready.
func (c *chaos) check() {
	missing := c.roots
	c.eventually(time.Minute, "every root call is told and written down", func() bool {
		missing = c.missing(missing)
		return len(missing) == 0
	}, func() string { return fmt.Sprintf("; %d of %d root calls are missing", len(missing), len(c.roots)) })
	c.eventually(30*time.Second, "only shards that have ended are taken for ended", func() bool { return len(c.endedAndOpen()) == 0 }, func() string { return "" })
	c.eventually(30*time.Second, "every worker is ready", func() bool {
		return !slices.ContainsFunc(c.workers, func(w *process) bool { code, _ := w.ready(); return code != http.StatusOK })
	}, func() string { return "" })
}

// eventually is the function of that name, which also tells what the workers answer if it takes too
// long.
func (c *chaos) eventually(within time.Duration, what string, ok func() bool, more func() string) {
	c.t.Helper()
	for end := time.Now().Add(within); !ok(); time.Sleep(50 * time.Millisecond) {
		c.revive()
		if time.Now().Before(end) {
			continue
		}
		c.t.Logf("at SHARD_END, and open: %v", c.endedAndOpen())
		for slot, w := range c.workers {
			code, text := w.ready()
			c.t.Logf("worker %d: /-/ready answers %d %s", slot, code, strings.TrimSpace(text))
		}
		c.t.Fatalf("not within %s: %s%s; actions %v", within, what, more(), c.actions)
	}
}

// ready is what the process answers when it is asked whether it is ready; 0 if it does not answer.
func (p *process) ready() (int, string) {
	client := http.Client{Timeout: 2 * time.Second}
	response, err := client.Get("http://" + p.address + "/-/ready")
	if err != nil {
		return 0, err.Error()
	}
	defer response.Body.Close()
	text, _ := io.ReadAll(response.Body)
	return response.StatusCode, string(text)
}

// endedAndOpen are the shards that the lease table has at their end though they take records.
func (c *chaos) endedAndOpen() []string {
	open := make(map[string]bool)
	for _, s := range c.openShards() {
		open[*s.ShardId] = true
	}
	var wrong []string
	c.scan(c.app, func(item map[string]ddb.AttributeValue) {
		if shard := text(item, "ShardID"); open[shard] && text(item, "Checkpoint") == "SHARD_END" {
			wrong = append(wrong, shard)
		}
	})
	return wrong
}

// moreThanOnce is how many tellings beyond the first are let pass: 3 %. In a run of less than a
// minute one worker that is killed with a backlog would be more than that: what was put in four
// seconds may be told again.
func (c *chaos) moreThanOnce() int {
	share := len(c.roots) * 3 / 100
	if *chaosFor < time.Minute || c.outage != nil {
		share = max(share, 4**chaosRate/10)
	}
	return share
}

func (c *chaos) report() {
	told := 0
	for _, p := range c.all {
		told += len(p.rootCalls())
	}
	c.logDoubled()
	c.logComplaints()
	doubled := told - len(c.roots)
	c.t.Logf("%s: %d records, %d root calls, 0 lost; told %d times (%.2f %% more than once); checkpoint regressions %d; peak memory %d MiB; actions %v",
		c.name, c.records, len(c.roots), told, 100*float64(doubled)/float64(len(c.roots)), c.regressions, c.peak>>20, c.actions)
	if c.regressions > 0 {
		c.t.Errorf("%d checkpoints went back", c.regressions)
	}
	if doubled > c.moreThanOnce() && *chaosWorkers > 1 && !c.again {
		c.t.Errorf("%d root calls were told more than once, want at most %d", doubled, c.moreThanOnce())
	}
	if c.memory > 0 && c.peak > c.memory {
		c.t.Errorf("a worker has taken %d MiB, want at most %d", c.peak>>20, c.memory>>20)
	}
}

// logComplaints tells what the workers have warned of, and how often.
func (c *chaos) logComplaints() {
	complaints := make(map[string]int)
	for _, p := range c.all {
		for _, line := range p.lines() {
			if level, msg := fmt.Sprint(line["level"]), fmt.Sprint(line["msg"]); level != "INFO" && msg != "root call" && msg != "undecodable record" {
				msg, _, _ = strings.Cut(msg, ": ")
				complaints[msg]++
			}
		}
	}
	c.t.Logf("complaints: %v", complaints)
}

// watchMemory looks at the most that any worker takes, until ctx ends. Memory of a process that was
// killed is gone with it.
func (c *chaos) watchMemory(ctx context.Context) {
	for ctx.Err() == nil {
		c.mu.Lock()
		for _, p := range c.all {
			c.peak = max(c.peak, p.peakMemory())
		}
		c.mu.Unlock()
		c.rest(ctx, 100*time.Millisecond)
	}
}

// logDoubled tells after which act root calls were told a second time, and whether the worker that
// told them first had ended or told them twice itself.
func (c *chaos) logDoubled() {
	type telling struct {
		id string
		at time.Time
		by *process
	}
	var tellings []telling
	for _, p := range c.all {
		for _, line := range p.lines() {
			if at, err := time.Parse(time.RFC3339Nano, fmt.Sprint(line["time"])); err == nil && line["msg"] == "root call" {
				tellings = append(tellings, telling{fmt.Sprint(line["event_id"]), at, p})
			}
		}
	}
	slices.SortFunc(tellings, func(a, b telling) int { return a.at.Compare(b.at) })
	first := make(map[string]telling)
	after := make(map[string]int)
	for _, t := range tellings {
		before, known := first[t.id]
		if !known {
			first[t.id] = t
			continue
		}
		last := "nothing"
		for _, d := range c.done {
			if d.began.Before(t.at) {
				last = d.name
			}
		}
		switch {
		case before.by == t.by:
			last += ", by itself"
		case !slices.Contains(c.workers, before.by):
			last += ", of one that ended"
		}
		after[last]++
	}
	c.t.Logf("told more than once, by the last act before: %v", after)
}

// missing returns those of ids that were not told in a log line, or are not in the ledger and were
// not deleted there.
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
	c.scan(c.ledger(), func(item map[string]ddb.AttributeValue) { written[text(item, "id")] = true })
	return slices.DeleteFunc(slices.Clone(ids), func(id string) bool { return told[id] && (written[id] || c.deleted[id]) })
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
func (c *chaos) watchCheckpoints(ctx context.Context) {
	for ctx.Err() == nil {
		c.watching.Lock()
		c.scan(c.app, func(item map[string]ddb.AttributeValue) { c.compare(text(item, "ShardID"), text(item, "Checkpoint")) })
		c.watching.Unlock()
		c.rest(ctx, 25*time.Millisecond)
	}
}

// compare has a checkpoint follow on the one seen before.
func (c *chaos) compare(shard, checkpoint string) {
	before := c.newest[shard]
	c.newest[shard] = checkpoint
	if before == "" || before == checkpoint || checkpoint == "SHARD_END" {
		return
	}
	if before == "SHARD_END" || checkpoint == "" || hashKey(&checkpoint).Cmp(hashKey(&before)) < 0 {
		c.regressions++
		c.t.Errorf("the checkpoint of %s went from %s to %q", shard, before, checkpoint)
	}
}
