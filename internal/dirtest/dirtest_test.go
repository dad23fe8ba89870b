package dirtest_test

import (
	"bytes"
	"testing"

	"github.com/rollcall-id/rollcall/internal/dirtest"
)

func TestTheSameOrganizationTwice(t *testing.T) {
	var a, b bytes.Buffer
	for _, out := range []*bytes.Buffer{&a, &b} {
		org := dirtest.Org{Suffix: "dc=example,dc=org", Users: 50, Groups: 12, Members: 7, Huge: 20}
		if err := org.WriteLDIF(out); err != nil {
			t.Fatal(err)
		}
	}
	if !bytes.Equal(a.Bytes(), b.Bytes()) {
		t.Error("the same fields gave different LDIF")
	}
	entries, err := dirtest.ParseLDIF(&a)
	if err != nil || len(entries) != 62 {
		t.Errorf("ParseLDIF = %d entries, %v, want 62", len(entries), err)
	}
}

func TestSlapdComesBack(t *testing.T) {
	s := dirtest.StartSlapd(t, dirtest.SlapdOptions{MemberOf: true, RefInt: true, PPolicy: true})
	s.Apply("dn: uid=ann,ou=people," + s.Suffix + "\nobjectClass: inetOrgPerson\nuid: ann\ncn: Ann\nsn: Lee\n")
	s.Kill()
	s.Start()
	got := s.Dump("ou=people,"+s.Suffix, "(uid=ann)", "cn")
	if len(got) != 1 || got[0].First("CN") != "Ann" {
		t.Errorf("Dump = %+v, want Ann", got)
	}
}
