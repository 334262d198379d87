package awstest

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

// apiError is an answer that AWS has a name for.
type apiError struct {
	status  int
	code    string // ResourceNotFoundException
	message string
	members map[string]any // what the answer has besides type and message
}

func (e *apiError) Error() string { return e.code + ": " + e.message }

func errorf(code, format string, args ...any) *apiError {
	return &apiError{status: http.StatusBadRequest, code: code, message: fmt.Sprintf(format, args...)}
}

func invalid(format string, args ...any) *apiError {
	return errorf("ValidationException", format, args...)
}

// body is a pooled buffer that a request is read into, or an answer is written into.
type body struct{ b []byte }

var bodies = sync.Pool{New: func() any { return new(body) }}

func takeBody() *body {
	b := bodies.Get().(*body)
	b.b = b.b[:0]
	return b
}

// release gives the buffer back; nothing may refer to its bytes any more.
func (b *body) release() {
	if cap(b.b) <= 16<<20 { // one giant answer must not stay for ever
		bodies.Put(b)
	}
}

// grow makes room for n more bytes.
func (b *body) grow(n int) {
	if cap(b.b)-len(b.b) < n {
		b.b = append(make([]byte, 0, len(b.b)+n), b.b...)
	}
}

// decode reads a request's JSON. A value of the wrong type is AWS's SerializationException.
func decode(b []byte, in any) error {
	if len(b) == 0 {
		return nil
	}
	err := json.Unmarshal(b, in)
	var api *apiError
	switch {
	case err == nil:
		return nil
	case errors.As(err, &api):
		return api
	}
	return errorf("SerializationException", "%v", err)
}

// seconds is a time as both services write it: seconds since 1970 with milliseconds behind the point.
type seconds time.Time

func (t seconds) MarshalJSON() ([]byte, error) {
	return appendMillis(nil, time.Time(t).UnixMilli()), nil
}

// UnmarshalJSON reads what the SDKs send, with or without a fraction or an exponent.
func (t *seconds) UnmarshalJSON(b []byte) error {
	f, err := strconv.ParseFloat(strings.TrimSpace(string(b)), 64)
	if err != nil {
		return errorf("SerializationException", "%s can not be converted to milliseconds since epoch", b)
	}
	*t = seconds(time.UnixMilli(int64(f*1000 + 0.5)))
	return nil
}

// appendMillis writes ms as seconds with three digits behind the point.
func appendMillis(b []byte, ms int64) []byte {
	b = strconv.AppendInt(b, ms/1000, 10)
	ms %= 1000
	return append(b, '.', byte('0'+ms/100), byte('0'+ms/10%10), byte('0'+ms%10))
}

// appendJSON adds a value that always encodes.
func appendJSON(b []byte, v any) []byte {
	out, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	return append(b, out...)
}

// missing is AWS's answer to a required member that is not there.
func missing(member string) *apiError {
	return invalid("1 validation error detected: Value null at '%s' failed to satisfy constraint: Member must not be null", member)
}

// pageSize reads the limit of a call that answers in pages.
func pageSize(asked *int, member string, unsaid, highest int) (int, error) {
	switch {
	case asked == nil:
		return unsaid, nil
	case *asked < 1:
		return 0, invalid("1 validation error detected: Value '%d' at '%s' failed to satisfy constraint: Member must have value greater than or equal to 1", *asked, member)
	case *asked > highest:
		return 0, invalid("1 validation error detected: Value '%d' at '%s' failed to satisfy constraint: Member must have value less than or equal to %d", *asked, member, highest)
	}
	return *asked, nil
}

// unsupported refuses a call that gives one of some parameters; the first by name, so that the answer is always the
// same.
func unsupported(parameters map[string]json.RawMessage) error {
	for _, name := range slices.Sorted(maps.Keys(parameters)) {
		if v := parameters[name]; v != nil && string(v) != "null" {
			return invalid("%s is not supported by this server", name)
		}
	}
	return nil
}

// wireRequest is a call as one of the services gets it, and what a fault has the service do.
type wireRequest struct {
	Operation string
	Body      []byte

	Refuse func(shard string) bool // throttle puts to these shards
	Empty  bool                    // let GetRecords find nothing
	Stale  bool                    // show reads that need not be consistent what was there before
}

// subject is what a call is about.
type subject struct {
	Names      []string // of the stream or table, also if the call gives an ARN
	Shards     []string
	Consistent bool // a read of DynamoDB with ConsistentRead
}

// operations are those of one service, whose state is an S.
type operations[S any] map[string]func(S, *wireRequest) (any, error)

// answer carries a call out.
func (o operations[S]) answer(s S, r *wireRequest) (any, error) {
	op := o[r.Operation]
	if op == nil {
		return nil, errorf("UnknownOperationException", "%s is not an operation of this server", r.Operation)
	}
	return op(s, r)
}

// typed makes an operation of a function that takes a decoded request.
func typed[S, In any](f func(S, *wireRequest, *In) (any, error)) func(S, *wireRequest) (any, error) {
	return func(s S, r *wireRequest) (any, error) {
		in := new(In)
		if err := decode(r.Body, in); err != nil {
			return nil, err
		}
		return f(s, r, in)
	}
}
