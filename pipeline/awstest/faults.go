package awstest

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/http"
	"slices"
	"sync"
	"time"

	"rootwatch/pipeline/awstest/wire"
)

// Effect is what a fault does to a call.
type Effect string

// The effects. A call that several faults match suffers all the slow ones, one after the other, and
// the first of the others; the rest leave it alone, and do not count it.
const (
	// Throttle answers with the operation's own throttling error; of a PutRecords it refuses the
	// records.
	Throttle Effect = "throttle"
	// Fail answers 500, and nothing has happened.
	Fail Effect = "fail"
	// FailAfter answers 500, but the call was carried out.
	FailAfter Effect = "fail-after"
	// Drop cuts the connection, and nothing has happened. (The handler panics with
	// http.ErrAbortHandler, which net/http takes for that; who calls ServeHTTP himself must do the
	// same.)
	Drop Effect = "drop"
	// DropAfter cuts the connection in place of an answer; the call was carried out.
	DropAfter Effect = "drop-after"
	// Slow waits for the fault's Delay and goes on. If the client gives up before, the call is over
	// and nothing has happened. The other effects wait for their fault's Delay in the same way, all
	// but Late.
	Slow Effect = "slow"
	// Late waits for the fault's Delay, carries the call out even if the client has given up
	// meanwhile, and cuts the connection: the write that overtakes its own retry, or arrives when
	// the lease is somebody else's.
	Late Effect = "late"
	// Hang answers nothing until the client gives up or the fault is removed, and then cuts the
	// connection.
	Hang Effect = "hang"
	// ExpireIterator answers GetRecords with ExpiredIteratorException. See also
	// [Service.ExpireIterators].
	ExpireIterator Effect = "expire-iterator"
	// Empty answers GetRecords with no records, a MillisBehindLatest above 0 and a next iterator at
	// the same place. AWS does that when a call has searched a part of the shard that holds
	// nothing, and asks to call again. ListShards gets no shards and no NextToken, which AWS never
	// does: a stream has shards.
	Empty Effect = "empty"
	// Short answers ListShards with the first half of the shards that it should have, rounded down,
	// and without NextToken.
	Short Effect = "short"
	// NoIterator answers GetRecords with the records, but without NextShardIterator and without
	// ChildShards: as if the shard had ended, and it has not.
	NoIterator Effect = "no-iterator"
	// Backwards answers GetRecords with the newest record first.
	Backwards Effect = "backwards"
	// Repeat answers GetRecords with the answer of the call before, byte for byte: the one that
	// gave the caller the iterator it now uses. An answer is remembered while the fault is in
	// force; a call with an iterator from elsewhere is answered as usual.
	Repeat Effect = "repeat"
	// ConditionFails answers a write that has a condition with ConditionalCheckFailedException
	// although the condition may hold, and with the item if the caller asked for it. Nothing has
	// happened. Calls without a condition are not hit.
	ConditionFails Effect = "condition-fails"
	// ConditionFailsBare is ConditionFails without the item, also if the caller asked for it.
	ConditionFailsBare Effect = "condition-fails-bare"
	// NotFound answers ResourceNotFoundException, as if the stream or table had been deleted, and
	// nothing has happened. Calls that make one or list them are not hit.
	NotFound Effect = "not-found"
	// Deny answers AccessDeniedException, and nothing has happened.
	Deny Effect = "deny"
	// Blank answers {} with status 200 in place of what the answer should be. The call was carried
	// out: {} is all that AWS says of a PutItem that went well. Errors are answered as usual.
	Blank Effect = "blank"
	// HTML answers a web page with status 200, as a proxy does, and nothing has happened.
	HTML Effect = "html"
	// Truncated sends the first half of the answer's body as if it were all: Content-Length and
	// checksum are those of the half. The call was carried out.
	Truncated Effect = "truncated"
	// HalfOpen sends the header and the first half of the answer's body, and then nothing more on a
	// connection that stays open until the client gives up or the fault is removed: a peer that
	// vanished. The call was carried out. See Hang for a peer that says nothing at all.
	HalfOpen Effect = "half-open"
	// Stale answers GetItem and Scan without ConsistentRead as if the last write of each item had
	// not happened yet, however long ago it was.
	Stale Effect = "stale"
)

var effects = []Effect{Throttle, Fail, FailAfter, Drop, DropAfter, Slow, Late, Hang, ExpireIterator, Empty, Stale,
	Short, NoIterator, Backwards, Repeat, ConditionFails, ConditionFailsBare, NotFound, Deny, Blank, HTML, Truncated, HalfOpen}

// only says which operations an effect has a meaning for; the others' calls are not hit.
var only = map[Effect][]string{
	ExpireIterator: {"GetRecords"},
	Empty:          {"GetRecords", "ListShards"},
	Stale:          {"GetItem", "Scan"},
	Short:          {"ListShards"},
	NoIterator:     {"GetRecords"},
	Backwards:      {"GetRecords"},
	Repeat:         {"GetRecords"},
}

