package ldap

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/rollcall-id/rollcall/identity"
)

// reason says why the directory does not let the person in.
func (m *mapper) reason() (identity.Reason, error) {
	for i := range m.disabled {
		if hit, err := m.hit(&m.disabled[i]); err != nil || hit {
			return identity.ReasonDisabled, err
		}
	}
	for i := range m.locked {
		if hit, err := m.hit(&m.locked[i]); err != nil || hit {
			return identity.ReasonLocked, err
		}
	}
	return identity.Active, nil
}

func (m *mapper) hit(t *test) (bool, error) {
	if t.expr != nil {
		return m.seen.holds(t.expr)
	}
	return t.holds(m.values[t.slot])
}

// holds reports whether the attribute is as the rule says. A value that cannot be
// read is an error: nobody is let in because his lock could not be read.
func (t *test) holds(values [][]byte) (bool, error) {
	for _, v := range values {
		if t.Bits != 0 {
			n, err := strconv.ParseInt(string(v), 10, 64)
			if err != nil {
				return false, fmt.Errorf("has a value of %s that is no number", t.Attribute)
			}
			if n&t.Bits != 0 {
				return true, nil
			}
			continue
		}
		list := slices.Concat(t.Is, t.IsNot)
		in := slices.ContainsFunc(list, func(s string) bool { return equalFoldASCII(v, s) })
		if in == (len(t.Is) > 0) {
			return true, nil
		}
	}
	return false, nil
}

// expiry returns the earliest end that the entry states.
func (m *mapper) expiry() (time.Time, error) {
	var first time.Time
	sooner := func(t time.Time) {
		if !t.IsZero() && (first.IsZero() || t.Before(first)) {
			first = t
		}
	}
	for _, x := range m.expires {
		if x.expr != nil {
			t, err := m.seen.when(x.expr)
			if err != nil {
				return t, err
			}
			sooner(t)
			continue
		}
		for _, v := range m.values[x.slot] {
			t, err := instant(x.format, v)
			if err != nil {
				return t, fmt.Errorf("has a value of %s that is no %s", m.request[x.slot], strings.ReplaceAll(x.format, "_", " "))
			}
			sooner(t)
		}
	}
	return first, nil
}

var errSID = errors.New("has no security identifier")

// primaryGroupSID returns the identifier of the person's primary group: that of his
// own domain with the relative id replaced.
func (m *mapper) primaryGroupSID() (string, error) {
	own, rid := m.values[m.sid], m.values[m.primary]
	if len(own) != 1 || len(rid) != 1 || len(own[0]) < 12 {
		return "", errSID
	}
	n, err := strconv.ParseUint(string(rid[0]), 10, 32)
	if err != nil {
		return "", errSID
	}
	b := append([]byte(nil), own[0][:len(own[0])-4]...)
	return string(append(b, byte(n), byte(n>>8), byte(n>>16), byte(n>>24))), nil
}
