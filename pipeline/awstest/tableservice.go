package awstest

import (
	"encoding/json"
	"slices"
	"strings"
	"sync"
	"time"
)

// tableOptions are those of awstest.Options that DynamoDB has a use for; all are set.
type tableOptions struct {
	Clock             func() time.Time
	CreateDuration    time.Duration
	AccountID, Region string
}

// tableService is a DynamoDB in memory. Safe for concurrent use.
type tableService struct {
	opts tableOptions

	mu     sync.Mutex // guards all that follows: calls are served one at a time
	byName map[string]*table
	ids    uint64 // of tables
}

// newTables gives a DynamoDB without tables.
func newTables(opts tableOptions) *tableService {
	return &tableService{opts: opts, byName: map[string]*table{}}
}

var tableOperations = operations[*tableService]{
	"CreateTable":        typed(createTable),
	"DescribeTable":      typed(describeTable),
	"DeleteTable":        typed(deleteTable),
	"ListTables":         typed(listTables),
	"UpdateTimeToLive":   typed(updateTimeToLive),
	"DescribeTimeToLive": typed(describeTimeToLive),
	"PutItem":            typed(putItem),
	"GetItem":            typed(getItem),
	"UpdateItem":         typed(updateItem),
	"DeleteItem":         typed(deleteItem),
	"Scan":               typed(scan),
}

// Answer carries a call out.
func (s *tableService) Answer(r *wireRequest) (any, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return tableOperations.answer(s, r)
}

// itemOperations are those whose throttling is a table's.
var itemOperations = []string{"PutItem", "GetItem", "UpdateItem", "DeleteItem", "Scan"}

// Throttled is the error that AWS documents for too many calls of an operation.
func (s *tableService) Throttled(operation string) error {
	if slices.Contains(itemOperations, operation) {
		return errorf("ProvisionedThroughputExceededException", "The level of configured provisioned throughput for the table was exceeded. Consider increasing your provisioning level with the UpdateTable API.")
	}
	return errorf("ThrottlingException", "Rate of requests exceeds the allowed throughput.")
}

// About reads out of a request which table it is about.
func (s *tableService) About(request []byte) subject {
	var in struct {
		TableName      string
		ConsistentRead bool
	}
	// A request that cannot be read is about nothing: it will be refused soon.
	_ = json.Unmarshal(request, &in)
	return subject{Names: []string{in.TableName[strings.LastIndex(in.TableName, "/")+1:]}, Consistent: in.ConsistentRead}
}
