// Package tables is the in-process DynamoDB: tables with their items, time to live, and the
// operations on them. What conditions, updates and projections mean is the business of package
// expr.
package tables

import (
	"regexp"
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

// findTable finds a table in whatever status.
func (s *Service) findTable(name string) (*table, time.Time, error) {
	name, err := s.tableName(name)
	if err != nil {
		return nil, time.Time{}, err
	}
	now := s.opts.Clock()
	t := s.byName[name]
	if t == nil || t.goneAt(now) {
		delete(s.byName, name)
		return nil, now, wire.Errorf("ResourceNotFoundException", "Requested resource not found: Table: %s not found", name)
	}
	t.expire(now)
	return t, now, nil
}

// servingTable is findTable for items: they can be had while the table is ACTIVE only.
func (s *Service) servingTable(name string) (*table, error) {
	name, err := s.tableName(name)
	if err != nil {
		return nil, err
	}
	t, now, err := s.findTable(name)
	if err != nil || t.status(now) != "ACTIVE" {
		return nil, wire.Errorf("ResourceNotFoundException", "Requested resource not found")
	}
	return t, nil
}

var tableNamePattern = regexp.MustCompile(`^[a-zA-Z0-9_.-]{3,255}$`)

// tableName is the name that a request means by a name or an ARN.
func (s *Service) tableName(name string) (string, error) {
	if name == "" {
		return "", wire.Missing("tableName")
	}
	if prefix := s.tableARN(""); strings.HasPrefix(name, prefix) {
		name = strings.TrimPrefix(name, prefix)
	}
	if !tableNamePattern.MatchString(name) {
		return "", wire.Invalid("Invalid table/index name.  Table/index names must be between 3 and 255 characters long, and may contain only the characters a-z, A-Z, 0-9, '_', '-', and '.'")
	}
	return name, nil
}

func (s *Service) tableARN(name string) string {
	return "arn:aws:dynamodb:" + s.opts.Region + ":" + s.opts.AccountID + ":table/" + name
}
