package state

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/rollcall-id/rollcall/audit"
	"github.com/rollcall-id/rollcall/fault"
	"github.com/rollcall-id/rollcall/identity"
	"github.com/rollcall-id/rollcall/store"
)

// Purgeable is a user or a group that its source has not had for long, with what would go
// with it.
type Purgeable struct {
	Member  identity.Member
	Name    string
	Key     identity.Key
	Missing time.Time // since when its source does not have it
	Grants  int
	rev     store.Revision
}

// Purgeable returns what a source owns and has not had since before an instant, those who
// are missing longest first. A user of whom another source has a record lives on by that,
// and is not among them.
func (s *Snapshot) Purgeable(source identity.SourceID, before time.Time) []Purgeable {
	var all []Purgeable
	for h := range s.users.Len() {
		u := s.users.Ref(h)
		if !u.exists() || !u.missing || u.source != source {
			continue
		}
		if full, _, ok := s.User(u.id); ok && len(full.Linked) == 0 {
			all = s.purgeable(all, identity.UserMember(u.id), full.Record, full.Missing, before)
		}
	}
	for h := range s.groups.Len() {
		g := s.groups.Ref(h)
		if !g.exists() || !g.missing || g.source != source {
			continue
		}
		if full, _, ok := s.Group(g.id); ok {
			all = s.purgeable(all, identity.GroupMember(g.id), full.Record, full.Missing, before)
		}
	}
	slices.SortFunc(all, func(a, b Purgeable) int {
		if c := a.Missing.Compare(b.Missing); c != 0 {
			return c
		}
		return a.Member.Compare(b.Member)
	})
	return all
}

func (s *Snapshot) purgeable(all []Purgeable, m identity.Member, r identity.Record, missing, before time.Time) []Purgeable {
	if missing.IsZero() || !missing.Before(before) {
		return all
	}
	_, rev := s.raw(m)
	return append(all, Purgeable{Member: m, Name: r.Name, Key: r.Key, Missing: missing, Grants: len(s.book.Of(m)), rev: rev})
}

// PurgePlan is whom one purge of a source would remove.
type PurgePlan struct {
	Before time.Time   // they are missing since before then
	Gone   []Purgeable // those who are missing longest first
	More   int         // how many others are beyond what one purge may remove
	Digest string      // of exactly these as they are
}

// PlanPurge plans a purge of what a source has not had since before an instant, without
// the users who are protected, named by login name or key. It is of at most so many.
func (s *Snapshot) PlanPurge(source identity.SourceID, before time.Time, protected []string, most int) PurgePlan {
	all := slices.DeleteFunc(s.Purgeable(source, before), func(p Purgeable) bool {
		return !p.Member.IsGroup() && slices.ContainsFunc(protected, func(name string) bool {
			return identity.FoldName(string(p.Key)) == identity.FoldName(name) || identity.FoldName(p.Name) == identity.FoldName(name)
		})
	})
	n := min(len(all), most)
	return PurgePlan{Before: before, Gone: all[:n], More: len(all) - n, Digest: purgeDigest(all[:n])}
}

// Grants counts the grants that would end.
func (p *PurgePlan) Grants() (n int) {
	for i := range p.Gone {
		n += p.Gone[i].Grants
	}
	return n
}

func purgeDigest(all []Purgeable) string {
	var b strings.Builder
	for _, p := range all {
		fmt.Fprintf(&b, "%s %d %d\n", p.Member, p.rev, p.Grants)
	}
	sum := sha256.Sum256([]byte(b.String()))
	return "sha256:" + hex.EncodeToString(sum[:])
}

// Purge removes for good what its source has not had for long: record, local layer,
// grants, keys, and the place in local groups. Its id is never given to anybody else. It
// is fault.Stale when it has changed since it was looked at, and so when it is back, has
// been granted something, or has a record of another source.
type Purge struct{ What Purgeable }

func (c Purge) build(t *txn) error {
	m := c.What.Member
	changed := fault.New(fault.Stale, "stale", "%s was changed since it was looked at: look at what would be purged again", m)
	if _, rev := t.snap.raw(m); rev != c.What.rev || rev == 0 || len(t.snap.book.Of(m)) != c.What.Grants {
		return changed
	}
	t.base(objectKey(m), c.What.rev)
	t.conds = append(t.conds, store.UnchangedSince(keyGrant+memberText(m)+"/", t.snap.rev))
	if id, ok := m.User(); ok {
		if u, _, ok := t.snap.User(id); !ok || len(u.Linked) > 0 {
			return changed
		}
		t.conds = append(t.conds, store.UnchangedSince(linkedKey(id, ""), t.snap.rev))
	}
	t.event(audit.Event{
		Action: noun(m) + "Purged", Target: m.String(), Name: c.What.Name,
		Reason: "its source has not had it since " + c.What.Missing.UTC().Format(time.RFC3339),
	})
	return Delete{Member: m}.build(t)
}

// PurgeOrder says that what was shown is to be purged.
type PurgeOrder struct {
	Run    string    `json:"run"` // the id that the purging run will have
	Before time.Time `json:"before"`
	Digest string    `json:"digest"`
	By     string    `json:"by"`
	At     time.Time `json:"at"`
}

// OrderPurge tells the leader to purge a source.
type OrderPurge struct {
	Source identity.SourceID
	Order  PurgeOrder // By and At are filled in
}

func (c OrderPurge) build(t *txn) error {
	st := t.snap.Source(c.Source)
	if st.Purge != nil {
		return fault.New(fault.Conflict, "run_in_progress", "a purge of source %q was ordered already: wait for run %s", c.Source, st.Purge.Run)
	}
	order := c.Order
	order.By, order.At = t.by.String(), t.now.UTC()
	st.Purge = &order
	return PutSource{Source: c.Source, State: st, Event: audit.Event{
		Action: "SyncPurgeApproved", Target: "source/" + string(c.Source), Name: string(c.Source),
		Changes: []audit.Change{{Field: "digest", After: []string{order.Digest}}},
	}}.build(t)
}
