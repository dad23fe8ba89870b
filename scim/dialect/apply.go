package dialect

import (
	"maps"
	"reflect"
	"slices"

	"github.com/rollcall-id/rollcall/scim/filter"
	"github.com/rollcall-id/rollcall/scim/schema"
)

// Apply carries operations out on a resource, all or none, and returns what it is then:
// RFC 7644, section 3.5.2. The resource itself stays as it is. The error is an [*Error].
func Apply(o schema.Object, ops []Op, t *schema.ResourceType, k Knobs) (schema.Object, error) {
	next, _ := clone(o).(schema.Object)
	if next == nil {
		next = schema.Object{}
	}
	for i := range ops {
		if err := apply(next, &ops[i], k); err != nil {
			return nil, err
		}
	}
	for _, name := range []string{lacks(next, t.Core.Attributes)} {
		if name != "" {
			return nil, invalid("mutability", "%s is required: it cannot be removed", name)
		}
	}
	if err := required(next, t); err != nil {
		return nil, err
	}
	return next, Immutable(o, next, t)
}

func apply(o schema.Object, op *Op, k Knobs) error {
	if op.urn != "" {
		applyUnknown(o, op)
		return nil
	}
	if op.ref.Attr == nil {
		delete(o, op.ref.Schema.ID)
		return nil
	}
	in := o
	if op.ref.Extension {
		var ok bool
		if in, ok = o[op.ref.Schema.ID].(schema.Object); !ok {
			in = schema.Object{}
			o[op.ref.Schema.ID] = in
		}
	}
	err := applyIn(in, op, k)
	if op.ref.Extension && len(in) == 0 {
		delete(o, op.ref.Schema.ID)
	}
	return err
}

// applyUnknown carries out an operation on what no schema is known for.
func applyUnknown(o schema.Object, op *Op) {
	if op.Path.Attr == "" {
		if op.Kind == Remove {
			delete(o, op.urn)
		} else if in, ok := op.Value.(schema.Object); ok {
			have, _ := o[op.urn].(schema.Object)
			merged := schema.Object{}
			maps.Copy(merged, have)
			maps.Copy(merged, in)
			o[op.urn] = merged
		}
		return
	}
	in, ok := o[op.urn].(schema.Object)
	if !ok {
		in = schema.Object{}
	}
	if op.Kind == Remove {
		delete(in, op.Path.Attr)
	} else {
		in[op.Path.Attr] = op.Value
	}
	if len(in) == 0 {
		delete(o, op.urn)
	} else {
		o[op.urn] = in
	}
}

func applyIn(in schema.Object, op *Op, k Knobs) error {
	a := op.ref.Attr
	var err error
	switch {
	case !a.MultiValued && op.ref.Sub == nil:
		applySingle(in, op, k)
	case !a.MultiValued:
		applySub(in, op)
	case op.entries != nil:
		err = applyFiltered(in, op, k)
	case op.ref.Sub != nil:
		err = applyEach(in, op)
	default:
		applyList(in, op)
	}
	if list, ok := in[a.Name].([]any); ok && len(list) == 0 {
		delete(in, a.Name)
	}
	return err
}

// applySingle is for an attribute of one value. A complex one keeps what an operation
// does not name.
func applySingle(in schema.Object, op *Op, k Knobs) {
	name := op.ref.Attr.Name
	value, complex := op.Value.(schema.Object)
	have, _ := in[name].(schema.Object)
	switch {
	case op.Kind == Remove:
		delete(in, name)
	case complex && have != nil && (op.Kind == Add || k.ReplaceMerges):
		maps.Copy(have, value)
	default:
		in[name] = clone(op.Value)
	}
}

func applySub(in schema.Object, op *Op) {
	name := op.ref.Attr.Name
	have, ok := in[name].(schema.Object)
	switch {
	case op.Kind != Remove && !ok:
		in[name] = schema.Object{op.ref.Sub.Name: clone(op.Value)}
	case op.Kind != Remove:
		have[op.ref.Sub.Name] = clone(op.Value)
	case ok:
		delete(have, op.ref.Sub.Name)
		if len(have) == 0 {
			delete(in, name)
		}
	}
}

