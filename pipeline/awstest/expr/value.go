// Package expr is DynamoDB's attribute values and the expressions about them: conditions and
// filters, updates, projections, and the placeholders that they share. It knows no tables.
package expr

import (
	"bytes"
	"cmp"
	"encoding/base64"
	"encoding/json"
	"maps"
	"math/big"
	"slices"
	"strings"

	"rootwatch/pipeline/awstest/wire"
)

// Item is a DynamoDB item. Items and the values in them are never changed once they are stored or
// handed out: an update makes new ones along the path it changes.
type Item map[string]Value

// Value is an attribute value; kind says which of the fields holds it.
type Value struct {
	kind string // S, N, B, BOOL, NULL, L, M, SS, NS or BS
	s    string // S and B
	n    number
	bool bool
	list []Value // L; a set's members, which are S, N or B
	m    map[string]Value
}

// setKinds tells what a set is made of.
var setKinds = map[string]string{"SS": "S", "NS": "N", "BS": "B"}

const (
	maxItemBytes = 400 << 10
	maxDepth     = 32
	maxNameBytes = 1<<16 - 1 // of an attribute's name
)

var nameTooLarge = wire.Invalid("Attribute name is too large, must be less than %d bytes", maxNameBytes+1)

// UnmarshalJSON reads {"S":"text"} and its like.
func (v *Value) UnmarshalJSON(b []byte) error {
	var raw map[string]json.RawMessage
	if err := json.Unmarshal(b, &raw); err != nil {
		return wire.Errorf("SerializationException", "reading an attribute value: %v", err)
	}
	maps.DeleteFunc(raw, func(_ string, b json.RawMessage) bool { return string(b) == "null" })
	if len(raw) != 1 {
		if len(raw) == 0 {
			return wire.Invalid("Supplied AttributeValue is empty, must contain exactly one of the supported datatypes")
		}
		return wire.Invalid("Supplied AttributeValue has more than one datatypes set, must contain exactly one of the supported datatypes")
	}
	for kind, b := range raw {
		v.kind = kind
		return v.read(b)
	}
	return nil
}

func (v *Value) read(b []byte) error {
	switch v.kind {
	case "S":
		return scalar(b, &v.s)
	case "N":
		var text string
		if err := scalar(b, &text); err != nil {
			return err
		}
		var err error
		v.n, err = parseNumber(text)
		return err
	case "B":
		var data []byte
		if err := scalar(b, &data); err != nil {
			return err
		}
		v.s = string(data)
		return nil
	case "BOOL":
		return scalar(b, &v.bool)
	case "NULL":
		if err := scalar(b, &v.bool); err != nil {
			return err
		}
		if !v.bool {
			return wire.Invalid("One or more parameter values were invalid: Null attribute value types must have the value of true")
		}
		return nil
	case "L":
		v.list = []Value{}
		return scalar(b, &v.list)
	case "M":
		v.m = map[string]Value{}
		if err := scalar(b, &v.m); err != nil {
			return err
		}
		return checkNames(v.m)
	case "SS", "NS", "BS":
		return v.readSet(b)
	}
	return wire.Invalid("Supplied AttributeValue is empty, must contain exactly one of the supported datatypes")
}

// scalar decodes one JSON value; an error that AWS has a name for stays as it is.
func scalar(b []byte, into any) error {
	return wire.Decode(b, into)
}

func (v *Value) readSet(b []byte) error {
	var raw []json.RawMessage
	if err := scalar(b, &raw); err != nil {
		return err
	}
	if len(raw) == 0 {
		names := map[string]string{"SS": "string", "NS": "number", "BS": "binary"}
		return wire.Invalid("One or more parameter values were invalid: An %s set  may not be empty", names[v.kind])
	}
	v.list = make([]Value, len(raw))
	for i := range raw {
		v.list[i].kind = setKinds[v.kind]
		if err := v.list[i].read(raw[i]); err != nil {
			return err
		}
		if slices.ContainsFunc(v.list[:i], v.list[i].equal) {
			return wire.Invalid("One or more parameter values were invalid: Input collection %s contains duplicates.", v)
		}
	}
	return nil
}

// MarshalJSON writes what UnmarshalJSON reads.
func (v Value) MarshalJSON() ([]byte, error) {
	inner, err := json.Marshal(v.plain())
	if err != nil {
		return nil, err
	}
	return slices.Concat([]byte(`{"`+v.kind+`":`), inner, []byte{'}'}), nil
}

