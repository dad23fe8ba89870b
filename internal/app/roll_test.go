package app

import (
	"fmt"
	"io"
	"maps"
	"net/url"
	"strings"
	"testing"

	"github.com/rollcall-id/rollcall/identity"
	"github.com/rollcall-id/rollcall/internal/dirtest"
	"github.com/rollcall-id/rollcall/state"
	"github.com/rollcall-id/rollcall/store"
)

// run runs the source to its end, however that is, and returns the record.
func (d *running) run() state.Run {
	d.t.Helper()
	source := d.config.Sources[0].ID()
	r, err := d.runner.Start(d.t.Context(), source, "test")
	if err == nil {
		r, err = d.runner.Wait(d.t.Context(), source, r.ID)
	}
	if err != nil {
		d.t.Fatal(err)
	}
	return r
}

// good runs the source and fails unless all of it was read and applied.
func (d *running) good() state.Run {
	d.t.Helper()
	r := d.run()
	if r.State != state.RunSucceeded || !r.Proof.Users || !r.Proof.Groups || len(r.Withheld) > 0 {
		d.t.Fatalf("the run ended as %s: %s %s, proof %+v, held %v, withheld %v\nlog:\n%s",
			r.State, r.Summary, r.Error, r.Proof, r.Held, r.Withheld, d.log)
	}
	return r
}

// stored returns what the store has under some prefixes.
func (d *running) stored(prefixes ...string) map[string]store.Record {
	d.t.Helper()
	all := map[string]store.Record{}
	for _, prefix := range prefixes {
		records, _, err := d.store.List(d.t.Context(), prefix)
		if err != nil {
			d.t.Fatal(err)
		}
		for r, err := range records {
			if err != nil {
				d.t.Fatal(err)
			}
			all[r.Key] = r
		}
	}
	return all
}

// sameBytes fails for every record that was added, removed or written again.
func (d *running) sameBytes(before map[string]store.Record, prefixes ...string) {
	d.t.Helper()
	after := d.stored(prefixes...)
	for key, was := range before {
		is, ok := after[key]
		if !ok || is.Rev != was.Rev || string(is.Value) != string(was.Value) {
			d.t.Errorf("%s was\n%s at %d, and is\n%s at %d", key, was.Value, was.Rev, is.Value, is.Rev)
		}
		delete(after, key)
	}
	for key, r := range after {
		d.t.Errorf("%s was written: %s", key, r.Value)
	}
}

// wroteOnly fails unless a run that changed nothing was one small transaction: where
// the source stands, the record of the run, and the audit entry.
func (d *running) wroteOnly(before store.Revision, run state.Run) {
	d.t.Helper()
	after := d.db.View().Now().Rev()
	if after != before+1 {
		d.t.Errorf("a run that changed nothing moved the revision from %d to %d, want one transaction", before, after)
	}
	size := 0
	for key, r := range d.stored("v/", "w/") {
		if r.Rev <= before {
			continue
		}
		size += len(r.Value)
		if key != "v/s/corp" && key != "w/r/corp/"+run.ID && !strings.HasPrefix(key, "w/a/") {
			d.t.Errorf("a run that changed nothing wrote %s = %s", key, r.Value)
		}
	}
	if size > 4<<10 {
		d.t.Errorf("a run that changed nothing wrote %d bytes", size)
	}
}

// special are people and groups with what the organization lacks: those who may not
// log in, for each reason, and the edges of groups.
func special(org dirtest.Org) func(io.Writer) error {
	return func(w io.Writer) error {
		if err := org.WriteLDIF(w); err != nil {
			return err
		}
		for name, more := range map[string]string{
			"disabled": "pwdAccountLockedTime: 000001010000Z",
			"locked":   "pwdAccountLockedTime: 20260101120000Z",
			"expired":  "objectClass: shadowAccount\nshadowExpire: 1000",
			"expiring": "objectClass: shadowAccount\nshadowExpire: 40000",
			"leaving":  "roomNumber: 1\nroomNumber: 2\nmail: leaving@example.org\nmail: Leaving@example.net",
		} {
			_, _ = fmt.Fprintf(w, "dn: uid=%[1]s,ou=people,%[2]s\nobjectClass: inetOrgPerson\n%[3]s\nuid: %[1]s\ncn: %[1]s\nsn: x\n\n", name, org.Suffix, more)
		}
		_, err := fmt.Fprintf(w, `dn: cn=everybody,ou=groups,%[1]s
objectClass: groupOfNames
cn: everybody
owner: uid=leaving,ou=people,%[1]s
member: CN=Group00000, OU=groups, %[1]s
member: cn=group00001,ou=groups,%[1]s
member: cn=everybody,ou=groups,%[1]s
member: uid=disabled,ou=people,%[1]s
member: uid=leaving,ou=people,%[1]s
member: ou=people,%[1]s
member: cn=nobody,dc=example,dc=com

dn: cn=twin,ou=groups,%[1]s
objectClass: groupOfNames
cn: twin
member: uid=locked,ou=people,%[1]s

dn: ou=branch,ou=groups,%[1]s
objectClass: organizationalUnit
ou: branch

dn: cn=twin,ou=branch,ou=groups,%[1]s
objectClass: groupOfUniqueNames
cn: twin
uniqueMember: uid=expired,ou=people,%[1]s
uniqueMember: cn=twin,ou=groups,%[1]s

dn: ou=moved,ou=people,%[1]s
objectClass: organizationalUnit
ou: moved

`, org.Suffix)
		return err
	}
}

