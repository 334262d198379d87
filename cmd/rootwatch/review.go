package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/alecthomas/kingpin/v2"
	"golang.org/x/term"

	"rootwatch/classify"
	"rootwatch/pipeline/archive"
	"rootwatch/pipeline/coverage"
	"rootwatch/pipeline/report"
	"rootwatch/pipeline/review"
)

// reviewFlags are the flags of `rootwatch review`.
type reviewFlags struct {
	paths          []string
	output         string
	explain        string
	exitCode       bool
	since, until   time.Time
	accounts       []string
	regions        []string
	trustedSources []string
	accountsFile   string
	stdin          io.Reader
}

// outputAuto is the --output that depends on where it goes.
const outputAuto = "auto"

func newReviewCommand(app *kingpin.Application) command {
	cmd := app.Command("review", "Judge the root calls in log files: S3 log files, CloudWatch Logs exports and subscription payloads, answers of `aws cloudtrail lookup-events`, EventBridge events and bare records, as JSON, JSON arrays or JSON lines, plain, gzip or zstd. Formats are found by content. Links are followed. Exit codes: 0; 3 with --exit-code when an unexplained root call was found; 1 when something could not be read or judged (the rest is); 2 for a wrong command line. Standard input with nothing in it is no error.")
	f := &reviewFlags{stdin: os.Stdin}
	f.register(cmd)
	return command{cmd, f.run}
}

func (f *reviewFlags) register(cmd *kingpin.CmdClause) {
	setting(cmd, "output", "table (the default on a terminal), json (the default elsewhere; one object a line for each root call, in the order of the files) or markdown (to attach to a ticket).", &f.output, outputAuto, "one of table, json, markdown", outputFormat)
	// Calls are selected on the command line alone: a stray variable would narrow the answer
	// unnoticed.
	cmd.Flag("explain", "Show one root call: the fields that were weighed, what each says, and why the verdict follows.").NoEnvar().PlaceHolder("EVENT_ID").StringVar(&f.explain)
	cmd.Flag("exit-code", "End with exit code 3 when an unexplained root call was found.").NoEnvar().BoolVar(&f.exitCode)
	timeFlag(cmd, "since", "Only root calls from this time on: RFC 3339, or a day (UTC). Folders of a trail's layout (AWSLogs/…/yyyy/mm/dd) that end more than a day before are not read.", &f.since, dayBegins)
	timeFlag(cmd, "until", "Only root calls up to this time, or to the end of this day. Folders that begin more than a day later are not read: a call that CloudTrail delivered still later is not found.", &f.until, dayEnds)
	cmd.Flag("account", "Only root calls of these accounts, separated by commas. Repeatable.").NoEnvar().PlaceHolder("ID,...").SetValue(&listFlag{&f.accounts})
	cmd.Flag("region", "Only root calls in these regions, separated by commas. Repeatable. Sign-ins and global services are recorded in us-east-1.").NoEnvar().PlaceHolder("REGION,...").SetValue(&listFlag{&f.regions})
	cmd.Flag("eventbridge.trusted-source", "Sources of EventBridge events, besides AWS's own aws.*, whose CloudTrail events are believed, separated by commas. Repeatable.").PlaceHolder("SOURCE,...").SetValue(&listFlag{&f.trustedSources})
	accountsFlag(cmd, &f.accountsFile)
	cmd.Arg("path", "Files, folders with all that is below them, and - for standard input. A file in a folder that is no log of CloudTrail's is listed and left out; one that is named here is an error, and so is one where a trail has its log files, or with the name of one.").Required().StringsVar(&f.paths)
}

func outputFormat(s string) (string, error) {
	switch s = strings.ToLower(s); report.Format(s) {
	case outputAuto, report.TableFormat, report.JSONFormat, report.MarkdownFormat:
		return s, nil
	}
	return "", errors.New("no format")
}

func dayBegins(day time.Time) time.Time { return day }

