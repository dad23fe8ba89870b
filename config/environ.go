package config

import (
	"regexp"
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
)

// envPrefix begins the variables that override the file: two underscores are one
// step, so ROLLCALL_SOURCES__0__URLS__1 is sources[0].urls[1].
const envPrefix = "ROLLCALL_"

// notOverrides are the variables under our prefix that mean something else: those
// that the command line reads itself, those that hold secrets, and those that
// Kubernetes sets in every container beside a service called rollcall.
var notOverrides = regexp.MustCompile(
	`^ROLLCALL_(CONFIG|URL|TOKEN|TOKEN_FILE|CA_FILE|OUTPUT|SECRET_.*|SERVICE_HOST|SERVICE_PORT(_.*)?|PORT(_[0-9]+_.*)?)$`)

// override lays the variables of env over the tree, in the order of their names, so
// that an item can be appended to a list by the next index.
func (d *Document) override(env []string, p *Problems) {
	var ours []string
	for _, kv := range env {
		name, _, _ := strings.Cut(kv, "=")
		if strings.HasPrefix(name, envPrefix) && !notOverrides.MatchString(name) {
			ours = append(ours, kv)
		}
	}
	slices.SortFunc(ours, compareNumeric)
	for _, kv := range ours {
		name, value, _ := strings.Cut(kv, "=")
		if text := d.overrideOne(name, value); text != "" {
			p.share()
			p.log.list = append(p.log.list, Problem{File: name, Text: text})
		}
	}
}

// overrideOne sets one value. It returns what is wrong, or "".
func (d *Document) overrideOne(name, value string) string {
	leaf, err := parseValue(value)
	if err != nil {
		return "the value begins like a YAML list, mapping or quoted text, but is none: " + strings.TrimPrefix(err.Error(), "yaml: ")
	}
	words := strings.Split(strings.ToLower(strings.TrimPrefix(name, envPrefix)), "__")
	if slices.Contains(words, "") {
		return "the name has an empty step: two underscores stand between the steps of a path, as in ROLLCALL_STORE__DIR"
	}
	node := d.root
	for i, word := range words {
		next := &yaml.Node{}
		if i == len(words)-1 {
			next = leaf
		}
		d.from[next] = name
		place, problem := slot(node, word, next)
		if problem != "" {
			return problem
		}
		if next == leaf {
			*place = leaf
		}
		node = *place
	}
	return ""
}

// slot finds the place one step below node, and puts next there when it is free. It
// returns what is wrong with the step, or "".
func slot(node *yaml.Node, word string, next *yaml.Node) (place **yaml.Node, problem string) {
	index, err := strconv.Atoi(word)
	isIndex := err == nil && index >= 0
	if node.Kind == 0 || node.ShortTag() == "!!null" {
		*node = yaml.Node{Kind: yaml.MappingNode, Line: node.Line}
		if isIndex {
			node.Kind = yaml.SequenceNode
		}
	}
	switch {
	case node.Kind == yaml.AliasNode:
		return nil, "the file has an alias (*name) on this path, and changing it would change its other uses: write the value out in the file"
	case node.Kind == yaml.SequenceNode && !isIndex:
		return nil, "here is a list: the step \"" + word + "\" must be a number, counted from 0"
	case node.Kind == yaml.SequenceNode && index > len(node.Content):
		return nil, "the list has only " + strconv.Itoa(len(node.Content)) + " items: the next is number " + strconv.Itoa(len(node.Content))
	case node.Kind == yaml.SequenceNode:
		if index == len(node.Content) {
			node.Content = append(node.Content, next)
		}
		return &node.Content[index], ""
	case node.Kind == yaml.MappingNode:
		return mappingSlot(node, word, next), ""
	}
	return nil, "the step \"" + word + "\" leads below a single value"
}

// mappingSlot finds the value of a key, whatever its case, or adds it.
func mappingSlot(node *yaml.Node, key string, next *yaml.Node) **yaml.Node {
	for i := 0; i+1 < len(node.Content); i += 2 {
		if strings.EqualFold(node.Content[i].Value, key) {
			return &node.Content[i+1]
		}
	}
	node.Content = append(node.Content, &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str", Value: key}, next)
	return &node.Content[len(node.Content)-1]
}

// parseValue reads the value of a variable: a flow list, a flow mapping or a quoted
// text as YAML, anything else as it stands.
func parseValue(value string) (*yaml.Node, error) {
	value = strings.TrimSpace(value)
	if value == "" || !strings.ContainsAny(value[:1], `[{"'`) {
		return &yaml.Node{Kind: yaml.ScalarNode, Value: value}, nil
	}
	var doc yaml.Node
	if err := decodeNode(yaml.NewDecoder(strings.NewReader(value)), &doc); err != nil {
		return nil, err
	}
	return doc.Content[0], nil
}

// compareNumeric orders names with the numbers in them as numbers.
func compareNumeric(a, b string) int {
	name := func(kv string) []string {
		n, _, _ := strings.Cut(kv, "=")
		return strings.Split(n, "__")
	}
	return slices.CompareFunc(name(a), name(b), func(x, y string) int {
		i, errX := strconv.Atoi(x)
		j, errY := strconv.Atoi(y)
		if errX == nil && errY == nil {
			return i - j
		}
		return strings.Compare(x, y)
	})
}
