package dialect

import (
	"errors"
	"maps"
	"reflect"
	"slices"
	"strconv"

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
	work := 0
	for i := range ops {
		if work += ops[i].work(next); work > maxWork {
			return nil, tooMuch("the operations look at too many values: send them in several requests")
		}
		if err := apply(next, &ops[i], k); err != nil {
			return nil, err
		}
	}
	if size(next, maxMade) > maxMade {
		return nil, tooMuch("the operations make more of the resource than is kept of one")
	}
	if err := complete(next, ops, t); err != nil {
		return nil, err
	}
	if err := Immutable(o, next, t); err != nil {
		return nil, err
	}
	return next, nil
}

// complete refuses a resource without what it has to have. Where an operation took it
// away, that is a question of mutability: RFC 7644, section 3.5.2.2.
func complete(o schema.Object, ops []Op, t *schema.ResourceType) error {
	err := required(o, t)
	e, ok := errors.AsType[*Error](err)
	if ok && slices.ContainsFunc(ops, func(op Op) bool {
		return op.Kind == Remove && op.urn == "" && (op.ref.Attr == nil || op.ref.Last().Required)
	}) {
		return invalid("mutability", "%s: it cannot be removed", e.Detail)
	}
	return err
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

// applyUnknown carries out an operation on what no schema is known for. Containers are
// found in any case, as those of known schemas are.
func applyUnknown(o schema.Object, op *Op) {
	if op.Path.Attr == "" {
		applyContainer(o, spelled(o, op.urn), op)
		return
	}
	// Without a schema nobody knows whether the last word of a path is an attribute.
	if whole := spelled(o, op.urn+":"+op.Path.Attr); op.Kind == Remove && o[whole] != nil {
		delete(o, whole)
		return
	}
	urn := spelled(o, op.urn)
	in, ok := o[urn].(schema.Object)
	name := spelled(in, op.Path.Attr)
	switch {
	case op.Kind != Remove && !ok:
		o[urn] = schema.Object{name: clone(op.Value)}
	case op.Kind != Remove:
		in[name] = clone(op.Value)
	default:
		delete(in, name)
		if len(in) == 0 {
			delete(o, urn)
		}
	}
}

func applyContainer(o schema.Object, urn string, op *Op) {
	value, _ := clone(op.Value).(schema.Object)
	have, ok := o[urn].(schema.Object)
	switch {
	case op.Kind == Remove:
		delete(o, urn)
	case ok:
		for name, v := range value {
			have[spelled(have, name)] = v
		}
	case len(value) > 0:
		o[urn] = value
	}
}

// spelled returns the name as it stands in an object already, in whatever case.
func spelled(o schema.Object, name string) string {
	if _, ok := o[name]; !ok {
		folded := fold(name)
		for have := range o {
			if fold(have) == folded {
				return have
			}
		}
	}
	return name
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
		err = applyEach(in, op, k)
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
		copied, _ := clone(value).(schema.Object)
		maps.Copy(have, copied)
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
		in[name] = slices.DeleteFunc(have, removalOf(values).means)
	case op.Kind == Replace:
		in[name] = clone(values)
	default:
		in[name] = addTo(have, values)
	}
}

// addTo adds values. One that is there already says at most more about itself.
func addTo(have, values []any) []any {
	at := make(map[any]int, len(have))
	for i, e := range have {
		at[identityOf(e)] = i
	}
	for _, v := range values {
		v = clone(v)
		i, known := at[identityOf(v)]
		if isPrimary(v) && (!known || !isPrimary(have[i])) {
			demote(have)
		}
		if !known {
			at[identityOf(v)] = len(have)
			have = append(have, v)
		} else if o, ok := have[i].(schema.Object); ok {
			more, _ := v.(schema.Object)
			maps.Copy(o, more)
		}
	}
	return have
}

