package awstest

import (
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"
)

// maxRequest is more than any call may carry: 10 MiB of data in base64, with keys.
const maxRequest = 24 << 20

// apiError is an answer that AWS has a name for.
type apiError struct {
	status  int
	code    string // ResourceNotFoundException
	message string
	item    item // DynamoDB's ReturnValuesOnConditionCheckFailure
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

// read takes the whole request in; the connection is then free for net/http to notice that a client went away.
func (b *body) read(r *http.Request) error {
	if r.Body == nil {
		return nil
	}
	tooLarge := &apiError{status: http.StatusRequestEntityTooLarge, code: "RequestEntityTooLargeException", message: "request too large"}
	if r.ContentLength > maxRequest {
		return tooLarge
	}
	if r.ContentLength > 0 {
		b.grow(int(r.ContentLength))
		b.b = b.b[:r.ContentLength]
		if _, err := io.ReadFull(r.Body, b.b); err != nil {
			return errorf("SerializationException", "reading the request: %v", err)
		}
		return nil
	}
	var err error
	if b.b, err = io.ReadAll(io.LimitReader(r.Body, maxRequest+1)); err != nil {
		return errorf("SerializationException", "reading the request: %v", err)
	}
	if len(b.b) > maxRequest {
		return tooLarge
	}
	return nil
}

// decode reads a request's JSON. A value of the wrong type is AWS's SerializationException.
func decode(r *request, in any) error {
	if len(r.body) == 0 {
		return nil
	}
	err := json.Unmarshal(r.body, in)
	var api *apiError
	switch {
	case err == nil:
		return nil
	case errors.As(err, &api):
		return api
	}
	return errorf("SerializationException", "%v", err)
}

func contentType(service string) string {
	if service == kinesisService {
		return "application/x-amz-json-1.1"
	}
	return "application/x-amz-json-1.0"
}

// write sends an answer: a *body as it is (and released), nil as nothing, anything else as JSON.
func (s *Service) write(w http.ResponseWriter, r *request, out any) {
	switch out := out.(type) {
	case nil:
		if r.target.service == dynamodbService {
			s.send(w, r, http.StatusOK, []byte("{}"))
			return
		}
		s.send(w, r, http.StatusOK, nil)
	case *body:
		defer out.release()
		s.send(w, r, http.StatusOK, out.b)
	default:
		b, err := json.Marshal(out)
		if err != nil {
			s.writeError(w, r, fmt.Errorf("encoding the answer to %s: %w", r.target.action(), err))
			return
		}
		s.send(w, r, http.StatusOK, b)
	}
}

// writeError sends err as AWS would; one without a name of AWS's is a bug of this package: a 500.
func (s *Service) writeError(w http.ResponseWriter, r *request, err error) {
	var e *apiError
	if !errors.As(err, &e) {
		e = &apiError{status: http.StatusInternalServerError, code: "InternalFailure", message: err.Error()}
	}
	out := map[string]any{"__type": errorType(r.target.service, e.code), "message": e.message}
	if e.item != nil {
		out["Item"] = e.item
	}
	b, err := json.Marshal(out)
	if err != nil { // strings and attribute values always encode
		panic(err)
	}
	s.send(w, r, e.status, b)
}

// errorType adds the namespace that DynamoDB puts before an error's name.
func errorType(service, code string) string {
	if service != dynamodbService {
		return code
	}
	switch code {
	case "ValidationException", "SerializationException", "UnknownOperationException", "ThrottlingException":
		return "com.amazon.coral.validate#" + code
	}
	return "com.amazonaws.dynamodb.v20120810#" + code
}

func (s *Service) send(w http.ResponseWriter, r *request, status int, b []byte) {
	h := w.Header()
	h.Set("Content-Type", contentType(r.target.service))
	h.Set("Content-Length", strconv.Itoa(len(b)))
	h.Set("X-Amzn-Requestid", fmt.Sprintf("%08x-0000-4000-8000-%012x", s.ids.Add(1), len(b)))
	if r.target.service == dynamodbService {
		h.Set("X-Amz-Crc32", strconv.FormatUint(uint64(crc32.ChecksumIEEE(b)), 10))
	}
	w.WriteHeader(status)
	// A client that has gone away cannot be told.
	_, _ = w.Write(b)
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
