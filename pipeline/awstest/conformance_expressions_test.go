package awstest_test

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	ddb "github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
)

// specimen is the item that conditions are tried on.
var specimen = m{
	"id": "a", "s": "text", "n": 5, "big": n("49590338271490256608559692538361571095"), "b": []byte("bin"), "yes": true, "nothing": nil,
	"things": l{"x", 2, m{"k": "deep"}}, "doc": m{"k": "v", "things": l{1}}, "ss": ss{"a", "b"}, "ns": ns{"1", "2"}, "size": 3,
}

// names and values that the expressions below use; only those that one uses are sent with it.
var names = map[string]string{"#s": "s", "#size": "size", "#none": "none", "#dot": "a.b", "#k": "k", "#0": "s"}

var values = m{
	":text": "text", ":te": "te", ":x": "x", ":deep": "deep", ":v": "v", ":a": "a", ":empty": "", ":five": 5, ":four": 4, ":six": 6, ":two": 2, ":three": 3, ":zero": 0, ":one": 1,
	":yes": true, ":null": nil, ":S": "S", ":M": "M", ":N": "N", ":bin": []byte("bin"), ":bi": []byte("bi"), ":list": l{"x", 2, m{"k": "deep"}}, ":y": "y", ":listy": l{"y"},
	":ab": ss{"b", "a"}, ":bc": ss{"b", "c"}, ":12": ns{"2", "1"}, ":big": n("49590338271490256608559692538361571095"), ":half": n("0.5"), ":map": m{"k": "v2"}, ":kind": "NOPE",
	":z": "z",
}

// used picks what stands in some expressions.
func used(expressions ...string) (map[string]string, attributes) {
	all := strings.Join(expressions, " ")
	words := strings.FieldsFunc(all, func(r rune) bool {
		return !strings.ContainsRune("#:_", r) && !('0' <= r && r <= '9' || 'A' <= r && r <= 'Z' || 'a' <= r && r <= 'z')
	})
	usedNames, usedValues := map[string]string{}, attributes{}
	for _, w := range words {
		if name, ok := names[w]; ok {
			usedNames[w] = name
		}
		if v, ok := values[w]; ok {
			usedValues[w] = attribute(v)
		}
	}
	if len(usedNames) == 0 {
		usedNames = nil
	}
	if len(usedValues) == 0 {
		usedValues = nil
	}
	return usedNames, usedValues
}

// holds tries a condition on the specimen.
func (p *probe) holds(table, condition string) (bool, error) {
	usedNames, usedValues := used(condition)
	_, err := p.d.PutItem(p.ctx, &dynamodb.PutItemInput{
		TableName: &table, Item: itemOf(specimen), ConditionExpression: &condition, ExpressionAttributeNames: usedNames, ExpressionAttributeValues: usedValues,
	})
	var failed *ddb.ConditionalCheckFailedException
	if errors.As(err, &failed) {
		return false, nil
	}
	return err == nil, err
}

