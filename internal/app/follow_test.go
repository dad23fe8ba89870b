package app

import (
	"fmt"
	"strings"
	"testing"

	"github.com/rollcall-id/rollcall/identity"
	"github.com/rollcall-id/rollcall/internal/dirtest"
	"github.com/rollcall-id/rollcall/state"
)

// TestADirectoryIsFollowed changes a directory under a daemon that is told when it does:
// what changed is in the roll without a run by schedule or by hand, nothing else is
// read, and what is local stays byte for byte.
func TestADirectoryIsFollowed(t *testing.T) {
	t.Parallel()
	org := dirtest.Org{Suffix: "dc=example,dc=org", Users: 80, Groups: 12, Members: 12}
	slapd := dirtest.StartSlapd(t, dirtest.SlapdOptions{LDIF: org.WriteLDIF, Provider: true, SessionLog: 100})
	s := &server{t, slapd.LDAPS, slapd.CA, slapd.Root}
	d := daemonOf(t, "follow: true\n"+strings.TrimSpace(openLDAPSource(slapd)))
	if first := d.good(); first.Reach != identity.ReachFull || !strings.Contains(first.Proof.Why, "changes are read by syncrepl") {
		t.Fatalf("the first run: reach %q, %s", first.Reach, first.Proof.Why)
	}
	leaver := org.Login(31)
	d.call("PUT", "/v1/users/"+leaver+"/grants/AUDIT", `{"reason":"looks after the log"}`, 201)
	d.call("PUT", "/v1/groups/group00000/grants/GOVERNANCE", `{"reason":"they are stewards","acknowledgeDirectory":true}`, 201)
	local := d.stored(whatIsLocal...)

	for i, x := range []struct {
		what string
		ldif []string
		done func(*state.Snapshot) bool
	}{
		{"a title changed", []string{"dn: " + org.UserDN(20) + "\nchangetype: modify\nreplace: title\ntitle: Chief of Follow\n-"}, func(*state.Snapshot) bool {
			return d.user(org.Login(20)).Record.Profile[identity.Position] == "Chief of Follow"
		}},
		{"somebody left", []string{"dn: " + org.UserDN(31) + "\nchangetype: delete"}, func(*state.Snapshot) bool {
			return !d.user(leaver).Missing.IsZero()
		}},
		{"many changed at once", func() (ldif []string) {
			for i := 57; i < 60; i++ { // more would end more memberships than the limits allow
				ldif = append(ldif, fmt.Sprintf("dn: %s\nchangetype: modrdn\nnewrdn: uid=moved%d\ndeleteoldrdn: 1", org.UserDN(i), i))
			}
			return append(ldif, "dn: "+org.GroupDN(0)+"\nchangetype: modify\nadd: member\nmember: uid=moved59,ou=people,"+org.Suffix+"\n-")
		}(), func(snap *state.Snapshot) bool { return len(snap.FindUsers("corp/moved59")) == 1 }},
	} {
		s.modify(x.ldif...)
		d.until(x.what, x.done)
		if i == 1 && d.may(leaver, "AUDIT") {
			t.Error("one who left may still look at the audit log")
		}
	}
	d.until("all that changed was read", func(*state.Snapshot) bool {
		st := d.runner.Status("corp")
		return st.Running == nil && len(d.db.View().Now().FindUsers("corp/moved57")) == 1
	})
	d.sameBytes(local, whatIsLocal...)
	compare(t, openLDAPPicture(t, s, org.Suffix), rollOf(t, d.db.View().Now(), "corp"))
	runs, err := d.db.Runs(t.Context(), "corp")
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range runs[:len(runs)-1] {
		if r.Trigger != "change" || r.Reach != identity.ReachChanges {
			t.Errorf("a run by %s read %q: %s", r.Trigger, r.Reach, r.Proof.Why)
		}
	}
	if len(runs) < 4 {
		t.Errorf("%d runs", len(runs))
	}
}
