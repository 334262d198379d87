// Package awserr judges the errors of AWS calls: whether waiting heals them, and what to look at
// where it does not.
package awserr

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"time"

	awsretry "github.com/aws/aws-sdk-go-v2/aws/retry"
	"github.com/aws/smithy-go"
	smithyhttp "github.com/aws/smithy-go/transport/http"

	"rootwatch/pipeline/retry"
)

// StrangeError is the error of an answer that cannot be believed: it lacks what its caller relies
// on, contradicts itself, or is not AWS's at all.
type StrangeError struct {
	Operation string // of which service
	Problem   string // what the answer has, or has not
	Err       error  // of the SDK, nil if it has read the answer
}

func (e *StrangeError) Error() string {
	text := fmt.Sprintf("the answer to %s is not believed: it %s", e.Operation, e.Problem)
	if e.Err != nil {
		text += ": " + e.Err.Error()
	}
	return text
}

func (e *StrangeError) Unwrap() error { return e.Err }

// RetryableError has the SDK ask again.
func (e *StrangeError) RetryableError() bool { return true }

// Strange reports whether an answer could not be believed.
func Strange(err error) bool {
	var strange *StrangeError
	return errors.As(err, &strange)
}

// Healing reports whether an error of an AWS call may go away by itself: throttling, server errors,
// a network that does not answer, an answer that cannot be believed. An answer that refuses the
// request (nothing of that name, no permission, bad credentials) does not; nor does a request that
// could not be made at all (no credentials, no region, an endpoint that is no URL), or a
// certificate that is not trusted.
func Healing(err error) bool {
	var api smithy.APIError
	var response *smithyhttp.ResponseError
	var send *smithyhttp.RequestSendError
	switch {
	case Throttled(err), Strange(err):
		return true
	case errors.As(err, &response) && response.HTTPStatusCode() >= 500:
		return true
	case errors.As(err, &api):
		return api.ErrorFault() == smithy.FaultServer
	case badEndpoint(err), untrusted(err):
		return false
	case errors.As(err, &send), errors.Is(err, context.DeadlineExceeded):
		return true
	}
	return false
}

// Throttled reports whether AWS refused a call for its rate.
func Throttled(err error) bool {
	switch c := code(err); c {
	case "":
		return false
	case "KMSThrottlingException", "LimitExceededException":
		return true
	default:
		_, known := awsretry.DefaultThrottleErrorCodes[c]
		return known
	}
}

// code is the code of AWS's answer, "" if there was none.
func code(err error) string {
	var api smithy.APIError
	if !errors.As(err, &api) {
		return ""
	}
	return api.ErrorCode()
}

// badEndpoint reports whether the request could not be sent because its URL makes no sense.
// net/http has no types for these.
func badEndpoint(err error) bool {
	text := err.Error()
	return strings.Contains(text, "unsupported protocol scheme") || strings.Contains(text, "no Host in request URL") || errors.Is(err, http.ErrSchemeMismatch)
}

func untrusted(err error) bool {
	var cert *tls.CertificateVerificationError
	return errors.As(err, &cert)
}

// Refused reports whether AWS answered, and will answer the same request the same way however often
// it is made: the request or the role is wrong. Credentials that are no longer accepted are not
// counted as that: they are renewed while the program runs.
func Refused(err error) bool { return code(err) != "" && !Healing(err) && credentialAdvice(err) == "" }

func credentialAdvice(err error) string {
	switch code(err) {
	case "ExpiredTokenException", "ExpiredToken", "RequestExpired":
		return "the AWS credentials have expired: renew them (a new AWS_SESSION_TOKEN, or aws sso login for an AWS_PROFILE)"
	case "UnrecognizedClientException", "InvalidClientTokenId", "MissingAuthenticationToken", "MissingAuthenticationTokenException":
		return "AWS does not know the credentials: check AWS_PROFILE, or AWS_ACCESS_KEY_ID with AWS_SECRET_ACCESS_KEY and, for temporary ones, AWS_SESSION_TOKEN"
	case "InvalidSignatureException", "SignatureDoesNotMatch", "IncompleteSignature", "IncompleteSignatureException":
		return "AWS does not accept the signature: check AWS_SECRET_ACCESS_KEY, and this host's clock (5 minutes off are too many)"
	}
	return ""
}

// advise puts what to set before an error that waiting does not heal.
func advise(err error) error {
	switch {
	case err == nil:
		return nil
	case credentialAdvice(err) != "":
		return fmt.Errorf("%s: %w", credentialAdvice(err), err)
	case badEndpoint(err):
		return fmt.Errorf("the endpoint cannot be asked: set AWS_ENDPOINT_URL to a URL such as http://127.0.0.1:4566, or leave it out to use AWS's own: %w", err)
	case untrusted(err):
		return fmt.Errorf("the endpoint's certificate is not trusted: check AWS_ENDPOINT_URL, and set AWS_CA_BUNDLE if a proxy or an endpoint has a certificate of your own: %w", err)
	}
	return err
}

// hint is what to look at while an error is waited out, "" if that is not clear.
func hint(err error) string {
	var dns *net.DNSError
	if errors.As(err, &dns) && dns.IsNotFound {
		return "there is no host of that name: is AWS_REGION right, and AWS_ENDPOINT_URL if it is set?"
	}
	return ""
}

// Denied reports whether AWS refused a call for want of a permission.
func Denied(err error) bool { return strings.Contains(code(err), "AccessDenied") }

// KeyRefused reports whether AWS may not use the key that the data is encrypted with: no
// permission, or a key that is disabled or deleted.
func KeyRefused(err error) bool { return strings.HasPrefix(code(err), "KMS") && !Throttled(err) }

// WaitOut calls f until it succeeds or fails with what waiting does not heal. What it waits out is
// logged; any other error is returned with what to set.
func WaitOut(ctx context.Context, log *slog.Logger, f func() error) error {
	return retry.Do(ctx, longestPause, func() error {
		err := f()
		if err != nil && !Healing(err) {
			return retry.Stop(advise(err))
		}
		return err
	}, func(err error, _ time.Duration) {
		attrs := []any{"err", err}
		if h := hint(err); h != "" {
			attrs = append(attrs, "hint", h)
		}
		log.Warn("not started yet: trying again", attrs...)
	})
}

// longestPause between two tries of a call that time heals.
const longestPause = 5 * time.Second
