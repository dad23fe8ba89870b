package state

import (
	"slices"
	"strconv"

	"github.com/rollcall-id/rollcall/fault"
	"github.com/rollcall-id/rollcall/identity"
	"github.com/rollcall-id/rollcall/store"
)

// claims returns the keys that an object holds so that no other of its source has the
// same: the login name of a user, and the provider's id of what was pushed. What one
// leader reads from a directory needs none, and what is gone from its source holds
// none.
func (o *storedObject) claims(m identity.Member) (keys []string) {
	if o == nil || !o.Missing.IsZero() || o.Source != identity.Local && o.Size == 0 {
		return nil
	}
	if !m.IsGroup() {
		keys = append(keys, nameKey(o.Source, o.Name))
	}
	if o.External != "" {
		keys = append(keys, externalKey(o.Source, m, o.External))
	}
	return keys
}

// claim takes what an object now holds and frees what it held before; nil: nothing.
func (t *txn) claim(m identity.Member, before, after *storedObject) error {
	had, has := before.claims(m), after.claims(m)
	if len(has) > 0 && !m.IsGroup() && !slices.Contains(had, has[0]) {
		if err := t.nameFree(m, after); err != nil {
			return err
		}
	}
	for _, key := range has {
		if !slices.Contains(had, key) {
			t.base(key, 0)
			t.write(store.Put(key, strconv.AppendQuote(nil, memberText(m))))
		}
	}
	for _, key := range had {
		if !slices.Contains(has, key) {
			t.write(store.Delete(key))
		}
	}
	return nil
}

// reclaim makes what an object holds that of another member: it has gone over to him.
func (t *txn) reclaim(m identity.Member, o *storedObject) {
	for _, key := range o.claims(m) {
		t.write(store.Put(key, strconv.AppendQuote(nil, memberText(m))))
	}
}

// nameFree refuses a login name that somebody else of the source has.
func (t *txn) nameFree(m identity.Member, o *storedObject) error {
	u, _ := m.User()
	if other, ok := t.snap.UserNamed(o.Source, o.Name); ok && other != u {
		return fault.New(fault.Exists, "name_taken", "there is already a %s user %q", o.Source, o.Name)
	}
	return nil
}

// UserNamed returns the user whom a source has under a login name.
func (s *Snapshot) UserNamed(source identity.SourceID, name string) (id identity.UserID, found bool) {
	folded := identity.FoldName(name)
	s.userNames.find(nameHash(source, folded), func(h uint32) bool {
		u := s.users.Ref(int(h))
		switch l := u.linked(source); {
		case u.source == source:
			found = u.exists() && !u.missing && identity.FoldName(u.name) == folded
		case l != nil:
			found = !l.missing && identity.FoldName(l.name) == folded
		}
		id = u.id
		return !found
	})
	return id, found
}
