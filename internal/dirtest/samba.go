package dirtest

import (
	"context"
	_ "embed" // the helpers below
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
)

const installSamba = "apt-get install samba samba-ad-dc samba-ad-provision samba-dsdb-modules samba-vfs-modules winbind python3-samba ldap-utils"

//go:embed samba-ports.c.txt
var sambaPorts string

//go:embed samba-load.py
var sambaLoad string

//go:embed samba-accounts.py
var sambaAccounts string

// SambaOptions say what StartSamba starts.
type SambaOptions struct {
	// LDIF writes change records that are applied before the server starts. It may be
	// nil: then the domain has what every new domain has.
	LDIF func(io.Writer) error
	// Kerberos runs a KDC, and registers ldap/dc1.ad.example.test for the server.
	Kerberos bool
}

// Samba is a private Active Directory domain controller.
type Samba struct {
	Certificates
	Suffix     string // DC=ad,DC=example,DC=test
	URL, LDAPS string
	Admin      Account // may do all
	Reader     Account // an ordinary user, who may read
	Sync       Account // may ask for changes (DirSync) and see what was deleted
	Blind      Account // may ask for changes, and never sees a deletion
	Realm      string  // AD.EXAMPLE.TEST
	KDC        string  // host:port, with SambaOptions.Kerberos

	dir      string
	proc     *process
	ports    []int
	services string
}

// StartSamba provisions a domain, which takes some 16 seconds, and starts a server
// that ends with the test or benchmark.
func StartSamba(tb testing.TB, o SambaOptions) *Samba {
	tb.Helper()
	s, err := NewSamba(tb.TempDir(), o)
	if s != nil {
		tb.Cleanup(s.Close)
	}
	if err != nil {
		tb.Fatal(err)
	}
	return s
}

// NewSamba does the same below dir, for tests that share one server through
// sync.OnceValues: then TestMain closes it and removes dir.
func NewSamba(dir string, o SambaOptions) (*Samba, error) {
	s := &Samba{Suffix: "DC=ad,DC=example,DC=test", Realm: "AD.EXAMPLE.TEST", dir: dir, services: "ldap"}
	if o.Kerberos {
		s.services = "ldap, kdc"
	}
	s.Admin = Account{DN: "Administrator@ad.example.test", Password: "Adm1n-secret"}
	s.Reader = Account{DN: "svc-reader@ad.example.test", Password: "Reader-secret1"}
	s.Sync = Account{DN: "svc-sync@ad.example.test", Password: "Sync-secret1"}
	s.Blind = Account{DN: "svc-blind@ad.example.test", Password: "Blind-secret1"}
	for _, a := range []*Account{&s.Admin, &s.Reader, &s.Sync, &s.Blind} {
		a.PasswordFile = filepath.Join(dir, a.Password)
		if err := os.WriteFile(a.PasswordFile, []byte(a.Password), 0o600); err != nil {
			return nil, err
		}
	}
	var err error
	if s.Certificates, err = certificates(dir, time.Now().AddDate(1, 0, 0), "dc1.ad.example.test"); err != nil {
		return nil, err
	}
	for _, step := range []func() error{
		s.provision,
		func() error {
			return s.python(nil, sambaAccounts, s.conf(), s.sam(), s.Reader.Password, s.Sync.Password, s.Blind.Password)
		},
		func() error {
			if !o.Kerberos {
				return nil
			}
			return s.tool("spn", "add", "ldap/dc1.ad.example.test", "DC1$")
		},
		func() error {
			if o.LDIF == nil {
				return nil
			}
			return s.Load(o.LDIF)
		},
		s.preload,
		s.Start,
	} {
		if err := step(); err != nil {
			return s, err
		}
	}
	return s, nil
}

