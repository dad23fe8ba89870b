package state

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/rollcall-id/rollcall/identity"
	"github.com/rollcall-id/rollcall/sync/plan"
)

// recount holds what is kept of how much is of each source against a count.
func recount(s *Snapshot) {
	for source, kept := range s.totals {
		var n plan.Total
		for k := range s.Of(source).Users() {
			if k.Missing {
				n.UsersMissing++
			} else {
				n.Users++
			}
		}
		for k := range s.Of(source).Groups() {
			if k.Missing {
				continue
			}
			n.Groups++
			for range s.Of(source).Members(k) {
				n.Members++
			}
		}
		if n != kept {
			panic(fmt.Sprintf("of source %s there are %+v, and %+v are counted", source, n, kept))
		}
	}
}

// retell holds what a check is told in short against the slots.
func retell(s *Snapshot) {
	for h := range s.users.Len() {
		u := s.users.Ref(h)
		got, known := s.Subject(u.id)
		if want := subject(uint32(h), u); known != u.exists() || known && got != want {
			panic(fmt.Sprintf("of user %s a check is told %+v, %t, and the slot says %+v, %t", u.id, got, known, want, u.exists()))
		}
	}
	for h := range s.groups.Len() {
		if got, want := s.GroupID(uint32(h)), s.groups.Ref(h).id; got != want {
			panic(fmt.Sprintf("group %d is said to be %s and is %s", h, got, want))
		}
	}
}

// dump writes everything that a snapshot says, by id and independent of handles.
func dump(s *Snapshot) string {
	recount(s)
	retell(s)
	var b strings.Builder
	named := map[string]bool{} // many have one name
	for row := range s.Users(identity.UserID{}, time.Unix(0, 0)) {
		id, _ := row.Member.User()
		u, rev, _ := s.User(id)
		u.Record.Pushed = nil // an address; what it says is below
		fmt.Fprintf(&b, "user %s %q %s/%s rev=%d status=%q record=%+v missing=%v local=%v barred=%v %s\n",
			id, row.Name, row.Source, row.Key, rev, row.Status, u.Record, u.Missing, u.Local.Attributes, u.Local.Barred, disabled(u.Local))
		for _, l := range u.Linked {
			l.Record.Pushed = nil
			byKey, _ := s.UserOf(l.Record.Source, l.Record.Key)
			fmt.Fprintf(&b, "  linked %+v by key %s by name %v\n", l, byKey, sorted(s.FindUsers(string(l.Record.Source)+"/"+l.Record.Name), identity.UserID.Compare))
		}
		fmt.Fprintf(&b, "  first %v\n", u.First)
		dumpGroupsOf(&b, s, row.Member)
		byKey, _ := s.Of(row.Source).Ref(plan.MemberKey{Key: row.Key})
		fmt.Fprintf(&b, "  by key %v\n", byKey)
		if name := string(row.Source) + "/" + row.Name; !named["u"+name] {
			named["u"+name] = true
			fmt.Fprintf(&b, "  by name %v\n", sorted(s.FindUsers(name), identity.UserID.Compare))
		}
	}
	for row := range s.Groups(identity.GroupID{}) {
		id, _ := row.Member.Group()
		g, rev, _ := s.Group(id)
		fmt.Fprintf(&b, "group %s %q %s/%s rev=%d status=%q record=%+v missing=%v local=%v barred=%v %s\n",
			id, row.Name, row.Source, row.Key, rev, row.Status, g.Record, g.Missing, g.Local.Attributes, g.Local.Barred, disabled(g.Local))
		dumpMembers(&b, s, id)
		dumpGroupsOf(&b, s, row.Member)
		byKey, _ := s.Of(row.Source).Ref(plan.MemberKey{Group: true, Key: row.Key})
		fmt.Fprintf(&b, "  by key %v\n", byKey)
		if name := string(row.Source) + "/" + row.Name; !named["g"+name] {
			named["g"+name] = true
			fmt.Fprintf(&b, "  by name %v\n", sorted(s.FindGroups(name), identity.GroupID.Compare))
		}
		h, present := s.GroupHandle(id)
		var above []string
		for _, a := range s.Above(h) {
			above = append(above, s.GroupID(a).String())
		}
		slices.Sort(above)
		fmt.Fprintf(&b, "  present=%v above=%v\n", present, above)
	}
	var grants []string
	for g := range s.Book().Grants() {
		grants = append(grants, fmt.Sprintf("grant %+v", *g))
	}
	slices.Sort(grants)
	b.WriteString(strings.Join(grants, "\n"))
	for id, bar := range s.Bars() {
		fmt.Fprintf(&b, "\nbar %s %+v", id, bar)
	}
	for _, id := range s.SourceIDs() {
		fmt.Fprintf(&b, "\nsource %s %+v", id, s.Source(id))
	}
	for _, id := range s.SourceIDs() {
		fmt.Fprintf(&b, "\nsettled %s %+v", id, s.Settlements(id))
	}
	dumpPushed(&b, s, "okta")
	fmt.Fprintf(&b, "\nepoch %d\n", s.epoch)
	return b.String()
}

func sorted[T any](ids []T, compare func(T, T) int) []T {
	slices.SortFunc(ids, compare)
	return ids
}

func dumpMembers(b *strings.Builder, s *Snapshot, id identity.GroupID) {
	var lines []string
	for m := range s.Members(id) {
		lines = append(lines, fmt.Sprintf("  member %s by %v", m.Member, m.Origins))
	}
	for m := range s.BarredMembers(id) {
		lines = append(lines, fmt.Sprintf("  barred %s", m))
	}
	slices.Sort(lines)
	for _, l := range lines {
		fmt.Fprintln(b, l)
	}
	fmt.Fprintf(b, "  %d members\n", s.MemberCount(id))
}

func dumpGroupsOf(b *strings.Builder, s *Snapshot, m identity.Member) {
	var lines []string
	for g, by := range s.GroupsOf(m) {
		lines = append(lines, fmt.Sprintf("  in %s by %v", g, by))
	}
	slices.Sort(lines)
	for _, l := range lines {
		fmt.Fprintln(b, l)
	}
}

func disabled(l identity.LocalLayer) string {
	if l.Disabled == nil {
		return "-"
	}
	return fmt.Sprintf("%+v", *l.Disabled)
}
