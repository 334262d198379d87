package awstest_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	ddb "github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
)

type attributes = map[string]ddb.AttributeValue

// n is a number in DynamoDB's words; ss, ns and bs are sets.
type (
	n  string
	ss []string
	ns []string
	bs [][]byte
	m  map[string]any
	l  []any
)

// attribute makes an attribute value of a Go value.
func attribute(v any) ddb.AttributeValue {
	switch v := v.(type) {
	case string:
		return &ddb.AttributeValueMemberS{Value: v}
	case n:
		return &ddb.AttributeValueMemberN{Value: string(v)}
	case int:
		return &ddb.AttributeValueMemberN{Value: fmt.Sprint(v)}
	case []byte:
		return &ddb.AttributeValueMemberB{Value: v}
	case bool:
		return &ddb.AttributeValueMemberBOOL{Value: v}
	case nil:
		return &ddb.AttributeValueMemberNULL{Value: true}
	case ss:
		return &ddb.AttributeValueMemberSS{Value: v}
	case ns:
		return &ddb.AttributeValueMemberNS{Value: v}
	case bs:
		return &ddb.AttributeValueMemberBS{Value: v}
	case l:
		list := []ddb.AttributeValue{}
		for _, e := range v {
			list = append(list, attribute(e))
		}
		return &ddb.AttributeValueMemberL{Value: list}
	case m:
		return &ddb.AttributeValueMemberM{Value: itemOf(v)}
	}
	panic(fmt.Sprintf("no attribute is made of a %T", v))
}

func itemOf(v m) attributes {
	it := attributes{}
	for name, e := range v {
		it[name] = attribute(e)
	}
	return it
}

// plain is attribute backwards; numbers are n, sets are sorted.
func plain(v ddb.AttributeValue) any {
	switch v := v.(type) {
	case *ddb.AttributeValueMemberS:
		return v.Value
	case *ddb.AttributeValueMemberN:
		return n(v.Value)
	case *ddb.AttributeValueMemberB:
		return v.Value
	case *ddb.AttributeValueMemberBOOL:
		return v.Value
	case *ddb.AttributeValueMemberSS:
		return ss(slices.Sorted(slices.Values(v.Value)))
	case *ddb.AttributeValueMemberNS:
		return ns(slices.Sorted(slices.Values(v.Value)))
	case *ddb.AttributeValueMemberBS:
		return bs(slices.SortedFunc(slices.Values(v.Value), slices.Compare))
	case *ddb.AttributeValueMemberL:
		list := l{}
		for _, e := range v.Value {
			list = append(list, plain(e))
		}
		return list
	case *ddb.AttributeValueMemberM:
		return plainItem(v.Value)
	}
	return nil
}

func plainItem(it attributes) m {
	out := m{}
	for name, v := range it {
		out[name] = plain(v)
	}
	return out
}

// table makes a table with a partition key "id", and a sort key "at" if its kind is given.
func (p *probe) table(sortKind ...ddb.ScalarAttributeType) string {
	name := uniqueName("conformance")
	in := &dynamodb.CreateTableInput{
		TableName: &name, BillingMode: ddb.BillingModePayPerRequest,
		AttributeDefinitions: []ddb.AttributeDefinition{{AttributeName: aws.String("id"), AttributeType: ddb.ScalarAttributeTypeS}},
		KeySchema:            []ddb.KeySchemaElement{{AttributeName: aws.String("id"), KeyType: ddb.KeyTypeHash}},
	}
	for _, kind := range sortKind {
		in.AttributeDefinitions = append(in.AttributeDefinitions, ddb.AttributeDefinition{AttributeName: aws.String("at"), AttributeType: kind})
		in.KeySchema = append(in.KeySchema, ddb.KeySchemaElement{AttributeName: aws.String("at"), KeyType: ddb.KeyTypeRange})
	}
	must[*dynamodb.CreateTableOutput](p)(p.d.CreateTable(p.ctx, in))
	p.cleanup(func() {
		var gone *ddb.ResourceNotFoundException
		if _, err := p.d.DeleteTable(p.ctx, &dynamodb.DeleteTableInput{TableName: &name}); err != nil && !errors.As(err, &gone) {
			p.Errorf("cleaning up: %v", err)
		}
	})
	p.eventually("table ACTIVE", func() bool {
		out := must[*dynamodb.DescribeTableOutput](p)(p.d.DescribeTable(p.ctx, &dynamodb.DescribeTableInput{TableName: &name}))
		return out.Table.TableStatus == ddb.TableStatusActive
	})
	return name
}

