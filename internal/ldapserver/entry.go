package ldapserver

import (
	"iter"
	"slices"
	"strings"
)

// Entry is an entry as a caller gives or gets it. Values hold any octets.
type Entry struct {
	DN         string
	Attributes []Attribute
}

// Attribute is an attribute with its values, in the order given.
type Attribute struct {
	Name   string
	Values []string
}

// Attr returns an attribute with the given values.
func Attr(name string, values ...string) Attribute {
	return Attribute{Name: name, Values: values}
}

// Values returns the values of the named attribute, without regard to case.
func (e Entry) Values(name string) []string {
	for _, a := range e.Attributes {
		if strings.EqualFold(a.Name, name) {
			return a.Values
		}
	}
	return nil
}

// First returns the first value of the named attribute, or "".
func (e Entry) First(name string) string {
	if vs := e.Values(name); len(vs) > 0 {
		return vs[0]
	}
	return ""
}

// stored is an entry as the directory holds it. It never changes: a write
// publishes another one, so that a search needs no lock while it evaluates.
type stored struct {
	name   dn
	attrs  []storedAttr
	parent string
	// deleted marks what an Active Directory keeps of deleted entries. Searches pass
	// it over unless they ask for such.
	deleted bool
}

// storedAttr carries the folded name beside the written one.
type storedAttr struct {
	name   string // as written, options included
	key    string // folded, without options
	values []string
}

// typeKey folds an attribute description and drops its options.
func typeKey(name string) string {
	base, _, _ := strings.Cut(name, ";")
	return strings.ToLower(base)
}

// all yields the attributes of the given folded type, whatever their options.
func (s *stored) all(key string) iter.Seq[storedAttr] {
	return func(yield func(storedAttr) bool) {
		for _, a := range s.attrs {
			if a.key == key && !yield(a) {
				return
			}
		}
	}
}

// first returns the first value of the attribute, or "".
func (s *stored) first(key string) string {
	for a := range s.all(key) {
		return a.values[0]
	}
	return ""
}

// entry returns a copy for a caller.
func (s *stored) entry() Entry {
	e := Entry{DN: s.name.text, Attributes: make([]Attribute, len(s.attrs))}
	for i, a := range s.attrs {
		e.Attributes[i] = Attribute{Name: a.name, Values: slices.Clone(a.values)}
	}
	return e
}

// syntax is how the values of an attribute are compared.
type syntax uint8

const (
	syntaxText syntax = iota
	syntaxOctets
	syntaxName
)

// syntaxOf knows the attributes of the usual schemas whose values are not
// compared as text without regard to case. There is no schema beyond this.
func syntaxOf(key string) syntax {
	switch key {
	case "member", "uniquemember", "memberof", "owner", "manager", "managedby", "seealso", "secretary",
		"roleoccupant", "entrydn", "creatorsname", "modifiersname", "subschemasubentry",
		"distinguishedname", "lastknownparent", "objectcategory":
		return syntaxName
	case "userpassword", "jpegphoto", "objectguid", "objectsid", "parentguid", "invocationid", "usercertificate", "photo", "audio":
		return syntaxOctets
	}
	return syntaxText
}

// foldValue returns v so that equal values of the attribute are equal strings.
func foldValue(key, v string) string {
	switch syntaxOf(key) {
	case syntaxOctets:
		return v
	case syntaxName:
		// A value that is no name is compared as text: directories hold such.
		if d, err := parseDN(v); err == nil {
			return d.folded
		}
	}
	return foldText(v)
}

// isOperational says whether the attribute is left out unless it is asked for by
// name or with "+" (RFC 3673).
func isOperational(key string) bool {
	switch key {
	case "entryuuid", "entrycsn", "entrydn", "createtimestamp", "modifytimestamp", "creatorsname", "modifiersname",
		"structuralobjectclass", "hassubordinates", "subschemasubentry", "memberof",
		"pwdaccountlockedtime", "pwdchangedtime", "pwdfailuretime", "pwdreset", "pwdhistory", "pwdpolicysubentry",
		"pwdendtime", "pwdstarttime", "nsuniqueid", "nsaccountlock", "entryusn":
		return true
	}
	return false
}

// isSecret says whether the attribute serves binding only and is never returned
// or matched.
func isSecret(key string) bool { return key == "userpassword" }
