package dialect

import (
	"slices"
	"strconv"
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

// Members is what a PATCH, or a PUT, does to the members of a group: Replace them all by
// Add, or take Remove out and what is Matching, and put Add in. No id is in both.
type Members struct {
	Replace     bool
	Add, Remove []string
	Matching    []*filter.Filter // of a group that has one member
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
	in, ok := r.only(value).(object)
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

// only takes the only value out of a list of one.
func (r *patchReader) only(value any) any {
	list, ok := value.([]any)
	if !ok || len(list) != 1 || r.k.Strict {
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

// target finds what a path names, and adds the operations on it. pathed says that it
// was a path of its own, and not a name among others.
func (r *patchReader) target(kind Kind, p filter.Path, value any, given, pathed bool) error {
	if fold(p.Attr) == "schemas" && (p.URN == "" || strings.EqualFold(p.URN, r.t.Core.ID)) {
		if r.k.Strict {
			return invalid("mutability", "schemas follow from the attributes")
		}
		r.note("schemas", "left out: they follow from the attributes")
		return nil
	}
	p, ref, ok := r.resolve(p)
	if !ok {
		return r.beyond(kind, p, value, pathed)
	}
	if ref.Attr == nil {
		return r.whole(kind, p, ref, value)
	}
	last := ref.Last()
	if ref.Attr.Mutability == schema.ReadOnly || last.Mutability == schema.ReadOnly {
		if r.k.Strict || pathed && ref.Attr.Mutability == schema.ReadOnly {
			return invalid("mutability", "%s is read-only", p)
		}
		r.noteOn(p, "it is read-only: left out")
		return nil
	}
	if r.isMembers(ref.Attr) {
		return r.memberOp(kind, p, value, given)
	}
	if ref.Attr.Returned == schema.Never {
		r.patch.Password = true
		r.note(ref.Attr.Name, "it is not kept: nobody signs in here")
		return nil
	}
	return r.attributeOp(kind, p, ref, value)
}

// resolve finds what a path names, also in an extension that it does not name.
func (r *patchReader) resolve(p filter.Path) (filter.Path, schema.Ref, bool) {
	ref, ok := r.t.Resolve(p.URN, p.Attr, p.Sub)
	if ok || p.URN != "" {
		return p, ref, ok
	}
	x, found := r.bare(p.Attr)
	if !found {
		return p, ref, false
	}
	r.note(p.Attr, "taken for the attribute of "+x.Schema.ID)
	p.URN = x.Schema.ID
	ref, ok = r.t.Resolve(p.URN, p.Attr, p.Sub)
	return p, ref, ok
}

// beyond reads an operation on what no schema has.
func (r *patchReader) beyond(kind Kind, p filter.Path, value any, pathed bool) error {
	_, known := r.t.Resolve(p.URN, "", "")
	if p.URN == "" || known {
		if pathed && (r.k.RefuseUnknown || r.k.Strict) {
			return invalid("invalidPath", "no schema has %s", clip(p.String()))
		}
		return r.unknown(clip(p.String()))
	}
	if r.k.RefuseUnknown {
		return invalid("invalidPath", "no schema %s is known here", clip(p.URN))
	}
	if p.Filter != nil || p.Sub != "" || !strings.Contains(p.URN, ":") {
		return r.unknown(p.String())
	}
	r.note(p.URN, "no schema of this name is known: kept as it is")
	op := Op{Kind: kind, Path: p, urn: p.URN, Value: anything(value)}
	switch _, isObject := op.Value.(schema.Object); {
	case op.Value == nil:
		op.Kind = Remove
	case isObject && p.Attr != "":
		// As in a POST: what stands for an object is a schema, even if its name does not
		// look like one.
		op.urn, op.Path = p.URN+":"+p.Attr, filter.Path{URN: p.URN + ":" + p.Attr}
	case !isObject && p.Attr == "":
		return invalid("invalidValue", "%s is an object", clip(p.URN))
	}
	return r.emit(op)
}

// whole reads an operation on a whole extension, or on the core schema: RFC 7644,
// section 3.10.
func (r *patchReader) whole(kind Kind, p filter.Path, ref schema.Ref, value any) error {
	in, ok := value.(object)
	switch {
	case value == nil && kind == Add:
		return nil
	case value == nil && ref.Extension:
		return r.emit(Op{Kind: Remove, Path: p, ref: ref})
	case value == nil && kind == Remove:
		return invalid("mutability", "%s is what a %s is: it cannot be removed", p.URN, r.t.Name)
	case !ok:
		return invalid("invalidValue", "%s is an object", p.URN)
	case kind == Replace && ref.Extension && !r.k.ReplaceMerges:
		if err := r.emit(Op{Kind: Remove, Path: p, ref: ref}); err != nil {
			return err
		}
	}
	for _, m := range in {
		if fold(m.name) == "schemas" {
			continue // some libraries write it into extensions, too
		}
		if err := r.target(kind, filter.Path{URN: p.URN, Attr: m.name}, m.value, true, false); err != nil {
			return err
		}
	}
	return nil
}

func (r *patchReader) attributeOp(kind Kind, p filter.Path, ref schema.Ref, value any) error {
	op := Op{Kind: kind, Path: p, ref: ref}
	if p.Filter != nil {
		if !ref.Attr.MultiValued {
			return invalid("invalidPath", "%s has one value: it takes no filter", ref.Attr.Name)
		}
		var err error
		o := r.options()
		if op.entries, err = filter.Compile(filter.ValuePath{Path: filter.Path{URN: p.URN, Attr: p.Attr}, Filter: p.Filter}, r.t, o); err != nil {
			return invalid("invalidFilter", "the path %s: %v", clip(p.String()), err)
		}
	}
	if kind == Remove {
		return r.removal(op, value)
	}
	if r.clears(ref, value) {
		several := ref.Sub == nil && ref.Attr.MultiValued
		switch {
		case value == nil && !r.k.NullClears:
			return invalid("invalidValue", "%s: a value is missing", p)
		case kind == Replace, !several:
			r.noteOn(p, "no value was taken for its removal")
			op.Kind = Remove
			return r.emit(op)
		}
	}
	return r.valued(op, value)
}

// removal reads an operation that removes. RFC 7644, section 3.5.2.2: what is removed is
// named by the path. Providers name the values of a list by the value, too.
func (r *patchReader) removal(op Op, value any) (err error) {
	if op.Path.Filter != nil || op.ref.Sub != nil || !op.ref.Attr.MultiValued || value == nil {
		return r.emit(op)
	}
	if r.k.Strict {
		return invalid("invalidValue", "a removal names what it removes by its path")
	}
	if op.Value, err = r.value(op.ref.Attr, value, op.Path.String()); err != nil {
		return err
	}
	if op.Value == nil {
		return r.empty(op, value)
	}
	return r.emit(op)
}

// valued reads an operation with a value.
func (r *patchReader) valued(op Op, value any) (err error) {
	p, ref := op.Path, op.ref
	switch {
	case ref.Sub != nil:
		op.Value, err = r.value(ref.Sub, value, p.String())
	case p.Filter != nil:
		op.Value, err = r.single(ref.Attr, r.only(value), p.String())
	default:
		if err := r.clearParts(op.Kind, p, ref, value); err != nil {
			return err
		}
		op.Value, err = r.value(ref.Attr, value, p.String())
	}
	if err != nil {
		return err
	}
	if op.Value == nil {
		return r.empty(op, value)
	}
	return r.emit(op)
}

// empty reads an operation with a value in which nothing is left. That adds nothing to a
// list, and takes nothing out of one; instead of a list, or of a single value, it is
// none.
func (r *patchReader) empty(op Op, value any) error {
	in, isObject := value.(object)
	several := op.ref.Sub == nil && op.ref.Attr.MultiValued
	if isObject && len(in) > 0 || several && op.Kind != Replace {
		r.noteOn(op.Path, "there was nothing to be done")
		return nil
	}
	op.Kind = Remove
	return r.emit(op)
}

// clears reports whether a value stands for none: null, an empty list (RFC 7643, section
// 2.5), and, for those providers who write it so, an empty string.
func (r *patchReader) clears(ref schema.Ref, value any) bool {
	switch v := value.(type) {
	case nil:
		return true
	case string:
		return v == "" && (r.k.NullClears || r.k.StringManager && ref.Last().Type == schema.Complex)
	case []any:
		return len(v) == 0
	}
	return false
}

// clearParts adds the removal of sub-attributes that are set to no value.
func (r *patchReader) clearParts(kind Kind, p filter.Path, ref schema.Ref, value any) error {
	in, ok := value.(object)
	if !ok || ref.Attr.Type != schema.Complex || ref.Attr.MultiValued || kind == Remove {
		return nil
	}
	for _, m := range in {
		sub := p
		sub.Sub = m.name
		if part, known := r.t.Resolve(p.URN, p.Attr, m.name); known && r.clears(part, m.value) {
			if err := r.target(Remove, sub, nil, false, false); err != nil {
				return err
			}
		}
	}
	return nil
}

// memberOp reads an operation on the members of a group.
func (r *patchReader) memberOp(kind Kind, p filter.Path, value any, given bool) error {
	if p.Filter != nil {
		return r.filteredMembers(kind, p, value)
	}
	if p.Sub != "" && fold(p.Sub) != "value" {
		r.noteOn(p, "what is said of a member beside his id is the server's: left out")
		return nil
	}
	if kind == Remove && (!given || value == nil) || kind == Replace && value == nil {
		r.members.replace(nil)
		return nil
	}
	attr := r.t.Core.Find("members")
	v, err := r.value(attr, value, "members")
	if err != nil {
		return err
	}
	ids := memberIDs(v)
	switch kind {
	case Add:
		r.members.add(ids)
	case Remove:
		if r.k.Strict {
			return invalid("invalidValue", "a removal names what it removes by its path")
		}
		r.note("members", "the values of a removal were taken for those to be removed")
		r.members.remove(ids)
	case Replace:
		r.members.replace(ids)
	}
	return nil
}

// filteredMembers reads members[value eq "id"], with or between several.
func (r *patchReader) filteredMembers(kind Kind, p filter.Path, value any) error {
	ids, ok := idsOf(p.Filter)
	if !ok {
		return r.matchingMembers(kind, p)
	}
	switch {
	case kind == Remove && p.Sub == "":
		r.members.remove(ids)
	case kind == Remove:
		r.noteOn(p, "what is said of a member beside his id is the server's: left out")
	default:
		if o, isObject := value.(object); isObject && p.Sub == "" {
			if v, has := o.get("value"); has {
				if id, isText := v.(string); isText && !slices.Contains(ids, id) {
					r.members.remove(ids)
					ids = []string{id}
				}
			}
		}
		r.members.add(ids)
	}
	return nil
}

// matchingMembers reads members[type eq "Group"] and the like. Who that is, is known
// where the members are.
func (r *patchReader) matchingMembers(kind Kind, p filter.Path) error {
	if kind != Remove || p.Sub != "" {
		return invalid("invalidFilter", "members are named by their value: members[value eq \"id\"]")
	}
	if r.members.changed() {
		return invalid("invalidFilter", "members that the same request adds are named by their value: members[value eq \"id\"]")
	}
	if len(r.members.matching) == maxMatching {
		return tooMuch("members are removed by more than " + strconv.Itoa(maxMatching) + " filters that do not name their ids: send them in several requests")
	}
	f, err := filter.Compile(filter.ValuePath{Path: filter.Path{Attr: "members"}, Filter: p.Filter}, r.t, r.options())
	if err != nil {
		return invalid("invalidFilter", "the path %s: %v", clip(p.String()), err)
	}
	r.members.matching = append(r.members.matching, f)
	return nil
}

func idsOf(e filter.Expr) ([]string, bool) {
	switch e := e.(type) {
	case filter.Compare:
		id, ok := e.Value.(string)
		return []string{id}, ok && e.Op == filter.Equal && fold(e.Path.Attr) == "value"
	case filter.Or:
		var all []string
		for _, t := range e.Terms {
			ids, ok := idsOf(t)
			if !ok {
				return nil, false
			}
			all = append(all, ids...)
		}
		return all, true
	}
	return nil, false
}

// memberPlan is what operations on members come to, one after another.
type memberPlan struct {
	whole bool
	in    map[string]bool // false: out
	order []string

	matching []*filter.Filter
}

func newMemberPlan() *memberPlan { return &memberPlan{in: map[string]bool{}} }

func (m *memberPlan) set(ids []string, in bool) {
	for _, id := range ids {
		if _, known := m.in[id]; !known {
			m.order = append(m.order, id)
		}
		m.in[id] = in
	}
}

func (m *memberPlan) add(ids []string)    { m.set(ids, true) }
func (m *memberPlan) remove(ids []string) { m.set(ids, false) }

func (m *memberPlan) replace(ids []string) {
	*m = memberPlan{whole: true, in: map[string]bool{}}
	m.set(ids, true)
}

// changed reports whether there are members that the group did not have before.
func (m *memberPlan) changed() bool {
	return m.whole || slices.ContainsFunc(m.order, func(id string) bool { return m.in[id] })
}

func (m *memberPlan) plan() Members {
	p := Members{Replace: m.whole, Matching: m.matching}
	for _, id := range m.order {
		switch {
		case m.in[id]:
			p.Add = append(p.Add, id)
		case !m.whole:
			p.Remove = append(p.Remove, id)
		}
	}
	return p
}

// Touches reports whether anything is done to members.
func (m *Members) Touches() bool { return m.Replace || len(m.Add)+len(m.Remove)+len(m.Matching) > 0 }

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
