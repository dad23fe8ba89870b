package config

import (
	"encoding"
	"fmt"
	"reflect"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"
)

var (
	durationType = reflect.TypeFor[time.Duration]()
	refType      = reflect.TypeFor[SecretRef]()
	textType     = reflect.TypeFor[encoding.TextUnmarshaler]()
)

// Decode reads the value at path, from the root of the document, into what into
// points to, which keeps its value where the document has none: so defaults are set
// before. Keys that the struct does not have are reported, as is everything that
// does not fit, all at once. A struct's keys are those of its yaml tags; an embedded
// or ",inline" struct adds its own. One with keys that also reads itself from text
// ([encoding.TextUnmarshaler]) may be written either way.
func (d *Document) Decode(path string, into any, p *Problems) {
	node := d.find(path)
	if node == nil {
		return
	}
	decoder{problems: p}.decode(node, reflect.ValueOf(into).Elem(), path)
}

type decoder struct{ problems *Problems }

func (d decoder) complain(path, format string, args ...any) {
	d.problems.at(path, fmt.Sprintf(format, args...))
}

// decode fills v from node. What is null in the document is left as it is.
func (d decoder) decode(node *yaml.Node, v reflect.Value, path string) {
	node = target(node)
	if node.Kind == yaml.ScalarNode && node.ShortTag() == "!!null" {
		return
	}
	switch {
	case v.Type() == refType:
		d.decodeRef(node, v, path)
	case v.Type() == durationType:
		d.decodeDuration(node, v, path)
	case reflect.PointerTo(v.Type()).Implements(textType) && (node.Kind != yaml.MappingNode || !hasKeys(v.Type())):
		d.decodeText(node, v, path)
	default:
		d.decodeKind(node, v, path)
	}
}

func (d decoder) decodeKind(node *yaml.Node, v reflect.Value, path string) {
	switch v.Kind() {
	case reflect.Pointer:
		if v.IsNil() {
			v.Set(reflect.New(v.Type().Elem()))
		}
		d.decode(node, v.Elem(), path)
	case reflect.Struct:
		if d.want(node, yaml.MappingNode, path) {
			d.decodeStruct(node, v, path)
		}
	case reflect.Map:
		if d.want(node, yaml.MappingNode, path) {
			d.decodeMap(node, v, path)
		}
	case reflect.Slice:
		if d.want(node, yaml.SequenceNode, path) {
			list := reflect.MakeSlice(v.Type(), len(node.Content), len(node.Content))
			for i, item := range node.Content {
				d.decode(item, list.Index(i), join(path, itemPath(i)))
			}
			v.Set(list)
		}
	case reflect.String:
		// 007 and 1.10 stay what was written.
		if d.want(node, yaml.ScalarNode, path) {
			v.SetString(node.Value)
		}
	default:
		d.decodeScalar(node, v, path)
	}
}

// decodeScalar lets the YAML package read numbers and truth values.
func (d decoder) decodeScalar(node *yaml.Node, v reflect.Value, path string) {
	if v.Kind() == reflect.Interface {
		if err := node.Decode(v.Addr().Interface()); err != nil {
			d.complain(path, "this cannot be read: %v", err)
		}
		return
	}
	if !d.want(node, yaml.ScalarNode, path) {
		return
	}
	if err := node.Decode(v.Addr().Interface()); err != nil {
		d.complain(path, "want %s, not %q", wanted(v.Kind()), node.Value)
	}
}

func wanted(k reflect.Kind) string {
	switch k {
	case reflect.Bool:
		return "true or false"
	case reflect.Float32, reflect.Float64:
		return "a number"
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		return "a whole number that is not negative"
	}
	return "a whole number"
}

func (d decoder) decodeDuration(node *yaml.Node, v reflect.Value, path string) {
	t, err := time.ParseDuration(node.Value)
	if node.Kind != yaml.ScalarNode || err != nil {
		d.complain(path, "want a duration such as 30s, 5m or 12h, not %s", shown(node))
		return
	}
	v.SetInt(int64(t))
}

func (d decoder) decodeText(node *yaml.Node, v reflect.Value, path string) {
	if !d.want(node, yaml.ScalarNode, path) {
		return
	}
	if err := v.Addr().Interface().(encoding.TextUnmarshaler).UnmarshalText([]byte(node.Value)); err != nil {
		d.complain(path, "%q: %v", node.Value, err)
	}
}

