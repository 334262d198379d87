package expr

import (
	"slices"
	"strings"

	"rootwatch/pipeline/awstest/wire"
)

// Update is a parsed UpdateExpression.
type Update struct {
	actions []action
}

// action changes one attribute. Its operand was taken from the item before any action was applied.
type action struct {
	verb string // SET, REMOVE, ADD or DELETE
	at   path
	term term // of SET, ADD and DELETE
}

// term is what SET assigns; an error if the item does not have what it needs.
type term interface {
	eval(it Item) (Value, error)
}

var (
	errNoAttribute = wire.Invalid("The provided expression refers to an attribute that does not exist in the item")
	errOperandType = wire.Invalid("An operand in the update expression has an incorrect data type")
)

func (l literal) eval(Item) (Value, error) { return l.v, nil }

func (p path) eval(it Item) (Value, error) {
	v, ok := p.get(it)
	if !ok {
		return v, errNoAttribute
	}
	return v, nil
}

type ifNotExists struct {
	at        path
	otherwise term
}

func (t ifNotExists) eval(it Item) (Value, error) {
	if v, ok := t.at.get(it); ok {
		return v, nil
	}
	return t.otherwise.eval(it)
}

type listAppend struct{ a, b term }

func (t listAppend) eval(it Item) (Value, error) {
	a, err := t.a.eval(it)
	if err != nil {
		return a, err
	}
	b, err := t.b.eval(it)
	if err != nil {
		return b, err
	}
	if a.kind != "L" || b.kind != "L" {
		return a, errOperandType
	}
	return Value{kind: "L", list: slices.Concat(a.list, b.list)}, nil
}

type sum struct {
	a, b term
	sign int64
}

func (t sum) eval(it Item) (Value, error) {
	a, err := t.a.eval(it)
	if err != nil {
		return a, err
	}
	b, err := t.b.eval(it)
	if err != nil {
		return b, err
	}
	if a.kind != "N" || b.kind != "N" {
		return a, errOperandType
	}
	a.n, err = a.n.add(b.n, t.sign)
	return a, err
}

// Attributes are the names of the top-level attributes that the update touches.
func (u *Update) Attributes() []string {
	var names []string
	for _, a := range u.actions {
		names = append(names, a.at[0].name)
	}
	return names
}

// Touched leads to what the update touches.
func (u *Update) Touched() Projection {
	paths := Projection{} // not nil, which would be all attributes
	for _, a := range u.actions {
		paths = append(paths, a.at)
	}
	return paths
}

// RemovesOnly reports whether all that the update does is to take away.
func (u *Update) RemovesOnly() bool {
	return len(u.actions) > 0 && !slices.ContainsFunc(u.actions, func(a action) bool { return a.verb == "SET" || a.verb == "ADD" })
}

// Apply gives the item after the update. Every operand is read from the item before it.
func (u *Update) Apply(it Item) (Item, error) {
	operands := make([]Value, len(u.actions))
	for i, a := range u.actions {
		if a.term == nil {
			continue
		}
		var err error
		if operands[i], err = a.term.eval(it); err != nil {
			return nil, err
		}
	}
	for _, i := range u.order() {
		var err error
		a := u.actions[i]
		if it, err = a.at.change(it, func(old *Value) (*Value, error) { return a.apply(old, operands[i]) }); err != nil {
			return nil, err
		}
	}
	return it, nil
}

// order is the one in which actions are applied, so that every index means a place in the list as
// it was: what appends to a list from its front on, and then what takes away from its end on.
func (u *Update) order() []int {
	var add, remove []int
	for i, a := range u.actions {
		if a.verb == "REMOVE" || a.verb == "DELETE" {
			remove = append(remove, i)
		} else {
			add = append(add, i)
		}
	}
	byPath := func(i, j int) int { return u.actions[i].at.compare(u.actions[j].at) }
	slices.SortStableFunc(add, byPath)
	slices.SortStableFunc(remove, func(i, j int) int { return byPath(j, i) })
	return append(add, remove...)
}

func (a action) apply(old *Value, operand Value) (*Value, error) {
	switch {
	case a.verb == "SET":
		return &operand, nil
	case a.verb == "REMOVE", a.verb == "DELETE" && old == nil:
		return nil, nil
	case a.verb == "ADD" && old == nil:
		return &operand, nil
	case old.kind != operand.kind:
		return nil, errOperandType
	case a.verb == "ADD" && old.kind == "N":
		n, err := old.n.add(operand.n, 1)
		return &Value{kind: "N", n: n}, err
	}
	changed := Value{kind: old.kind, list: slices.Clone(old.list)}
	for _, member := range operand.list {
		at := slices.IndexFunc(changed.list, member.equal)
		switch {
		case a.verb == "ADD" && at < 0:
			changed.list = append(changed.list, member)
		case a.verb == "DELETE" && at >= 0:
			changed.list = slices.Delete(changed.list, at, at+1)
		}
	}
	if len(changed.list) == 0 {
		return nil, nil
	}
	return &changed, nil
}

