package awstest

import (
	"bytes"
	"io"
	"net/http"

	"github.com/aws/aws-sdk-go-v2/aws"
)

// Direct is a configuration whose clients call the service without a network between: for a
// producer that must know exactly what it has put. A PutRecords whose answer is lost on the way is
// made again by the SDK, and puts its records twice. Where a fault cuts the connection, the call
// ends with the error of its context or, if that has none, with io.ErrUnexpectedEOF. One that is
// Late holds its caller up for the fault's Delay.
func (s *Service) Direct(accessKeyID string) aws.Config {
	c := Config("http://awstest.invalid", s.opts.Region, accessKeyID)
	c.HTTPClient = direct{s}
	c.Retryer = func() aws.Retryer { return aws.NopRetryer{} }
	return c
}

type direct struct{ handler http.Handler }

// Do implements aws.HTTPClient.
func (d direct) Do(r *http.Request) (*http.Response, error) {
	a := &answer{header: make(http.Header), status: http.StatusOK}
	if !d.serve(a, r) {
		if err := r.Context().Err(); err != nil {
			return nil, err
		}
		return nil, io.ErrUnexpectedEOF
	}
	return &http.Response{
		Status: http.StatusText(a.status), StatusCode: a.status, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Header: a.header, Body: io.NopCloser(&a.body), ContentLength: int64(a.body.Len()), Request: r,
	}, nil
}

// serve reports false if the handler has cut the connection, as net/http's own server would notice.
func (d direct) serve(a *answer, r *http.Request) (answered bool) {
	defer func() {
		if p := recover(); p != nil && p != any(http.ErrAbortHandler) {
			panic(p)
		}
	}()
	d.handler.ServeHTTP(a, r)
	return true
}

// answer keeps what a handler writes.
type answer struct {
	header http.Header
	status int
	body   bytes.Buffer
}

func (a *answer) Header() http.Header         { return a.header }
func (a *answer) WriteHeader(status int)      { a.status = status }
func (a *answer) Write(b []byte) (int, error) { return a.body.Write(b) }
