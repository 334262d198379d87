package expr

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"rootwatch/pipeline/awstest/wire"
)

// step is one part of a document path: an attribute's name or a list's index.
type step struct {
	name  string
	index int // -1 for a name
}

// path leads to an attribute, or into one: a.b[3].
type path []step

func (p *parser) path() (path, error) {
	name, err := p.name()
	if err != nil {
		return nil, err
	}
	steps := path{{name, -1}}
	for {
		switch {
		case p.accept("."):
			if name, err = p.name(); err != nil {
				return nil, err
			}
			steps = append(steps, step{name, -1})
		case p.accept("["):
			t := p.peek()
			index, err := strconv.Atoi(t.text)
			if t.kind != '0' || err != nil {
				return nil, p.unexpected()
			}
			p.take()
			if err := p.expect("]"); err != nil {
				return nil, err
			}
			steps = append(steps, step{index: index})
		default:
			return steps, nil
		}
	}
}

// String writes a path as AWS's messages do: [a, b, [3]].
func (p path) String() string {
	parts := make([]string, len(p))
	for i, s := range p {
		if parts[i] = s.name; s.index >= 0 {
			parts[i] = fmt.Sprintf("[%d]", s.index)
		}
	}
	return "[" + strings.Join(parts, ", ") + "]"
}

// compare orders paths by their names and indexes from left to right.
func (p path) compare(o path) int {
	return slices.CompareFunc(p, o, func(a, b step) int {
		return cmp.Or(cmp.Compare(a.index, b.index), cmp.Compare(a.name, b.name))
	})
}

func (s step) in(v Value) (Value, bool) {
	if s.index < 0 {
		child, ok := v.m[s.name]
		return child, ok && v.kind == "M"
	}
	if v.kind != "L" || s.index >= len(v.list) {
		return Value{}, false
	}
	return v.list[s.index], true
}

// get follows the path through an item.
func (p path) get(it Item) (Value, bool) {
	v, ok := Value{kind: "M", m: it}, true
	for _, s := range p {
		if v, ok = s.in(v); !ok {
			return Value{}, false
		}
	}
	return v, true
}

var errPath = wire.Invalid("The document path provided in the update expression is invalid for update")

// change gives an item in which f has replaced what the path leads to; a nil answer of f removes
// it. The item itself stays as it was.
func (p path) change(it Item, f func(old *Value) (*Value, error)) (Item, error) {
	v, err := p.changeIn(Value{kind: "M", m: it}, f)
	return v.m, err
}

func (p path) changeIn(parent Value, f func(*Value) (*Value, error)) (Value, error) {
	s := p[0]
	if s.index < 0 && parent.kind != "M" || s.index >= 0 && parent.kind != "L" {
		return parent, errPath
	}
	var old *Value
	if child, ok := s.in(parent); ok {
		old = &child
	}
	if len(p) == 1 {
		changed, err := f(old)
		if err != nil || changed == old {
			return parent, err
		}
		return parent.with(s, changed), nil
	}
	if old == nil {
		return parent, errPath
	}
	child, err := p[1:].changeIn(*old, f)
	if err != nil {
		return parent, err
	}
	return parent.with(s, &child), nil
}

// with is v with one child set, or removed if it is nil. An index beyond the end of a list appends.
func (v Value) with(s step, child *Value) Value {
	if s.index < 0 {
		v.m = maps.Clone(v.m)
		if child == nil {
			delete(v.m, s.name)
			return v
		}
		if v.m == nil {
			v.m = map[string]Value{}
		}
		v.m[s.name] = *child
		return v
	}
	v.list = slices.Clone(v.list)
	switch {
	case child == nil && s.index < len(v.list):
		v.list = slices.Delete(v.list, s.index, s.index+1)
	case child == nil:
	case s.index < len(v.list):
		v.list[s.index] = *child
	default:
		v.list = append(v.list, *child)
	}
	return v
}

// overlap finds two paths of which one leads to or into the other.
func overlap(paths []path) (a, b path, found bool) {
	for i, a := range paths {
		for _, b := range paths[i+1:] {
			n := min(len(a), len(b))
			if slices.Equal(a[:n], b[:n]) {
				return a, b, true
			}
		}
	}
	return nil, nil, false
}

// Projection is the paths to what is wanted of an item; nil is all of it.
type Projection []path

// Of keeps what the paths lead to. Kept elements of a list close up.
func (p Projection) Of(it Item) Item {
	if p == nil {
		return it
	}
	v, found := pick(Value{kind: "M", m: it}, p)
	if !found {
		return Item{}
	}
	return v.m
}

// pick reports false if none of the paths leads anywhere.
func pick(v Value, paths []path) (Value, bool) {
	below := map[step][]path{}
	for _, p := range paths {
		if len(p) == 0 {
			return v, true
		}
		below[p[0]] = append(below[p[0]], p[1:])
	}
	out, found := Value{kind: v.kind, m: map[string]Value{}}, false
	for _, s := range slices.SortedFunc(maps.Keys(below), func(a, b step) int { return a.index - b.index }) {
		child, ok := s.in(v)
		if !ok {
			continue
		}
		if child, ok = pick(child, below[s]); !ok {
			continue
		}
		found = true
		if s.index < 0 {
			out.m[s.name] = child
		} else {
			out.list = append(out.list, child)
		}
	}
	return out, found
}

// projection reads a ProjectionExpression.
func (p *parser) projection() (Projection, error) {
	var paths Projection
	for {
		next, err := p.path()
		if err != nil {
			return nil, err
		}
		paths = append(paths, next)
		if !p.accept(",") {
			break
		}
	}
	if a, b, found := overlap(paths); found {
		return nil, wrongf("Two document paths overlap with each other; must remove or rewrite one of these paths; path one: %s, path two: %s", a, b)
	}
	return paths, nil
}
