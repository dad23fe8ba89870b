package scim

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/rollcall-id/rollcall/audit"
	"github.com/rollcall-id/rollcall/identity"
	"github.com/rollcall-id/rollcall/permissions"
	"github.com/rollcall-id/rollcall/state"
	"github.com/rollcall-id/rollcall/store/mem"
	"github.com/rollcall-id/rollcall/sync/plan"
)

// TestRecordsKeepTheirIDs pushes, links, unlinks, migrates and settles at random. Whatever
// is done, the provider finds what it pushed under the id that it was told, with its
// values and its groups, and lists show just that, in order; memberships count for whoever
// the record belongs to; what the directory said of somebody does not change; and a user
// whom it owns keeps his id and his grant.
func TestRecordsKeepTheirIDs(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		use := rapid.SampledFrom([]string{plan.UseUsers, plan.UseAttributes}).Draw(rt, "use")
		w := newWorld(t, mem.New(), joining(use))
		l := &linkLaws{rt: rt, world: w, use: use, records: map[string]*pushedRecord{}, groups: map[string]string{}, away: map[string]bool{}, granted: map[identity.UserID]bool{}}
		for n := range 4 {
			l.corp = append(l.corp, numbered(fmt.Sprint("c", n), fmt.Sprint(n%3)))
			id := identity.NewUserID()
			w.commit(state.Create{Member: identity.UserMember(id), Record: l.corp[n]})
			w.commit(state.PutGrant{Grant: permissions.Grant{
				ID: permissions.GrantID(id.String()), Permission: permissions.CreateFilter, Subject: identity.UserMember(id), By: "root", At: time.Now(), Origin: "local",
			}})
			l.granted[id] = true
		}
		for _, name := range []string{"g1", "g2"} {
			l.groups[w.call("POST", "/Groups", groupOf(name)).want(201).id()] = name
		}
		steps := rapid.IntRange(5, 25).Draw(rt, "steps")
		for range steps {
			l.step(rapid.SampledFrom([]string{"post", "post", "put", "delete", "return", "group", "group", "dissolve", "link", "unlink", "settle", "migrate", "back", "remove"}).Draw(rt, "step"))
			l.check()
		}
	})
}

type pushedRecord struct {
	name, external, number string
	gone                   bool
	in                     map[string]bool
}

type linkLaws struct {
	rt      *rapid.T
	world   *world
	use     string
	n       int
	records map[string]*pushedRecord
	corp    []*identity.Record
	groups  map[string]string // their names, by id
	away    map[string]bool   // which of them are gone
	granted map[identity.UserID]bool
}

// pick chooses a record that is there, or that is gone.
func (l *linkLaws) pick(gone bool) (string, *pushedRecord) {
	var ids []string
	for _, id := range slices.Sorted(maps.Keys(l.records)) {
		if l.records[id].gone == gone {
			ids = append(ids, id)
		}
	}
	if len(ids) == 0 {
		return "", nil
	}
	id := rapid.SampledFrom(ids).Draw(l.rt, "record")
	return id, l.records[id]
}

func (l *linkLaws) number() string {
	return rapid.SampledFrom([]string{"0", "1", "2", "404", ""}).Draw(l.rt, "number")
}

func (l *linkLaws) step(what string) {
	w := l.world
	switch what {
	case "post":
		l.n++
		r := &pushedRecord{name: fmt.Sprint("u", l.n), external: fmt.Sprint("x", l.n), number: l.number(), in: map[string]bool{}}
		l.records[w.call("POST", "/Users", person(r.name, r.external, r.number)).want(201).id()] = r
		w.call("POST", "/Users", person(r.name, "other", "404")).want(409)
		w.call("POST", "/Users", person("other", r.external, "404")).want(409)
	case "put":
		if id, r := l.pick(false); r != nil {
			l.n++
			r.name, r.number = fmt.Sprint("u", l.n), l.number()
			w.call("PUT", "/Users/"+id, person(r.name, r.external, r.number)).want(200).is("id", id)
		}
	case "delete":
		if id, r := l.pick(false); r != nil {
			w.call("DELETE", "/Users/"+id, "").want(204)
			r.gone, r.in = true, map[string]bool{}
		}
	case "return":
		if id, r := l.pick(true); r != nil && l.kept(id) {
			w.call("POST", "/Users", person(r.name, r.external, r.number)).want(201).is("id", id)
			r.gone = false
		}
	case "group":
		if id, r := l.pick(false); r != nil {
			g := rapid.SampledFrom(slices.Sorted(maps.Keys(l.groups))).Draw(l.rt, "group")
			if l.away[g] {
				return
			}
			op := `{"op":"add","path":"members","value":[{"value":"` + id + `"}]}`
			if r.in[g] {
				op = `{"op":"remove","path":"members[value eq \"` + id + `\"]"}`
			}
			w.call("PATCH", "/Groups/"+g, patchOf(op)).want(200)
			if r.in[g] = !r.in[g]; !r.in[g] {
				delete(r.in, g)
			}
		}
	case "dissolve":
		l.dissolve(rapid.SampledFrom(slices.Sorted(maps.Keys(l.groups))).Draw(l.rt, "group"))
	default:
		l.byHand(what)
	}
}

