package pipeline

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime"
	"slices"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"rootwatch/classify"
	"rootwatch/classify/plain"
	"rootwatch/pipeline/envelope"
)

// Config says how a pipeline is built; the zero value of a field means its default.
type Config struct {
	// Sinks take each finding in this order, before it is written down and counted. At least one: a
	// root call that is only counted cannot be followed up.
	Sinks []Sink
	// Ledger remembers which calls were finished. Default: a [MemoryLedger] of DedupSize.
	Ledger Ledger
	// Copy, if set, is called with each copy that changes nothing, which the pipeline counts and
	// shows to no sink.
	Copy func(*Finding)
	// Account, if set, looks up what is known about an account besides its id. It is called by one
	// goroutine.
	Account func(id string) Account
	// Expects, if set, is asked about each unexplained call, and names the entry of a policy that
	// expects it, "" if none does. Such a call is [classify.Expected]: it is told, written down and
	// counted, and never pages. It is called by one goroutine.
	Expects func(*classify.Event, *classify.Finding) (entry string)
	// DryRun leaves every verdict as it was judged, and only tells which entry would expect a call
	// ([Finding.DryRun]).
	DryRun bool
	// Labelled, if set, is called once with each account that gets a label value of its own.
	Labelled func(accountID string)
	// InOrder is for a ledger that answers at once: calls go to sinks and ledger one after the
	// other, in the order in which they come. Otherwise accounts take turns, and many calls are
	// recorded at a time.
	InOrder bool
	// PageAfter is how long a root call waits for the sinks and the ledger before it is shown in
	// the series that pages without them. Default 10 s.
	PageAfter time.Duration
	// DedupSize is how many root calls the default ledger remembers. Default 100,000.
	DedupSize int
	// TrustedSources are values of an EventBridge envelope's `source`, besides AWS's own, whose
	// CloudTrail events are believed: those of an organisation that republishes them.
	TrustedSources []string
	// HeartbeatRegions are the regions that are expected to report; see
	// rootwatch_last_heartbeat_timestamp_seconds.
	HeartbeatRegions []string
	// MaxAccounts is how many accounts get label values of their own. Default 5,000.
	MaxAccounts int
	// MaxExpanded is how many bytes a gzipped record may expand to. Default 32 MiB: a payload of
	// CloudWatch Logs is 1 MB at most, and the text of CloudTrail's events compresses to a tenth or
	// so.
	MaxExpanded int
	// MaxEvents is how many events one record may hold. Default 100,000.
	MaxEvents int
	// DecodeWorkers is how many batches are decoded at once. Default GOMAXPROCS.
	DecodeWorkers int
	// Registerer is where the metrics go. nil: they are kept and shown nowhere.
	Registerer prometheus.Registerer
	// Logger takes the pipeline's own messages (undecodable records, foreign sources, retries);
	// findings go to the sinks. Default slog.Default.
	Logger *slog.Logger
	// Now is the clock. Default time.Now.
	Now func() time.Time
}

func (c *Config) setDefaults() {
	orDefault(&c.DedupSize, 100_000)
	orDefault(&c.MaxAccounts, 5_000)
	orDefault(&c.MaxExpanded, 32<<20)
	orDefault(&c.MaxEvents, 100_000)
	orDefault(&c.DecodeWorkers, runtime.GOMAXPROCS(0))
	if c.PageAfter == 0 {
		c.PageAfter = defaultPageAfter
	}
	if c.Logger == nil {
		c.Logger = slog.Default()
	}
	if c.Now == nil {
		c.Now = time.Now
	}
}

func orDefault(n *int, value int) {
	if *n == 0 {
		*n = value
	}
}

func (c *Config) check() error {
	if len(c.Sinks) == 0 || slices.Contains(c.Sinks, nil) {
		return errors.New("configure pipeline: no sink is set, root calls would be counted and shown to nobody")
	}
	for _, n := range []struct {
		name  string
		value int
	}{
		{"DedupSize", c.DedupSize}, {"MaxAccounts", c.MaxAccounts}, {"MaxExpanded", c.MaxExpanded},
		{"MaxEvents", c.MaxEvents}, {"DecodeWorkers", c.DecodeWorkers},
	} {
		if n.value < 0 {
			return fmt.Errorf("configure pipeline: %s is %d, must be positive (0 for the default)", n.name, n.value)
		}
	}
	if c.PageAfter < 0 {
		return fmt.Errorf("configure pipeline: PageAfter is %s, must be positive (0 for the default)", c.PageAfter)
	}
	if slices.Contains(c.TrustedSources, "") {
		return errors.New("configure pipeline: a trusted source is empty; name the value of the envelope's \"source\"")
	}
	for _, r := range c.HeartbeatRegions {
		if !classify.IsRegion(r) {
			return fmt.Errorf("configure pipeline: heartbeat region %q is not a region's name (such as eu-west-1)", r)
		}
	}
	return nil
}

// Pipeline is a configured pipeline. It may be run once after another, not twice at a time.
type Pipeline struct {
	decode   *decoder
	filter   *rootFilter
	classify *classifier
	emit     *emitter
	workers  int
}

