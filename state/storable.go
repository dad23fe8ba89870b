package state

import (
	"fmt"
	"unicode/utf8"

	"github.com/rollcall-id/rollcall/identity"
)

// storableBytes is the length of a record's texts up to which nothing but their
// encoding can be too large: JSON makes six bytes of one at worst.
const storableBytes = maxObject / 8

// addedBytes is room in an object for what the roll itself puts beside the record:
// instants and where the members lie.
const addedBytes = 1 << 10

// Storable returns why a record cannot be stored, in words an administrator
// understands, or "". A source leaves such an entry out and lists it: one of them
// must not stop a run.
func Storable(r *identity.Record) string {
	n := 0
	for text := range texts(r) {
		n += len(text) + 8
		if !utf8.ValidString(text) {
			return "a value is not valid UTF-8"
		}
	}
	if n <= storableBytes {
		return ""
	}
	o := storedObject{}
	o.put(r)
	if b, err := encode(&o); err != nil || len(b) > maxObject-addedBytes {
		return fmt.Sprintf("it is larger than the %d KiB that one entry may take", maxObject>>10)
	}
	return ""
}

// texts yields every text of a record.
func texts(r *identity.Record) func(func(string) bool) {
	return func(yield func(string) bool) {
		for _, s := range []string{string(r.Key), r.Name, r.DN} {
			if !yield(s) {
				return
			}
		}
		for k, v := range r.Profile {
			if !yield(k) || !yield(v) {
				return
			}
		}
		for k, vs := range r.Attributes {
			if !yield(k) || !each(vs, yield) {
				return
			}
		}
		each(r.Unresolved, yield)
	}
}

func each(list []string, yield func(string) bool) bool {
	for _, s := range list {
		if !yield(s) {
			return false
		}
	}
	return true
}
