package ldapserver

import (
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// slapd starts an OpenLDAP server with the same entries and accounts as the
// directory and returns its address.
func slapd(t *testing.T, entries []Entry) string {
	t.Helper()
	// Not t.TempDir: the path of a Unix socket is short.
	dir, err := os.MkdirTemp("", "slapd")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	conf, data := filepath.Join(dir, "slapd.conf"), filepath.Join(dir, "data.ldif")
	write := func(path, text string) {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write(conf, strings.Join([]string{
		"include /etc/ldap/schema/core.schema", "include /etc/ldap/schema/cosine.schema", "include /etc/ldap/schema/inetorgperson.schema",
		"modulepath /usr/lib/ldap", "moduleload back_mdb",
		"database mdb", "suffix " + suffix, "rootdn " + readerDN, "rootpw " + readerPW, "directory " + dir, "maxsize 67108864",
	}, "\n"))
	write(data, ldif(entries))
	if out, err := exec.CommandContext(t.Context(), tool(t, "slapadd"), "-f", conf, "-l", data).CombinedOutput(); err != nil {
		t.Fatalf("slapadd: %v\n%s", err, out)
	}
	address := "ldapi://" + url.QueryEscape(filepath.Join(dir, "s"))
	cmd := exec.CommandContext(t.Context(), tool(t, "slapd"), "-f", conf, "-h", address, "-d", "0")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Signal(os.Interrupt)
		_ = cmd.Wait()
	})
	for range 100 {
		if _, code := client(t, address, "-s", "base", "-b", suffix, "1.1"); code == 0 {
			return address
		}
		time.Sleep(50 * time.Millisecond)
	}
	t.Fatal("slapd does not answer")
	return ""
}

func ldif(entries []Entry) string {
	var b strings.Builder
	for _, e := range entries {
		fmt.Fprintf(&b, "dn: %s\n", e.DN)
		for _, a := range e.Attributes {
			for _, v := range a.Values {
				fmt.Fprintf(&b, "%s: %s\n", a.Name, v)
			}
		}
		b.WriteByte('\n')
	}
	return b.String()
}

// sorted returns the records of an LDIF with their lines in order, as neither
// attributes nor values have one.
func sorted(text string) []string {
	var out []string
	for record := range strings.SplitSeq(strings.TrimSpace(text), "\n\n") {
		// A cookie is the server's own affair.
		lines := slices.DeleteFunc(strings.Split(record, "\n"), func(l string) bool { return strings.HasPrefix(l, "# pagedresults") })
		slices.Sort(lines)
		out = append(out, strings.Join(lines, "\n"))
	}
	out = slices.DeleteFunc(out, func(s string) bool { return s == "" })
	slices.Sort(out)
	return out
}

// comma undoes the two ways of writing a comma in a name; slapd chooses one.
var comma = strings.NewReplacer(`\2C`, `\,`, `\2c`, `\,`)

var searches = [][]string{
	{"-b", suffix},
	{"-b", suffix, "-s", "base"},
	{"-b", suffix, "-s", "one"},
	{"-b", "OU=People, DC=Example,dc=org", "-s", "one", "(objectclass=INETORGPERSON)", "UID", "cn"},
	{"-b", `cn=Smith\2C Bo,ou=people,` + suffix, "-s", "base", "cn"},
	{"-b", `employeeNumber=33+uid=carl,ou=people,` + suffix, "-s", "base"},
	{"-b", "uid=gone,ou=people," + suffix},
	{"-b", "not a name"},
	{"-b", "dc=elsewhere,dc=org"},
	{"-b", suffix, "(uid=ANNA)", "mail"},
	{"-b", suffix, "(cn=carl double)", "cn"},
	{"-b", suffix, "(cn=jürgen MÜLLER)", "cn"},
	{"-b", suffix, "(cn=anna*)", "cn"},
	{"-b", suffix, "(cn=*smith*)", "cn"},
	{"-b", suffix, "(mail=*@example.org)", "mail"},
	{"-b", suffix, "(mail=a*smith*org)", "mail"},
	{"-b", suffix, `(description=*\2astars\2a)`, "description"},
	{"-b", suffix, `(description=*\28most\29*)`, "description"},
	{"-b", suffix, "(mail=*)", "1.1"},
	{"-b", suffix, "(!(mail=*))", "1.1"},
	{"-b", suffix, "(&(objectClass=person)(|(uid=anna)(uid=bo))(!(uid=bo)))", "uid"},
	{"-b", suffix, "(&)", "1.1"},
	{"-b", suffix, "(|)", "1.1"},
	{"-b", suffix, "(createTimestamp>=20000101000000Z)", "1.1"},
	{"-b", suffix, "(!(modifyTimestamp<=20000101000000Z))", "1.1"},
	{"-b", suffix, "(member=uid=JUERGEN,ou=people, " + suffix + ")", "cn"},
	{"-b", suffix, `(member=cn=smith\2c bo,ou=people,` + suffix + ")", "cn"},
	{"-b", suffix, "(manager=uid=anna,ou=people," + suffix + ")", "uid"},
	{"-b", suffix, "(ou:dn:=people)", "1.1"},
	{"-b", suffix, "(uid:caseIgnoreMatch:=Anna)", "1.1"},
	{"-b", suffix, "(1.2.840.113556.1.4.1941:=x)", "1.1"},
	{"-b", suffix, "(member:1.2.840.113556.1.4.1941:=uid=anna,ou=people," + suffix + ")", "1.1"},
	{"-b", suffix, "(!(member:1.2.840.113556.1.4.1941:=uid=anna,ou=people," + suffix + "))", "1.1"},
	{"-b", suffix, "(entryDN=uid=anna,ou=people," + suffix + ")", "entryDN", "hasSubordinates"},
	{"-b", suffix, "-s", "base", "objectClass", "structuralObjectClass", "hasSubordinates"},
	{"-b", suffix, "-A", "(uid=anna)"},
	{"-b", suffix, "-z", "2", "(objectClass=person)", "objectClass"},
	{"-b", suffix, "-z", "2", "-E", "pr=1/noprompt", "(objectClass=person)", "1.1"},
	{"-b", suffix, "-E", "pr=2/noprompt", "(objectClass=person)", "uid"},
	{"-b", suffix, "-e", "!1.2.3.4", "(uid=anna)"},
	{"-b", suffix, "-e", "1.2.3.4", "(uid=anna)", "uid"},
	{"-b", "", "-s", "base", "objectClass", "namingContexts", "supportedLDAPVersion"},
	{"-b", "", "-s", "base"},
}

