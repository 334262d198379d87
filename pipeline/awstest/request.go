package awstest

import (
	"context"
	"net/http"
	"strings"

	"rootwatch/pipeline/awstest/wire"
)

// request is one call on its way through the service.
type request struct {
	wire.Request
	ctx         context.Context
	id          uint64
	accessKeyID string
	protocol    *protocol
	backend     backend
	about       *wire.Subject // what the call is about, once somebody has asked

	truncated bool       // half of the answer is sent
	stalled   *Injection // half of the answer is sent, and no more until this is removed
}

// action is the name that IAM policies use: kinesis:GetRecords.
func (r *request) action() string { return r.protocol.service + ":" + r.Operation }

// subject is what the call is about; read only when a fault asks.
func (r *request) subject() wire.Subject {
	if r.about == nil {
		about := r.backend.About(r.Body)
		r.about = &about
	}
	return *r.about
}

// accessKeyID is the identity of the caller. The signature itself is not checked: this is a test
// server.
func accessKeyID(r *http.Request) string {
	_, rest, ok := strings.Cut(r.Header.Get("Authorization"), "Credential=")
	if !ok {
		return ""
	}
	id, _, _ := strings.Cut(rest, "/")
	return id
}
