package app

import (
	"fmt"
	"strings"
	"testing"

	"github.com/rollcall-id/rollcall/identity"
	"github.com/rollcall-id/rollcall/internal/ldapserver"
	"github.com/rollcall-id/rollcall/store"
)

// spoiled are entries as a run cannot use them, by who has what wrong with him.
var spoiled = map[string]struct {
	spoil  func(e *ldapserver.Entry)
	reason string
}{
	pupil(1): {with("title", strings.Repeat("x", 20<<20)), "20971"}, // 20 MB
	pupil(2): {with("roomNumber", strings.Repeat(`"`, 100<<10), strings.Repeat("y", 90<<10)), "297057"},
	pupil(3): {with("uid", pupil(3)+"\x00"), "NUL character in its name"},
	pupil(4): {with("uid", "m\xfcller"), "name that is not text in UTF-8"},
	pupil(5): {with("title", "\xff\xfe"), "value of title that is not text in UTF-8"},
	pupil(6): {with("roomNumber", "4\x007"), "NUL character in a value of roomNumber"},
	pupil(7): {with("uid"), "has no name"},
	pupil(8): {with("shadowExpire", "soon"), "shadowExpire"},
	pupil(9): {with("uid", "tab\tbed"), "control character"},
}

// with replaces an attribute.
func with(name string, values ...string) func(*ldapserver.Entry) {
	return func(e *ldapserver.Entry) {
		attributes := []ldapserver.Attribute{}
		for _, a := range e.Attributes {
			if a.Name != name {
				attributes = append(attributes, a)
			}
		}
		if len(values) > 0 {
			attributes = append(attributes, ldapserver.Attr(name, values...))
		}
		e.Attributes = attributes
	}
}

// spoil lets the server send the spoiled entries as they are above, and the people 10
// and 60 with the login names of 11 and 12.
func (s *directory) spoil() {
	duplicates := map[string]string{pupil(10): pupil(11), pupil(60): strings.ToUpper(pupil(12))}
	s.onEvery(func(*ldapserver.Search) ldapserver.Action {
		return ldapserver.Action{Rewrite: func(e ldapserver.Entry) ldapserver.Entry {
			rdn, _, _ := strings.Cut(e.DN, ",")
			who := strings.TrimPrefix(rdn, "uid=")
			if x, ok := spoiled[who]; ok {
				x.spoil(&e)
			}
			if name, ok := duplicates[who]; ok {
				with("uid", name)(&e)
			}
			return e
		}}
	})()
}

// TestAFaultOfOneEntryIsItsOwn reads people among whom some cannot be used, while
// everybody's title changes: those are listed and left as they were, with their
// memberships, and all others are applied.
func TestAFaultOfOneEntryIsItsOwn(t *testing.T) {
	t.Parallel()
	s := scripted(t, 40)
	d := daemonOf(t, s.source(t)+"\nlimits: {field_changed: {share: 100}}")
	d.good()
	members := d.stored("v/m/")
	before := d.records()
	for i := range 40 {
		s.person(t, i, ldapserver.Attr("title", "Prefect"))
	}
	// One who is new and cannot be used, and one who is new and wants a name that is taken.
	spoiled := len(spoiled)
	s.person(t, 60)
	s.put(t, "uid=none,"+people, ldapserver.Attr("objectClass", "inetOrgPerson"), ldapserver.Attr("cn", "x"), ldapserver.Attr("sn", "x"),
		ldapserver.Attr("uid", "a\x7fb"))
	s.spoil()
	run := d.good()

	d.lists(run.ID, spoiled+1)
	after := d.records()
	for i := range 40 {
		name := pupil(i)
		was, is := before[name], after[name]
		switch faulty := i >= 1 && i <= 10; {
		case faulty && (is.Rev != was.Rev || string(is.Value) != string(was.Value)):
			t.Errorf("%s was\n%s and is\n%s, want it left as it was", name, was.Value, is.Value)
		case !faulty && !strings.Contains(string(is.Value), "Prefect"):
			t.Errorf("%s is %s, want the new title", name, is.Value)
		}
		if d.status(name) != "active" || !d.inStaff(name) {
			t.Errorf("%s is %q, in staff: %v", name, d.status(name), d.inStaff(name))
		}
	}
	d.sameBytes(members, "v/m/")
	if len(after) != 40 || run.Counts.Users.Updated != 30 || run.Counts.Users.Created != 0 {
		t.Errorf("%d users, counts %+v, want 40, 30 updated and none created", len(after), run.Counts)
	}
	if text := get(t, d.HealthURL()+"/metrics", 200); !strings.Contains(text, fmt.Sprintf(`rollcall_sync_entries_skipped{source="corp"} %d`, spoiled+1)) ||
		!strings.Contains(text, `rollcall_sync_conflicts{source="corp"} 2`) {
		t.Error("metrics do not count the skipped entries and conflicts")
	}

	s.act.Store(nil)
	if err := s.Delete("uid=none," + people); err != nil {
		t.Fatal(err)
	}
	run = d.good()
	if run.SkippedAll != 0 || run.ConflictsAll != 0 || run.Counts.Users.Created != 1 {
		t.Errorf("the next good run skipped %v, left %v and created %d", run.Skipped, run.Conflicts, run.Counts.Users.Created)
	}
	for name, r := range d.records() {
		if name != pupil(60) && !strings.Contains(string(r.Value), "Prefect") {
			t.Errorf("%s is %s after the next good run", name, r.Value)
		}
	}
}

// records returns the stored users of the source by their names in the roll.
func (d *running) records() map[string]store.Record {
	d.t.Helper()
	out := map[string]store.Record{}
	snap := d.db.View().Now()
	for key, r := range d.stored("v/u/") {
		id, err := identity.ParseUserID(strings.TrimPrefix(key, "v/u/"))
		if err != nil {
			d.t.Fatal(err)
		}
		if name, source := snap.Name(identity.UserMember(id)); source == "corp" {
			out[name] = r
		}
	}
	return out
}

// lists fails unless the record of a run names every spoiled entry with its DN and
// what is wrong with it, and both who wanted another's name.
func (d *running) lists(run string, skipped int) {
	d.t.Helper()
	r := d.call("GET", "/v1/sources/corp/runs/"+run, "", 200)
	if r["skippedCount"] != float64(skipped) || r["conflictCount"] != float64(2) {
		d.t.Errorf("%v entries skipped, %v conflicts, want %d and 2: %v", r["skippedCount"], r["conflictCount"], skipped, r["skipped"])
	}
	reasons := map[string]string{}
	list, _ := r["skipped"].([]any)
	for _, x := range list {
		e := x.(map[string]any)
		reasons[fmt.Sprint(e["dn"])] = fmt.Sprint(e["reason"])
	}
	for who, x := range spoiled {
		if got := reasons["uid="+who+","+people]; !strings.Contains(got, x.reason) {
			d.t.Errorf("%s is listed with %q, want %q", who, got, x.reason)
		}
	}
	conflicts := fmt.Sprint(r["conflicts"])
	for _, w := range []string{"duplicate_name", "left as it was", "not created", strings.ToUpper(pupil(12)), pupil(11), "uid=" + pupil(10) + "," + people, "uid=" + pupil(60) + "," + people} {
		if !strings.Contains(conflicts, w) {
			d.t.Errorf("conflicts %s do not say %q", conflicts, w)
		}
	}
}
