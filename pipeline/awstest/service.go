package awstest

import (
	"context"
	"math/rand/v2"
	"net/http"
	"strings"
	"sync/atomic"
	"time"
)

// Options says how a [Service] behaves. The zero value is a fast one in account 123456789012 and us-east-1
// whose resources are ACTIVE at once and whose rates are not limited.
type Options struct {
	// Clock tells the time: of arrival, of expiry, of the trim horizon. time.Now if nil.
	Clock func() time.Time
	// IteratorLifetime is how long a shard iterator is good for. 5 minutes if 0, as AWS says.
	IteratorLifetime time.Duration
	// CreateDuration is how long a stream or table is CREATING, and DELETING.
	CreateDuration time.Duration
	// UpdateDuration is how long a stream is UPDATING before a split, a merge, a new shard count or a new
	// retention takes effect.
	UpdateDuration time.Duration
	// Limits switches AWS's rates on: of a shard 5 GetRecords and 2 MB a second read, 1,000 records or 1 MB a
	// second written; of a stream 10 calls of UpdateShardCount in 24 hours.
	Limits bool
	// TrimmedIterators lets GetShardIterator take AFTER_SEQUENCE_NUMBER with the number of a record that has
	// been trimmed, which is an InvalidArgumentException otherwise. Consumers of AWS's Kinesis have reported it
	// (harlow/kinesis-consumer#125): the answers are empty at first, with another iterator each and the whole
	// retention in MillisBehindLatest. Here two are, then come the records from the trim horizon on.
	TrimmedIterators bool
	// MaxStreamBytes bounds the memory that one stream takes; 0 is no bound. The oldest records of the
	// largest shard are trimmed first, as if their retention had passed.
	MaxStreamBytes int64
	// AccountID and Region are part of every ARN. "123456789012" and "us-east-1" if empty.
	AccountID string
	Region    string
	// Admin opens /_rootwatch/ to [Admin]: faults and recorded calls, for a server in another process.
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

// Service is a Kinesis and a DynamoDB in memory, behind one http.Handler. It has no goroutines of its own:
// what takes time (creation, resharding, expiry) has happened when somebody looks. Safe for concurrent use.
type Service struct {
	opts    Options
	streams streamSet
	tables  tableSet

	faults faultSet
	calls  callLog
	admin  http.Handler // nil unless Options.Admin

	iterators atomic.Uint64 // generation of shard iterators: one more makes all older ones expire
	ids       atomic.Uint64 // of requests and of streams

	running context.Context // done when the Server on top of it closes: nothing may wait longer
	stop    context.CancelFunc
}

// New gives a service without streams and tables.
func New(opts Options) *Service {
	s := &Service{opts: opts.withDefaults()}
	s.running, s.stop = context.WithCancel(context.Background())
	s.streams.byName = map[string]*stream{}
	s.tables.byName = map[string]*table{}
	s.faults.dice = rand.New(rand.NewPCG(opts.Seed, 0))
	if opts.Admin {
		s.admin = s.adminMux()
	}
	return s
}

// request is one call on its way through the service.
type request struct {
	ctx         context.Context
	target      target
	accessKeyID string
	body        []byte
	aimed       *aim              // see aim
	refuse      func(*shard) bool // shards that a fault throttles puts to
	empty       bool              // a fault lets GetRecords find nothing
	stale       bool              // a fault shows reads that need not be consistent what was there before
}

// target is what the X-Amz-Target header names.
type target struct {
	service   string // kinesis or dynamodb
	operation string
}

// action is the name that IAM policies use: kinesis:GetRecords.
func (t target) action() string { return t.service + ":" + t.operation }

const (
	kinesisService  = "kinesis"
	dynamodbService = "dynamodb"
)

// operation answers one call. What it returns is encoded as JSON, unless it is a *body already.
type operation func(s *Service, r *request) (any, error)

var operations = map[target]operation{}

// register fills operations; every file that has some calls it in its init.
func register(service string, ops map[string]operation) {
	for name, op := range ops {
		operations[target{service, name}] = op
	}
}

// typed makes an operation of a function that takes a decoded request.
func typed[In any](f func(s *Service, r *request, in *In) (any, error)) operation {
	return func(s *Service, r *request) (any, error) {
		in := new(In)
		if err := decode(r, in); err != nil {
			return nil, err
		}
		return f(s, r, in)
	}
}

// ServeHTTP answers the calls of both services; which one is asked stands in the X-Amz-Target header.
func (s *Service) ServeHTTP(w http.ResponseWriter, hr *http.Request) {
	if s.admin != nil && strings.HasPrefix(hr.URL.Path, adminPath) {
		s.admin.ServeHTTP(w, hr)
		return
	}
	r := &request{ctx: hr.Context(), accessKeyID: accessKeyID(hr)}
	var ok bool
	if r.target, ok = parseTarget(hr.Header.Get("X-Amz-Target")); !ok || hr.Method != http.MethodPost {
		s.writeError(w, r, errorf("UnknownOperationException", "no known service in X-Amz-Target %q", hr.Header.Get("X-Amz-Target")))
		return
	}
	buf := takeBody()
	defer buf.release()
	if err := buf.read(hr); err != nil {
		s.writeError(w, r, err)
		return
	}
	r.body = buf.b
	s.calls.record(Call{r.target.action(), r.accessKeyID})
	out, err := s.answerWithFaults(r)
	if err != nil {
		s.writeError(w, r, err)
		return
	}
	s.write(w, r, out)
}

func (s *Service) answer(r *request) (any, error) {
	op := operations[r.target]
	if op == nil {
		return nil, errorf("UnknownOperationException", "%s is not an operation of this server", r.target.action())
	}
	return op(s, r)
}

func parseTarget(header string) (target, bool) {
	version, operation, _ := strings.Cut(header, ".")
	switch version {
	case "Kinesis_20131202":
		return target{kinesisService, operation}, true
	case "DynamoDB_20120810":
		return target{dynamodbService, operation}, true
	}
	return target{}, false
}

// accessKeyID is the identity of the caller. The signature itself is not checked: this is a test server.
func accessKeyID(r *http.Request) string {
	_, rest, ok := strings.Cut(r.Header.Get("Authorization"), "Credential=")
	if !ok {
		return ""
	}
	id, _, _ := strings.Cut(rest, "/")
	return id
}

func (s *Service) now() time.Time { return s.opts.Clock() }
