package admin_test

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/rollcall-id/rollcall/admin"
	"github.com/rollcall-id/rollcall/fault"
	"github.com/rollcall-id/rollcall/identity"
	"github.com/rollcall-id/rollcall/permissions"
	"github.com/rollcall-id/rollcall/state"
	"github.com/rollcall-id/rollcall/store"
)

// court is a small roll whose state a test draws, and what is known of it.
type court struct {
	*world
	key      string
	users    []identity.UserID
	groups   []identity.GroupID
	off      []bool
	in       map[[2]identity.Member]bool // member, group
	given    map[given]bool              // whether it has ended
	settings permissions.Settings
}

type given struct {
	to identity.Member
	p  permissions.Permission
}

const unknownPermission = permissions.Permission("FLY")

// courtPermissions are those that settings look at, one that they do not, and a custom
// one.
var courtPermissions = []permissions.Permission{
	permissions.ApplicationAdmin, permissions.Audit, permissions.CreateDataSource, permissions.Governance, permissions.UserAdmin, "APPROVER",
}

func newCourt(t *testing.T) *court {
	w := newWorld(t)
	_, key := w.caller("asker", permissions.FetchPolicyInfo, permissions.Audit)
	w.caller("root", permissions.ApplicationAdmin, permissions.UserAdmin)
	w.commit(state.PutCustom{Name: "APPROVER"})
	c := &court{world: w, key: key, in: map[[2]identity.Member]bool{}, given: map[given]bool{}, settings: permissions.DefaultSettings()}
	for i := range 4 {
		c.users = append(c.users, w.person(identity.Local, fmt.Sprint("user", i)))
	}
	for i := range 3 {
		c.groups = append(c.groups, w.group("corp", fmt.Sprint("group", i)))
	}
	c.off = make([]bool, len(c.users))
	return c
}

// try writes and reports whether the rules allow it.
func (c *court) try(rt *rapid.T, change state.Change) bool {
	_, err := c.db.Decide(rt.Context(), tester, func(*state.Snapshot) ([]state.Change, error) { return []state.Change{change}, nil })
	if err != nil && !errors.Is(err, fault.Conflict) {
		rt.Fatalf("%+v: %v", change, err)
	}
	return err == nil
}

// draw brings the roll into a drawn state.
func (c *court) draw(rt *rapid.T) {
	flip := func(what string) bool { return rapid.IntRange(0, 3).Draw(rt, what) == 0 }
	for i, u := range c.users {
		if want := flip("off"); want != c.off[i] {
			var change state.Change = state.Enable{User: u}
			if want {
				change = state.Disable{User: u, Reason: "test"}
			}
			if c.try(rt, change) {
				c.off[i] = want
			}
		}
	}
	var members []identity.Member
	for _, u := range c.users {
		members = append(members, identity.UserMember(u))
	}
	for _, g := range c.groups {
		members = append(members, identity.GroupMember(g))
	}
	moves := make([]state.ChangeMembers, len(c.groups))
	for _, m := range members {
		for i, g := range c.groups {
			moves[i].Group, moves[i].Origin = g, "corp"
			edge := [2]identity.Member{m, identity.GroupMember(g)}
			if want := flip("in"); want != c.in[edge] && m != edge[1] {
				c.in[edge] = want
				if want {
					moves[i].Add = append(moves[i].Add, m)
				} else {
					moves[i].Remove = append(moves[i].Remove, m)
				}
			}
		}
		for _, p := range courtPermissions {
			c.drawGrant(rt, given{m, p})
		}
	}
	c.sync(rt, moves)
	next := permissions.DefaultSettings()
	next.AdminGovernorExclusive, next.AdminsMaySubscribe, next.GovernorsMaySubscribe = flip("exclusive"), flip("admins"), flip("governors")
	if next != c.settings && c.try(rt, state.PutSettings{Settings: next}) {
		c.settings = next
	}
}

// sync writes memberships as a run does: it asks nobody, so that it may make somebody
// both an administrator and a governor, whatever the settings say.
func (c *court) sync(rt *rapid.T, moves []state.ChangeMembers) {
	const mark = "leader/test"
	rev, err := c.store.Apply(rt.Context(), store.Txn{Then: []store.Op{store.Put(mark, nil)}})
	if err != nil {
		rt.Fatal(err)
	}
	bulk := c.db.Bulk(tester, store.At(mark, rev), nil)
	if _, err := bulk.Apply(rt.Context(), c.db.View().Now(), func(yield func(state.Change) bool) {
		for _, m := range moves {
			if len(m.Add)+len(m.Remove) > 0 && !yield(m) {
				return
			}
		}
	}); err != nil {
		rt.Fatal(err)
	}
}

func (c *court) drawGrant(rt *rapid.T, g given) {
	want := rapid.IntRange(0, 9).Draw(rt, "given") // 0: given, 1: ended
	ended, have := c.given[g]
	switch {
	case want > 1:
		if have && c.try(rt, state.RemoveGrant{Subject: g.to, Permission: g.p}) {
			delete(c.given, g)
		}
	case !have || ended != (want == 1):
		grant := permissions.Grant{ID: permissions.GrantID(identity.NewUserID().String()), Permission: g.p, Subject: g.to, By: "user:root", At: c.clock(), Origin: "local"}
		if want == 1 {
			grant.Expires = c.clock().Add(-time.Minute)
		}
		if c.try(rt, state.PutGrant{Grant: grant}) {
			c.given[g] = want == 1
		}
	}
}