func TestTheRollEqualsSlapd(t *testing.T) {
	t.Parallel()
	org := dirtest.Org{Suffix: "dc=example,dc=org", Users: 10_000, Groups: 1_000, Members: 30, Huge: 2_500}
	slapd := dirtest.StartSlapd(t, dirtest.SlapdOptions{LDIF: special(org), PPolicy: true})
	s := &server{t, slapd.LDAPS, slapd.CA, slapd.Root}
	d := daemonOf(t, openLDAPSource(slapd))
	check := func() picture {
		t.Helper()
		want := openLDAPPicture(t, s, org.Suffix)
		compare(t, want, rollOf(t, d.db.View().Now(), "corp"))
		return want
	}

	first := d.good()
	p := check()
	users, groups := p.edges()
	unresolved := 0
	for _, c := range p.clans {
		unresolved += len(c.Unresolved)
	}
	if len(p.people) != 10_005 || len(p.clans) != 1_003 || users < 30_000 || groups < 800 || unresolved < 50 {
		t.Errorf("a directory of %d people, %d groups, %d + %d memberships and %d unresolved shows too little",
			len(p.people), len(p.clans), users, groups, unresolved)
	}
	if first.SkippedAll != 0 || first.ConflictsAll != 0 {
		t.Errorf("skipped %v, conflicts %v, want none", first.Skipped, first.Conflicts)
	}
	before := d.db.View().Now().Rev()
	d.wroteOnly(before, d.good())

	t.Run("changes", func(t *testing.T) {
		keys := rollOf(t, d.db.View().Now(), "corp")
		changeSlapd(s, org)
		run := d.good()
		check()
		roll := rollOf(t, d.db.View().Now(), "corp")
		for old, now := range map[string]string{
			org.Login(100): "ann.lee", org.Login(101): org.Login(101), "expiring": "expiring",
		} {
			if keys.find(t, old) != roll.find(t, now) {
				t.Errorf("%s has another key as %s", old, now)
			}
		}
		if n := run.Counts; n.Users.Created != 2 || n.Users.Removed != 3 || n.Groups.Created != 1 || n.Groups.Removed != 1 || n.Renamed != 1 {
			t.Errorf("counts %+v", n)
		}
		before := d.db.View().Now().Rev()
		d.wroteOnly(before, d.good())
		p := check()
		for _, group := range []string{"everybody", "group00002", "group00008", "late"} {
			d.closes(p, group)
		}
	})
}

// closes compares who the API says is in a group, directly or by nesting, with a walk
// through what the directory printed.
func (d *running) closes(p picture, group string) {
	d.t.Helper()
	var todo []identity.Key
	for key, c := range p.clans {
		if c.Name == group {
			todo = append(todo, key)
		}
	}
	want, seen := map[string]bool{}, map[identity.Key]bool{}
	for len(todo) > 0 {
		c := p.clans[todo[0]]
		seen[todo[0]] = true
		for _, u := range c.Users {
			want[p.people[u].Name] = true
		}
		todo = todo[1:]
		for _, g := range c.Groups {
			if !seen[g] {
				todo = append(todo, g)
			}
		}
	}
	got, token := map[string]bool{}, ""
	for {
		page := d.call("GET", "/v1/users?pageSize=1000&group="+group+"&pageToken="+url.QueryEscape(token), "", 200)
		for _, x := range page["users"].([]any) {
			if u := x.(map[string]any); u["reason"] != "missing_from_source" { // they keep their place
				got[fmt.Sprint(u["userName"])] = true
			}
		}
		if token = fmt.Sprint(page["nextPageToken"]); token == "" {
			break
		}
	}
	if !maps.Equal(got, want) || len(want) < 10 {
		d.t.Errorf("%d are in %s by the API, and %d by the directory", len(got), group, len(want))
	}
}

