package config

import (
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
)

// A path names a value from the root of a document: keys are joined by dots, the
// items of a list stand in brackets: sources[0].urls[1]. A key that holds a dot or a
// bracket is written in brackets and quotes: attributes["a.b"].

// keyPath returns the step to key, as it is appended to a path by join.
func keyPath(key string) string {
	if key == "" || strings.ContainsAny(key, `.[]"`) {
		return "[" + strconv.Quote(key) + "]"
	}
	return key
}

// itemPath returns the step to an item of a list.
func itemPath(i int) string { return "[" + strconv.Itoa(i) + "]" }

// step is one key, or one index when isItem.
type step struct {
	key    string
	index  int
	isItem bool
}

// steps takes a path apart. What cannot be understood ends it.
func steps(path string) []step {
	var out []step
	for path != "" {
		path = strings.TrimPrefix(path, ".")
		if !strings.HasPrefix(path, "[") {
			n := strings.IndexAny(path, ".[")
			if n < 0 {
				n = len(path)
			}
			if n == 0 {
				return out
			}
			out, path = append(out, step{key: path[:n]}), path[n:]
			continue
		}
		if quoted, err := strconv.QuotedPrefix(path[1:]); err == nil {
			key, _ := strconv.Unquote(quoted)
			rest, ok := strings.CutPrefix(path[1+len(quoted):], "]")
			if !ok {
				return out
			}
			out, path = append(out, step{key: key}), rest
			continue
		}
		number, rest, ok := strings.Cut(path[1:], "]")
		i, err := strconv.Atoi(number)
		if !ok || err != nil || i < 0 {
			return out
		}
		out, path = append(out, step{index: i, isItem: true}), rest
	}
	return out
}

// child returns the value one step below node, and what is looked at to find its
// line: its key, or itself for an item. Both are nil when there is no such value.
func child(node *yaml.Node, s step) (key, value *yaml.Node) {
	node = target(node)
	switch {
	case s.isItem && node.Kind == yaml.SequenceNode && s.index < len(node.Content):
		item := node.Content[s.index]
		return item, item
	case !s.isItem && node.Kind == yaml.MappingNode:
		for i := 0; i+1 < len(node.Content); i += 2 {
			if node.Content[i].Value == s.key {
				return node.Content[i], node.Content[i+1]
			}
		}
	}
	return nil, nil
}

// foldedChild finds a key that is written in another case: names of attributes are
// folded before they are judged.
func foldedChild(node *yaml.Node, s step) (key, value *yaml.Node) {
	node = target(node)
	if s.isItem || node.Kind != yaml.MappingNode {
		return nil, nil
	}
	for i := 0; i+1 < len(node.Content); i += 2 {
		if strings.EqualFold(node.Content[i].Value, s.key) {
			return node.Content[i], node.Content[i+1]
		}
	}
	return nil, nil
}

// target returns what node stands for when it is an alias.
func target(node *yaml.Node) *yaml.Node {
	if node.Kind == yaml.AliasNode && node.Alias != nil {
		return node.Alias
	}
	return node
}