func dayEnds(day time.Time) time.Time { return day.AddDate(0, 0, 1).Add(-1) }

// timeFlag is a flag for a time; a day means the moment that ofDay makes of it.
func timeFlag(cmd *kingpin.CmdClause, name, help string, to *time.Time, ofDay func(time.Time) time.Time) {
	v := &value[time.Time]{flag: name, to: to, want: "a time such as 2026-11-02T08:00:00Z or a day such as 2026-11-02", parse: func(s string) (time.Time, error) {
		if day, err := time.Parse(time.DateOnly, s); err == nil {
			return ofDay(day), nil
		}
		return time.Parse(time.RFC3339, s)
	}}
	cmd.Flag(name, help).NoEnvar().PlaceHolder("TIME").SetValue(v)
}

func (f *reviewFlags) check() error {
	for _, id := range f.accounts {
		if !classify.IsAccountID(id) {
			return fmt.Errorf("--account %q is not an account's id of 12 digits", id)
		}
	}
	for _, region := range f.regions {
		if !classify.IsRegion(region) {
			return fmt.Errorf("--region %q is not a region's name such as us-east-1", region)
		}
	}
	if !f.since.IsZero() && !f.until.IsZero() && f.until.Before(f.since) {
		return fmt.Errorf("--until %s is before --since %s", f.until.Format(time.RFC3339), f.since.Format(time.RFC3339))
	}
	return nil
}

func (f *reviewFlags) run(ctx context.Context, stdout, stderr io.Writer) error {
	if err := f.check(); err != nil {
		return usageError{err}
	}
	for i, p := range f.paths {
		if p == loneDash {
			f.paths[i] = coverage.Stdin
		}
	}
	names, err := namesOf(f.accountsFile)
	if err != nil {
		return usageError{fmt.Errorf("%s: %w", settingName("accounts.file"), err)}
	}
	_, onTerminal := terminal(stderr)
	r, err := review.New(review.Config{
		Paths: f.paths, Stdin: f.stdin, Explain: f.explain, TrustedSources: f.trustedSources, Account: names.Of, RefuseUnexplained: f.exitCode,
		Selection: archive.Selection{Since: f.since, Until: f.until, Accounts: f.accounts, Regions: f.regions},
		Out:       stdout, Format: f.format(stdout), Screen: screenOf(stdout), Notes: stderr, ShowProgress: onTerminal,
	})
	if err != nil {
		return usageError{err}
	}
	return r.Run(ctx)
}

// loneDash stands for the argument "-" while the command line is parsed: kingpin makes an empty one
// of it, and an empty one is what a shell makes of a variable that is not set. No argument can hold
// a NUL.
const loneDash = "\x00"

// keepDashes puts loneDash in the place of "-".
func keepDashes(args []string) []string {
	kept := slices.Clone(args)
	for i, arg := range kept {
		if arg == coverage.Stdin {
			kept[i] = loneDash
		}
	}
	return kept
}

// format is what --output asks for, or what suits where it goes.
func (f *reviewFlags) format(stdout io.Writer) report.Format {
	if f.output != outputAuto {
		return report.Format(f.output)
	}
	if _, ok := terminal(stdout); ok {
		return report.TableFormat
	}
	return report.JSONFormat
}

// terminal is the terminal that w writes to, if it is one.
func terminal(w io.Writer) (fd int, ok bool) {
	file, isFile := w.(*os.File)
	if !isFile {
		return 0, false
	}
	fd = int(file.Fd())
	return fd, term.IsTerminal(fd)
}

// screenOf is what w can show: colours on a terminal, unless NO_COLOR is set to anything
// (https://no-color.org).
func screenOf(w io.Writer) report.Screen {
	fd, ok := terminal(w)
	if !ok {
		return report.Screen{}
	}
	width, _, err := term.GetSize(fd)
	if err != nil {
		width = 80
	}
	return report.Screen{Width: width, Color: os.Getenv("NO_COLOR") == "" && os.Getenv("TERM") != "dumb"}
}
