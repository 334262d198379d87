package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"github.com/alecthomas/kingpin/v2"
	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/config"
	smithyhttp "github.com/aws/smithy-go/transport/http"

	"rootwatch/pipeline"
	"rootwatch/pipeline/awserr"
	"rootwatch/pipeline/dynamo"
	"rootwatch/pipeline/kinesis"
	"rootwatch/pipeline/retry"
)

// runFlags are the flags of `rootwatch run`.
type runFlags struct {
	stream             string
	application        string
	start              start
	pollInterval       time.Duration
	leaseDuration      time.Duration
	checkpointInterval time.Duration
	maxRecords         int
	fetchMemory        int64
	trustedSources     []string
	heartbeatRegions   []string
	ledgerTable        string // "" is off
	ledgerSet          bool   // named by a flag, or by a variable that is not empty
	maxAccounts        int
	shutdownTimeout    time.Duration
	files              fileFlags
	hangups            <-chan os.Signal // nil: none comes
	web                webFlags
	log                logFlags
}

func newRunCommand(app *kingpin.Application, f *runFlags) command {
	cmd := app.Command("run", "Read the stream until SIGTERM. Every flag is also an environment variable: --kinesis.stream is ROOTWATCH_KINESIS_STREAM. Region, credentials and endpoints are set the AWS way (AWS_REGION, AWS_PROFILE, AWS_ENDPOINT_URL ...).")
	f.register(cmd)
	return command{cmd, f.run}
}

func (f *runFlags) register(cmd *kingpin.CmdClause) {
	cmd.Flag("kinesis.stream", "Name or ARN of the Kinesis stream that EventBridge puts CloudTrail events into. Required.").PlaceHolder("STREAM").StringVar(&f.stream)
	setting(cmd, "kinesis.application", "Name of the application: the DynamoDB table of its leases and checkpoints. Workers of one name share the stream's shards.", &f.application, "rootwatch", "a table's name", tableName)
	setting(cmd, "kinesis.start", "Where to begin in shards that have no checkpoint: trim-horizon (the oldest record), an RFC 3339 time, or first-start (when the application was first started, kept in the lease table).", &f.start, firstStart,
		firstStart+", "+trimHorizon+" or an RFC 3339 time such as 2026-11-23T00:00:00Z", parseStart)
	durationFlag(cmd, "kinesis.poll-interval", "Pause after an answer without records, for each shard. At least 200ms.", &f.pollInterval, "1s", 200*time.Millisecond)
	durationFlag(cmd, "kinesis.lease-duration", "A shard whose worker has not renewed its lease for this long is taken over. At least 2s.", &f.leaseDuration, "20s", 2*time.Second)
	durationFlag(cmd, "kinesis.checkpoint-interval", "How often progress is written to the lease table.", &f.checkpointInterval, "1s", time.Millisecond)
	intFlag(cmd, "kinesis.max-records", "Records to ask for in one read of a shard, 1 to 10000.", &f.maxRecords, "1000", 1, 10_000)
	bytesFlag(cmd, "kinesis.fetch-memory", "Memory for all reads and the records that are not judged yet, e.g. 64MiB. At least 16MiB.", &f.fetchMemory, "64MiB", 16)
	cmd.Flag("eventbridge.trusted-source", "Sources of EventBridge events, besides AWS's own aws.*, whose CloudTrail events are believed: for organisations that republish them. Separated by commas; a repeated flag adds.").PlaceHolder("SOURCE,...").SetValue(&listFlag{&f.trustedSources})
	cmd.Flag("heartbeat.regions", "Regions whose forwarders send a heartbeat, separated by commas: each is expected from the start on, so that one that never reports is noticed.").PlaceHolder("REGION,...").
		SetValue(&checkedList{listFlag{&f.heartbeatRegions}, "heartbeat.regions", "regions such as eu-west-1, separated by commas", checkRegion, false})
	cmd.Flag("ledger.table", "DynamoDB table in which every root call is written down once, for all tasks. Default: the application's name and -findings. Empty turns it off: a call that is counted but never scraped then pages nobody.").PlaceHolder("TABLE").IsSetByUser(&f.ledgerSet).
		SetValue(&value[string]{flag: "ledger.table", variable: true, to: &f.ledgerTable, parse: func(s string) (string, error) {
			if s == "" {
				return "", nil
			}
			return tableName(s)
		}})
	intFlag(cmd, "metrics.max-accounts", "Accounts that get label values of their own; calls of further ones are counted as account_id=\"other\", and told in the log.", &f.maxAccounts, "5000", 1, 1_000_000)
	durationFlag(cmd, "shutdown-timeout", "On SIGTERM, finish within this time even if the pipeline is stuck. Keep it under the container's stop timeout (ECS: 30s unless set).", &f.shutdownTimeout, "25s", time.Millisecond)
	f.files.register(cmd)
	f.web.register(cmd, ":9844")
	f.log.register(cmd, "info", "json")
}

