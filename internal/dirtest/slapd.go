package dirtest

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

const installSlapd = "apt-get install slapd ldap-utils"

// SlapdOptions say what StartSlapd starts. The zero value is useful.
type SlapdOptions struct {
	// LDIF writes what the directory holds at the start, loaded by slapadd. It may be
	// nil: then the directory has its suffix, ou=people and ou=groups only.
	LDIF func(io.Writer) error
	// MemberOf, RefInt and PPolicy load these overlays.
	MemberOf, RefInt, PPolicy bool
	// Provider loads overlay syncprov, so that the server tells what changed (RFC 4533).
	Provider bool
	// SessionLog is how many operations a provider remembers, in memory; 0: none.
	SessionLog int
	// ServerID is in the stamps of all changes; see [Slapd.SetServerID].
	ServerID int
	// CertificateUntil is when the server's certificate expires; zero: in a year.
	CertificateUntil time.Time
	// Env are further variables of the server's environment.
	Env []string
	// Global and Database are further lines for slapd.conf.
	Global, Database string
}

// Account is one that a server lets in.
type Account struct {
	DN           string // or a name that the server takes instead
	Password     string
	PasswordFile string // holds the password
}

// Slapd is a private OpenLDAP server.
type Slapd struct {
	Certificates
	Suffix            string // dc=example,dc=org
	URL, LDAPS, LDAPI string
	Root              Account // may do all
	Reader            Account // reads all, without limits
	Limited           Account // reads all, but gets at most 500 entries of a search
	Blind             Account // sees the suffix, ou=people and ou=groups, and nothing below

	tb      testing.TB
	options SlapdOptions
	limited map[string]string // how many entries who gets
	dir     string
	socket  string
	ports   []int
	slapadd string
	slapd   string
	proc    *process
}

// StartSlapd starts a server that ends with the test.
func StartSlapd(tb testing.TB, o SlapdOptions) *Slapd {
	tb.Helper()
	s := &Slapd{Suffix: "dc=example,dc=org", tb: tb, options: o, dir: tb.TempDir()}
	for _, p := range []struct {
		path *string
		name string
	}{{&s.slapd, "slapd"}, {&s.slapadd, "slapadd"}} {
		var err error
		if *p.path, err = find(p.name, installSlapd); err != nil {
			tb.Fatal(err)
		}
	}
	// A socket's path may have 107 bytes, and those of test directories are long.
	socket, err := os.MkdirTemp("", "slapd")
	if err != nil {
		tb.Fatal(err)
	}
	s.socket = filepath.Join(socket, "ldapi")
	s.LDAPI = "ldapi://" + url.PathEscape(s.socket)
	tb.Cleanup(func() {
		s.Stop()
		_ = os.RemoveAll(socket)
	})
	until := o.CertificateUntil
	if until.IsZero() {
		until = time.Now().AddDate(1, 0, 0)
	}
	if s.Certificates, err = certificates(s.dir, until); err != nil {
		tb.Fatal(err)
	}
	s.Root = s.account("cn=admin,"+s.Suffix, "root-secret")
	s.Reader = s.account("cn=reader,ou=service,"+s.Suffix, "reader-secret")
	s.Limited = s.account("cn=limited,ou=service,"+s.Suffix, "limited-secret")
	s.Blind = s.account("cn=blind,ou=service,"+s.Suffix, "blind-secret")
	s.limited = map[string]string{s.Reader.DN: "unlimited", s.Blind.DN: "unlimited", s.Limited.DN: "500"}
	s.configure()
	s.load(s.base())
	if o.LDIF != nil {
		s.load(o.LDIF)
	}
	s.Start()
	return s
}

func (s *Slapd) account(dn, password string) Account {
	s.tb.Helper()
	file := filepath.Join(s.dir, password)
	if err := os.WriteFile(file, []byte(password+"\n"), 0o600); err != nil {
		s.tb.Fatal(err)
	}
	return Account{DN: dn, Password: password, PasswordFile: file}
}