// applyList is for an attribute of several values, as a whole.
func applyList(in schema.Object, op *Op) {
	name := op.ref.Attr.Name
	values, _ := op.Value.([]any)
	have, _ := in[name].([]any)
	switch {
	case op.Kind == Remove && op.Value == nil:
		delete(in, name)
	case op.Kind == Remove:
		in[name] = slices.DeleteFunc(have, func(e any) bool {
			return slices.ContainsFunc(values, func(v any) bool { return names(v, e) })
		})
	case op.Kind == Replace:
		in[name] = clone(values)
	default:
		for _, v := range values {
			if slices.ContainsFunc(have, func(e any) bool { return reflect.DeepEqual(e, v) }) {
				continue
			}
			v = clone(v)
			if isPrimary(v) {
				demote(have)
			}
			have = append(have, v)
		}
		in[name] = have
	}
}

// names reports whether a value that is to be removed means an entry: everything that it
// says is so.
func names(v, entry any) bool {
	want, ok := v.(schema.Object)
	have, ok2 := entry.(schema.Object)
	if !ok || !ok2 {
		return reflect.DeepEqual(v, entry)
	}
	for name, x := range want {
		if !reflect.DeepEqual(have[name], x) {
			return false
		}
	}
	return true
}

func isPrimary(v any) bool {
	o, ok := v.(schema.Object)
	return ok && o["primary"] == true
}

// demote takes the mark of the primary value from all: RFC 7644, section 3.5.2.
func demote(list []any) {
	for _, e := range list {
		if o, ok := e.(schema.Object); ok && o["primary"] == true {
			o["primary"] = false
		}
	}
}

// applyEach is for a sub-attribute of all values of an attribute.
func applyEach(in schema.Object, op *Op) error {
	list, _ := in[op.ref.Attr.Name].([]any)
	if len(list) == 0 && op.Kind != Remove {
		in[op.ref.Attr.Name] = []any{schema.Object{op.ref.Sub.Name: clone(op.Value)}}
		return nil
	}
	in[op.ref.Attr.Name] = setAll(list, list, op)
	return nil
}

// setAll sets or removes a sub-attribute of some entries, and returns those of the list
// that are left.
func setAll(list, some []any, op *Op) []any {
	if op.Kind != Remove && op.ref.Sub.Name == "primary" && op.Value == true {
		demote(list)
	}
	for _, e := range some {
		o, ok := e.(schema.Object)
		if !ok {
			continue
		}
		if op.Kind == Remove {
			delete(o, op.ref.Sub.Name)
		} else {
			o[op.ref.Sub.Name] = clone(op.Value)
		}
	}
	return slices.DeleteFunc(list, func(e any) bool { o, ok := e.(schema.Object); return ok && len(o) == 0 })
}

// applyFiltered is for those values of an attribute that a filter names.
func applyFiltered(in schema.Object, op *Op, k Knobs) error {
	name := op.ref.Attr.Name
	list, _ := in[name].([]any)
	matches := func(e any) bool { return op.entries.Match(op.within([]any{e})) }
	var some []any
	for _, e := range list {
		if matches(e) {
			some = append(some, e)
		}
	}
	switch {
	case op.Kind == Remove && op.ref.Sub == nil:
		in[name] = slices.DeleteFunc(list, matches)
	case op.Kind == Remove:
		in[name] = setAll(list, some, op)
	case len(some) == 0:
		if op.Kind == Replace && !k.CreateOnReplace {
			return invalid("noTarget", "no value matches %s", clip(op.Path.String()))
		}
		return create(in, op, list)
	case op.ref.Sub != nil:
		in[name] = setAll(list, some, op)
	default:
		if isPrimary(op.Value) {
			demote(list)
		}
		mergeInto(list, some, op, k)
	}
	return nil
}

