package kinesis

import (
	"encoding/json"
	"io"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"rootwatch/pipeline/awstest"
	"rootwatch/pipeline/kinesis/lease"
	"rootwatch/pipeline/kinesis/metrics"
	"rootwatch/pipeline/kinesis/streamtest"
)

// lie changes the answers to one action while it is told.
type lie struct {
	action string
	change func(*streamtest.Call)

	mu    sync.Mutex
	left  int // calls that it changes yet
	times int
}

// tell has the next n answers changed.
func (l *lie) tell(n int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.left = n
}

func (l *lie) told() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.times
}

func (l *lie) hook(k *streamtest.Call) {
	l.mu.Lock()
	tell := k.Action == l.action && k.ID == "worker" && l.left > 0 && k.Response.StatusCode == 200
	if tell {
		l.left--
		l.times++
	}
	l.mu.Unlock()
	if tell {
		l.change(k)
	}
}

func say(body string) func(*streamtest.Call) { return func(k *streamtest.Call) { k.Say(200, body) } }

// edit changes an answer's members.
func edit(change func(answer map[string]any)) func(*streamtest.Call) {
	return func(k *streamtest.Call) {
		var answer map[string]any
		d := json.NewDecoder(k.Response.Body)
		d.UseNumber()
		if err := d.Decode(&answer); err != nil {
			panic(err)
		}
		change(answer)
		b, err := json.Marshal(answer)
		if err != nil {
			panic(err)
		}
		k.Say(200, string(b))
	}
}

// strangeRecords are strange answers to GetRecords, by what is strange about them.
func strangeRecords() map[string]func(*streamtest.Call) {
	var earlier struct {
		sync.Mutex
		body string
	}
	return map[string]func(*streamtest.Call){
		"an empty object":             say(`{}`),
		"nothing at all":              say(``),
		"a web page":                  say(`<html><body>Welcome</body></html>`),
		"half an answer":              say(`{"Records":[{"Data":"aGVsbG8=","Sequen`),
		"no records, and no iterator": say(`{"Records":[],"MillisBehindLatest":0}`),
		"records, and no iterator":    edit(func(a map[string]any) { delete(a, "NextShardIterator") }),
		"an iterator that is empty":   edit(func(a map[string]any) { a["NextShardIterator"] = "" }),
		"records without a sequence number": edit(func(a map[string]any) {
			for _, r := range a["Records"].([]any) {
				delete(r.(map[string]any), "SequenceNumber")
			}
			if len(a["Records"].([]any)) == 0 {
				delete(a, "Records")
			}
		}),
		"records backwards": edit(func(a map[string]any) { slices.Reverse(a["Records"].([]any)) }),
		"an earlier answer": func(k *streamtest.Call) {
			b, err := io.ReadAll(k.Response.Body)
			if err != nil {
				panic(err)
			}
			earlier.Lock()
			defer earlier.Unlock()
			if strings.Contains(string(b), `"Data"`) && earlier.body == "" {
				earlier.body = string(b)
			}
			if earlier.body != "" {
				b = []byte(earlier.body)
			}
			k.Say(200, string(b))
		},
	}
}

// Each of these, once, had ended an open shard for ever, or had taken its checkpoint back.
func TestAStrangeAnswerOfGetRecordsCostsNoRecordAndEndsNoShard(t *testing.T) {
	for name := range strangeRecords() {
		for _, times := range []int{1, 5} {
			t.Run(name+" "+map[int]string{1: "once", 5: "five times"}[times], func(t *testing.T) {
				bubble(t, func(t *testing.T) {
					c := newCloud(t, 1, awstest.Options{})
					l := &lie{action: "kinesis:GetRecords", change: strangeRecords()[name]}
					c.OnCall(l.hook)
					r := c.start("worker", setup{config: func(cfg *Config) { trimHorizon(cfg); cfg.MaxRecords = 10 }})
					c.Put(100)
					c.readAll(time.Minute, r)
					c.Put(100)
					l.tell(times)
					pass(t, 10*time.Second)
					c.Put(100)
					c.readAll(time.Minute, r)
					if l.told() != times {
						t.Fatalf("%d answers were changed", l.told())
					}
					if n := r.metric("rootwatch_fetches_total", metrics.FetchStrange); n == 0 && name != "an earlier answer" && name != "records backwards" {
						t.Error("no strange answer is counted")
					}
					pass(t, 5*time.Second)
					r.endWell()
					numbers := c.SequenceNumbers(shardID(0))
					if l := c.Leases()[shardID(0)]; l.Checkpoint != numbers[len(numbers)-1] {
						t.Errorf("the checkpoint is %s, the last record %s", l.Checkpoint, numbers[len(numbers)-1])
					}
					if n := r.metric("rootwatch_data_loss_total", metrics.LossExpiredCheckpoint) + r.metric("rootwatch_data_loss_total", metrics.LossShardDeleted); n != 0 {
						t.Errorf("data loss is %v, and nothing is lost", n)
					}
				})
			})
		}
	}
}

