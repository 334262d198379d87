// Package streams is the in-process Kinesis: streams, shards and their records, iterators,
// resharding, retention and the rates of a shard. It knows no HTTP and no faults beyond those in a
// [wire.Request].
package streams

import (
	"fmt"
	"regexp"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"rootwatch/pipeline/awstest/wire"
)

// Options are those of awstest.Options that Kinesis has a use for; all are set.
type Options struct {
	Clock             func() time.Time
	IteratorLifetime  time.Duration
	CreateDuration    time.Duration
	UpdateDuration    time.Duration
	Limits            bool
	TrimmedIterators  bool
	MaxStreamBytes    int64
	AccountID, Region string
}

// Service is a Kinesis in memory. Safe for concurrent use.
type Service struct {
	opts Options

	mu     sync.Mutex // guards byName, not the streams; taken before a stream's
	byName map[string]*stream

	iterators atomic.Uint64 // generation of shard iterators: one more makes all older ones expire
	ids       atomic.Uint64 // of streams
}

// New gives a Kinesis without streams.
func New(opts Options) *Service {
	return &Service{opts: opts, byName: map[string]*stream{}}
}

var streamNamePattern = regexp.MustCompile(`^[a-zA-Z0-9_.-]{1,128}$`)

func (s *Service) streamARN(name string) string {
	return "arn:aws:kinesis:" + s.opts.Region + ":" + s.opts.AccountID + ":stream/" + name
}

func (s *Service) streamNotFound(name string) *wire.Error {
	return wire.Errorf("ResourceNotFoundException", "Stream %s under account %s not found.", name, s.opts.AccountID)
}

// streamName is the name that a request means by its StreamName, its StreamARN or both.
func (s *Service) streamName(name, arn string) (string, error) {
	if arn == "" {
		if name == "" {
			return "", wire.Errorf("InvalidArgumentException", "Either StreamName or StreamARN must be specified.")
		}
		if !streamNamePattern.MatchString(name) {
			return "", wire.Invalid("1 validation error detected: Value '%s' at 'streamName' failed to satisfy constraint: Member must satisfy regular expression pattern: [a-zA-Z0-9_.-]+", name)
		}
		return name, nil
	}
	parts := strings.SplitN(arn, ":", 6)
	if len(parts) != 6 || parts[2] != "kinesis" || !strings.HasPrefix(parts[5], "stream/") {
		return "", wire.Invalid("1 validation error detected: Value '%s' at 'streamARN' failed to satisfy constraint: Member must satisfy regular expression pattern: arn:aws.*:kinesis:.*:\\d{12}:stream/\\S+", arn)
	}
	fromARN := strings.TrimPrefix(parts[5], "stream/")
	if name != "" && name != fromARN {
		return "", wire.Errorf("InvalidArgumentException", "StreamName %s and StreamARN %s do not name the same stream.", name, arn)
	}
	if parts[3] != s.opts.Region || parts[4] != s.opts.AccountID {
		return "", wire.Errorf("ResourceNotFoundException", "Stream %s under account %s not found.", fromARN, parts[4])
	}
	return fromARN, nil
}

// lockStream finds a stream in whatever status, settled. The caller unlocks it.
func (s *Service) lockStream(name, arn string) (*stream, time.Time, error) {
	name, err := s.streamName(name, arn)
	if err != nil {
		return nil, time.Time{}, err
	}
	now := s.opts.Clock()
	s.mu.Lock()
	st := s.byName[name]
	s.mu.Unlock()
	if st == nil {
		return nil, now, s.streamNotFound(name)
	}
	st.mu.Lock()
	if !st.deletedAt.IsZero() && !now.Before(st.deletedAt) {
		st.mu.Unlock()
		s.forget(st)
		return nil, now, s.streamNotFound(name)
	}
	st.settle(now)
	return st, now, nil
}

// forget takes a deleted stream out, unless another of its name has taken its place.
func (s *Service) forget(st *stream) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.byName[st.name] == st {
		delete(s.byName, st.name)
	}
}

// activeStream is lockStream for calls that AWS allows on an ACTIVE stream only.
func (s *Service) activeStream(name, arn string) (*stream, time.Time, error) {
	st, now, err := s.lockStream(name, arn)
	if err != nil {
		return nil, now, err
	}
	if status := st.status(now); status != "ACTIVE" {
		st.mu.Unlock()
		return nil, now, wire.Errorf("ResourceInUseException", "Stream %s under account %s not ACTIVE, instead in state %s", st.name, s.opts.AccountID, status)
	}
	return st, now, nil
}

// servingStream is lockStream for putting and reading records: while a stream is CREATING or
// DELETING there is nothing to be found.
func (s *Service) servingStream(name, arn string) (*stream, time.Time, error) {
	st, now, err := s.lockStream(name, arn)
	if err != nil {
		return nil, now, err
	}
	if status := st.status(now); status != "ACTIVE" && status != "UPDATING" {
		st.mu.Unlock()
		return nil, now, s.streamNotFound(st.name)
	}
	return st, now, nil
}

// later does f at once, or when the stream's UPDATING has ended.
func (s *Service) later(st *stream, now time.Time, f func(now time.Time)) {
	if s.opts.UpdateDuration == 0 {
		f(now)
		return
	}
	st.pending, st.pendingAt = f, now.Add(s.opts.UpdateDuration)
}

const throttled = "ProvisionedThroughputExceededException"

func (s *Service) rateExceeded(st *stream, sh *shard) string {
	return fmt.Sprintf("Rate exceeded for shard %s in stream %s under account %s.", sh.id, st.name, s.opts.AccountID)
}

// dryRun asks whether a call would be allowed, without making it. This server has no permissions to
// check, and must not make the call instead.
type dryRun struct{ DryRun bool }

func (d dryRun) refuse() error {
	if d.DryRun {
		return wire.Errorf("InvalidArgumentException", "DryRun is not supported by this server")
	}
	return nil
}
