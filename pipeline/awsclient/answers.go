package awsclient

import (
	"fmt"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	ddb "github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	awskinesis "github.com/aws/aws-sdk-go-v2/service/kinesis"
)

// strange is what is wrong with an answer, "" if nothing is: what some caller in this program
// decides on is not there, or contradicts itself. Operations whose answer nobody decides on have no
// case.
func strange(in, out any) string {
	switch out := out.(type) {
	case *awskinesis.DescribeStreamSummaryOutput:
		return streamSummary(out)
	case *awskinesis.ListShardsOutput:
		return shards(in, out)
	case *awskinesis.GetShardIteratorOutput:
		if aws.ToString(out.ShardIterator) == "" {
			return "has no iterator"
		}
	case *awskinesis.GetRecordsOutput:
		return records(out)
	case *dynamodb.DescribeTableOutput:
		if t := out.Table; t == nil || t.TableStatus == "" || len(t.KeySchema) == 0 {
			return "has no table with a status and a key"
		}
	case *dynamodb.ScanOutput:
		if out.Items == nil || len(out.Items) != int(out.Count) {
			return fmt.Sprintf("has %d items and counts %d", len(out.Items), out.Count)
		}
	case *dynamodb.GetItemOutput:
		if out.ConsumedCapacity == nil {
			return "does not say what it has cost, so nobody may have looked for the item"
		}
	case *dynamodb.UpdateItemOutput:
		if u, ok := in.(*dynamodb.UpdateItemInput); ok && u.ReturnValues == ddb.ReturnValueAllNew && len(out.Attributes) == 0 {
			return "does not have the item"
		}
	}
	return ""
}

func streamSummary(out *awskinesis.DescribeStreamSummaryOutput) string {
	s := out.StreamDescriptionSummary
	switch {
	case s == nil || s.StreamStatus == "":
		return "has no stream with a status"
	case aws.ToInt32(s.RetentionPeriodHours) <= 0:
		return "has no retention"
	}
	return ""
}

// shards: a stream always has a shard, so the first page of a list is never empty.
func shards(in any, out *awskinesis.ListShardsOutput) string {
	if l, ok := in.(*awskinesis.ListShardsInput); ok && l.NextToken == nil && len(out.Shards) == 0 {
		return "has no shard"
	}
	for i := range out.Shards {
		s := &out.Shards[i]
		if aws.ToString(s.ShardId) == "" || s.SequenceNumberRange == nil || aws.ToString(s.SequenceNumberRange.StartingSequenceNumber) == "" {
			return "has a shard without an id or a first sequence number"
		}
	}
	return ""
}

// records: that there is no next iterator is judged by the reader, which knows its shard.
func records(out *awskinesis.GetRecordsOutput) string {
	if out.Records == nil {
		return "has no list of records"
	}
	for i := range out.Records {
		if aws.ToString(out.Records[i].SequenceNumber) == "" {
			return "has a record without a sequence number"
		}
	}
	return ""
}
