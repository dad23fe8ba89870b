// Package ldapserver is a small LDAP server that keeps its directory in memory.
// The demo's company lives in one, and tests use it to show what happens when a
// directory misbehaves in ways that a sound server cannot be brought to.
//
// It owns the directory (entries, their tree, their operational attributes) and
// the part of RFC 4511 that clients of a directory use: bind, search with every
// kind of filter, paging (RFC 2696), StartTLS and LDAPS, abandon, and the four
// writes. Where the standard leaves room it answers as OpenLDAP does. A Directory
// has further faces for tests of readers that follow changes: [AD] makes a server a
// domain controller with DirSync, tombstones and notifications, several of them over
// one Directory if need be; [SyncProvider] makes it a provider of content
// synchronization as OpenLDAP or 389-ds is one. What a sound server does not show can
// be brought about: see the fields of [ADOptions] and [SyncOptions],
// [AD.DropTombstones], [AD.NewInvocation], [SyncProvider.Restart],
// [Directory.WriteAs], [Directory.Restore], and [Action] for the faults of single
// answers. It
// promises that Close leaves no goroutine behind and that no request, however
// malformed, ends the process. It leaves out a schema beyond what comparing
// values needs, access control beyond binding, aliases, SASL beyond EXTERNAL,
// and everything durable.
package ldapserver

import (
	"cmp"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"sync"
	"sync/atomic"
	"time"
)

// Options is how a Server answers. Only Directory is required.
type Options struct {
	Directory *Directory
	// Addr is where to listen. The zero value is a free port of 127.0.0.1.
	Addr string
	Log  *slog.Logger

	// TLS makes StartTLS available, and with LDAPS is spoken from the first octet.
	TLS   *tls.Config
	LDAPS bool
	// RequireTLS refuses everything but StartTLS on a plain connection.
	RequireTLS bool

	// Accounts may bind: names with their passwords. Entries that have a
	// userPassword may, too.
	Accounts map[string]string
	// Anonymous lets those search who have not bound.
	Anonymous bool
	// External maps a verified client certificate to the name it binds as.
	External func(*x509.Certificate) (name string, ok bool)
	// Writers are the names that may write over the wire.
	Writers []string

	// SizeLimit ends an answer after so many entries, over all pages, with
	// SizeLimitExceeded, as OpenLDAP's hard limit does. 0 is none.
	SizeLimit int
	// PageLimit refuses a larger page with AdminLimitExceeded, as OpenLDAP's
	// size.pr does. 0 is none.
	PageLimit int
	// PageCap shortens pages without a word and ends unpaged answers with
	// SizeLimitExceeded, as Active Directory's MaxPageSize does. 0 is none.
	PageCap int
	// ValueRange returns at most so many values of an attribute at once, as
	// "member;range=0-1499", as Active Directory's MaxValRange does. 0 is none.
	ValueRange int

	// AD makes the server a domain controller over Directory, whose PageCap is 1000
	// and whose ValueRange is 1500 unless they are set.
	AD *AD
	// Sync makes the server a provider of content synchronization (RFC 4533).
	Sync *SyncProvider

	// RootDSE replaces or adds attributes of the root entry.
	RootDSE []Attribute
	// Intercept is asked before each search is answered. It may be called by
	// several connections at once.
	Intercept func(*Search) Action
}

// Server answers LDAP over TCP until it is closed.
type Server struct {
	o        Options
	log      *slog.Logger
	listener net.Listener
	accounts map[string]string // by folded name
	writers  map[string]bool   // by folded name
	searches atomic.Int64
	running  sync.WaitGroup

	mu     sync.Mutex // guards the rest
	conns  map[*conn]struct{}
	total  int
	closed bool
}

// Start listens and answers. The context bounds the start only; the server runs
// until Close.
func Start(ctx context.Context, o Options) (*Server, error) {
	if o.Directory == nil {
		return nil, errors.New("ldapserver: Options.Directory is missing")
	}
	if o.AD != nil {
		if o.AD.directory != o.Directory {
			return nil, errors.New("ldapserver: Options.AD is the face of another Directory")
		}
		o.PageCap, o.ValueRange = cmp.Or(o.PageCap, 1000), cmp.Or(o.ValueRange, 1500)
	}
	if o.Sync != nil && o.Sync.directory != o.Directory {
		return nil, errors.New("ldapserver: Options.Sync provides another Directory")
	}
	if (o.LDAPS || o.RequireTLS) && o.TLS == nil {
		return nil, errors.New("ldapserver: Options.LDAPS and RequireTLS need Options.TLS")
	}
	s := &Server{o: o, log: o.Log, accounts: map[string]string{}, writers: map[string]bool{}, conns: map[*conn]struct{}{}}
	if s.log == nil {
		s.log = slog.New(slog.DiscardHandler)
	}
	for _, name := range o.Writers {
		parsed, err := parseDN(name)
		if err != nil {
			return nil, fmt.Errorf("ldapserver: writer: %w", err)
		}
		s.writers[parsed.folded] = true
	}
	for name, password := range o.Accounts {
		parsed, err := parseDN(name)
		if err != nil {
			return nil, fmt.Errorf("ldapserver: account: %w", err)
		}
		s.accounts[parsed.folded] = password
	}
	l, err := new(net.ListenConfig).Listen(ctx, "tcp", cmp.Or(o.Addr, "127.0.0.1:0"))
	if err != nil {
		return nil, fmt.Errorf("listen for LDAP: %w", err)
	}
	s.listener = l
	s.running.Go(s.accept)
	return s, nil
}

// Addr returns the address that the server listens on.
func (s *Server) Addr() string { return s.listener.Addr().String() }

// URL returns the address as a client is configured with it.
func (s *Server) URL() string {
	if s.o.LDAPS {
		return "ldaps://" + s.Addr()
	}
	return "ldap://" + s.Addr()
}

// Directory returns what the server serves.
func (s *Server) Directory() *Directory { return s.o.Directory }

// Searches returns how many searches were received so far, pages counted singly.
func (s *Server) Searches() int { return int(s.searches.Load()) }

// Close stops listening, cuts every connection and waits for their ends, which
// come at once: nothing here waits for a client.
func (s *Server) Close() error {
	s.mu.Lock()
	s.closed = true
	for c := range s.conns {
		c.cut()
	}
	s.mu.Unlock()
	err := s.listener.Close()
	s.running.Wait()
	if errors.Is(err, net.ErrClosed) {
		return nil
	}
	return err
}

const acceptPause = 50 * time.Millisecond

// accept serves connections until the listener is closed.
func (s *Server) accept() {
	for {
		raw, err := s.listener.Accept()
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil {
			// Out of descriptors, most likely: others must end before it helps to try again.
			s.log.Warn("accept LDAP connection", "err", err)
			time.Sleep(acceptPause)
			continue
		}
		s.serve(raw)
	}
}

// serve starts a connection, unless the server was closed meanwhile.
func (s *Server) serve(raw net.Conn) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		_ = raw.Close()
		return
	}
	s.total++
	c := newConn(s, raw, s.total)
	s.conns[c] = struct{}{}
	s.running.Go(func() {
		c.run()
		s.mu.Lock()
		delete(s.conns, c)
		s.mu.Unlock()
	})
}
