package scim

import (
	"iter"

	"github.com/rollcall-id/rollcall/identity"
	"github.com/rollcall-id/rollcall/state"
)

// What follows is where the kinds differ in how they are kept: users and groups in the
// roll, others beside it.

// lookup returns the resource of a kind that has a key, gone or not.
func (e *endpoint) lookup(s *state.Snapshot, k *kind, key identity.Key) (state.Pushed, bool) {
	switch {
	case k.own:
		return s.Other(e.other(k), key)
	case k.group:
		return s.PushedGroup(e.id, key)
	}
	return s.PushedUser(e.id, key)
}

// byTerm yields the resources of a kind that are found by a term, gone or not.
func (e *endpoint) byTerm(s *state.Snapshot, k *kind, term string) iter.Seq[state.Pushed] {
	switch {
	case k.own:
		return s.OthersByTerm(e.other(k), term)
	case k.group:
		return s.GroupsByTerm(e.id, term)
	}
	return s.UsersByTerm(e.id, term)
}

// pushedAt returns the resource of a kind that has a handle, gone or not.
func (e *endpoint) pushedAt(s *state.Snapshot, k *kind, h uint32) (state.Pushed, bool) {
	switch {
	case k.own:
		return s.OtherAt(e.other(k), h)
	case k.group:
		return s.PushedGroupAt(e.id, h)
	}
	return s.PushedUserAt(e.id, h)
}

// idAt returns the id that resources of a kind are ordered by: that which they have in
// answers.
func (e *endpoint) idAt(s *state.Snapshot, k *kind, h uint32) identity.Member {
	switch {
	case k.own:
		return s.OtherIDAt(h)
	case k.group:
		return s.MemberAt(h, true)
	}
	return s.PushedIDAt(e.id, h)
}

// everyone yields the handles of all that are there of a kind, in the order of ids.
func (e *endpoint) everyone(s *state.Snapshot, k *kind) iter.Seq[uint32] {
	switch {
	case k.own:
		return s.Others(e.other(k))
	case k.group:
		return s.PushedGroups(e.id)
	}
	return s.PushedUsers(e.id)
}
