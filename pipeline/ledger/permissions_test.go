package ledger

import (
	"errors"
	"log/slog"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/prometheus/client_golang/prometheus"

	"rootwatch/pipeline/awstest"
	"rootwatch/pipeline/dynamo"
)

func TestAMissingPermissionToWriteEndsTheStart(t *testing.T) {
	for _, operation := range []string{"PutItem", "UpdateItem"} {
		t.Run(operation, func(t *testing.T) {
			endpoint, refuse := refusing(t, newServer(t), operation)
			refuse()
			l, err := New(Config{
				DynamoDB: dynamodb.NewFromConfig(awstest.Config(endpoint, "us-east-1", "a")), Table: testTable, Remember: 1,
				Registerer: prometheus.NewRegistry(), Logger: slog.New(slog.DiscardHandler),
			})
			if err != nil {
				t.Fatal(err)
			}
			err = l.Prepare(t.Context())
			var denied *dynamo.DeniedError
			if !errors.As(err, &denied) || denied.Table != testTable || !strings.Contains(err.Error(), "trying "+operation) {
				t.Errorf("it starts with %v", err)
			}
		})
	}
}

func TestTheStartWritesNoCallDown(t *testing.T) {
	server := newServer(t)
	l := task(t, server, "a")
	out, err := l.cfg.DynamoDB.Scan(t.Context(), &dynamodb.ScanInput{TableName: &l.cfg.Table})
	if err != nil {
		t.Fatal(err)
	}
	if len(out.Items) != 0 {
		t.Errorf("the table holds %v", out.Items)
	}
}
