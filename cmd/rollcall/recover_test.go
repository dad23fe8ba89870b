package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestAnAdministratorIsMadeOnTheMachine recovers an administrator from a running daemon
// and then from the same one while it is stopped; both keys get in.
func TestAnAdministratorIsMadeOnTheMachine(t *testing.T) {
	u := &installation{t: t, home: t.TempDir()}
	file, store := filepath.Join(u.home, "rollcall.yaml"), filepath.Join(u.home, "store")
	text := "listen: 127.0.0.1:0\nhealth: off\nlog: {format: text}\nstore: {dir: " + store + "}\n"
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	recovered := func(name string) {
		t.Helper()
		key := strings.TrimSpace(u.want(exitOK, `^rcl_pat_\w+\n$`, "recover-admin", "--config", file, "--user", name))
		saved := filepath.Join(u.home, name)
		if err := os.WriteFile(saved, []byte(key), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	login := func(name string) {
		t.Helper()
		u.want(exitOK, "", "login", "--url", u.url, "--token-file", filepath.Join(u.home, name))
		u.want(exitOK, `recovery +PermissionGranted`, "audit", "--actor", "recovery")
		u.want(exitOK, `yes`, "why", name, "USER_ADMIN")
	}
	u.serve(file)
	recovered("awake")
	login("awake")
	u.stop()
	recovered("asleep")
	u.serve(file)
	login("asleep")
	u.stop()
}