// allowed is the naive checker that everything else is measured by.
func (c *court) allowed(i int, p permissions.Permission) bool {
	held := func(p permissions.Permission) bool {
		from := []identity.Member{identity.UserMember(c.users[i])}
		for n := 0; n < len(from); n++ {
			if ended, ok := c.given[given{from[n], p}]; ok && !ended {
				return true
			}
			for _, g := range c.groups {
				if m := identity.GroupMember(g); c.in[[2]identity.Member{from[n], m}] && !slices.Contains(from, m) {
					from = append(from, m)
				}
			}
		}
		return false
	}
	admins := held(permissions.ApplicationAdmin) || held(permissions.UserAdmin)
	governs := held(permissions.Governance) && (!admins || !c.settings.AdminGovernorExclusive)
	masked := admins && !c.settings.AdminsMaySubscribe || governs && !c.settings.GovernorsMaySubscribe
	switch {
	case c.off[i]:
		return false
	case p == permissions.Subscribe:
		return !masked
	case p == permissions.Governance:
		return governs
	case p == permissions.CreateDataSource:
		return held(p) && !masked
	}
	return held(p)
}

// Every way of asking gives the answer of the naive checker, in hundreds of states.
func TestAllWaysOfAskingAgree(t *testing.T) {
	for i := range 3 {
		t.Run(fmt.Sprint(i), func(t *testing.T) {
			t.Parallel()
			c := newCourt(t)
			rapid.Check(t, func(rt *rapid.T) {
				c.draw(rt)
				c.compare(rt)
			})
		})
	}
}

// compare asks about everybody and everything in all ways.
func (c *court) compare(rt *rapid.T) {
	c.t.Helper()
	actions := append(slices.Clone(courtPermissions), permissions.Subscribe)
	slices.Sort(actions)
	may := map[identity.UserID][]string{}
	for _, p := range append(actions, unknownPermission) {
		var can []string
		for i, u := range c.users {
			if p != unknownPermission && c.allowed(i, p) {
				can = append(can, u.String())
				may[u] = append(may[u], string(p))
			}
		}
		c.agreeOnHolders(rt, p, can)
		for _, u := range c.users {
			c.agree(rt, u, p, slices.Contains(can, u.String()))
		}
	}
	for _, u := range c.users {
		body := fmt.Sprintf(`{"subject":{"type":"user","id":%q},"resource":{"type":"application","id":"x"}}`, u)
		if got := c.search("action", c.key, body, 2); !slices.Equal(got, may[u]) {
			rt.Errorf("search for actions of %s = %v, want %v", u, got, may[u])
		}
	}
}

// agreeOnHolders compares who can.
func (c *court) agreeOnHolders(rt *rapid.T, p permissions.Permission, want []string) {
	c.t.Helper()
	ours := func(ids []string) []string {
		return slices.DeleteFunc(ids, func(id string) bool {
			return !slices.ContainsFunc(c.users, func(u identity.UserID) bool { return u.String() == id })
		})
	}
	body := fmt.Sprintf(`{"subject":{"type":"user"},"action":{"name":%q},"resource":{"type":"application","id":"x"}}`, p)
	if got := ours(c.search("subject", c.key, body, 3)); !slices.Equal(got, want) {
		rt.Errorf("search for who can %s = %v, want %v", p, got, want)
	}
	if p == unknownPermission || p == permissions.Subscribe {
		return // which are no permissions to the admin API
	}
	page := mustGet[admin.HolderPage](rt, c.world, c.key, "/v1/permissions/"+string(p)+"/holders")
	var got []string
	for _, h := range page.Holders {
		got = append(got, h.ID)
	}
	if got = ours(got); !slices.Equal(got, want) {
		rt.Errorf("holders of %s = %v, want %v", p, got, want)
	}
}

// agree compares the answers about one user and one permission.
func (c *court) agree(rt *rapid.T, u identity.UserID, p permissions.Permission, want bool) {
	c.t.Helper()
	single := decodeAs[decided](rt, c.call(http.MethodPost, evaluation, c.key, question(u.String(), string(p))))
	batch := decodeAs[decidedAll](rt, c.call(http.MethodPost, evaluations, c.key, strings.Replace(question(u.String(), string(p)), "{", `{"evaluations":[{},{}],`, 1)))
	answers := map[string]bool{"evaluation": single.Decision, "evaluations": batch.Evaluations[1].Decision}
	reasons := map[string]string{"evaluation": single.Context.Reason, "evaluations": batch.Evaluations[1].Context.Reason}
	if p != permissions.Subscribe {
		check := decodeAs[admin.CheckAnswer](rt, c.call(http.MethodPost, "/v1/check", c.key, map[string]string{"user": u.String(), "permission": string(p)}))
		answers["check"], reasons["check"] = check.Allowed, string(check.Reason)
		explained := mustGet[admin.Explanation](rt, c.world, c.key, "/v1/users/"+url.PathEscape(u.String())+"/permissions/"+string(p)+"/explanation")
		answers["explanation"], reasons["explanation"] = explained.Allowed, string(explained.Why)
	}
	for how, got := range answers {
		if got != want || reasons[how] != single.Context.Reason || got != (reasons[how] == "") {
			rt.Errorf("%s of %s for %s = %v, reason %q; want %v, reason %q", how, p, u, got, reasons[how], want, single.Context.Reason)
		}
	}
}

func mustGet[T any](rt *rapid.T, w *world, key, path string) T {
	return decodeAs[T](rt, w.call(http.MethodGet, path, key, nil))
}
