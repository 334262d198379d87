package awstest

import (
	"context"
	"net/http"
	"strings"
	"sync/atomic"

	"rootwatch/pipeline/awstest/streams"
	"rootwatch/pipeline/awstest/tables"
	"rootwatch/pipeline/awstest/wire"
)

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

// ExpireIterators makes all shard iterators that were given out so far answer
// ExpiredIteratorException.
func (s *Service) ExpireIterators() { s.streams.ExpireIterators() }

// Trim makes the service forget all records that a stream holds now, as if their retention had
// passed; what is put later is kept. It fails if there is no such stream.
func (s *Service) Trim(streamName string) error { return s.streams.Trim(streamName) }

// ServeHTTP answers the calls of both services; which one is asked stands in the X-Amz-Target
// header.
func (s *Service) ServeHTTP(w http.ResponseWriter, hr *http.Request) {
	if s.admin != nil && strings.HasPrefix(hr.URL.Path, adminPath) {
		s.admin.ServeHTTP(w, hr)
		return
	}
	r := &request{ctx: hr.Context(), id: s.requests.Add(1), accessKeyID: accessKeyID(hr)}
	header := hr.Header.Get("X-Amz-Target")
	if s.route(r, header); r.backend == nil || hr.Method != http.MethodPost {
		writeError(w, r, wire.Errorf("UnknownOperationException", "no known service in X-Amz-Target %q", header))
		return
	}
	buf := wire.TakeBody()
	defer buf.Release()
	if err := readBody(buf, hr); err != nil {
		writeError(w, r, err)
		return
	}
	r.Body = buf.B
	s.calls.record(Call{r.action(), r.accessKeyID})
	out, err := s.faults.answer(r, s.running)
	if err != nil {
		writeError(w, r, err)
		return
	}
	write(w, r, out)
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

// Inject puts a fault in force until its Count is used up or it is removed. It panics if the fault
// makes no sense, like an unknown Effect.
func (s *Service) Inject(f Fault) *Injection {
	in, err := s.faults.inject(f)
	if err != nil {
		panic("awstest: " + err.Error())
	}
	return in
}

// ClearFaults removes all faults.
func (s *Service) ClearFaults() {
	for _, in := range s.faults.list() {
		in.Remove()
	}
}

// Calls says how often each action was called by each access key since the start or the last
// [Service.ResetCalls]: every attempt, also one that failed or met a fault.
func (s *Service) Calls() map[Call]int { return s.calls.all() }

// CallsBy is Calls for one access key.
func (s *Service) CallsBy(accessKeyID string) map[string]int {
	counts := map[string]int{}
	for c, n := range s.Calls() {
		if c.AccessKeyID == accessKeyID {
			counts[c.Action] = n
		}
	}
	return counts
}

// ResetCalls starts counting anew.
func (s *Service) ResetCalls() { s.calls.reset() }