func (s *Slapd) configure() {
	s.tb.Helper()
	o := s.options
	modules, err := filepath.Glob("/usr/lib*/*ldap/back_mdb.so*")
	if more, globErr := filepath.Glob("/usr/lib/*/*ldap/back_mdb.so*"); globErr == nil {
		modules = append(modules, more...)
	}
	if err != nil || len(modules) == 0 {
		s.tb.Fatalf("slapd's modules are not installed: %s", installSlapd)
	}
	var b strings.Builder
	line := func(format string, args ...any) { fmt.Fprintf(&b, format+"\n", args...) }
	for _, schema := range []string{"core", "cosine", "inetorgperson", "nis"} {
		line("include /etc/ldap/schema/%s.schema", schema)
	}
	line("pidfile %s/slapd.pid\nmodulepath %s", s.dir, filepath.Dir(modules[0]))
	for _, m := range []string{"back_mdb", "memberof", "refint", "ppolicy", "syncprov"} {
		line("moduleload %s", m)
	}
	line("TLSCACertificateFile %s\nTLSCertificateFile %s\nTLSCertificateKeyFile %s\nTLSVerifyClient try", s.CA, s.Cert, s.Key)
	line("authz-regexp \"cn=sync,o=rollcall test\" \"%s\"", s.Reader.DN)
	line("loglevel none\nsizelimit 500\nthreads 4\nsockbuf_max_incoming 67108864\nsockbuf_max_incoming_auth 67108864")
	line("serverID %d", o.ServerID)
	line("%s", o.Global)
	// A server that has no directory of configuration still takes changes of it, until
	// it stops.
	line("database config\nrootdn cn=config\nrootpw %s", s.Root.Password)
	line("database mdb\nsuffix %q\nrootdn %q\nrootpw %s\ndirectory %s\nmaxsize 8589934592\ndbnosync", s.Suffix, s.Root.DN, s.Root.Password, s.dir)
	line("index objectClass,uid,cn,member,entryUUID,entryCSN eq")
	for _, limit := range s.limits() {
		line("limits %s", limit)
	}
	line("access to attrs=userPassword by anonymous auth by * none")
	for _, ou := range []string{"people", "groups"} {
		line("access to dn.children=\"ou=%s,%s\" by dn.exact=%q none by dn.children=\"ou=service,%s\" read by * none", ou, s.Suffix, s.Blind.DN, s.Suffix)
	}
	line("access to * by dn.children=\"ou=service,%s\" read by * none", s.Suffix)
	line("%s", o.Database)
	if o.MemberOf {
		line("overlay memberof\nmemberof-group-oc groupOfNames\nmemberof-member-ad member\nmemberof-memberof-ad memberOf")
	}
	if o.RefInt {
		line("overlay refint\nrefint_attributes member\nrefint_nothing cn=nobody")
	}
	if o.PPolicy {
		line("overlay ppolicy")
	}
	if o.Provider {
		line("overlay syncprov")
		if o.SessionLog > 0 {
			line("syncprov-sessionlog %d", o.SessionLog)
		}
	}
	if err := os.WriteFile(s.conf(), []byte(b.String()), 0o600); err != nil {
		s.tb.Fatal(err)
	}
}

func (s *Slapd) conf() string { return filepath.Join(s.dir, "slapd.conf") }

func (s *Slapd) base() func(io.Writer) error {
	return func(w io.Writer) error {
		_, err := fmt.Fprintf(w, "dn: %[1]s\nobjectClass: dcObject\nobjectClass: organization\ndc: example\no: Example\n\n", s.Suffix)
		for _, ou := range []string{"people", "groups", "service"} {
			_, err = fmt.Fprintf(w, "dn: ou=%[2]s,%[1]s\nobjectClass: organizationalUnit\nou: %[2]s\n\n", s.Suffix, ou)
		}
		for _, a := range []Account{s.Reader, s.Limited, s.Blind} {
			cn, _, _ := strings.Cut(strings.TrimPrefix(a.DN, "cn="), ",")
			_, err = fmt.Fprintf(w, "dn: %s\nobjectClass: organizationalRole\nobjectClass: simpleSecurityObject\ncn: %s\nuserPassword: %s\n\n",
				a.DN, cn, a.Password)
		}
		return err
	}
}