// within is a resource that has only these values of the attribute.
func (op *Op) within(entries []any) schema.Object {
	o := schema.Object{op.ref.Attr.Name: entries}
	if op.ref.Extension {
		return schema.Object{op.ref.Schema.ID: o}
	}
	return o
}

// create adds the value that a filter names and does not find.
func create(in schema.Object, op *Op, list []any) error {
	entry := schema.Object{}
	if !equals(op.Path.Filter, entry, op.ref.Attr) {
		return invalid("noTarget", "no value matches %s, and it does not say what a new one would be", clip(op.Path.String()))
	}
	switch v := op.Value.(type) {
	case schema.Object:
		if op.ref.Sub == nil {
			maps.Copy(entry, v)
		}
	default:
		if op.ref.Sub == nil {
			return invalid("invalidValue", "%s: the value is an object", clip(op.Path.String()))
		}
	}
	if op.ref.Sub != nil {
		entry[op.ref.Sub.Name] = clone(op.Value)
	}
	if isPrimary(entry) {
		demote(list)
	}
	in[op.ref.Attr.Name] = append(list, entry)
	return nil
}

// equals sets what a filter says that a value is, and reports whether that is all it
// says.
func equals(e filter.Expr, entry schema.Object, a *schema.Attribute) bool {
	switch e := e.(type) {
	case filter.Compare:
		sub := a.Find(e.Path.Attr)
		if e.Op != filter.Equal || sub == nil {
			return false
		}
		v := e.Value
		if text, ok := v.(string); ok && sub.Type == schema.Boolean {
			v = fold(text) == "true"
		}
		if v == nil {
			return true
		}
		entry[sub.Name] = v
		return true
	case filter.And:
		for _, t := range e.Terms {
			if !equals(t, entry, a) {
				return false
			}
		}
		return true
	}
	return false
}

func mergeInto(list, some []any, op *Op, k Knobs) {
	value, ok := op.Value.(schema.Object)
	for i, e := range list {
		o, isObject := e.(schema.Object)
		if !slices.ContainsFunc(some, func(s any) bool { return same(s, e) }) {
			continue
		}
		if !ok || !isObject || op.Kind == Replace && !k.ReplaceMerges {
			list[i] = clone(op.Value)
			continue
		}
		maps.Copy(o, value)
	}
}

// same reports whether two entries of a list are one and the same.
func same(a, b any) bool {
	x, ok := a.(schema.Object)
	y, ok2 := b.(schema.Object)
	if ok && ok2 {
		return reflect.ValueOf(x).Pointer() == reflect.ValueOf(y).Pointer()
	}
	return reflect.DeepEqual(a, b)
}

// Immutable refuses a resource that changes what may be set only once: RFC 7643, section
// 2.2. The error is an [*Error].
func Immutable(before, after schema.Object, t *schema.ResourceType) error {
	if err := immutable(before, after, t.Core.Attributes, ""); err != nil {
		return err
	}
	for _, x := range t.Extensions {
		was, _ := before[x.Schema.ID].(schema.Object)
		is, _ := after[x.Schema.ID].(schema.Object)
		if err := immutable(was, is, x.Schema.Attributes, x.Schema.ID+":"); err != nil {
			return err
		}
	}
	return nil
}

func immutable(before, after schema.Object, list []*schema.Attribute, path string) error {
	for _, a := range list {
		was, had := before[a.Name]
		if had && a.Mutability == schema.Immutable && !reflect.DeepEqual(was, after[a.Name]) {
			return invalid("mutability", "%s cannot be changed once it is set", path+a.Name)
		}
		in, ok := was.(schema.Object)
		if is, has := after[a.Name].(schema.Object); ok && has {
			if err := immutable(in, is, a.Sub, path+a.Name+"."); err != nil {
				return err
			}
		}
	}
	return nil
}
