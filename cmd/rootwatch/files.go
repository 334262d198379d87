package main

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"sync"

	"github.com/alecthomas/kingpin/v2"
	"github.com/prometheus/client_golang/prometheus"

	"rootwatch/classify"
	"rootwatch/pipeline"
	"rootwatch/pipeline/accounts"
	"rootwatch/pipeline/policy"
	"rootwatch/pipeline/reload"
	"rootwatch/pipeline/yamlfile"
)

// fileFlags name the files that say what the organisation knows: its accounts, and what was
// planned. "" is none.
type fileFlags struct {
	accounts string
	policy   string
	dryRun   bool
}

func (f *fileFlags) register(cmd *kingpin.CmdClause) {
	accountsFlag(cmd, &f.accounts)
	cmd.Flag("policy.file", "Root calls that are expected, a YAML file: they are logged and counted with the verdict expected, and never page. Read again when it changes; `rootwatch check-policy` checks it.").PlaceHolder("FILE").StringVar(&f.policy)
	cmd.Flag("policy.dry-run", "Page as without --policy.file, and only log which entry would have expected a call (policy_dry_run).").BoolVar(&f.dryRun)
}

func accountsFlag(cmd *kingpin.CmdClause, to *string) {
	cmd.Flag("accounts.file", "Names of accounts, YAML or JSON: a list with id, name, owner, tags, or the answer of `aws organizations list-accounts` as it is.").PlaceHolder("FILE").StringVar(to)
}

// files are the files that were named; what was not is nil.
type files struct {
	accounts *reload.File[accounts.Names]
	policy   *reload.File[*policy.Policy]
	dryRun   bool
	log      *slog.Logger
}

// open reads the files for the first time: one that is broken ends the program.
func (f *fileFlags) open(registry prometheus.Registerer, log *slog.Logger) (*files, error) {
	opened := &files{dryRun: f.dryRun, log: log}
	if f.dryRun && f.policy == "" {
		return nil, usageError{fmt.Errorf("%s has no policy to try out: set --policy.file (ROOTWATCH_POLICY_FILE)", settingName("policy.dry-run"))}
	}
	var err error
	if f.accounts != "" {
		opened.accounts, err = reload.Open(reload.Config[accounts.Names]{
			Name: "accounts", Path: f.accounts, MaxSize: yamlfile.MaxSize, Parse: accounts.Parse, Registerer: registry, Logger: log,
			Describe: func(n accounts.Names) string { return plural(len(n), "account", "accounts") },
		})
		if err != nil {
			return nil, usageError{fmt.Errorf("%s: %w", settingName("accounts.file"), err)}
		}
	}
	if f.policy != "" {
		opened.policy, err = reload.Open(reload.Config[*policy.Policy]{
			Name: "policy", Path: f.policy, MaxSize: yamlfile.MaxSize, Registerer: registry, Logger: log,
			Parse:    func(data []byte) (*policy.Policy, error) { return policy.Parse(data, now()) },
			Describe: func(p *policy.Policy) string { return plural(len(p.Entries), "entry", "entries") },
		})
		if err != nil {
			return nil, usageError{fmt.Errorf("%s: %w", settingName("policy.file"), err)}
		}
	}
	return opened, nil
}

// configure lets the pipeline ask the files that are in force at the moment of a call.
func (f *files) configure(c *pipeline.Config) {
	if f.accounts != nil {
		c.Account = func(id string) pipeline.Account { return f.accounts.Current().Of(id) }
	}
	if f.policy != nil {
		c.DryRun = f.dryRun
		c.Expects = func(ev *classify.Event, judged *classify.Finding) string {
			return f.policy.Current().Expects(ev, judged, now())
		}
	}
}

// run reads the files again when they change, and whenever hangups tells to, until ctx ends.
func (f *files) run(ctx context.Context, hangups <-chan os.Signal) {
	var running sync.WaitGroup
	defer running.Wait()
	var readers []chan struct{}
	reader := func() <-chan struct{} {
		told := make(chan struct{}, 1)
		readers = append(readers, told)
		return told
	}
	if f.accounts != nil {
		told := reader()
		running.Go(func() { f.accounts.Run(ctx, told) })
	}
	if f.policy != nil {
		told := reader()
		running.Go(func() { f.policy.Run(ctx, told) })
		running.Go(func() { policy.Remind(ctx, f.policy.Current, now, f.log) })
	}
	for {
		select {
		case <-hangups:
			if len(readers) == 0 {
				f.log.Info("SIGHUP changes nothing: flags and environment are read at the start; end the worker with SIGTERM")
				continue
			}
			f.log.Info("SIGHUP: the files of accounts and policy are read again")
			for _, told := range readers {
				select {
				case told <- struct{}{}:
				default: // it is told already
				}
			}
		case <-ctx.Done():
			return
		}
	}
}

// namesOf reads a file of accounts once, for a command that ends; without one nothing is known of
// any account.
func namesOf(path string) (accounts.Names, error) {
	if path == "" {
		return nil, nil
	}
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	names, err := accounts.Parse(data)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return names, nil
}

func plural(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %s", n, many)
}