var conditions = map[string]bool{
	"attribute_exists(s)": true, "attribute_exists(nothing)": true, "attribute_exists(doc.k)": true, "attribute_exists(things[2].k)": true,
	"attribute_exists(things[3])": false, "attribute_exists(#dot)": false, "attribute_exists(s.k)": false,
	"attribute_not_exists(absent)": true, "attribute_not_exists(s)": false, "attribute_not_exists(doc.absent)": true,
	"attribute_type(s, :S)": true, "attribute_type(n, :S)": false, "attribute_type(doc, :M)": true, "attribute_type(absent, :S)": false,
	"begins_with(s, :te)": true, "begins_with(s, :x)": false, "begins_with(b, :bi)": true, "begins_with(n, :te)": false, "begins_with(s, :empty)": true,
	"contains(s, :x)": true, "contains(ss, :a)": true, "contains(ss, :x)": false, "contains(things, :x)": true, "contains(things, :two)": true, "contains(ns, :two)": true, "contains(s, :two)": false, "contains(absent, :x)": false,
	"#size = :three": true, "size(s) = :four": true, "size(ss) = :two": true, "size(things) > :two": true, "size(b) = :three": true, "size(doc) = :two": true, "size(absent) = :zero": false, "size(n) = :one": false,
	"s = :text": true, "s = :x": false, "s = :five": false, "absent = :x": false, "n = :five": true, "n <> :five": false, "n <> :four": true, "absent <> :x": true, "s <> :five": true,
	"n < :six": true, "n < :five": false, "n <= :five": true, "n > :four": true, "n >= :six": false, "s > :te": true, "absent < :six": false, "absent > :four": false, "s < :six": false, ":four < n": true,
	"big = :big": true, "big > :big": false, "b = :bin": true, "yes = :yes": true, "nothing = :null": true, "ss = :ab": true, "ss = :bc": false, "ns = :12": true,
	"n BETWEEN :four AND :six": true, "n BETWEEN :five AND :five": true, "n BETWEEN :zero AND :four": false, "absent BETWEEN :four AND :six": false, "n between :four and :six and s = :text": true,
	"n IN (:four, :five)": true, "n IN (:four)": false, "s IN (:x, :text, :five)": true, "absent in (:x)": false,
	"s = :text AND n = :four": false, "s = :text OR n = :four": true, "s = :x OR n = :five AND yes = :yes": true, "(s = :x OR n = :five) AND yes = :null": false,
	"s = :text or s = :x and n = :four": true, "(s = :text or s = :x) and n = :four": false,
	"NOT s = :x": true, "NOT (s = :text)": false, "NOT absent = :x": true, "not attribute_exists(absent) and NOT n = :four": true, "NOT s = :x AND n = :five": true,
	"doc.k = :v": true, "doc.#k = :v": true, "things[0] = :x": true, "things[2].k = :deep": true, "doc.things[0] = :one": true, "things[0].k = :x": false, "#0 = :text": true,
	"(n = :five)": true, "NOT (NOT (n = :five))": true, "n=:five": true, "  n\n=\t:five ": true, "s = id": false, "size(s) < n": true,
}

// nonsense is refused before any item is looked at.
var nonsense = []string{
	"", "s", "s =", "= :x", "s == :x", "s = :x AND", "AND s = :x", "s = :x s = :x", "(s = :x", "s = :x)", "s & :x", "s = 'x'", "s = 5", "things[x] = :x", "things[-1] = :x", "s.:x = :x",
	"s = :undefined", "#undefined = :x", "size = :three", "Status = :x", "counter = :x", "name = :x", "ttl = :x",
	"no_such_function(s)", "attribute_exists(s, n)", "begins_with(s)", "contains(s)", "attribute_exists(:x)", "if_not_exists(s, :x)", "size(s)", "attribute_exists(s) = :yes",
	"begins_with(s, :five)", "n BETWEEN :six AND :four", "n BETWEEN :four AND :x", "n BETWEEN :four", "((n = :five))", "(n = :five) AND ((s = :x))", "n IN ()", "n IN :four", "NOT", "s NOT = :x",
}

type updateCase struct {
	expression string
	want       m // the attributes that differ from the specimen; nil in it is one removed
}

// gone marks an attribute that an update has removed.
type gone struct{}

