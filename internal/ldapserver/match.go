package ldapserver

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// substringFilter holds the parts that must occur in this order.
type substringFilter struct {
	name, key      string
	initial, final string
	hasI, hasF     bool
	any            []string
	text           string
}

func decodeSubstrings(in *decoder) filter {
	f := &substringFilter{name: in.text()}
	f.key = typeKey(f.name)
	parts := in.inside(tagSequence)
	f.text = ""
	for parts.more() {
		tag, body := parts.next()
		part := string(body)
		switch {
		case tag == 0x80 && f.text == "":
			f.initial, f.hasI, f.text = foldPart(f.key, part), true, escapeFilter(part)
		case tag == 0x81 && !f.hasF:
			f.any, f.text = append(f.any, foldPart(f.key, part)), f.text+"*"+escapeFilter(part)
		case tag == 0x82 && !f.hasF:
			f.final, f.hasF, f.text = foldPart(f.key, part), true, f.text+"*"+escapeFilter(part)
		default:
			parts.fail(fmt.Errorf("substring part %#x out of its place", tag))
		}
	}
	if parts.err == nil && f.text == "" {
		parts.fail(errors.New("a substring filter without parts"))
	}
	if !f.hasF {
		f.text += "*"
	}
	if parts.err != nil {
		in.fail(parts.err)
	}
	return f
}

// foldPart folds a part of a value, whose outer spaces matter.
func foldPart(key, part string) string {
	if syntaxOf(key) == syntaxOctets {
		return part
	}
	return strings.ToLower(part)
}

func (f *substringFilter) eval(e *stored) verdict {
	// Distinguished names have no substring match, as in the standard schema.
	if syntaxOf(f.key) == syntaxName {
		return unknown
	}
	if isSecret(f.key) {
		return no
	}
	for a := range e.all(f.key) {
		for _, v := range a.values {
			if f.holds(foldValue(f.key, v)) {
				return yes
			}
		}
	}
	return no
}

func (f *substringFilter) holds(v string) bool {
	v, ok := strings.CutPrefix(v, f.initial)
	if !ok {
		return false
	}
	if v, ok = strings.CutSuffix(v, f.final); !ok {
		return false
	}
	for _, part := range f.any {
		if _, v, ok = strings.Cut(v, part); !ok {
			return false
		}
	}
	return true
}

func (f *substringFilter) String() string { return "(" + f.name + "=" + f.text + ")" }

// The bit rules of Active Directory (MS-ADTS §3.1.1.3.4.4).
const (
	ruleBitAnd = "1.2.840.113556.1.4.803"
	ruleBitOr  = "1.2.840.113556.1.4.804"
)

// extensibleFilter is an extensible match. Known are the two bit rules and, with
// no rule named, equality; ":dn:" also looks at the entry's name.
type extensibleFilter struct {
	rule, name, value string
	dnAttributes      bool
	equal             *compareFilter
	mask              int64
	maskOK            bool
}

func decodeExtensible(in *decoder) filter {
	f := &extensibleFilter{}
	for in.more() {
		tag, body := in.next()
		switch tag {
		case 0x81:
			f.rule = string(body)
		case 0x82:
			f.name = string(body)
		case 0x83:
			f.value = string(body)
		case 0x84:
			f.dnAttributes = len(body) == 1 && body[0] != 0
		default:
			in.fail(fmt.Errorf("extensible match part %#x", tag))
		}
	}
	f.equal = newCompare(filterEqual, f.name, f.value)
	mask, err := strconv.ParseInt(f.value, 10, 64)
	f.mask, f.maskOK = mask, err == nil
	return f
}

func (f *extensibleFilter) eval(e *stored) verdict {
	switch {
	case f.name == "":
		return unknown
	case f.rule == ruleBitAnd || f.rule == ruleBitOr:
		return f.bits(e)
	case f.rule != "" && !strings.EqualFold(f.rule, "caseIgnoreMatch"):
		return unknown
	}
	v := f.equal.eval(e)
	if f.dnAttributes && f.inName(e) {
		v = yes
	}
	return v
}

func (f *extensibleFilter) bits(e *stored) verdict {
	if !f.maskOK {
		return unknown
	}
	for a := range e.all(f.equal.key) {
		for _, v := range a.values {
			n, err := strconv.ParseInt(v, 10, 64)
			if err == nil && (f.rule == ruleBitAnd && n&f.mask == f.mask || f.rule == ruleBitOr && n&f.mask != 0) {
				return yes
			}
		}
	}
	return no
}

func (f *extensibleFilter) inName(e *stored) bool {
	rdns, err := splitDN(e.name.text)
	if err != nil {
		return false
	}
	for _, rdn := range rdns {
		for _, a := range rdn {
			if typeKey(a.kind) == f.equal.key && foldValue(f.equal.key, a.value) == f.equal.folded {
				return true
			}
		}
	}
	return false
}

func (f *extensibleFilter) String() string {
	s := "(" + f.name
	if f.dnAttributes {
		s += ":dn"
	}
	if f.rule != "" {
		s += ":" + f.rule
	}
	return s + ":=" + escapeFilter(f.value) + ")"
}
