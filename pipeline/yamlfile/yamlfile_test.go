package yamlfile

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"go.yaml.in/yaml/v3"
)

// outline is a node in a line: its kind, value and line.
func outline(n *yaml.Node) string {
	if n.Kind == yaml.ScalarNode {
		return fmt.Sprintf("%s@%d", n.Value, n.Line)
	}
	var members []string
	for _, c := range n.Content {
		members = append(members, outline(c))
	}
	if n.Kind == yaml.MappingNode {
		return fmt.Sprintf("{%s}@%d", strings.Join(members, " "), n.Line)
	}
	return fmt.Sprintf("[%s]@%d", strings.Join(members, " "), n.Line)
}

func TestWhatIsRead(t *testing.T) {
	for _, tt := range []struct{ name, text, want string }{
		{"YAML", "a: 1\nb:\n  - x\n  - 012345678901\n", "{a@1 1@1 b@2 [x@3 012345678901@4]@3}@1"},
		{"JSON", "{\n  \"a\": 1,\n  \"b\": [\"x\",\n\n true, null]\n}\n", "{a@2 1@2 b@3 [x@3 true@5 @5]@3}@1"},
		{"JSON with tabs", "{\n\t\"a\": [\n\t\t\"x\"\n\t]\n}", "{a@2 [x@3]@2}@1"},
		{"escapes of JSON", `{"a": "x\/y \ud83d\ude00 \u00e9"}`, "{a@1 x/y 😀 é@1}@1"},
		{"a large number", `{"a": 111122223333}`, "{a@1 111122223333@1}@1"},
		{"a text", "word", "word@1"},
		{"nested", `{"a": {"b": [[], {}]}, "c": 1}`, "{a@1 {b@1 [[]@1 {}@1]@1}@1 c@1 1@1}@1"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			n, err := Parse([]byte(tt.text))
			if err != nil {
				t.Fatal(err)
			}
			if got := outline(n); got != tt.want {
				t.Errorf("%s, want %s", got, tt.want)
			}
		})
	}
}

func TestWhatIsRefused(t *testing.T) {
	for _, tt := range []struct{ name, text, want string }{
		{"nothing", "", "the file is empty"},
		{"a comment alone", "# a\n", "the file is empty"},
		{"no YAML", "a: 1\nb: [1,\n", "line 2: not YAML: "},
		{"a control character", "a: \x1b[2J", "not YAML: "},
		{"two documents", "a: 1\n---\nb: 2\n", "more than one YAML document"},
		{"an alias", "a: &x 1\nb: *x\n", "line 1: anchors (&) and aliases (*) are not read: write out what is meant (and 1 more)"},
		{"too much", strings.Repeat(" ", MaxSize+1), "more than 33554432"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			n, err := Parse([]byte(tt.text))
			var problems Problems
			if !errors.As(err, &problems) || n != nil && tt.name != "an alias" || !strings.Contains(err.Error(), tt.want) || strings.Contains(err.Error(), "\x1b") {
				t.Errorf("node %v, error %v; want %q", n, err, tt.want)
			}
		})
	}
}

func TestFieldsItemsAndTexts(t *testing.T) {
	n, err := Parse([]byte("a: 1\nb: {}\n? [x]\n: 2\na: 3\nc:\n"))
	if err != nil {
		t.Fatal(err)
	}
	var problems Problems
	var got []string
	for _, f := range Fields(n, "it", &problems) {
		got = append(got, f.Key+"="+Text(f.Value, f.Key, &problems))
		Items(f.Value, f.Key, &problems)
	}
	if diff := cmp.Diff([]string{"a=1", "b=", "c="}, got); diff != "" {
		t.Errorf("fields (-want +got):\n%s", diff)
	}
	var texts []string
	for _, p := range problems.Err().(Problems) {
		texts = append(texts, p.String())
	}
	want := []string{
		`line 1: a is "1", want a list`,
		"line 2: b is keys with values, want a text", "line 2: b is keys with values, want a list",
		"line 3: it has a key that is a list, want a word",
		`line 5: it has the key "a" twice, first in line 1: keep one`,
		"line 6: c is empty, want a text", "line 6: c is empty, want a list",
	}
	if diff := cmp.Diff(want, texts); diff != "" {
		t.Errorf("problems (-want +got):\n%s", diff)
	}
}
