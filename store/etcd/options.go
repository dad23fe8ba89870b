package etcd

import (
	"cmp"
	"log/slog"
	"net/url"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/rollcall-id/rollcall/config"
)

// Options is the store section of the configuration. Endpoints chooses the
// cluster; without them etcd is embedded and keeps its files in Dir.
type Options struct {
	// Dir holds the embedded store. It is created when missing, for the daemon alone.
	Dir string `yaml:"dir"`
	// Quota is the size in bytes at which an embedded store takes no more; 8 GiB when 0.
	Quota int64 `yaml:"quota"`
	// Compaction is how long an embedded store keeps history, and so how long a
	// follower may be away without reading all again; 10 minutes when 0.
	Compaction time.Duration `yaml:"compaction"`
	// DebugSocket, when set, is a Unix socket on which etcdctl reaches the embedded
	// store, past every permission of Rollcall. Its directory must be private.
	DebugSocket string `yaml:"debug_socket"`

	// Endpoints are the client URLs of a cluster.
	Endpoints []string `yaml:"endpoints"`
	// TLS secures the connection to https endpoints.
	TLS TLS `yaml:"tls"`
	// Username and Password sign in to a cluster that asks for it.
	Username string           `yaml:"username"`
	Password config.SecretRef `yaml:"password"`

	// Prefix is put before every key; "/rollcall/" when empty.
	Prefix string `yaml:"prefix"`

	// Log gets what the store and etcd have to say.
	Log *slog.Logger `yaml:"-"`
	// OnFatal is called when embedded etcd cannot go on, most likely because the disk
	// is full: the process ends with status 1 as soon as it returns.
	OnFatal func() `yaml:"-"`
	// NoFsync is for tests: an embedded store that may lose what it acknowledged.
	NoFsync bool `yaml:"-"`
	// Paged is for tests: lists come in pages, as from a server before 3.7.
	Paged bool `yaml:"-"`
}

// TLS names the files that secure a connection, in PEM. Certificate and key are
// read anew for each connection, so they can be renewed under a running daemon.
type TLS struct {
	CA   string `yaml:"ca_file"`   // whom to trust; the system's authorities when empty
	Cert string `yaml:"cert_file"` // who we are
	Key  string `yaml:"key_file"`
}

// Defaults of [Options].
const (
	DefaultPrefix     = "/rollcall/"
	DefaultQuota      = 8 << 30
	DefaultCompaction = 10 * time.Minute
)

// minCompaction is what a disconnected follower must be able to bridge.
const minCompaction = 10 * time.Minute

func (o Options) embedded() bool { return len(o.Endpoints) == 0 }

func (o Options) withDefaults() Options {
	o.Prefix = cmp.Or(o.Prefix, DefaultPrefix)
	o.Quota = cmp.Or(o.Quota, DefaultQuota)
	o.Compaction = cmp.Or(o.Compaction, DefaultCompaction)
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	return o
}

// Validate reports everything that is wrong with o.
func (o Options) Validate(p *config.Problems) {
	if o.Prefix != "" && !strings.HasSuffix(o.Prefix, "/") {
		p.Add("prefix", "must end in a slash, so that no other prefix begins with it: %q", o.Prefix+"/")
	}
	if o.embedded() {
		o.validateEmbedded(p)
		return
	}
	o.validateExternal(p)
}

func (o Options) validateEmbedded(p *config.Problems) {
	if o.Dir == "" {
		p.Add("dir", "say where the embedded store keeps its files, or give the endpoints of a cluster")
	}
	if o.Quota < 0 || o.Quota > 0 && o.Quota < 16<<20 {
		p.Add("quota", "%d bytes are too few: at least 16 MiB (16777216), or leave it out for 8 GiB", o.Quota)
	}
	if o.Compaction != 0 && o.Compaction < minCompaction {
		p.Add("compaction", "%v is too short for a follower that lost its connection: at least %v", o.Compaction, minCompaction)
	}
	if o.DebugSocket != "" && !filepath.IsAbs(o.DebugSocket) {
		p.Add("debug_socket", "must be an absolute path")
	}
	if o.TLS != (TLS{}) {
		p.Add("tls", "is for a cluster: an embedded store has no connections to secure; give endpoints or remove it")
	}
	if o.Username != "" || !o.Password.IsZero() {
		p.Add("username", "is for a cluster: nobody signs in to an embedded store; give endpoints or remove it")
	}
}

func (o Options) validateExternal(p *config.Problems) {
	schemes := map[string]bool{}
	for _, e := range o.Endpoints {
		u, err := url.Parse(e)
		if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
			p.Add("endpoints", "%q is not like https://etcd.example.com:2379", e)
			continue
		}
		schemes[u.Scheme] = true
	}
	if len(schemes) > 1 {
		p.Add("endpoints", "must be all https or all http")
	}
	if o.TLS != (TLS{}) && schemes["http"] {
		p.Add("tls", "is given, but an endpoint is http: write https")
	}
	if (o.TLS.Cert == "") != (o.TLS.Key == "") {
		p.Add("tls", "a certificate and its key go together: give both cert_file and key_file")
	}
	if (o.Username == "") != o.Password.IsZero() {
		p.Add("username", "a username and its password go together")
	}
	for _, f := range []struct {
		path string
		set  bool
	}{
		{"dir", o.Dir != ""}, {"quota", o.Quota != 0}, {"compaction", o.Compaction != 0}, {"debug_socket", o.DebugSocket != ""},
	} {
		if f.set {
			p.Add(f.path, "is for an embedded store: the cluster at the endpoints is configured by its own means; remove one of them")
		}
	}
}

// secured reports whether the connection is TLS.
func (o Options) secured() bool {
	return slices.ContainsFunc(o.Endpoints, func(e string) bool { return strings.HasPrefix(e, "https://") })
}
