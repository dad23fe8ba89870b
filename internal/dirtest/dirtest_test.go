package dirtest_test

import (
	"bytes"
	"errors"
	"os/exec"
	"strings"
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

func TestSlapdIsAProvider(t *testing.T) {
	s := dirtest.StartSlapd(t, dirtest.SlapdOptions{Provider: true, SessionLog: 100, ServerID: 1})
	person := func(uid string) string {
		return "dn: uid=" + uid + ",ou=people," + s.Suffix + "\nobjectClass: inetOrgPerson\nuid: " + uid + "\ncn: x\nsn: x\n\n"
	}
	stamps := func() int { return len(s.Dump(s.Suffix, "(objectClass=dcObject)", "contextCSN")[0].Get("contextCSN")) }
	s.Apply(person("ann"))
	if n := stamps(); n != 1 {
		t.Errorf("%d stamps, want that of the one server", n)
	}
	backup := s.Backup()
	s.SetServerID(2)
	s.Apply(person("bob"))
	if n := stamps(); n != 2 {
		t.Errorf("%d stamps, want those of two servers", n)
	}
	s.Restore(backup)
	if n, people := stamps(), s.Dump("ou=people,"+s.Suffix, "(uid=*)", "uid"); n != 1 || len(people) != 1 {
		t.Errorf("%d stamps and %d people, want what the backup had", n, len(people))
	}
}

func TestSlapdLimitsWhileItRuns(t *testing.T) {
	s := dirtest.StartSlapd(t, dirtest.SlapdOptions{})
	found := func() int {
		out, err := exec.CommandContext(t.Context(), "ldapsearch", "-LLL", "-x", "-H", s.LDAPI, "-D", s.Reader.DN, "-w", s.Reader.Password,
			"-b", s.Suffix, "(ou=*)", "ou").Output()
		if limited, ok := errors.AsType[*exec.ExitError](err); err != nil && (!ok || limited.ExitCode() != 4) {
			t.Fatal(err)
		}
		return strings.Count(string(out), "dn: ")
	}
	before := found()
	s.Limit(s.Reader, 2)
	if after := found(); before != 3 || after != 2 {
		t.Errorf("%d entries before and %d after, want 3 and 2", before, after)
	}
}