// New checks the configuration and registers the metrics. Nothing runs before [Pipeline.Run].
func New(cfg Config) (*Pipeline, error) {
	if err := cfg.check(); err != nil {
		return nil, err
	}
	cfg.setDefaults()
	ages := newAges()
	m := newMetrics(cfg.MaxAccounts, cfg.Now, ages)
	m.labelled = cfg.Labelled
	for _, r := range cfg.HeartbeatRegions {
		m.heartbeat(r, cfg.Now())
	}
	if cfg.Registerer != nil {
		if err := m.register(cfg.Registerer); err != nil {
			return nil, fmt.Errorf("register the pipeline's metrics: %w", err)
		}
	}
	ledger := cfg.Ledger
	if ledger == nil {
		var err error
		if ledger, err = NewMemoryLedger(cfg.DedupSize); err != nil {
			return nil, err
		}
	}
	return &Pipeline{
		decode:   newDecoder(&cfg),
		filter:   &rootFilter{log: cfg.Logger},
		classify: &classifier{log: cfg.Logger, account: cfg.Account, expects: cfg.Expects, dryRun: cfg.DryRun},
		emit: &emitter{
			sinks: cfg.Sinks, ledger: ledger, metrics: m, log: cfg.Logger, now: cfg.Now, onCopy: cfg.Copy,
			inOrder: cfg.InOrder, pageAfter: cfg.PageAfter, ages: ages, waits: newWaits(),
		},
		workers: cfg.DecodeWorkers,
	}, nil
}

func newDecoder(cfg *Config) *decoder {
	return &decoder{
		cfg: envelope.Config{TrustedSources: cfg.TrustedSources, MaxExpanded: cfg.MaxExpanded, MaxEvents: cfg.MaxEvents},
		log: cfg.Logger,
	}
}

// Raise brings the series that pages up to a call that another task has counted, or this one before
// it was started again: a ledger remembers them. It never goes back, and may be called at any time.
// A moment in the future is refused: the series would stand there, and the calls until then would
// page nobody.
func (p *Pipeline) Raise(accountID string, severity classify.Severity, counted time.Time) {
	if now := p.emit.now(); counted.After(now.Add(maxAhead)) {
		p.emit.log.Error("a root call was counted in the future and is left out of the series that pages: check the clocks of the tasks, and the ledger's item",
			"account_id", plain.Cut(accountID, 128), "severity", severity, "counted", counted, "now", now)
		return
	}
	p.emit.metrics.raise(p.emit.metrics.account(accountID), severity, counted)
}

// Label gives an account a label value of its own, if there is room: a ledger remembers which
// accounts had one before this process was started.
func (p *Pipeline) Label(accountID string) { p.emit.metrics.account(accountID) }

// errStopped is what submit returns after the source's Run has returned.
var errStopped = errors.New("pipeline has stopped: the batch was not taken")

// Run starts the stages, lets src run until it returns, and stops them; its error is src's. When
// ctx ends the source stops reading while the stages go on, so that what is in flight can be
// finished: the source waits for that. What is not done when src returns is cut short, its Done is
// never called. No goroutine is left when Run returns, except when a sink or the log hangs and
// ignores its context: Run's error names that.
func (p *Pipeline) Run(ctx context.Context, src Source) (err error) {
	stagesCtx, stop := context.WithCancel(context.WithoutCancel(ctx))
	var running sync.WaitGroup
	defer func() {
		stop()
		p.emit.ages.clear()
		if !ended(&running, stopTimeout) {
			err = errors.Join(err, errHangs)
		}
	}()

	submitted := p.start(stagesCtx, &running)
	return src.Run(ctx, func(ctx context.Context, b *Batch) error {
		select {
		case <-stagesCtx.Done():
			return errStopped
		default:
		}
		p.emit.ages.add(b)
		select {
		case submitted <- b:
			return nil
		case <-ctx.Done():
			p.emit.ages.remove(b)
			return ctx.Err()
		case <-stagesCtx.Done():
			p.emit.ages.remove(b)
			return errStopped
		}
	})
}

// Oldest is how long the oldest batch has been in the pipeline without being done, 0 without any. A
// source that waits to hand a batch over counts too.
func (p *Pipeline) Oldest() time.Duration { return p.emit.ages.oldest() }

// Stuck is an error if the oldest batch has been in the pipeline for longer than limit. It names
// the sinks or the ledger if one of them has not taken a root call for as long.
func (p *Pipeline) Stuck(limit time.Duration) error {
	age := p.Oldest()
	if age <= limit {
		return nil
	}
	names := map[taker]string{sinks: "the log or another sink", theLedger: string(theLedger)}
	stuck := fmt.Errorf("the oldest batch has been in the pipeline for %s", age.Round(time.Second))
	for _, w := range p.emit.waits.overdue(limit) {
		waited := time.Since(w.since).Round(time.Second)
		if w.err == nil {
			stuck = fmt.Errorf("%w; %s has not answered for %s", stuck, names[w.taker], waited)
			continue
		}
		stuck = fmt.Errorf("%w; %s has not taken a root call for %s: %w", stuck, names[w.taker], waited, w.err)
	}
	return stuck
}

// errHangs is part of Run's error when the stages do not end although nothing is left for them to
// do: a write to a log that nobody reads may block for ever, and the program would never end.
var errHangs = errors.New("a stage of the pipeline does not end: a sink or the log hangs")

// stopTimeout is how long Run waits for its stages to end.
const stopTimeout = 3 * time.Second

// ended waits for goroutines, and reports whether they ended in time.
func ended(running *sync.WaitGroup, timeout time.Duration) bool {
	done := make(chan struct{})
	go func() {
		running.Wait()
		close(done)
	}()
	select {
	case <-done:
		return true
	case <-time.After(timeout):
		return false
	}
}

// start wires the stages. A channel holds one batch, so that a stage can go on while the next is
// busy; decode has as many batches under way as it has workers. All goroutines end with ctx.
func (p *Pipeline) start(ctx context.Context, running *sync.WaitGroup) chan<- *Batch {
	submitted := make(chan *Batch)
	decoded := parallel(ctx, running, p.workers, p.decode, submitted)
	roots := serial(ctx, running, p.filter, decoded)
	judged := serial(ctx, running, p.classify, roots)
	p.emit.start(ctx, running, judged)
	return submitted
}
