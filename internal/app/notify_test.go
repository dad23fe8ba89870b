package app

import (
	"errors"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/rollcall-id/rollcall/internal/ldapserver"
)

// stallOnce lets the answers stall, after a word that one has begun.
func stallOnce(begun chan<- struct{}) func(*ldapserver.Search) ldapserver.Action {
	return func(*ldapserver.Search) ldapserver.Action {
		select {
		case begun <- struct{}{}:
		default:
		}
		return ldapserver.Action{Ending: ldapserver.EndStall, After: 1}
	}
}

// systemd is a socket as a unit of Type=notify has it.
type systemd struct {
	t    *testing.T
	conn *net.UnixConn
}

func listenAsSystemd(t *testing.T) *systemd {
	t.Helper()
	dir, err := os.MkdirTemp("", "notify") // a socket's path may have 107 bytes
	if err != nil {
		t.Fatal(err)
	}
	name := filepath.Join(dir, "notify")
	conn, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: name, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = conn.Close()
		_ = os.RemoveAll(dir)
	})
	t.Setenv("NOTIFY_SOCKET", name)
	return &systemd{t, conn}
}

// told returns what has arrived so far; a message is there once it was sent.
func (s *systemd) told() []string {
	s.t.Helper()
	var all []string
	buf := make([]byte, 4096)
	for {
		if err := s.conn.SetReadDeadline(time.Now().Add(time.Millisecond)); err != nil {
			s.t.Fatal(err)
		}
		n, err := s.conn.Read(buf)
		if errors.Is(err, os.ErrDeadlineExceeded) {
			return all
		}
		if err != nil {
			s.t.Fatal(err)
		}
		all = append(all, strings.Fields(string(buf[:n]))...)
	}
}

func TestSystemdIsToldWhatHappens(t *testing.T) {
	s := listenAsSystemd(t)
	c := company(t)
	dir := t.TempDir()
	file := write(t, c, dir, "")
	d := start(t, file)
	if got := s.told(); !slices.Equal(got, []string{"READY=1"}) {
		t.Errorf("at the start systemd was told %q, want READY=1", got)
	}
	get(t, d.HealthURL()+"/readyz", 200)

	next, err := LoadConfig(file, nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := d.Reload(t.Context(), next); err != nil {
		t.Fatal(err)
	}
	if got := states(s.told()); !slices.Equal(got, []string{"RELOADING=1", "READY=1"}) {
		t.Errorf("at a reload systemd was told %q, want RELOADING=1 and READY=1", got)
	}
	// A configuration that is refused leaves the daemon as ready as it was.
	next.Sources[0].LDAP.URLs = nil
	if _, err := d.Reload(t.Context(), next); err == nil {
		t.Error("a source without servers was taken over")
	}
	if got := states(s.told()); !slices.Equal(got, []string{"RELOADING=1", "READY=1"}) {
		t.Errorf("at a refused reload systemd was told %q, want RELOADING=1 and READY=1", got)
	}
	if err := d.Stop(t.Context()); err != nil {
		t.Error(err)
	}
	if got := s.told(); !slices.Equal(got, []string{"STOPPING=1"}) {
		t.Errorf("at the stop systemd was told %q, want STOPPING=1", got)
	}
}

// states leaves out what is no state, such as times.
func states(told []string) []string {
	return slices.DeleteFunc(told, func(s string) bool { return !strings.HasSuffix(s, "=1") })
}

// TestAStartThatFailsDoesNotSayReady starts a daemon whose address is taken.
func TestAStartThatFailsDoesNotSayReady(t *testing.T) {
	s := listenAsSystemd(t)
	c := company(t)
	taken := start(t, write(t, c, t.TempDir(), ""))
	s.told()
	conf, err := LoadConfig(write(t, c, t.TempDir(), ""), nil)
	if err != nil {
		t.Fatal(err)
	}
	conf.Listen = strings.TrimPrefix(taken.URL(), "http://")
	a, err := New(Options{Config: conf, NoFsync: true})
	if err != nil {
		t.Fatal(err)
	}
	if err := a.Start(t.Context()); err == nil {
		t.Fatal("a daemon started on an address that is taken")
	}
	if got := s.told(); slices.Contains(got, "READY=1") {
		t.Errorf("systemd was told %q", got)
	}
}