// plain is the value as encoding/json knows it.
func (v Value) plain() any {
	switch v.kind {
	case "S":
		return v.s
	case "N":
		return v.n.String()
	case "B":
		return base64.StdEncoding.EncodeToString([]byte(v.s))
	case "BOOL", "NULL":
		return v.bool
	case "L":
		return v.list
	case "M":
		return v.m
	}
	members := make([]any, len(v.list))
	for i, member := range v.list {
		members[i] = member.plain()
	}
	return members
}

// String is for messages.
func (v Value) String() string {
	b, err := json.Marshal(v.plain())
	if err != nil {
		return err.Error()
	}
	return string(b)
}

// Kind is the type's name: S, N, B, BOOL, NULL, L, M, SS, NS or BS.
func (v Value) Kind() string { return v.kind }

// Text is a string, the bytes of a binary or a number as DynamoDB writes it: what keys are made of.
func (v Value) Text() string {
	if v.kind == "N" {
		return v.n.String()
	}
	return v.s
}

func (v Value) isSet() bool { return setKinds[v.kind] != "" }

// Size is the bytes that a value counts for (the developer guide's "item sizes and formats").
func (v Value) Size() int {
	switch v.kind {
	case "S", "B":
		return len(v.s)
	case "N":
		return v.n.Size()
	case "BOOL", "NULL":
		return 1
	}
	size := 0
	for _, e := range v.list {
		size += e.Size()
	}
	for name, e := range v.m {
		size += len(name) + e.Size()
	}
	if !v.isSet() {
		size += 3 + len(v.list) + len(v.m)
	}
	return size
}

// Size is the bytes that an item counts for.
func (it Item) Size() int {
	size := 0
	for name, v := range it {
		size += len(name) + v.Size()
	}
	return size
}

// Check refuses what no table takes, whatever is in it.
func (it Item) Check() error {
	if err := checkNames(it); err != nil {
		return err
	}
	if it.Size() > maxItemBytes {
		return wire.Invalid("Item size has exceeded the maximum allowed size")
	}
	if it.depth() > maxDepth {
		return wire.Invalid("Nesting Levels have exceeded supported limits")
	}
	return nil
}

func checkNames(attributes map[string]Value) error {
	for name := range attributes {
		if len(name) > maxNameBytes {
			return nameTooLarge
		}
	}
	return nil
}

// depth is how many lists and maps are inside each other at most.
func (v Value) depth() int {
	if v.kind != "L" && v.kind != "M" {
		return 0
	}
	deepest := Item(v.m).depth()
	for _, e := range v.list {
		deepest = max(deepest, e.depth())
	}
	return deepest + 1
}

func (it Item) depth() int {
	deepest := 0
	for _, v := range it {
		deepest = max(deepest, v.depth())
	}
	return deepest
}

func (v Value) equal(o Value) bool {
	if v.kind != o.kind || len(v.list) != len(o.list) || len(v.m) != len(o.m) {
		return false
	}
	switch v.kind {
	case "S", "B":
		return v.s == o.s
	case "N":
		return v.n.compare(o.n) == 0
	case "BOOL", "NULL":
		return v.bool == o.bool
	case "L":
		return slices.EqualFunc(v.list, o.list, Value.equal)
	case "M":
		return maps.EqualFunc(v.m, o.m, Value.equal)
	}
	for _, e := range v.list { // sets: members are unique, so as many of them in o is all of them
		if !slices.ContainsFunc(o.list, e.equal) {
			return false
		}
	}
	return true
}

// Compare orders two values; ok is false if they have no order: other kinds, or different ones.
func (v Value) Compare(o Value) (order int, ok bool) {
	if v.kind != o.kind {
		return 0, false
	}
	switch v.kind {
	case "N":
		return v.n.compare(o.n), true
	case "S", "B":
		return cmp.Compare(v.s, o.s), true
	}
	return 0, false
}

// contains is the condition function: a part of a string, a member of a set or a list.
func (v Value) contains(o Value) bool {
	switch v.kind {
	case "S":
		return o.kind == "S" && strings.Contains(v.s, o.s)
	case "B":
		return o.kind == "B" && bytes.Contains([]byte(v.s), []byte(o.s))
	case "L", "SS", "NS", "BS":
		return slices.ContainsFunc(v.list, o.equal)
	}
	return false
}

// Whole is a number without its fraction, if it is one that int64 can hold.
func (v Value) Whole() (int64, bool) {
	if v.kind != "N" || v.n.exp > maxDigits {
		return 0, false
	}
	exp := min(v.n.exp, 0)
	whole := v.n.scaled(exp)
	whole.Div(whole, new(big.Int).Exp(ten, big.NewInt(int64(-exp)), nil))
	return whole.Int64(), whole.IsInt64()
}
