package main

import (
	"bytes"
	"fmt"
	"os"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/rollcall-id/rollcall/identity"
	"github.com/rollcall-id/rollcall/permissions"
	"github.com/rollcall-id/rollcall/state"
)

// The feed is followed from a revision on, and ends where it is told to.
func TestEvents(t *testing.T) {
	t.Parallel()
	w := testWorld(t)
	grant := func(n byte, p permissions.Permission) {
		t.Helper()
		g := permissions.Grant{
			ID: permissions.GrantID(userID(n).String()), Permission: p, Subject: identity.UserMember(userID(9)), By: "test", At: start, Origin: "local",
		}
		if err := w.commit(state.PutGrant{Grant: g}); err != nil {
			t.Fatal(err)
		}
	}
	grant(201, permissions.FetchPolicyInfo)
	since := fmt.Sprint(w.db.View().Now().Rev())
	grant(202, permissions.Audit)
	grant(203, permissions.Governance)

	var out, errs bytes.Buffer
	env := append(os.Environ(), "HOME="+t.TempDir(), "XDG_CONFIG_HOME=", "ROLLCALL_URL="+w.server.URL, "ROLLCALL_TOKEN="+w.key)
	if code := newCLI(nil, &out, &errs, env).run(t.Context(), []string{"events", "--after", since, "--limit", "2"}); code != exitOK {
		t.Fatalf("ended with %d:\n%s", code, &errs)
	}
	who := userID(9).String()
	want := "grant  changed  AUDIT  user  " + who + "\ngrant  changed  GOVERNANCE  user  " + who + "\n"
	if d := cmp.Diff(want, out.String()); d != "" {
		t.Errorf("events (-want +got):\n%s", d)
	}
}
