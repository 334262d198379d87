package kinesis

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	ddb "github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	awskinesis "github.com/aws/aws-sdk-go-v2/service/kinesis"

	"rootwatch/pipeline/awstest"
	"rootwatch/pipeline/dynamo"
	"rootwatch/pipeline/kinesis/streamtest"
)

// dynamodb-checkpointer.go:126 describes, then creates, and takes ResourceInUse for a failure: of
// workers that start together all but one die. It does not wait until the table is ACTIVE, either,
// and pays for 10 reads and writes.
func TestWorkersThatStartTogetherShareOneNewTable(t *testing.T) {
	bubble(t, func(t *testing.T) {
		c := newCloud(t, 4, awstest.Options{CreateDuration: 10 * time.Second})
		pass(t, 10*time.Second)
		began := time.Now()
		var all []*reader
		for i := range 4 {
			all = append(all, c.start(fmt.Sprint("worker ", i), setup{config: trimHorizon}))
		}
		until(t, time.Minute, "four workers share four shards", func() bool { return even(4, all...) })
		if waited := time.Since(began); waited < 10*time.Second {
			t.Errorf("leases were taken %s after the start, the table needs 10s", waited)
		}
		c.Put(40)
		c.readAll(time.Minute, all...)
		for _, r := range all {
			r.endWell()
		}
		c.once(all...)
		out, err := c.DynamoDB.DescribeTable(t.Context(), &dynamodb.DescribeTableInput{TableName: aws.String(testApp)})
		if err != nil || out.Table.BillingModeSummary == nil || out.Table.BillingModeSummary.BillingMode != ddb.BillingModePayPerRequest {
			t.Errorf("the table is %+v: %v", out, err)
		}
	})
}

func TestErrorsThatWaitingDoesNotHealEndRunWithAHint(t *testing.T) {
	denied := func(action string) func(*streamtest.Call) {
		return func(k *streamtest.Call) {
			if k.Action == action && k.ID == "worker" {
				k.Say(400, `{"__type":"AccessDeniedException","message":"User: arn:aws:iam::123456789012:user/worker is not authorized to perform: `+action+`"}`)
			}
		}
	}
	for name, test := range map[string]struct {
		config func(*Config)
		before func(*cloud)
		want   []string
	}{
		"no such stream": {
			config: func(cfg *Config) { cfg.Stream = "missing" },
			want:   []string{"stream missing does not exist in region us-east-1"},
		},
		"a stream of another account": {
			config: func(cfg *Config) { cfg.Stream = "arn:aws:kinesis:us-east-1:210987654321:stream/events" },
			want:   []string{"arn:aws:kinesis:us-east-1:210987654321:stream/events does not exist"},
		},
		"the stream must not be described": {
			before: func(c *cloud) { c.OnCall(denied("kinesis:DescribeStreamSummary")) },
			want:   []string{"no permission to read stream events in region us-east-1", "kinesis:DescribeStreamSummary", "not authorized"},
		},
		"its shards must not be listed": {
			before: func(c *cloud) { c.OnCall(denied("kinesis:ListShards")) },
			want:   []string{"no permission to read stream events in region us-east-1", "ListShards", "not authorized"},
		},
		"the lease table must not be described": {
			before: func(c *cloud) { c.OnCall(denied("dynamodb:DescribeTable")) },
			want:   []string{testApp, "not authorized to perform: dynamodb:DescribeTable"},
		},
		"the lease table must not be made": {
			before: func(c *cloud) { c.OnCall(denied("dynamodb:CreateTable")) },
			want:   []string{testApp, "not authorized to perform: dynamodb:CreateTable"},
		},
		"the lease table must not be written": {
			before: func(c *cloud) { c.OnCall(denied("dynamodb:UpdateItem")) },
			want:   []string{testApp, "not authorized to perform: dynamodb:UpdateItem"},
		},
		"a table of that name is something else": {
			before: func(c *cloud) {
				if err := dynamo.Ensure(c.t.Context(), c.DynamoDB, testApp, "OrderID"); err != nil {
					c.t.Fatal(err)
				}
			},
			want: []string{testApp, "key OrderID, not ShardID"},
		},
		"the table has a range key": {
			before: func(c *cloud) {
				attribute := func(name string) ddb.AttributeDefinition {
					return ddb.AttributeDefinition{AttributeName: aws.String(name), AttributeType: ddb.ScalarAttributeTypeS}
				}
				if _, err := c.DynamoDB.CreateTable(c.t.Context(), &dynamodb.CreateTableInput{
					TableName: aws.String(testApp), BillingMode: ddb.BillingModePayPerRequest,
					AttributeDefinitions: []ddb.AttributeDefinition{attribute("ShardID"), attribute("Time")},
					KeySchema:            []ddb.KeySchemaElement{{AttributeName: aws.String("ShardID"), KeyType: ddb.KeyTypeHash}, {AttributeName: aws.String("Time"), KeyType: ddb.KeyTypeRange}},
				}); err != nil {
					c.t.Fatal(err)
				}
			},
			want: []string{testApp, "key Time"},
		},
		"the table belongs to another stream": {
			before: func(c *cloud) {
				c.EnsureTable()
				c.PutItem(dynamo.Item{"ShardID": dynamo.String("rootwatch/start"), "FirstStart": dynamo.String("2026-01-01T00:00:00Z"), "Stream": dynamo.String("orders")})
			},
			want: []string{"lease table " + testApp + " belongs to stream orders, not events"},
		},
		"the first start in the table is no time": {
			before: func(c *cloud) {
				c.EnsureTable()
				c.PutItem(dynamo.Item{"ShardID": dynamo.String("rootwatch/start"), "FirstStart": dynamo.String("yesterday"), "Stream": dynamo.String(testStream)})
			},
			want: []string{"rootwatch/start", "no RFC 3339 time"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				c := newCloud(t, 1, awstest.Options{})
				if test.before != nil {
					test.before(c)
				}
				r := c.start("worker", setup{config: test.config})
				select {
				case <-r.ended:
				case <-time.After(time.Minute):
					t.Fatalf("Run goes on after a minute: %s", r.logs.Lines("level=WARN"))
				}
				if r.err == nil {
					t.Fatal("Run has ended without an error")
				}
				for _, want := range test.want {
					if !strings.Contains(r.err.Error(), want) {
						t.Errorf("%q is not said in: %v", want, r.err)
					}
				}
				if n := c.CallsBy("worker")["kinesis:GetRecords"]; n > 1 { // one tries whether it may read
					t.Errorf("%d reads were made", n)
				}
			})
		})
	}
}

