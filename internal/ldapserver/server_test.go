package ldapserver

import (
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	suffix   = "dc=example,dc=org"
	readerDN = "cn=reader," + suffix
	readerPW = "read-me"
)

// clock is a time that stands still.
func clock() time.Time { return time.Date(2026, 3, 1, 9, 0, 0, 0, time.UTC) }

// small returns a directory with a few awkward entries.
func small(t testing.TB) *Directory {
	t.Helper()
	d, err := NewDirectory(DirectoryOptions{Suffixes: []string{suffix}, Seed: 1, Now: clock})
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range smallEntries() {
		if err := d.Put(e); err != nil {
			t.Fatalf("Put(%s) = %v", e.DN, err)
		}
	}
	return d
}

func smallEntries() []Entry {
	person := func(rdn, uid, cn, sn string, more ...Attribute) Entry {
		return Entry{DN: rdn + ",ou=people," + suffix, Attributes: append([]Attribute{
			Attr("objectClass", "top", "person", "organizationalPerson", "inetOrgPerson"),
			Attr("uid", uid), Attr("cn", cn), Attr("sn", sn),
		}, more...)}
	}
	return []Entry{
		{DN: suffix, Attributes: []Attribute{Attr("objectClass", "top", "dcObject", "organization"), Attr("o", "Example"), Attr("dc", "example")}},
		{DN: "ou=people," + suffix, Attributes: []Attribute{Attr("objectClass", "organizationalUnit"), Attr("ou", "people")}},
		{DN: "ou=groups," + suffix, Attributes: []Attribute{Attr("objectClass", "organizationalUnit"), Attr("ou", "groups")}},
		person("uid=anna", "anna", "Anna Smith", "Smith", Attr("mail", "anna@example.org", "A.Smith@example.org"), Attr("employeeNumber", "7"), Attr("description", "keeps (most) *stars*")),
		person("uid=juergen", "juergen", "Jürgen Müller", "Müller", Attr("givenName", "Jürgen"), Attr("employeeNumber", "12")),
		person(`cn=Smith\, Bo`, "bo", "Smith, Bo", "Smith", Attr("telephoneNumber", "+49 30 1234")),
		person("employeeNumber=33+uid=carl", "carl", "Carl  Double", "Double", Attr("employeeNumber", "33"), Attr("manager", "UID=Anna, OU=People, dc=example,dc=org")),
		{DN: "cn=staff,ou=groups," + suffix, Attributes: []Attribute{
			Attr("objectClass", "groupOfNames"), Attr("cn", "staff"),
			Attr("member", "uid=anna,ou=people,"+suffix, "UID=Juergen,OU=People,"+suffix, `cn=Smith\, Bo,ou=people,`+suffix),
		}},
	}
}

// start runs a server over the directory that lets the reader account in.
func start(t testing.TB, d *Directory, change ...func(*Options)) *Server {
	t.Helper()
	o := Options{Directory: d, Accounts: map[string]string{readerDN: readerPW}}
	for _, c := range change {
		c(&o)
	}
	s, err := Start(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Errorf("Close() = %v", err)
		}
	})
	return s
}

// tool finds a program of ldap-utils or slapd.
func tool(t testing.TB, name string) string {
	t.Helper()
	for _, dir := range []string{"", "/usr/sbin/", "/usr/bin/"} {
		if path, err := exec.LookPath(dir + name); err == nil {
			return path
		}
	}
	t.Fatalf("%s is not installed: apt-get install slapd ldap-utils", name)
	return ""
}

// client runs ldapsearch bound as the reader and returns its output and exit
// code, which is the result code of the search.
func client(t testing.TB, url string, args ...string) (string, int) {
	t.Helper()
	return run(t, "ldapsearch", append([]string{"-H", url, "-x", "-D", readerDN, "-w", readerPW, "-LLL", "-o", "ldif-wrap=no"}, args...)...)
}

func run(t testing.TB, name string, args ...string) (string, int) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), tool(t, name), args...)
	cmd.Env = append(os.Environ(), "LDAPTLS_REQCERT=never")
	out, err := cmd.CombinedOutput()
	if err != nil && cmd.ProcessState == nil {
		t.Fatalf("%s: %v", name, err)
	}
	return string(out), cmd.ProcessState.ExitCode()
}

// names returns the entries' names in LDIF, sorted.
func names(ldif string) []string {
	var out []string
	for line := range strings.Lines(ldif) {
		if name, ok := strings.CutPrefix(line, "dn: "); ok {
			out = append(out, strings.TrimSpace(name))
		}
	}
	slices.Sort(out)
	return out
}

// many returns a directory of n people.
func many(t testing.TB, n int) *Directory {
	t.Helper()
	d, err := NewDirectory(DirectoryOptions{Suffixes: []string{suffix}, Seed: 1, Now: clock})
	if err != nil {
		t.Fatal(err)
	}
	must := func(err error) {
		if err != nil {
			t.Fatal(err)
		}
	}
	must(d.Put(Entry{DN: suffix, Attributes: []Attribute{Attr("objectClass", "domain"), Attr("dc", "example")}}))
	for i := range n {
		uid := fmt.Sprintf("u%06d", i)
		must(d.Put(Entry{DN: "uid=" + uid + "," + suffix, Attributes: []Attribute{
			Attr("objectClass", "top", "person", "organizationalPerson", "inetOrgPerson"),
			Attr("uid", uid), Attr("cn", "Person "+uid), Attr("sn", uid), Attr("mail", uid+"@example.org"),
			Attr("givenName", "Person"), Attr("title", "Engineer"), Attr("l", "Berlin"), Attr("departmentNumber", "42"),
			Attr("employeeNumber", uid[1:]), Attr("telephoneNumber", "+49 30 "+uid[1:]),
		}}))
	}
	return d
}

func TestSearchPagesAndBinds(t *testing.T) {
	s := start(t, many(t, 2500))
	out, code := client(t, s.URL(), "-b", suffix, "-E", "pr=1000/noprompt", "(objectClass=inetOrgPerson)", "uid")
	if got := len(names(out)); got != 2500 || code != 0 {
		t.Errorf("a paged search returned %d entries, exit %d; want 2500, 0", got, code)
	}
	if got := s.Searches(); got != 3 {
		t.Errorf("%d searches were sent, want 3 pages", got)
	}
	out, code = client(t, s.URL(), "-s", "base", "-b", "", "+")
	for _, want := range []string{"namingContexts: " + suffix, "supportedControl: " + oidPaging, "vendorName: Rollcall", "supportedLDAPVersion: 3"} {
		if !strings.Contains(out, want) {
			t.Errorf("the root entry lacks %q: exit %d\n%s", want, code, out)
		}
	}
	if _, code := run(t, "ldapsearch", "-H", s.URL(), "-x", "-D", readerDN, "-w", "wrong", "-b", suffix); code != int(InvalidCredentials) {
		t.Errorf("a wrong password: exit %d, want 49", code)
	}
	if _, code := run(t, "ldapsearch", "-H", s.URL(), "-x", "-b", suffix); code != int(InappropriateAuth) {
		t.Errorf("an anonymous bind: exit %d, want 48", code)
	}
}
