package sink

import (
	"fmt"
	"math"
	"net/netip"
	"net/url"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/rollcall-id/rollcall/config"
)

// Config is the section of the configuration about the audit log.
type Config struct {
	Retention Retention `yaml:"retention"`
	Sinks     []Sink    `yaml:"sinks"`
}

// Retention says how much of the audit log the store keeps.
type Retention struct {
	Age  Age  `yaml:"age"`  // entries that are older go; 0: none does
	Size Size `yaml:"size"` // of it all, compressed, beyond which the oldest go; 0: any
}

// Sink is one place that the audit log is carried to.
type Sink struct {
	Name string `yaml:"name"` // under which it is stored how far it is; never changes
	Type string `yaml:"type"` // file, stdout or webhook
	// Actions are those that are carried: a name, or the beginning of names and a *.
	// Nothing: all.
	Actions []string `yaml:"actions"`

	Path    string `yaml:"path"`     // of a file
	MaxSize Size   `yaml:"max_size"` // of a file, before a new one is begun
	Keep    int    `yaml:"keep"`     // of the files before; 0: all of them

	URL    string           `yaml:"url"`    // of a webhook
	Secret config.SecretRef `yaml:"secret"` // of a webhook: whsec_ and base64
	// PreviousSecret signs as well, while receivers change over to Secret.
	PreviousSecret config.SecretRef `yaml:"previous_secret"`
	CAFile         string           `yaml:"ca_file"` // whom a webhook trusts; nothing: what the system trusts
	Timeout        time.Duration    `yaml:"timeout"` // of one attempt
	// AllowNetworks are networks that a webhook may be in though they are not public.
	AllowNetworks []netip.Prefix `yaml:"allow_networks"`
	Proxy         Proxy          `yaml:"proxy"` // through which a webhook goes out; never taken from the environment
}

// Proxy is where requests go out through, where nothing else gets out.
type Proxy struct {
	URL      string         `yaml:"url"`      // http:// or https:// and the proxy's host and port
	Networks []netip.Prefix `yaml:"networks"` // that it may be in though they are not public; no receiver may
}

// The types of sinks.
const (
	TypeFile    = "file"
	TypeStdout  = "stdout"
	TypeWebhook = "webhook"
)

// The defaults of the section.
const (
	DefaultAge     = Age(400 * day)
	DefaultSize    = Size(1 << 30)
	DefaultMaxSize = Size(100 << 20)
	defaultTimeout = 10 * time.Second
	mostTimeout    = time.Minute
)

// DefaultConfig returns the section as it is when the file says nothing.
func DefaultConfig() Config {
	return Config{Retention: Retention{Age: DefaultAge, Size: DefaultSize}}
}

const (
	day     = 24 * time.Hour
	minAge  = Age(day)
	minSize = Size(1 << 20)
)

var sinkName = regexp.MustCompile(`^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$`)

// Validate reports everything that is wrong with the section.
func (c *Config) Validate(p *config.Problems) {
	if c.Retention.Age != 0 && c.Retention.Age < minAge {
		p.Add("retention.age", "%v is too short: at least 1d, or 0 to keep entries whatever their age", c.Retention.Age)
	}
	if c.Retention.Size != 0 && c.Retention.Size < minSize {
		p.Add("retention.size", "%v is too small: at least 1MiB, or 0 to keep any number", c.Retention.Size)
	}
	first := map[string]int{}
	for i := range c.Sinks {
		s := &c.Sinks[i]
		in := p.In(fmt.Sprintf("sinks[%d]", i))
		s.validate(in)
		if j, twice := first[s.Name]; twice && s.Name != "" {
			in.Add("name", "%q is already the name of sinks[%d]: a sink has a name of its own", s.Name, j)
		}
		first[s.Name] = i
	}
}

func (s *Sink) validate(p *config.Problems) {
	if !sinkName.MatchString(s.Name) {
		p.Add("name", "give the sink a name of lower-case letters, digits and dashes: it says from where it goes on, so it never changes")
	}
	for i, a := range s.Actions {
		if a == "" || strings.Contains(strings.TrimSuffix(a, "*"), "*") {
			p.Add(fmt.Sprintf("actions[%d]", i), "%q is neither an action such as PermissionGranted nor a beginning such as SyncRun*", a)
		}
	}
	switch s.Type {
	case TypeFile:
		if !filepath.IsAbs(s.Path) {
			p.Add("path", "give the absolute path of the file")
		}
		if s.MaxSize != 0 && s.MaxSize < minSize {
			p.Add("max_size", "%v is too small: at least 1MiB, or leave it out for %v", s.MaxSize, DefaultMaxSize)
		}
		if s.Keep < 0 {
			p.Add("keep", "is how many files before stay: 0 for all of them")
		}
	case TypeStdout:
	case TypeWebhook:
		s.validateWebhook(p)
	default:
		p.Add("type", "%q is none of file, stdout and webhook", s.Type)
		return
	}
	s.validateForeign(p)
}