// update reads an UpdateExpression: up to one section of each verb.
func (p *parser) update() (*Update, error) {
	u := &Update{}
	seen := map[string]bool{}
	for p.peek().kind != 0 || len(seen) == 0 {
		verb := strings.ToUpper(p.peek().text)
		if !slices.Contains([]string{"SET", "REMOVE", "ADD", "DELETE"}, verb) {
			return nil, p.unexpected()
		}
		p.take()
		if seen[verb] {
			return nil, wrongf(`The "%s" section can only be used once in an update expression;`, verb)
		}
		seen[verb] = true
		for {
			a, err := p.action(verb)
			if err != nil {
				return nil, err
			}
			u.actions = append(u.actions, a)
			if !p.accept(",") {
				break
			}
		}
	}
	if a, b, found := overlap(u.Touched()); found {
		return nil, wrongf("Two document paths overlap with each other; must remove or rewrite one of these paths; path one: %s, path two: %s", a, b)
	}
	return u, nil
}

func (p *parser) action(verb string) (action, error) {
	at, err := p.path()
	a := action{verb: verb, at: at}
	if err != nil || verb == "REMOVE" {
		return a, err
	}
	if verb == "SET" {
		if err := p.expect("="); err != nil {
			return a, err
		}
		a.term, err = p.sum()
		return a, err
	}
	if p.peek().kind != ':' {
		return a, p.unexpected()
	}
	v, err := p.value()
	a.term = literal{v}
	if err == nil && !v.isSet() && !(verb == "ADD" && v.kind == "N") {
		err = wrongf("Incorrect operand type for operator or function; operator: %s, operand type: %s", verb, typeNames[v.kind])
	}
	return a, err
}

var typeNames = map[string]string{
	"S": "STRING", "N": "NUMBER", "B": "BINARY", "BOOL": "BOOLEAN", "NULL": "NULL", "L": "LIST", "M": "MAP",
	"SS": "STRING_SET", "NS": "NUMBER_SET", "BS": "BINARY_SET",
}

// sum reads an operand and what is added to or taken from it.
func (p *parser) sum() (term, error) {
	a, err := p.term()
	if err != nil {
		return nil, err
	}
	sign := int64(1)
	switch {
	case p.accept("+"):
	case p.accept("-"):
		sign = -1
	default:
		return a, nil
	}
	p.operators++
	b, err := p.term()
	if err != nil {
		return nil, err
	}
	for _, t := range []term{a, b} {
		if l, ok := t.(literal); ok && l.v.kind != "N" {
			return nil, wrongf("Incorrect operand type for operator or function; operator or function: %s, operand type: %s", map[int64]string{1: "+", -1: "-"}[sign], l.v.kind)
		}
	}
	return sum{a, b, sign}, nil
}

func (p *parser) term() (term, error) {
	if p.accept("(") {
		t, err := p.sum()
		if err != nil {
			return nil, err
		}
		return t, p.expect(")")
	}
	if p.peek().kind == ':' {
		v, err := p.value()
		return literal{v}, err
	}
	if !p.nextIsCall() {
		return p.path()
	}
	name := p.take().text
	p.take() // the parenthesis
	p.operators++
	switch name {
	case "if_not_exists", "list_append":
	default:
		if _, known := arities[name]; known {
			return nil, wrongf("The function is not allowed in an update expression; function: %s", name)
		}
		return nil, wrongf("Invalid function name; function: %s", name)
	}
	a, err := p.term()
	if err != nil {
		return nil, err
	}
	if err := p.expect(","); err != nil {
		return nil, err
	}
	b, err := p.term()
	if err != nil {
		return nil, err
	}
	if err := p.expect(")"); err != nil {
		return nil, err
	}
	for _, operand := range []term{a, b} {
		if _, nested := operand.(listAppend); nested {
			return nil, wrongf("The function is not allowed to be used this way in an expression; function: list_append")
		}
	}
	if name == "list_append" {
		return listAppend{a, b}, nil
	}
	at, ok := a.(path)
	if !ok {
		return nil, wrongf("Operator or function requires a document path; operator or function: if_not_exists")
	}
	return ifNotExists{at, b}, nil
}
