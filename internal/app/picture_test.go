package app

import (
	"maps"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/rollcall-id/rollcall/identity"
	"github.com/rollcall-id/rollcall/state"
)

// picture is a directory, or what the roll has of it, by lasting keys.
type picture struct {
	people map[identity.Key]*person
	clans  map[identity.Key]*clan
}

type person struct {
	Name, DN   string
	Profile    map[string]string
	Attributes map[string][]string
	Disabled   identity.Reason
	Expires    time.Time
}

type clan struct {
	Name, DN      string
	Profile       map[string]string
	Attributes    map[string][]string
	Users, Groups []identity.Key
	Unresolved    []string
}

// rollOf returns what the roll has of a source and what is not missing from it.
func rollOf(t *testing.T, snap *state.Snapshot, source identity.SourceID) picture {
	t.Helper()
	p := picture{map[identity.Key]*person{}, map[identity.Key]*clan{}}
	keys := map[identity.Member]identity.Key{}
	for row := range snap.Users(identity.UserID{}, time.Now()) {
		if row.Source != source {
			continue
		}
		id, _ := row.Member.User()
		u, _, ok := snap.User(id)
		if !ok || u.Record.Key != row.Key || u.Record.Name != row.Name || u.Record.Source != source {
			t.Errorf("row %+v is not its user %+v", row, u)
			continue
		}
		if row.Status != u.Status(time.Now()) {
			t.Errorf("%s is listed as %q, and is %q", row.Name, row.Status, u.Status(time.Now()))
		}
		if !u.Missing.IsZero() {
			continue
		}
		if p.people[row.Key] != nil {
			t.Errorf("two users have the key %s", row.Key)
		}
		r := &u.Record
		keys[row.Member] = row.Key
		p.people[row.Key] = &person{r.Name, r.DN, r.Profile, r.Attributes, r.Disabled, r.Expires}
	}
	var groups []*identity.Group
	for row := range snap.Groups(identity.GroupID{}) {
		id, _ := row.Member.Group()
		g, _, ok := snap.Group(id)
		if !ok || row.Source != source || !g.Missing.IsZero() {
			continue
		}
		if p.clans[row.Key] != nil {
			t.Errorf("two groups have the key %s", row.Key)
		}
		r := &g.Record
		keys[row.Member] = row.Key
		p.clans[row.Key] = &clan{Name: r.Name, DN: r.DN, Profile: r.Profile, Attributes: r.Attributes, Unresolved: r.Unresolved}
		groups = append(groups, g)
	}
	for _, g := range groups {
		into := p.clans[g.Record.Key]
		for m := range snap.Members(g.ID) {
			key, present := keys[m.Member]
			if !slices.Equal(m.Origins, []identity.SourceID{source}) {
				t.Errorf("%v is in %s because of %v", m.Member, g.Record.Name, m.Origins)
			}
			switch _, isGroup := m.Member.Group(); {
			case !present:
			case isGroup:
				into.Groups = append(into.Groups, key)
			default:
				into.Users = append(into.Users, key)
			}
		}
	}
	p.reversed(t, snap, keys)
	return p
}

// reversed checks that the edges are the same when they are followed from the
// members.
func (p picture) reversed(t *testing.T, snap *state.Snapshot, keys map[identity.Member]identity.Key) {
	t.Helper()
	type edge struct {
		group, member identity.Key
		nested        bool
	}
	down, up := map[edge]bool{}, map[edge]bool{}
	for key, c := range p.clans {
		for _, m := range c.Users {
			down[edge{key, m, false}] = true
		}
		for _, m := range c.Groups {
			down[edge{key, m, true}] = true
		}
	}
	for m, key := range keys {
		_, nested := m.Group()
		for g := range snap.GroupsOf(m) {
			up[edge{keys[identity.GroupMember(g)], key, nested}] = true
		}
	}
	if !maps.Equal(down, up) {
		t.Errorf("%d memberships from the groups, and %d from the members", len(down), len(up))
	}
}

// compare fails for every entry, attribute and edge that differs, and shows the
// first few.
func compare(t *testing.T, directory, roll picture) {
	t.Helper()
	shown := 0
	show := func(what string, key identity.Key, want, got any) {
		if d := cmp.Diff(want, got, cmpopts.EquateEmpty(), cmpopts.SortSlices(func(a, b string) bool { return a < b }),
			cmpopts.SortSlices(func(a, b identity.Key) bool { return a < b })); d != "" {
			t.Fail()
			if shown++; shown <= 5 {
				t.Logf("%s %s (-directory +roll):\n%s", what, key, d)
			}
		}
	}
	for key := range union(directory.people, roll.people) {
		show("person", key, directory.people[key], roll.people[key])
	}
	for key := range union(directory.clans, roll.clans) {
		show("group", key, directory.clans[key], roll.clans[key])
	}
	if shown > 5 {
		t.Logf("and %d more differ", shown-5)
	}
}

func union[V any](a, b map[identity.Key]V) map[identity.Key]V {
	all := maps.Clone(a)
	maps.Copy(all, b)
	return all
}

// edges counts the memberships.
func (p picture) edges() (users, groups int) {
	for _, c := range p.clans {
		users += len(c.Users)
		groups += len(c.Groups)
	}
	return users, groups
}

// find returns the key of the person with a login name.
func (p picture) find(t *testing.T, name string) identity.Key {
	t.Helper()
	for key, x := range p.people {
		if x.Name == name {
			return key
		}
	}
	t.Fatalf("there is no %s", name)
	return ""
}
