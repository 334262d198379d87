package tables

import (
	"encoding/json"
	"slices"
	"strings"

	"rootwatch/pipeline/awstest/wire"
)

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
		TableName           string
		ConsistentRead      bool
		ConditionExpression *string
	}
	// A request that cannot be read is about nothing: it will be refused soon.
	_ = json.Unmarshal(request, &in)
	return wire.Subject{
		Names:      []string{in.TableName[strings.LastIndex(in.TableName, "/")+1:]},
		Consistent: in.ConsistentRead, Conditional: in.ConditionExpression != nil,
	}
}
