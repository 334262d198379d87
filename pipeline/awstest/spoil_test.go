package awstest_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	ddb "github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/aws/aws-sdk-go-v2/service/kinesis"
	"github.com/aws/aws-sdk-go-v2/service/kinesis/types"

	"rootwatch/pipeline/awstest"
)

func TestAnswersOfGetRecordsThatLie(t *testing.T) {
	for effect, want := range map[awstest.Effect]struct {
		texts    string
		iterator bool
	}{
		awstest.NoIterator: {"a b c", false},
		awstest.Backwards:  {"c b a", true},
		awstest.Blank:      {"", false},
		awstest.Empty:      {"", true},
	} {
		t.Run(string(effect), func(t *testing.T) {
			b := newBench(t, 1, awstest.Options{})
			for _, text := range []string{"a", "b", "c"} {
				b.put(text)
			}
			in := b.srv.Inject(awstest.Fault{Service: "kinesis", Effect: effect, Count: 1, Operation: "GetRecords"})
			out, err := b.get(b.iterator(types.ShardIteratorTypeTrimHorizon, shard0, nil))
			b.ok(err)
			b.equal("records", strings.Join(texts(out.Records), " "), want.texts)
			b.equal("a next iterator", out.NextShardIterator != nil, want.iterator)
			b.equal("child shards", len(out.ChildShards), 0)
			b.equal("hits", in.Hits(), 1)
			if want.iterator && want.texts != "" {
				b.put("d")
				out, err = b.get(out.NextShardIterator)
				b.ok(err)
				b.equal("records after it", texts(out.Records), []string{"d"})
			}
			b.equal("read again", b.read(shard0)[:5], "a b c")
		})
	}
}

func TestRepeatedAnswersAreThoseThatGaveTheIterator(t *testing.T) {
	b := newBench(t, 2, awstest.Options{})
	b.put("a")
	in := b.srv.Inject(awstest.Fault{Effect: awstest.Repeat})
	shard := shard0
	if b.read(shard0) == "" {
		shard = shard1
	}
	first, err := b.get(b.iterator(types.ShardIteratorTypeTrimHorizon, shard, nil))
	b.ok(err)
	b.equal("an iterator from elsewhere", texts(first.Records), []string{"a"})
	b.put("b")
	for range 2 {
		again, err := b.get(first.NextShardIterator)
		b.ok(err)
		b.equal("repeated", texts(again.Records), []string{"a"})
		b.equal("its iterator", *again.NextShardIterator, *first.NextShardIterator)
	}
	other := kinesis.NewFromConfig(once(b.srv, "other"))
	out, err := other.GetRecords(t.Context(), &kinesis.GetRecordsInput{ShardIterator: first.NextShardIterator})
	b.ok(err)
	b.equal("another caller", texts(out.Records), []string{"b"})
	in.Remove()
	out, err = b.get(first.NextShardIterator)
	b.ok(err)
	b.equal("without the fault", texts(out.Records), []string{"b"})
}

func TestListShardsThatAreShortOrEmpty(t *testing.T) {
	for effect, want := range map[awstest.Effect]int{awstest.Short: 2, awstest.Empty: 0} {
		t.Run(string(effect), func(t *testing.T) {
			b := newBench(t, 5, awstest.Options{})
			b.srv.Inject(awstest.Fault{Effect: effect, Count: 2})
			for _, limit := range []*int32{nil, aws.Int32(2)} {
				out, err := b.k.ListShards(t.Context(), &kinesis.ListShardsInput{StreamName: aws.String("events"), MaxResults: limit})
				b.ok(err)
				b.equal("shards", len(out.Shards), want)
				b.equal("more", out.NextToken == nil, true)
			}
			out, err := b.k.ListShards(t.Context(), &kinesis.ListShardsInput{StreamName: aws.String("events")})
			b.ok(err)
			b.equal("shards afterwards", len(out.Shards), 5)
		})
	}
}

