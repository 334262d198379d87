package awsclient

import (
	"bytes"
	"fmt"
	"io"
	"net/http"

	"github.com/aws/aws-sdk-go-v2/aws"
)

// wholeBodies sends requests whose bodies net/http may read to their end. Of a body whose kind it
// does not know net/http sends the head first. An endpoint that is fast answers to that alone; then
// smithy-go closes the body, and net/http, which finds it too short, closes the connection under
// the answer that is being read ("use of closed network connection"). The body that is given here
// is one that net/http sends together with the head, and that nobody closes.
type wholeBodies struct {
	next interface {
		Do(*http.Request) (*http.Response, error)
	}
}

var _ aws.HTTPClient = wholeBodies{}

// Do implements aws.HTTPClient. The requests of Kinesis and DynamoDB that this program makes are
// small enough to be held twice.
func (c wholeBodies) Do(r *http.Request) (*http.Response, error) {
	if r.Body == nil || r.Body == http.NoBody {
		return c.next.Do(r)
	}
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return nil, fmt.Errorf("reading the request's body: %w", err)
	}
	own := r.WithContext(r.Context()) // smithy-go closes the body of r
	own.GetBody = func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(body)), nil }
	own.Body, _ = own.GetBody()
	return c.next.Do(own)
}
