//go:build chaos

package main

import (
	"context"
	"flag"
	"fmt"
	"hash/fnv"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	awskinesis "github.com/aws/aws-sdk-go-v2/service/kinesis"
	"github.com/aws/aws-sdk-go-v2/service/kinesis/types"

	"rootwatch/pipeline/awstest"
)

// The chaos test: workers as real processes are killed, stopped, frozen, cut off, lied to and
// resharded under, while a producer writes numbered root calls and much else. At the end every root
// call must have been told and written down, few of them more than once, no checkpoint may ever
// have gone back, no shard may have been taken for ended that is not, and /-/ready must have told
// the truth. What kinds of chaos there are stands in chaos_scenarios_test.go; each runs alone, too:
//
//	go test -tags chaos -run Chaos ./cmd/rootwatch -chaos.for 60s -chaos.seed 42
//	go test -tags chaos -run 'TestChaos/clock_jumps' ./cmd/rootwatch -chaos.seed 42
//
// With ROOTWATCH_KINESIS_ENDPOINT and ROOTWATCH_DYNAMODB_ENDPOINT it runs against those, without
// the faults that only the in-process servers can make.
var (
	chaosFor     = flag.Duration("chaos.for", 20*time.Second, "length of the chaos")
	chaosSeed    = flag.Uint64("chaos.seed", 0, "seed; 0 takes one from the clock")
	chaosWorkers = flag.Int("chaos.workers", 3, "number of workers")
	chaosSize    = flag.Int("chaos.record-size", 2300, "size of the records to catch up on, in bytes")
	chaosRate    = flag.Int("chaos.rate", 400, "records a second")
)

const chaosLease = 2 * time.Second

func TestChaos(t *testing.T) {
	seed := *chaosSeed
	if seed == 0 {
		seed = uint64(time.Now().UnixNano())
	}
	for _, s := range scenarios() {
		t.Run(s.name, func(t *testing.T) {
			if !s.anywhere && os.Getenv("ROOTWATCH_KINESIS_ENDPOINT") != "" {
				t.Skip("only the in-process servers know its faults")
			}
			if s.outage != nil {
				t.Parallel() // they mostly wait
			}
			t.Logf("seed %d: run again with -chaos.seed %d", seed, seed)
			newChaos(t, s, seed).run()
		})
	}
}

func (c *chaos) run() {
	ctx, cancel := context.WithCancel(c.t.Context())
	defer cancel()
	var background sync.WaitGroup
	defer background.Wait()
	defer cancel()
	background.Go(func() { c.watchCheckpoints(ctx) })
	background.Go(func() { c.watchMemory(ctx) })
	producing, stopProducing := context.WithCancel(ctx)
	defer stopProducing()
	produced := make(chan struct{})
	go func() { c.produce(producing); close(produced) }()
	if c.outage != nil {
		c.suffer(ctx)
	} else {
		c.storm(ctx)
	}
	stopProducing()
	<-produced
	c.calm()
	c.check()
	cancel()
	background.Wait()
	for slot, w := range c.workers {
		if took := w.stop(15 * time.Second); took > 3*time.Second {
			c.t.Errorf("worker %d took %s to stop in calm", slot, took)
		}
	}
	c.report()
}

// storm does what the scenario does, one thing after the other.
func (c *chaos) storm(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, *chaosFor)
	defer cancel()
	remove := c.injectAll(c.always)
	for ctx.Err() == nil {
		c.act(ctx)
	}
	if hits := remove(); hits == 0 && len(c.always) > 0 {
		c.t.Error("the scenario's faults have hit nothing")
	}
}

