// Package reload keeps a configuration file in memory and reads it again when it changes. A new
// file that is broken leaves the old one in force: it is logged, and a metric tells.
package reload

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

const (
	// every is how often the file is looked at.
	every = 3 * time.Second
	// racy is for how long after a change a file's time does not tell of another: some file systems
	// know seconds alone.
	racy = 10 * time.Second
)

// Config is what a file needs.
type Config[T any] struct {
	Name       string // the value of the metrics' label: what the file is
	Path       string
	MaxSize    int64
	Parse      func([]byte) (T, error)
	Describe   func(T) string // what was read, for the log: "3 entries"
	Registerer prometheus.Registerer
	Logger     *slog.Logger
}

// File is a file that is read.
type File[T any] struct {
	cfg     Config[T]
	current atomic.Pointer[T]

	// What follows belongs to Run.
	seen    fs.FileInfo // when it was last read, nil if it could not be
	read    time.Time
	known   string // the fingerprint of what was last taken or refused
	pending string // of what is taken once it stands still: a file that is being written is seen in parts

	successful prometheus.Gauge
	newest     prometheus.Gauge
}

// Open reads the file for the first time, and registers the metrics. What is wrong with the file is
// an error.
func Open[T any](cfg Config[T]) (*File[T], error) {
	labels := prometheus.Labels{"file": cfg.Name}
	f := &File[T]{
		cfg: cfg,
		successful: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "rootwatch_config_last_reload_successful", ConstLabels: labels,
			Help: "Whether the last attempt to read a configuration file was successful; otherwise the one before it is in force.",
		}),
		newest: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "rootwatch_config_last_reload_success_timestamp_seconds", ConstLabels: labels,
			Help: "When the configuration file that is in force was read, Unix time.",
		}),
	}
	data, err := f.load()
	if err != nil {
		return nil, err
	}
	f.known = fingerprint(data, nil)
	v, err := cfg.Parse(data)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", cfg.Path, err)
	}
	f.take(v)
	for _, c := range []prometheus.Collector{f.successful, f.newest} {
		if err := cfg.Registerer.Register(c); err != nil {
			return nil, fmt.Errorf("register the metrics of %s: %w", cfg.Path, err)
		}
	}
	return f, nil
}

// Current is what the file in force says.
func (f *File[T]) Current() T { return *f.current.Load() }

// Run reads the file again when it changes, and whenever now tells to, until ctx ends.
func (f *File[T]) Run(ctx context.Context, now <-chan struct{}) {
	ticker := time.NewTicker(every)
	defer ticker.Stop()
	for {
		select {
		case <-ticker.C:
			if f.changed() {
				f.look(false)
			}
		case <-now:
			f.look(true)
		case <-ctx.Done():
			return
		}
	}
}

// changed reports whether the file may be another than the one that was last read.
func (f *File[T]) changed() bool {
	info, err := os.Stat(f.cfg.Path)
	return err != nil || f.seen == nil || f.pending != "" || !os.SameFile(info, f.seen) || info.Size() != f.seen.Size() ||
		!info.ModTime().Equal(f.seen.ModTime()) || f.read.Sub(info.ModTime()) < racy
}

// look reads the file, and takes it if it is new and has stood still since the last look, or at
// once.
func (f *File[T]) look(atOnce bool) {
	data, err := f.load()
	sum := fingerprint(data, err)
	switch {
	case atOnce:
	case sum == f.known:
		f.pending = ""
		return
	case sum != f.pending:
		f.pending = sum
		return
	}
	f.known, f.pending = sum, ""
	var v T
	if err == nil {
		if v, err = f.cfg.Parse(data); err != nil {
			err = fmt.Errorf("%s: %w", f.cfg.Path, err)
		}
	}
	if err != nil {
		f.successful.Set(0)
		f.cfg.Logger.Error("a configuration file cannot be used: what was read before stays in force", "file", f.cfg.Name, "path", f.cfg.Path, "err", err)
		return
	}
	f.take(v)
	f.cfg.Logger.Info("a configuration file was read again", "file", f.cfg.Name, "path", f.cfg.Path, "has", f.cfg.Describe(v))
}

func (f *File[T]) take(v T) {
	f.current.Store(&v)
	f.successful.Set(1)
	f.newest.SetToCurrentTime()
}

// load reads the file's bytes.
func (f *File[T]) load() ([]byte, error) {
	f.seen, f.read = nil, time.Now()
	info, err := os.Stat(f.cfg.Path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, fmt.Errorf("%s is not there", f.cfg.Path)
	case err != nil:
		return nil, err
	case !info.Mode().IsRegular(): // a pipe can be read once, and may never be written
		return nil, fmt.Errorf("%s is not a file", f.cfg.Path)
	case info.Size() > f.cfg.MaxSize:
		return nil, fmt.Errorf("%s has %d bytes, more than %d", f.cfg.Path, info.Size(), f.cfg.MaxSize)
	}
	file, err := os.Open(f.cfg.Path)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	data, err := io.ReadAll(io.LimitReader(file, f.cfg.MaxSize+1)) // it may grow meanwhile: the parser refuses what is too large
	if err != nil {
		return nil, err
	}
	f.seen = info
	return data, nil
}

// fingerprint tells one content, or one failure, from another.
func fingerprint(data []byte, err error) string {
	if err != nil {
		return "error: " + err.Error()
	}
	sum := sha256.Sum256(data)
	return string(sum[:])
}
