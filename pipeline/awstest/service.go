package awstest

import (
	"context"
	"math/rand/v2"
	"net/http"
	"strings"
	"sync/atomic"
	"time"

	"rootwatch/pipeline/awstest/streams"
	"rootwatch/pipeline/awstest/tables"
	"rootwatch/pipeline/awstest/wire"
)

// Options says how a [Service] behaves. The zero value is a fast one in account 123456789012 and
// us-east-1 whose resources are ACTIVE at once and whose rates are not limited.
type Options struct {
	// Clock tells the time: of arrival, of expiry, of the trim horizon. time.Now if nil.
	Clock func() time.Time
	// IteratorLifetime is how long a shard iterator is good for. 5 minutes if 0, as AWS says.
	IteratorLifetime time.Duration
	// CreateDuration is how long a stream or table is CREATING, and DELETING.
	CreateDuration time.Duration
	// UpdateDuration is how long a stream is UPDATING before a split, a merge, a new shard count or
	// a new retention takes effect.
	UpdateDuration time.Duration
	// Limits switches AWS's rates on: of a shard 5 GetRecords and 2 MB a second read, 1,000 records
	// or 1 MB a second written; of a stream 10 calls of UpdateShardCount in 24 hours.
	Limits bool
	// TrimmedIterators lets GetShardIterator take AFTER_SEQUENCE_NUMBER with the number of a record
	// that has been trimmed, which is an InvalidArgumentException otherwise. Consumers of AWS's
	// Kinesis have reported it (harlow/kinesis-consumer#125): the answers are empty at first, with
	// another iterator each and the whole retention in MillisBehindLatest. Here two are, then come
	// the records from the trim horizon on.
	TrimmedIterators bool
	// MaxStreamBytes bounds the memory that one stream takes; 0 is no bound. The oldest records of
	// the largest shard are trimmed first, as if their retention had passed.
	MaxStreamBytes int64
	// AccountID and Region are part of every ARN. "123456789012" and "us-east-1" if empty.
	AccountID string
	Region    string
	// Admin opens /_rootwatch/ to [Admin]: faults and recorded calls, for a server in another
	// process.
	Admin bool
	// Seed is that of the dice for faults with a Probability.
	Seed uint64
}

func (o Options) withDefaults() Options {
	if o.Clock == nil {
		o.Clock = time.Now
	}
	if o.IteratorLifetime == 0 {
		o.IteratorLifetime = 5 * time.Minute
	}
	if o.AccountID == "" {
		o.AccountID = "123456789012"
	}
	if o.Region == "" {
		o.Region = "us-east-1"
	}
	return o
}

// Service is a Kinesis and a DynamoDB in memory, behind one http.Handler. It has no goroutines of
// its own: what takes time (creation, resharding, expiry) has happened when somebody looks. Safe
// for concurrent use.
type Service struct {
	opts    Options
	streams *streams.Service
	tables  *tables.Service

	faults   faultSet
	calls    callLog
	admin    http.Handler  // nil unless Options.Admin
	requests atomic.Uint64 // for their ids

	running context.Context // done when the Server on top of it closes: nothing may wait longer
	stop    context.CancelFunc
}

// New gives a service without streams and tables.
func New(opts Options) *Service {
	opts = opts.withDefaults()
	s := &Service{
		opts: opts,
		streams: streams.New(streams.Options{
			Clock: opts.Clock, IteratorLifetime: opts.IteratorLifetime, CreateDuration: opts.CreateDuration, UpdateDuration: opts.UpdateDuration,
			Limits: opts.Limits, TrimmedIterators: opts.TrimmedIterators, MaxStreamBytes: opts.MaxStreamBytes, AccountID: opts.AccountID, Region: opts.Region,
		}),
		tables: tables.New(tables.Options{Clock: opts.Clock, CreateDuration: opts.CreateDuration, AccountID: opts.AccountID, Region: opts.Region}),
	}
	s.running, s.stop = context.WithCancel(context.Background())
	s.faults.dice = rand.New(rand.NewPCG(opts.Seed, 0))
	if opts.Admin {
		s.admin = s.adminMux()
	}
	return s
}

// ExpireIterators makes all shard iterators that were given out so far answer
// ExpiredIteratorException.
func (s *Service) ExpireIterators() { s.streams.ExpireIterators() }

// Trim makes the service forget all records that a stream holds now, as if their retention had
// passed; what is put later is kept. It fails if there is no such stream.
func (s *Service) Trim(streamName string) error { return s.streams.Trim(streamName) }

// request is one call on its way through the service.
type request struct {
	wire.Request
	ctx         context.Context
	accessKeyID string
	protocol    *protocol
	backend     backend
	about       *wire.Subject // what the call is about, once somebody has asked
}

// action is the name that IAM policies use: kinesis:GetRecords.
func (r *request) action() string { return r.protocol.service + ":" + r.Operation }

// subject is what the call is about; read only when a fault asks.
func (r *request) subject() wire.Subject {
	if r.about == nil {
		about := r.backend.About(r.Body)
		r.about = &about
	}
	return *r.about
}

// ServeHTTP answers the calls of both services; which one is asked stands in the X-Amz-Target
// header.
func (s *Service) ServeHTTP(w http.ResponseWriter, hr *http.Request) {
	if s.admin != nil && strings.HasPrefix(hr.URL.Path, adminPath) {
		s.admin.ServeHTTP(w, hr)
		return
	}
	r := &request{ctx: hr.Context(), accessKeyID: accessKeyID(hr)}
	header := hr.Header.Get("X-Amz-Target")
	if s.route(r, header); r.backend == nil || hr.Method != http.MethodPost {
		s.writeError(w, r, wire.Errorf("UnknownOperationException", "no known service in X-Amz-Target %q", header))
		return
	}
	buf := wire.TakeBody()
	defer buf.Release()
	if err := readBody(buf, hr); err != nil {
		s.writeError(w, r, err)
		return
	}
	r.Body = buf.B
	s.calls.record(Call{r.action(), r.accessKeyID})
	out, err := s.answerWithFaults(r)
	if err != nil {
		s.writeError(w, r, err)
		return
	}
	s.write(w, r, out)
}

// route finds the service that an X-Amz-Target header names; the backend is nil if there is none.
func (s *Service) route(r *request, header string) {
	version, operation, _ := strings.Cut(header, ".")
	r.Operation, r.protocol = operation, noProtocol
	switch version {
	case kinesisProtocol.version:
		r.protocol, r.backend = kinesisProtocol, s.streams
	case dynamodbProtocol.version:
		r.protocol, r.backend = dynamodbProtocol, s.tables
	}
}

// accessKeyID is the identity of the caller. The signature itself is not checked: this is a test
// server.
func accessKeyID(r *http.Request) string {
	_, rest, ok := strings.Cut(r.Header.Get("Authorization"), "Credential=")
	if !ok {
		return ""
	}
	id, _, _ := strings.Cut(rest, "/")
	return id
}
