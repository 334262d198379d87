package dynamo

import (
	"fmt"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb"

	"rootwatch/pipeline/awserr"
)

// KeyError is the error of a table that has another key than the one wanted, so that it exists for
// something else.
type KeyError struct {
	Table     string
	Key, Want string
}

func (e *KeyError) Error() string {
	return fmt.Sprintf("it has the key %s, not %s, so it exists for something else", e.Key, e.Want)
}

// DeniedError is the error of a call about a table that the role may not make.
type DeniedError struct {
	Table, Region string
	Err           error // AWS's answer
}

func (e *DeniedError) Error() string {
	return fmt.Sprintf("no permission to use DynamoDB table %s in region %s: %v", e.Table, e.Region, e.Err)
}

func (e *DeniedError) Unwrap() error { return e.Err }

// Explain makes a *DeniedError of the error of a call about a table that lacks a permission. Other
// errors it returns as they are.
func Explain(err error, svc *dynamodb.Client, table string) error {
	if !awserr.Denied(err) {
		return err
	}
	return &DeniedError{Table: table, Region: svc.Options().Region, Err: err}
}
