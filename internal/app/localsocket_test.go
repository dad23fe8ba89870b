package app

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rollcall-id/rollcall/access"
	"github.com/rollcall-id/rollcall/audit"
	"github.com/rollcall-id/rollcall/config"
	"github.com/rollcall-id/rollcall/fault"
	"github.com/rollcall-id/rollcall/permissions"
	"github.com/rollcall-id/rollcall/store/etcd"
)

// runningLocal starts a daemon without sources and returns it with its configuration.
func runningLocal(t *testing.T, c *Config) *App {
	t.Helper()
	c.Listen, c.Health = "127.0.0.1:0", healthOff
	a, err := New(Options{Config: c, NoFsync: true})
	if err != nil {
		t.Fatal(err)
	}
	if err := a.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := a.Stop(context.WithoutCancel(t.Context())); err != nil {
			t.Error(err)
		}
	})
	return a
}

func localConfig(dir string) *Config {
	c := Default()
	c.Store = etcd.Options{Dir: dir, NoFsync: true}
	return c
}

// TestARunningDaemonMakesTheAdministrator asks a daemon through its socket, and finds
// the socket shut to everybody else; the path is longer than the kernel takes one.
func TestARunningDaemonMakesTheAdministrator(t *testing.T) {
	c := localConfig(filepath.Join(t.TempDir(), strings.Repeat("d", 120)))
	a := runningLocal(t, c)
	for path, want := range map[string]os.FileMode{filepath.Dir(c.localPath()): 0o700, c.localPath(): 0o600} {
		if info, err := os.Stat(path); err != nil || info.Mode().Perm() != want {
			t.Errorf("%s has the mode %v, %v; want %v", path, info.Mode(), err, want)
		}
	}
	if _, err := RecoverAdmin(t.Context(), c, "a/b"); fault.Code(err) != "invalid_user_name" {
		t.Errorf("RecoverAdmin(a/b) = %v, want invalid_user_name", err)
	}
	for range 2 { // and once more, when he is one already
		made, err := RecoverAdmin(t.Context(), c, "rescue")
		if err != nil || !made.Running {
			t.Fatalf("RecoverAdmin = running %v, %v; want the running daemon to do it", made.Running, err)
		}
		key, err := access.Parse(made.APIKey.Reveal())
		if err != nil {
			t.Fatal(err)
		}
		snap := a.db.View().Now()
		id, err := snap.OneUser("local/rescue")
		if err != nil {
			t.Fatal(err)
		}
		e := snap.Book().Effective(snap, id, a.now())
		if got := e.Permissions(); len(got) != 2 || got[0] != permissions.ApplicationAdmin || got[1] != permissions.UserAdmin {
			t.Errorf("permissions %v, want those of an administrator", got)
		}
		if stored, ok := snap.Token(key.ID()); !ok || !key.Matches(stored.Hash) || stored.User != id || stored.By != "system:recovery" {
			t.Errorf("the key is %+v, want one of the administrator", stored)
		}
		wantRecoveryAudited(t, a.db)
	}
}

// listening serves a socket of which a test decides who is at its other end.
func listening(t *testing.T, l *local) {
	t.Helper()
	l.log = slog.New(slog.DiscardHandler)
	if err := l.listen(t.Context(), madeHere); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- l.serve(t.Context()) }()
	t.Cleanup(func() {
		if err := errors.Join(l.drain(context.WithoutCancel(t.Context())), <-ended); err != nil {
			t.Error(err)
		}
		if _, err := os.Stat(l.path); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("the socket is left behind: %v", err)
		}
	})
}

