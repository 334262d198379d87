// Package awstest is a Kinesis and a DynamoDB in memory, as net/http/httptest is a web server: for
// tests of what consumes a stream, for demos, benchmarks and chaos.
//
// A [Service] is an http.Handler that speaks AWS's two JSON protocols; a [Server] is one that
// listens on 127.0.0.1. AWS's SDK and the libraries on top of it (the vmware KCL for example) work
// against it as they are, given [Server.AWSConfig] or, in another process, AWS_ENDPOINT_URL and any
// credentials:
//
//	srv := awstest.NewServer(awstest.Options{})
//	defer srv.Close()
//	k := kinesis.NewFromConfig(srv.AWSConfig("worker-1"))
//	d := dynamodb.NewFromConfig(srv.AWSConfig("worker-1"))
//
// # Packages
//
// Package streams is the Kinesis and package tables the DynamoDB; expr is DynamoDB's expressions,
// wire what both services have in common. This package serves them: HTTP, faults, and what was
// called by whom.
//
// # Time
//
// Nothing happens by itself: a Service has no goroutines of its own. Options.Clock says what time
// it is, and what time brings about (a stream becomes ACTIVE, an iterator expires, records pass
// their retention) has happened when somebody looks. A test with a clock of its own, or with
// testing/synctest, waits for nothing.
//
// # What can go wrong
//
// [Service.Inject] makes calls fail while a test runs, chosen by service, operation, stream or
// table, shard and caller: throttled, refused before or after they took effect, cut off, slow,
// carried out when nobody waits any more, or never answered; a GetRecords finds nothing, a read
// shows what was there before; answers that lie (short, backwards, twice, {}, a web page) or break
// off. The caller is known by the access key id, so one of several workers
// can be cut off from one of the services:
//
//	cut := srv.Inject(awstest.Fault{Service: "dynamodb", AccessKeyID: "worker-1", Effect: awstest.Drop})
//	...
//	cut.Remove()
//
// [Service.ExpireIterators] and [Service.Trim] do at once what otherwise takes minutes and days. A
// server in another process can be told all this over HTTP, by [Admin], if Options.Admin allows it.
// [Service.Calls] says what was called, by whom and how often: to count, or to prove that an IAM
// policy has no action too many and none too few.
//
// # What is there, and what is not
//
// Kinesis: streams (provisioned and on-demand, with DescribeStream, DescribeStreamSummary,
// ListStreams and ListShards), records (PutRecord, PutRecords, GetShardIterator, GetRecords),
// SplitShard, MergeShards and UpdateShardCount. Missing: other retentions than 24 hours,
// UpdateStreamMode, UpdateMaxRecordSize, DescribeLimits, enhanced fan-out, encryption, tags,
// policies, warm throughput, DryRun.
//
// DynamoDB: tables (CreateTable, DescribeTable, DeleteTable, ListTables, time to live), items
// (GetItem, PutItem, UpdateItem, DeleteItem, Scan) with condition, update, projection and filter
// expressions. Missing: Query, batches, transactions, UpdateTable, DescribeLimits, secondary
// indexes, streams, encryption, tags, table classes, policies, global tables, PartiQL, and the
// parameters that expressions have replaced.
//
// To use what is missing, an operation or a parameter, is an error, never ignored.
//
// Limits are AWS's: sizes always, rates with Options.Limits. Errors have AWS's names. Credentials
// and signatures are not checked: this is no place for secrets, or for the network.
//
// Where AWS's documentation is silent the strict answer was chosen, so that what works here works
// there: a sequence number whose record has been trimmed is an InvalidArgumentException; an item
// whose time to live has passed can be read for 48 hours more. Of the first AWS has been seen to do
// otherwise: a consumer should be tested with Options.TrimmedIterators too.
//
// That all this is so is checked by a conformance suite, which runs against other servers too: see
// emulators.sh and the variables ROOTWATCH_KINESIS_ENDPOINT and ROOTWATCH_DYNAMODB_ENDPOINT.
package awstest
