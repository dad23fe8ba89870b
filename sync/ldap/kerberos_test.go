package ldap_test

import (
	"context"
	"errors"
	"io"
	"net"
	gosync "sync"
	"testing"
	"time"

	"github.com/rollcall-id/rollcall/internal/dirtest"
	"github.com/rollcall-id/rollcall/sync"
	"github.com/rollcall-id/rollcall/sync/ldap"
)

// silentKDC takes requests and does not answer. It tells when one came in, and when who
// asked has had enough.
func silentKDC(t *testing.T) (address string, asked, left <-chan struct{}) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	in, out := make(chan struct{}, 1), make(chan struct{}, 1)
	end := make(chan struct{})
	var taking gosync.WaitGroup
	taking.Go(func() {
		c, err := l.Accept()
		if err != nil {
			return
		}
		taking.Go(func() {
			<-end
			_ = c.Close() // which lets the library's wait end, too
		})
		_, _ = io.ReadFull(c, make([]byte, 1))
		in <- struct{}{}
		_, _ = io.Copy(io.Discard, c)
		out <- struct{}{}
	})
	t.Cleanup(func() {
		close(end)
		_ = l.Close()
		taking.Wait()
	})
	return l.Addr().String(), in, out
}

// TestASilentKDCIsNotWaitedFor stops reads and tests of a source while a KDC keeps
// silent: by their context, and by the time that a connection may take. Main finds a
// wait that goes on.
func TestASilentKDCIsNotWaitedFor(t *testing.T) {
	t.Parallel()
	s := dirtest.StartSlapd(t, dirtest.SlapdOptions{})
	pullOf := func(ctx context.Context, src *ldap.Source) error {
		_, err := src.Pull(ctx, sync.PullRequest{})
		return err
	}
	testOf := func(ctx context.Context, src *ldap.Source) (err error) {
		for step := range src.Test(ctx) {
			if !step.OK {
				err = errors.New(step.Name + ": " + step.Detail)
			}
		}
		return err
	}
	for name, c := range map[string]struct {
		do      func(context.Context, *ldap.Source) error
		stopped bool // by the context; else the time to connect is over
		words   []string
	}{
		"a read that is stopped": {pullOf, true, []string{"canceled"}},
		"a read that gives up":   {pullOf, false, []string{"bind at", "KDC keeps silent", "bind.kerberos.kdcs"}},
		"a test that is stopped": {testOf, true, []string{"bind: ", "canceled"}},
		"a test that gives up":   {testOf, false, []string{"bind: ", "KDC keeps silent", "bind.kerberos.kdcs"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			address, asked, left := silentKDC(t)
			cfg := slapdConfig(s)
			cfg.Bind = ldap.Bind{Method: "gssapi", Kerberos: ldap.Kerberos{
				Principal: "svc@EXAMPLE.ORG", Keytab: made(t, "svc", "EXAMPLE.ORG", "secret"), KDCs: []string{address}, Service: "ldap/dc1.example.org",
			}}
			// Far less than the 5 s that the library waits, or far more than the test may take.
			cfg.Timeouts.Connect = 500 * time.Millisecond
			if c.stopped {
				cfg.Timeouts.Connect = time.Hour
			}
			src, err := ldap.New(ldap.Options{Source: "corp", Config: cfg})
			if err != nil {
				t.Fatal(err)
			}
			ctx, stop := context.WithCancel(t.Context())
			defer stop()
			done := make(chan error, 1)
			go func() { done <- c.do(ctx, src) }()
			<-asked
			if c.stopped {
				stop()
			}
			select {
			case err := <-done:
				if err == nil {
					t.Fatal("somebody was let in")
				}
				wantWords(t, err.Error(), c.words...)
			case <-left:
				t.Errorf("it was waited for the KDC until the library had enough: %v", <-done)
			}
		})
	}
}
