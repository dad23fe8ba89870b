package config

import (
	"cmp"

	"go.yaml.in/yaml/v3"
)

// Document is a configuration that was read but not yet understood: its tree, with
// the line of every value, after the overrides from the environment.
type Document struct {
	name string
	root *yaml.Node // a mapping
	// from names the environment variable that a node came from.
	from map[*yaml.Node]string
}

// Name returns the name of the file, as it was given to [Load].
func (d *Document) Name() string { return d.name }

// Problems returns an empty list whose problems will carry the lines of d.
func (d *Document) Problems() *Problems { return &Problems{log: &problemLog{doc: d}} }

// Sections returns the keys of the top level, in the order of the file.
func (d *Document) Sections() []string {
	var keys []string
	for i := 0; i < len(d.root.Content); i += 2 {
		keys = append(keys, d.root.Content[i].Value)
	}
	return keys
}

// Known reports every key of the top level that is not one of keys.
func (d *Document) Known(p *Problems, keys ...string) {
	known := make(map[string]field, len(keys))
	for _, k := range keys {
		known[k] = field{name: k}
	}
	for _, key := range d.Sections() {
		if _, ok := known[key]; !ok {
			p.at(keyPath(key), unknownKey(key, known))
		}
	}
}

// Has reports whether there is a value other than null at path.
func (d *Document) Has(path string) bool {
	node := d.find(path)
	return node != nil && node.ShortTag() != "!!null"
}

// Len returns how many items the list at path has: 0 when there is no list.
func (d *Document) Len(path string) int {
	node := d.find(path)
	if node == nil || node.Kind != yaml.SequenceNode {
		return 0
	}
	return len(node.Content)
}

// find returns the node at path, or nil.
func (d *Document) find(path string) *yaml.Node {
	node := d.root
	for _, s := range steps(path) {
		if _, node = child(node, s); node == nil {
			return nil
		}
	}
	return target(node)
}

// place returns where the value at path stands, or else the nearest thing around it.
func (d *Document) place(path string) (file string, line int) {
	node, fromEnv := d.root, false
	file, line = d.name, node.Line
	for _, s := range steps(path) {
		key, value := child(node, s)
		if value == nil {
			key, value = foldedChild(node, s)
		}
		if value == nil {
			break
		}
		node = value
		if name, ok := d.from[value]; ok {
			file, line, fromEnv = name, 0, true
		}
		if !fromEnv {
			// A block begins on the line after its key; people look for the key.
			line = cmp.Or(key.Line, value.Line)
		}
	}
	return file, line
}
