package dialect

import (
	"strings"

	"github.com/rollcall-id/rollcall/scim/filter"
	"github.com/rollcall-id/rollcall/scim/schema"
)

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
		if pathed && r.splits(p) {
			return invalid("invalidPath", "%s has no sub-attributes", p.Attr)
		}
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

// splits reports whether a path goes into an attribute that has no parts.
func (r *patchReader) splits(p filter.Path) bool {
	of, ok := r.t.Resolve(p.URN, p.Attr, "")
	return ok && p.Sub != "" && of.Attr.Type != schema.Complex
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
	if op.Path.Filter != nil || op.ref.Sub != nil || !op.ref.Attr.MultiValued || value == nil || value == "" && r.k.Strict {
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
