// Package tables is the in-process DynamoDB: tables with their items, time to live, and the
// operations on them. What conditions, updates and projections mean is the business of package
// expr.
package tables

import (
	"encoding/json"
	"slices"
	"strings"
	"sync"
	"time"

	"rootwatch/pipeline/awstest/wire"
)

// Options are those of awstest.Options that DynamoDB has a use for; all are set.
type Options struct {
	Clock             func() time.Time
	CreateDuration    time.Duration
	AccountID, Region string
}

// Service is a DynamoDB in memory. Safe for concurrent use.
type Service struct {
	opts Options

	mu     sync.Mutex // guards all that follows: calls are served one at a time
	byName map[string]*table
	ids    uint64 // of tables
}

// New gives a DynamoDB without tables.
func New(opts Options) *Service {
	return &Service{opts: opts, byName: map[string]*table{}}
}

var operations = wire.Operations[*Service]{
	"CreateTable":        wire.Typed(createTable),
	"DescribeTable":      wire.Typed(describeTable),
	"DeleteTable":        wire.Typed(deleteTable),
	"ListTables":         wire.Typed(listTables),
	"UpdateTimeToLive":   wire.Typed(updateTimeToLive),
	"DescribeTimeToLive": wire.Typed(describeTimeToLive),
	"PutItem":            wire.Typed(putItem),
	"GetItem":            wire.Typed(getItem),
	"UpdateItem":         wire.Typed(updateItem),
	"DeleteItem":         wire.Typed(deleteItem),
	"Scan":               wire.Typed(scan),
}

// Answer carries a call out.
func (s *Service) Answer(r *wire.Request) (any, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return operations.Answer(s, r)
}

// itemOperations are those whose throttling is a table's.
var itemOperations = []string{"PutItem", "GetItem", "UpdateItem", "DeleteItem", "Scan"}

// Throttled is the error that AWS documents for too many calls of an operation.
func (s *Service) Throttled(operation string) error {
	if slices.Contains(itemOperations, operation) {
		return wire.Errorf("ProvisionedThroughputExceededException", "The level of configured provisioned throughput for the table was exceeded. Consider increasing your provisioning level with the UpdateTable API.")
	}
	return wire.Errorf("ThrottlingException", "Rate of requests exceeds the allowed throughput.")
}

// About reads out of a request which table it is about.
func (s *Service) About(request []byte) wire.Subject {
	var in struct {
		TableName      string
		ConsistentRead bool
	}
	// A request that cannot be read is about nothing: it will be refused soon.
	_ = json.Unmarshal(request, &in)
	return wire.Subject{Names: []string{in.TableName[strings.LastIndex(in.TableName, "/")+1:]}, Consistent: in.ConsistentRead}
}
