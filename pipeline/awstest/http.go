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

	"rootwatch/pipeline/awstest/wire"
)

// maxRequest is more than any call may carry: 10 MiB of data in base64, with keys.
const maxRequest = 24 << 20

// readBody takes the whole request in; the connection is then free for net/http to notice that a
// client went away.
func readBody(b *wire.Body, r *http.Request) error {
	if r.Body == nil {
		return nil
	}
	tooLarge := &wire.Error{Status: http.StatusRequestEntityTooLarge, Code: "RequestEntityTooLargeException", Message: "request too large"}
	if r.ContentLength > maxRequest {
		return tooLarge
	}
	if r.ContentLength > 0 {
		b.Grow(int(r.ContentLength))
		b.B = b.B[:r.ContentLength]
		if _, err := io.ReadFull(r.Body, b.B); err != nil {
			return wire.Errorf("SerializationException", "reading the request: %v", err)
		}
		return nil
	}
	var err error
	if b.B, err = io.ReadAll(io.LimitReader(r.Body, maxRequest+1)); err != nil {
		return wire.Errorf("SerializationException", "reading the request: %v", err)
	}
	if len(b.B) > maxRequest {
		return tooLarge
	}
	return nil
}

// write sends an answer: a *wire.Body as it is (and released), nil as nothing, anything else as
// JSON.
func write(w http.ResponseWriter, r *request, out any) {
	switch out := out.(type) {
	case nil:
		send(w, r, http.StatusOK, []byte(r.protocol.nothing))
	case *wire.Body:
		defer out.Release()
		send(w, r, http.StatusOK, out.B)
	case html:
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		_, _ = io.WriteString(w, string(out)) // a client that has gone away cannot be told
	default:
		b, err := json.Marshal(out)
		if err != nil {
			writeError(w, r, fmt.Errorf("encoding the answer to %s: %w", r.action(), err))
			return
		}
		send(w, r, http.StatusOK, b)
	}
}

// writeError sends err as AWS would; one without a name of AWS's is a bug of this package: a 500.
func writeError(w http.ResponseWriter, r *request, err error) {
	var e *wire.Error
	if !errors.As(err, &e) {
		e = &wire.Error{Status: http.StatusInternalServerError, Code: "InternalFailure", Message: err.Error()}
	}
	out := map[string]any{"__type": r.protocol.errorType(e.Code), "message": e.Message}
	maps.Copy(out, e.Members)
	b, err := json.Marshal(out)
	if err != nil { // strings and attribute values always encode
		panic(err)
	}
	send(w, r, e.Status, b)
}

func send(w http.ResponseWriter, r *request, status int, b []byte) {
	if r.truncated {
		b = b[:len(b)/2]
	}
	h := w.Header()
	h.Set("Content-Type", r.protocol.contentType)
	h.Set("Content-Length", strconv.Itoa(len(b)))
	h.Set("X-Amzn-Requestid", fmt.Sprintf("%08x-0000-4000-8000-%012x", r.id, len(b)))
	if r.protocol.checksum {
		h.Set("X-Amz-Crc32", strconv.FormatUint(uint64(crc32.ChecksumIEEE(b)), 10))
	}
	w.WriteHeader(status)
	if r.stalled != nil {
		r.stall(w, b)
	}
	// A client that has gone away cannot be told.
	_, _ = w.Write(b)
}