func (p *probe) putItem(table string, it m) {
	must[*dynamodb.PutItemOutput](p)(p.d.PutItem(p.ctx, &dynamodb.PutItemInput{TableName: &table, Item: itemOf(it)}))
}

// item reads one; nil if there is none.
func (p *probe) item(table string, key m) m {
	out := must[*dynamodb.GetItemOutput](p)(p.d.GetItem(p.ctx, &dynamodb.GetItemInput{TableName: &table, Key: itemOf(key), ConsistentRead: aws.Bool(true)}))
	if out.Item == nil {
		return nil
	}
	return plainItem(out.Item)
}

func (p *probe) scan(in dynamodb.ScanInput) *dynamodb.ScanOutput {
	in.ConsistentRead = aws.Bool(true)
	return must[*dynamodb.ScanOutput](p)(p.d.Scan(p.ctx, &in))
}

func ids(items []attributes) []string {
	out := []string{}
	for _, it := range items {
		out = append(out, plain(it["id"]).(string))
	}
	slices.Sort(out)
	return out
}

var dynamodbFacts = []fact{
	{"a table is made, described and paid by request", func(p *probe) {
		name := p.table(ddb.ScalarAttributeTypeN)
		d := must[*dynamodb.DescribeTableOutput](p)(p.d.DescribeTable(p.ctx, &dynamodb.DescribeTableInput{TableName: &name})).Table
		p.equal("name", *d.TableName, name)
		p.equal("keys", len(d.KeySchema), 2)
		p.equal("billing", d.BillingModeSummary.BillingMode, ddb.BillingModePayPerRequest)
	}},
	{"a table's name is taken once", func(p *probe) {
		name := p.table()
		_, err := p.d.CreateTable(p.ctx, &dynamodb.CreateTableInput{
			TableName: &name, BillingMode: ddb.BillingModePayPerRequest,
			AttributeDefinitions: []ddb.AttributeDefinition{{AttributeName: aws.String("id"), AttributeType: ddb.ScalarAttributeTypeS}},
			KeySchema:            []ddb.KeySchemaElement{{AttributeName: aws.String("id"), KeyType: ddb.KeyTypeHash}},
		})
		p.refused(err, "ResourceInUseException")
	}},
	{"a table that does not exist is ResourceNotFoundException to every call", func(p *probe) {
		none, key := aws.String(uniqueName("none")), itemOf(m{"id": "a"})
		_, err := p.d.DescribeTable(p.ctx, &dynamodb.DescribeTableInput{TableName: none})
		p.refused(err, "ResourceNotFoundException")
		_, err = p.d.GetItem(p.ctx, &dynamodb.GetItemInput{TableName: none, Key: key})
		p.refused(err, "ResourceNotFoundException")
		_, err = p.d.PutItem(p.ctx, &dynamodb.PutItemInput{TableName: none, Item: key})
		p.refused(err, "ResourceNotFoundException")
		_, err = p.d.UpdateItem(p.ctx, &dynamodb.UpdateItemInput{TableName: none, Key: key})
		p.refused(err, "ResourceNotFoundException")
		_, err = p.d.Scan(p.ctx, &dynamodb.ScanInput{TableName: none})
		p.refused(err, "ResourceNotFoundException")
		_, err = p.d.DeleteTable(p.ctx, &dynamodb.DeleteTableInput{TableName: none})
		p.refused(err, "ResourceNotFoundException")
	}},
	{"a deleted table is gone", func(p *probe) {
		name := p.table()
		must[*dynamodb.DeleteTableOutput](p)(p.d.DeleteTable(p.ctx, &dynamodb.DeleteTableInput{TableName: &name}))
		p.eventually("table gone", func() bool {
			_, err := p.d.DescribeTable(p.ctx, &dynamodb.DescribeTableInput{TableName: &name})
			return err != nil
		})
	}},
	{"every type comes back as it was put", func(p *probe) {
		name := p.table()
		it := m{
			"id": "a", "s": "text é", "empty": "", "n": n("-12.5"), "b": []byte{0, 1, 255}, "yes": true, "no": false, "null": nil,
			"l": l{"x", n("1"), l{}}, "m": m{"k": m{"deep": l{true}}, "e": m{}}, "ss": ss{"a", "b"}, "ns": ns{"1", "2.5"}, "bs": bs{{1}, {2}},
		}
		p.putItem(name, it)
		p.equal("item", p.item(name, m{"id": "a"}), it)
		p.equal("no item", p.item(name, m{"id": "b"}), m(nil))
	}},
	{"numbers are decimal, exact to 38 digits, in one form", func(p *probe) {
		name := p.table()
		for given, want := range map[string]string{
			"1": "1", "-1": "-1", "0": "0", "-0": "0", "007": "7", "1.50": "1.5", "1e3": "1000", "1.5E-3": "0.0015", ".5": "0.5",
			"49590338271490256608559692538361571095":  "49590338271490256608559692538361571095",
			"0.1000000000000000000000000000000000001": "0.1000000000000000000000000000000000001",
		} {
			p.putItem(name, m{"id": "a", "v": n(given)})
			p.equal(given, p.item(name, m{"id": "a"})["v"], n(want))
		}
		for _, bad := range []string{"", "x", "1x", "0x10", "1e200", "1e-200", "495903382714902566085596925383615710951"} {
			_, err := p.d.PutItem(p.ctx, &dynamodb.PutItemInput{TableName: &name, Item: itemOf(m{"id": "a", "v": n(bad)})})
			before := len(p.failures)
			if p.refused(err, "ValidationException"); len(p.failures) > before {
				p.Errorf("(%q)", bad)
			}
		}
	}},
	{"a put replaces the whole item, and gives the old one if asked", func(p *probe) {
		name := p.table()
		p.putItem(name, m{"id": "a", "old": 1})
		out := must[*dynamodb.PutItemOutput](p)(p.d.PutItem(p.ctx, &dynamodb.PutItemInput{TableName: &name, Item: itemOf(m{"id": "a", "new": 1}), ReturnValues: ddb.ReturnValueAllOld}))
		p.equal("old", plainItem(out.Attributes), m{"id": "a", "old": n("1")})
		p.equal("item", p.item(name, m{"id": "a"}), m{"id": "a", "new": n("1")})
		_, err := p.d.PutItem(p.ctx, &dynamodb.PutItemInput{TableName: &name, Item: itemOf(m{"id": "a"}), ReturnValues: ddb.ReturnValueAllNew})
		p.refused(err, "ValidationException")
	}},
	{"a failed condition changes nothing and shows the item if asked", func(p *probe) {
		name := p.table()
		p.putItem(name, m{"id": "a", "v": 1})
		for _, ask := range []ddb.ReturnValuesOnConditionCheckFailure{ddb.ReturnValuesOnConditionCheckFailureNone, ddb.ReturnValuesOnConditionCheckFailureAllOld} {
			want := m(nil)
			if ask == ddb.ReturnValuesOnConditionCheckFailureAllOld {
				want = m{"id": "a", "v": n("1")}
			}
			cond := aws.String("attribute_not_exists(id)")
			_, put := p.d.PutItem(p.ctx, &dynamodb.PutItemInput{TableName: &name, Item: itemOf(m{"id": "a"}), ConditionExpression: cond, ReturnValuesOnConditionCheckFailure: ask})
			_, update := p.d.UpdateItem(p.ctx, &dynamodb.UpdateItemInput{TableName: &name, Key: itemOf(m{"id": "a"}), UpdateExpression: aws.String("REMOVE v"), ConditionExpression: cond, ReturnValuesOnConditionCheckFailure: ask})
			_, del := p.d.DeleteItem(p.ctx, &dynamodb.DeleteItemInput{TableName: &name, Key: itemOf(m{"id": "a"}), ConditionExpression: cond, ReturnValuesOnConditionCheckFailure: ask})
			for what, err := range map[string]error{"put": put, "update": update, "delete": del} {
				var failed *ddb.ConditionalCheckFailedException
				if !errors.As(err, &failed) {
					p.Errorf("%s: %v", what, err)
					continue
				}
				got := m(nil)
				if failed.Item != nil {
					got = plainItem(failed.Item)
				}
				p.equal(what+" with "+string(ask), got, want)
			}
		}
		p.equal("item", p.item(name, m{"id": "a"}), m{"id": "a", "v": n("1")})
	}},
	{"a delete is fine with nothing to delete, and gives the old item if asked", func(p *probe) {
		name := p.table()
		in := &dynamodb.DeleteItemInput{TableName: &name, Key: itemOf(m{"id": "a"}), ReturnValues: ddb.ReturnValueAllOld}
		out := must[*dynamodb.DeleteItemOutput](p)(p.d.DeleteItem(p.ctx, in))
		p.equal("attributes of nothing", len(out.Attributes), 0)
		p.putItem(name, m{"id": "a", "v": 1})
		out = must[*dynamodb.DeleteItemOutput](p)(p.d.DeleteItem(p.ctx, in))
		p.equal("old", plainItem(out.Attributes), m{"id": "a", "v": n("1")})
		p.equal("item", p.item(name, m{"id": "a"}), m(nil))
	}},
	{"keys must be those of the table, whole and not empty", func(p *probe) {
		name := p.table(ddb.ScalarAttributeTypeN)
		for what, it := range map[string]m{"without sort key": {"id": "a"}, "with a number for a string": {"id": 1, "at": 1}, "with an empty string": {"id": "", "at": 1}} {
			_, err := p.d.PutItem(p.ctx, &dynamodb.PutItemInput{TableName: &name, Item: itemOf(it)})
			before := len(p.failures)
			p.refused(err, "ValidationException")
			_, err = p.d.GetItem(p.ctx, &dynamodb.GetItemInput{TableName: &name, Key: itemOf(it)})
			if p.refused(err, "ValidationException"); len(p.failures) > before {
				p.Errorf("(%s)", what)
			}
		}
		_, err := p.d.GetItem(p.ctx, &dynamodb.GetItemInput{TableName: &name, Key: itemOf(m{"id": "a", "at": 1, "more": 1})})
		p.refused(err, "ValidationException")
		_, err = p.d.UpdateItem(p.ctx, &dynamodb.UpdateItemInput{TableName: &name, Key: itemOf(m{"id": "a", "at": 1}), UpdateExpression: aws.String("SET id = :v"), ExpressionAttributeValues: itemOf(m{":v": "b"})})
		p.refused(err, "ValidationException")
	}},
	{"an item has at most 400 KB", func(p *probe) {
		name := p.table()
		p.putItem(name, m{"id": "a", "v": strings.Repeat("x", 400<<10-4)})
		_, err := p.d.PutItem(p.ctx, &dynamodb.PutItemInput{TableName: &name, Item: itemOf(m{"id": "a", "v": strings.Repeat("x", 400<<10-3)})})
		p.refused(err, "ValidationException")
	}},
	{"a projection takes parts of an item", func(p *probe) {
		name := p.table()
		p.putItem(name, m{"id": "a", "x": m{"y": 1, "z": 2}, "l": l{"0", "1", "2"}, "size": "big"})
		out := must[*dynamodb.GetItemOutput](p)(p.d.GetItem(p.ctx, &dynamodb.GetItemInput{
			TableName: &name, Key: itemOf(m{"id": "a"}), ProjectionExpression: aws.String("x.y, l[2], l[0], #s, absent.z"), ExpressionAttributeNames: map[string]string{"#s": "size"},
		}))
		p.equal("parts", plainItem(out.Item), m{"x": m{"y": n("1")}, "l": l{"0", "2"}, "size": "big"})
	}},
	{"a scan reads all items, in pages of Limit", func(p *probe) {
		name := p.table()
		want := []string{}
		for i := range 7 {
			want = append(want, fmt.Sprintf("item-%d", i))
			p.putItem(name, m{"id": want[i], "v": i})
		}
		got, start := []string{}, attributes(nil)
		for range 5 {
			out := p.scan(dynamodb.ScanInput{TableName: &name, Limit: aws.Int32(2), ExclusiveStartKey: start})
			if out.Count > 2 {
				p.Errorf("%d items in a page of 2", out.Count)
			}
			got, start = append(got, ids(out.Items)...), out.LastEvaluatedKey
			if start == nil {
				break
			}
		}
		slices.Sort(got)
		p.equal("ids", got, want)
		p.equal("page after the end", len(start), 0)
	}},
	{"a page that ends with its limit has a next one, even at the end of the table", func(p *probe) {
		name := p.table()
		p.putItem(name, m{"id": "a"})
		out := p.scan(dynamodb.ScanInput{TableName: &name, Limit: aws.Int32(1)})
		p.equal("next", plainItem(out.LastEvaluatedKey), m{"id": "a"})
		out = p.scan(dynamodb.ScanInput{TableName: &name, Limit: aws.Int32(1), ExclusiveStartKey: out.LastEvaluatedKey})
		p.equal("items behind it", len(out.Items)+len(out.LastEvaluatedKey), 0)
	}},
	{"a scan's filter is applied after its limit", func(p *probe) {
		name := p.table()
		for i := range 6 {
			p.putItem(name, m{"id": fmt.Sprint(i), "v": i})
		}
		in := dynamodb.ScanInput{TableName: &name, FilterExpression: aws.String("v >= :v"), ExpressionAttributeValues: itemOf(m{":v": 4})}
		out := p.scan(in)
		p.equal("ids", ids(out.Items), []string{"4", "5"})
		p.equal("counts", []int32{out.Count, out.ScannedCount}, []int32{2, 6})
		in.Limit = aws.Int32(3)
		p.equal("scanned", p.scan(in).ScannedCount, int32(3))
		out = p.scan(dynamodb.ScanInput{TableName: &name, Select: ddb.SelectCount})
		p.equal("count alone", []int{int(out.Count), len(out.Items)}, []int{6, 0})
	}},
	{"a page has at most 1 MB", func(p *probe) {
		name := p.table()
		for i := range 4 {
			p.putItem(name, m{"id": fmt.Sprint(i), "v": strings.Repeat("x", 390<<10)})
		}
		out := p.scan(dynamodb.ScanInput{TableName: &name})
		if out.Count > 3 || out.LastEvaluatedKey == nil {
			p.Errorf("%d items of 390 KB in a page", out.Count)
		}
		rest := p.scan(dynamodb.ScanInput{TableName: &name, ExclusiveStartKey: out.LastEvaluatedKey})
		p.equal("items", ids(append(out.Items, rest.Items...)), []string{"0", "1", "2", "3"})
	}},
	{"segments of a scan share the items", func(p *probe) {
		name := p.table()
		want := []string{}
		for i := range 30 {
			want = append(want, fmt.Sprintf("item-%02d", i))
			p.putItem(name, m{"id": want[i]})
		}
		got := []attributes{}
		for i := range int32(3) {
			got = append(got, p.scan(dynamodb.ScanInput{TableName: &name, Segment: aws.Int32(i), TotalSegments: aws.Int32(3)}).Items...)
		}
		p.equal("ids", ids(got), want)
		_, err := p.d.Scan(p.ctx, &dynamodb.ScanInput{TableName: &name, Segment: aws.Int32(3), TotalSegments: aws.Int32(3)})
		p.refused(err, "ValidationException")
	}},
	{"time to live is switched on and described", func(p *probe) {
		name := p.table()
		status := func() ddb.TimeToLiveStatus {
			return must[*dynamodb.DescribeTimeToLiveOutput](p)(p.d.DescribeTimeToLive(p.ctx, &dynamodb.DescribeTimeToLiveInput{TableName: &name})).TimeToLiveDescription.TimeToLiveStatus
		}
		p.equal("before", status(), ddb.TimeToLiveStatusDisabled)
		must[*dynamodb.UpdateTimeToLiveOutput](p)(p.d.UpdateTimeToLive(p.ctx, &dynamodb.UpdateTimeToLiveInput{TableName: &name, TimeToLiveSpecification: &ddb.TimeToLiveSpecification{AttributeName: aws.String("expires"), Enabled: aws.Bool(true)}}))
		p.eventually("enabled", func() bool { return status() == ddb.TimeToLiveStatusEnabled })
		p.putItem(name, m{"id": "a", "expires": int(time.Now().Add(time.Hour).Unix())})
		p.equal("item", p.item(name, m{"id": "a"})["id"], "a")
	}},
	{"capacity is counted per KB written and per 4 KB read", func(p *probe) {
		name := p.table()
		total := ddb.ReturnConsumedCapacityTotal
		put := must[*dynamodb.PutItemOutput](p)(p.d.PutItem(p.ctx, &dynamodb.PutItemInput{TableName: &name, Item: itemOf(m{"id": "a", "v": strings.Repeat("x", 5000)}), ReturnConsumedCapacity: total}))
		p.equal("put of 5 KB", *put.ConsumedCapacity.CapacityUnits, 5.0)
		get := &dynamodb.GetItemInput{TableName: &name, Key: itemOf(m{"id": "a"}), ReturnConsumedCapacity: total}
		p.equal("read of 5 KB", *must[*dynamodb.GetItemOutput](p)(p.d.GetItem(p.ctx, get)).ConsumedCapacity.CapacityUnits, 1.0)
		get.ConsistentRead = aws.Bool(true)
		p.equal("consistent read of 5 KB", *must[*dynamodb.GetItemOutput](p)(p.d.GetItem(p.ctx, get)).ConsumedCapacity.CapacityUnits, 2.0)
		p.equal("consistent scan of 5 KB", *p.scan(dynamodb.ScanInput{TableName: &name, ReturnConsumedCapacity: total}).ConsumedCapacity.CapacityUnits, 2.0)
		get.ReturnConsumedCapacity = ""
		if must[*dynamodb.GetItemOutput](p)(p.d.GetItem(p.ctx, get)).ConsumedCapacity != nil {
			p.Errorf("capacity that nobody asked for")
		}
	}},
}
