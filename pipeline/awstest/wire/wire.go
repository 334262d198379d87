// Package wire is what the in-process Kinesis and DynamoDB have in common: a request as they get
// it, errors with AWS's names, the checks and messages that both protocols use, and buffers for
// large answers.
package wire

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

// Error is an answer that AWS has a name for.
type Error struct {
	Status  int
	Code    string // ResourceNotFoundException
	Message string
	Members map[string]any // what the answer has besides type and message
}

// Error implements error.
func (e *Error) Error() string { return e.Code + ": " + e.Message }

// Errorf is an error with status 400.
func Errorf(code, format string, args ...any) *Error {
	return &Error{Status: http.StatusBadRequest, Code: code, Message: fmt.Sprintf(format, args...)}
}

// Invalid is a ValidationException.
func Invalid(format string, args ...any) *Error {
	return Errorf("ValidationException", format, args...)
}

// Body is a pooled buffer that a request is read into, or an answer is written into.
type Body struct{ B []byte }

var bodies = sync.Pool{New: func() any { return new(Body) }}

// TakeBody gives an empty buffer; Release gives it back.
func TakeBody() *Body {
	b := bodies.Get().(*Body)
	b.B = b.B[:0]
	return b
}

// Release gives the buffer back; nothing may refer to its bytes any more.
func (b *Body) Release() {
	if cap(b.B) <= 16<<20 { // one giant answer must not stay for ever
		bodies.Put(b)
	}
}

// Grow makes room for n more bytes.
func (b *Body) Grow(n int) {
	if cap(b.B)-len(b.B) < n {
		b.B = append(make([]byte, 0, len(b.B)+n), b.B...)
	}
}

// Decode reads a request's JSON. A value of the wrong type is AWS's SerializationException.
func Decode(b []byte, in any) error {
	if len(b) == 0 {
		return nil
	}
	err := json.Unmarshal(b, in)
	var api *Error
	switch {
	case err == nil:
		return nil
	case errors.As(err, &api):
		return api
	}
	return Errorf("SerializationException", "%v", err)
}

// Seconds is a time as both services write it: seconds since 1970 with milliseconds behind the
// point.
type Seconds time.Time

// MarshalJSON writes seconds with three digits behind the point.
func (t Seconds) MarshalJSON() ([]byte, error) {
	return AppendMillis(nil, time.Time(t).UnixMilli()), nil
}

// UnmarshalJSON reads what the SDKs send, with or without a fraction or an exponent.
func (t *Seconds) UnmarshalJSON(b []byte) error {
	f, err := strconv.ParseFloat(strings.TrimSpace(string(b)), 64)
	if err != nil {
		return Errorf("SerializationException", "%s can not be converted to milliseconds since epoch", b)
	}
	*t = Seconds(time.UnixMilli(int64(f*1000 + 0.5)))
	return nil
}

// AppendMillis writes ms as seconds with three digits behind the point.
func AppendMillis(b []byte, ms int64) []byte {
	b = strconv.AppendInt(b, ms/1000, 10)
	ms %= 1000
	return append(b, '.', byte('0'+ms/100), byte('0'+ms/10%10), byte('0'+ms%10))
}

// Missing is AWS's answer to a required member that is not there.
func Missing(member string) *Error {
	return Invalid("1 validation error detected: Value null at '%s' failed to satisfy constraint: Member must not be null", member)
}

// PageSize reads the limit of a call that answers in pages.
func PageSize(asked *int, member string, unsaid, highest int) (int, error) {
	switch {
	case asked == nil:
		return unsaid, nil
	case *asked < 1:
		return 0, Invalid("1 validation error detected: Value '%d' at '%s' failed to satisfy constraint: Member must have value greater than or equal to 1", *asked, member)
	case *asked > highest:
		return 0, Invalid("1 validation error detected: Value '%d' at '%s' failed to satisfy constraint: Member must have value less than or equal to %d", *asked, member, highest)
	}
	return *asked, nil
}

// Unsupported refuses a call that gives one of some parameters; the first by name, so that the
// answer is always the same.
func Unsupported(parameters map[string]json.RawMessage) error {
	for _, name := range slices.Sorted(maps.Keys(parameters)) {
		if v := parameters[name]; v != nil && string(v) != "null" {
			return Invalid("%s is not supported by this server", name)
		}
	}
	return nil
}

// Request is a call as one of the services gets it, and what a fault has the service do.
type Request struct {
	Operation string
	Body      []byte

	Refuse         func(shard string) bool // throttle puts to these shards
	Empty          bool                    // let GetRecords and ListShards find nothing
	Stale          bool                    // show reads that need not be consistent what was there before
	Short          bool                    // let ListShards find half of the shards
	NoIterator     bool                    // let GetRecords tell no way on
	Backwards      bool                    // let GetRecords give the newest record first
	ConditionFails bool                    // let the condition of a write fail
	WithoutItem    bool                    // and do not show the item
}

// Subject is what a call is about.
type Subject struct {
	Names       []string // of the stream or table, also if the call gives an ARN
	Shards      []string
	Consistent  bool // a read of DynamoDB with ConsistentRead
	Conditional bool // a write to DynamoDB with a ConditionExpression
}

// Operations are those of one service, whose state is an S.
type Operations[S any] map[string]func(S, *Request) (any, error)

// Answer carries a call out.
func (o Operations[S]) Answer(s S, r *Request) (any, error) {
	op := o[r.Operation]
	if op == nil {
		return nil, Errorf("UnknownOperationException", "%s is not an operation of this server", r.Operation)
	}
	return op(s, r)
}

// Typed makes an operation of a function that takes a decoded request.
func Typed[S, In any](f func(S, *Request, *In) (any, error)) func(S, *Request) (any, error) {
	return func(s S, r *Request) (any, error) {
		in := new(In)
		if err := Decode(r.Body, in); err != nil {
			return nil, err
		}
		return f(s, r, in)
	}
}
