package dynamo

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
)

// answering is DynamoDB as far as one answer goes.
func answering(t *testing.T, status int, body string) *dynamodb.Client {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(status)
		fmt.Fprint(w, body)
	}))
	t.Cleanup(server.Close)
	return dynamodb.NewFromConfig(aws.Config{
		Region: "eu-west-1", BaseEndpoint: &server.URL, Retryer: func() aws.Retryer { return aws.NopRetryer{} },
		Credentials: aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) {
			return aws.Credentials{AccessKeyID: "key", SecretAccessKey: "secret"}, nil
		}),
	})
}

func TestAMissingPermissionNamesTableAndRegion(t *testing.T) {
	svc := answering(t, http.StatusBadRequest, `{"__type":"com.amazon.coral.service#AccessDeniedException","Message":"no"}`)
	err := Ensure(t.Context(), svc, "calls", "id")
	var denied *DeniedError
	if !errors.As(err, &denied) || denied.Table != "calls" || denied.Region != "eu-west-1" {
		t.Fatalf("%#v", err)
	}
	for _, want := range []string{"calls", "eu-west-1", "DescribeTable", "AccessDeniedException"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("the error does not say %q: %v", want, err)
		}
	}
	if strings.Contains(err.Error(), "\n") {
		t.Errorf("the error is more than a line: %v", err)
	}
}

func TestATableWithAnotherKeyIsNotTaken(t *testing.T) {
	svc := answering(t, http.StatusOK, `{"Table":{"TableName":"calls","TableStatus":"ACTIVE","KeySchema":[{"AttributeName":"OrderID","KeyType":"HASH"}]}}`)
	err := Ensure(t.Context(), svc, "calls", "id")
	var key *KeyError
	if !errors.As(err, &key) || *key != (KeyError{Table: "calls", Key: "OrderID", Want: "id"}) {
		t.Fatalf("%#v", err)
	}
	if !strings.Contains(err.Error(), "calls") || !strings.Contains(err.Error(), "key OrderID, not id") {
		t.Errorf("the error is %v", err)
	}
}
