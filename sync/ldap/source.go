package ldap

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	gosync "sync"
	"time"

	"github.com/rollcall-id/rollcall/config"
	"github.com/rollcall-id/rollcall/identity"
	"github.com/rollcall-id/rollcall/sync"
)

// Options are what New needs.
type Options struct {
	Source identity.SourceID
	Config Config
	Log    *slog.Logger     // nil: none
	Now    func() time.Time // nil: the clock
	// Dial reaches a server; nil: the network. A test can put a proxy there.
	Dial func(ctx context.Context, network, address string) (net.Conn, error)
	// Resolver looks up the servers of a domain; nil: the system's.
	Resolver Resolver
}

// Source is one LDAP directory. Its methods may be called concurrently; each uses a
// connection of its own.
type Source struct {
	id            identity.SourceID
	cfg           *Config // expanded
	log           *slog.Logger
	now           func() time.Time
	dial          func(ctx context.Context, network, address string) (net.Conn, error)
	resolver      Resolver
	people, clans layout
	pool          *pool

	mu     gosync.Mutex    // guards mirror
	mirror *mirror         // nil while a read has it
	broken map[string]bool // servers whose content synchronization loses changes
}

var (
	_ sync.Source = (*Source)(nil)
	_ sync.Tester = (*Source)(nil)
)

// New returns a source with the given configuration, or a *[config.Error] that says
// what is wrong with it. It reaches no server yet.
func New(o Options) (*Source, error) {
	if o.Source == "" {
		return nil, errors.New("ldap.New: Options.Source is missing")
	}
	var p config.Problems
	o.Config.Validate(&p)
	if err := p.Err(); err != nil {
		return nil, fmt.Errorf("source %s: %w", o.Source, err)
	}
	s := &Source{id: o.Source, cfg: o.Config.Expanded(), log: cmp.Or(o.Log, slog.New(slog.DiscardHandler)), now: o.Now, dial: o.Dial}
	if s.now == nil {
		s.now = time.Now
	}
	if s.dial == nil {
		s.dial = (&net.Dialer{}).DialContext
	}
	if s.resolver = o.Resolver; s.resolver == nil {
		s.resolver = net.DefaultResolver
	}
	s.pool = newPool(s.cfg.Failover, s.now)
	people, clans := s.cfg.compile(&p)
	if err := p.Err(); err != nil {
		return nil, fmt.Errorf("source %s: %w", o.Source, err)
	}
	s.people, s.clans = userLayout(s.cfg, people), groupLayout(s.cfg, clans)
	return s, nil
}

// Config returns the configuration that is in effect, templates and defaults
// included. The caller does not change it.
func (s *Source) Config() *Config { return s.cfg }

// Scan reads every entry of the source once, people first, and gives each to f as
// the server sent it. It keeps nothing. The entry is valid until f returns; an error
// from f ends the read. Scan returns an error as well when the server did not send
// the whole.
func (s *Source) Scan(ctx context.Context, f func(*Entry) error) error {
	c, err := s.connect(ctx)
	if err != nil {
		return err
	}
	defer c.close()
	var t tally
	h := &handler{
		entry: func(e *Entry) error {
			t.received++
			t.fresh++
			return f(e)
		},
		broken: func(dn []byte, reason string) error { return fmt.Errorf("the entry %q %s", dn, reason) },
	}
	regions := append(s.cfg.Users.regions(s.people.request), s.cfg.Groups.regions(s.clans.request)...)
	for _, g := range regions {
		end, err := s.sweep(ctx, c, g, h, &t, func() {})
		if err != nil {
			return err
		}
		if end.partial != "" {
			return errors.New(end.partial)
		}
	}
	return nil
}