func (s *Samba) provision() error {
	if _, err := os.Stat("/usr/share/samba/setup/provision.ldif"); err != nil {
		return fmt.Errorf("samba cannot make a domain: %s", installSamba)
	}
	// sysvol's owners and security attributes need root and a file system that has
	// them; nothing here serves files.
	err := s.python(nil, `
import sys, samba.provision
samba.provision.setsysvolacl = lambda *a, **k: None
from samba.netcmd.main import cmd_sambatool
sys.exit(cmd_sambatool()._run("samba-tool", *sys.argv[1:]))
`, "domain", "provision", "--realm=AD.EXAMPLE.TEST", "--domain=EXAMPLE", "--server-role=dc", "--dns-backend=NONE",
		"--host-name=dc1", "--host-ip=127.0.0.1", "--adminpass="+s.Admin.Password, "--targetdir="+s.dir,
		"--option=interfaces=127.0.0.1/8", "--option=bind interfaces only=yes")
	if err != nil {
		return fmt.Errorf("provision a domain: %w", err)
	}
	for _, sub := range []string{"lock", "run", "cache"} {
		if err := os.MkdirAll(filepath.Join(s.dir, sub), 0o755); err != nil {
			return err
		}
	}
	loose, err := filepath.Glob(filepath.Join(s.dir, "*.tdb"))
	for _, f := range loose {
		err = errors.Join(err, os.Rename(f, filepath.Join(s.dir, "lock", filepath.Base(f))))
	}
	return errors.Join(err, s.configure(make([]int, 6)))
}

func (s *Samba) conf() string { return filepath.Join(s.dir, "smb.conf") }
func (s *Samba) sam() string  { return filepath.Join(s.dir, "private", "sam.ldb") }

func (s *Samba) configure(ports []int) error {
	lines := []string{
		"[global]", "netbios name = DC1", "workgroup = EXAMPLE", "realm = AD.EXAMPLE.TEST",
		"server role = active directory domain controller", "server services = " + s.services, "dcerpc endpoint servers =",
		"interfaces = 127.0.0.1/8", "bind interfaces only = yes", "disable netbios = yes",
		"ldap server require strong auth = allow_sasl_over_tls",
		"tls enabled = yes", "tls cafile = " + s.CA, "tls certfile = " + s.Cert, "tls keyfile = " + s.Key,
		"logging = file", "log file = " + s.dir + "/samba.log", "log level = 0",
		fmt.Sprintf("krb5 port = %d", ports[4]), fmt.Sprintf("kpasswd port = %d", ports[5]),
	}
	for key, sub := range map[string]string{
		"private dir": "private", "state directory": "state", "cache directory": "cache", "lock directory": "lock",
		"pid directory": "run", "ncalrpc dir": "run/ncalrpc", "ntp signd socket directory": "run/ntp_signd",
		"winbindd socket directory": "run/winbindd", "binddns dir": "bind-dns",
	} {
		lines = append(lines, key+" = "+filepath.Join(s.dir, sub))
	}
	return os.WriteFile(s.conf(), []byte(strings.Join(lines, "\n")+"\n"), 0o600)
}

// Keytab writes the keys of an account or a service into a file and returns its path.
func (s *Samba) Keytab(tb testing.TB, principal string) string {
	tb.Helper()
	path := filepath.Join(tb.TempDir(), "krb5.keytab")
	s.Tool(tb, "domain", "exportkeytab", path, "--principal="+principal)
	return path
}

// Tool runs samba-tool on the domain's database. The server may run.
func (s *Samba) Tool(tb testing.TB, args ...string) {
	tb.Helper()
	if err := s.tool(args...); err != nil {
		tb.Fatal(err)
	}
}

func (s *Samba) tool(args ...string) error {
	tool, err := find("samba-tool", installSamba)
	if err != nil {
		return err
	}
	// It finds the database through the configuration.
	_, err = run(context.Background(), nil, tool, append(args, "-s", s.conf())...)
	return err
}

// Load applies LDIF change records straight to the database. The server may run.
func (s *Samba) Load(ldif func(io.Writer) error) error {
	r, w := io.Pipe()
	go func() { _ = w.CloseWithError(ldif(w)) }()
	err := s.python(r, sambaLoad, s.conf(), s.sam())
	_ = r.Close()
	return err
}

