package state

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/rollcall-id/rollcall/identity"
	"github.com/rollcall-id/rollcall/permissions"
	"github.com/rollcall-id/rollcall/store"
	"github.com/rollcall-id/rollcall/store/mem"
)

func noted(f *feed, rev store.Revision) {
	f.note(store.Event{Record: store.Record{Key: userKey(identity.NewUserID()), Rev: rev}})
}

func TestFeedForgetsTheOldest(t *testing.T) {
	f := (&feed{now: time.Now}).begin(10)
	if _, _, ok := f.after(9, 100, 10); ok {
		t.Error("knows what was before it began")
	}
	if got, _, ok := f.after(10, 100, 10); !ok || len(got) != 0 {
		t.Errorf("after(10) = %v, %v, want nothing", got, ok)
	}
	const more = 100
	for i := range store.Revision(feedLength + more) {
		noted(f, 11+i)
	}
	oldest := store.Revision(11 + more)
	if _, _, ok := f.after(oldest-2, 1<<40, 10); ok {
		t.Errorf("after(%d): knows a change that was forgotten", oldest-2)
	}
	got, _, ok := f.after(oldest-1, 1<<40, feedLength)
	if !ok || len(got) != feedLength || got[0].Rev != oldest || !slices.IsSortedFunc(got, func(a, b Changed) int { return int(a.Rev - b.Rev) }) {
		t.Errorf("after(%d) = %d changes from %d, %v; want %d in order", oldest-1, len(got), got[0].Rev, ok, feedLength)
	}
	last := oldest + feedLength - 1
	if got, _, ok := f.after(last-3, last-1, 10); !ok || len(got) != 2 || got[1].Rev != last-1 {
		t.Errorf("after(%d) up to %d = %v, want two changes", last-3, last-1, got)
	}
}

// A reader is never given a part of a revision.
func TestFeedGivesWholeRevisions(t *testing.T) {
	f := (&feed{now: time.Now}).begin(1)
	for rev := range store.Revision(20) {
		for range rev + 1 {
			noted(f, 2+rev)
		}
	}
	for most := 1; most < 30; most++ {
		for at := store.Revision(1); at < 21; {
			got, _, ok := f.after(at, 100, most)
			if !ok || len(got) == 0 {
				t.Fatalf("after(%d) = %v, %v", at, got, ok)
			}
			last := got[len(got)-1].Rev
			if n := store.Revision(len(got)); n != (last-1)*last/2-(at-1)*at/2 {
				t.Fatalf("after(%d) with %d at a time gives %d changes up to %d, which is not all of them", at, most, n, last)
			}
			at = last
		}
	}
}

// look is what a reader has copied.
type look struct {
	rev       store.Revision
	standings map[identity.UserID]string
}

// TestNobodyWhoseStandingChangedIsLeftOut is the law of the feed: whoever has another
// standing than at an earlier revision counts as touched, whatever made it so: a write
// to him, to a group far above, to the settings, or the clock.
func TestNobodyWhoseStandingChangedIsLeftOut(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		s := mem.New()
		d := open(rt, s)
		defer d.stop()
		h := history{t: rt, d: d, term: lead(rt, s).Fence()}
		for range 3 {
			h.createGroup(rt)
			h.users = append(h.users, identity.NewUserID())
			d.commit(rt, run, Create{Member: identity.UserMember(h.users[len(h.users)-1]), Record: record(h.key(), h.key())})
		}
		now := time.Now()
		var before []look
		rt.Repeat(map[string]func(*rapid.T){
			"create user": h.createUser, "members": h.members, "more members": h.members, "local members": h.localMembers,
			"update": h.update, "depart": h.depart, "layer": h.layer, "grant": h.grant,
			"fall behind": func(*rapid.T) { s.Compact(s.Revision()) },
			"settings":    h.switches,
			"bar":         h.bar,
			"link":        h.link,
			"order":       h.order,
			"for a while": func(rt *rapid.T) { h.lend(rt, now) },
			"time passes": func(*rapid.T) { now = now.Add(time.Hour) },
			"":            func(rt *rapid.T) { before = append(before, h.look(rt, now)) },
		})
		after := h.look(rt, now)
		for _, was := range before {
			touched := d.View().TouchedSince(was.rev, now)
			for u, standing := range after.standings {
				if was.standings[u] != standing && !touched.Includes(d.View().Now(), u) {
					rt.Errorf("since %d a standing changed that counts as untouched, from\n%s\nto\n%s", was.rev, was.standings[u], standing)
				}
			}
		}
	})
}

func (h *history) look(t *rapid.T, now time.Time) look {
	snap, err := h.d.CatchUp(context.Background(), h.term)
	if err != nil {
		t.Fatalf("CatchUp: %v", err)
	}
	l := look{snap.rev, map[identity.UserID]string{}}
	for _, u := range h.users {
		l.standings[u] = standing(snap, u, now)
	}
	return l
}

// switches turns the settings.
func (h *history) switches(t *rapid.T) {
	set := permissions.DefaultSettings()
	set.AdminsMaySubscribe = rapid.Bool().Draw(t, "admins")
	h.decide(t, PutSettings{set})
}

// lend gives a permission with an end, which may be in the past.
func (h *history) lend(t *rapid.T, now time.Time) {
	h.decide(t, PutGrant{permissions.Grant{
		ID: permissions.GrantID(identity.NewUserID().String()), Permission: permissions.CreateFilter, Subject: h.member(t), By: "admin",
		Expires: now.Add(time.Duration(rapid.IntRange(-1, 2).Draw(t, "hours"))*time.Hour + time.Minute),
	}})
}

func (h *history) decide(t *rapid.T, c Change) {
	if _, err := h.d.Decide(context.Background(), admin, func(*Snapshot) ([]Change, error) { return []Change{c}, nil }); err != nil {
		t.Fatalf("Decide(%+v): %v", c, err)
	}
}

// standing is everything about a user that others may keep a copy of.
func standing(s *Snapshot, id identity.UserID, now time.Time) string {
	u, _, ok := s.User(id)
	if !ok {
		return ""
	}
	e := s.Book().Effective(s, id, now)
	var groups []string
	who, _ := s.Subject(id)
	for _, direct := range s.DirectGroups(who.Handle) {
		for _, h := range append([]uint32{direct}, s.Above(direct)...) {
			g, _, _ := s.Group(s.GroupID(h))
			groups = append(groups, fmt.Sprint(g.ID, g.Record.Name, g.Record.Attributes, g.Local.Counting()))
		}
	}
	slices.Sort(groups)
	return fmt.Sprint(u.Record, u.Attributes(), u.Profile(), u.Status(now), e.Permissions(), e.MaySubscribe, slices.Compact(groups))
}
