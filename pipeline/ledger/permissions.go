package ledger

import (
	"context"

	"rootwatch/pipeline/dynamo"
)

// tryWriting makes sure, at the start, that the role may write calls down: it would come out with
// the first root call otherwise. Reading is tried by [Ledger.Restore].
func (l *Ledger) tryWriting(ctx context.Context) error {
	return dynamo.Try(ctx, l.cfg.DynamoDB, l.cfg.Table, attrID, dynamo.PutItem, dynamo.UpdateItem)
}