// means reports whether a value that is to be removed means an entry: everything that it
// says is so.
func means(v, entry any) bool {
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
func applyEach(in schema.Object, op *Op, k Knobs) (err error) {
	list, _ := in[op.ref.Attr.Name].([]any)
	if len(list) == 0 && op.Kind != Remove {
		in[op.ref.Attr.Name] = []any{schema.Object{op.ref.Sub.Name: clone(op.Value)}}
		return nil
	}
	all := make([]int, len(list))
	for i := range all {
		all[i] = i
	}
	in[op.ref.Attr.Name], err = setAll(list, all, op, k)
	return err
}

// setAll sets or removes a sub-attribute of the entries at some places, and returns those
// of the list that are left.
func setAll(list []any, at []int, op *Op, k Knobs) ([]any, error) {
	sub := op.ref.Sub
	if op.Kind != Remove && sub.Name == "primary" && op.Value == true {
		if len(at) > 1 && k.RefusePrimaries {
			return nil, invalid("invalidValue", "%s would have %d primary values", op.ref.Attr.Name, len(at))
		}
		demote(list)
		at = at[:1]
	}
	for _, i := range at {
		o, ok := list[i].(schema.Object)
		if !ok {
			continue
		}
		was, had := o[sub.Name]
		if had && sub.Mutability == schema.Immutable && (op.Kind == Remove || !reflect.DeepEqual(was, op.Value)) {
			return nil, invalid("mutability", "%s.%s cannot be changed once it is set", op.ref.Attr.Name, sub.Name)
		}
		if op.Kind == Remove {
			delete(o, sub.Name)
		} else {
			o[sub.Name] = clone(op.Value)
		}
	}
	return slices.DeleteFunc(list, func(e any) bool { o, ok := e.(schema.Object); return ok && len(o) == 0 }), nil
}

// applyFiltered is for those values of an attribute that a filter names.
func applyFiltered(in schema.Object, op *Op, k Knobs) (err error) {
	name := op.ref.Attr.Name
	list, _ := in[name].([]any)
	var at []int
	for i, e := range list {
		if op.matches(e) {
			at = append(at, i)
		}
	}
	switch {
	case op.Kind == Remove && op.ref.Sub == nil:
		for _, i := range slices.Backward(at) {
			list = slices.Delete(list, i, i+1)
		}
	case len(at) == 0 && op.Kind == Remove:
	case len(at) == 0 && op.Kind == Replace && !k.CreateOnReplace:
		err = invalid("noTarget", "no value matches %s", clip(op.Path.String()))
	case len(at) == 0:
		list, err = create(op, list)
	case op.ref.Sub != nil:
		list, err = setAll(list, at, op, k)
	default:
		list, err = setWhole(list, at, op, k)
	}
	if err == nil && list != nil {
		in[name] = list
	}
	return err
}

// setWhole adds to the entries at some places, or replaces them. What the filter says of
// a value stays so, unless the new one says otherwise.
func setWhole(list []any, at []int, op *Op, k Knobs) ([]any, error) {
	if isPrimary(op.Value) {
		if len(at) > 1 && k.RefusePrimaries {
			return nil, invalid("invalidValue", "%s would have %d primary values", op.ref.Attr.Name, len(at))
		}
		demote(list)
	}
	for n, i := range at {
		next := schema.Object{}
		have, isObject := list[i].(schema.Object)
		value, _ := clone(op.Value).(schema.Object)
		switch {
		case !isObject || value == nil:
			list[i] = op.Value
			continue
		case op.Kind == Add:
			maps.Copy(next, have)
		case !k.Strict && !equals(op.Path.Filter, next, op.ref.Attr):
			next = schema.Object{}
		}
		maps.Copy(next, value)
		if n > 0 && isPrimary(next) {
			next["primary"] = false
		}
		list[i] = next
	}
	seen := make(map[any]bool, len(list))
	return slices.DeleteFunc(list, func(e any) bool {
		key := identityOf(e)
		was := seen[key]
		seen[key] = true
		return was
	}), nil
}

// matches reports whether the filter of the path names a value.
func (op *Op) matches(e any) bool { return op.entries.Match(op.within([]any{e})) }

// within is a resource that has only these values of the attribute.
func (op *Op) within(entries []any) schema.Object {
	o := schema.Object{op.ref.Attr.Name: entries}
	if op.ref.Extension {
		return schema.Object{op.ref.Schema.ID: o}
	}
	return o
}

// create adds the value that a filter names and does not find: one that it finds then.
func create(op *Op, list []any) ([]any, error) {
	entry := schema.Object{}
	known := equals(op.Path.Filter, entry, op.ref.Attr)
	switch v := clone(op.Value).(type) {
	case schema.Object:
		maps.Copy(entry, v)
	default:
		if op.ref.Sub == nil {
			return nil, invalid("invalidValue", "%s: the value is an object", clip(op.Path.String()))
		}
		entry[op.ref.Sub.Name] = v
	}
	if !known || !op.matches(entry) {
		return nil, invalid("noTarget", "no value matches %s, and it does not say what a new one would be", clip(op.Path.String()))
	}
	if isPrimary(entry) {
		demote(list)
	}
	return append(list, entry), nil
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
		if e.Value == nil {
			return true
		}
		v, ok := literal(sub, e.Value)
		if ok {
			entry[sub.Name] = v
		}
		return ok
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

// literal returns the canonical value of a sub-attribute that a filter names.
func literal(sub *schema.Attribute, v any) (any, bool) {
	if n, ok := v.(filter.Number); ok {
		v, _ = parseNumber(string(n))
	}
	if b, ok := v.(bool); ok && sub.Type != schema.Boolean {
		v = strconv.FormatBool(b)
	}
	c := canon{k: Knobs{BooleanStrings: true, NullClears: true}}
	v, err := c.value(sub, v, sub.Name)
	return v, err == nil && v != nil
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