var updates = []updateCase{
	{"SET s = :x", m{"s": "x"}},
	{"set s = :x", m{"s": "x"}},
	{"SET fresh = :x, n = :six", m{"fresh": "x", "n": n("6")}},
	{"SET n = n + :one", m{"n": n("6")}},
	{"SET n = n - :six", m{"n": n("-1")}},
	{"SET n = :one - n", m{"n": n("-4")}},
	{"SET n = n + :half", m{"n": n("5.5")}},
	{"SET big = big + :one", m{"big": n("49590338271490256608559692538361571096")}},
	{"SET big = big - :one", m{"big": n("49590338271490256608559692538361571094")}},
	{"SET fresh = if_not_exists(fresh, :zero) + :one", m{"fresh": n("1")}},
	{"SET n = if_not_exists(n, :zero) + :one", m{"n": n("6")}},
	{"SET s = if_not_exists(absent, :x)", m{"s": "x"}},
	{"SET s = if_not_exists(s, :x)", m{}},
	{"SET #s = n, n = #s", m{"s": n("5"), "n": "text"}},
	{"SET things = list_append(things, :listy)", m{"things": l{"x", n("2"), m{"k": "deep"}, "y"}}},
	{"SET things = list_append(:listy, things)", m{"things": l{"y", "x", n("2"), m{"k": "deep"}}}},
	{"SET fresh = list_append(if_not_exists(fresh, :listy), :listy)", m{"fresh": l{"y", "y"}}},
	{"SET things[1] = :x", m{"things": l{"x", "x", m{"k": "deep"}}}},
	{"SET things[2].k = :x, things[2].fresh = :y", m{"things": l{"x", n("2"), m{"k": "x", "fresh": "y"}}}},
	{"SET doc.k = :x, doc.#0 = :y", m{"doc": m{"k": "x", "s": "y", "things": l{n("1")}}}},
	{"SET doc = :map", m{"doc": m{"k": "v2"}}},
	{"SET #dot = :x", m{"a.b": "x"}},
	{"REMOVE s", m{"s": gone{}}},
	{"REMOVE s, n, absent", m{"s": gone{}, "n": gone{}}},
	{"REMOVE things[1], things[0]", m{"things": l{m{"k": "deep"}}}},
	{"REMOVE doc.k", m{"doc": m{"things": l{n("1")}}}},
	{"REMOVE things[9]", m{}},
	{"ADD n :one", m{"n": n("6")}},
	{"ADD fresh :one", m{"fresh": n("1")}},
	{"ADD ss :bc", m{"ss": ss{"a", "b", "c"}}},
	{"ADD fresh :ab", m{"fresh": ss{"a", "b"}}},
	{"ADD doc.fresh :one", m{"doc": m{"k": "v", "things": l{n("1")}, "fresh": n("1")}}},
	{"DELETE ss :bc", m{"ss": ss{"a"}}},
	{"DELETE ss :ab", m{"ss": gone{}}},
	{"DELETE absent :ab", m{}},
	{"SET s = :x REMOVE n ADD fresh :one DELETE ss :bc", m{"s": "x", "n": gone{}, "fresh": n("1"), "ss": ss{"a"}}},
	{"REMOVE s SET n = :six", m{"s": gone{}, "n": n("6")}},
}

// badUpdates are refused: for what they say, or for what the specimen has.
var badUpdates = []string{
	"", "SET", "SET s", "SET s :x", "SET s = :x SET n = :one", "SET s = :x,", "FOO s", "SET s = :undefined", "SET #undefined = :x", "SET size = :x", "REMOVE", "REMOVE s = :x", "ADD n", "ADD n = :one",
	"SET s = :x, s = :y", "SET doc = :map, doc.k = :x", "SET s = :x REMOVE s", "SET n = n + s", "SET n = s + :one", "SET n = n + :x", "SET s = absent", "SET n = absent + :one",
	"SET absent.k = :x", "SET s.k = :x", "SET things.k = :x", "SET doc[0] = :x", "SET absent[0] = :x", "SET things = list_append(things, :x)", "SET things = list_append(absent, :listy)", "SET things = list_append(things)",
	"ADD s :one", "ADD n :x", "ADD n :ab", "ADD ss :12", "ADD things :listy", "DELETE n :one", "DELETE ss :x", "DELETE ss :12", "SET s = attribute_exists(s)", "SET s = if_not_exists(:x, :y)", "SET id = :x", "REMOVE id", "ADD id :one",
	"SET s = size(s)",
}

func (p *probe) update(table, expression string, returns ddb.ReturnValue) (*dynamodb.UpdateItemOutput, error) {
	usedNames, usedValues := used(expression)
	return p.d.UpdateItem(p.ctx, &dynamodb.UpdateItemInput{
		TableName: &table, Key: itemOf(m{"id": "a"}), UpdateExpression: &expression, ExpressionAttributeNames: usedNames, ExpressionAttributeValues: usedValues, ReturnValues: returns,
	})
}

// changed is the specimen as it should be after an update.
func changed(by m) m {
	want := plainItem(itemOf(specimen))
	for name, v := range by {
		if v == (any)(gone{}) {
			delete(want, name)
		} else {
			want[name] = v
		}
	}
	return want
}