// What heals is waited out, also at the start.
func TestTheStartWaitsForWhatHeals(t *testing.T) {
	for name, fault := range map[string]awstest.Fault{
		"Kinesis is throttled":    {Service: "kinesis", Effect: awstest.Throttle},
		"Kinesis is out of reach": {Service: "kinesis", Effect: awstest.Drop},
		"DynamoDB fails":          {Service: "dynamodb", Effect: awstest.Fail},
		"DynamoDB is throttled":   {Service: "dynamodb", Effect: awstest.Throttle},
		"DynamoDB hangs":          {Service: "dynamodb", Effect: awstest.Hang},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				c := newCloud(t, 2, awstest.Options{})
				fault.AccessKeyID = "worker"
				outage := c.Inject(fault)
				r := c.start("worker", setup{config: trimHorizon})
				pass(t, 2*time.Minute)
				outage.Remove()
				c.Put(10)
				c.readAll(time.Minute, r)
				r.endWell()
				c.once(r)
			})
		})
	}
}

func TestTheStartWaitsForAStreamThatIsBeingMade(t *testing.T) {
	bubble(t, func(t *testing.T) {
		c := newCloud(t, 2, awstest.Options{CreateDuration: 30 * time.Second})
		r := c.start("worker", setup{config: trimHorizon})
		pass(t, 20*time.Second)
		if err := r.Ready(); err == nil {
			t.Error("ready before there are shards")
		}
		pass(t, 15*time.Second)
		c.Put(10)
		c.readAll(time.Minute, r)
	})
}

