package expr

import (
	"fmt"
	"strings"
)

// token is a word of an expression: a name, #name, :value, a number or an operator.
type token struct {
	text string
	kind byte // 'a' name, '#', ':', '0' number, otherwise the operator's first byte; 0 at the end
	at   int  // offset in the expression
}

func (t token) is(keyword string) bool { return t.kind == 'a' && strings.EqualFold(t.text, keyword) }

// lex splits an expression into tokens.
func lex(s string) ([]token, error) {
	var tokens []token
	for i := 0; i < len(s); {
		c := s[i]
		start := i
		switch {
		case strings.IndexByte(" \t\r\n", c) >= 0:
			i++
			continue
		case isLetter(c) || c == '#' || c == ':':
			i++
			for i < len(s) && (isLetter(s[i]) || isDigit(s[i]) || s[i] == '_') {
				i++
			}
			kind := c
			if isLetter(c) {
				kind = 'a'
			} else if i == start+1 {
				return nil, syntaxError(s, start, i)
			}
			tokens = append(tokens, token{s[start:i], kind, start})
			continue
		case isDigit(c):
			for i < len(s) && isDigit(s[i]) {
				i++
			}
			tokens = append(tokens, token{s[start:i], '0', start})
			continue
		case strings.HasPrefix(s[i:], "<>"), strings.HasPrefix(s[i:], "<="), strings.HasPrefix(s[i:], ">="):
			i += 2
		case strings.IndexByte("()[].,=<>+-", c) >= 0:
			i++
		default:
			return nil, syntaxError(s, start, i+1)
		}
		tokens = append(tokens, token{s[start:i], c, start})
	}
	return append(tokens, token{at: len(s)}), nil
}

// isLetter reports whether a name may begin with c: a name that begins with _ needs a #name in its
// place.
func isLetter(c byte) bool { return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' }
func isDigit(c byte) bool  { return '0' <= c && c <= '9' }

// syntaxError says where an expression went wrong, as AWS does: the token and what stands around
// it.
func syntaxError(s string, start, end int) error {
	tok := s[start:end]
	if start >= len(s) {
		tok = "<EOF>"
	}
	return wrongf(`Syntax error; token: "%s", near: "%s"`, tok, s[max(0, start-10):min(len(s), end+10)])
}

// expressionError is what is wrong with an expression, in AWS's words.
type expressionError string

func (e expressionError) Error() string { return string(e) }

func wrongf(format string, args ...any) error { return expressionError(fmt.Sprintf(format, args...)) }
