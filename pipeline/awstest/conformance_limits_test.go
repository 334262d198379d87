package awstest_test

import (
	"fmt"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	ddb "github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/aws/aws-sdk-go-v2/service/kinesis"
	"github.com/aws/aws-sdk-go-v2/service/kinesis/types"
)

// padded is an expression with blanks behind it.
func padded(expression string, size int) string {
	return expression + strings.Repeat(" ", size-len(expression))
}

// chain is a condition of n comparisons, of which the last one is true, and as many ORs but one.
func chain(n int) string { return strings.Repeat("s = :x OR ", n-1) + "s = :text" }

// limitFacts are what AWS refuses although it could be understood: by size, by number or by form.
var limitFacts = []fact{
	{"an expression has at most 4096 bytes", func(p *probe) {
		table := p.table()
		p.putItem(table, specimen)
		got, err := p.holds(table, padded("s = :text", 4096))
		p.ok(err)
		p.equal("4096 bytes", got, true)
		_, err = p.holds(table, padded("s = :text", 4097))
		p.refused(err, "ValidationException")
		_, err = p.holds(table, strings.Repeat("(", 4097))
		p.refused(err, "ValidationException")
		_, err = p.update(table, padded("SET s = :x", 4097), "")
		p.refused(err, "ValidationException")
		_, err = p.d.GetItem(p.ctx, &dynamodb.GetItemInput{TableName: &table, Key: itemOf(m{"id": "a"}), ProjectionExpression: aws.String(padded("s", 4097))})
		p.refused(err, "ValidationException")
	}},
	{"an expression has at most 300 operators", func(p *probe) {
		table := p.table()
		p.putItem(table, specimen)
		got, err := p.holds(table, chain(150))
		p.ok(err)
		p.equal("299 operators", got, true)
		_, err = p.holds(table, chain(151))
		p.refused(err, "ValidationException")
	}},
	{"IN takes at most 100 operands", func(p *probe) {
		table := p.table()
		p.putItem(table, specimen)
		in := func(n int) error {
			operands, values := []string{}, m{":v0": "text"}
			for i := range n {
				operands = append(operands, fmt.Sprintf(":v%d", i))
				values[fmt.Sprintf(":v%d", i)] = i
			}
			values[":v0"] = "text"
			_, err := p.d.PutItem(p.ctx, &dynamodb.PutItemInput{
				TableName: &table, Item: itemOf(specimen), ConditionExpression: aws.String("s IN (" + strings.Join(operands, ", ") + ")"), ExpressionAttributeValues: itemOf(values),
			})
			return err
		}
		p.ok(in(100))
		p.refused(in(101), "ValidationException")
	}},
	{"a name that begins with _ is not for expressions", func(p *probe) {
		p.refusedEach("_s = :x", "doc._k = :x", "attribute_exists(_s)")
	}},
	{"a placeholder may begin with _", func(p *probe) {
		table := p.table()
		p.putItem(table, specimen)
		_, err := p.d.PutItem(p.ctx, &dynamodb.PutItemInput{
			TableName: &table, Item: itemOf(specimen), ConditionExpression: aws.String("#_s = :_x"), ExpressionAttributeNames: map[string]string{"#_s": "s"}, ExpressionAttributeValues: itemOf(m{":_x": "text"}),
		})
		p.ok(err)
	}},
	{"list_append is no operand of a function", func(p *probe) {
		table := p.table()
		p.putItem(table, specimen)
		for _, expression := range []string{"SET things = list_append(list_append(things, :listy), :listy)", "SET things = list_append(:listy, list_append(things, :listy))"} {
			_, err := p.update(table, expression, "")
			p.refused(err, "ValidationException")
		}
	}},
	{"a number has no blanks", func(p *probe) {
		table := p.table()
		for _, bad := range []string{" 1", "1 ", "1 e3", "\t1"} {
			_, err := p.d.PutItem(p.ctx, &dynamodb.PutItemInput{TableName: &table, Item: itemOf(m{"id": "a", "v": n(bad)})})
			before := len(p.failures)
			if p.refused(err, "ValidationException"); len(p.failures) > before {
				p.Errorf("(%q)", bad)
			}
		}
	}},
	{"an attribute's name has at most 65535 bytes", func(p *probe) {
		table := p.table()
		p.putItem(table, m{"id": "a", strings.Repeat("x", 65535): 1})
		long := strings.Repeat("x", 65536)
		for _, it := range []m{{"id": "a", long: 1}, {"id": "a", "doc": m{long: 1}}} {
			_, err := p.d.PutItem(p.ctx, &dynamodb.PutItemInput{TableName: &table, Item: itemOf(it)})
			p.refused(err, "ValidationException")
		}
		_, err := p.d.UpdateItem(p.ctx, &dynamodb.UpdateItemInput{TableName: &table, Key: itemOf(m{"id": "a"}), UpdateExpression: aws.String("REMOVE #x"), ExpressionAttributeNames: map[string]string{"#x": long}})
		p.refused(err, "ValidationException")
	}},
	{"a scan's filter may look at keys", func(p *probe) {
		table := p.table(ddb.ScalarAttributeTypeN)
		p.putItem(table, m{"id": "a", "at": 1})
		p.putItem(table, m{"id": "b", "at": 1})
		out := p.scan(dynamodb.ScanInput{TableName: &table, FilterExpression: aws.String("id = :id"), ExpressionAttributeValues: itemOf(m{":id": "a"})})
		p.equal("items", ids(out.Items), []string{"a"})
	}},
	{"what no item could make right is said before the condition", func(p *probe) {
		table := p.table()
		p.putItem(table, m{"id": "a"})
		never := aws.String("attribute_not_exists(id)")
		_, err := p.d.UpdateItem(p.ctx, &dynamodb.UpdateItemInput{TableName: &table, Key: itemOf(m{"id": "a"}), UpdateExpression: aws.String("SET id = :v"), ConditionExpression: never, ExpressionAttributeValues: itemOf(m{":v": "b"})})
		p.refused(err, "ValidationException")
		_, err = p.d.PutItem(p.ctx, &dynamodb.PutItemInput{TableName: &table, Item: itemOf(m{"id": "a", "v": strings.Repeat("x", 400<<10)}), ConditionExpression: never})
		p.refused(err, "ValidationException")
	}},
	{"a hash key is a plain decimal number", func(p *probe) {
		name := p.stream(1)
		for _, bad := range []string{"+5", "-5", "007", strings.Repeat("9", 40)} {
			_, put := p.k.PutRecord(p.ctx, &kinesis.PutRecordInput{StreamName: &name, Data: []byte("x"), PartitionKey: aws.String("k"), ExplicitHashKey: &bad})
			_, split := p.k.SplitShard(p.ctx, &kinesis.SplitShardInput{StreamName: &name, ShardToSplit: aws.String(shard0), NewStartingHashKey: &bad})
			before := len(p.failures)
			p.refused(put, "ValidationException")
			if p.refused(split, "ValidationException"); len(p.failures) > before {
				p.Errorf("(%q)", bad)
			}
		}
	}},
	{"ShardFilter AFTER_SHARD_ID needs the shard", func(p *probe) {
		name := p.stream(1)
		_, err := p.k.ListShards(p.ctx, &kinesis.ListShardsInput{StreamName: &name, ShardFilter: &types.ShardFilter{Type: types.ShardFilterTypeAfterShardId}})
		p.refused(err, "InvalidArgumentException", "ValidationException")
	}},
}
