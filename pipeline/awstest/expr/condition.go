package expr

import (
	"fmt"
	"slices"
	"strings"
)

// Condition is a parsed ConditionExpression or FilterExpression.
type Condition interface {
	Test(it Item) bool
}

// operand is a path, a :value or size(path).
type operand interface {
	get(it Item) (Value, bool)
}

type literal struct{ v Value }

func (l literal) get(Item) (Value, bool) { return l.v, true }

type sizeOf struct{ of operand }

func (s sizeOf) get(it Item) (Value, bool) {
	v, ok := s.of.get(it)
	if !ok {
		return Value{}, false
	}
	n := 0
	switch v.kind {
	case "S", "B":
		n = len(v.s)
	case "M":
		n = len(v.m)
	case "L", "SS", "NS", "BS":
		n = len(v.list)
	default:
		return Value{}, false
	}
	size, err := parseNumber(fmt.Sprint(n))
	return Value{kind: "N", n: size}, err == nil
}

type or []Condition

func (c or) Test(it Item) bool {
	return slices.ContainsFunc(c, func(c Condition) bool { return c.Test(it) })
}

type and []Condition

func (c and) Test(it Item) bool {
	return !slices.ContainsFunc(c, func(c Condition) bool { return !c.Test(it) })
}

type not struct{ c Condition }

func (c not) Test(it Item) bool { return !c.c.Test(it) }

type comparison struct {
	operator    string
	left, right operand
}

// test compares as DynamoDB does: what is not there, or of another kind, is unequal and has no
// order.
func (c comparison) Test(it Item) bool {
	a, okA := c.left.get(it)
	b, okB := c.right.get(it)
	both := okA && okB
	switch c.operator {
	case "=":
		return both && a.equal(b)
	case "<>":
		return !both || !a.equal(b)
	}
	order, ok := a.Compare(b)
	if !both || !ok {
		return false
	}
	switch c.operator {
	case "<":
		return order < 0
	case "<=":
		return order <= 0
	case ">":
		return order > 0
	}
	return order >= 0
}

type between struct{ v, low, high operand }

func (c between) Test(it Item) bool {
	return comparison{">=", c.v, c.low}.Test(it) && comparison{"<=", c.v, c.high}.Test(it)
}

type in struct {
	v   operand
	set []operand
}

func (c in) Test(it Item) bool {
	return slices.ContainsFunc(c.set, func(o operand) bool { return comparison{"=", c.v, o}.Test(it) })
}

// call is a function that is a condition.
type call struct {
	name string
	args []operand
}

func (c call) Test(it Item) bool {
	v, ok := c.args[0].get(it)
	switch c.name {
	case "attribute_exists":
		return ok
	case "attribute_not_exists":
		return !ok
	}
	arg, okArg := c.args[1].get(it)
	if !ok || !okArg {
		return false
	}
	switch c.name {
	case "attribute_type":
		return v.kind == arg.s
	case "begins_with":
		return v.kind == arg.kind && (v.kind == "S" || v.kind == "B") && strings.HasPrefix(v.s, arg.s)
	}
	return v.contains(arg)
}

// group is a condition in parentheses: it means what is inside. Only the parser knows it, to find a
// pair of parentheses around a pair of parentheses, which AWS refuses.
type group struct{ Condition }

func ungroup(c Condition) Condition {
	if g, ok := c.(group); ok {
		return g.Condition
	}
	return c
}

// condition reads a whole condition.
func (p *parser) condition() (Condition, error) {
	c, err := p.disjunction()
	return ungroup(c), err
}

// disjunction reads the lowest level of precedence: OR.
func (p *parser) disjunction() (Condition, error) {
	first, err := p.conjunction()
	if err != nil {
		return nil, err
	}
	all := or{ungroup(first)}
	for p.acceptWord("OR") {
		p.operators++
		next, err := p.conjunction()
		if err != nil {
			return nil, err
		}
		all = append(all, ungroup(next))
	}
	if len(all) == 1 {
		return first, nil
	}
	return all, nil
}

func (p *parser) conjunction() (Condition, error) {
	first, err := p.negation()
	if err != nil {
		return nil, err
	}
	all := and{ungroup(first)}
	for p.acceptWord("AND") {
		p.operators++
		next, err := p.negation()
		if err != nil {
			return nil, err
		}
		all = append(all, ungroup(next))
	}
	if len(all) == 1 {
		return first, nil
	}
	return all, nil
}

func (p *parser) negation() (Condition, error) {
	if p.acceptWord("NOT") {
		p.operators++
		c, err := p.negation()
		return not{ungroup(c)}, err
	}
	if p.accept("(") {
		// An operand may not stand in parentheses here, so this is a whole condition.
		c, err := p.disjunction()
		if err != nil {
			return nil, err
		}
		if _, double := c.(group); double {
			return nil, wrongf("The expression has redundant parentheses;")
		}
		return group{c}, p.expect(")")
	}
	if p.nextIsCall() && p.peek().text != "size" {
		return p.call()
	}
	return p.comparison()
}

// arities are the condition functions and the number of their operands.
var arities = map[string]int{
	"attribute_exists": 1, "attribute_not_exists": 1, "attribute_type": 2, "begins_with": 2, "contains": 2, "size": 1,
}

func (p *parser) call() (Condition, error) {
	name := p.take().text
	p.operators++
	arity, known := arities[name]
	switch {
	case name == "if_not_exists" || name == "list_append":
		return nil, wrongf("The function is not allowed in a condition expression; function: %s", name)
	case !known:
		return nil, wrongf("Invalid function name; function: %s", name)
	}
	p.take() // the parenthesis
	args, err := p.operands()
	if err != nil {
		return nil, err
	}
	if len(args) != arity {
		return nil, wrongf("Incorrect number of operands for operator or function; operator or function: %s, number of operands: %d", name, len(args))
	}
	return call{name, args}, checkCall(name, args)
}

