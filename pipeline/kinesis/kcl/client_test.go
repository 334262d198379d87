package kcl

import (
	"strings"
	"testing"
	"time"

	awskinesis "github.com/aws/aws-sdk-go-v2/service/kinesis"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/prometheus/client_golang/prometheus"

	"rootwatch/pipeline/kinesis/fetch"
	"rootwatch/pipeline/kinesis/metrics"
)

// What the library may ask of its client: anything but polling is refused, not sent.
func TestTheLibrarysClientAnswersPollingAlone(t *testing.T) {
	client := newClient("us-east-1", nil, fetch.New(fetch.Config{Leases: noLeases(), Metrics: metrics.New(prometheus.NewPedanticRegistry(), time.Now)}))
	_, err := client.SubscribeToShard(t.Context(), &awskinesis.SubscribeToShardInput{ConsumerARN: aws.String("arn"), ShardId: aws.String("shard")})
	if err == nil || !strings.Contains(err.Error(), "which polling does not need") {
		t.Errorf("SubscribeToShard: %v", err)
	}
	for _, token := range []string{"", "shard", "shard/1", "/", "shard/1/2"} {
		if _, err := client.GetRecords(t.Context(), &awskinesis.GetRecordsInput{ShardIterator: &token}); err == nil {
			t.Errorf("GetRecords answers the iterator %q", token)
		}
	}
	if _, err := client.GetShardIterator(t.Context(), &awskinesis.GetShardIteratorInput{ShardId: aws.String("shard"), ShardIteratorType: "TRIM_HORIZON"}); err == nil {
		t.Error("GetShardIterator answers for a shard that is not held")
	}
}
