package deploy

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
)

// matches is EventBridge's comparison of an event with a pattern, for the operators that the stacks
// use. An operator that it does not know is an error: a pattern must not pass for want of
// knowledge.
//
// Every key of the pattern must match, missing keys of the event match `exists: false` alone, a
// list in the event matches by any of its elements, and $or is true if one of its branches is.
// https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-create-pattern-operators.html
func matches(pattern object, event any) (bool, error) {
	if list, ok := event.([]any); ok {
		for _, element := range list {
			if ok, err := matches(pattern, element); ok || err != nil {
				return ok, err
			}
		}
		return false, nil
	}
	fields, _ := event.(object)
	for key, want := range pattern {
		value, present := fields[key]
		var ok bool
		var err error
		switch want := want.(type) {
		case object:
			ok, err = matches(want, value)
		case []any:
			if key == "$or" {
				ok, err = anyBranch(want, event)
			} else {
				ok, err = anyOf(want, value, present)
			}
		default:
			err = fmt.Errorf("%s: want a list or a mapping, got %v", key, want)
		}
		if !ok || err != nil {
			return false, err
		}
	}
	return true, nil
}

func anyBranch(branches []any, event any) (bool, error) {
	if len(branches) < 2 {
		return false, fmt.Errorf("$or has %d branches, EventBridge wants two or more", len(branches))
	}
	for _, branch := range branches {
		pattern, ok := branch.(object)
		if !ok {
			return false, fmt.Errorf("$or: a branch is not a mapping: %v", branch)
		}
		if ok, err := matches(pattern, event); ok || err != nil {
			return ok, err
		}
	}
	return false, nil
}

// anyOf compares one field with the list of what it may be.
func anyOf(conditions []any, value any, present bool) (bool, error) {
	if len(conditions) == 0 {
		return false, fmt.Errorf("an empty list matches nothing")
	}
	values, isList := value.([]any)
	if !isList {
		values = []any{value}
	}
	// An object is not a leaf: exists looks at leaves alone.
	_, isObject := value.(object)
	leaf := present && !isObject
	for _, condition := range conditions {
		operator, isOperator := condition.(object)
		if !isOperator {
			if leaf && slices.Contains(values, condition) {
				return true, nil
			}
			continue
		}
		ok, err := operate(operator, values, leaf)
		if ok || err != nil {
			return ok, err
		}
	}
	return false, nil
}

func operate(operator object, values []any, leaf bool) (bool, error) {
	if len(operator) != 1 {
		return false, fmt.Errorf("%v: one operator at a time", operator)
	}
	for name, arg := range operator {
		if name == "exists" {
			return arg == leaf, nil
		}
		if name == "anything-but" {
			return anythingBut(arg, values, leaf)
		}
		text, ok := arg.(string)
		if !ok {
			return false, fmt.Errorf("%s: %v is not a string", name, arg)
		}
		compare := comparisons[name]
		if compare == nil {
			return false, fmt.Errorf("operator %s is not known to the tests", name)
		}
		return leaf && slices.ContainsFunc(values, func(v any) bool {
			s, ok := v.(string)
			return ok && compare(s, text)
		}), nil
	}
	return false, nil
}

var comparisons = map[string]func(s, part string) bool{
	"prefix":             strings.HasPrefix,
	"suffix":             strings.HasSuffix,
	"equals-ignore-case": strings.EqualFold,
}

// anythingBut matches a string that is none of the excluded ones: {"prefix": "x"}, or {"wildcard":
// ["x*", "y"]} with an asterisk at the end or none. A field that is missing does not match.
func anythingBut(arg any, values []any, leaf bool) (bool, error) {
	exclusion, _ := arg.(object)
	wildcards, _ := exclusion["wildcard"].([]any)
	if prefix, ok := exclusion["prefix"].(string); ok {
		wildcards = []any{prefix + "*"}
	}
	if len(exclusion) != 1 || len(wildcards) == 0 {
		return false, fmt.Errorf("anything-but %v is not known to the tests", arg)
	}
	for _, value := range values {
		s, ok := value.(string)
		excluded := !ok || !leaf
		for _, w := range wildcards {
			text, open := strings.CutSuffix(fmt.Sprint(w), "*")
			if strings.Contains(text, "*") {
				return false, fmt.Errorf("anything-but %v is not known to the tests", arg)
			}
			excluded = excluded || s == text || open && strings.HasPrefix(s, text)
		}
		if !excluded {
			return true, nil
		}
	}
	return false, nil
}

func mustMatch(t *testing.T, pattern object, event any) bool {
	t.Helper()
	ok, err := matches(pattern, event)
	if err != nil {
		t.Fatal(err)
	}
	return ok
}

func fromJSON(t *testing.T, text string) any {
	t.Helper()
	var value any
	if err := json.Unmarshal([]byte(text), &value); err != nil {
		t.Fatalf("%v in %s", err, text)
	}
	return value
}

