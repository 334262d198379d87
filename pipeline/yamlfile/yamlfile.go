// Package yamlfile reads what operators write, YAML or JSON, so that an error tells the line and
// what to do. It stands beneath the packages that know what is in a file; it does no I/O.
package yamlfile

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"

	"rootwatch/classify/plain"
)

// MaxSize is how many bytes a file may have. The names of 10,000 accounts, as AWS lists them, take
// 3 MB.
const MaxSize = 32 << 20

// Problem is one thing that is wrong with a file.
type Problem struct {
	Line int    // from 1; 0 if it is about the whole file
	Text string // what is wrong, with what, and what to do
}

func (p Problem) String() string {
	if p.Line == 0 {
		return p.Text
	}
	return fmt.Sprintf("line %d: %s", p.Line, p.Text)
}

// Problems is the error of a file that cannot be used: all that is wrong with it, in the order of
// its lines.
type Problems []Problem

// Error is the first of them on one line, with the number of the others.
func (p Problems) Error() string {
	if len(p) == 1 {
		return p[0].String()
	}
	return fmt.Sprintf("%s (and %d more)", p[0], len(p)-1)
}

// Add adds a problem with a node.
func (p *Problems) Add(n *yaml.Node, format string, args ...any) {
	*p = append(*p, Problem{n.Line, fmt.Sprintf(format, args...)})
}

// Err is the problems as an error, nil if there are none.
func (p Problems) Err() error {
	if len(p) == 0 {
		return nil
	}
	slices.SortStableFunc(p, func(a, b Problem) int { return a.Line - b.Line })
	return p
}

// whole is an error about a file as a whole.
func whole(format string, args ...any) error {
	return Problems{{0, fmt.Sprintf(format, args...)}}
}

// Parse reads one document. A scalar's value is the text as it stands there, so that an account's
// id keeps its zeros. Anchors and aliases are refused: what stands in a file is what is meant, and
// a small file cannot unfold into a large one.
func Parse(data []byte) (*yaml.Node, error) {
	switch {
	case len(data) > MaxSize:
		return nil, whole("the file has %d bytes, more than %d", len(data), MaxSize)
	case json.Valid(data): // YAML is said to include JSON, but its parser does not know \/ and surrogates
		return fromJSON(data)
	}
	decoder := yaml.NewDecoder(bytes.NewReader(data))
	var document yaml.Node
	if err := decoder.Decode(&document); err != nil {
		if errors.Is(err, io.EOF) {
			return nil, whole("the file is empty")
		}
		return nil, notYAML(err)
	}
	if err := decoder.Decode(new(yaml.Node)); !errors.Is(err, io.EOF) {
		return nil, whole("the file has more than one YAML document: put all into one, without a line ---")
	}
	if len(document.Content) != 1 {
		return nil, whole("the file is empty")
	}
	var problems Problems
	refuseAliases(document.Content[0], &problems)
	return document.Content[0], problems.Err()
}

// notYAML makes a problem of the parser's error, which begins with "yaml: line 3: ".
func notYAML(err error) error {
	text := strings.TrimPrefix(err.Error(), "yaml: ")
	line := 0
	if rest, found := strings.CutPrefix(text, "line "); found {
		if number, says, found := strings.Cut(rest, ": "); found {
			if n, err := strconv.Atoi(number); err == nil {
				line, text = n, says
			}
		}
	}
	return Problems{{line, "not YAML: " + plain.Shown(text, 200)}}
}

func refuseAliases(n *yaml.Node, problems *Problems) {
	if n.Kind == yaml.AliasNode || n.Anchor != "" {
		problems.Add(n, "anchors (&) and aliases (*) are not read: write out what is meant")
		return
	}
	for _, c := range n.Content {
		refuseAliases(c, problems)
	}
}

// Field is one member of a mapping.
type Field struct {
	Key   string
	At    *yaml.Node // where the key stands
	Value *yaml.Node
}

// Fields are the members of a mapping in their order; of a key that stands there twice only the
// first, and a problem. what names the mapping in a sentence.
func Fields(n *yaml.Node, what string, problems *Problems) (fields []Field) {
	if n.Kind != yaml.MappingNode {
		problems.Add(n, "%s is %s, want keys with values", what, Kind(n))
		return nil
	}
	lines := make(map[string]int)
	for i := 0; i+1 < len(n.Content); i += 2 {
		key := n.Content[i]
		if key.Kind != yaml.ScalarNode {
			problems.Add(key, "%s has a key that is %s, want a word", what, Kind(key))
			continue
		}
		if first := lines[key.Value]; first != 0 {
			problems.Add(key, "%s has the key %s twice, first in line %d: keep one", what, Quote(key.Value), first)
			continue
		}
		lines[key.Value] = key.Line
		fields = append(fields, Field{key.Value, key, n.Content[i+1]})
	}
	return fields
}

// Items are the members of a list.
func Items(n *yaml.Node, what string, problems *Problems) []*yaml.Node {
	if n.Kind != yaml.SequenceNode {
		problems.Add(n, "%s is %s, want a list", what, Kind(n))
		return nil
	}
	return n.Content
}

// Text is a value that is one word or sentence.
func Text(n *yaml.Node, what string, problems *Problems) string {
	if n.Kind != yaml.ScalarNode || n.Tag == "!!null" {
		problems.Add(n, "%s is %s, want a text", what, Kind(n))
		return ""
	}
	return n.Value
}

// Kind is what a node is, in a sentence.
func Kind(n *yaml.Node) string {
	switch n.Kind {
	case yaml.MappingNode:
		return "keys with values"
	case yaml.SequenceNode:
		return "a list"
	}
	if n.Tag == "!!null" {
		return "empty"
	}
	return Quote(n.Value)
}

// Quote is a value of the file in a sentence of one line.
func Quote(s string) string { return strconv.Quote(plain.Cut(s, 80)) }
