package dialect

import (
	"slices"
	"strings"

	"github.com/go-json-experiment/json"

	"github.com/rollcall-id/rollcall/scim/filter"
	"github.com/rollcall-id/rollcall/scim/schema"
)

// PatchURN names the schema of a PATCH body.
const PatchURN = "urn:ietf:params:scim:api:messages:2.0:PatchOp"

// Kind is what an operation does: RFC 7644, section 3.5.2.
type Kind string

// The kinds of operation.
const (
	Add     Kind = "add"
	Remove  Kind = "remove"
	Replace Kind = "replace"
)

// Op is one operation on the attributes of a resource.
type Op struct {
	Kind  Kind
	Path  filter.Path
	Value any // canonical; of Remove: the values to be removed, nil for all

	ref     schema.Ref
	urn     string // of what no schema is known for
	entries *filter.Filter
}

// Patch is what the body of a PATCH means.
type Patch struct {
	Ops      []Op
	Members  Members
	Password bool // one was sent
}

// maxOps is the number of operations that one PATCH may have.
const maxOps = 1000

// ReadPatch reads the body of a PATCH. Its error is an [*Error].
func ReadPatch(body []byte, t *schema.ResourceType, k Knobs) (*Patch, []Note, error) {
	in, err := parse(body)
	if err != nil {
		return nil, nil, err
	}
	r := &patchReader{canon: canon{t: t, k: k}, members: newMemberPlan()}
	list, err := r.operations(in)
	if err != nil {
		return nil, nil, err
	}
	for i, v := range list {
		o, ok := v.(object)
		if !ok {
			return nil, r.notes, invalid("invalidSyntax", "operation %d is not an object", i+1)
		}
		if err := r.operation(o, i+1); err != nil {
			return nil, r.notes, err
		}
	}
	r.patch.Members = r.members.plan()
	return &r.patch, r.notes, nil
}

type patchReader struct {
	canon
	patch   Patch
	members *memberPlan
}

func (r *patchReader) options() filter.Options {
	return filter.Options{Type: r.t, Lenient: r.k.LenientLiterals}
}

// emit adds an operation on an attribute. Without paths a few operations can name many.
func (r *patchReader) emit(op Op) error {
	if len(r.patch.Ops) == 10*maxOps {
		return invalid("tooMany", "the operations change more than %d attributes", 10*maxOps)
	}
	r.patch.Ops = append(r.patch.Ops, op)
	return nil
}

// noteOn notes something on a path, without the values that its filter may hold.
func (r *patchReader) noteOn(p filter.Path, text string) {
	p.Filter = nil
	r.note(p.String(), text)
}

func (r *patchReader) operations(in object) ([]any, error) {
	var list []any
	found, named := false, false
	for _, m := range in {
		switch fold(m.name) {
		case "operations":
			if list, found = m.value.([]any); !found {
				return nil, invalid("invalidSyntax", "Operations is a list")
			}
		case "schemas":
			urns, _ := m.value.([]any)
			named = slices.ContainsFunc(urns, func(u any) bool { s, _ := u.(string); return strings.EqualFold(s, PatchURN) })
		}
	}
	switch {
	case !found:
		return nil, invalid("invalidSyntax", "the body has no Operations")
	case !named && r.k.Strict:
		return nil, invalid("invalidSyntax", "schemas has to name %s", PatchURN)
	case len(list) == 0 && r.k.Strict:
		return nil, invalid("invalidSyntax", "Operations is empty")
	case len(list) > maxOps:
		return nil, &Error{Status: 413, SCIMType: "tooMany", Detail: "the body has more than 1000 Operations: send them in several requests"}
	}
	if !named {
		r.note("schemas", "they do not name "+PatchURN)
	}
	return list, nil
}