// The shards are listed, the table is not read: nothing is known yet.
func TestALookThatFailsHalfWayIsTakenAgain(t *testing.T) {
	bubble(t, func(t *testing.T) {
		c := newCloud(t, 2, awstest.Options{})
		scans := 0
		c.OnCall(func(k *streamtest.Call) {
			if k.Action != "dynamodb:Scan" || strings.Contains(string(k.Request), `"Limit"`) { // the start tries the permission
				return
			}
			if scans++; scans == 1 {
				k.Say(400, `{"__type":"com.amazon.coral.validate#ValidationException","message":"not now"}`)
			}
		})
		began := time.Now()
		r := c.start("worker", setup{config: trimHorizon})
		until(t, time.Minute, "it holds the shards", func() bool {
			if err := r.Ready(); err == nil && len(r.holds()) == 0 {
				t.Fatal("ready without having read the table")
			}
			return len(r.holds()) == 2
		})
		if took := time.Since(began); took > 4*time.Second {
			t.Errorf("the leases were taken after %s", took)
		}
	})
}

func TestTheStreamsARNIsUsedThroughout(t *testing.T) {
	bubble(t, func(t *testing.T) {
		c := newCloud(t, 2, awstest.Options{})
		arn := "arn:aws:kinesis:us-east-1:123456789012:stream/" + testStream
		c.OnCall(func(k *streamtest.Call) {
			if k.ID == "worker" && strings.HasPrefix(k.Action, "kinesis:") && !strings.Contains(string(k.Request), arn) && !strings.Contains(string(k.Request), "NextToken") {
				t.Errorf("%s does not name the ARN: %s", k.Action, k.Request)
			}
		})
		r := c.start("worker", setup{config: func(cfg *Config) { trimHorizon(cfg); cfg.Stream = arn }})
		c.Put(10)
		c.readAll(time.Minute, r)
		r.endWell()
		// The name means the same stream: the same table.
		byName := c.start("by name", setup{config: trimHorizon})
		byName.holding(2)
		pass(t, 5*time.Second)
		byName.endWell()
		c.OnCall(nil)
		c.once(r, byName)
	})
}

func TestConfigurationIsCheckedBeforeAnythingIsTouched(t *testing.T) {
	for name, test := range map[string]struct {
		change func(*Config)
		want   string
	}{
		"no stream":                {func(c *Config) { c.Stream = "" }, "is not a stream's name"},
		"a stream's name with /":   {func(c *Config) { c.Stream = "a/b" }, "is not a stream's name"},
		"an ARN of a queue":        {func(c *Config) { c.Stream = "arn:aws:sqs:us-east-1:123456789012:events" }, "is not the ARN of a Kinesis stream"},
		"an ARN of a consumer":     {func(c *Config) { c.Stream = "arn:aws:kinesis:us-east-1:123456789012:stream/events/consumer/c:1" }, "is not a stream's name"},
		"an application too short": {func(c *Config) { c.Application = "ab" }, "cannot name a DynamoDB table"},
		"a lease of a second":      {func(c *Config) { c.LeaseDuration = time.Second }, "2s at least"},
		"polls without a pause":    {func(c *Config) { c.PollInterval = 0 }, "200ms at least"},
		"no checkpoints":           {func(c *Config) { c.CheckpointInterval = 0 }, "must be positive"},
		"no time to stop":          {func(c *Config) { c.ShutdownTimeout = 0 }, "must be positive"},
		"no records":               {func(c *Config) { c.MaxRecords = 0 }, "1 to 10000"},
		"too many records":         {func(c *Config) { c.MaxRecords = 10001 }, "1 to 10000"},
		"little memory":            {func(c *Config) { c.FetchMemory = 1 << 20 }, "16 MiB at least"},
		"a start in the future":    {func(c *Config) { c.Start.Time = time.Now().Add(time.Hour) }, "in the future"},
	} {
		cfg := Config{
			Kinesis: awskinesis.New(awskinesis.Options{}), DynamoDB: dynamodb.New(dynamodb.Options{}), Region: "us-east-1", Stream: testStream, Application: testApp,
			PollInterval: time.Second, LeaseDuration: 20 * time.Second, CheckpointInterval: time.Second, ShutdownTimeout: 25 * time.Second,
			MaxRecords: 1000, FetchMemory: 64 << 20, Registerer: prometheusRegistry(), Logger: new(logs).Logger(),
		}
		if _, err := New(cfg); err != nil {
			t.Fatal(err)
		}
		cfg.Registerer = prometheusRegistry()
		test.change(&cfg)
		if _, err := New(cfg); err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: %v, want %q", name, err, test.want)
		}
	}
}