// A closed shard has children, so that alone shows nothing: its backlog must be read to the end.
func TestAStrangeAnswerDoesNotCutTheBacklogOfAClosedShard(t *testing.T) {
	for name, change := range map[string]func(*streamtest.Call){
		"no records, and no iterator": say(`{"Records":[],"MillisBehindLatest":0}`),
		"records, and no iterator":    edit(func(a map[string]any) { delete(a, "NextShardIterator") }),
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				c := newCloud(t, 1, awstest.Options{})
				c.Put(100)
				c.PutInto(100, c.Split(shardID(0))...)
				l := &lie{action: "kinesis:GetRecords", change: change}
				l.tell(2) // the first is the probe at the start
				c.OnCall(l.hook)
				r := c.start("worker", setup{config: func(cfg *Config) { trimHorizon(cfg); cfg.MaxRecords = 10 }})
				c.readAll(2*time.Minute, r)
				pass(t, 5*time.Second)
				if l := c.Leases()[shardID(0)]; l.Checkpoint != lease.ShardEnd {
					t.Errorf("the parent's lease is %+v", l)
				}
				c.once(r)
			})
		})
	}
}

// Each new iterator of a shard may give an empty answer with a next iterator before anything else: that does not speak
// against the end of a closed shard.
func TestTheEndOfAClosedShardIsFoundBehindEmptyAnswers(t *testing.T) {
	for name, records := range map[string]int{"a shard without records": 0, "a shard with records": 20} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				c := newCloud(t, 1, awstest.Options{})
				c.Put(records)
				c.PutInto(100, c.Split(shardID(0))...)
				var mu sync.Mutex
				used := map[string]bool{}
				c.OnCall(func(k *streamtest.Call) {
					var in struct{ ShardIterator string }
					if k.Action != "kinesis:GetRecords" || json.Unmarshal(k.Request, &in) != nil {
						return
					}
					mu.Lock()
					defer mu.Unlock()
					if !used[in.ShardIterator] {
						used[in.ShardIterator] = true
						k.Say(200, `{"Records":[],"MillisBehindLatest":0,"NextShardIterator":"`+in.ShardIterator+`"}`)
					}
				})
				r := c.start("worker", setup{config: trimHorizon})
				c.readAll(2*time.Minute, r)
				pass(t, 5*time.Second)
				if l := c.Leases()[shardID(0)]; l.Checkpoint != lease.ShardEnd {
					t.Errorf("the parent's lease is %+v", l)
				}
			})
		})
	}
}

// Whatever has put SHARD_END into the lease of an open shard: it is found, and read on from where
// it had come to.
func TestALeaseAtTheEndOfAnOpenShardIsReadOn(t *testing.T) {
	for name, test := range map[string]struct {
		spoil func(*cloud)
		again int // of the hundred records that were read before
	}{
		"with the time of the last checkpoint": {func(*cloud) {}, 50}, // those of the last minute before it
		"without it, as the bare library leaves it": {func(c *cloud) {
			item := c.Item(shardID(0))
			delete(item, "CheckpointTime")
			delete(item, "ReadTime")
			c.PutItem(item)
		}, 100},
		"without a record that was read": {func(c *cloud) { c.Set(shardID(0), "CheckpointTime", "never") }, 100},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				c := newCloud(t, 1, awstest.Options{})
				first := c.start("first", setup{config: trimHorizon})
				c.Put(50)
				c.readAll(time.Minute, first)
				pass(t, 10*time.Minute)
				c.Put(50)
				c.readAll(time.Minute, first)
				pass(t, 10*time.Minute)
				first.endWell()
				c.Set(shardID(0), "Checkpoint", lease.ShardEnd)
				test.spoil(c)
				missed := c.Put(50)
				second := c.start("second", setup{config: trimHorizon})
				began := time.Now()
				until(t, 30*time.Second, "what was missed is read", func() bool {
					got := second.records()
					return len(got) > 0 && got[len(got)-1] == missed[len(missed)-1]
				})
				t.Logf("read after %s", time.Since(began))
				if got := second.records(); len(got) != 50+test.again {
					t.Errorf("%d records were read, want %d", len(got), 50+test.again)
				}
				if n := second.metric("rootwatch_lease_changes_total", metrics.LeaseReopened); n != 1 {
					t.Errorf("%v reopened leases are counted", n)
				}
				if len(second.logs.Lines("level=ERROR", "the shard is open", shardID(0))) != 1 {
					t.Errorf("it is not logged once: %q", second.logs.Lines("level=ERROR"))
				}
				pass(t, time.Minute)
				second.endWell()
				third := c.start("third", setup{config: trimHorizon})
				c.Put(1)
				c.readAll(time.Minute, first, second, third)
				if got := third.records(); len(got) != 1 {
					t.Errorf("%d records were read after the next start", len(got))
				}
			})
		})
	}
}

