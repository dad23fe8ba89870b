package main

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"testing"

	"github.com/rollcall-id/rollcall/internal/demo"
)

// TestASourceMadeAndDeletedOverTheAPI is the life of a source that no file declares, told
// by the command line: tried, made, run, changed, disabled, shown as a plan, deleted.
func TestASourceMadeAndDeletedOverTheAPI(t *testing.T) {
	company, err := demo.Start(t.Context(), demo.Options{People: 60, Seed: 1})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = company.Close() }()
	d := company.Config()
	t.Setenv("ROLLCALL_SECRET_COMPANY", d.Password)
	t.Setenv("OTHER_SECRET", d.Password)
	home := t.TempDir()
	file := func(name, text string) string {
		path := filepath.Join(home, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	config := file("rollcall.yaml", fmt.Sprintf("listen: 127.0.0.1:0\nhealth: off\nstore: {dir: %s}\nlog: {format: text}\nsources:\n  - name: fixed\n    type: scim\n", filepath.Join(home, "store")))
	source := func(password, filter string) string {
		return fmt.Sprintf(`
template: openldap
schedule: manual
urls: [%s]
allow_plaintext: true
bind: {dn: %q, password: %s}
users: {bases: [%q], filter: %q}
groups: {bases: [%q]}
`, d.URL, d.BindDN, password, d.UserBase, filter, d.GroupBase)
	}
	good := file("good.yaml", source("{env: ROLLCALL_SECRET_COMPANY}", d.UserFilter))
	u := &installation{t: t, home: home}
	u.serve(config)
	u.want(exitOK, "", "bootstrap", "--token-file", filepath.Join(home, "store", "bootstrap-token"), "--user", "root")

	u.want(exitRefused, "", "source", "create", "halyard", "--file", file("env.yaml", source("{env: OTHER_SECRET}", d.UserFilter)))
	u.want(exitRefused, "", "source", "create", "halyard", "--file", file("file.yaml", source("{file: /etc/shadow}", d.UserFilter)))
	u.want(exitRefused, "", "source", "create", "fixed", "--file", good)
	u.want(exitRefused, "", "source", "disable", "fixed")
	u.want(exitOK, "All is well", "source", "test", "halyard", "--file", good)
	u.want(exitOK, "can be made", "source", "create", "halyard", "--file", good, "--dry-run")
	u.want(exitOK, `(?s)fixed +scim +file`, "source", "list")
	u.want(exitOK, "Next: rollcall sync run halyard", "source", "create", "halyard", "--file", good)
	u.want(exitOK, `(?s)succeeded.*users: 60 created`, "sync", "run", "halyard")
	u.want(exitOK, `(?s)halyard +ldap +api +idle +60 `, "source", "list")
	u.want(exitOK, "is changed", "source", "change", "halyard", "--file", file("fewer.yaml", source("{env: ROLLCALL_SECRET_COMPANY}", "(&"+d.UserFilter+"(!(uid=nobody)))")))
	u.want(exitOK, "is disabled", "source", "disable", "halyard")
	u.want(exitRefused, "", "sync", "run", "halyard")
	u.want(exitOK, "is enabled", "source", "enable", "halyard")
	u.want(exitOK, "nothing changed", "sync", "run", "halyard")

	shown := u.want(exitNo, `(?s)users +60: .*groups +\d+: .*Nothing was changed`, "source", "delete", "halyard")
	digest := regexp.MustCompile(`sha256:[0-9a-f]+`).FindString(shown)
	u.want(exitRefused, "", "source", "delete", "halyard", "--confirm", "sha256:0")
	u.want(exitRefused, "", "source", "delete", "fixed", "--confirm", "sha256:0")
	u.want(exitOK, "is deleted, with 60 users", "source", "delete", "halyard", "--confirm", digest)
	u.want(exitOK, "", "users", "--source", "halyard", "--status", "active")
	u.want(exitRefused, "", "source", "delete", "halyard")
	u.want(exitOK, `(?s)SourceDeleted`, "audit", "--limit", "500", "-o", "json")
	u.stop()
}
