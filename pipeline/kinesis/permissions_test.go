package kinesis

import (
	"errors"
	"strings"
	"testing"

	"rootwatch/pipeline/awstest"
	"rootwatch/pipeline/dynamo"
	"rootwatch/pipeline/kinesis/streamtest"
)

// What the worker needs on its lease table in all its life is tried before it reads anything: a
// shard that is gone, for one, comes days later.
func TestAMissingPermissionOnTheLeaseTableEndsTheStart(t *testing.T) {
	for _, action := range []string{"DescribeTable", "CreateTable", "UpdateItem", "Scan", "DeleteItem"} {
		t.Run(action, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				c := newCloud(t, 2, awstest.Options{})
				c.OnCall(func(k *streamtest.Call) {
					if k.Action == "dynamodb:"+action && k.ID == "worker" {
						denied("AccessDeniedException")(k)
					}
				})
				r := c.start("worker", setup{config: trimHorizon})
				<-r.ended
				var missing *dynamo.DeniedError
				if !errors.As(r.err, &missing) || missing.Table != testApp {
					t.Fatalf("it ends with %v", r.err)
				}
				if n := strings.Count(r.err.Error(), "no permission"); n != 1 {
					t.Errorf("it says %d times that there is no permission: %v", n, r.err)
				}
			})
		})
	}
}
