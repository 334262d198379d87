package awstest

import (
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"sync"

	"github.com/aws/aws-sdk-go-v2/aws"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"

	"rootwatch/pipeline/awstest/streams"
	"rootwatch/pipeline/awstest/tables"
)

// Server is a Service that listens on a port of 127.0.0.1.
type Server struct {
	*Service
	// URL is the endpoint for both services, without a slash at its end: http://127.0.0.1:41234
	URL string

	http    *http.Server
	serving sync.WaitGroup // Serve, and the connections with the calls on them
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

// NewServer starts a server; the caller closes it. Like [httptest.NewServer] it panics when there
// is no port to be had.
func NewServer(opts Options) *Server {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		panic(fmt.Sprintf("awstest: no port to listen on: %v", err))
	}
	s := &Server{Service: New(opts), URL: "http://" + l.Addr().String()}
	s.http = &http.Server{Handler: s.Service, ConnState: func(_ net.Conn, state http.ConnState) {
		switch state {
		case http.StateNew: // Serve is still running: Close does not miss it
			s.serving.Add(1)
		case http.StateClosed, http.StateHijacked:
			s.serving.Done()
		}
	}}
	s.serving.Go(func() {
		// Serve ends with ErrServerClosed when Close is called, and with no other error that
		// matters.
		_ = s.http.Serve(l)
	})
	return s
}

// Close cuts all connections and waits for the calls under way.
func (s *Server) Close() {
	s.stop()
	// The listener's error is of no interest: it is gone either way.
	_ = s.http.Close()
	s.serving.Wait()
}

// AWSConfig is a configuration whose clients (kinesis.NewFromConfig, dynamodb.NewFromConfig) talk
// to this server. The access key id is who they are: faults can be made to hit one identity alone,
// and calls are counted by it. "test" if empty.
func (s *Server) AWSConfig(accessKeyID string) aws.Config {
	return Config(s.URL, s.opts.Region, accessKeyID)
}

// Config is AWSConfig for a server in another process.
func Config(url, region, accessKeyID string) aws.Config {
	if accessKeyID == "" {
		accessKeyID = "test"
	}
	return aws.Config{
		Region:       region,
		BaseEndpoint: aws.String(url),
		HTTPClient:   steady{awshttp.NewBuildableClient()},
		Credentials: aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) {
			return aws.Credentials{AccessKeyID: accessKeyID, SecretAccessKey: "test", Source: "awstest"}, nil
		}),
	}
}

// steady sends requests whose body has no WriteTo. The SDK closes the body when the answer's header
// is there; net/http may only then look whether the body has more than its length, and what
// smithy-go's closed body answers to WriteTo (io.EOF) counts as a failed write, which drops the
// connection in the middle of the answer. To Read it answers io.EOF as well, where that means the
// end. A server has to answer as fast as this one for it to show.
type steady struct{ client aws.HTTPClient }

// Do implements aws.HTTPClient.
func (s steady) Do(r *http.Request) (*http.Response, error) {
	if r.Body != nil && r.Body != http.NoBody {
		r.Body = struct{ io.ReadCloser }{r.Body}
	}
	return s.client.Do(r)
}
