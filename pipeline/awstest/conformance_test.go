package awstest_test

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/kinesis"
	"github.com/google/go-cmp/cmp"

	"rootwatch/pipeline/awstest"
)

// The conformance suite says what AWS does, in calls of AWS's own SDK. It runs against this
// package's server and, when these are set, against any other Kinesis and DynamoDB: both must agree
// with it, so neither is believed on its own word.
const (
	kinesisEndpointVar  = "ROOTWATCH_KINESIS_ENDPOINT"
	dynamodbEndpointVar = "ROOTWATCH_DYNAMODB_ENDPOINT"
	emulatorVar         = "ROOTWATCH_EMULATOR" // names, with commas between, of the lists in knownFaults
)

// fact is one thing that AWS does. Its name says what.
type fact struct {
	name string
	test func(p *probe)
}

// probe checks one fact. Unlike a testing.T it keeps what fails to itself: of another emulator a
// fault may be known.
type probe struct {
	ctx      context.Context // of the calls of one fact
	outer    context.Context // of the test
	k        *kinesis.Client
	d        *dynamodb.Client
	failures []string
	undo     []func()
}

// stop is what Fatalf panics with.
type stop struct{}

func (p *probe) Errorf(format string, args ...any) {
	p.failures = append(p.failures, fmt.Sprintf(format, args...))
}

func (p *probe) Fatalf(format string, args ...any) {
	p.Errorf(format, args...)
	panic(stop{})
}

// must ends the fact if a call fails.
func must[T any](p *probe) func(out T, err error) T {
	return func(out T, err error) T {
		if err != nil {
			p.Fatalf("%v", err)
		}
		return out
	}
}

// refused checks that a call failed with one of AWS's error names.
func (p *probe) refused(err error, codes ...string) {
	var api interface{ ErrorCode() string }
	switch {
	case err == nil:
		p.Errorf("the call went well, want %s", strings.Join(codes, " or "))
	case !errors.As(err, &api):
		p.Errorf("got %v, want %s", err, strings.Join(codes, " or "))
	default:
		for _, code := range codes {
			if api.ErrorCode() == code {
				return
			}
		}
		p.Errorf("got %v, want %s", err, strings.Join(codes, " or "))
	}
}

func (p *probe) equal(what string, got, want any) {
	if diff := cmp.Diff(want, got); diff != "" {
		p.Errorf("%s differs (-want +got):\n%s", what, diff)
	}
}

// eventually asks again until f is content: what takes time on AWS takes some on emulators too.
func (p *probe) eventually(what string, f func() bool) {
	deadline := time.After(factTimeout / 3)
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for !f() {
		select {
		case <-tick.C:
		case <-deadline:
			p.Fatalf("not within %s: %s", factTimeout/3, what)
		}
	}
}

// factTimeout is how long a fact may take: some emulators never answer some calls.
const factTimeout = 30 * time.Second

// within gives a fact another time than factTimeout, from now on.
func (p *probe) within(d time.Duration) {
	ctx, cancel := context.WithTimeout(p.outer, d)
	p.cleanup(cancel)
	p.ctx = ctx
}

// cleanup is done after the fact, whatever becomes of it.
func (p *probe) cleanup(f func()) { p.undo = append(p.undo, f) }

// run gives what a fact has found to complain about.
func (p *probe) run(f fact) []string {
	defer func() {
		for _, undo := range slices.Backward(p.undo) {
			undo()
		}
	}()
	func() {
		defer func() {
			p.ctx = p.outer // cleaning up has its own time
			if r := recover(); r != nil && r != (stop{}) {
				panic(r)
			}
		}()
		p.within(factTimeout)
		f.test(p)
	}()
	return p.failures
}

// uniqueName keeps the suite's streams and tables apart from whatever else is there.
func uniqueName(prefix string) string { return prefix + "-" + strings.ToLower(rand.Text()[:12]) }

// clients gives clients of the servers under test, and of which kind they are.
func clients(t *testing.T) (*kinesis.Client, *dynamodb.Client, []string) {
	k, d := os.Getenv(kinesisEndpointVar), os.Getenv(dynamodbEndpointVar)
	if k == "" && d == "" {
		srv := awstest.NewServer(awstest.Options{})
		t.Cleanup(srv.Close)
		return kinesis.NewFromConfig(srv.AWSConfig("")), dynamodb.NewFromConfig(srv.AWSConfig("")), nil
	}
	if k == "" || d == "" {
		t.Fatalf("set %s and %s, or neither", kinesisEndpointVar, dynamodbEndpointVar)
	}
	emulators := strings.Split(os.Getenv(emulatorVar), ",")
	return kinesis.NewFromConfig(awstest.Config(k, "us-east-1", "test")),
		dynamodb.NewFromConfig(awstest.Config(d, "us-east-1", "test")), emulators
}

func TestConformance(t *testing.T) {
	k, d, emulators := clients(t)
	known := map[string]string{}
	for _, emulator := range emulators {
		for fact, fault := range knownFaults[emulator] {
			known[fact] = emulator + ": " + fault
		}
	}
	for service, facts := range map[string][]fact{"kinesis": kinesisFacts, "resharding": reshardFacts, "dynamodb": dynamodbFacts, "expressions": expressionFacts, "limits": limitFacts} {
		t.Run(service, func(t *testing.T) {
			for _, f := range facts {
				t.Run(f.name, func(t *testing.T) {
					if emulators == nil {
						t.Parallel()
					}
					checkFact(t, f, k, d, known)
				})
			}
		})
	}
}

// checkFact fails when the server under test is wrong and that is news, and also when a fault on
// the list is one no more.
func checkFact(t *testing.T, f fact, k *kinesis.Client, d *dynamodb.Client, known map[string]string) {
	p := &probe{outer: t.Context(), k: k, d: d}
	failures := p.run(f)
	fault, isKnown := known[f.name]
	switch {
	case isKnown && len(failures) > 0:
		t.Logf("known fault of %s\n%s", fault, strings.Join(failures, "\n"))
	case isKnown:
		t.Errorf("%s: not so any more, take it off the list", fault)
	case len(failures) > 0:
		t.Error(strings.Join(failures, "\n"))
	}
}
