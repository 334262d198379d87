package lease

import (
	"context"

	"rootwatch/pipeline/dynamo"
)

// tryPermissions makes sure that the role may do with the table what comes after the start: to read
// all leases, and to remove those of shards that are gone. UpdateItem is tried by firstStart.
func (t *table) tryPermissions(ctx context.Context) error {
	return dynamo.Try(ctx, t.svc, t.name, attrShardID, dynamo.Scan, dynamo.DeleteItem)
}