// expressionFacts are the tables above, one fact an expression, and what is around them.
var expressionFacts = slices.Concat(conditionFacts(), updateFacts(), []fact{
	{"what no expression uses is refused", func(p *probe) {
		table := p.table()
		p.putItem(table, specimen)
		put := func(cond *string, names map[string]string, values m) {
			in := &dynamodb.PutItemInput{TableName: &table, Item: itemOf(specimen), ConditionExpression: cond, ExpressionAttributeNames: names}
			if values != nil {
				in.ExpressionAttributeValues = itemOf(values)
			}
			_, err := p.d.PutItem(p.ctx, in)
			p.refused(err, "ValidationException")
		}
		put(aws.String("s = :x"), nil, m{":x": "text", ":y": "more"})
		put(aws.String("s = :x"), map[string]string{"#y": "more"}, m{":x": "text"})
		put(nil, nil, m{":x": "text"})
		put(nil, map[string]string{"#y": "more"}, nil)
		put(aws.String("s = :x"), nil, m{":x": "text", "bad": "key"})
	}},
	{"an update returns what was asked for", func(p *probe) {
		table := p.table()
		for returns, want := range map[ddb.ReturnValue]m{
			ddb.ReturnValueNone: {}, ddb.ReturnValueAllOld: {"id": "a", "x": n("1"), "y": n("2"), "doc": m{"k": n("1"), "o": n("1")}},
			ddb.ReturnValueAllNew: {"id": "a", "x": n("2"), "doc": m{"k": n("2"), "o": n("1")}, "z": n("3")}, ddb.ReturnValueUpdatedOld: {"x": n("1"), "y": n("2"), "doc": m{"k": n("1")}},
			ddb.ReturnValueUpdatedNew: {"x": n("2"), "doc": m{"k": n("2")}, "z": n("3")},
		} {
			p.putItem(table, m{"id": "a", "x": 1, "y": 2, "doc": m{"k": 1, "o": 1}})
			out := must[*dynamodb.UpdateItemOutput](p)(p.update(table, "SET x = :two, z = :three, doc.k = :two REMOVE y", returns))
			p.equal(string(returns), plainItem(out.Attributes), want)
		}
	}},
	{"an update makes an item, unless it only takes away", func(p *probe) {
		table := p.table()
		must[*dynamodb.UpdateItemOutput](p)(p.update(table, "REMOVE x", ""))
		p.equal("after REMOVE", p.item(table, m{"id": "a"}), m(nil))
		must[*dynamodb.UpdateItemOutput](p)(p.update(table, "SET x = :two", ""))
		p.equal("after SET", p.item(table, m{"id": "a"}), m{"id": "a", "x": n("2")})
	}},
	{"an update without an expression makes an empty item", func(p *probe) {
		table := p.table()
		must[*dynamodb.UpdateItemOutput](p)(p.d.UpdateItem(p.ctx, &dynamodb.UpdateItemInput{TableName: &table, Key: itemOf(m{"id": "a"})}))
		p.equal("item", p.item(table, m{"id": "a"}), m{"id": "a"})
	}},
	{"a refused update leaves the item as it was", func(p *probe) {
		table := p.table()
		p.putItem(table, specimen)
		_, err := p.update(table, "SET s = :x, n = absent + :one", "")
		p.refused(err, "ValidationException")
		p.equal("item", p.item(table, m{"id": "a"}), changed(nil))
	}},
	{"a condition on an item that is not there sees no attributes", func(p *probe) {
		table := p.table()
		for cond, want := range map[string]bool{"attribute_not_exists(id)": true, "attribute_exists(id)": false, "s <> :x": true, "s = :x": false} {
			_, usedValues := used(cond)
			_, err := p.d.DeleteItem(p.ctx, &dynamodb.DeleteItemInput{TableName: &table, Key: itemOf(m{"id": "none"}), ConditionExpression: &cond, ExpressionAttributeValues: usedValues})
			p.equal(cond, err == nil, want)
		}
	}},
	{"sets are not empty and have no doubles", func(p *probe) {
		table := p.table()
		for _, bad := range []any{ss{}, ss{"a", "a"}, ns{"1", "1.0"}} {
			_, err := p.d.PutItem(p.ctx, &dynamodb.PutItemInput{TableName: &table, Item: itemOf(m{"id": "a", "v": bad})})
			before := len(p.failures)
			if p.refused(err, "ValidationException"); len(p.failures) > before {
				p.Errorf("(%v)", bad)
			}
		}
	}},
	{"two paths of a projection may not overlap", func(p *probe) {
		table := p.table()
		for _, projection := range []string{"s, s", "doc, doc.k", "", "s,", "size"} {
			_, err := p.d.GetItem(p.ctx, &dynamodb.GetItemInput{TableName: &table, Key: itemOf(m{"id": "a"}), ProjectionExpression: &projection})
			before := len(p.failures)
			if p.refused(err, "ValidationException"); len(p.failures) > before {
				p.Errorf("(%s)", projection)
			}
		}
	}},
})

