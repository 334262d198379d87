package kcl

import (
	"log/slog"
	"time"

	awstypes "github.com/aws/aws-sdk-go-v2/service/kinesis/types"

	"rootwatch/pipeline/kinesis/fetch"
	"rootwatch/pipeline/kinesis/lease"
)

// Config is what the library is run with.
type Config struct {
	Application, Stream, Region, Worker string
	LeaseDuration                       time.Duration
	MaxRecords                          int
	Leases                              *lease.Registry
	Fetcher                             *fetch.Fetcher
	Shards                              func() []string                        // ids of the shards that the library may know of
	Finished                            func(shardID string) bool              // whether a shard has been read to its end, by anybody
	Process                             func(*fetch.Reader, []awstypes.Record) // takes each answer; what it panics with is recovered
	Logger                              *slog.Logger
}
