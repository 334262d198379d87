// Command rootwatch answers "somebody used our AWS root credentials: should I be concerned?": it
// reads CloudTrail events from Kinesis, judges every root call and exports the counts. This package
// parses flags and wires the parts.
package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/alecthomas/kingpin/v2"
	"github.com/prometheus/common/version"

	"rootwatch/pipeline/review"
)

// Exit codes, besides 0. A flag or a setting that cannot be right ends the program before it
// touches anything.
const (
	exitFailed      = 1
	exitUsage       = 2
	exitUnexplained = 3 // `review --exit-code`
)

func init() {
	kingpin.EnableFileExpansion = false // a file may be called @x; nothing in this program reads arguments from one
	if version.Version == "" {          // not stamped by the linker; the revision comes from Go's own build information
		version.Version = "dev"
	}
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // a second signal ends the program at once
	os.Exit(run(ctx, os.Args[1:], os.Stdout, os.Stderr))
}

// run is main without the process: it returns the exit code.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) (code int) {
	app := kingpin.New("rootwatch", "Watches the use of AWS root credentials: reads CloudTrail events from Kinesis, tells calls that services make by themselves from those of people, and counts both for Prometheus.")
	app.DefaultEnvars().UsageWriter(stdout).ErrorWriter(stderr)
	app.Version(version.Print("rootwatch")).VersionFlag.NoEnvar()
	app.HelpFlag.NoEnvar().Short('h')
	type answered int // --help and --version answer in the middle of parsing
	app.Terminate(func(code int) { panic(answered(code)) })
	defer func() {
		switch v := recover().(type) {
		case nil:
		case answered:
			code = int(v)
		default:
			panic(v)
		}
	}()
	worker := &runFlags{}
	commands := []command{newRunCommand(app, worker), newDemoCommand(app), newReviewCommand(app), newCheckPolicyCommand(app), newHealthcheckCommand(app)}

	name, err := app.Parse(keepDashes(args))
	if err != nil {
		fmt.Fprintf(stderr, "rootwatch: %v, try --help\n", err)
		return usageCode(args)
	}
	for _, c := range commands {
		if c.FullCommand() == name {
			if name == "run" {
				defer exitAfter(ctx, worker.shutdownTimeout+time.Second)()
			}
			code = exitCode(c.run(ctx, stdout, stderr), stderr)
			if code == exitUsage {
				return usageCode(args)
			}
			return code
		}
	}
	return exitUsage
}

// usageCode is the exit code for a wrong command line. A container's health check knows 0 and 1
// alone: Docker reserves 2.
func usageCode(args []string) int {
	if i := slices.IndexFunc(args, func(arg string) bool { return !strings.HasPrefix(arg, "-") }); i >= 0 && args[i] == "healthcheck" {
		return exitFailed
	}
	return exitUsage
}

// exitAfter ends the process when ctx has ended and so long has passed since, whatever hangs: a
// write to a standard error that nobody reads cannot be interrupted. The deadline ends with a call
// of the function that it returns.
func exitAfter(ctx context.Context, d time.Duration) (stop func()) {
	over := make(chan struct{})
	unhook := context.AfterFunc(ctx, func() {
		select {
		case <-time.After(d):
			go fmt.Fprintf(os.Stderr, "rootwatch: not stopped %s after the signal: the process ends as it is\n", d) // it may hang, too
			time.Sleep(10 * time.Millisecond)
			os.Exit(exitFailed)
		case <-over:
		}
	})
	return func() {
		unhook()
		close(over)
	}
}

func exitCode(err error, stderr io.Writer) int {
	switch err {
	case nil:
		return 0
	case review.ErrUnexplained:
		return exitUnexplained
	}
	fmt.Fprintf(stderr, "rootwatch: %v\n", err)
	if _, ok := err.(usageError); ok {
		return exitUsage
	}
	return exitFailed
}