// refusedEach checks that no condition of a list is taken.
func (p *probe) refusedEach(conditions ...string) {
	table := p.table()
	p.putItem(table, specimen)
	for _, condition := range conditions {
		_, err := p.holds(table, condition)
		before := len(p.failures)
		if p.refused(err, "ValidationException"); len(p.failures) > before {
			p.Errorf("(%s)", condition)
		}
	}
}

// updated checks what an update makes of the specimen.
func (p *probe) updated(expression string, by m) {
	table := p.table()
	p.putItem(table, specimen)
	must[*dynamodb.UpdateItemOutput](p)(p.update(table, expression, ""))
	p.equal("item after "+expression, p.item(table, m{"id": "a"}), changed(by))
}

func conditionFacts() []fact {
	return []fact{
		{"lists are equal when their elements are", func(p *probe) {
			table := p.table()
			p.putItem(table, specimen)
			got, err := p.holds(table, "things = :list")
			p.equal("things = :list", got, true)
			p.ok(err)
		}},
		{"only strings, numbers and binaries have an order", func(p *probe) { p.refusedEach("s < :ab", "s > :yes", "s <= :list", ":null >= s") }},
		{"attribute_type knows its types", func(p *probe) { p.refusedEach("attribute_type(s, :kind)") }},
		{"an attribute is not compared with itself", func(p *probe) { p.refusedEach("s = s", "contains(s, s)") }},
		{"conditions are true and false as they should", func(p *probe) {
			table := p.table()
			p.putItem(table, specimen)
			for _, condition := range slices.Sorted(maps.Keys(conditions)) {
				if got, err := p.holds(table, condition); err != nil || got != conditions[condition] {
					p.Errorf("%s: %v, %v, want %v", condition, got, err, conditions[condition])
				}
			}
		}},
		{"a filter is true and false like a condition", func(p *probe) {
			table := p.table()
			p.putItem(table, specimen)
			for _, condition := range slices.Sorted(maps.Keys(conditions)) {
				usedNames, usedValues := used(condition)
				out, err := p.d.Scan(p.ctx, &dynamodb.ScanInput{TableName: &table, FilterExpression: &condition, ExpressionAttributeNames: usedNames, ExpressionAttributeValues: usedValues})
				if err != nil || (out.Count == 1) != conditions[condition] {
					p.Errorf("%s: %v, want %v", condition, err, conditions[condition])
				}
			}
		}},
		{"conditions that make no sense are refused", func(p *probe) { p.refusedEach(nonsense...) }},
	}
}

func updateFacts() []fact {
	facts := []fact{{"updates that make no sense are refused", func(p *probe) {
		table := p.table()
		p.putItem(table, specimen)
		for _, expression := range badUpdates {
			_, err := p.update(table, expression, "")
			before := len(p.failures)
			if p.refused(err, "ValidationException"); len(p.failures) > before {
				p.Errorf("(%s)", expression)
			}
		}
		p.equal("item", p.item(table, m{"id": "a"}), changed(nil))
	}}}
	facts = append(facts, []fact{
		{"a place behind the end of a list is its end", func(p *probe) {
			p.updated("SET things[9] = :x", m{"things": l{"x", n("2"), m{"k": "deep"}, "x"}})
		}},
		{"places behind the end of a list keep their order", func(p *probe) {
			p.updated("SET things[20] = :x, things[10] = :y", m{"things": l{"x", n("2"), m{"k": "deep"}, "y", "x"}})
		}},
		{"indexes of a list are those before the update", func(p *probe) {
			p.updated("REMOVE things[0], things[1]", m{"things": l{m{"k": "deep"}}})
			p.updated("SET things[1] = :y REMOVE things[0]", m{"things": l{"y", m{"k": "deep"}}})
			p.updated("REMOVE things[0], things[2].k", m{"things": l{n("2"), m{}}})
		}},
	}...)
	facts = append(facts, fact{"updates change what they say and nothing else", func(p *probe) {
		table := p.table()
		for _, c := range updates {
			p.putItem(table, specimen)
			if _, err := p.update(table, c.expression, ""); err != nil {
				p.Errorf("%s: %v", c.expression, err)
				continue
			}
			p.equal(fmt.Sprintf("item after %s", c.expression), p.item(table, m{"id": "a"}), changed(c.want))
		}
	}})
	return facts
}
