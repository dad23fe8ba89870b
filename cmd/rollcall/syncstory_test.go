package main

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"testing"

	"github.com/rollcall-id/rollcall/internal/dirtest"
)

// TestRunsUnderControl is told by the command line alone: a real daemon reads a real
// slapd, whose administrator makes mistakes.
func TestRunsUnderControl(t *testing.T) {
	org := dirtest.Org{Suffix: "dc=example,dc=org", Users: 60, Groups: 8, Members: 10}
	s := dirtest.StartSlapd(t, dirtest.SlapdOptions{LDIF: func(w io.Writer) error { return org.WriteLDIF(w) }})
	home := t.TempDir()
	dir := func(name string) string { return filepath.Join(home, name) }
	text := fmt.Sprintf(`
listen: 127.0.0.1:0
health: off
store: {dir: %s}
log: {format: text}
sources:
  - name: corp
    type: ldap
    template: openldap
    schedule: manual
    urls: [%s]
    tls: {ca: %s}
    bind: {dn: %q, password: {file: %s}}
    users: {bases: ["ou=people,dc=example,dc=org"]}
    groups: {bases: ["ou=groups,dc=example,dc=org"]}
`, dir("store"), s.LDAPS, s.CA, s.Reader.DN, s.Reader.PasswordFile)
	if err := os.WriteFile(dir("rollcall.yaml"), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	u := &installation{t: t, home: home}
	u.serve(dir("rollcall.yaml"))
	u.want(exitOK, "", "bootstrap", "--token-file", filepath.Join(dir("store"), "bootstrap-token"), "--user", "root")

	one := org.Login(1)
	u.want(exitNo, `(?s)roll +nobody.*scope +in: .*a run would +create user `+one, "sync", "try", "corp", "--user", one)
	u.want(exitOK, `(?s)succeeded.*users: 60 created`, "sync", "run", "corp")
	u.want(exitOK, `(?s)roll +`+one+`.*mapping +name = `+one+` +\(uid\).*would change nothing`, "sync", "try", "corp", "--user", org.UserDN(1))
	u.want(exitNo, `no such entry`, "sync", "try", "corp", "--user", "nobody")
	u.stop()
}