// A worker that dies before it has written a checkpoint leaves the lease to be read on by the next.
func TestAShardThatIsReadOnKeepsItsPlaceUntilACheckpoint(t *testing.T) {
	bubble(t, func(t *testing.T) {
		c := newCloud(t, 1, awstest.Options{})
		first := c.start("first", setup{config: trimHorizon})
		c.Put(50)
		c.readAll(time.Minute, first)
		pass(t, 10*time.Minute)
		first.endWell()
		c.Set(shardID(0), "Checkpoint", lease.ShardEnd)
		c.Put(50)
		h := hold{on: true}
		second := c.start("second", setup{config: trimHorizon, submit: h.submit})
		second.holding(1)
		until(t, time.Minute, "what was missed is read, after what was read last", func() bool { return len(second.records()) == 100 })
		second.end() //nolint:errcheck // its pipeline is stuck, and it says so
		third := c.start("third", setup{config: trimHorizon})
		until(t, time.Minute, "it is read again", func() bool { return len(third.records()) == 100 })
	})
}

func TestAListThatLeavesOutShardsIsNotBelieved(t *testing.T) {
	for name, change := range map[string]func(*streamtest.Call){
		"an empty object": say(`{}`),
		"no shard":        say(`{"Shards":[]}`),
		"the last shard":  edit(func(a map[string]any) { a["Shards"] = a["Shards"].([]any)[2:] }),
		"the first shard": edit(func(a map[string]any) { a["Shards"] = a["Shards"].([]any)[:1] }),
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				c := newCloud(t, 3, awstest.Options{})
				l := &lie{action: "kinesis:ListShards", change: change}
				c.OnCall(l.hook)
				r := c.start("worker", setup{config: trimHorizon})
				r.holding(3)
				c.Put(30)
				c.readAll(time.Minute, r)
				l.tell(1000)
				pass(t, 15*time.Second)
				if err := r.Ready(); err == nil || !strings.Contains(err.Error(), "ListShards") {
					t.Errorf("after 15 s it is ready: %v", err)
				}
				for range 5 {
					pass(t, time.Minute)
					c.Put(30)
				}
				c.readAll(time.Minute, r)
				if len(r.holds()) != 3 || len(c.Leases()) != 3 {
					t.Errorf("%v are held of %d leases", r.holds(), len(c.Leases()))
				}
				if n := r.metric("rootwatch_data_loss_total", metrics.LossShardDeleted); n != 0 {
					t.Errorf("data loss is %v", n)
				}
				l.tell(0)
				pass(t, 15*time.Second)
				if err := r.Ready(); err != nil {
					t.Errorf("it is not ready: %v", err)
				}
				r.endWell()
				c.once(r)
			})
		})
	}
}

// With one answer that is strange, whichever call it is of, nothing is lost and nothing dies.
func TestNoCallsStrangeAnswerLosesARecord(t *testing.T) {
	for _, action := range []string{
		"kinesis:DescribeStreamSummary", "kinesis:ListShards", "kinesis:GetShardIterator", "kinesis:GetRecords",
		"dynamodb:DescribeTable", "dynamodb:CreateTable", "dynamodb:Scan", "dynamodb:UpdateItem", "dynamodb:GetItem",
	} {
		for body, name := range map[string]string{`{}`: "an empty object", `<html>`: "a web page", ``: "nothing"} {
			t.Run(action+" "+name, func(t *testing.T) {
				bubble(t, func(t *testing.T) {
					c := newCloud(t, 2, awstest.Options{})
					l := &lie{action: action, change: say(body)}
					l.tell(7) // more than the SDK's tries
					c.OnCall(l.hook)
					r := c.start("worker", setup{config: trimHorizon})
					for range 4 {
						c.Put(20)
						pass(t, 20*time.Second)
						c.ExpireIterators()
						l.tell(1)
					}
					l.tell(0)
					c.readAll(2*time.Minute, r)
					pass(t, 30*time.Second)
					if err := r.Ready(); err != nil {
						t.Errorf("it is not ready: %v", err)
					}
					r.endWell()
					c.once(r)
				})
			})
		}
	}
}

// A storm of refused conditions that would hold: a worker that believed them would lose its leases.
func TestAStormOfRefusalsLosesNoLease(t *testing.T) {
	bubble(t, func(t *testing.T) {
		c := newCloud(t, 3, awstest.Options{})
		l := &lie{action: "dynamodb:UpdateItem", change: func(k *streamtest.Call) {
			k.Say(400, `{"__type":"com.amazonaws.dynamodb.v20120810#ConditionalCheckFailedException","message":"The conditional request failed"}`)
		}}
		c.OnCall(l.hook)
		r := c.start("worker", setup{config: trimHorizon})
		r.holding(3)
		for range 5 {
			c.Put(30)
			l.tell(1000)
			pass(t, 8*time.Second) // shorter than what loses the lease by its time
			l.tell(0)
			pass(t, 20*time.Second)
		}
		c.readAll(time.Minute, r)
		if n := r.metric("rootwatch_lease_changes_total", metrics.LeaseLost); n != 0 || l.told() == 0 {
			t.Errorf("%v leases were lost by %d refusals", n, l.told())
		}
		r.endWell()
		c.once(r)
	})
}