// changeSlapd does what happens in a directory in a week.
func changeSlapd(s *server, org dirtest.Org) {
	s.t.Helper()
	people, groups := "ou=people,"+org.Suffix, "ou=groups,"+org.Suffix
	s.modify(
		"dn: uid=new1,"+people+"\nchangetype: add\nobjectClass: inetOrgPerson\nuid: new1\ncn: New, One\nsn: One\nmail: new1@example.org",
		"dn: cn=Odd\\2C \\22New\\22 \\+,"+people+"\nchangetype: add\nobjectClass: inetOrgPerson\nuid: new2\ncn: Odd, \"New\" +\nsn: Two",
		// Three are gone: one who was in groups, one with an odd name, one of the large group.
		"dn: "+org.UserDN(103)+"\nchangetype: delete",
		"dn: "+org.UserDN(1)+"\nchangetype: delete",
		"dn: "+org.UserDN(9_000)+"\nchangetype: delete",
		// A new name for the entry and for the person, a move, and both for another.
		"dn: "+org.UserDN(100)+"\nchangetype: modrdn\nnewrdn: uid=ann.lee\ndeleteoldrdn: 1",
		"dn: "+org.UserDN(101)+"\nchangetype: modrdn\nnewrdn: uid="+org.Login(101)+"\ndeleteoldrdn: 0\nnewsuperior: ou=moved,"+people,
		"dn: uid=expiring,"+people+"\nchangetype: modrdn\nnewrdn: cn=expiring\ndeleteoldrdn: 0\nnewsuperior: ou=moved,"+people,
		// Attributes replaced, added, taken away one and all, and one that has a line break.
		"dn: uid=leaving,"+people+"\nchangetype: modify\ndelete: roomNumber\nroomNumber: 1\n-\ndelete: mail\n-\nreplace: title\ntitle: None\n-\nadd: l\nl:: R3JheiDDnA==\n-",
		"dn: "+org.UserDN(0)+"\nchangetype: modify\nreplace: departmentNumber\ndepartmentNumber: b\ndepartmentNumber: a\n-\ndelete: description\n-",
		"dn: "+org.UserDN(5)+"\nchangetype: modify\nreplace: description\ndescription:: YQpi\n-",
		// Disabled, unlocked, expired.
		"dn: "+org.UserDN(300)+"\nchangetype: modify\nreplace: pwdAccountLockedTime\npwdAccountLockedTime: 000001010000Z\n-",
		"dn: uid=locked,"+people+"\nchangetype: modify\ndelete: pwdAccountLockedTime\n-",
		"dn: "+org.UserDN(301)+"\nchangetype: modify\nadd: objectClass\nobjectClass: shadowAccount\n-\nadd: shadowExpire\nshadowExpire: 15000\n-",
		// Members, users and groups, by every kind of group.
		"dn: "+org.GroupDN(0)+"\nchangetype: modify\nadd: member\nmember: "+org.UserDN(9_999)+"\nmember: uid=new1,"+people+"\n-\ndelete: member\nmember: "+org.UserDN(20)+"\n-",
		"dn: "+org.GroupDN(8)+"\nchangetype: modify\nadd: uniqueMember\nuniqueMember: cn=everybody,"+groups+"\n-",
		"dn: "+org.GroupDN(7)+"\nchangetype: modify\ndelete: memberUid\nmemberUid: nobody-here\n-\nadd: memberUid\nmemberUid: new2\nmemberUid: ann.lee\n-",
		"dn: "+org.GroupDN(4)+"\nchangetype: modify\ndelete: member\nmember: "+org.GroupDN(2)+"\n-",
		"dn: cn=everybody,"+groups+"\nchangetype: modify\ndelete: member\nmember: cn=everybody,"+groups+"\n-\nreplace: owner\nowner: uid=new1,"+people+"\n-",
		// Groups come, go and are renamed; what lists them by the old name loses them.
		"dn: cn=late,"+groups+"\nchangetype: add\nobjectClass: groupOfNames\ncn: late\nmember: "+org.GroupDN(2)+"\nmember: uid=new1,"+people,
		"dn: "+org.GroupDN(40)+"\nchangetype: delete",
		"dn: "+org.GroupDN(50)+"\nchangetype: modrdn\nnewrdn: cn=renamed\ndeleteoldrdn: 1\nnewsuperior: ou=branch,"+groups,
	)
}

