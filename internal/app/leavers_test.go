package app

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"

	"github.com/rollcall-id/rollcall/identity"
	"github.com/rollcall-id/rollcall/internal/dirtest"
	"github.com/rollcall-id/rollcall/state"
	"github.com/rollcall-id/rollcall/sync/plan"
)

// whatIsLocal is where grants and local layers are stored.
var whatIsLocal = []string{"v/p/", "v/l/", "v/t/"}

// user returns a user by the name that he has in the source.
func (d *running) user(name string) *identity.User {
	d.t.Helper()
	snap := d.db.View().Now()
	id, err := snap.OneUser("corp/" + name)
	if err != nil {
		d.t.Fatal(err)
	}
	u, _, _ := snap.User(id)
	return u
}

// status returns what the API says of a user: active, and if not, why.
func (d *running) status(name string) string {
	d.t.Helper()
	u := d.call("GET", "/v1/users/corp%2F"+name, "", 200)
	if reason, ok := u["reason"].(string); ok {
		return reason
	}
	status, _ := u["status"].(string)
	return status
}

// may asks whether a user has a permission.
func (d *running) may(name, permission string) bool {
	d.t.Helper()
	out := d.call("POST", "/v1/check", fmt.Sprintf(`{"user":%q,"permission":%q}`, "corp/"+name, permission), 200)
	allowed, _ := out["allowed"].(bool)
	return allowed
}