func (s *Sink) validateWebhook(p *config.Problems) {
	u, err := url.Parse(s.URL)
	switch {
	case err != nil || u.Scheme != "https" || u.Hostname() == "": // the URL may hold a secret: it is not repeated
		p.Add("url", "give the https:// address that entries are sent to")
	case u.User != nil || u.Fragment != "":
		p.Add("url", "must hold no user, password or fragment: entries are signed with the secret")
	}
	if s.Secret.IsZero() {
		p.Add("secret", "say where the secret is that entries are signed with: {file: ...}, {env: ...} or {credential: ...}")
	}
	s.Proxy.validate(p.In("proxy"))
	if s.Timeout != 0 && (s.Timeout < time.Second || s.Timeout > mostTimeout) {
		p.Add("timeout", "%v is not between 1s and %v", s.Timeout, mostTimeout)
	}
}

func (x *Proxy) validate(p *config.Problems) {
	if x.URL == "" {
		if len(x.Networks) > 0 {
			p.Add("url", "give the address of the proxy that the networks are for")
		}
		return
	}
	u, err := url.Parse(x.URL)
	switch {
	case err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Hostname() == "" || u.Path != "" && u.Path != "/":
		p.Add("url", "give the proxy as http://host:port or https://host:port")
	case u.User != nil || u.RawQuery != "" || u.Fragment != "":
		p.Add("url", "must hold no user, password, query or fragment")
	}
}

// validateForeign reports what is of another type of sink.
func (s *Sink) validateForeign(p *config.Problems) {
	for _, f := range []struct {
		path, of string
		set      bool
	}{
		{"path", TypeFile, s.Path != ""},
		{"max_size", TypeFile, s.MaxSize != 0},
		{"keep", TypeFile, s.Keep != 0},
		{"url", TypeWebhook, s.URL != ""},
		{"secret", TypeWebhook, !s.Secret.IsZero()},
		{"previous_secret", TypeWebhook, !s.PreviousSecret.IsZero()},
		{"ca_file", TypeWebhook, s.CAFile != ""},
		{"timeout", TypeWebhook, s.Timeout != 0},
		{"allow_networks", TypeWebhook, len(s.AllowNetworks) > 0},
		{"proxy", TypeWebhook, s.Proxy.URL != "" || len(s.Proxy.Networks) > 0},
	} {
		if f.set && s.Type != f.of {
			p.Add(f.path, "is for a sink of type %s", f.of)
		}
	}
}

// wants reports whether a sink carries an action.
func (s *Sink) wants(action string) bool {
	if len(s.Actions) == 0 {
		return true
	}
	for _, a := range s.Actions {
		if begin, ok := strings.CutSuffix(a, "*"); a == action || ok && strings.HasPrefix(action, begin) {
			return true
		}
	}
	return false
}

// Age is a duration that may be given in days: 400d, 36h.
type Age time.Duration

// String returns it as it is written in the file.
func (a Age) String() string {
	if d := time.Duration(a); d%day != 0 || d == 0 {
		return d.String()
	}
	return strconv.FormatInt(int64(a)/int64(day), 10) + "d"
}

// MarshalText implements encoding.TextMarshaler.
func (a Age) MarshalText() ([]byte, error) { return []byte(a.String()), nil }

// UnmarshalText implements encoding.TextUnmarshaler.
func (a *Age) UnmarshalText(b []byte) error {
	text := string(b)
	if days, ok := strings.CutSuffix(text, "d"); ok {
		n, err := strconv.ParseUint(days, 10, 16)
		if err != nil {
			return fmt.Errorf("want a number of days such as 400d")
		}
		*a = Age(time.Duration(n) * day)
		return nil
	}
	if text == "0" {
		*a = 0
		return nil
	}
	d, err := time.ParseDuration(text)
	if err != nil || d < 0 {
		return fmt.Errorf("want an age such as 400d or 36h")
	}
	*a = Age(d)
	return nil
}

// Size is a number of bytes that may be given with a unit: 512MiB, 1GiB.
type Size int64

var sizeUnits = []struct {
	name  string
	bytes int64
}{{"GiB", 1 << 30}, {"MiB", 1 << 20}, {"KiB", 1 << 10}, {"", 1}}

// String returns it as it is written in the file.
func (s Size) String() string {
	for _, u := range sizeUnits {
		if n := int64(s); n != 0 && n%u.bytes == 0 {
			return strconv.FormatInt(n/u.bytes, 10) + u.name
		}
	}
	return "0"
}

// MarshalText implements encoding.TextMarshaler.
func (s Size) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// UnmarshalText implements encoding.TextUnmarshaler.
func (s *Size) UnmarshalText(b []byte) error {
	text := string(b)
	for _, u := range sizeUnits {
		number, ok := strings.CutSuffix(text, u.name)
		if !ok {
			continue
		}
		n, err := strconv.ParseInt(number, 10, 64)
		if err != nil || n < 0 || n > math.MaxInt64/u.bytes {
			break
		}
		*s = Size(n * u.bytes)
		return nil
	}
	return fmt.Errorf("want a size such as 512MiB or 1GiB")
}
