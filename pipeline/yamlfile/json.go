package yamlfile

import (
	"bytes"
	"encoding/json"
	"fmt"

	"go.yaml.in/yaml/v3"
)

// fromJSON makes the nodes that YAML would have of a text that is valid JSON.
func fromJSON(data []byte) (*yaml.Node, error) {
	r := &jsonReader{decoder: json.NewDecoder(bytes.NewReader(data)), data: data, line: 1}
	r.decoder.UseNumber()
	return r.value()
}

// jsonReader counts lines while it reads.
type jsonReader struct {
	decoder *json.Decoder
	data    []byte
	counted int // bytes of data whose lines are counted
	line    int
}

func (r *jsonReader) value() (*yaml.Node, error) {
	token, err := r.decoder.Token()
	if err != nil {
		return nil, fmt.Errorf("read JSON: %w", err)
	}
	end := int(r.decoder.InputOffset())
	r.line += bytes.Count(r.data[r.counted:end], []byte("\n")) // no token has a line's end within it
	r.counted = end
	n := &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str", Line: r.line}
	switch token := token.(type) {
	case json.Delim:
		if n.Kind, n.Tag = yaml.SequenceNode, "!!seq"; token == '{' {
			n.Kind, n.Tag = yaml.MappingNode, "!!map"
		}
		for r.decoder.More() {
			member, err := r.value()
			if err != nil {
				return nil, err
			}
			n.Content = append(n.Content, member)
		}
		if _, err := r.decoder.Token(); err != nil { // the closing bracket
			return nil, fmt.Errorf("read JSON: %w", err)
		}
	case nil:
		n.Tag = "!!null"
	case json.Number:
		n.Tag, n.Value = "!!float", token.String()
	case bool:
		n.Tag, n.Value = "!!bool", fmt.Sprint(token)
	case string:
		n.Value = token
	}
	return n, nil
}
