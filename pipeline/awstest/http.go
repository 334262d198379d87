package awstest

import (
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"maps"
	"net/http"
	"strconv"
)

// maxRequest is more than any call may carry: 10 MiB of data in base64, with keys.
const maxRequest = 24 << 20

// readBody takes the whole request in; the connection is then free for net/http to notice that a client went away.
func readBody(b *body, r *http.Request) error {
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

// write sends an answer: a *body as it is (and released), nil as nothing, anything else as JSON.
func (s *Service) write(w http.ResponseWriter, r *request, out any) {
	switch out := out.(type) {
	case nil:
		s.send(w, r, http.StatusOK, []byte(r.protocol.nothing))
	case *body:
		defer out.release()
		s.send(w, r, http.StatusOK, out.b)
	default:
		b, err := json.Marshal(out)
		if err != nil {
			s.writeError(w, r, fmt.Errorf("encoding the answer to %s: %w", r.action(), err))
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
	out := map[string]any{"__type": r.protocol.errorType(e.code), "message": e.message}
	maps.Copy(out, e.members)
	b, err := json.Marshal(out)
	if err != nil { // strings and attribute values always encode
		panic(err)
	}
	s.send(w, r, e.status, b)
}

func (s *Service) send(w http.ResponseWriter, r *request, status int, b []byte) {
	h := w.Header()
	h.Set("Content-Type", r.protocol.contentType)
	h.Set("Content-Length", strconv.Itoa(len(b)))
	h.Set("X-Amzn-Requestid", fmt.Sprintf("%08x-0000-4000-8000-%012x", s.requests.Add(1), len(b)))
	if r.protocol.checksum {
		h.Set("X-Amz-Crc32", strconv.FormatUint(uint64(crc32.ChecksumIEEE(b)), 10))
	}
	w.WriteHeader(status)
	// A client that has gone away cannot be told.
	_, _ = w.Write(b)
}
