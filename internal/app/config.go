package app

import (
	"fmt"
	"log/slog"
	"net"
	"net/url"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/rollcall-id/rollcall/access"
	"github.com/rollcall-id/rollcall/config"
	"github.com/rollcall-id/rollcall/identity"
	"github.com/rollcall-id/rollcall/internal/sink"
	"github.com/rollcall-id/rollcall/scim"
	"github.com/rollcall-id/rollcall/store/etcd"
	"github.com/rollcall-id/rollcall/sync"
	"github.com/rollcall-id/rollcall/sync/ldap"
	"github.com/rollcall-id/rollcall/usage"
)

// Config is a whole configuration, valid once [LoadConfig] has returned it.
type Config struct {
	Listen         string    // of the admin API
	TLS            ServerTLS // for Listen
	PublicURL      string    // where callers reach the API; default: where each asks
	AllowPlaintext bool      // serve plain HTTP on other than loopback addresses
	Health         string    // of /livez, /readyz and /metrics; "off": none
	Store          etcd.Options
	LocalSocket    string // for who is on the machine itself; "off": none; default: beside the store
	Log            Log
	MaxStaleness   time.Duration // how long answers go on from memory without the store
	BootstrapToken string        // file that the first start's token is written to
	Audit          sink.Config
	OIDC           access.OIDCConfig
	Limits         access.LimitsConfig
	Usage          usage.Config
	Secrets        Secrets // what sources that are made over the API may refer to
	Sources        []Source
	File           string // where all this stands
}

// ServerTLS names the certificate of a listener, in PEM. The files are read again
// when they change.
type ServerTLS struct {
	CertFile string `yaml:"cert_file"`
	KeyFile  string `yaml:"key_file"`
}

// Log says how the daemon logs.
type Log struct {
	Format string `yaml:"format"` // json, text, or auto: text on a terminal
	Level  string `yaml:"level"`  // debug, info, warn or error
}

// Source is one source of the file: what it is called, and how its people come here.
type Source struct {
	Name string `yaml:"name"`
	// Kind is the key type: "ldap", for one that is read on a schedule, or "scim", for one
	// that an identity provider pushes to.
	Kind string      `yaml:"-"`
	Sync sync.Config `yaml:",inline"` // of kind ldap, as LDAP
	LDAP ldap.Config `yaml:",inline"`
	SCIM scim.Config `yaml:"-"` // of kind scim
	// AllowLocalAttributes and AllowLocalMemberships let administrators put attributes on
	// users and groups of the source here, and members into its groups. The default is yes.
	AllowLocalAttributes  *bool `yaml:"allow_local_attributes"`
	AllowLocalMemberships *bool `yaml:"allow_local_memberships"`
	// Stored says that the source was made over the API.
	Stored bool `yaml:"-"`
}

// Pulled reports whether the source is read on a schedule.
func (s *Source) Pulled() bool { return s.Kind != kindSCIM }

// pushSource is a source of kind scim as the file has it.
type pushSource struct {
	Name string      `yaml:"name"`
	Kind string      `yaml:"type"`
	SCIM scim.Config `yaml:",inline"`

	AllowLocalAttributes  *bool `yaml:"allow_local_attributes"`
	AllowLocalMemberships *bool `yaml:"allow_local_memberships"`
}

// MarshalYAML shows a source with the keys that its kind has.
func (s Source) MarshalYAML() (any, error) {
	if s.Kind == kindSCIM {
		return pushSource{s.Name, s.Kind, s.SCIM, s.AllowLocalAttributes, s.AllowLocalMemberships}, nil
	}
	type plain Source // without this method
	return plain(s), nil
}

// decodeSource reads one source of the file: what its other keys are depends on its kind.
func decodeSource(doc *config.Document, path string, p *config.Problems) Source {
	kind := kindLDAP
	if doc.Has(path + ".type") {
		doc.Decode(path+".type", &kind, doc.Problems()) // a problem is told with the rest
	}
	return decodeKind(doc, path, kind, p)
}

