package main

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
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

	// Somebody comes and somebody is changed by mistake, within the limits.
	s.Apply("dn: uid=intruder,ou=people,dc=example,dc=org\nchangetype: add\nobjectClass: inetOrgPerson\nuid: intruder\ncn: I\nsn: I\n\n" +
		"dn: " + org.UserDN(2) + "\nchangetype: modify\nreplace: title\ntitle: Boss\n-\n\n")
	u.want(exitOK, `(?s)succeeded.*1 created, 1 updated`, "sync", "run", "corp")
	u.want(exitOK, "", "grant", "intruder", "GOVERNANCE", "--reason", "he said so")
	shown := u.want(exitNo, `(?s)1 created, 1 updated.*To undo it:.*users +~1 +-1.*may do +GOVERNANCE +-1.*would be paused`, "sync", "undo", "corp")
	digest := regexp.MustCompile(`sha256:[0-9a-f]+`).FindString(shown)
	u.want(exitRefused, "", "sync", "undo", "corp", "--confirm", "sha256:0")
	u.want(exitOK, "can be undone", "sync", "undo", "corp", "--confirm", digest, "--dry-run")
	u.want(exitOK, `(?s)succeeded.*undid run`, "sync", "undo", "corp", "--confirm", digest)
	u.want(exitNo, "^no ", "why", "intruder", "GOVERNANCE")
	u.want(exitOK, `corp +paused`, "sync", "status")
	u.want(exitRefused, "", "sync", "run", "corp")
	u.want(exitNo, `users +~1 +back 1`, "sync", "plan", "corp")
	u.want(exitOK, "", "sync", "resume", "corp")
	u.want(exitOK, `(?s)succeeded.*1 updated, 1 returned`, "sync", "run", "corp")
	u.want(exitOK, "^yes ", "why", "intruder", "GOVERNANCE")
	u.stop()
}
