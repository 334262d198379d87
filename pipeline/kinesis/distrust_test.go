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
