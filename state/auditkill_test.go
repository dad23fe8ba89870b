package state

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"os/exec"
	"testing"
	"time"

	"github.com/rollcall-id/rollcall/identity"
	"github.com/rollcall-id/rollcall/store/etcd"
)

// childDir tells a process of this test binary to write in a directory until it is
// killed.
const childDir = "ROLLCALL_TEST_AUDIT_DIR"

// TestAuditWriter is no test: it is the process that the test below kills. It creates
// users from several goroutines and folds their entries all the while.
func TestAuditWriter(t *testing.T) {
	dir := os.Getenv(childDir)
	if dir == "" {
		return // run by itself, it has nothing to do
	}
	s, err := etcd.Open(t.Context(), etcd.Options{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	d := audited(t, s)
	term := lead(t, s)
	for range 4 {
		go func() {
			for {
				u := identity.NewUserID()
				c := Create{Member: identity.UserMember(u), Record: record(u.String(), "n"+u.String())}
				if _, err := d.Commit(context.Background(), admin, c); err != nil {
					fmt.Fprintln(os.Stderr, err)
					os.Exit(1)
				}
				fmt.Println("created", u)
			}
		}()
	}
	for {
		d.fold(t, term)
		fmt.Println("folded")
	}
}

// TestAKillLeavesNoChangeWithoutItsEntry kills a process with SIGKILL while it writes
// and folds: then every change has its entry and every entry its change, and the chain
// is in order.
func TestAKillLeavesNoChangeWithoutItsEntry(t *testing.T) {
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	created := map[string]bool{}
	for round := range 3 {
		killAfter(t, exe, dir, 150*(round+1), created)
		s, err := etcd.Open(t.Context(), etcd.Options{Dir: dir})
		if err != nil {
			t.Fatal(err)
		}
		d := audited(t, s)
		r := d.verified(t)
		logged := map[string]bool{}
		page, err := d.AuditEntries(t.Context(), AuditQuery{})
		if err != nil || page.More {
			t.Fatalf("AuditEntries: more %v, %v", page.More, err)
		}
		for _, e := range page.Entries {
			logged[e.Events[0].Target] = true
		}
		users := 0
		for u := range d.View().Now().Users(identity.UserID{}, time.Now()) {
			users++
			if !logged[u.Member.String()] {
				t.Errorf("%v was created without an entry", u.Member)
			}
		}
		if users != len(logged) || users != len(page.Entries) || r.Folded == 0 {
			t.Errorf("%d users, %d entries about %d of them, %d folded", users, len(page.Entries), len(logged), r.Folded)
		}
		for u := range created {
			if !logged["user/"+u] {
				t.Errorf("user %s was acknowledged and is not there", u)
			}
		}
		d.stop()
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

// killAfter runs the writer until it has acknowledged so many users, and kills it.
func killAfter(t *testing.T, exe, dir string, n int, created map[string]bool) {
	t.Helper()
	c := exec.Command(exe, "-test.run=^TestAuditWriter$")
	c.Env = append(os.Environ(), childDir+"="+dir)
	c.Stderr = os.Stderr
	out, err := c.StdoutPipe()
	if err == nil {
		err = c.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(out)
	folded := 0
	for seen := 0; lines.Scan(); {
		var u string
		if _, err := fmt.Sscanf(lines.Text(), "created %36s", &u); err == nil && len(u) == 36 {
			created[u] = true
			seen++
		} else if lines.Text() == "folded" {
			folded++
		}
		if seen >= n && folded > 2 {
			_ = c.Process.Kill()
		}
	}
	_ = c.Wait() // it was killed
	if folded <= 2 {
		t.Fatalf("the writer ended by itself after %d folds", folded)
	}
}
