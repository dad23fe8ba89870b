package state

import (
	"maps"

	"github.com/rollcall-id/rollcall/identity"
	"github.com/rollcall-id/rollcall/sync/plan"
)

// How much of the roll is of each source is kept while it changes: a run that reads a
// hundred changes must not count a hundred thousand users.

// setUser stores a user.
func (e *editor) setUser(h int, n userSlot) {
	old := e.users.At(h)
	e.countUser(&old, -1)
	e.countUser(&n, 1)
	e.users.Set(h, n)
	e.notePlain(h, &n)
}

// setGroup stores a group.
func (e *editor) setGroup(h int, n groupSlot) {
	e.countGroup(e.groups.Ref(h), -1)
	e.countGroup(&n, 1)
	e.groups.Set(h, n)
}

// countUser counts the record that owns a user, and those that are linked to him.
func (e *editor) countUser(u *userSlot, by int) {
	if !u.exists() {
		return
	}
	e.countRecord(u.source, u.missing, by)
	if u.links == nil {
		return
	}
	for i := range *u.links {
		if l := &(*u.links)[i]; l.source != u.source {
			e.countRecord(l.source, l.missing, by)
		}
	}
}

func (e *editor) countRecord(source identity.SourceID, missing bool, by int) {
	n := e.totals[source]
	if missing {
		n.UsersMissing += by
	} else {
		n.Users += by
	}
	e.total(source, n)
}

func (e *editor) countGroup(g *groupSlot, by int) {
	if !g.present() {
		return
	}
	n := e.totals[g.source]
	n.Groups += by
	n.Members += by * g.own.len()
	e.total(g.source, n)
}

func (e *editor) total(source identity.SourceID, n plan.Total) {
	if !e.counted {
		e.totals, e.counted = maps.Clone(e.totals), true
	}
	e.totals[source] = n
}

// Total implements plan.Directory.
func (v SourceView) Total() plan.Total { return v.snap.totals[v.source] }