type chaos struct {
	scenario
	t         *testing.T
	random    *rand.Rand
	seed      uint64
	server    *awstest.Server // nil with foreign endpoints
	endpoints map[string]string
	client    *awskinesis.Client
	table     *dynamodb.Client
	stream    string
	app       string
	clocks    string // folder of the files that workers read how far their calendar is ahead from

	actions map[string]int
	done    []deed

	mu      sync.Mutex
	workers []*process      // by slot; the identity of a slot stays
	all     []*process      // all that ever ran
	peak    int64           // bytes: the most that a worker has taken
	roots   []string        // ids of the root calls that were put
	deleted map[string]bool // those that the ledger may have held when it was deleted
	records int

	watching    sync.Mutex
	newest      map[string]string // by shard, the checkpoint seen last
	regressions int
}

// deed is what was done, and when.
type deed struct {
	name       string
	slot       int
	began, end time.Time
}

func newChaos(t *testing.T, s scenario, seed uint64) *chaos {
	name := fmt.Sprintf("chaos-%d", seed)
	own := fnv.New64a() // another course of things in each scenario
	own.Write([]byte(s.name))
	c := &chaos{
		scenario: s, t: t, random: rand.New(rand.NewPCG(seed, own.Sum64())), seed: seed, stream: name, app: name,
		clocks: t.TempDir(), actions: make(map[string]int), newest: make(map[string]string), deleted: make(map[string]bool),
	}
	c.acts = slices.Concat(besides, s.acts)
	config := func() (aws.Config, aws.Config) {
		k, d := os.Getenv("ROOTWATCH_KINESIS_ENDPOINT"), os.Getenv("ROOTWATCH_DYNAMODB_ENDPOINT")
		if k != "" && d != "" {
			c.endpoints = map[string]string{"AWS_ENDPOINT_URL_KINESIS": k, "AWS_ENDPOINT_URL_DYNAMODB": d}
			c.acts = besides
			return awstest.Config(k, "us-east-1", "producer"), awstest.Config(d, "us-east-1", "producer")
		}
		c.server = awstest.NewServer(awstest.Options{IteratorLifetime: 5 * time.Second, Seed: seed})
		t.Cleanup(c.server.Close)
		c.endpoints = endpointsOf(c.server)
		return c.server.AWSConfig("producer"), c.server.AWSConfig("producer")
	}
	forKinesis, forDynamo := config()
	c.client, c.table = awskinesis.NewFromConfig(forKinesis), dynamodb.NewFromConfig(forDynamo)
	if _, err := c.client.CreateStream(t.Context(), &awskinesis.CreateStreamInput{StreamName: &c.stream, ShardCount: aws.Int32(4)}); err != nil {
		t.Fatal(err)
	}
	eventually(t, 10*time.Second, "the stream is active", c.active)
	for slot := range *chaosWorkers {
		c.workers = append(c.workers, c.start(slot))
	}
	return c
}

func (c *chaos) start(slot int) *process {
	environment := map[string]string{clockFile: c.clock(slot)}
	maps.Copy(environment, c.endpoints)
	maps.Copy(environment, c.env)
	flags := []string{"--kinesis.stream=" + c.stream, "--kinesis.application=" + c.app, "--kinesis.start=trim-horizon", "--shutdown-timeout=10s"}
	if c.outage == nil {
		flags = append(flags, "--kinesis.lease-duration="+chaosLease.String(), "--kinesis.poll-interval=200ms", "--kinesis.checkpoint-interval=100ms")
	}
	p := startWorkerBy(c.t, c.by, environment, c.identity(slot), flags...)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.all = append(c.all, p)
	return p
}

func (c *chaos) identity(slot int) string { return fmt.Sprintf("worker-%d", slot) }

// clock is the file that moves a worker's calendar.
func (c *chaos) clock(slot int) string { return filepath.Join(c.clocks, c.identity(slot)) }

func (c *chaos) ledger() string { return c.app + "-findings" }

func (c *chaos) active() bool {
	out, err := c.client.DescribeStreamSummary(c.t.Context(), &awskinesis.DescribeStreamSummaryInput{StreamName: &c.stream})
	return err == nil && out.StreamDescriptionSummary.StreamStatus == types.StreamStatusActive
}
