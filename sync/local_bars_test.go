package sync_test

import (
	"fmt"
	"maps"
	"os"
	"strconv"
	"strings"
	"testing"

	"github.com/rollcall-id/rollcall/identity"
	"github.com/rollcall-id/rollcall/permissions"
	"github.com/rollcall-id/rollcall/state"
	"github.com/rollcall-id/rollcall/store/mem"
	"github.com/rollcall-id/rollcall/sync/plan"
)

// syncUsers is how many people the directory of TestASyncLeavesLocalBytesAlone has, unless
// this variable of the environment says otherwise.
const syncUsers = "ROLLCALL_SYNC_USERS"

// TestASyncLeavesLocalBytesAlone gives a fifth of a directory's people a grant and a
// twentieth of them a local attribute, and then has the directory do all that
// directories do. What administrators stored is the same to the byte, and the revision.
func TestASyncLeavesLocalBytesAlone(t *testing.T) {
	n := 10_000
	if s := os.Getenv(syncUsers); s != "" {
		var err error
		if n, err = strconv.Atoi(s); err != nil {
			t.Fatalf("%s: %v", syncUsers, err)
		}
	}
	h := build(t, mem.New(), patient).open()
	defer func() { h.stop() }()
	dir := multitude(n)
	h.reads(dir)
	ran := h.sync()
	if ran.State != state.RunSucceeded {
		t.Fatalf("the first run ended as %s: %s", ran.State, ran.Error)
	}
	h.endow(n)
	local := h.local()
	if want := n/5 + n/20; kinds(local)["v/p"] < n/5 || len(local) < want {
		t.Fatalf("there are %v local records, want at least %d", kinds(local), want)
	}
	gone := map[identity.Key]person{}
	for _, step := range []struct {
		what string
		do   func(k identity.Key, p person)
	}{
		{"renames", func(k identity.Key, p person) { p.name += " the second"; dir.users[k] = p }},
		{"moves", func(k identity.Key, p person) { p.dept = "elsewhere"; dir.users[k] = p; move(dir, k) }},
		{"departures", func(k identity.Key, p person) { gone[k] = p; delete(dir.users, k) }},
		{"disabling", func(k identity.Key, p person) { p.disabled = true; dir.users[k] = p }},
	} {
		for i := range n / 2 { // half of them, those with grants as well as those without
			k := numbered(2 * i)
			if p, in := dir.users[k]; in {
				step.do(k, p)
			}
		}
		h.unchanged(step.what, dir, local)
		if step.what == "departures" {
			maps.Copy(dir.users, gone)
			h.unchanged("returns", dir, local)
		}
	}
	clear(dir.groups)
	h.unchanged("groups that go", dir, local)
}

// unchanged has the directory synced, which must change something, and nothing local.
func (h *house) unchanged(what string, dir *directory, local map[string]string) {
	h.t.Helper()
	h.reads(dir)
	run := h.sync()
	changed := [3]plan.Tally{run.Counts.Users, run.Counts.Groups, run.Counts.Members}
	if run.State != state.RunSucceeded || changed == ([3]plan.Tally{}) {
		h.t.Fatalf("%s: the run ended as %s (%s) with %+v", what, run.State, run.Error, run.Counts)
	}
	now := h.local()
	for k, v := range local {
		if now[k] != v {
			h.t.Errorf("%s: %s was %q and is %q", what, k, v, now[k])
		}
	}
	for k := range now {
		if _, was := local[k]; !was {
			h.t.Errorf("%s: a run wrote %s", what, k)
		}
	}
}

func kinds(local map[string]string) map[string]int {
	out := map[string]int{}
	for k := range local {
		out[strings.Join(strings.SplitN(k, "/", 3)[:2], "/")]++
	}
	return out
}

func numbered(i int) identity.Key { return identity.Key(fmt.Sprintf("u%06d", i)) }

// multitude is a directory of n people in groups of a hundred.
func multitude(n int) *directory {
	d := newDirectory()
	for i := range n {
		d.users[numbered(i)] = person{name: fmt.Sprintf("name%06d", i), dept: "here"}
		move(d, numbered(i))
	}
	return d
}

// move puts somebody into the next group that has room, out of the one he is in.
func move(d *directory, k identity.Key) {
	m := "u " + string(k)
	i, _ := strconv.Atoi(string(k[1:]))
	at, next := identity.Key(fmt.Sprint("g", i/100)), identity.Key(fmt.Sprint("g", i/100+1))
	if d.groups[at][m] {
		delete(d.groups[at], m)
		at = next
	}
	if d.groups[at] == nil {
		d.groups[at] = map[string]bool{}
	}
	d.groups[at][m] = true
}

// endow writes the local layer: grants to a fifth of n people, some by way of a group
// of theirs, and attributes to a twentieth.
func (h *house) endow(n int) {
	h.t.Helper()
	var changes []state.Change
	flush := func() {
		if len(changes) == 0 {
			return
		}
		if _, err := h.db.Commit(h.t.Context(), admin, changes...); err != nil {
			h.t.Fatalf("commit: %v", err)
		}
		changes = changes[:0]
	}
	i := 0
	for _, who := range subjects(h.db.View().Now()) {
		if i%5 == 0 {
			changes = append(changes, state.PutGrant{Grant: permissions.Grant{
				ID: permissions.GrantID(fmt.Sprintf("g%06d", i)), Permission: permissions.CreateProject, Subject: who, By: "root", Origin: "local",
			}})
		}
		if i%20 == 1 {
			changes = append(changes, state.SetLocalAttribute{Member: who, Key: "desk", Values: []string{fmt.Sprint("desk ", i)}})
		}
		if i++; len(changes) >= 50 {
			flush()
		}
	}
	if flush(); i < n {
		h.t.Fatalf("the roll has %d, want %d", i, n)
	}
}
