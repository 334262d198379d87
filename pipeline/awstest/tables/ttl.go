package tables

import "rootwatch/pipeline/awstest/wire"

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
