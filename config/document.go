package config

import (
	"cmp"

	"go.yaml.in/yaml/v3"
)

// Document is a configuration that was read but not yet understood: its tree, with
// the line of every value, after the overrides from the environment.
type Document struct {
	name string
	root *yaml.Node
	// from names the environment variable that a node came from.
	from map[*yaml.Node]string
}

// Problems returns an empty list whose problems will carry the lines of d.
func (d *Document) Problems() *Problems { return &Problems{log: &problemLog{doc: d}} }

// place returns where the value at path stands, or else the nearest thing around it.
func (d *Document) place(path string) (file string, line int) {
	node := d.root
	file, line = d.name, max(node.Line, 0)
	for _, s := range steps(path) {
		key, value := child(node, s)
		if value == nil {
			break
		}
		if name, ok := d.from[value]; ok {
			return name, 0
		}
		// A block mapping begins on the line after its key; people look for the key.
		node, line = value, cmp.Or(key.Line, value.Line)
	}
	return file, line
}
