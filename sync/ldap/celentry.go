package ldap

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common/types"
	celref "cel.dev/cel-go/common/types/ref"
	"cel.dev/cel-go/common/types/traits"
	"cel.dev/cel-go/interpreter"
)

var _ cel.Activation = (*visible)(nil)

// visible is the loaded entry of a mapper as expressions see it. It implements
// [cel.Activation].
type visible struct {
	m         *mapper
	text, raw []celref.Val // by slot, made when they are asked for
	size      sizeOf       // of what expressions read of the entry
}

// sizeOf says how an expression is run for an entry.
type sizeOf uint8

const (
	sizeUnknown sizeOf = iota
	sizeUsual
	sizeUnusual
	sizeTooMuch
)

func newVisible(m *mapper) *visible {
	return &visible{m: m, text: make([]celref.Val, len(m.request)), raw: make([]celref.Val, len(m.request))}
}

// forget makes room for another entry.
func (v *visible) forget() {
	clear(v.text)
	clear(v.raw)
	v.size = sizeUnknown
}

// Parent implements [cel.Activation].
func (v *visible) Parent() cel.Activation { return nil }

// ResolveName implements [cel.Activation]. What cannot be read is an error of CEL.
func (v *visible) ResolveName(name string) (any, bool) {
	if attribute, ok := strings.CutPrefix(name, textOf); ok {
		return v.list(v.text, attribute, (*visible).texts)
	}
	if attribute, ok := strings.CutPrefix(name, rawOf); ok {
		return v.list(v.raw, attribute, (*visible).raws)
	}
	if name == entryDN {
		return types.String(strings.ToValidUTF8(string(v.m.dn), "\ufffd")), true
	}
	return nil, false
}

func (v *visible) list(known []celref.Val, attribute string, read func(*visible, int) celref.Val) (any, bool) {
	slot, ok := v.m.slots[attribute]
	if !ok {
		return nil, false
	}
	if known[slot] == nil {
		known[slot] = read(v, slot)
	}
	return known[slot], true
}

// noValues is what an attribute has that the entry has not.
var noValues = types.NewRefValList(types.DefaultTypeAdapter, nil)

// texts are the values of an attribute as a plain mapping would write them.
func (v *visible) texts(slot int) celref.Val {
	return v.values(slot, func(b []byte) (celref.Val, error) {
		s, err := v.m.use[slot].form.text(b)
		return types.String(s), err
	})
}

func (v *visible) raws(slot int) celref.Val {
	return v.values(slot, func(b []byte) (celref.Val, error) { return types.Bytes(b), nil })
}

// values puts them in an order that does not depend on the server, but for the first,
// which is the one that the server sent first, as in a plain mapping.
func (v *visible) values(slot int, read func([]byte) (celref.Val, error)) celref.Val {
	sent := v.m.values[slot]
	if len(sent) == 0 {
		return noValues
	}
	if len(sent) > 2 {
		sent = slices.Clone(sent)
		slices.SortFunc(sent[1:], slices.Compare)
	}
	out := make([]celref.Val, 0, len(sent))
	for _, b := range sent {
		if len(b) == 0 {
			continue
		}
		value, err := read(b)
		if err != nil {
			return types.NewErr("a value of %s %v", v.m.request[slot], err)
		}
		out = append(out, value)
	}
	return types.NewRefValList(types.DefaultTypeAdapter, out)
}

// measure says how large is what expressions read of the entry.
func (v *visible) measure() sizeOf {
	if v.size != sizeUnknown {
		return v.size
	}
	v.size = sizeUsual
	if len(v.m.dn) > usualDN {
		v.size = sizeUnusual
	}
	total := len(v.m.dn)
	for _, slot := range v.m.read {
		values := v.m.values[slot]
		if len(values) > usualValues {
			v.size = sizeUnusual
		}
		grows := 1
		if v.m.use[slot].form != formText {
			grows = 4 // at most so much longer is the text than the bytes
		}
		for _, b := range values {
			if total += len(b); len(b)*grows > usualBytes {
				v.size = sizeUnusual
			}
		}
	}
	if total > maxRead {
		v.size = sizeTooMuch
	}
	return v.size
}

// eval runs an expression on the loaded entry.
func (v *visible) eval(e *expression) (celref.Val, error) {
	program := e.usual
	switch v.measure() {
	case sizeTooMuch:
		return nil, fmt.Errorf("has more than %d bytes of values that expressions read", maxRead)
	case sizeUnusual:
		program = e.guarded
	}
	out, _, err := program.Eval(v)
	if err != nil {
		if _, ok := errors.AsType[interpreter.EvalCancelledError](err); ok {
			err = fmt.Errorf("it costs more than %d steps", costLimit)
		}
		return nil, e.failed(err)
	}
	return out, nil
}

// failed says that the expression has no value for an entry.
func (e *expression) failed(err error) error {
	return fmt.Errorf("cannot be mapped: the expression of %s fails: %s", e.as, clip(err.Error(), 200))
}

// one returns the text that an expression gives.
func (v *visible) one(e *expression) (string, error) {
	out, err := v.eval(e)
	if err != nil {
		return "", err
	}
	s, ok := out.(types.String)
	if !ok {
		return "", e.failed(types.MaybeNoSuchOverloadErr(out).(*types.Err))
	}
	return string(s), nil
}

// all appends the texts that an expression gives.
func (v *visible) all(dst []string, e *expression) ([]string, error) {
	out, err := v.eval(e)
	if err != nil {
		return nil, err
	}
	if s, ok := out.(types.String); ok {
		return append(dst, string(s)), nil
	}
	list, ok := out.(traits.Lister)
	if !ok {
		return nil, e.failed(types.MaybeNoSuchOverloadErr(out).(*types.Err))
	}
	for it := list.Iterator(); it.HasNext() == types.True; {
		item := it.Next()
		s, ok := item.(types.String)
		if !ok {
			return nil, e.failed(types.MaybeNoSuchOverloadErr(item).(*types.Err))
		}
		dst = append(dst, string(s))
	}
	return dst, nil
}

func (v *visible) holds(e *expression) (bool, error) {
	out, err := v.eval(e)
	return out == types.True, err
}

// when returns the instant that an expression gives; zero is never.
func (v *visible) when(e *expression) (time.Time, error) {
	out, err := v.eval(e)
	if err != nil {
		return time.Time{}, err
	}
	t, ok := out.(types.Timestamp)
	if !ok {
		return time.Time{}, e.failed(types.MaybeNoSuchOverloadErr(out).(*types.Err))
	}
	if !t.Before(never.Time) {
		return time.Time{}, nil
	}
	return t.UTC(), nil
}