// decodeKind is the one place that knows what the keys of a kind are.
func decodeKind(doc *config.Document, path, kind string, p *config.Problems) Source {
	if kind == kindSCIM {
		s := pushSource{SCIM: scim.DefaultConfig()}
		doc.Decode(path, &s, p)
		return Source{Name: s.Name, Kind: kindSCIM, SCIM: s.SCIM, AllowLocalAttributes: s.AllowLocalAttributes, AllowLocalMemberships: s.AllowLocalMemberships}
	}
	s := Source{Kind: kindLDAP, Sync: sync.DefaultConfig()}
	doc.Decode(path, &s, p)
	return s
}

// ID returns the source's name as an id.
func (s *Source) ID() identity.SourceID { return identity.SourceID(s.Name) }

// The defaults of the file.
const (
	defaultListen = "127.0.0.1:8080"
	defaultHealth = "127.0.0.1:9090"
	healthOff     = "off"
	kindLDAP      = "ldap"
	kindSCIM      = "scim"
)

// LoadConfig reads and checks the file, with the overrides that env ("KEY=value")
// holds. The error is a *[config.Error] that lists every problem with its line.
func LoadConfig(path string, env []string) (*Config, error) {
	doc, err := config.Load(path, env)
	if err != nil {
		return nil, err
	}
	return fromDocument(doc)
}

// Default returns what holds where the file says nothing. It is not valid without a
// place for the store.
func Default() *Config {
	return &Config{
		Listen: defaultListen, Health: defaultHealth, MaxStaleness: 5 * time.Minute,
		Log: Log{Format: "auto", Level: "info"}, Audit: sink.DefaultConfig(), Limits: access.DefaultLimits(), Usage: usage.DefaultConfig(), Secrets: defaultSecrets(),
	}
}

func fromDocument(doc *config.Document) (*Config, error) {
	p := doc.Problems()
	doc.Known(p, "listen", "tls", "public_url", "allow_plaintext", "health", "store", "local_socket", "log", "max_staleness", "bootstrap_token_file", "audit", "oidc", "limits", "usage", "secrets", "sources")
	c := Default()
	c.File = doc.Name()
	for path, into := range map[string]any{
		"listen": &c.Listen, "tls": &c.TLS, "public_url": &c.PublicURL, "allow_plaintext": &c.AllowPlaintext, "health": &c.Health,
		"store": &c.Store, "local_socket": &c.LocalSocket, "log": &c.Log, "max_staleness": &c.MaxStaleness, "bootstrap_token_file": &c.BootstrapToken,
		"audit": &c.Audit, "oidc": &c.OIDC, "limits": &c.Limits, "usage": &c.Usage, "secrets": &c.Secrets,
	} {
		doc.Decode(path, into, p)
	}
	if doc.Has("sources") && doc.Len("sources") == 0 {
		p.Add("sources", "list at least one source, or leave the key out")
	}
	for i := range doc.Len("sources") {
		path := fmt.Sprintf("sources[%d]", i)
		c.Sources = append(c.Sources, decodeSource(doc, path, p))
	}
	c.validate(p)
	if err := p.Err(); err != nil {
		return nil, err
	}
	return c, nil
}