// dissolve takes a group away, or brings it back with some of those who are there.
func (l *linkLaws) dissolve(g string) {
	if !l.away[g] {
		l.world.call("DELETE", "/Groups/"+g, "").want(204)
		for _, r := range l.records {
			delete(r.in, g)
		}
		l.away[g] = true
		return
	}
	var members []string
	for _, id := range slices.Sorted(maps.Keys(l.records)) {
		if r := l.records[id]; !r.gone && rapid.Bool().Draw(l.rt, "member") {
			members, r.in[g] = append(members, id), true
		}
	}
	l.world.call("POST", "/Groups", groupOf(l.groups[g], members...)).want(201).is("id", g)
	delete(l.away, g)
}

func groupOf(name string, members ...string) string {
	values := make([]string, len(members))
	for i, id := range members {
		values[i] = `{"value":"` + id + `"}`
	}
	return fmt.Sprintf(`{"schemas":["urn:ietf:params:scim:schemas:core:2.0:Group"],"displayName":%q,"externalId":%[1]q,"members":[%s]}`, name, strings.Join(values, ","))
}

// kept reports whether a record that is gone waits for its return: one that was unlinked
// while it was gone does not.
func (l *linkLaws) kept(id string) bool {
	_, ok := l.world.db.View().Now().PushedUser("okta", identity.Key(id))
	return ok
}

// byHand does what an administrator does. What is refused changes nothing.
func (l *linkLaws) byHand(what string) {
	s := l.world.db.View().Now()
	c := rapid.SampledFrom(l.corp).Draw(l.rt, "person")
	person, ok := s.UserOf("corp", c.Key)
	if !ok {
		return
	}
	u, _, _ := s.User(person)
	var cs []state.Change
	switch what {
	case "link", "settle":
		id, r := l.pick(false)
		if r == nil {
			return
		}
		p, _ := s.PushedUser("okta", identity.Key(id))
		from, _ := p.Member.User()
		switch {
		case p.Place == state.Nobodys && what == "settle" && l.use == plan.UseUsers:
			cs = append(cs, state.OwnApart{Holder: from, Source: "okta"})
		case p.Place == state.Nobodys:
			cs = append(cs, state.JoinApart{Holder: from, Source: "okta", User: person})
		case p.Place == state.Owning && s.MayMerge(person, from) == nil:
			cs = append(cs, state.Merge{Into: person, From: from, KeepGrants: true})
		}
	case "unlink":
		un := state.Unlink{User: person, Source: "okta"}
		if _, linked := s.Linked(person, "okta"); !linked {
			return
		}
		note, merged, err := l.world.db.Merged(l.world.t.Context(), person, "okta")
		if err != nil {
			l.rt.Fatal(err)
		}
		if merged {
			un.Merged = &note
		} else if l.use == plan.UseUsers {
			un.New = identity.NewUserID()
		}
		cs = append(cs, un)
	case "migrate":
		if _, linked := s.Linked(person, "okta"); linked {
			cs = append(cs, state.ChangeOwner{User: person, To: "okta"})
		}
	case "back":
		if _, linked := s.Linked(person, "corp"); linked {
			cs = append(cs, state.ChangeOwner{User: person, To: "corp"})
		}
	case "remove": // as for a directory that is deleted, and made anew
		if u.Record.Source == "corp" {
			cs = append(cs, state.Delete{Member: identity.UserMember(person), Source: "corp"})
		}
	}
	if len(cs) == 0 {
		return
	}
	if _, err := l.world.db.Decide(l.world.t.Context(), audit.Actor{Kind: audit.ActorSystem, ID: "test"}, func(*state.Snapshot) ([]state.Change, error) { return cs, nil }); err != nil {
		return
	}
	if what == "remove" {
		delete(l.granted, person)
		id := identity.NewUserID()
		l.world.commit(state.Create{Member: identity.UserMember(id), Record: c})
	}
}