// The matcher itself, against what EventBridge's documentation says of each operator.
func TestMatcherDoesWhatEventBridgeDoes(t *testing.T) {
	tests := []struct {
		name           string
		pattern, event string
		want           bool
	}{
		{"a value in the list", `{"a":["x","y"]}`, `{"a":"y"}`, true},
		{"a value not in the list", `{"a":["x"]}`, `{"a":"y"}`, false},
		{"case matters", `{"a":["root"]}`, `{"a":"Root"}`, false},
		{"a list in the event matches by any element", `{"a":["x"]}`, `{"a":["z","x"]}`, true},
		{"all keys must match", `{"a":["x"],"b":["y"]}`, `{"a":"x"}`, false},
		{"null is a value", `{"a":[null]}`, `{"a":null}`, true},
		{"null does not match what is missing", `{"a":[null]}`, `{}`, false},
		{"suffix", `{"a":[{"suffix":":root"}]}`, `{"a":"arn:root"}`, true},
		{"suffix elsewhere in the string", `{"a":[{"suffix":":root"}]}`, `{"a":"arn:root:x"}`, false},
		{"suffix of what is not a string", `{"a":[{"suffix":"1"}]}`, `{"a":1}`, false},
		{"prefix", `{"a":[{"prefix":"aws."}]}`, `{"a":"aws.ec2"}`, true},
		{"anything-but prefix", `{"a":[{"anything-but":{"prefix":"aws."}}]}`, `{"a":"com.example"}`, true},
		{"anything-but prefix, excluded", `{"a":[{"anything-but":{"prefix":"aws."}}]}`, `{"a":"aws.ec2"}`, false},
		{"anything-but prefix, case matters", `{"a":[{"anything-but":{"prefix":"aws."}}]}`, `{"a":"AWS.ec2"}`, true},
		{"anything-but does not match what is missing", `{"a":[{"anything-but":{"prefix":"aws."}}]}`, `{}`, false},
		{"anything-but wildcards", `{"a":[{"anything-but":{"wildcard":["aws.*","org.x"]}}]}`, `{"a":"org.xy"}`, true},
		{"anything-but wildcards, excluded by the first", `{"a":[{"anything-but":{"wildcard":["aws.*","org.x"]}}]}`, `{"a":"aws.ec2"}`, false},
		{"anything-but wildcards, excluded by the second", `{"a":[{"anything-but":{"wildcard":["aws.*","org.x"]}}]}`, `{"a":"org.x"}`, false},
		{"two $or, one in a field", `{"$or":[{"a":["x"]},{"a":["y"]}],"d":{"$or":[{"b":["x"]},{"c":["y"]}]}}`, `{"a":"y","d":{"c":"y"}}`, true},
		{"two $or, the second has no branch", `{"$or":[{"a":["x"]},{"a":["y"]}],"d":{"$or":[{"b":["x"]},{"c":["y"]}]}}`, `{"a":"y","d":{"b":"y"}}`, false},
		{"exists false, missing", `{"a":[{"exists":false}]}`, `{}`, true},
		{"exists false, missing in a parent that is missing", `{"p":{"a":[{"exists":false}]}}`, `{}`, true},
		{"exists false, there", `{"a":[{"exists":false}]}`, `{"a":""}`, false},
		{"exists false, null is there", `{"a":[{"exists":false}]}`, `{"a":null}`, false},
		{"exists true", `{"a":[{"exists":true}]}`, `{"a":1}`, true},
		{"exists true, an object is no leaf", `{"a":[{"exists":true}]}`, `{"a":{"b":1}}`, false},
		{"$or, second branch", `{"$or":[{"a":["x"]},{"b":["y"]}]}`, `{"b":"y"}`, true},
		{"$or, no branch", `{"$or":[{"a":["x"]},{"b":["y"]}]}`, `{"a":"y","b":"x"}`, false},
		{"$or beside a key", `{"c":["z"],"$or":[{"a":["x"]},{"b":["y"]}]}`, `{"a":"x"}`, false},
		{"nested", `{"d":{"e":["x"]}}`, `{"d":{"e":"x"}}`, true},
		{"nested in a string", `{"d":{"e":["x"]}}`, `{"d":"e"}`, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got := mustMatch(t, fromJSON(t, tt.pattern).(object), fromJSON(t, tt.event))
			if got != tt.want {
				t.Errorf("%s against %s: got %v, want %v", tt.pattern, tt.event, got, tt.want)
			}
		})
	}
	for _, unknown := range []string{`{"a":[{"anything-but":"x"}]}`, `{"a":[{"anything-but":{"suffix":"x"}}]}`, `{"a":[{"anything-but":{"wildcard":["x*y"]}}]}`, `{"a":"x"}`, `{"a":[]}`, `{"$or":[{"a":["x"]}]}`} {
		if _, err := matches(fromJSON(t, unknown).(object), object{"a": "y"}); err == nil {
			t.Errorf("%s: want an error", unknown)
		}
	}
}
