package tables

import (
	"slices"
	"time"

	"rootwatch/pipeline/awstest/expr"
	"rootwatch/pipeline/awstest/wire"
)

// timeToLive is a table's TimeToLiveSpecification.
type timeToLive struct {
	AttributeName string
	Enabled       bool
}

type updateTimeToLiveInput struct {
	TableName               string
	TimeToLiveSpecification *timeToLive
}

func updateTimeToLive(s *Service, _ *wire.Request, in *updateTimeToLiveInput) (any, error) {
	spec := in.TimeToLiveSpecification
	if spec == nil {
		return nil, wire.Missing("timeToLiveSpecification")
	}
	if spec.AttributeName == "" {
		return nil, wire.Missing("timeToLiveSpecification.attributeName")
	}
	t, err := s.servingTable(in.TableName)
	if err != nil {
		return nil, err
	}
	switch {
	case t.ttl.Enabled && spec.Enabled:
		return nil, wire.Invalid("TimeToLive is already enabled")
	case !t.ttl.Enabled && !spec.Enabled:
		return nil, wire.Invalid("TimeToLive is already disabled")
	case t.ttl.Enabled && t.ttl.AttributeName != spec.AttributeName:
		return nil, wire.Invalid("TimeToLive is active on a different AttributeName: current AttributeName is %s", t.ttl.AttributeName)
	}
	t.ttl = *spec
	return struct{ TimeToLiveSpecification timeToLive }{*spec}, nil
}

func describeTimeToLive(s *Service, _ *wire.Request, in *tableInput) (any, error) {
	t, _, err := s.findTable(in.TableName)
	if err != nil {
		return nil, err
	}
	type description struct {
		AttributeName    string `json:",omitempty"`
		TimeToLiveStatus string
	}
	d := description{TimeToLiveStatus: "DISABLED"}
	if t.ttl.Enabled {
		d = description{t.ttl.AttributeName, "ENABLED"}
	}
	return struct{ TimeToLiveDescription description }{d}, nil
}

// expiryDelay is how long an expired item stays to be read. AWS promises "within a few days" and no
// sooner: whoever reads must look at the time himself.
const expiryDelay = 48 * time.Hour

// maxExpiry is how old a time to live may be to be believed: AWS ignores what is over five years
// old.
const maxExpiry = 5 * 365 * 24 * time.Hour

// expiryInterval is how often a table is searched for them.
const expiryInterval = time.Minute

// expire removes the items whose time to live ended expiryDelay ago.
func (t *table) expire(now time.Time) {
	if !t.ttl.Enabled || now.Before(t.nextExpiry) {
		return
	}
	t.nextExpiry = now.Add(expiryInterval)
	t.rows = slices.DeleteFunc(t.rows, func(r row) bool {
		gone := t.hasExpired(r.item, now)
		if gone {
			t.keep(r)
			t.bytes -= int64(r.bytes)
		}
		return gone
	})
}

func (t *table) hasExpired(it expr.Item, now time.Time) bool {
	expires, ok := it[t.ttl.AttributeName].Whole()
	age := now.Unix() - expires
	return ok && age > int64(expiryDelay/time.Second) && age < int64(maxExpiry/time.Second)
}