func (l *linkLaws) check() {
	w, s := l.world, l.world.db.View().Now()
	var there []string
	in := map[string][]string{}
	for id, r := range l.records {
		if r.gone {
			w.call("GET", "/Users/"+id, "").want(404)
			continue
		}
		there = append(there, id)
		a := w.call("GET", "/Users/"+id, "").want(200).is("id", id).is("userName", r.name).is("externalId", r.external)
		if got := idsIn(a.json["groups"]); !slices.Equal(got, slices.Sorted(maps.Keys(r.in))) {
			l.rt.Fatalf("%s is in %v, want %v: %s", id, got, r.in, a.body)
		}
		w.call("GET", "/Users?filter=userName%20eq%20%22"+r.name+"%22", "").want(200).is("totalResults", 1.0).is("Resources/0/id", id)
		for g := range r.in {
			in[g] = append(in[g], id)
		}
	}
	slices.Sort(there)
	l.lists(there)
	for g := range l.groups {
		if l.away[g] {
			w.call("GET", "/Groups/"+g, "").want(404)
			continue
		}
		slices.Sort(in[g])
		if got := idsIn(w.call("GET", "/Groups/"+g, "").want(200).json["members"]); !slices.Equal(got, in[g]) {
			l.rt.Fatalf("group %s has %v, want %v", g, got, in[g])
		}
		l.counts(s, g, in[g])
	}
	l.others(s)
}

// lists compares what the endpoint lists, at once and by cursor.
func (l *linkLaws) lists(there []string) {
	a := l.world.call("GET", "/Users?attributes=userName", "").want(200)
	if got := listed1(a); !slices.Equal(got, there) {
		l.rt.Fatalf("listed are %v, want %v", got, there)
	}
	var walked []string
	for next := ""; ; {
		a := l.world.call("GET", "/Users?count=2&cursor="+next, "").want(200)
		walked = append(walked, listed1(a)...)
		if next, _ = a.json["nextCursor"].(string); next == "" {
			break
		}
	}
	if !slices.Equal(walked, there) {
		l.rt.Fatalf("a walk shows %v, want %v", walked, there)
	}
}

// counts compares who is in a group on the roll with whom its members belong to.
func (l *linkLaws) counts(s *state.Snapshot, group string, members []string) {
	want := map[string]bool{}
	for _, id := range members {
		if p, _ := s.PushedUser("okta", identity.Key(id)); p.Place != state.Nobodys {
			want[p.Member.String()] = true
		}
	}
	got := map[string]bool{}
	for m := range s.Members(l.world.groupID(group)) {
		got[m.Member.String()] = true
	}
	if diff := cmp.Diff(want, got); diff != "" {
		l.rt.Fatalf("in the group (-want +got):\n%s", diff)
	}
}

// others compares what the directory said of people, and what they were granted.
func (l *linkLaws) others(s *state.Snapshot) {
	for _, c := range l.corp {
		id, ok := s.UserOf("corp", c.Key)
		u, _, there := s.User(id)
		if !ok || !there {
			l.rt.Fatalf("corp has lost %s", c.Name)
		}
		r := u.Record
		if r.Source != "corp" {
			i := slices.IndexFunc(u.Linked, func(x identity.Linked) bool { return x.Record.Source == "corp" })
			r = u.Linked[i].Record
		}
		if diff := cmp.Diff(*c, r); diff != "" {
			l.rt.Fatalf("corp said of %s (-want +got):\n%s", c.Name, diff)
		}
	}
	for id := range l.granted {
		if u, _, ok := s.User(id); !ok || !slices.ContainsFunc(s.Book().Of(identity.UserMember(id)), func(g *permissions.Grant) bool { return g.Permission == permissions.CreateFilter }) {
			l.rt.Fatalf("%+v has lost his grant, or is no more", u)
		}
	}
}

func idsIn(v any) (ids []string) {
	all, _ := v.([]any)
	for _, m := range all {
		ids = append(ids, fmt.Sprint(at(m, "value")))
	}
	slices.Sort(ids)
	return ids
}

func listed1(a *answer) (ids []string) {
	all, _ := a.json["Resources"].([]any)
	for _, r := range all {
		ids = append(ids, strings.Clone(fmt.Sprint(at(r, "id"))))
	}
	return ids
}
