package expr

import (
	"strings"

	"rootwatch/pipeline/awstest/wire"
)

// Placeholders is the part of a request that its expressions share: what #names and :values stand
// for, and which of them have been used.
type Placeholders struct {
	ExpressionAttributeNames  map[string]string
	ExpressionAttributeValues map[string]Value

	usedNames, usedValues map[string]bool
}

// What AWS allows of one expression (developer guide, "Quotas": expression parameters). The size
// also keeps the parser, which calls itself for every parenthesis, from running out of stack.
const (
	maxExpressionBytes = 4096
	maxOperators       = 300 // functions count too
	maxInOperands      = 100
)

// parse reads one expression. what is its parameter's name, for messages.
func parse[T any](e *Placeholders, what string, text *string, f func(*parser) (T, error)) (T, error) {
	var none T
	if text == nil {
		return none, nil
	}
	if *text == "" {
		return none, wire.Invalid("Invalid %s: The expression can not be empty;", what)
	}
	if n := len(*text); n > maxExpressionBytes {
		return none, wire.Invalid("Invalid %s: Expression size has exceeded the maximum allowed size; expression size: %d", what, n)
	}
	tokens, err := lex(*text)
	if err != nil {
		return none, wire.Invalid("Invalid %s: %v", what, err)
	}
	p := &parser{text: *text, tokens: tokens, env: e}
	out, err := f(p)
	if err == nil && p.peek().kind != 0 {
		err = p.unexpected()
	}
	if err == nil && p.operators > maxOperators {
		err = wrongf("The expression contains too many operators; operator count: %d", p.operators)
	}
	if err != nil {
		return none, wire.Invalid("Invalid %s: %v", what, err)
	}
	return out, nil
}

// parser reads the tokens of one expression from left to right.
type parser struct {
	text   string
	tokens []token
	env    *Placeholders

	operators int // and functions that were read
}

func (p *parser) peek() token { return p.tokens[0] }

func (p *parser) take() token {
	t := p.tokens[0]
	if t.kind != 0 {
		p.tokens = p.tokens[1:]
	}
	return t
}

// accept takes an operator if it is next.
func (p *parser) accept(operator string) bool {
	if t := p.peek(); t.kind == 'a' || t.kind == 0 || t.text != operator {
		return false
	}
	p.take()
	return true
}

func (p *parser) acceptWord(keyword string) bool {
	if !p.peek().is(keyword) {
		return false
	}
	p.take()
	return true
}

func (p *parser) expect(operator string) error {
	if !p.accept(operator) {
		return p.unexpected()
	}
	return nil
}

func (p *parser) unexpected() error {
	t := p.peek()
	return syntaxError(p.text, t.at, t.at+len(t.text))
}

// nextIsCall reports whether a function's name and its parenthesis are next.
func (p *parser) nextIsCall() bool {
	return p.peek().kind == 'a' && p.tokens[1].kind == '('
}

// value takes a :value.
func (p *parser) value() (Value, error) {
	t := p.take()
	v, ok := p.env.ExpressionAttributeValues[t.text]
	if !ok {
		return v, wrongf("An expression attribute value used in expression is not defined; attribute value: %s", t.text)
	}
	if p.env.usedValues == nil {
		p.env.usedValues = map[string]bool{}
	}
	p.env.usedValues[t.text] = true
	return v, nil
}

// name takes an attribute's name or a #name.
func (p *parser) name() (string, error) {
	t := p.peek()
	switch t.kind {
	case 'a':
		if reserved[strings.ToUpper(t.text)] {
			return "", wrongf("Attribute name is a reserved keyword; reserved keyword: %s", t.text)
		}
		p.take()
		return t.text, nil
	case '#':
		p.take()
		name, ok := p.env.ExpressionAttributeNames[t.text]
		if !ok {
			return "", wrongf("An expression attribute name used in the document path is not defined; attribute name: %s", t.text)
		}
		if p.env.usedNames == nil {
			p.env.usedNames = map[string]bool{}
		}
		p.env.usedNames[t.text] = true
		return name, nil
	}
	return "", p.unexpected()
}