// Fault says which calls go wrong, and how. Empty fields match everything; so Fault{AccessKeyID:
// "worker-2", Effect: Drop} cuts one worker off.
type Fault struct {
	Service     string // "kinesis" or "dynamodb"
	Operation   string // "GetRecords"
	AccessKeyID string // of the caller's credentials
	Resource    string // a stream's or table's name, also for calls that name it by its ARN
	Shard       string // a shard's id: of its GetShardIterator, GetRecords, puts, splits and merges

	Effect Effect
	Delay  time.Duration // before the effect
	// Count is how many calls the fault hits before it removes itself; 0 is no limit. A throttled
	// put of which only one shard's records are refused counts as one hit, even if none was for
	// that shard.
	Count int
	// Probability is that of a matching call to be hit; 0 is always. The dice are seeded:
	// Options.Seed.
	Probability float64
}

// faultJSON is a Fault over HTTP.
type faultJSON struct {
	Service     string  `json:"service,omitempty"`
	Operation   string  `json:"operation,omitempty"`
	AccessKeyID string  `json:"accessKeyId,omitempty"`
	Resource    string  `json:"resource,omitempty"`
	Shard       string  `json:"shard,omitempty"`
	Effect      Effect  `json:"effect"`
	Delay       string  `json:"delay,omitempty"` // "250ms"
	Count       int     `json:"count,omitempty"`
	Probability float64 `json:"probability,omitempty"`
}

// MarshalJSON writes the form that the admin endpoint takes.
func (f Fault) MarshalJSON() ([]byte, error) {
	j := faultJSON{Service: f.Service, Operation: f.Operation, AccessKeyID: f.AccessKeyID, Resource: f.Resource, Shard: f.Shard, Effect: f.Effect, Count: f.Count, Probability: f.Probability}
	if f.Delay != 0 {
		j.Delay = f.Delay.String()
	}
	return json.Marshal(j)
}

// UnmarshalJSON reads what MarshalJSON writes.
func (f *Fault) UnmarshalJSON(b []byte) error {
	var j faultJSON
	dec := json.NewDecoder(bytes.NewReader(b))
	dec.DisallowUnknownFields() // a misspelt restriction would be none: the fault would hit everything
	if err := dec.Decode(&j); err != nil {
		return err
	}
	*f = Fault{Service: j.Service, Operation: j.Operation, AccessKeyID: j.AccessKeyID, Resource: j.Resource, Shard: j.Shard, Effect: j.Effect, Count: j.Count, Probability: j.Probability}
	if j.Delay == "" {
		return nil
	}
	var err error
	if f.Delay, err = time.ParseDuration(j.Delay); err != nil {
		return fmt.Errorf("fault's delay: %w", err)
	}
	return nil
}

func (f *Fault) check() error {
	switch {
	case !slices.Contains(effects, f.Effect):
		return fmt.Errorf("fault's effect %q is none of %q", f.Effect, effects)
	case f.Service != "" && f.Service != kinesisProtocol.service && f.Service != dynamodbProtocol.service:
		return fmt.Errorf("fault's service %q is neither %s nor %s", f.Service, kinesisProtocol.service, dynamodbProtocol.service)
	case f.Probability < 0 || f.Probability > 1:
		return fmt.Errorf("fault's probability %v is not between 0 and 1", f.Probability)
	case f.Count < 0 || f.Delay < 0:
		return fmt.Errorf("fault's count %d or delay %s is negative", f.Count, f.Delay)
	}
	return nil
}

// Injection is a fault in force.
type Injection struct {
	fault   Fault
	set     *faultSet
	id      uint64
	removed chan struct{}         // closed when it is no longer in force
	hits    int                   // guarded by set.mu
	last    map[reader]remembered // answers to repeat; guarded by set.mu
}

// faultSet is the faults in force, in the order in which they were injected.
type faultSet struct {
	mu     sync.Mutex
	all    []*Injection
	lastID uint64
	dice   *rand.Rand
}

func (fs *faultSet) inject(f Fault) (*Injection, error) {
	if err := f.check(); err != nil {
		return nil, err
	}
	fs.mu.Lock()
	defer fs.mu.Unlock()
	fs.lastID++
	in := &Injection{fault: f, set: fs, id: fs.lastID, removed: make(chan struct{})}
	fs.all = append(fs.all, in)
	return in, nil
}

func (fs *faultSet) list() []*Injection {
	fs.mu.Lock()
	defer fs.mu.Unlock()
	return slices.Clone(fs.all)
}

// Remove ends the fault, and lets go what hangs in it. Removing twice does nothing.
func (in *Injection) Remove() {
	in.set.mu.Lock()
	defer in.set.mu.Unlock()
	in.set.remove(in)
}

func (fs *faultSet) remove(in *Injection) {
	if i := slices.Index(fs.all, in); i >= 0 {
		fs.all = slices.Delete(slices.Clone(fs.all), i, i+1)
		close(in.removed)
	}
}