func TestAnswersAsOpenLDAPDoes(t *testing.T) {
	ours, theirs := start(t, small(t)).URL(), slapd(t, smallEntries())
	for _, args := range searches {
		got, gotCode := client(t, ours, args...)
		want, wantCode := client(t, theirs, args...)
		if gotCode != wantCode {
			t.Errorf("%q: exit %d, OpenLDAP's %d\n%s\n%s", args, gotCode, wantCode, got, want)
			continue
		}
		if gotCode != 0 { // the wording may differ, the entries before it may not
			got, want = strings.Join(names(got), "\n"), strings.Join(names(want), "\n")
		}
		if diff := cmp.Diff(sorted(comma.Replace(want)), sorted(comma.Replace(got))); diff != "" {
			t.Errorf("%q (-OpenLDAP +ours):\n%s", args, diff)
		}
	}
}

var writes = []string{
	"dn: uid=dora,ou=people," + suffix + "\nchangetype: add\nobjectClass: inetOrgPerson\ncn: Dora\nsn: D\n",
	"dn: uid=anna,ou=people," + suffix + "\nchangetype: add\nobjectClass: inetOrgPerson\ncn: A\nsn: A\n",
	"dn: uid=x,ou=nowhere," + suffix + "\nchangetype: add\nobjectClass: inetOrgPerson\ncn: A\nsn: A\n",
	"dn: uid=anna,ou=people," + suffix + "\nchangetype: modify\nadd: mail\nmail: third@example.org\n-\ndelete: employeeNumber\n-\nreplace: sn\nsn: Smythe\n",
	"dn: uid=anna,ou=people," + suffix + "\nchangetype: modify\nadd: mail\nmail: ANNA@example.org\n",
	"dn: uid=anna,ou=people," + suffix + "\nchangetype: modify\ndelete: mail\nmail: nobody@example.org\n",
	"dn: uid=anna,ou=people," + suffix + "\nchangetype: modify\ndelete: title\n",
	"dn: uid=anna,ou=people," + suffix + "\nchangetype: modify\ndelete: uid\n",
	"dn: cn=staff,ou=groups," + suffix + "\nchangetype: modify\ndelete: member\nmember: UID=anna,OU=people, " + suffix + "\n",
	"dn: uid=juergen,ou=people," + suffix + "\nchangetype: modrdn\nnewrdn: uid=jm\ndeleteoldrdn: 1\nnewsuperior: ou=groups," + suffix + "\n",
	"dn: uid=bo,ou=people," + suffix + "\nchangetype: modrdn\nnewrdn: uid=anna\ndeleteoldrdn: 1\n",
	"dn: uid=dora,ou=people," + suffix + "\nchangetype: modrdn\nnewrdn: uid=anna\ndeleteoldrdn: 1\n",
	"dn: ou=people," + suffix + "\nchangetype: modrdn\nnewrdn: ou=folk\ndeleteoldrdn: 1\n",
	"dn: ou=folk," + suffix + "\nchangetype: delete\n",
	"dn: uid=dora,ou=folk," + suffix + "\nchangetype: delete\n",
	"dn: uid=dora,ou=folk," + suffix + "\nchangetype: delete\n",
}

func TestWritesAsOpenLDAPDoes(t *testing.T) {
	s := start(t, small(t), func(o *Options) { o.Writers = []string{readerDN} })
	theirs := slapd(t, smallEntries())
	for _, change := range writes {
		var codes []int
		for _, address := range []string{s.URL(), theirs} {
			cmd := exec.CommandContext(t.Context(), tool(t, "ldapmodify"), "-H", address, "-x", "-D", readerDN, "-w", readerPW)
			cmd.Stdin = strings.NewReader(change)
			out, err := cmd.CombinedOutput()
			if err != nil && cmd.ProcessState == nil {
				t.Fatalf("ldapmodify: %v\n%s", err, out)
			}
			codes = append(codes, cmd.ProcessState.ExitCode())
		}
		if codes[0] != codes[1] {
			t.Errorf("%q: exit %d, OpenLDAP's %d", change, codes[0], codes[1])
		}
		got, _ := client(t, s.URL(), "-b", suffix)
		want, _ := client(t, theirs, "-b", suffix)
		if diff := cmp.Diff(sorted(comma.Replace(want)), sorted(comma.Replace(got))); diff != "" {
			t.Fatalf("after %q (-OpenLDAP +ours):\n%s", change, diff)
		}
	}
}
