package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/alecthomas/kingpin/v2"
	"github.com/aws/aws-sdk-go-v2/aws"
	awskinesis "github.com/aws/aws-sdk-go-v2/service/kinesis"
	"github.com/aws/aws-sdk-go-v2/service/kinesis/types"
	"github.com/prometheus/client_golang/prometheus"

	"rootwatch/pipeline"
	"rootwatch/pipeline/awstest"
	"rootwatch/pipeline/cloudtrailtest"
)

// demoFlags are the flags of `rootwatch demo`.
type demoFlags struct {
	length     time.Duration
	rate       int
	seed       uint64
	serverOnly bool
	endpoint   string
	web        webFlags
	log        logFlags
}

// The demo's stream and lease table.
const (
	demoStream      = "cloudtrail"
	demoApplication = "rootwatch-demo"
	demoShards      = 4
	demoAddress     = "127.0.0.1:9844"
	demoShare       = 150 // notable scenes in ten thousand, so that there is something to see
)

func newDemoCommand(app *kingpin.Application) command {
	cmd := app.Command("demo", "Run the worker on made-up CloudTrail traffic, with a Kinesis and a DynamoDB inside this process. Needs no AWS account and no network but loopback.")
	f := &demoFlags{}
	cmd.Flag("for", "End after this long with a summary; 0 runs until interrupted.").Default("0s").NoEnvar().
		SetValue(&value[time.Duration]{flag: "for", to: &f.length, want: "a duration such as 20s or 1m", parse: durationFrom(0)})
	cmd.Flag("rate", "Events a second.").Default("200").NoEnvar().
		SetValue(&value[int]{flag: "rate", to: &f.rate, want: "a whole number of events a second, 1 to 100000", parse: intIn(1, 100_000)})
	cmd.Flag("seed", "Seed of the traffic.").Default("1").NoEnvar().Uint64Var(&f.seed)
	cmd.Flag("server-only", "Run only the Kinesis and the DynamoDB, with an empty stream, and say how to use them.").NoEnvar().BoolVar(&f.serverOnly)
	cmd.Flag("endpoint.listen-address", "Address of the Kinesis and the DynamoDB.").Default("127.0.0.1:0").NoEnvar().StringVar(&f.endpoint)
	f.web.register(cmd, demoAddress)
	f.log.register(cmd, "warn", "logfmt")
	return command{cmd, f.run}
}

func (f *demoFlags) run(ctx context.Context, stdout, stderr io.Writer) error {
	log, err := f.log.logger(stderr, nil)
	if err != nil {
		return err
	}
	web := f.web
	if !f.serverOnly {
		if err := web.reserve(); err != nil {
			return err
		}
	}
	listener, err := net.Listen("tcp", f.endpoint)
	if err != nil {
		return usageError{fmt.Errorf("--endpoint.listen-address: %w", err)}
	}
	service := awstest.New(awstest.Options{MaxStreamBytes: 256 << 20, Admin: f.serverOnly})
	server := &http.Server{Handler: service, ReadHeaderTimeout: 10 * time.Second}
	var serving sync.WaitGroup
	defer serving.Wait()
	defer server.Close()
	serving.Go(func() { server.Serve(listener) }) //nolint:errcheck // it ends with Close
	endpoint := "http://" + listener.Addr().String()
	awsConfig := awstest.Config(endpoint, "us-east-1", "demo")
	client := awskinesis.NewFromConfig(service.Direct("demo")) // what it sends is compared with what is counted
	if _, err := client.CreateStream(ctx, &awskinesis.CreateStreamInput{StreamName: aws.String(demoStream), ShardCount: aws.Int32(demoShards)}); err != nil {
		return fmt.Errorf("making the demo's stream: %w", err)
	}
	if f.serverOnly {
		fmt.Fprintf(stdout, "Kinesis and DynamoDB answer at %s; to run a worker on them:\n\n"+
			"export AWS_ENDPOINT_URL=%s AWS_REGION=us-east-1 AWS_ACCESS_KEY_ID=demo AWS_SECRET_ACCESS_KEY=demo\nrootwatch run --kinesis.stream=%s\n", endpoint, endpoint, demoStream)
		<-ctx.Done()
		return nil
	}
	return f.watch(ctx, awsConfig, client, web, stdout, log)
}