// attributeKinds are what attribute_type may ask for.
var attributeKinds = []string{"S", "N", "B", "BOOL", "NULL", "L", "M", "SS", "NS", "BS"}

func checkCall(name string, args []operand) error {
	_, isPath := args[0].(path)
	switch name {
	case "attribute_exists", "attribute_not_exists":
		if !isPath {
			return wrongf("Operator or function requires a document path; operator or function: %s", name)
		}
		return nil
	case "attribute_type":
		kind, ok := args[1].(literal)
		if !ok || kind.v.kind != "S" {
			return incorrectType(name, args[1])
		}
		if !slices.Contains(attributeKinds, kind.v.s) {
			return wrongf("Invalid attribute type name found; type: %s, valid types: {B,NULL,SS,BOOL,L,BS,N,NS,S,M}", kind.v.s)
		}
	case "begins_with":
		for _, arg := range args {
			if l, ok := arg.(literal); ok && l.v.kind != "S" && l.v.kind != "B" {
				return incorrectType(name, arg)
			}
		}
	}
	return distinct(name, args)
}

func incorrectType(name string, o operand) error {
	kind := "N" // of size()
	if l, ok := o.(literal); ok {
		kind = l.v.kind
	}
	return wrongf("Incorrect operand type for operator or function; operator or function: %s, operand type: %s", name, kind)
}

// distinct refuses to compare a path with itself.
func distinct(name string, args []operand) error {
	first, ok := args[0].(path)
	for _, arg := range args[1:] {
		if other, isPath := arg.(path); ok && isPath && slices.Equal(first, other) {
			return wrongf("The first operand must be distinct from the remaining operands for this operator or function; operator: %s, first operand: %s", name, first)
		}
	}
	return nil
}

// comparison reads an operand and what follows it: an operator, BETWEEN or IN.
func (p *parser) comparison() (Condition, error) {
	left, err := p.operand()
	if err != nil {
		return nil, err
	}
	p.operators++
	switch {
	case p.acceptWord("BETWEEN"):
		return p.between(left)
	case p.acceptWord("IN"):
		if err := p.expect("("); err != nil {
			return nil, err
		}
		set, err := p.operands()
		if err != nil {
			return nil, err
		}
		if len(set) > maxInOperands {
			return nil, wrongf("The IN operator is provided with too many operands; number of operands: %d", len(set))
		}
		return in{left, set}, distinct("IN", append([]operand{left}, set...))
	}
	operator := p.peek().text
	if k := p.peek().kind; !(k == '=' || k == '<' || k == '>') {
		return nil, p.unexpected()
	}
	p.take()
	right, err := p.operand()
	if err != nil {
		return nil, err
	}
	for _, o := range []operand{left, right} {
		if l, ok := o.(literal); ok && operator != "=" && operator != "<>" && !ordered(l.v) {
			return nil, incorrectType(operator, o)
		}
	}
	return comparison{operator, left, right}, distinct(operator, []operand{left, right})
}

func ordered(v Value) bool { return v.kind == "S" || v.kind == "N" || v.kind == "B" }

func (p *parser) between(v operand) (Condition, error) {
	low, err := p.operand()
	if err != nil {
		return nil, err
	}
	if !p.acceptWord("AND") {
		return nil, p.unexpected()
	}
	high, err := p.operand()
	if err != nil {
		return nil, err
	}
	for _, o := range []operand{v, low, high} {
		if l, ok := o.(literal); ok && !ordered(l.v) {
			return nil, incorrectType("BETWEEN", o)
		}
	}
	l, okL := low.(literal)
	h, okH := high.(literal)
	if okL && okH {
		order, same := l.v.Compare(h.v)
		if !same {
			return nil, wrongf("The BETWEEN operator requires same data type for lower and upper bounds; lower bound operand: AttributeValue: {%s:%s}, upper bound operand: AttributeValue: {%s:%s}", l.v.kind, l.v, h.v.kind, h.v)
		}
		if order > 0 {
			return nil, wrongf("The BETWEEN operator requires upper bound to be greater than or equal to lower bound; lower bound operand: AttributeValue: {%s:%s}, upper bound operand: AttributeValue: {%s:%s}", l.v.kind, l.v, h.v.kind, h.v)
		}
	}
	return between{v, low, high}, nil
}

// operands reads a list up to its closing parenthesis.
func (p *parser) operands() ([]operand, error) {
	var all []operand
	for {
		o, err := p.operand()
		if err != nil {
			return nil, err
		}
		all = append(all, o)
		if p.accept(",") {
			continue
		}
		return all, p.expect(")")
	}
}

func (p *parser) operand() (operand, error) {
	if p.peek().kind == ':' {
		v, err := p.value()
		return literal{v}, err
	}
	if !p.nextIsCall() {
		return p.path()
	}
	name := p.peek()
	if name.text != "size" {
		if _, known := arities[name.text]; !known {
			return nil, wrongf("Invalid function name; function: %s", name.text)
		}
		return nil, wrongf("The function is not allowed to be used this way in an expression; function: %s", name.text)
	}
	p.take()
	p.take()
	p.operators++
	args, err := p.operands()
	if err != nil {
		return nil, err
	}
	if len(args) != 1 {
		return nil, wrongf("Incorrect number of operands for operator or function; operator or function: size, number of operands: %d", len(args))
	}
	if l, ok := args[0].(literal); ok && (l.v.kind == "N" || l.v.kind == "BOOL" || l.v.kind == "NULL") {
		return nil, incorrectType("size", args[0])
	}
	return sizeOf{args[0]}, nil
}
