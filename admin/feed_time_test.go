package admin_test

import (
	"bufio"
	"context"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rollcall-id/rollcall/access"
	"github.com/rollcall-id/rollcall/admin"
	"github.com/rollcall-id/rollcall/identity"
	"github.com/rollcall-id/rollcall/permissions"
	"github.com/rollcall-id/rollcall/state"
	"github.com/rollcall-id/rollcall/store/mem"
)

// oneConn is a listener that has one connection to give.
type oneConn struct {
	conn   chan net.Conn
	closed chan struct{}
	once   sync.Once
}

func (l *oneConn) Accept() (net.Conn, error) {
	select {
	case c := <-l.conn:
		return c, nil
	case <-l.closed:
		return nil, net.ErrClosed
	}
}

func (l *oneConn) Close() error   { l.once.Do(func() { close(l.closed) }); return nil }
func (l *oneConn) Addr() net.Addr { return &net.IPAddr{} }

// A stream says something every 15 seconds, moves its position on when there is
// nothing to tell, and ends when a request has lasted long enough.
func TestFeedKeepsItsConnection(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		kept := mem.New()
		db, err := state.Open(t.Context(), state.Options{Store: kept})
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(context.Background())
		ended := make(chan error, 2)
		go func() { ended <- db.Run(ctx) }()
		api, err := admin.New(admin.Options{DB: db, Sync: newFakeSync()})
		if err != nil {
			t.Fatal(err)
		}
		here, there := net.Pipe()
		l := &oneConn{conn: make(chan net.Conn, 1), closed: make(chan struct{})}
		l.conn <- there
		server := &http.Server{Handler: api, ReadHeaderTimeout: time.Second, ReadTimeout: time.Minute}
		go func() { _ = server.Serve(l); ended <- nil }()

		app, cred := identity.NewUserID(), access.New(access.KindKey)
		for _, c := range []state.Change{
			state.Create{Member: identity.UserMember(app), Record: record(identity.Local, "app")},
			state.PutGrant{Grant: permissions.Grant{ID: "g", Permission: permissions.FetchPolicyInfo, Subject: identity.UserMember(app), Origin: "local"}},
			state.PutToken{Token: state.Token{ID: cred.ID(), Hash: cred.Hash(), User: app}},
		} {
			if _, err := db.Decide(t.Context(), tester, func(*state.Snapshot) ([]state.Change, error) { return []state.Change{c}, nil }); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := io.WriteString(here, "GET /v1/events HTTP/1.1\r\nHost: x\r\nAccept: text/event-stream\r\nAuthorization: Bearer "+cred.Reveal()+"\r\nConnection: close\r\n\r\n"); err != nil {
			t.Fatal(err)
		}
		began := time.Now()
		var comments, bookmarks int
		var lasted time.Duration
		for lines := bufio.NewScanner(here); lines.Scan(); lasted = time.Since(began) {
			switch line := lines.Text(); {
			case strings.HasPrefix(line, ":"):
				if comments++; comments == 3 { // a token is not told of, but moves the revision
					c := state.PutToken{Token: state.Token{ID: "another", Hash: "x", User: app}}
					if _, err := db.Decide(t.Context(), tester, func(*state.Snapshot) ([]state.Change, error) { return []state.Change{c}, nil }); err != nil {
						t.Error(err)
					}
				}
			case line == "event: bookmark":
				bookmarks++
			case strings.HasPrefix(line, "event:"):
				t.Errorf("%q, want bookmarks only", line)
			}
		}
		if lasted < 19*time.Minute || lasted > 21*time.Minute || bookmarks != 2 || comments < 76 || comments > 80 {
			t.Errorf("the stream lasted %v with %d comments and %d bookmarks; want 20 minutes, one of them every 15 seconds, a bookmark first and one for the token", lasted, comments, bookmarks)
		}
		_ = here.Close()
		_ = server.Close()
		cancel()
		for range cap(ended) {
			if err := <-ended; err != nil {
				t.Error(err)
			}
		}
		_ = kept.Close()
	})
}
