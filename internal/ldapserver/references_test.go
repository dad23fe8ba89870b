package ldapserver

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestReferencesAreMended(t *testing.T) {
	const ann, crew = "uid=Ann,ou=people," + suffix, "cn=Crew,ou=groups," + suffix
	for _, row := range []struct {
		name       string
		references References
		// What the group holds after Ann's and her unit's renames, and after her deletion.
		renamed, deleted string
		memberOf         string
		stamped          bool // Ann and the group, by what was done to the other
	}{
		{"stay", ReferencesStay, ann, ann, "", false},
		{"mend", ReferencesMend, "uid=Anna,ou=folk," + suffix, "", "cn=Gang,ou=groups," + suffix, false},
		{"change", ReferencesChange, "uid=anna,ou=folk," + suffix, "", "cn=Gang,ou=groups," + suffix, true},
	} {
		now := clock()
		d, err := NewDirectory(DirectoryOptions{Suffixes: []string{suffix}, References: row.references, Now: func() time.Time {
			now = now.Add(time.Second)
			return now
		}})
		if err != nil {
			t.Fatal(err)
		}
		must := func(err error) {
			t.Helper()
			if err != nil {
				t.Fatalf("%s: %v", row.name, err)
			}
		}
		for _, e := range smallEntries()[:3] {
			must(d.Put(e))
		}
		must(d.Put(Entry{DN: ann, Attributes: []Attribute{Attr("objectClass", "inetOrgPerson")}}))
		must(d.Put(Entry{DN: crew, Attributes: []Attribute{Attr("objectClass", "groupOfNames"), Attr("member", ann)}}))
		stamp := func(name string) string {
			e, _ := d.Lookup(name)
			return e.First("entryCSN")
		}
		before := stamp(ann)
		must(d.Rename(crew, "cn=Gang", ""))
		if moved := stamp(ann) != before; moved != row.stamped {
			t.Errorf("%s: the group's rename stamped its member: %t", row.name, moved)
		}
		gang := "cn=Gang,ou=groups," + suffix
		before = stamp(gang)
		must(d.Rename(ann, "uid=Anna", ""))
		must(d.Rename("ou=people,"+suffix, "ou=folk", ""))
		if moved := stamp(gang) != before; moved != row.stamped {
			t.Errorf("%s: a member's rename stamped the group: %t", row.name, moved)
		}
		group, _ := d.Lookup(gang)
		user, _ := d.Lookup("uid=Anna,ou=folk," + suffix)
		if group.First("member") != row.renamed || user.First("memberOf") != row.memberOf {
			t.Errorf("%s: after the renames, member is %q and memberOf %q; want %q, %q", row.name, group.First("member"), user.First("memberOf"), row.renamed, row.memberOf)
		}
		must(d.Delete("uid=Anna,ou=folk," + suffix))
		if group, _ = d.Lookup(gang); group.First("member") != row.deleted {
			t.Errorf("%s: after the deletion, member is %q, want %q", row.name, group.First("member"), row.deleted)
		}
	}
}

func TestABackupBringsEverythingBack(t *testing.T) {
	d, err := NewDirectory(DirectoryOptions{Suffixes: []string{suffix}, Seed: 1, References: ReferencesMend})
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range smallEntries() {
		if err := d.Put(e); err != nil {
			t.Fatal(err)
		}
	}
	p := NewSyncProvider(d, SyncOptions{SessionLog: 10})
	ad, err := NewAD(d, ADOptions{})
	if err != nil {
		t.Fatal(err)
	}
	const anna, staff = "uid=anna,ou=people," + suffix, "cn=staff,ou=groups," + suffix
	change := func() {
		t.Helper()
		for _, err := range []error{
			d.Modify(staff, Change{DeleteValues, "member", []string{`cn=Smith\, Bo,ou=people,` + suffix}}), d.Rename(anna, "uid=ann", ""),
			d.Delete("uid=juergen,ou=people," + suffix),
		} {
			if err != nil {
				t.Fatal(err)
			}
		}
	}
	picture := func() []string {
		var out []string
		for e := range d.All() {
			for _, a := range e.Attributes {
				out = append(out, e.DN+" "+a.Name+" "+strings.Join(a.Values, " "))
			}
		}
		for _, s := range *ad.slots.Load() {
			if e := s.entry.Load(); e != nil {
				out = append(out, e.name.text+" "+e.first("usnchanged"))
			}
		}
		return append(out, p.ContextCSN()...)
	}
	late := NewSyncProvider(d, SyncOptions{})
	before, backup := picture(), d.Backup()
	later := NewSyncProvider(d, SyncOptions{})
	change()
	after := picture()
	for range 2 {
		d.Restore(backup)
		if diff := cmp.Diff(before, picture()); diff != "" {
			t.Fatalf("restored (-before +after):\n%s", diff)
		}
		if !slices.Equal(late.ContextCSN(), p.ContextCSN()) || !slices.Equal(later.ContextCSN(), p.ContextCSN()) {
			t.Errorf("the providers differ: %v, %v, %v", p.ContextCSN(), late.ContextCSN(), later.ContextCSN())
		}
		// The same changes come to the same, times aside.
		change()
		if got := len(picture()); got != len(after) {
			t.Errorf("after the same changes, %d attributes, want %d", got, len(after))
		}
	}
}

// TestReferencesAreMendedLate renames and deletes members of a group, which holds their
// old names until it is told not to, and has no other stamp then.
func TestReferencesAreMendedLate(t *testing.T) {
	d, err := NewDirectory(DirectoryOptions{Suffixes: []string{suffix}, References: ReferencesMendLate})
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	must(err)
	for _, e := range smallEntries()[:3] {
		must(d.Put(e))
	}
	name := func(uid string) string { return "uid=" + uid + ",ou=people," + suffix }
	for _, uid := range []string{"ann", "bob"} {
		must(d.Put(Entry{DN: name(uid), Attributes: []Attribute{Attr("objectClass", "inetOrgPerson")}}))
	}
	const crew = "cn=crew,ou=groups," + suffix
	must(d.Put(Entry{DN: crew, Attributes: []Attribute{Attr("objectClass", "groupOfNames"), Attr("member", name("ann"), name("bob"))}}))
	before, _ := d.Lookup(crew)
	must(d.Rename(name("ann"), "uid=lee", ""))
	must(d.Delete(name("bob")))
	if held, _ := d.Lookup(crew); !cmp.Equal(held, before) {
		t.Errorf("the group is %v before it was mended, want %v", held, before)
	}
	for range 2 {
		d.MendReferences()
		after, _ := d.Lookup(crew)
		if after.First("member") != name("lee") || after.First("entryCSN") != before.First("entryCSN") {
			t.Errorf("mended, the group is %v", after)
		}
	}
}
