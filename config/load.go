package config

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"regexp"
	"strconv"
	"strings"
	"unicode/utf8"

	"go.yaml.in/yaml/v3"
)

// Limits of a file. They are far above what an installation needs, and keep a wrong
// or hostile file from costing more than a moment.
const (
	maxFile  = 4 << 20 // bytes
	maxNodes = 100_000 // values, after aliases are followed
	maxDepth = 64
)

// Load reads the named file and lays the overrides of env, which has the form of
// os.Environ, over it. With the name "" there is no file, only the environment. The
// error is an *[Error] when the file was read but cannot be used.
func Load(name string, env []string) (*Document, error) {
	if name == "" {
		return Parse("", nil, env)
	}
	f, err := os.Open(name)
	if err != nil {
		return nil, fmt.Errorf("read configuration: %w", err)
	}
	defer func() { _ = f.Close() }()
	data, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	if err != nil {
		return nil, fmt.Errorf("read configuration: %w", err)
	}
	return Parse(name, data, env)
}

// Parse is [Load] for a file that was read already; name is for messages. With the
// name "" data is ignored.
func Parse(name string, data []byte, env []string) (*Document, error) {
	d := &Document{name: name, root: &yaml.Node{Kind: yaml.MappingNode}, from: map[*yaml.Node]string{}}
	p := d.Problems()
	if name != "" {
		if !d.parse(data, p) {
			return nil, p.Err()
		}
		d.checkTree(p)
	}
	if p.Err() == nil {
		d.override(env, p)
	}
	if err := p.Err(); err != nil {
		return nil, err
	}
	return d, nil
}

// parse reads the one document of data into the root.
func (d *Document) parse(data []byte, p *Problems) bool {
	complain := func(line int, format string, args ...any) bool {
		p.log.list = append(p.log.list, Problem{File: d.name, Line: line, Text: fmt.Sprintf(format, args...)})
		return false
	}
	switch {
	case len(data) > maxFile:
		return complain(0, "the file is over %d MiB: is it the right file?", maxFile>>20)
	case !utf8.Valid(data):
		return complain(lineOfInvalid(data), "this is not UTF-8 text: save the file as UTF-8")
	}
	dec := yaml.NewDecoder(bytes.NewReader(data))
	var doc yaml.Node
	err := decodeNode(dec, &doc)
	switch {
	case errors.Is(err, io.EOF) || err == nil && isEmpty(&doc):
		return complain(0, "the file is empty: a configuration needs at least a store and a source")
	case err != nil:
		line, text := syntaxError(err, data)
		return complain(line, "%s", text)
	case doc.Content[0].Kind != yaml.MappingNode:
		return complain(doc.Content[0].Line, "the file must be a mapping of sections, such as \"sources:\"")
	}
	var second yaml.Node
	if err := decodeNode(dec, &second); !errors.Is(err, io.EOF) {
		line := second.Line
		if err != nil {
			line, _ = syntaxError(err, data)
		}
		return complain(line, "a second document begins here: remove the line ---")
	}
	d.root = doc.Content[0]
	return true
}

// decodeNode reads one document. The parser answers some broken input with a panic.
func decodeNode(dec *yaml.Decoder, into *yaml.Node) (err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("yaml: %v", r)
		}
	}()
	return dec.Decode(into)
}

func isEmpty(doc *yaml.Node) bool {
	return len(doc.Content) == 0 || doc.Content[0].Kind == yaml.ScalarNode && doc.Content[0].ShortTag() == "!!null"
}

var yamlLine = regexp.MustCompile(`line (\d+): `)

// syntaxError takes an error of the parser apart, and says what to do about the one
// that YAML's own words explain worst: a tab.
func syntaxError(err error, data []byte) (line int, text string) {
	// The parser leaves the number of the first line out.
	line, text = 1, strings.TrimPrefix(err.Error(), "yaml: ")
	if m := yamlLine.FindStringSubmatch(text); m != nil {
		line, _ = strconv.Atoi(m[1])
		text = strings.Replace(text, m[0], "", 1)
	}
	for i, l := range strings.Split(string(data), "\n") {
		indent := l[:len(l)-len(strings.TrimLeft(l, " \t"))]
		if strings.Contains(indent, "\t") && indent != l {
			return i + 1, "a tab stands in the indentation: YAML wants spaces"
		}
	}
	return line, "this is not YAML: " + text
}

func lineOfInvalid(data []byte) int {
	line := 1
	for len(data) > 0 {
		r, n := utf8.DecodeRune(data)
		if r == utf8.RuneError && n == 1 {
			break
		}
		if r == '\n' {
			line++
		}
		data = data[n:]
	}
	return line
}

// checkTree reports keys that stand twice and keys that are no text, and refuses
// aliases that multiply into more than a file could hold.
func (d *Document) checkTree(p *Problems) {
	w := treeWalk{problems: p, left: maxNodes}
	if !w.size(d.root, 0) {
		p.at("", "the aliases (*name) of this file multiply or contain themselves: write the values out")
		return
	}
	w.keys(d.root, "", 0)
}

type treeWalk struct {
	problems *Problems
	left     int
}

// size reports whether the tree, its aliases followed, stays within the limits.
func (w *treeWalk) size(node *yaml.Node, depth int) bool {
	if w.left--; w.left < 0 || depth > maxDepth {
		return false
	}
	if node.Kind == yaml.AliasNode {
		return w.size(node.Alias, depth+1)
	}
	for _, c := range node.Content {
		if !w.size(c, depth+1) {
			return false
		}
	}
	return true
}

// keys looks at the keys of every mapping that is written out.
func (w *treeWalk) keys(node *yaml.Node, path string, depth int) {
	switch node.Kind {
	case yaml.SequenceNode:
		for i, item := range node.Content {
			w.keys(item, join(path, itemPath(i)), depth+1)
		}
	case yaml.MappingNode:
		first := map[string]int{}
		for i := 0; i+1 < len(node.Content); i += 2 {
			w.key(node.Content[i], path, first)
			w.keys(node.Content[i+1], join(path, keyPath(node.Content[i].Value)), depth+1)
		}
	}
}

func (w *treeWalk) key(key *yaml.Node, path string, first map[string]int) {
	// The path of a key that stands twice leads to the first, so the line is set here.
	complain := func(text string) {
		w.problems.log.list = append(w.problems.log.list, Problem{
			File: w.problems.log.doc.name, Line: key.Line, Path: join(path, keyPath(key.Value)), Text: text,
		})
	}
	switch line, twice := first[key.Value]; {
	case key.Kind != yaml.ScalarNode:
		complain("a key must be a word")
	case key.Tag == "!!merge":
		complain("merging with << is not supported: write the keys out, or use an alias for a whole value")
	case twice:
		complain(fmt.Sprintf("this key stands twice, first in line %d: remove one", line))
	default:
		first[key.Value] = key.Line
	}
}
