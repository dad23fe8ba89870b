package app

import (
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/rollcall-id/rollcall/internal/dirtest"
	"github.com/rollcall-id/rollcall/permissions"
	"github.com/rollcall-id/rollcall/state"
	"github.com/rollcall-id/rollcall/store/etcd"
)

// cluster is an etcd that several daemons can reach. It returns its address.
func cluster(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	socket := filepath.Join(dir, "socket", "etcd")
	s, err := etcd.Open(t.Context(), etcd.Options{Dir: filepath.Join(dir, "data"), NoFsync: true, DebugSocket: socket})
	if err != nil {
		t.Fatal(err)
	}
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(errors.Join(err, s.Close()))
	}
	var bridges sync.WaitGroup
	t.Cleanup(func() {
		err := errors.Join(l.Close(), s.Close())
		bridges.Wait()
		if err != nil {
			t.Error(err)
		}
	})
	bridges.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			up, err := (&net.Dialer{}).DialContext(t.Context(), "unix", socket)
			if err != nil {
				_ = c.Close()
				continue
			}
			for _, ends := range [][2]net.Conn{{c, up}, {up, c}} {
				bridges.Go(func() {
					_, _ = io.Copy(ends[0], ends[1])
					_, _ = ends[0].Close(), ends[1].Close()
				})
			}
		}
	})
	return "http://" + l.Addr().String()
}

// Two administrators on two replicas take USER_ADMIN from each other at once. Each time
// one of them succeeds and the other is refused: somebody is always left.
func TestTheLastTwoAdministratorsOnTwoReplicas(t *testing.T) {
	t.Parallel()
	address := cluster(t)
	replica := func() *running {
		return start(t, dirtest.WriteFile(t, "rollcall.yaml", fmt.Sprintf(`
listen: 127.0.0.1:0
health: 127.0.0.1:0
store: {endpoints: [%q]}
bootstrap_token_file: %s
log: {format: json}
`, address, filepath.Join(t.TempDir(), "token"))))
	}
	one := replica()
	one.bootstrapped()
	two := replica().as(one.keyOf("deputy", permissions.UserAdmin, permissions.ApplicationAdmin))
	both := func(s *state.Snapshot) bool {
		for _, name := range []string{"root", "deputy"} {
			id, err := s.OneUser("local/" + name)
			if err != nil || !s.Book().Check(s, permissions.Request{User: id, Permission: permissions.UserAdmin, Now: time.Now()}).Allowed {
				return false
			}
		}
		return true
	}
	two.until("the deputy's key is known", func(s *state.Snapshot) bool {
		id, err := s.OneUser("local/deputy")
		return err == nil && len(s.Tokens(id)) > 0
	})
	for round := range 20 {
		one.until("both may", both)
		two.until("both may", both)
		var status [2]int
		var all sync.WaitGroup
		all.Go(func() { status[0] = one.statusOf(http.MethodDelete, "/v1/users/deputy/grants/USER_ADMIN") })
		all.Go(func() { status[1] = two.statusOf(http.MethodDelete, "/v1/users/root/grants/USER_ADMIN") })
		all.Wait()
		winner, loser, refused := one, "deputy", status[1]
		if status[0] != http.StatusNoContent {
			winner, loser, refused = two, "root", status[0]
		}
		if status[0] == status[1] || refused != http.StatusConflict && refused != http.StatusForbidden {
			t.Fatalf("round %d: the answers are %v, want one 204 and one 403 or 409", round, status)
		}
		winner.until("it is gone", func(s *state.Snapshot) bool { return !both(s) })
		winner.call("PUT", "/v1/users/"+loser+"/grants/USER_ADMIN", `{"reason":"again"}`, 201)
	}
}

// statusOf asks for something without a body and returns the status, or 0.
func (d *running) statusOf(method, path string) int {
	req, err := http.NewRequestWithContext(d.t.Context(), method, d.URL()+path, nil)
	if err != nil {
		return 0
	}
	req.Header.Set("Authorization", "Bearer "+d.key)
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return 0
	}
	_ = resp.Body.Close()
	return resp.StatusCode
}
