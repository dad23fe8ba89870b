package dirtest_test

import (
	"io"
	"path/filepath"
	"testing"

	"github.com/rollcall-id/rollcall/internal/dirtest"
)

func TestDS389ComesBack(t *testing.T) {
	s := dirtest.Start389(t, dirtest.DS389Options{MemberOf: true, RefInt: true, LDIF: func(w io.Writer) error {
		_, err := io.WriteString(w, "dn: uid=ann,ou=people,dc=example,dc=org\nobjectClass: inetOrgPerson\nuid: ann\ncn: Ann\nsn: Lee\n\n")
		return err
	}})
	s.Apply(t, "dn: cn=staff,ou=groups,"+s.Suffix+"\nobjectClass: groupOfNames\ncn: staff\nmember: uid=ann,ou=people,"+s.Suffix+"\n")
	s.Kill()
	if err := s.Start(); err != nil {
		t.Fatal(err)
	}
	got := s.Dump(t, "ou=people,"+s.Suffix, "(uid=ann)", "cn", "nsUniqueId", "memberOf")
	if len(got) != 1 || got[0].First("cn") != "Ann" || got[0].First("nsUniqueId") == "" {
		t.Fatalf("Dump = %+v, want Ann", got)
	}
	if got[0].First("memberOf") != "cn=staff,ou=groups,"+s.Suffix {
		t.Errorf("memberOf = %q", got[0].First("memberOf"))
	}
	backup := filepath.Join(t.TempDir(), "backup")
	if err := s.Backup(backup); err != nil {
		t.Fatal(err)
	}
	s.Apply(t, "dn: uid=ann,ou=people,"+s.Suffix+"\nchangetype: delete\n")
	if err := s.Restore(backup); err != nil {
		t.Fatal(err)
	}
	if back := s.Dump(t, "ou=people,"+s.Suffix, "(uid=ann)", "cn"); len(back) != 1 {
		t.Errorf("%d entries after the restore, want Ann", len(back))
	}
	s.Apply(t, "dn: uid=ann,ou=people,"+s.Suffix+"\nchangetype: delete\n")
	if left := s.Dump(t, "ou=groups,"+s.Suffix, "(cn=staff)", "member"); len(left) != 1 || len(left[0].Get("member")) != 0 {
		t.Errorf("the group is %+v, want it empty", left)
	}
	for _, e := range s.Dump(t, "cn=changelog", "(objectClass=changeLogEntry)", "targetUniqueId", "changeType") {
		if e.First("targetUniqueId") == "" {
			t.Errorf("%s %s names no nsuniqueid", e.DN, e.First("changeType"))
		}
	}
}
