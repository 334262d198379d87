//go:build chaos

package main

import (
	"context"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	awskinesis "github.com/aws/aws-sdk-go-v2/service/kinesis"
	"github.com/aws/aws-sdk-go-v2/service/kinesis/types"

	"rootwatch/pipeline/awstest"
)

// The chaos test: workers as real processes are killed, stopped, frozen, cut off and resharded under, while a producer writes
// numbered root calls and much else. At the end every root call must have been told and written down, and no checkpoint may
// ever have gone back.
//
//	go test -tags chaos -run Chaos ./cmd/rootwatch -chaos.for 60s -chaos.seed 42
//
// With ROOTWATCH_KINESIS_ENDPOINT and ROOTWATCH_DYNAMODB_ENDPOINT it runs against those, without the faults that only the
// in-process servers can make.
var (
	chaosFor     = flag.Duration("chaos.for", 20*time.Second, "length of the chaos")
	chaosSeed    = flag.Uint64("chaos.seed", 0, "seed; 0 takes one from the clock")
	chaosWorkers = flag.Int("chaos.workers", 3, "number of workers")
	chaosSize    = flag.Int("chaos.record-size", 2300, "size of the records to catch up on, in bytes")
	chaosRate    = flag.Int("chaos.rate", 400, "records a second")
)

const chaosLease = 2 * time.Second

type chaos struct {
	t         *testing.T
	random    *rand.Rand
	server    *awstest.Server // nil with foreign endpoints
	endpoints map[string]string
	client    *awskinesis.Client
	table     *dynamodb.Client
	stream    string
	app       string

	mu      sync.Mutex
	workers []*process // by slot; the identity of a slot stays
	all     []*process // all that ever ran
	actions map[string]int
	done    []deed
	roots   []string // ids of the root calls that were put
	records int
}

// deed is a piece of mischief that was done.
type deed struct {
	name       string
	slot       int
	began, end time.Time
}

func TestChaos(t *testing.T) {
	seed := *chaosSeed
	if seed == 0 {
		seed = uint64(time.Now().UnixNano())
	}
	t.Logf("seed %d: run again with -chaos.seed %d", seed, seed)
	c := newChaos(t, seed)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var background sync.WaitGroup
	regressions := 0
	background.Go(func() { regressions = c.watchCheckpoints(ctx) })
	producing, stopProducing := context.WithTimeout(ctx, *chaosFor)
	defer stopProducing()
	produced := make(chan struct{})
	go func() { c.produce(producing); close(produced) }()
	for producing.Err() == nil {
		c.act(producing)
	}
	<-produced
	c.calm()

	missing := c.roots
	eventually(t, 90*time.Second, "every root call is told and written down", func() bool {
		missing = c.missing(missing)
		return len(missing) == 0
	})
	cancel()
	background.Wait()
	for slot, w := range c.workers {
		if took := w.stop(15 * time.Second); took > 3*time.Second {
			t.Errorf("worker %d took %s to stop in calm", slot, took)
		}
	}
	told := 0
	for _, p := range c.all {
		told += len(p.rootCalls())
	}
	c.logDoubled()
	doubled := 100 * float64(told-len(c.roots)) / float64(len(c.roots))
	t.Logf("%d records, %d root calls, 0 lost; told %d times (%.2f %% more than once); checkpoint regressions %d; actions %v",
		c.records, len(c.roots), told, doubled, regressions, c.actions)
	if regressions > 0 {
		t.Errorf("%d checkpoints went back", regressions)
	}
}

func newChaos(t *testing.T, seed uint64) *chaos {
	c := &chaos{
		t: t, random: rand.New(rand.NewPCG(seed, 1)), stream: fmt.Sprintf("chaos-%d", seed), app: fmt.Sprintf("chaos-%d", seed), actions: make(map[string]int),
	}
	config := func() (aws.Config, aws.Config) {
		k, d := os.Getenv("ROOTWATCH_KINESIS_ENDPOINT"), os.Getenv("ROOTWATCH_DYNAMODB_ENDPOINT")
		if k != "" && d != "" {
			c.endpoints = map[string]string{"AWS_ENDPOINT_URL_KINESIS": k, "AWS_ENDPOINT_URL_DYNAMODB": d}
			return awstest.Config(k, "us-east-1", "producer"), awstest.Config(d, "us-east-1", "producer")
		}
		c.server = awstest.NewServer(awstest.Options{IteratorLifetime: 5 * time.Second})
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
	p := startWorker(c.t, c.endpoints, c.identity(slot), "--kinesis.stream="+c.stream, "--kinesis.application="+c.app, "--kinesis.start=trim-horizon",
		"--kinesis.lease-duration="+chaosLease.String(), "--kinesis.poll-interval=200ms", "--kinesis.checkpoint-interval=100ms", "--shutdown-timeout=10s")
	c.mu.Lock()
	defer c.mu.Unlock()
	c.all = append(c.all, p)
	return p
}

func (c *chaos) identity(slot int) string { return fmt.Sprintf("worker-%d", slot) }

func (c *chaos) active() bool {
	out, err := c.client.DescribeStreamSummary(c.t.Context(), &awskinesis.DescribeStreamSummaryInput{StreamName: &c.stream})
	return err == nil && out.StreamDescriptionSummary.StreamStatus == types.StreamStatusActive
}

// calm ends all faults and sees to it that all workers run.
func (c *chaos) calm() {
	if c.server != nil {
		c.server.ClearFaults()
	}
	for _, w := range c.workers {
		w.signal(syscall.SIGCONT)
	}
}