// decodeRef never repeats what is written where a reference should be.
func (d decoder) decodeRef(node *yaml.Node, v reflect.Value, path string) {
	if node.Kind != yaml.MappingNode {
		d.complain(path, "%s", byReference)
		return
	}
	d.decodeStruct(node, v, path)
	if len(node.Content) == 0 {
		d.complain(path, "%s", byReference)
	}
	root := &Problems{log: d.problems.log}
	v.Interface().(SecretRef).Validate(root.In(path))
}

func (d decoder) decodeMap(node *yaml.Node, v reflect.Value, path string) {
	if v.IsNil() {
		v.Set(reflect.MakeMap(v.Type()))
	}
	for i := 0; i+1 < len(node.Content); i += 2 {
		at := join(path, keyPath(node.Content[i].Value))
		key := reflect.New(v.Type().Key()).Elem()
		d.decode(node.Content[i], key, at)
		value := reflect.New(v.Type().Elem()).Elem()
		d.decode(node.Content[i+1], value, at)
		v.SetMapIndex(key, value)
	}
}

func (d decoder) decodeStruct(node *yaml.Node, v reflect.Value, path string) {
	fields := map[string]field{}
	collectFields(v.Type(), nil, fields)
	for i := 0; i+1 < len(node.Content); i += 2 {
		key := node.Content[i].Value
		at := join(path, keyPath(key))
		f, ok := fields[key]
		if !ok {
			d.complain(at, "%s", unknownKey(key, fields))
			continue
		}
		d.decode(node.Content[i+1], v.FieldByIndex(f.index), at)
	}
}

// want reports whether node is of the kind that is needed, and complains if not.
func (d decoder) want(node *yaml.Node, kind yaml.Kind, path string) bool {
	if node.Kind == kind {
		return true
	}
	name := map[yaml.Kind]string{
		yaml.MappingNode: "a mapping (key: value)", yaml.SequenceNode: "a list ([a, b], or lines that begin with a dash)",
		yaml.ScalarNode: "a single value",
	}[kind]
	found := shown(node)
	if kind == yaml.MappingNode && node.Kind == yaml.ScalarNode {
		found = "a single value" // which may be a secret, where its reference is wanted
	}
	d.complain(path, "want %s, not %s", name, found)
	if kind == yaml.MappingNode {
		d.problems.share()
		d.problems.log.unread = append(d.problems.log.unread, path)
	}
	return false
}

func shown(node *yaml.Node) string {
	switch node.Kind {
	case yaml.MappingNode:
		return "a mapping"
	case yaml.SequenceNode:
		return "a list"
	}
	return fmt.Sprintf("%q", node.Value)
}

func hasKeys(t reflect.Type) bool {
	if t.Kind() != reflect.Struct {
		return false
	}
	fields := map[string]field{}
	collectFields(t, nil, fields)
	return len(fields) > 0
}

// field is a key that a struct has.
type field struct {
	name  string
	index []int
}

// collectFields maps the keys of a struct to where their fields are. As in Go, a
// field hides one of the same name in a struct that is embedded beside it.
func collectFields(t reflect.Type, above []int, into map[string]field) {
	for i := range t.NumField() {
		f := t.Field(i)
		name, options, _ := strings.Cut(f.Tag.Get("yaml"), ",")
		index := append(append([]int(nil), above...), i)
		switch {
		case name == "-" || !f.IsExported() && !f.Anonymous:
		case f.Type.Kind() == reflect.Struct && name == "" && (f.Anonymous || options == "inline"):
			collectFields(f.Type, index, into)
		default:
			if name == "" {
				name = strings.ToLower(f.Name)
			}
			addField(into, field{name: name, index: index})
		}
	}
}

// addField panics when two embedded structs have the same key: one of them would
// never be filled.
func addField(into map[string]field, f field) {
	old, ok := into[f.name]
	switch {
	case ok && len(old.index) == len(f.index):
		panic(fmt.Sprintf("config: two embedded structs both have the key %q", f.name))
	case !ok || len(f.index) < len(old.index):
		into[f.name] = f
	}
}