func (f *runFlags) run(ctx context.Context, _, stderr io.Writer) error {
	if f.stream = strings.TrimSpace(f.stream); f.stream == "" {
		return usageError{fmt.Errorf("no stream is named: set --kinesis.stream or ROOTWATCH_KINESIS_STREAM to the name or ARN of the Kinesis stream with the CloudTrail events")}
	}
	if err := f.nameLedger(); err != nil {
		return usageError{err}
	}
	log, err := f.log.logger(stderr, f.adviseAttr)
	if err != nil {
		return err
	}
	awsConfig, err := config.LoadDefaultConfig(ctx, config.WithLogger(awsLogger{log}))
	if err != nil {
		return fmt.Errorf("reading the AWS configuration: %w", err)
	}
	if awsConfig.Region == "" {
		awsConfig.Region = regionOf(f.stream)
	}
	if awsConfig.Region == "" {
		return usageError{fmt.Errorf("no AWS region is set: set AWS_REGION, or name the stream by its ARN")}
	}
	hangups := make(chan os.Signal, 1) // by itself SIGHUP would end the process at once, with leases that nobody releases
	signal.Notify(hangups, syscall.SIGHUP)
	defer signal.Stop(hangups)
	f.hangups = hangups
	if f.ledgerTable == "" {
		log.Warn("no ledger: a root call that is counted but never scraped pages nobody, and copies are recognised by one task only", "set", "--ledger.table")
	}
	return f.advise(f.watch(ctx, awsConfig, log, newRegistry(), []pipeline.Sink{pipeline.NewLogSink(log)}))
}

// nameLedger is the ledger's table unless a flag or a variable, which may be empty, says otherwise.
func (f *runFlags) nameLedger() error {
	if variable, inEnvironment := os.LookupEnv("ROOTWATCH_LEDGER_TABLE"); !f.ledgerSet && !(inEnvironment && variable == "") {
		f.ledgerTable = f.application + ledgerSuffix
		if len(f.ledgerTable) > dynamo.MaxName {
			return fmt.Errorf("%s is too long for the ledger's table, its name and %s: choose one of %d characters at the most, or set --ledger.table (ROOTWATCH_LEDGER_TABLE)",
				settingName("kinesis.application"), ledgerSuffix, dynamo.MaxName-len(ledgerSuffix))
		}
	}
	if f.ledgerTable == f.application {
		return fmt.Errorf("%s and %s name the same table %q: the ledger needs one of its own", settingName("ledger.table"), settingName("kinesis.application"), f.ledgerTable)
	}
	return nil
}

// ledgerSuffix is added to the application's name for the ledger's table.
const ledgerSuffix = "-findings"

// credentialsTimeout bounds the search for credentials. A program that gives some
// (credential_process) may take its time; a metadata service that is not there is given up within
// seconds.
const credentialsTimeout = time.Minute

// findCredentials looks for credentials before anything is asked of AWS: an error of the first call
// would be about that call.
func findCredentials(ctx context.Context, c aws.Config) error {
	if c.Credentials == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, credentialsTimeout)
	defer cancel()
	err := retry.Do(ctx, 5*time.Second, func() error {
		_, err := c.Credentials.Retrieve(ctx)
		var unsent *smithyhttp.RequestSendError
		if err != nil && (!awserr.Healing(err) || errors.As(err, &unsent)) {
			return retry.Stop(err)
		}
		return err // nil, or whoever gives them has said that it cannot now
	}, nil)
	if err != nil {
		return fmt.Errorf("there are no AWS credentials: give the task or instance a role, or set AWS_PROFILE, or AWS_ACCESS_KEY_ID with AWS_SECRET_ACCESS_KEY: %w", oneLine(err))
	}
	return nil
}

// regionOf returns the region in a stream's ARN, "" for a name.
func regionOf(stream string) string {
	if parts := strings.Split(stream, ":"); len(parts) == 6 && parts[0] == "arn" {
		return parts[3]
	}
	return ""
}

// streamConfig is the configuration for the calls to Kinesis: an ARN's region is where the stream
// is.
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

// start is the value of --kinesis.start.
type start struct {
	mode string
	time time.Time
}

func parseStart(s string) (start, error) {
	switch s := strings.ToLower(s); s {
	case firstStart, trimHorizon:
		return start{mode: s}, nil
	case "latest":
		return start{}, reason{fmt.Errorf("latest is not offered: records that arrive while no worker reads would never be seen; use %s", firstStart)}
	}
	t, err := time.Parse(time.RFC3339, s)
	switch {
	case err != nil:
		return start{}, err
	case t.Before(time.Unix(0, 0)): // Kinesis knows no such time, and the zero time would mean first-start
		return start{}, reason{fmt.Errorf("%s is before 1970: to begin at the oldest record, use %s", s, trimHorizon)}
	case t.After(time.Now()):
		return start{}, reason{fmt.Errorf("%s lies in the future: records until then would never be read", s)}
	}
	return start{time: t}, nil
}

func (s start) config() kinesis.Start {
	return kinesis.Start{TrimHorizon: s.mode == trimHorizon, Time: s.time}
}