func (r *patchReader) operation(o object, n int) error {
	var kind Kind
	var path string
	var value any
	given := false
	for _, m := range o {
		switch fold(m.name) {
		case "op":
			text, _ := m.value.(string)
			if kind = Kind(fold(text)); string(kind) != text {
				r.note("", "op "+clip(text)+" was taken for "+clip(string(kind)))
			}
		case "path":
			if m.value == nil {
				continue
			}
			text, ok := m.value.(string)
			if !ok {
				return invalid("invalidPath", "the path of operation %d is not a string", n)
			}
			path = text
		case "value":
			value, given = m.value, true
		}
	}
	if kind != Add && kind != Remove && kind != Replace {
		return invalid("invalidSyntax", "the op of operation %d is none of add, remove and replace", n)
	}
	if path == "" {
		return r.pathless(kind, value, n)
	}
	if !given && kind != Remove {
		return invalid("invalidValue", "operation %d has no value", n)
	}
	p, err := filter.ParsePath(path, r.options())
	if err != nil {
		return invalid("invalidPath", "the path of operation %d: %v", n, err)
	}
	return r.target(kind, p, value, given, true)
}

// pathless reads an operation whose value names the attributes.
func (r *patchReader) pathless(kind Kind, value any, n int) error {
	if text, ok := value.(string); ok && !r.k.Strict {
		if o, ok := r.embedded(text); ok {
			value = o
		}
	}
	if !r.k.Strict {
		value = r.only(value)
	}
	in, ok := value.(object)
	switch {
	case kind == Remove && (!ok || r.k.Strict):
		return invalid("noTarget", "operation %d removes, and has no path", n)
	case !ok:
		return invalid("invalidValue", "operation %d has no path, and its value is not an object", n)
	}
	for _, m := range in {
		if err := r.named(kind, m); err != nil {
			return err
		}
	}
	return nil
}

// only takes the only value out of a list of one. Where a filter names values of a list
// (RFC 7644, section 3.5.2.3), no RFC says whether theirs is a list, too.
func (r *patchReader) only(value any) any {
	list, ok := value.([]any)
	if !ok || len(list) != 1 {
		return value
	}
	r.note("", "the only value of a list was taken")
	return list[0]
}

// named reads one name of a value without a path.
func (r *patchReader) named(kind Kind, m member) error {
	switch fold(m.name) {
	case "schemas", "id", "meta":
		if r.k.Strict {
			return invalid("mutability", "%s is read-only", m.name)
		}
		r.note(m.name, "left out: the server says what it is")
		return nil
	}
	p, err := filter.ParsePath(m.name, r.options())
	if err != nil {
		return r.unknown(clip(m.name))
	}
	return r.target(kind, p, m.value, true, false)
}

// Body returns the operations as the RFC writes them; nil when there are none that
// schemas know of. Of members it holds one, for all.
func (p *Patch) Body() []byte {
	type operation struct {
		Op    Kind   `json:"op"`
		Path  string `json:"path"`
		Value any    `json:"value,omitzero"`
	}
	var ops []operation
	for _, op := range p.Ops {
		if op.urn != "" || op.ref.Attr == nil {
			continue
		}
		// The library reads filters of two terms at most, and ours is compiled already.
		plain := op.Path
		plain.Filter = nil
		o := operation{Op: op.Kind, Path: plain.String()}
		switch {
		case op.Kind == Remove:
		case op.Path.Filter != nil && op.ref.Sub == nil:
			o.Value = []any{op.Value}
		default:
			o.Value = op.Value
		}
		ops = append(ops, o)
	}
	switch m := &p.Members; {
	case len(m.Add) > 0:
		ops = append(ops, operation{Add, "members", []any{map[string]any{"value": m.Add[0]}}})
	case m.Touches():
		ops = append(ops, operation{Op: Remove, Path: "members"})
	}
	if len(ops) == 0 {
		return nil
	}
	b, err := json.Marshal(map[string]any{"schemas": []string{PatchURN}, "Operations": ops}, json.Deterministic(true))
	if err != nil {
		return nil // of canonical values it cannot fail
	}
	return b
}