// removeID is Remove by id. It reports false if that was never a fault's.
func (fs *faultSet) removeID(id uint64) bool {
	fs.mu.Lock()
	defer fs.mu.Unlock()
	if i := slices.IndexFunc(fs.all, func(in *Injection) bool { return in.id == id }); i >= 0 {
		fs.remove(fs.all[i])
	}
	return 0 < id && id <= fs.lastID
}

// Hits is how many calls the fault has hit.
func (in *Injection) Hits() int {
	in.set.mu.Lock()
	defer in.set.mu.Unlock()
	return in.hits
}

// match gives the faults that a call suffers, and counts them: every slow one and the first of the
// others. Those behind that one are neither counted nor used up.
func (fs *faultSet) match(r *request) []*Injection {
	fs.mu.Lock()
	defer fs.mu.Unlock()
	var hit []*Injection
	decided := false
	for _, in := range slices.Clone(fs.all) {
		if decided && in.fault.Effect != Slow || in.usedUp() || !in.fault.matches(r) || in.fault.Probability > 0 && fs.dice.Float64() >= in.fault.Probability {
			continue
		}
		hit = append(hit, in)
		decided = decided || in.fault.Effect != Slow
		in.hits++
		if in.usedUp() && in.fault.Effect != Hang { // what hangs is let go by Remove alone
			fs.remove(in)
		}
	}
	return hit
}

func (in *Injection) usedUp() bool { return in.fault.Count > 0 && in.hits >= in.fault.Count }

func (f *Fault) matches(r *request) bool {
	if f.Service != "" && f.Service != r.protocol.service || f.Operation != "" && f.Operation != r.Operation ||
		f.AccessKeyID != "" && f.AccessKeyID != r.accessKeyID {
		return false
	}
	if operations, limited := only[f.Effect]; limited && !slices.Contains(operations, r.Operation) {
		return false
	}
	switch f.Effect {
	case Stale:
		if r.subject().Consistent {
			return false
		}
	case ConditionFails, ConditionFailsBare:
		if !r.subject().Conditional {
			return false
		}
	case NotFound:
		if slices.Contains([]string{"CreateStream", "ListStreams", "CreateTable", "ListTables"}, r.Operation) {
			return false
		}
	}
	if f.Resource == "" && f.Shard == "" {
		return true
	}
	about := r.subject()
	if f.Resource != "" && !slices.Contains(about.Names, f.Resource) {
		return false
	}
	return f.Shard == "" || slices.Contains(about.Shards, f.Shard) || f.Effect == Throttle && r.isPut()
}

func (r *request) isPut() bool {
	return r.protocol == kinesisProtocol && (r.Operation == "PutRecord" || r.Operation == "PutRecords")
}

// cut ends the connection without an answer: that is what net/http does with this panic.
func cut() { panic(http.ErrAbortHandler) }

// answer has a call carried out, or not, as the faults in force say. running ends with the server.
func (fs *faultSet) answer(r *request, running context.Context) (any, error) {
	var effect Effect
	var in *Injection
	for _, hit := range fs.match(r) {
		ctx := r.ctx
		if hit.fault.Effect == Late {
			ctx = running // what is late is on its way, whatever becomes of its client
		}
		if !wait(ctx, hit.fault.Delay, hit.removed, hit.fault.Count > 0) {
			cut()
		}
		if hit.fault.Effect != Slow {
			effect, in = hit.fault.Effect, hit
		}
	}
	if out, err, refused := r.refuse(in, effect); refused {
		return out, err
	}
	r.direct(effect)
	out, err := r.backend.Answer(&r.Request)
	fs.remember(r, out)
	return r.spoil(out, err, in, effect)
}

// refuse is the answer of a call that is not carried out.
func (r *request) refuse(in *Injection, effect Effect) (out any, err error, refused bool) {
	switch effect {
	case Throttle:
		if !r.isPut() {
			return nil, r.backend.Throttled(r.Operation), true
		}
		r.Refuse = func(shard string) bool { return in.fault.Shard == "" || in.fault.Shard == shard }
	case Fail:
		return nil, r.protocol.fail(), true
	case Drop:
		cut()
	case Hang:
		r.hang(in)
	case ExpireIterator:
		return nil, wire.Errorf("ExpiredIteratorException", "Iterator expired."), true
	case NotFound:
		return nil, wire.Errorf("ResourceNotFoundException", "Requested resource not found"), true
	case Deny:
		return nil, wire.Errorf("AccessDeniedException", "User is not authorized to perform: %s", r.action()), true
	case HTML:
		return webPage, nil, true
	case Repeat:
		if before := in.before(r); before != nil {
			return before, nil, true
		}
	}
	return nil, nil, false
}

// discard gives an answer's buffer back that nobody will get.
func discard(out any) {
	if b, ok := out.(*wire.Body); ok {
		b.Release()
	}
}

// wait sleeps unless the client goes away or, if the fault is not one that removes itself, it is
// removed.
func wait(ctx context.Context, d time.Duration, removed <-chan struct{}, counted bool) bool {
	if d == 0 {
		return true
	}
	if counted {
		removed = nil
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-removed:
		return true
	case <-ctx.Done():
		return false
	}
}
