package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/alecthomas/kingpin/v2"
	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/config"

	"rootwatch/pipeline"
	"rootwatch/pipeline/kinesis"
)

// runFlags are the flags of `rootwatch run`.
type runFlags struct {
	stream             string
	application        string
	start              startFlag
	pollInterval       time.Duration
	leaseDuration      time.Duration
	checkpointInterval time.Duration
	maxRecords         int
	fetchMemory        int64
	trustedSources     []string
	heartbeatRegions   []string
	ledgerTable        string // "" is off
	ledgerSet          bool   // named by a flag, or by a variable that is not empty
	shutdownTimeout    time.Duration
	web                webFlags
	log                logFlags
}

func newRunCommand(app *kingpin.Application) command {
	cmd := app.Command("run", "Read the stream until SIGTERM. Every flag is also an environment variable: --kinesis.stream is ROOTWATCH_KINESIS_STREAM. Region, credentials and endpoints are set the AWS way (AWS_REGION, AWS_PROFILE, AWS_ENDPOINT_URL ...).")
	f := &runFlags{}
	f.register(cmd)
	return command{cmd, f.run}
}

func (f *runFlags) register(cmd *kingpin.CmdClause) {
	f.start.mode = firstStart
	cmd.Flag("kinesis.stream", "Name or ARN of the Kinesis stream that EventBridge puts CloudTrail events into. Required.").PlaceHolder("STREAM").StringVar(&f.stream)
	cmd.Flag("kinesis.application", "Name of the application: the DynamoDB table of its leases and checkpoints. Workers of one name share the stream's shards.").Default("rootwatch").StringVar(&f.application)
	cmd.Flag("kinesis.start", "Where to begin in shards that have no checkpoint: trim-horizon (the oldest record), an RFC 3339 time, or first-start (when the application was first started, kept in the lease table).").Default(firstStart).SetValue(&f.start)
	durationFlag(cmd, "kinesis.poll-interval", "Pause after an answer without records, for each shard. At least 200ms.", &f.pollInterval, "1s")
	durationFlag(cmd, "kinesis.lease-duration", "A shard whose worker has not renewed its lease for this long is taken over. At least 2s.", &f.leaseDuration, "20s")
	durationFlag(cmd, "kinesis.checkpoint-interval", "How often progress is written to the lease table.", &f.checkpointInterval, "1s")
	intFlag(cmd, "kinesis.max-records", "Records to ask for in one read of a shard, 1 to 10000.", &f.maxRecords, "1000")
	bytesFlag(cmd, "kinesis.fetch-memory", "Memory for all reads and the records in flight together, e.g. 64MiB. At least 16MiB.", &f.fetchMemory, "64MiB")
	cmd.Flag("eventbridge.trusted-source", "A source of EventBridge events, besides AWS's own aws.*, whose CloudTrail events are believed: for organisations that republish them. Repeatable (in the environment: one a line).").PlaceHolder("SOURCE").StringsVar(&f.trustedSources)
	cmd.Flag("heartbeat.regions", "Regions whose forwarders send a heartbeat, separated by commas: each is expected from the start on, so that one that never reports is noticed.").PlaceHolder("REGION,...").SetValue(&listFlag{&f.heartbeatRegions})
	cmd.Flag("ledger.table", "DynamoDB table in which every root call is written down once, for all tasks. Default: the application's name and -findings. Empty turns it off: a call that is counted but never scraped then pages nobody.").PlaceHolder("TABLE").IsSetByUser(&f.ledgerSet).StringVar(&f.ledgerTable)
	durationFlag(cmd, "shutdown-timeout", "On SIGTERM, finish within this time even if the pipeline is stuck. Keep it under the container's stop timeout (ECS: 30s unless set).", &f.shutdownTimeout, "25s")
	f.web.register(cmd, ":9844")
	f.log.register(cmd, "info", "json")
}

func (f *runFlags) run(ctx context.Context, _, stderr io.Writer) error {
	if f.stream == "" {
		return usageError{fmt.Errorf("no stream is named: set --kinesis.stream or ROOTWATCH_KINESIS_STREAM to the name or ARN of the Kinesis stream with the CloudTrail events")}
	}
	awsConfig, err := config.LoadDefaultConfig(ctx)
	if err != nil {
		return fmt.Errorf("reading the AWS configuration: %w", err)
	}
	if awsConfig.Region == "" {
		awsConfig.Region = regionOf(f.stream)
	}
	if awsConfig.Region == "" {
		return usageError{fmt.Errorf("no AWS region is set: set AWS_REGION, or name the stream by its ARN")}
	}
	log, err := f.log.logger(stderr)
	if err != nil {
		return err
	}
	if variable, inEnvironment := os.LookupEnv("ROOTWATCH_LEDGER_TABLE"); !f.ledgerSet && !(inEnvironment && variable == "") {
		f.ledgerTable = f.application + "-findings"
	}
	if f.ledgerTable == "" {
		log.Warn("no ledger: a root call that is counted but never scraped pages nobody, and copies are recognised by one task only", "set", "--ledger.table")
	}
	return f.watch(ctx, awsConfig, log, newRegistry(), []pipeline.Sink{pipeline.NewLogSink(log)})
}

// listFlag is a list in one value, separated by commas; a repeated flag adds to it.
type listFlag struct{ to *[]string }

func (l *listFlag) Set(s string) error {
	for _, v := range strings.Split(s, ",") {
		if v = strings.TrimSpace(v); v != "" {
			*l.to = append(*l.to, v)
		}
	}
	return nil
}

func (l *listFlag) String() string { return "" }

// IsCumulative tells kingpin that the flag may be repeated.
func (l *listFlag) IsCumulative() bool { return true }

// regionOf returns the region in a stream's ARN, "" for a name.
func regionOf(stream string) string {
	if parts := strings.Split(stream, ":"); len(parts) == 6 && parts[0] == "arn" {
		return parts[3]
	}
	return ""
}

// streamConfig is the configuration for the calls to Kinesis: an ARN's region is where the stream is.
func streamConfig(c aws.Config, stream string) aws.Config {
	c = c.Copy()
	if r := regionOf(stream); r != "" {
		c.Region = r
	}
	return c
}

// firstStart and trimHorizon are the words of --kinesis.start.
const (
	firstStart  = "first-start"
	trimHorizon = "trim-horizon"
)

// startFlag is the value of --kinesis.start.
type startFlag struct {
	mode string
	time time.Time
}

func (s *startFlag) Set(v string) error {
	switch strings.ToLower(v) {
	case firstStart, trimHorizon:
		*s = startFlag{mode: strings.ToLower(v)}
		return nil
	case "latest":
		return fmt.Errorf("latest is not offered: records that arrive while no worker reads would never be seen; use %s", firstStart)
	}
	t, err := time.Parse(time.RFC3339, v)
	if err != nil {
		return fmt.Errorf("--kinesis.start %q is none of %s, %s or an RFC 3339 time such as 2026-11-23T00:00:00Z", v, firstStart, trimHorizon)
	}
	*s = startFlag{time: t}
	return nil
}

func (s *startFlag) String() string {
	if s.mode != "" {
		return s.mode
	}
	return s.time.Format(time.RFC3339)
}

func (s *startFlag) start() kinesis.Start {
	return kinesis.Start{TrimHorizon: s.mode == trimHorizon, Time: s.time}
}
