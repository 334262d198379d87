package kinesis

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	awskinesis "github.com/aws/aws-sdk-go-v2/service/kinesis"
	"github.com/prometheus/client_golang/prometheus"

	"rootwatch/pipeline/dynamo"
	"rootwatch/pipeline/kinesis/fetch"
	"rootwatch/pipeline/kinesis/lease"
)

// Start is where an application begins that has never read the stream before.
type Start struct {
	TrimHorizon bool      // at the oldest record
	Time        time.Time // at the first record that arrived then or later; zero with TrimHorizon false: at the application's first start
}

// Memory returns when the application was first started and when it lived last, as far as something
// that outlives the lease table remembers; zero times if nothing does. It is asked when the stream
// and the lease table are there.
type Memory func(context.Context) (firstStart, lastAlive time.Time, err error)

// Config is what a worker needs. The clients' region, credentials and endpoints are the worker's.
type Config struct {
	Kinesis  *awskinesis.Client
	DynamoDB *dynamodb.Client
	Region   string

	Stream             string // name or ARN
	Application        string // name of the lease table
	Start              Start
	Ran                Memory        // nil: nobody remembers
	PollInterval       time.Duration // pause after an empty answer of a shard
	LeaseDuration      time.Duration // a lease not renewed for this long is free; 2 s at least
	CheckpointInterval time.Duration
	ShutdownTimeout    time.Duration // Run returns at the latest this long after its context ends
	HandoffTimeout     time.Duration // 30 s if zero, as KCL for Java has it
	MaxRecords         int           // of one GetRecords answer, 1 to 10,000
	FetchMemory        int64         // bytes, all fetches and batches in flight together; 16 MiB at least

	Registerer prometheus.Registerer
	Logger     *slog.Logger
	Now        func() time.Time // the calendar: ages of records, retention, times for people; time.Now if nil

	tune func(*lease.Config, *fetch.Config) // changes the parts' configuration in tests
}

func (c *Config) check() error {
	if _, err := lease.ParseStream(c.Stream); err != nil {
		return err
	}
	if err := dynamo.CheckName(c.Application); err != nil {
		return fmt.Errorf("application %w", err)
	}
	switch {
	case c.LeaseDuration < 2*time.Second:
		return fmt.Errorf("lease duration %s is too short: 2s at least", c.LeaseDuration)
	case c.PollInterval < 200*time.Millisecond:
		return fmt.Errorf("poll interval %s is too short: a shard may be read 5 times a second, so 200ms at least", c.PollInterval)
	case c.CheckpointInterval <= 0:
		return fmt.Errorf("checkpoint interval %s must be positive", c.CheckpointInterval)
	case c.ShutdownTimeout <= 0:
		return fmt.Errorf("shutdown timeout %s must be positive", c.ShutdownTimeout)
	case c.MaxRecords < 1 || c.MaxRecords > 10_000:
		return fmt.Errorf("max records %d is out of range: 1 to 10000 (limit of GetRecords)", c.MaxRecords)
	case c.FetchMemory < 16<<20:
		return fmt.Errorf("fetch memory %d bytes is too little: 16 MiB at least, one full answer of Kinesis is 10 MiB", c.FetchMemory)
	case c.Start.Time.After(time.Now()):
		return fmt.Errorf("start %s lies in the future: records until then would never be read", c.Start.Time.Format(time.RFC3339))
	}
	return nil
}