func TestConditionsThatFailThoughTheyHold(t *testing.T) {
	for effect, shown := range map[awstest.Effect]bool{awstest.ConditionFails: true, awstest.ConditionFailsBare: false} {
		t.Run(string(effect), func(t *testing.T) {
			b := newBench(t, 1, awstest.Options{})
			leases, key := aws.String("leases"), itemOf(m{"id": "a"})
			put := func(version int, condition *string) error {
				_, err := b.d.PutItem(t.Context(), &dynamodb.PutItemInput{TableName: leases, Item: itemOf(m{"id": "a", "v": version}), ConditionExpression: condition})
				return err
			}
			in := b.srv.Inject(awstest.Fault{Effect: effect})
			b.ok(put(1, nil)) // no condition
			b.equal("hits", in.Hits(), 0)
			failed := func(what string, err error, item bool) {
				t.Helper()
				var check *ddb.ConditionalCheckFailedException
				if !errors.As(err, &check) {
					t.Fatalf("%s: %v", what, err)
				}
				b.equal(what+": the item is shown", len(check.Item) > 0, item)
			}
			failed("put that asks for no item", put(2, aws.String("attribute_exists(id)")), false)
			_, err := b.d.UpdateItem(t.Context(), &dynamodb.UpdateItemInput{
				TableName: leases, Key: key, UpdateExpression: aws.String("SET v = v + :one"), ConditionExpression: aws.String("v = :one"),
				ExpressionAttributeValues: itemOf(m{":one": 1}), ReturnValuesOnConditionCheckFailure: ddb.ReturnValuesOnConditionCheckFailureAllOld,
			})
			failed("update", err, shown)
			_, err = b.d.DeleteItem(t.Context(), &dynamodb.DeleteItemInput{
				TableName: leases, Key: key, ConditionExpression: aws.String("attribute_exists(id)"), ReturnValuesOnConditionCheckFailure: ddb.ReturnValuesOnConditionCheckFailureAllOld,
			})
			failed("delete", err, shown)
			b.equal("hits", in.Hits(), 3)
			got, err := b.d.GetItem(t.Context(), &dynamodb.GetItemInput{TableName: leases, Key: key})
			b.ok(err)
			b.equal("the item", plain(got.Item["v"]), n("1"))
			in.Remove()
			b.ok(put(2, aws.String("attribute_exists(id)")))
		})
	}
}

func TestRefusalsWithANameOfTheirOwn(t *testing.T) {
	for effect, c := range map[awstest.Effect]struct {
		code  string
		lists bool // calls that list tables are hit
	}{awstest.NotFound: {"ResourceNotFoundException", false}, awstest.Deny: {"AccessDeniedException", true}} {
		t.Run(string(effect), func(t *testing.T) {
			b := newBench(t, 1, awstest.Options{})
			it := b.iterator(types.ShardIteratorTypeLatest, shard0, nil)
			in := b.srv.Inject(awstest.Fault{Effect: effect})
			_, err := b.get(it)
			b.equal("GetRecords", hasCode(err, c.code), true)
			_, err = b.d.PutItem(t.Context(), &dynamodb.PutItemInput{TableName: aws.String("leases"), Item: itemOf(m{"id": "a"})})
			b.equal("PutItem", hasCode(err, c.code), true)
			b.equal("ListTables", hasCode(listTables(b.srv, ""), c.code), c.lists)
			in.Remove()
			scanned, err := b.d.Scan(t.Context(), &dynamodb.ScanInput{TableName: aws.String("leases")})
			b.ok(err)
			b.equal("items", len(scanned.Items), 0)
		})
	}
}

// call posts a request as the SDK would, and gives the answer as it comes, whatever it is.
func (b *bench) call(ctx context.Context, target, body string) (*http.Response, []byte, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, b.srv.URL, bytes.NewReader([]byte(body)))
	b.ok(err)
	req.Header.Set("X-Amz-Target", target)
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, nil, err
	}
	defer resp.Body.Close()
	got, err := io.ReadAll(resp.Body)
	return resp, got, err
}

