package main

import (
	"bytes"
	"fmt"
	"io"
	"strings"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	"go.yaml.in/yaml/v3"
)

// writeYAML writes what writes itself as JSON as YAML, with the same names in the same
// order.
func writeYAML(w io.Writer, data any) error {
	b, err := json.Marshal(data, json.Deterministic(true))
	if err != nil {
		return err
	}
	node, err := yamlNode(jsontext.NewDecoder(bytes.NewReader(b)))
	if err != nil {
		return err
	}
	return encodeYAML(w, node)
}

// yamlNode reads one JSON value.
func yamlNode(d *jsontext.Decoder) (*yaml.Node, error) {
	t, err := d.ReadToken()
	if err != nil {
		return nil, err
	}
	switch t.Kind() {
	case '{':
		return yamlItems(d, &yaml.Node{Kind: yaml.MappingNode})
	case '[':
		return yamlItems(d, &yaml.Node{Kind: yaml.SequenceNode})
	case '"':
		return yamlText(t.String()), nil
	}
	return &yaml.Node{Kind: yaml.ScalarNode, Value: t.String()}, nil
}

// yamlText is a text with its tag, so that one that looks like something else gets
// quotes. Lines that begin with a space or a tab are quoted, too: the library writes
// them as a block that it cannot read.
func yamlText(s string) *yaml.Node {
	n := &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str", Value: s}
	for line := range strings.Lines(s) {
		line = strings.TrimSuffix(line, "\n")
		if line == "" || line[0] == ' ' || printable(line) != line {
			n.Style = yaml.DoubleQuotedStyle
		}
	}
	return n
}

// yamlItems reads what an object or an array holds, up to its end: of an object, names
// and values by turns, which is how a mapping holds them, too.
func yamlItems(d *jsontext.Decoder, n *yaml.Node) (*yaml.Node, error) {
	for d.PeekKind() != '}' && d.PeekKind() != ']' {
		item, err := yamlNode(d)
		if err != nil {
			return nil, err
		}
		n.Content = append(n.Content, item)
	}
	_, err := d.ReadToken()
	return n, err
}

func encodeYAML(w io.Writer, n *yaml.Node) error {
	e := yaml.NewEncoder(w)
	e.SetIndent(2)
	if err := e.Encode(n); err != nil {
		return fmt.Errorf("write YAML: %w", err)
	}
	return e.Close()
}