// watch runs the worker as `rootwatch run` would, feeds its stream, and ends with the summary.
func (f *demoFlags) watch(ctx context.Context, awsConfig aws.Config, client *awskinesis.Client, web webFlags, stdout io.Writer, log *slog.Logger) error {
	metrics, err := web.url("/metrics")
	if err != nil {
		return err
	}
	worker := &runFlags{
		stream: demoStream, application: demoApplication, ledgerTable: demoApplication + ledgerSuffix, heartbeatRegions: cloudtrailtest.Regions, start: start{mode: trimHorizon},
		pollInterval: 250 * time.Millisecond, leaseDuration: time.Minute, checkpointInterval: time.Second,
		maxRecords: 1000, fetchMemory: 64 << 20, shutdownTimeout: 10 * time.Second, web: web,
	}
	registry := newRegistry()
	printer := newFindingPrinter(stdout)
	feedCtx, stopFeed := context.WithCancel(ctx)
	defer stopFeed()
	if f.length > 0 {
		feedCtx, stopFeed = context.WithTimeout(ctx, f.length)
		defer stopFeed()
	}
	watchCtx, stopWatch := context.WithCancel(context.WithoutCancel(ctx))
	defer stopWatch()
	fmt.Fprintf(stdout, "Made-up CloudTrail traffic, %d events a second, through the worker. Metrics: %s\n\n", f.rate, metrics)
	watched := make(chan error, 1)
	go func() { watched <- worker.watch(watchCtx, awsConfig, log, registry, []pipeline.Sink{printer}) }()

	sent := newTally()
	fed := make(chan error, 1)
	go func() { fed <- f.feed(feedCtx, client, sent) }()
	select {
	case err = <-watched: // it could not start
		stopFeed()
		<-fed
		return errors.Join(errors.New("the worker ended before the demo did"), err)
	case err = <-fed:
	}
	if err == nil {
		err = awaitCounted(watchCtx, registry, sent)
	}
	stopWatch()
	err = errors.Join(err, <-watched)
	counted, gatherErr := countedBy(registry)
	return errors.Join(err, gatherErr, printSummary(stdout, sent, counted))
}

// reserve makes sure of the web server's configuration and addresses before anything is printed,
// and puts the ports in place of those that are left to the system. If the address is the default
// and taken, any free one will do: two demos may run side by side.
func (f *webFlags) reserve() error {
	if err := f.checkConfig(); err != nil {
		return err
	}
	given := f.addresses
	f.addresses = nil
	for _, address := range given {
		l, err := net.Listen("tcp", address)
		if err != nil && address == demoAddress {
			l, err = net.Listen("tcp", "127.0.0.1:0")
		}
		if err != nil {
			return usageError{fmt.Errorf("%s %s: %w", settingName("web.listen-address"), address, err)}
		}
		defer l.Close()
		host, _, _ := net.SplitHostPort(address) // the host as it was given: listening on any, l says [::]
		_, port, err := net.SplitHostPort(l.Addr().String())
		if err != nil {
			return fmt.Errorf("listening on %s: %w", address, err)
		}
		f.addresses = append(f.addresses, net.JoinHostPort(host, port))
	}
	return nil
}

// feed puts traffic into the stream at the demo's rate until ctx ends.
func (f *demoFlags) feed(ctx context.Context, client *awskinesis.Client, sent *tally) error {
	const perSecond = 5
	ticker := time.NewTicker(time.Second / perSecond)
	defer ticker.Stop()
	traffic := cloudtrailtest.New(f.seed, demoShare, time.Now)
	owed := 0
	for {
		owed += f.rate
		for n := owed / perSecond; n > 0; n -= min(n, 500) {
			batch := make([]cloudtrailtest.Record, min(n, 500))
			for i := range batch {
				batch[i] = traffic.Next()
			}
			if err := put(context.WithoutCancel(ctx), client, batch); err != nil {
				return err
			}
			for _, r := range batch {
				sent.add(r.Result, string(r.Verdict), string(r.Reason), 1)
			}
		}
		owed %= perSecond
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
		}
	}
}

// put writes records, and again those that Kinesis did not take.
func put(ctx context.Context, client *awskinesis.Client, batch []cloudtrailtest.Record) error {
	var entries []types.PutRecordsRequestEntry
	for i, r := range batch {
		entries = append(entries, types.PutRecordsRequestEntry{Data: r.Data, PartitionKey: aws.String(fmt.Sprintf("%d-%d", len(r.Data), i))})
	}
	for len(entries) > 0 {
		out, err := client.PutRecords(ctx, &awskinesis.PutRecordsInput{StreamName: aws.String(demoStream), Records: entries})
		if err != nil {
			return fmt.Errorf("feeding the demo's stream: %w", err)
		}
		var again []types.PutRecordsRequestEntry
		for i, r := range out.Records {
			if r.ErrorCode != nil {
				again = append(again, entries[i])
			}
		}
		entries = again
	}
	return nil
}

// awaitCounted waits until the worker has counted as many events as were sent.
func awaitCounted(ctx context.Context, registry *prometheus.Registry, sent *tally) error {
	deadline := time.NewTimer(30 * time.Second)
	defer deadline.Stop()
	for {
		counted, err := countedBy(registry)
		if err != nil || counted.events() >= sent.events() {
			return err
		}
		select {
		case <-time.After(50 * time.Millisecond):
		case <-deadline.C:
			return fmt.Errorf("of %d events sent, %d were counted after 30s of waiting", sent.events(), counted.events())
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}
