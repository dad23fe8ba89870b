package schema

import (
	"bytes"
	"iter"
	"strings"

	"github.com/go-json-experiment/json/jsontext"
)

// Members yields the names and values of an object as [Encode] wrote it: valid, and
// without blanks. Values are parts of raw. It decodes nothing.
func Members(raw []byte) iter.Seq2[string, []byte] {
	return func(yield func(string, []byte) bool) {
		members(raw, func(name, value []byte) bool { return yield(unquote(name), value) })
	}
}

// members calls one with each name, quotes included, and value, until it returns false.
func members(raw []byte, one func(name, value []byte) bool) {
	for i := 1; i < len(raw) && raw[i] == '"'; i++ { // behind the brace, then each comma
		end := i + skip(raw[i:])
		if end >= len(raw) {
			return
		}
		value := raw[end+1:] // behind the colon
		value = value[:skip(value)]
		if len(value) == 0 || !one(raw[i:end], value) {
			return
		}
		i = end + 1 + len(value)
	}
}

// elements calls one with each value of a list.
func elements(raw []byte, one func(value []byte)) {
	for i := 1; i < len(raw) && raw[i] != ']'; i++ {
		n := skip(raw[i:])
		if n == 0 {
			return
		}
		one(raw[i : i+n])
		i += n
	}
}

// skip returns the length of the value that raw begins with.
func skip(raw []byte) int {
	if len(raw) == 0 {
		return 0
	}
	switch raw[0] {
	case '"':
		return TextLen(raw)
	case '{', '[':
		depth := 0
		for i := 0; i < len(raw); i++ {
			switch raw[i] {
			case '"':
				i += TextLen(raw[i:]) - 1
			case '{', '[':
				depth++
			case '}', ']':
				if depth--; depth == 0 {
					return i + 1
				}
			}
		}
		return len(raw)
	}
	if i := bytes.IndexAny(raw, ",]}"); i >= 0 {
		return i
	}
	return len(raw)
}

// TextLen returns the length of the JSON string that raw begins with, quotes included; of
// one without an end, that of raw.
func TextLen(raw []byte) int {
	for i := 1; i < len(raw); i++ {
		n := bytes.IndexByte(raw[i:], '"')
		if n < 0 {
			break
		}
		i += n
		escapes := 0
		for raw[i-1-escapes] == '\\' {
			escapes++
		}
		if escapes%2 == 0 {
			return i + 1
		}
	}
	return len(raw)
}

// unquote returns the text of a string. What is not one is empty.
func unquote(raw []byte) string {
	if len(raw) < 2 || raw[0] != '"' {
		return ""
	}
	if bytes.IndexByte(raw, '\\') < 0 {
		return string(raw[1 : len(raw)-1])
	}
	b, err := jsontext.AppendUnquote(nil, raw)
	if err != nil {
		return ""
	}
	return string(b)
}

// named reports whether a name, quotes included, is this one.
func named(raw []byte, name string) bool {
	if len(raw) == len(name)+2 && bytes.IndexByte(raw, '\\') < 0 {
		return string(raw[1:len(raw)-1]) == name
	}
	return bytes.IndexByte(raw, '\\') >= 0 && unquote(raw) == name
}

// Raw is a resource as [Encode] wrote it, whose members are decoded when they are asked
// for.
type Raw struct {
	Type *ResourceType
	JSON []byte
}

// Member returns the JSON of what stands under a name, or nil. A name with a colon, the
// URN of an extension, is found in any case.
func (r Raw) Member(name string) []byte {
	anyCase := strings.Contains(name, ":")
	var found []byte
	members(r.JSON, func(key, value []byte) bool {
		if named(key, name) || anyCase && strings.EqualFold(unquote(key), name) {
			found = value
		}
		return found == nil
	})
	return found
}

// Value returns what stands under a name, or nil: what [Decode] would put there.
func (r Raw) Value(name string) any {
	raw := r.Member(name)
	if raw == nil {
		return nil
	}
	a := &Attribute{}
	if ref, ok := r.Type.Resolve(name, "", ""); ok {
		a = &Attribute{Sub: ref.Schema.Attributes} // an extension is read as a complex value is
	} else if ref, ok := r.Type.Resolve("", name, ""); ok {
		a = ref.Attr
	}
	return read(raw, a)
}

// Object returns all of the resource: what [Decode] would return, for a fraction of its
// work.
func (r Raw) Object() Object {
	o := Object{}
	members(r.JSON, func(key, value []byte) bool {
		name, a := r.spelling(unquote(key))
		if a == nil {
			return true
		}
		if v := read(value, a); v != nil {
			o[name] = v
		}
		return true
	})
	return o
}

// spelling returns a name as the schemas spell it, and its attribute; nil: it is the
// server's to say.
func (r Raw) spelling(name string) (string, *Attribute) {
	if strings.Contains(name, ":") {
		if ref, ok := r.Type.Resolve(name, "", ""); ok && ref.Extension {
			return ref.Schema.ID, &Attribute{Sub: ref.Schema.Attributes}
		}
		return name, &Attribute{}
	}
	ref, ok := r.Type.Resolve("", name, "")
	switch {
	case !ok:
		return name, &Attribute{}
	case ref.Schema == nil && ref.Attr.Name != "externalId":
		return "", nil
	}
	return ref.Attr.Name, ref.Attr
}

// read reads a value of an attribute, or returns nil if there is none. It is [Decode]
// for bytes that [Encode] wrote, and needs no check of them.
func read(raw []byte, a *Attribute) any {
	switch raw[0] {
	case '"':
		return unquote(raw)
	case 't':
		return true
	case 'f':
		return false
	case 'n':
		return nil
	case '[':
		var list []any
		elements(raw, func(value []byte) {
			if v := read(value, a); v != nil {
				list = append(list, v)
			}
		})
		if list == nil {
			return nil
		}
		return list
	case '{':
		return readObject(raw, a.Sub)
	}
	n, err := parseNumber(string(raw), a.Type)
	if err != nil {
		return nil
	}
	return n
}

func readObject(raw []byte, list []*Attribute) any {
	o := Object{}
	members(raw, func(name, value []byte) bool {
		a := spelled(list, name)
		if a == nil {
			key := unquote(name)
			if a = find(list, key); a == nil {
				a = &Attribute{Name: key}
			}
		}
		if v := read(value, a); v != nil {
			o[a.Name] = v
		}
		return true
	})
	if len(o) == 0 {
		return nil
	}
	return o
}

// spelled returns the attribute of a name, quotes included, that is spelled as in the
// schema.
func spelled(list []*Attribute, name []byte) *Attribute {
	for _, a := range list {
		if len(name) == len(a.Name)+2 && string(name[1:len(name)-1]) == a.Name {
			return a
		}
	}
	return nil
}
