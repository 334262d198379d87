package expr

import (
	"slices"
	"strings"

	"rootwatch/pipeline/awstest/wire"
)

// Condition reads a ConditionExpression or a FilterExpression, whose parameter is called what; nil
// if there is none.
func (e *Placeholders) Condition(what string, text *string) (Condition, error) {
	return parse(e, what, text, (*parser).condition)
}

// Projection reads a ProjectionExpression; nil if there is none.
func (e *Placeholders) Projection(text *string) (Projection, error) {
	return parse(e, "ProjectionExpression", text, (*parser).projection)
}

// Update reads an UpdateExpression; one that changes nothing if there is none.
func (e *Placeholders) Update(text *string) (*Update, error) {
	if text == nil {
		return &Update{}, nil
	}
	return parse(e, "UpdateExpression", text, (*parser).update)
}

// CheckPlaceholders refuses malformed keys, and substitutions where there is no expression.
func (e *Placeholders) CheckPlaceholders(present bool) error {
	if !present && e.ExpressionAttributeNames != nil {
		return wire.Invalid("ExpressionAttributeNames can only be specified when using expressions")
	}
	if !present && e.ExpressionAttributeValues != nil {
		return wire.Invalid("ExpressionAttributeValues can only be specified when using expressions")
	}
	if e.ExpressionAttributeNames != nil && len(e.ExpressionAttributeNames) == 0 {
		return wire.Invalid("ExpressionAttributeNames must not be empty")
	}
	if e.ExpressionAttributeValues != nil && len(e.ExpressionAttributeValues) == 0 {
		return wire.Invalid("ExpressionAttributeValues must not be empty")
	}
	for key, name := range e.ExpressionAttributeNames {
		if !isPlaceholder(key, '#') {
			return wire.Invalid("ExpressionAttributeNames contains invalid key: Syntax error; key: %q", key)
		}
		if len(name) > maxNameBytes {
			return nameTooLarge
		}
	}
	for key := range e.ExpressionAttributeValues {
		if !isPlaceholder(key, ':') {
			return wire.Invalid("ExpressionAttributeValues contains invalid key: Syntax error; key: %q", key)
		}
	}
	return nil
}

func isPlaceholder(key string, first byte) bool {
	tokens, err := lex(key)
	// #0 is allowed as well as #a: what follows the mark may begin with a digit.
	return err == nil && len(tokens) == 2 && tokens[0].kind == first && tokens[0].text == key
}

// CheckUsed refuses what no expression has used, as AWS does.
func (e *Placeholders) CheckUsed() error {
	if unused := unusedKeys(e.ExpressionAttributeNames, e.usedNames); unused != "" {
		return wire.Invalid("Value provided in ExpressionAttributeNames unused in expressions: keys: {%s}", unused)
	}
	if unused := unusedKeys(e.ExpressionAttributeValues, e.usedValues); unused != "" {
		return wire.Invalid("Value provided in ExpressionAttributeValues unused in expressions: keys: {%s}", unused)
	}
	return nil
}

func unusedKeys[V any](given map[string]V, used map[string]bool) string {
	var unused []string
	for key := range given {
		if !used[key] {
			unused = append(unused, key)
		}
	}
	slices.Sort(unused)
	return strings.Join(unused, ", ")
}