// validate reports everything that is wrong, each section by the package it is of.
func (c *Config) validate(p *config.Problems) {
	c.validateListeners(p)
	if len(c.Store.Endpoints) == 0 && c.Store.Dir == "" {
		p.Add("store", "say where the roll is kept: dir for the embedded store, or endpoints of an etcd cluster")
	} else {
		c.Store.Validate(p.In("store"))
	}
	if c.LocalSocket != "" && c.LocalSocket != localOff && !filepath.IsAbs(c.LocalSocket) {
		p.Add("local_socket", "give the absolute path of a socket, in a directory of its own, or off")
	}
	if !slices.Contains([]string{"auto", "json", "text"}, c.Log.Format) {
		p.Add("log.format", "%q is none of auto, json and text", c.Log.Format)
	}
	if _, err := c.Log.level(); err != nil {
		p.Add("log.level", "%q is none of debug, info, warn and error", c.Log.Level)
	}
	if c.MaxStaleness < time.Second {
		p.Add("max_staleness", "%v is too short: at least 1s, by default 5m", c.MaxStaleness)
	}
	c.Audit.Validate(p.In("audit"))
	c.OIDC.Validate(p.In("oidc"))
	c.Limits.Validate(p.In("limits"))
	c.Secrets.Validate(p.In("secrets"))
	first := map[string]int{}
	for i := range c.Sources {
		s := &c.Sources[i]
		in := p.In(fmt.Sprintf("sources[%d]", i))
		s.validate(in)
		if j, twice := first[s.Name]; twice && s.Name != "" {
			in.Add("name", "%q is already the name of sources[%d]: a source has a name of its own", s.Name, j)
		}
		first[s.Name] = i
	}
}

func (s *Source) validate(p *config.Problems) {
	switch _, err := identity.ParseSourceID(s.Name); {
	case s.Name == "":
		p.Add("name", "give the source a name: it marks all that comes from it, and never changes")
	case s.ID() == identity.Local:
		p.Add("name", "%q is the name of what is made here: choose another", s.Name)
	case err != nil:
		p.Add("name", "%v", err)
	}
	if to := s.SCIM.Link.To + s.Sync.Link.To; to != "" && to == s.ID() {
		p.Add("link.to", "names the source itself: name the one whose users its records join")
	}
	if !s.Pulled() {
		s.SCIM.Validate(p)
		return
	}
	s.Sync.Validate(p)
	s.LDAP.Validate(p)
}

func (c *Config) validateListeners(p *config.Problems) {
	if (c.TLS.CertFile == "") != (c.TLS.KeyFile == "") {
		p.Add("tls", "a certificate and its key go together: set cert_file and key_file")
	}
	host, ok := checkAddress(p, "listen", c.Listen)
	if ok && c.TLS.CertFile == "" && !c.AllowPlaintext && !isLoopback(host) {
		p.Add("listen", "%s can be reached from other machines: set tls, or allow_plaintext where something in front does TLS", c.Listen)
	}
	c.validatePublicURL(p)
	if c.Health != healthOff {
		checkAddress(p, "health", c.Health)
	}
}

func (c *Config) validatePublicURL(p *config.Problems) {
	if c.PublicURL == "" {
		return
	}
	u, err := url.Parse(c.PublicURL)
	switch {
	case err != nil || u.Hostname() == "" || u.User != nil || u.RawQuery != "" || u.Fragment != "":
		p.Add("public_url", "give the address at which callers reach the API, such as https://rollcall.example.com, without user, query and fragment")
	case u.Scheme != "https" && (u.Scheme != "http" || !isLoopback(u.Hostname())):
		p.Add("public_url", "has to be https: what is asked there decides who may do what")
	}
}

// publicURL returns it without the slash that paths begin with.
func (c *Config) publicURL() string { return strings.TrimRight(c.PublicURL, "/") }

func checkAddress(p *config.Problems, path, address string) (host string, ok bool) {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		p.Add(path, "%q is not host:port, :port or [IPv6]:port", address)
		return "", false
	}
	return host, true
}

func isLoopback(host string) bool {
	if host == "localhost" {
		return true
	}
	ip := net.ParseIP(host)
	return ip != nil && ip.IsLoopback()
}

func (l Log) level() (slog.Level, error) {
	var level slog.Level
	err := level.UnmarshalText([]byte(l.Level))
	return level, err
}

// bootstrapFile returns where the token of the first start is written, or "".
func (c *Config) bootstrapFile() string {
	if c.BootstrapToken == "" && c.Store.Dir != "" {
		return filepath.Join(c.Store.Dir, "bootstrap-token")
	}
	return c.BootstrapToken
}