// python runs a program of Samba's own.
func (s *Samba) python(stdin io.Reader, program string, args ...string) error {
	// Not the first in PATH: only the system's own has Samba's modules.
	const python = "/usr/bin/python3"
	if _, err := os.Stat(python); err != nil {
		return fmt.Errorf("%s is missing: %s", python, installSamba)
	}
	_, err := run(context.Background(), stdin, python, append([]string{"-c", program}, args...)...)
	return err
}

// preload compiles what moves the server's fixed ports.
func (s *Samba) preload() error {
	cc, err := find("cc", "apt-get install gcc libc6-dev")
	if err != nil {
		return err
	}
	_, err = run(context.Background(), strings.NewReader(sambaPorts), cc, "-O2", "-shared", "-fPIC", "-x", "c", "-o", s.library(), "-", "-ldl")
	return err
}

func (s *Samba) library() string { return filepath.Join(s.dir, "ports.so") }

// Start starts a server that was stopped, on the ports that it had.
func (s *Samba) Start() error {
	samba, err := find("samba", installSamba)
	if err != nil {
		return err
	}
	const tries = 5
	for range tries {
		if s.ports == nil {
			if s.ports, err = tryPorts(6); err != nil {
				return err
			}
		}
		if err = s.start(samba); err == nil {
			return nil
		}
		s.Close()
		s.ports = nil
	}
	return err
}

func (s *Samba) start(samba string) error {
	if err := s.configure(s.ports); err != nil {
		return err
	}
	s.URL, s.LDAPS = fmt.Sprintf("ldap://127.0.0.1:%d", s.ports[0]), fmt.Sprintf("ldaps://127.0.0.1:%d", s.ports[1])
	env := []string{
		"LD_PRELOAD=" + s.library(),
		fmt.Sprintf("PORT_MAP=389=%d,636=%d,3268=%d,3269=%d", s.ports[0], s.ports[1], s.ports[2], s.ports[3]),
	}
	var err error
	if s.proc, err = startProcess(env, samba, "-F", "--no-process-group", "-s", s.conf()); err != nil {
		return err
	}
	awaited := s.ports[:2]
	if strings.Contains(s.services, "kdc") {
		s.KDC = fmt.Sprintf("127.0.0.1:%d", s.ports[4])
		awaited = append(slices.Clone(awaited), s.ports[4])
	}
	for _, p := range awaited {
		if err := s.proc.await("tcp", fmt.Sprintf("127.0.0.1:%d", p)); err != nil {
			return err
		}
	}
	return nil
}

// Close ends the server.
func (s *Samba) Close() {
	if s.proc != nil {
		s.proc.stop(syscall.SIGTERM)
		s.proc = nil
	}
}

// Apply changes the directory with ldapmodify over LDAPS, as the administrator.
// Records without a changetype are added.
func (s *Samba) Apply(tb testing.TB, ldif string) {
	tb.Helper()
	tool, err := find("ldapmodify", installSamba)
	if err == nil {
		_, err = run(tb.Context(), strings.NewReader(ldif), "/usr/bin/env", "LDAPTLS_CACERT="+s.CA, tool,
			"-a", "-x", "-H", s.LDAPS, "-D", s.Admin.DN, "-w", s.Admin.Password)
	}
	if err != nil {
		tb.Fatal(err)
	}
}

// Dump returns what ldapsearch prints, as the administrator, over LDAPS.
func (s *Samba) Dump(tb testing.TB, base, filter string, attributes ...string) []Entry {
	tb.Helper()
	entries, err := dump(tb.Context(), []string{"LDAPTLS_CACERT=" + s.CA},
		append([]string{"-x", "-H", s.LDAPS, "-D", s.Admin.DN, "-w", s.Admin.Password}, search(base, filter, attributes)...)...)
	if err != nil {
		tb.Fatal(err)
	}
	return entries
}
