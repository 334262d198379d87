package awstest

import (
	"net/http"

	"rootwatch/pipeline/awstest/wire"
)

// backend is one of the two services.
type backend interface {
	// Answer carries a call out. The answer is encoded as JSON, unless it is a *wire.Body already;
	// nil has no members.
	Answer(*wire.Request) (any, error)
	// About reads out of a request what it is about.
	About(request []byte) wire.Subject
	// Throttled is the error that AWS documents for too many calls of an operation.
	Throttled(operation string) error
}

// protocol is what differs between the two services on the way from and to their clients.
type protocol struct {
	service     string // kinesis or dynamodb: before the colon in the names of actions
	version     string // before the point in X-Amz-Target
	contentType string
	failure     string // the error that comes with status 500
	nothing     string // the answer that has no members
	checksum    bool   // the answer has an X-Amz-Crc32
	errorType   func(code string) string
}

var (
	kinesisProtocol = &protocol{
		service: "kinesis", version: "Kinesis_20131202", contentType: "application/x-amz-json-1.1",
		failure: "InternalFailure", errorType: plainErrorType,
	}
	dynamodbProtocol = &protocol{
		service: "dynamodb", version: "DynamoDB_20120810", contentType: "application/x-amz-json-1.0",
		failure: "InternalServerError", nothing: "{}", checksum: true, errorType: dynamodbErrorType,
	}
	// noProtocol answers those who name no service.
	noProtocol = &protocol{contentType: "application/x-amz-json-1.0", errorType: plainErrorType}
)

func plainErrorType(code string) string { return code }

// dynamodbErrorType adds the namespace that DynamoDB puts before an error's name.
func dynamodbErrorType(code string) string {
	switch code {
	case "ValidationException", "SerializationException", "UnknownOperationException", "ThrottlingException":
		return "com.amazon.coral.validate#" + code
	case "AccessDeniedException":
		return "com.amazon.coral.service#" + code
	}
	return "com.amazonaws.dynamodb.v20120810#" + code
}

// fail is the error that says nothing but that the service has failed.
func (p *protocol) fail() error {
	return &wire.Error{Status: http.StatusInternalServerError, Code: p.failure, Message: "Internal service failure."}
}

// adminPath is where Options.Admin opens a Service to [Admin].
const adminPath = "/_rootwatch/"
