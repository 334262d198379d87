// Package envelopetest makes records of every form for tests.
package envelopetest

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"strings"
)

// Events that records are made of.
const (
	// RootEvent is a call with a root's long-lived key.
	RootEvent = `{"eventVersion":"1.11","userIdentity":{"type":"Root","arn":"arn:aws:iam::111122223333:root","accountId":"111122223333",` +
		`"accessKeyId":"AKIAIOSFODNN7EXAMPLE"},"eventTime":"2026-11-02T08:00:00Z","eventSource":"iam.amazonaws.com",` +
		`"eventName":"CreateUser","awsRegion":"us-east-1","sourceIPAddress":"203.0.113.7","userAgent":"aws-cli/2","eventID":"root-1"}`
	// UserEvent is a call by a user.
	UserEvent = `{"eventVersion":"1.11","userIdentity":{"type":"IAMUser","arn":"arn:aws:iam::111122223333:user/ann"},` +
		`"eventSource":"ec2.amazonaws.com","eventName":"RunInstances","eventID":"user-1"}`
)

// Wrapped is an EventBridge envelope around a detail; all three are JSON texts.
func Wrapped(source, detailType, detail string) string {
	return fmt.Sprintf(`{"version":"0","id":"x","detail-type":%s,"source":%s,"account":"444455556666","time":"2026-11-02T08:00:01Z",`+
		`"region":"us-east-1","resources":[],"detail":%s}`, detailType, source, detail)
}

// ViaEventBridge is CloudTrail's own envelope around an event.
func ViaEventBridge(event string) string {
	return Wrapped(`"aws.iam"`, `"AWS API Call via CloudTrail"`, event)
}

// Quote makes a JSON string of a text.
func Quote(s string) string {
	b, err := json.Marshal(s)
	if err != nil {
		panic(err)
	}
	return string(b)
}

// Logged is a CloudWatch Logs payload with these messages.
func Logged(messages ...string) string {
	events := make([]string, len(messages))
	for i, m := range messages {
		events[i] = fmt.Sprintf(`{"id":"%d","timestamp":1790000000000,"message":%s}`, i, Quote(m))
	}
	return `{"messageType":"DATA_MESSAGE","owner":"777788889999","logGroup":"g","logStream":"s","subscriptionFilters":["f"],"logEvents":[` +
		strings.Join(events, ",") + `]}`
}

// LookedUp is an answer of LookupEvents with these events.
func LookedUp(events ...string) string {
	elements := make([]string, len(events))
	for i, e := range events {
		elements[i] = fmt.Sprintf(`{"EventId":"%d","EventName":"CreateUser","ReadOnly":"false","EventSource":"iam.amazonaws.com","Username":"root","Resources":[],"CloudTrailEvent":%s}`, i, Quote(e))
	}
	return `{"Events":[` + strings.Join(elements, ",") + `],"NextToken":"t"}`
}

// InFile is an S3 log file with these events.
func InFile(events ...string) string { return `{"Records":[` + strings.Join(events, ",") + `]}` }

// Zipped is the gzip of a text.
func Zipped(s string) string {
	var buf bytes.Buffer
	w := gzip.NewWriter(&buf)
	if _, err := w.Write([]byte(s)); err != nil {
		panic(err)
	}
	if err := w.Close(); err != nil {
		panic(err)
	}
	return buf.String()
}

// WithID gives RootEvent or UserEvent another id.
func WithID(event, id string) string {
	for _, was := range []string{"root-1", "user-1"} {
		event = strings.Replace(event, Quote(was), Quote(id), 1)
	}
	return event
}

// Distinct gives calls by root with different ids that do not compress into nothing.
func Distinct(n int) []string {
	events := make([]string, n)
	for i := range events {
		sum := sha256.Sum256([]byte{byte(i), byte(i >> 8)})
		events[i] = WithID(RootEvent, "sha256:"+hex.EncodeToString(sum[:]))
	}
	return events
}