// TestWhoLeavesKeepsWhatIsHisAndReturnsWithIt follows people and a group who leave a
// directory and return to it: under the same key, which restores them with their
// grants and local attributes, and under another, which a person has to settle.
func TestWhoLeavesKeepsWhatIsHisAndReturnsWithIt(t *testing.T) {
	t.Parallel()
	org := dirtest.Org{Suffix: "dc=example,dc=org", Users: 60, Groups: 12, Members: 12}
	slapd := dirtest.StartSlapd(t, dirtest.SlapdOptions{LDIF: org.WriteLDIF})
	s := &server{t, slapd.LDAPS, slapd.CA, slapd.Root}
	d := daemonOf(t, openLDAPSource(slapd))
	d.good()
	filtered, deleted, group := org.Login(5), org.Login(31), "group00000"
	for _, name := range []string{filtered, deleted} {
		d.call("PUT", "/v1/users/"+name+"/grants/AUDIT", `{"reason":"looks after the log"}`, 201)
		d.call("PUT", "/v1/users/"+name+"/attributes/desk", `{"values":["4711","0815"]}`, 200)
	}
	d.call("PUT", "/v1/groups/"+group+"/grants/GOVERNANCE", `{"reason":"they are stewards","acknowledgeDirectory":true}`, 201)
	d.call("PUT", "/v1/groups/"+group+"/attributes/floor", `{"values":["3"]}`, 200)
	if !d.may(filtered, "GOVERNANCE") || !d.may(deleted, "AUDIT") || !d.may(org.Login(1), "GOVERNANCE") {
		t.Fatal("the grants do not work before anybody leaves")
	}
	ids := map[string]identity.UserID{filtered: d.user(filtered).ID, deleted: d.user(deleted).ID}
	local := d.stored(whatIsLocal...)
	check := func() {
		t.Helper()
		d.sameBytes(local, whatIsLocal...)
		compare(t, openLDAPPicture(t, s, org.Suffix), rollOf(t, d.db.View().Now(), "corp"))
	}
	gone := s.search("ou=people,"+org.Suffix, "(uid="+deleted+")", "*", "entryUUID")[0]
	goneGroup := s.search("ou=groups,"+org.Suffix, "(cn="+group+")", "*", "entryUUID")[0]

	s.modify(
		"dn: "+org.UserDN(5)+"\nchangetype: modify\nadd: employeeType\nemployeeType: left\n-",
		"dn: "+org.UserDN(31)+"\nchangetype: delete",
		"dn: "+org.GroupDN(0)+"\nchangetype: delete",
	)
	run := d.good()
	if run.Counts.Users.Removed != 2 || run.Counts.Groups.Removed != 1 {
		t.Errorf("counts %+v, want two people and a group that left", run.Counts)
	}
	check()
	for _, name := range []string{filtered, deleted} {
		if got := d.status(name); got != "missing_from_source" {
			t.Errorf("%s is %q, want missing_from_source", name, got)
		}
		if d.may(name, "AUDIT") {
			t.Errorf("%s has left and may still look at the audit log", name)
		}
	}
	if d.may(org.Login(1), "GOVERNANCE") {
		t.Error("a group that is gone still gives its permission")
	}

	// One satisfies the filter again. The name of the other was given to a new entry.
	s.modify(
		"dn: "+org.UserDN(5)+"\nchangetype: modify\ndelete: employeeType\n-",
		"dn: "+org.UserDN(31)+"\nchangetype: add\nobjectClass: inetOrgPerson\nuid: "+deleted+"\ncn: Somebody Else\nsn: Else",
	)
	run = d.good()
	d.sameBytes(local, whatIsLocal...)
	if got := d.status(filtered); got != "active" || d.user(filtered).ID != ids[filtered] || !d.may(filtered, "AUDIT") {
		t.Errorf("%s returned as %q %v, want active and who he was", filtered, got, d.user(filtered).ID)
	}
	if d.user(filtered).Record.Key != identity.Key(s.search("ou=people,"+org.Suffix, "(uid="+filtered+")", "entryUUID")[0].first("entryuuid")) {
		t.Errorf("%s returned under another key", filtered)
	}
	recreated(t, run, deleted, gone.first("entryuuid"))
	if got := d.status(deleted); got != "missing_from_source" || d.user(deleted).ID != ids[deleted] || d.may(deleted, "AUDIT") {
		t.Errorf("a new entry took the name of %s, who is %q %v and may audit: %v", deleted, got, d.user(deleted).ID, d.may(deleted, "AUDIT"))
	}

	// The directory is restored from its backup: the old entries are back, with their keys.
	s.modify("dn: " + org.UserDN(31) + "\nchangetype: delete")
	slapd.LoadLDIF(func(w io.Writer) error {
		restore(w, gone)
		restore(w, goneGroup)
		return nil
	})
	run = d.good()
	if run.ConflictsAll != 0 || run.Counts.Users.Returned != 1 || run.Counts.Groups.Returned != 1 {
		t.Errorf("conflicts %v, counts %+v, want one person and one group that are back", run.Conflicts, run.Counts)
	}
	check()
	if d.status(deleted) != "active" || d.user(deleted).ID != ids[deleted] || !d.may(deleted, "AUDIT") || !d.may(org.Login(1), "GOVERNANCE") {
		t.Errorf("%s is %q, and may audit: %v; the group gives: %v", deleted, d.status(deleted), d.may(deleted, "AUDIT"), d.may(org.Login(1), "GOVERNANCE"))
	}
	desk := d.call("GET", "/v1/users/"+deleted, "", 200)["local"].(map[string]any)["attributes"].(map[string]any)["desk"]
	if fmt.Sprint(desk) != "[0815 4711]" {
		t.Errorf("the local attribute is %v after the return", desk)
	}
}

// recreated fails unless a run left the new entry under an old name to a person.
func recreated(t *testing.T, run state.Run, name, holder string) {
	t.Helper()
	if len(run.Conflicts) != 1 || run.Counts.Users.Created != 0 {
		t.Fatalf("conflicts %+v, counts %+v, want the one about %s and nobody created", run.Conflicts, run.Counts, name)
	}
	c := run.Conflicts[0]
	if c.Code != plan.Recreated || c.Name != name || string(c.Holder) != holder || !strings.Contains(c.Detail, "one person") {
		t.Errorf("conflict %+v, want that %s of %s was recreated", c, name, holder)
	}
}

// restore writes an entry as slapcat would.
func restore(w io.Writer, d dumped) {
	dirtest.LDIF(w, "dn", d.dn)
	names := make([]string, 0, len(d.values))
	for name := range d.values {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		for _, v := range d.values[name] {
			dirtest.LDIF(w, name, v)
		}
	}
	_, _ = io.WriteString(w, "\n")
}