func TestTheRollEqualsActiveDirectory(t *testing.T) {
	t.Parallel()
	org := dirtest.Org{Suffix: "DC=ad,DC=example,DC=test", Users: 2_000, Groups: 60, Members: 25, Huge: 1_800, AD: true}
	samba := dirtest.StartSamba(t, dirtest.SambaOptions{LDIF: org.WriteLDIF})
	s := &server{t, samba.LDAPS, samba.CA, samba.Admin}
	d := daemonOf(t, adSource(samba))
	check := func() picture {
		t.Helper()
		want := adPicture(t, s, samba.Suffix)
		compare(t, want, rollOf(t, d.db.View().Now(), "corp"))
		return want
	}

	d.good()
	p := check()
	largest, disabled, expired := map[string]int{}, 0, 0
	for _, c := range p.clans {
		largest[c.Name] = len(c.Users)
	}
	for _, x := range p.people {
		if x.Disabled != identity.Active {
			disabled++
		}
		if !x.Expires.IsZero() {
			expired++
		}
	}
	if len(p.people) < 2_000 || largest["group00000"] != 1_800 || largest["Domain Users"] < 2_000 || disabled < 40 || expired < 15 {
		t.Errorf("a domain of %d people, groups %v, %d disabled, %d expired shows too little", len(p.people), largest, disabled, expired)
	}
	before := d.db.View().Now().Rev()
	d.wroteOnly(before, d.good())

	keys := rollOf(t, d.db.View().Now(), "corp")
	changeAD(s, org, p)
	run := d.good()
	check()
	roll := rollOf(t, d.db.View().Now(), "corp")
	if keys.find(t, org.Login(100)) != roll.find(t, "ann.lee") || keys.find(t, org.Login(101)) != roll.find(t, org.Login(101)) {
		t.Error("a renamed or a moved one has another key")
	}
	if n := run.Counts; n.Users.Created != 1 || n.Users.Removed != 2 || n.Groups.Removed != 1 || n.Renamed != 1 {
		t.Errorf("counts %+v", n)
	}
	before = d.db.View().Now().Rev()
	d.wroteOnly(before, d.good())
}

// changeAD does what happens in a domain in a week.
func changeAD(s *server, org dirtest.Org, p picture) {
	s.t.Helper()
	people := "OU=People," + org.Suffix
	rid := ""
	for _, c := range p.clans {
		if c.Name == "group00003" {
			sid := c.Attributes["sid"][0]
			rid = sid[strings.LastIndexByte(sid, '-')+1:]
		}
	}
	member := org.UserDN(org.MemberUsers(3)[0])
	s.modify(
		"dn: OU=Moved,"+people+"\nchangetype: add\nobjectClass: organizationalUnit\nou: Moved",
		"dn: CN=New\\, One,"+people+"\nchangetype: add\nobjectClass: user\nsAMAccountName: new1\nuserAccountControl: 514\ndisplayName: New, One",
		"dn: "+org.UserDN(102)+"\nchangetype: delete",
		"dn: "+org.UserDN(1)+"\nchangetype: delete",
		"dn: "+org.UserDN(100)+"\nchangetype: modify\nreplace: sAMAccountName\nsAMAccountName: ann.lee\n-\ndelete: title\n-",
		"dn: "+org.UserDN(100)+"\nchangetype: modrdn\nnewrdn: CN=Lee\\, Ann Marie\ndeleteoldrdn: 1",
		"dn: "+org.UserDN(101)+"\nchangetype: modrdn\nnewrdn: CN=Moved\\+One\ndeleteoldrdn: 1\nnewsuperior: OU=Moved,"+people,
		"dn: "+org.UserDN(110)+"\nchangetype: modify\nreplace: userAccountControl\nuserAccountControl: 514\n-",
		"dn: "+org.UserDN(17)+"\nchangetype: modify\nreplace: userAccountControl\nuserAccountControl: 512\n-",
		"dn: "+org.UserDN(111)+"\nchangetype: modify\nreplace: accountExpires\naccountExpires: 134168544001234567\n-",
		"dn: "+org.UserDN(50)+"\nchangetype: modify\nreplace: accountExpires\naccountExpires: 9223372036854775807\n-",
		// Another primary group: the person leaves its list and joins that of the one before.
		"dn: "+member+"\nchangetype: modify\nreplace: primaryGroupID\nprimaryGroupID: "+rid+"\n-",
		"dn: "+org.GroupDN(0)+"\nchangetype: modify\nadd: member\nmember: "+org.UserDN(1_999)+"\n-\ndelete: member\nmember: "+org.UserDN(20)+"\n-",
		"dn: "+org.GroupDN(4)+"\nchangetype: modify\ndelete: member\nmember: "+org.GroupDN(2)+"\n-",
		"dn: "+org.GroupDN(5)+"\nchangetype: modify\nadd: member\nmember: "+org.GroupDN(2)+"\nmember: "+org.GroupDN(0)+"\n-\nreplace: mail\nmail: five@example.test\n-",
		"dn: "+org.GroupDN(40)+"\nchangetype: delete",
		"dn: "+org.GroupDN(50)+"\nchangetype: modrdn\nnewrdn: CN=Renamed\ndeleteoldrdn: 1\nnewsuperior: "+people,
	)
}
