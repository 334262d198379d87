package awserr

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/smithy-go"
	smithyhttp "github.com/aws/smithy-go/transport/http"
)

func client(endpoint string) *dynamodb.Client {
	return dynamodb.NewFromConfig(aws.Config{
		Region: "eu-west-1", BaseEndpoint: &endpoint, Retryer: func() aws.Retryer { return aws.NopRetryer{} },
		Credentials: aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) {
			return aws.Credentials{AccessKeyID: "key", SecretAccessKey: "secret"}, nil
		}),
	})
}

// answering is an endpoint that refuses everything with one error code.
func answering(t *testing.T, code string) *dynamodb.Client {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusBadRequest)
		fmt.Fprintf(w, `{"__type":"com.amazon.coral.service#%s","Message":"no"}`, code)
	}))
	t.Cleanup(server.Close)
	return client(server.URL)
}

func TestWhatDoesNotHealEndsAtOnceAndSaysWhatToSet(t *testing.T) {
	secure := httptest.NewTLSServer(http.NotFoundHandler())
	t.Cleanup(secure.Close)
	secure.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelError)
	for name, c := range map[string]struct {
		svc  *dynamodb.Client
		says []string
	}{
		"no permission":             {answering(t, "AccessDeniedException"), []string{"AccessDeniedException"}},
		"unknown credentials":       {answering(t, "UnrecognizedClientException"), []string{"AWS_PROFILE", "AWS_ACCESS_KEY_ID"}},
		"expired credentials":       {answering(t, "ExpiredTokenException"), []string{"expired", "AWS_SESSION_TOKEN"}},
		"a wrong secret":            {answering(t, "InvalidSignatureException"), []string{"AWS_SECRET_ACCESS_KEY", "clock"}},
		"a scheme that is none":     {client("ftp://127.0.0.1:1"), []string{"AWS_ENDPOINT_URL"}},
		"no host":                   {client("http://"), []string{"AWS_ENDPOINT_URL"}},
		"a certificate of nobody's": {client(secure.URL), []string{"AWS_ENDPOINT_URL", "AWS_CA_BUNDLE"}},
	} {
		t.Run(name, func(t *testing.T) {
			tries := 0
			err := WaitOut(t.Context(), slog.New(slog.DiscardHandler), func() error {
				if tries++; tries > 1 {
					return nil
				}
				_, err := c.svc.DescribeTable(t.Context(), &dynamodb.DescribeTableInput{TableName: aws.String("calls")})
				return err
			})
			if err == nil {
				t.Fatal("it is tried again")
			}
			for _, want := range c.says {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("the error does not say %q: %v", want, err)
				}
			}
			if strings.Contains(err.Error(), "\n") {
				t.Errorf("the error is more than a line: %v", err)
			}
		})
	}
}

func TestAHostThatDoesNotExistIsAskedForAgainWithAHint(t *testing.T) {
	var log strings.Builder
	tries := 0
	err := WaitOut(t.Context(), slog.New(slog.NewTextHandler(&log, nil)), func() error {
		if tries++; tries > 1 {
			return nil
		}
		return &smithyhttp.RequestSendError{Err: &net.DNSError{Err: "no such host", Name: "dynamodb.eu-wst-1.amazonaws.com", IsNotFound: true}}
	})
	if err != nil || !strings.Contains(log.String(), "AWS_REGION") {
		t.Errorf("error %v, log %s", err, log.String())
	}
}

func TestHealing(t *testing.T) {
	answer := func(status int, err error) error {
		return &smithyhttp.ResponseError{Response: &smithyhttp.Response{Response: &http.Response{StatusCode: status}}, Err: err}
	}
	sent := func(err error) error { return &smithyhttp.RequestSendError{Err: err} }
	api := func(code string) error { return &smithy.GenericAPIError{Code: code} }
	for name, c := range map[string]struct {
		err              error
		healing, refused bool
	}{
		"throttled":           {answer(400, api("ProvisionedThroughputExceededException")), true, false},
		"a server's error":    {answer(500, api("InternalServerError")), true, false},
		"an unreadable 503":   {answer(503, io.ErrUnexpectedEOF), true, false},
		"a cut connection":    {sent(io.EOF), true, false},
		"a strange answer":    {fmt.Errorf("listing: %w", &StrangeError{Operation: "Kinesis ListShards", Problem: "has no shard"}), true, false},
		"no answer in time":   {context.DeadlineExceeded, true, false},
		"an invalid request":  {answer(400, api("ValidationException")), false, true},
		"no permission":       {answer(400, api("AccessDeniedException")), false, true},
		"expired credentials": {answer(400, api("ExpiredTokenException")), false, false},
		"a broken chain":      {sent(&tls.CertificateVerificationError{Err: x509.UnknownAuthorityError{}}), false, false},
		"no credentials":      {errors.New("no credentials"), false, false},
	} {
		t.Run(name, func(t *testing.T) {
			if got := Healing(c.err); got != c.healing {
				t.Errorf("healing %t, want %t", got, c.healing)
			}
			if got := Refused(c.err); got != c.refused {
				t.Errorf("refused %t, want %t", got, c.refused)
			}
		})
	}
}