const putLease = `{"TableName":"leases","Item":{"id":{"S":"a"}},"ReturnConsumedCapacity":"TOTAL"}`

func TestBodiesThatAreNoAnswer(t *testing.T) {
	for effect, c := range map[awstest.Effect]struct {
		contentType string
		body        func(whole string) string
		written     bool
	}{
		awstest.Blank:     {"application/x-amz-json-1.0", func(string) string { return "{}" }, true},
		awstest.Truncated: {"application/x-amz-json-1.0", func(whole string) string { return whole[:len(whole)/2] }, true},
		awstest.HTML:      {"text/html; charset=utf-8", nil, false},
	} {
		t.Run(string(effect), func(t *testing.T) {
			b := newBench(t, 1, awstest.Options{})
			_, whole, err := b.call(t.Context(), "DynamoDB_20120810.PutItem", strings.Replace(putLease, `"a"`, `"b"`, 1))
			b.ok(err)
			b.srv.Inject(awstest.Fault{Effect: effect, Count: 1})
			resp, got, err := b.call(t.Context(), "DynamoDB_20120810.PutItem", putLease)
			b.ok(err)
			b.equal("status", resp.StatusCode, http.StatusOK)
			b.equal("content type", resp.Header.Get("Content-Type"), c.contentType)
			if c.body != nil {
				b.equal("body", string(got), c.body(string(whole)))
			} else if !bytes.HasPrefix(got, []byte("<!DOCTYPE html>")) {
				t.Errorf("body %q is no page", got)
			}
			scanned, err := b.d.Scan(t.Context(), &dynamodb.ScanInput{TableName: aws.String("leases")})
			b.ok(err)
			b.equal("written", slices.Contains(ids(scanned.Items), "a"), c.written)
		})
	}
}

func TestErrorsAreNoBlankAnswers(t *testing.T) {
	b := newBench(t, 1, awstest.Options{})
	b.srv.Inject(awstest.Fault{Effect: awstest.Blank})
	_, err := b.d.PutItem(t.Context(), &dynamodb.PutItemInput{TableName: aws.String("leases"), Item: itemOf(m{"id": "a"}), ConditionExpression: aws.String("attribute_exists(id)")})
	b.equal("a condition that does not hold", hasCode(err, "ConditionalCheckFailedException"), true)
}

func TestHalfOpenConnectionsEndWithTheClientOrTheFault(t *testing.T) {
	for what, end := range map[string]func(cancel context.CancelFunc, in *awstest.Injection){
		"the client gives up":  func(cancel context.CancelFunc, _ *awstest.Injection) { cancel() },
		"the fault is removed": func(_ context.CancelFunc, in *awstest.Injection) { in.Remove() },
	} {
		t.Run(what, func(t *testing.T) {
			b := newBench(t, 1, awstest.Options{})
			in := b.srv.Inject(awstest.Fault{Operation: "PutItem", Effect: awstest.HalfOpen})
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			defer cancel()
			type result struct {
				body []byte
				err  error
			}
			done := make(chan result)
			go func() {
				_, body, err := b.call(ctx, "DynamoDB_20120810.PutItem", putLease)
				done <- result{body, err}
			}()
			waitFor(t, "the item is written", func() bool {
				scanned, err := b.d.Scan(t.Context(), &dynamodb.ScanInput{TableName: aws.String("leases")})
				b.ok(err)
				return len(scanned.Items) == 1
			})
			select {
			case r := <-done:
				t.Fatalf("the answer has ended: %q, %v", r.body, r.err)
			case <-time.After(20 * time.Millisecond):
			}
			end(cancel, in)
			if r := <-done; r.err == nil || len(r.body) == 0 {
				t.Errorf("got %q, %v, want half an answer and an error", r.body, r.err)
			}
		})
	}
}