// TestTheSocketAsksWhoItIs lets in root and the daemon's user, by the word of the
// kernel, and nobody else.
func TestTheSocketAsksWhoItIs(t *testing.T) {
	me, failed := os.Geteuid(), errors.New("no such option")
	for _, c := range []struct {
		name string
		peer peer
		code string
	}{
		{"the daemon's user", peer{uid: me}, ""},
		{"root", peer{uid: 0}, ""},
		{"somebody else", peer{uid: me + 1000}, "not_the_operator"},
		{"nobody knows who", peer{err: failed}, "unknown_peer"},
	} {
		dir, did := t.TempDir(), audit.Actor{}
		l := &local{path: filepath.Join(dir, localDir, localName)}
		l.peer = func(*net.UnixConn) (int, error) { return c.peer.uid, c.peer.err }
		l.recover = func(_ context.Context, by audit.Actor, _ string) (config.Secret, error) {
			did = by
			return config.NewSecret("key"), nil
		}
		listening(t, l)
		key, err := askLocal(t.Context(), l.path, recoverRequest{User: "rescue"})
		if fault.Code(err) != c.code || err != nil && !errors.Is(err, fault.Denied) {
			t.Errorf("%s: %v, want %q", c.name, err, c.code)
		}
		if c.code == "" && (key.Reveal() != "key" || did != recoverer(c.peer.uid)) || c.code != "" && did.Name != "" {
			t.Errorf("%s: done by %+v", c.name, did)
		}
	}
}

// TestTheSocketIsOfOneStore refuses to act on another store than the one that was
// meant, and repeats what the daemon says.
func TestTheSocketIsOfOneStore(t *testing.T) {
	l := &local{path: filepath.Join(t.TempDir(), localName), store: "https://a:2379 /rollcall/", peer: peerUID}
	l.recover = func(context.Context, audit.Actor, string) (config.Secret, error) {
		return config.Secret{}, fault.New(fault.Conflict, "is_a_service", "rescue is a service")
	}
	listening(t, l)
	for store, want := range map[string]string{"": "another_store", l.store: "is_a_service"} {
		_, err := askLocal(t.Context(), l.path, recoverRequest{User: "rescue", Store: store})
		if fault.Code(err) != want || !errors.Is(err, fault.Conflict) {
			t.Errorf("asked for the store %q: %v, want %s", store, err, want)
		}
	}
	cluster := &Config{LocalSocket: l.path, Store: etcd.Options{Endpoints: []string{"https://a:2379"}, Prefix: "/rollcall/"}}
	if _, err := RecoverAdmin(t.Context(), cluster, "rescue"); fault.Code(err) != "is_a_service" {
		t.Errorf("RecoverAdmin with a cluster = %v, want the daemon's answer", err)
	}
	cluster.LocalSocket += ".none"
	if _, err := RecoverAdmin(t.Context(), cluster, "rescue"); fault.Code(err) != "no_daemon" || !errors.Is(err, fault.Unavailable) {
		t.Errorf("RecoverAdmin with a cluster and no daemon = %v, want no_daemon", err)
	}
	cluster.LocalSocket = localOff
	if _, err := RecoverAdmin(t.Context(), cluster, "rescue"); fault.Code(err) != "no_local_socket" {
		t.Errorf("RecoverAdmin with a cluster and no socket = %v, want no_local_socket", err)
	}
}

// TestASocketTakesNoOtherPlace replaces what a killed daemon left, and nothing else.
func TestASocketTakesNoOtherPlace(t *testing.T) {
	dir := t.TempDir()
	if err := os.Chmod(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, localName)
	left, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	left.SetUnlinkOnClose(false)
	if err := left.Close(); err != nil {
		t.Fatal(err)
	}
	newLocal := func() *local { return &local{path: path, peer: peerUID, log: slog.New(slog.DiscardHandler)} }
	t.Run("left by a killed daemon", func(t *testing.T) {
		listening(t, newLocal())
		if err := newLocal().listen(t.Context(), chosen); err == nil || !strings.Contains(err.Error(), "another daemon") {
			t.Errorf("a second one: %v, want that another daemon answers", err)
		}
	})
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := newLocal().listen(t.Context(), chosen); err == nil || !strings.Contains(err.Error(), "no socket") {
		t.Errorf("over a file: %v, want it refused", err)
	}
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := newLocal().listen(t.Context(), chosen); err == nil || !strings.Contains(err.Error(), "0700") {
		t.Errorf("in a directory that everybody enters: %v, want it refused", err)
	}
}