// load adds entries while the server does not run.
func (s *Slapd) load(ldif func(io.Writer) error) {
	s.tb.Helper()
	file, err := os.CreateTemp(s.dir, "*.ldif")
	if err == nil {
		err = buffered(file, ldif)
	}
	if err != nil {
		s.tb.Fatal(err)
	}
	defer func() { _ = os.Remove(file.Name()) }()
	if _, err := run(context.Background(), nil, s.slapadd, "-q", "-w", "-S", strconv.Itoa(s.options.ServerID), "-f", s.conf(), "-b", s.Suffix, "-l", file.Name()); err != nil {
		s.tb.Fatal(err)
	}
}

// LoadLDIF adds entries with slapadd; the server is down meanwhile.
func (s *Slapd) LoadLDIF(ldif func(io.Writer) error) {
	s.tb.Helper()
	s.Stop()
	s.load(ldif)
	s.Start()
}

// Start starts a server that was stopped or killed, on the ports that it had.
func (s *Slapd) Start() {
	s.tb.Helper()
	const tries = 5
	var err error
	for range tries {
		if s.ports == nil {
			s.setPorts(freePorts(s.tb, 2))
		}
		_ = os.Remove(s.socket)
		if s.proc, err = startProcess(s.options.Env, s.slapd, "-d", "0", "-f", s.conf(), "-h", strings.Join([]string{s.URL, s.LDAPS, s.LDAPI}, " ")); err != nil {
			s.tb.Fatal(err)
		}
		// The socket is its own, while a port may have been taken by somebody else.
		if err = s.proc.await("unix", s.socket); err == nil {
			return
		}
		s.Stop()
		s.ports = nil
	}
	s.tb.Fatal(err)
}

func (s *Slapd) setPorts(ports []int) {
	s.ports = ports
	s.URL = fmt.Sprintf("ldap://127.0.0.1:%d", ports[0])
	s.LDAPS = fmt.Sprintf("ldaps://127.0.0.1:%d", ports[1])
}

// Stop ends the server in good order.
func (s *Slapd) Stop() { s.end(syscall.SIGTERM) }

// Kill ends the server as a crash would.
func (s *Slapd) Kill() { s.end(syscall.SIGKILL) }

func (s *Slapd) end(sig syscall.Signal) {
	if s.proc != nil {
		s.proc.stop(sig)
		s.proc = nil
	}
}

// Apply changes the directory with ldapmodify, as the root account. Records without
// a changetype are added.
func (s *Slapd) Apply(ldif string) {
	s.tb.Helper()
	s.modify(ldif, s.Root.DN)
}

func (s *Slapd) modify(ldif, as string) {
	s.tb.Helper()
	tool, err := find("ldapmodify", installSlapd)
	if err == nil {
		_, err = run(s.tb.Context(), strings.NewReader(ldif), tool, "-a", "-x", "-H", s.LDAPI, "-D", as, "-w", s.Root.Password)
	}
	if err != nil {
		s.tb.Fatal(err)
	}
}

// Dump returns what ldapsearch prints, as the root account.
func (s *Slapd) Dump(base, filter string, attributes ...string) []Entry {
	s.tb.Helper()
	entries, err := dump(s.tb.Context(), nil, append([]string{"-x", "-H", s.LDAPI, "-D", s.Root.DN, "-w", s.Root.Password}, search(base, filter, attributes)...)...)
	if err != nil {
		s.tb.Fatal(err)
	}
	return entries
}

func search(base, filter string, attributes []string) []string {
	return append([]string{"-LLL", "-o", "ldif-wrap=no", "-E", "pr=1000/noprompt", "-b", base, filter}, attributes...)
}

func dump(ctx context.Context, env []string, args ...string) ([]Entry, error) {
	tool, err := find("ldapsearch", installSlapd)
	if err != nil {
		return nil, err
	}
	out, err := run(ctx, nil, "/usr/bin/env", append(append(env, tool), args...)...)
	if err != nil {
		return nil, err
	}
	return ParseLDIF(bytes.NewReader(out))
}
