package dynamo

import (
	"errors"
	"net/http"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb"

	"rootwatch/pipeline/awserr"
	"rootwatch/pipeline/awstest"
)

var allActions = []Action{Scan, PutItem, UpdateItem, DeleteItem}

// What has the probe's own key is not touched either.
func TestTryingPermissionsChangesNothing(t *testing.T) {
	server := awstest.NewServer(awstest.Options{})
	defer server.Close()
	svc := dynamodb.NewFromConfig(server.AWSConfig("role"))
	table := "calls"
	if err := Ensure(t.Context(), svc, table, "id"); err != nil {
		t.Fatal(err)
	}
	for _, there := range []Item{nil, {"id": String(probeKey), "none": String("here")}} {
		if there != nil {
			if _, err := svc.PutItem(t.Context(), &dynamodb.PutItemInput{TableName: &table, Item: there}); err != nil {
				t.Fatal(err)
			}
		}
		if err := Try(t.Context(), svc, table, "id", allActions...); err != nil {
			t.Error(err)
		}
		out, err := svc.GetItem(t.Context(), &dynamodb.GetItemInput{TableName: &table, Key: Item{"id": String(probeKey)}})
		if err != nil {
			t.Fatal(err)
		}
		if Text(out.Item, "none") != Text(there, "none") || len(out.Item) != len(there) {
			t.Errorf("%v has become %v", there, out.Item)
		}
	}
	for _, action := range allActions {
		if server.Calls()[awstest.Call{Action: "dynamodb:" + string(action), AccessKeyID: "role"}] < 2 {
			t.Errorf("%s was not tried", action)
		}
	}
}

func TestAnActionThatIsNotAllowedIsNamed(t *testing.T) {
	for _, action := range allActions {
		err := Try(t.Context(), answering(t, http.StatusBadRequest, `{"__type":"com.amazon.coral.service#AccessDeniedException","Message":"no"}`), "calls", "id", action)
		var denied *DeniedError
		if !errors.As(err, &denied) || !strings.Contains(err.Error(), "trying "+string(action)+" on DynamoDB table calls") {
			t.Errorf("%s: %v", action, err)
		}
	}
}

func TestATableThatDoesNotAnswerIsNotAMissingPermission(t *testing.T) {
	err := Try(t.Context(), answering(t, http.StatusInternalServerError, `{"__type":"com.amazonaws.dynamodb.v20120810#InternalServerError"}`), "calls", "id", PutItem)
	var denied *DeniedError
	if err == nil || errors.As(err, &denied) || !awserr.Healing(err) {
		t.Errorf("%v", err)
	}
}
