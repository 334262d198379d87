// Package streamtest is a stream and a lease table in the same process, for the tests of the
// Kinesis source: called without a network in made-up time, or over one in real time.
package streamtest
