package awsclient

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	ddb "github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	awskinesis "github.com/aws/aws-sdk-go-v2/service/kinesis"

	"rootwatch/pipeline/awserr"
	"rootwatch/pipeline/awstest"
)

// answering are clients of an endpoint that has one answer.
func answering(t *testing.T, status int, body string) (*awskinesis.Client, *dynamodb.Client) {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(status)
		fmt.Fprint(w, body)
	}))
	t.Cleanup(server.Close)
	config := awstest.Config(server.URL, "us-east-1", "test")
	config.Retryer = func() aws.Retryer { return aws.NopRetryer{} }
	return Kinesis(awskinesis.NewFromConfig(config)), DynamoDB(dynamodb.NewFromConfig(config))
}

// calls are all whose answers something is decided on.
var calls = map[string]func(*testing.T, *awskinesis.Client, *dynamodb.Client) error{
	"DescribeStreamSummary": func(t *testing.T, k *awskinesis.Client, _ *dynamodb.Client) error {
		_, err := k.DescribeStreamSummary(t.Context(), &awskinesis.DescribeStreamSummaryInput{StreamName: aws.String("events")})
		return err
	},
	"ListShards": func(t *testing.T, k *awskinesis.Client, _ *dynamodb.Client) error {
		_, err := k.ListShards(t.Context(), &awskinesis.ListShardsInput{StreamName: aws.String("events")})
		return err
	},
	"GetShardIterator": func(t *testing.T, k *awskinesis.Client, _ *dynamodb.Client) error {
		_, err := k.GetShardIterator(t.Context(), &awskinesis.GetShardIteratorInput{StreamName: aws.String("events"), ShardId: aws.String("shard"), ShardIteratorType: "TRIM_HORIZON"})
		return err
	},
	"GetRecords": func(t *testing.T, k *awskinesis.Client, _ *dynamodb.Client) error {
		_, err := k.GetRecords(t.Context(), &awskinesis.GetRecordsInput{ShardIterator: aws.String("at")})
		return err
	},
	"DescribeTable": func(t *testing.T, _ *awskinesis.Client, d *dynamodb.Client) error {
		_, err := d.DescribeTable(t.Context(), &dynamodb.DescribeTableInput{TableName: aws.String("calls")})
		return err
	},
	"Scan": func(t *testing.T, _ *awskinesis.Client, d *dynamodb.Client) error {
		_, err := d.Scan(t.Context(), &dynamodb.ScanInput{TableName: aws.String("calls")})
		return err
	},
	"GetItem": func(t *testing.T, _ *awskinesis.Client, d *dynamodb.Client) error {
		_, err := d.GetItem(t.Context(), &dynamodb.GetItemInput{TableName: aws.String("calls"), Key: map[string]ddb.AttributeValue{"id": &ddb.AttributeValueMemberS{Value: "one"}}})
		return err
	},
	"UpdateItem": func(t *testing.T, _ *awskinesis.Client, d *dynamodb.Client) error {
		_, err := d.UpdateItem(t.Context(), &dynamodb.UpdateItemInput{
			TableName: aws.String("calls"), Key: map[string]ddb.AttributeValue{"id": &ddb.AttributeValueMemberS{Value: "one"}},
			UpdateExpression: aws.String("SET seen = :seen"), ReturnValues: ddb.ReturnValueAllNew,
			ExpressionAttributeValues: map[string]ddb.AttributeValue{":seen": &ddb.AttributeValueMemberS{Value: "now"}},
		})
		return err
	},
}

func TestAnAnswerThatLacksWhatIsDecidedOnItIsAnErrorThatTimeHeals(t *testing.T) {
	const shard = `"ShardId":"shardId-000000000000","HashKeyRange":{"StartingHashKey":"0","EndingHashKey":"1"}`
	bodies := map[string][]string{
		"DescribeStreamSummary": {`{"StreamDescriptionSummary":{}}`, `{"StreamDescriptionSummary":{"StreamStatus":"ACTIVE"}}`, `{"StreamDescriptionSummary":{"RetentionPeriodHours":24}}`},
		"ListShards":            {`{"Shards":[]}`, `{"Shards":[{}]}`, `{"Shards":[{` + shard + `}]}`, `{"Shards":[{` + shard + `,"SequenceNumberRange":{}}]}`},
		"GetShardIterator":      {`{"ShardIterator":""}`},
		"GetRecords":            {`{"NextShardIterator":"next"}`, `{"Records":null,"NextShardIterator":"next"}`, `{"Records":[{"Data":"","PartitionKey":"a"}],"NextShardIterator":"next"}`},
		"DescribeTable":         {`{"Table":{}}`, `{"Table":{"TableStatus":"ACTIVE"}}`, `{"Table":{"KeySchema":[{"AttributeName":"id","KeyType":"HASH"}]}}`},
		"Scan":                  {`{"Count":0,"ScannedCount":0}`, `{"Count":2,"Items":[{"id":{"S":"one"}}],"ScannedCount":2}`},
		"GetItem":               {`{"Item":{"id":{"S":"one"}}}`},
		"UpdateItem":            {`{"Attributes":{}}`},
	}
	for name, call := range calls {
		for _, body := range append(bodies[name], `{}`, ``, `null`, `<html>Welcome</html>`, `{"Records":[`) {
			t.Run(name+" "+body, func(t *testing.T) {
				k, d := answering(t, http.StatusOK, body)
				if err := call(t, k, d); !awserr.Strange(err) || !awserr.Healing(err) {
					t.Errorf("%v", err)
				}
			})
		}
	}
}

// What AWS refuses is that, also by an answer that is no JSON: it must not look like a strange one.
func TestErrorsAreNotStrange(t *testing.T) {
	for name, call := range calls {
		for _, c := range []struct {
			status int
			body   string
		}{{400, `{"__type":"AccessDeniedException","message":"no"}`}, {500, `{"__type":"InternalFailure"}`}, {503, `<html>Unavailable</html>`}} {
			t.Run(fmt.Sprintf("%s %d", name, c.status), func(t *testing.T) {
				k, d := answering(t, c.status, c.body)
				if err := call(t, k, d); err == nil || awserr.Strange(err) {
					t.Errorf("%v", err)
				}
			})
		}
	}
}

// Good answers are believed: those of the stand-in, which are AWS's as far as is known.
func TestGoodAnswersAreBelieved(t *testing.T) {
	server := awstest.NewServer(awstest.Options{})
	t.Cleanup(server.Close)
	config := server.AWSConfig("test")
	k, d := Kinesis(awskinesis.NewFromConfig(config)), DynamoDB(DynamoDB(dynamodb.NewFromConfig(config))) // twice does no harm
	if _, err := k.CreateStream(t.Context(), &awskinesis.CreateStreamInput{StreamName: aws.String("events"), ShardCount: aws.Int32(1)}); err != nil {
		t.Fatal(err)
	}
	if _, err := d.CreateTable(t.Context(), &dynamodb.CreateTableInput{
		TableName: aws.String("calls"), BillingMode: ddb.BillingModePayPerRequest,
		AttributeDefinitions: []ddb.AttributeDefinition{{AttributeName: aws.String("id"), AttributeType: "S"}},
		KeySchema:            []ddb.KeySchemaElement{{AttributeName: aws.String("id"), KeyType: "HASH"}},
	}); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"DescribeStreamSummary", "ListShards", "DescribeTable", "Scan", "GetItem", "UpdateItem"} {
		if err := calls[name](t, k, d); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}
