package streamtest

import (
	"net/http"
	"testing"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	awskinesis "github.com/aws/aws-sdk-go-v2/service/kinesis"

	"rootwatch/pipeline/awstest"
)

// NewNetwork is a cloud behind a real port, with real time: leases are short there.
func NewNetwork(t *testing.T, shards int) *Cloud {
	t.Helper()
	server := awstest.NewServer(awstest.Options{Seed: 1})
	t.Cleanup(server.Close)
	c := &Cloud{t: t, Service: server.Service, dial: func(id string) (*awskinesis.Client, *dynamodb.Client) {
		cfg := server.AWSConfig(id)
		transport := http.DefaultTransport.(*http.Transport).Clone()
		t.Cleanup(transport.CloseIdleConnections)
		cfg.HTTPClient = &http.Client{Transport: transport}
		return awskinesis.NewFromConfig(cfg), dynamodb.NewFromConfig(cfg)
	}}
	c.Kinesis, c.DynamoDB = c.Clients("test")
	c.CreateStream(shards)
	return c
}
