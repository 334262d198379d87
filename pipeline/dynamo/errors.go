package dynamo

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws/retry"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/smithy-go"
	smithyhttp "github.com/aws/smithy-go/transport/http"
)

// Healing says whether an error of an AWS call may go away by itself: throttling, server errors, a network that does not
// answer. An answer that refuses the request (nothing of that name, no permission, bad credentials) does not; no more does a
// request that could not even be made (no credentials, no region, an endpoint that is no URL), or a certificate that is not
// trusted.
func Healing(err error) bool {
	var api smithy.APIError
	var response *smithyhttp.ResponseError
	var send *smithyhttp.RequestSendError
	switch {
	case Throttled(err):
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

// Throttled says whether AWS refused a call for its rate.
func Throttled(err error) bool {
	switch c := code(err); c {
	case "":
		return false
	case "KMSThrottlingException", "LimitExceededException":
		return true
	default:
		_, known := retry.DefaultThrottleErrorCodes[c]
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

// badEndpoint says whether the request could not be sent because its URL makes no sense. net/http has no types for these.
func badEndpoint(err error) bool {
	text := err.Error()
	return strings.Contains(text, "unsupported protocol scheme") || strings.Contains(text, "no Host in request URL") || errors.Is(err, http.ErrSchemeMismatch)
}

func untrusted(err error) bool {
	var cert *tls.CertificateVerificationError
	return errors.As(err, &cert)
}

// Refused says whether AWS answered, and will answer the same request the same way however often it is made: the request or
// the role is wrong. Credentials that are no longer accepted are not counted as that: they are renewed while the program runs.
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

// needs are the actions that the worker calls on the table that a flag names; deploy/cloudformation/service.yaml has the same.
var needs = map[string]string{
	"--kinesis.application": "DescribeTable, CreateTable (unless the table is there already), Scan, UpdateItem and DeleteItem",
	"--ledger.table":        "DescribeTable, CreateTable (unless the table is there already), GetItem, PutItem, UpdateItem and UpdateTimeToLive",
}

// Explain says what to do about a table that may not be used; flag is the one that names it. Other errors it returns as they are.
func Explain(err error, svc *dynamodb.Client, table, flag string) error {
	if !strings.Contains(code(err), "AccessDenied") {
		return err
	}
	return fmt.Errorf("no permission to use DynamoDB table %s (%s) in region %s: the role needs dynamodb:%s on it: %w", table, flag, svc.Options().Region, needs[flag], err)
}
