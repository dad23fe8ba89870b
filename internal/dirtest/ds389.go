package dirtest

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"os/user"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
)

const install389 = "apt-get install 389-ds-base ldap-utils"

// DS389Options say what Start389 starts. The zero value is useful: a server with
// content synchronization as it has to be for RFC 4533 to work.
type DS389Options struct {
	// LDIF writes what the directory holds at the start, loaded by an import, which runs
	// no plugin. It may be nil: then there is the suffix with ou=people and ou=groups.
	LDIF func(io.Writer) error
	// MemberOf and RefInt enable these plugins.
	MemberOf, RefInt bool
	// NoTargetID leaves nsuniqueid out of the retro changelog, which is what a server has
	// that nobody told better: it answers every request for changes with none at all.
	NoTargetID bool
	// NoSync leaves content synchronization and the retro changelog out.
	NoSync bool
}

// DS389 is a private 389 Directory Server.
type DS389 struct {
	Certificates
	Suffix            string // dc=example,dc=org
	URL, LDAPS, LDAPI string
	Root              Account // may do all: the Directory Manager
	Reader            Account // reads all, and cn=changelog, without limits
	Limited           Account // reads all, but gets at most 500 entries of a search

	dir, socket string
	ports       []int
	options     DS389Options
	program     string
	proc        *process
}

// Start389 starts a server that ends with the test.
func Start389(tb testing.TB, o DS389Options) *DS389 {
	tb.Helper()
	s, err := New389(tb.TempDir(), o)
	if s != nil {
		tb.Cleanup(s.Close)
	}
	if err != nil {
		tb.Fatal(err)
	}
	return s
}

// New389 does the same below dir, for tests that share one server through
// sync.OnceValues: then TestMain closes it and removes dir.
func New389(dir string, o DS389Options) (*DS389, error) {
	// A socket's path may have 107 bytes, and those of test directories are long. The
	// server's own directory has the same name, because of which it makes a semaphore.
	socket, err := os.MkdirTemp("", "ds389")
	if err != nil {
		return nil, err
	}
	s := &DS389{Suffix: "dc=example,dc=org", dir: filepath.Join(dir, filepath.Base(socket)), options: o}
	s.socket = filepath.Join(socket, "ldapi")
	s.LDAPI = "ldapi://" + url.PathEscape(s.socket)
	if err := os.MkdirAll(s.dir, 0o700); err != nil {
		return s, err
	}
	s.Root = Account{DN: "cn=Directory Manager", Password: "root-secret"}
	s.Reader = Account{DN: "cn=reader,ou=service," + s.Suffix, Password: "reader-secret"}
	s.Limited = Account{DN: "cn=limited,ou=service," + s.Suffix, Password: "limited-secret"}
	for _, a := range []*Account{&s.Root, &s.Reader, &s.Limited} {
		a.PasswordFile = filepath.Join(dir, a.Password)
		if err := os.WriteFile(a.PasswordFile, []byte(a.Password), 0o600); err != nil {
			return s, err
		}
	}
	if s.program, err = find("ns-slapd", install389); err != nil {
		return s, err
	}
	if s.Certificates, err = certificates(dir, time.Now().AddDate(1, 0, 0)); err != nil {
		return s, err
	}
	for _, step := range []func() error{s.configure, s.keys, s.load, s.Start, s.openChangelog} {
		if err := step(); err != nil {
			return s, err
		}
	}
	return s, nil
}

func (s *DS389) at(name string) string { return filepath.Join(s.dir, name) }

// configure writes the server's configuration from the template that dscreate uses,
// without what dscreate does besides: it wants systemd, fixed paths, and listens on
// every address for a while.
func (s *DS389) configure() error {
	for _, sub := range []string{"lock", "tmp", "ldif", "bak", "run", "inst", "log", "db"} {
		if err := os.MkdirAll(s.at(sub), 0o700); err != nil {
			return err
		}
	}
	// What dscreate copies from /etc/dirsrv only root may read there.
	err := os.MkdirAll(s.at("schema"), 0o700)
	for name, text := range map[string]string{
		"schema/99user.ldif":    "dn: cn=schema\nobjectClass: top\nobjectClass: ldapSubentry\nobjectClass: subschema\ncn: schema\n",
		"slapd-collations.conf": "",
		"certmap.conf":          "certmap default default\n",
	} {
		err = errors.Join(err, os.WriteFile(s.at(name), []byte(text), 0o600))
	}
	template, readErr := os.ReadFile("/usr/share/dirsrv/data/template-dse.ldif")
	if err = errors.Join(err, readErr); err != nil {
		return fmt.Errorf("%w: %s", err, install389)
	}
	text, err := s.configuration(string(template))
	if err != nil {
		return err
	}
	return os.WriteFile(s.at("dse.ldif"), []byte(text), 0o600)
}

func (s *DS389) configuration(template string) (string, error) {
	me, err := user.Current()
	if err != nil {
		return "", err
	}
	values := []string{
		"%config_dir%", s.dir, "%cert_dir%", s.dir, "%db_dir%", s.at("db"), "%db_home_dir%", s.at("db"), "%db_lib%", "bdb",
		"%fqdn%", "localhost", "%ds_port%", "389", "%ds_user%", me.Username, "%rootdn%", s.Root.DN, "%ds_passwd%", ssha(s.Root.Password),
		"%ds_suffix%", s.Suffix, "%ldapi%", s.socket, "%ldapi_enabled%", "on", "%ldapi_autobind%", "off",
	}
	for _, sub := range []string{"schema", "lock", "tmp", "ldif", "bak", "run", "inst", "log"} {
		values = append(values, "%"+sub+"_dir%", s.at(sub))
	}
	text := strings.TrimRight(strings.NewReplacer(values...).Replace(template), "\n") + "\n\n"
	if left := regexp.MustCompile(`%\w+%`).FindString(text); left != "" {
		return "", fmt.Errorf("the configuration of this 389 Directory Server wants to know %s", left)
	}
	var missing []string
	set := func(dn string, lines ...string) {
		changed, ok := setLines(text, dn, lines)
		if text = changed; !ok {
			missing = append(missing, dn)
		}
	}
	set("cn=config", "nsslapd-listenhost: 127.0.0.1", "nsslapd-securelistenhost: 127.0.0.1", "nsslapd-securePort: 636",
		"nsslapd-security: on", "nsslapd-accesslog-logging-enabled: off", "nsslapd-maxbersize: 67108864")
	// A crash of the machine may take the database with it.
	set("cn=config,cn=ldbm database,cn=plugins,cn=config", "nsslapd-db-durable-transaction: off",
		"nsslapd-cache-autosize: 0", "nsslapd-dbcachesize: 33554432")
	on := func(plugin string, lines ...string) {
		set("cn="+plugin+",cn=plugins,cn=config", append(lines, "nsslapd-pluginenabled: on")...)
	}
	// It would refuse names that the others take.
	set("cn=7-bit check,cn=plugins,cn=config", "nsslapd-pluginenabled: off")
	if !s.options.NoSync {
		on("Content Synchronization")
		if s.options.NoTargetID {
			on("Retro Changelog Plugin")
		} else {
			on("Retro Changelog Plugin", "nsslapd-attribute: nsuniqueid:targetUniqueId")
		}
	}
	if s.options.MemberOf {
		on("MemberOf Plugin", "memberOfAutoAddOC: nsMemberOf")
	}
	if s.options.RefInt {
		on("referential integrity postoperation")
	}
	if missing != nil {
		return "", fmt.Errorf("the configuration of this 389 Directory Server has no %q", missing)
	}
	return text + s.backend(), nil
}

// backend describes the database of the suffix.
func (s *DS389) backend() string {
	return fmt.Sprintf(`dn: cn=userRoot,cn=ldbm database,cn=plugins,cn=config
objectclass: top
objectclass: extensibleObject
objectclass: nsBackendInstance
nsslapd-suffix: %[1]s
nsslapd-directory: %[2]s/userRoot
cn: userRoot

dn: cn="%[1]s",cn=mapping tree,cn=config
objectclass: top
objectclass: extensibleObject
objectclass: nsMappingTree
cn: %[1]s
cn: "%[1]s"
nsslapd-state: backend
nsslapd-backend: userRoot
`, s.Suffix, s.at("db"))
}

// setLines replaces or adds lines of one entry of LDIF text, or says that there is none.
func setLines(text, dn string, lines []string) (string, bool) {
	start := strings.Index("\n\n"+text, "\n\ndn: "+dn+"\n")
	if start < 0 {
		return text, false
	}
	end := start + strings.Index(text[start:]+"\n\n", "\n\n")
	var kept []string
	for line := range strings.SplitSeq(text[start:end], "\n") {
		name, _, _ := strings.Cut(line, ":")
		replaced := false
		for _, l := range lines {
			other, _, _ := strings.Cut(l, ":")
			replaced = replaced || strings.EqualFold(name, other)
		}
		if !replaced {
			kept = append(kept, line)
		}
	}
	return text[:start] + strings.Join(append(kept, lines...), "\n") + text[end:], true
}

// keys makes the database of keys that the server's TLS library reads.
func (s *DS389) keys() error {
	password := s.at("pwdfile.txt")
	err := errors.Join(os.WriteFile(password, []byte("key-secret\n"), 0o600),
		os.WriteFile(s.at("pin.txt"), []byte("Internal (Software) Token:key-secret\n"), 0o600))
	bundle := s.at("server.p12")
	for _, args := range [][]string{
		{"openssl", "pkcs12", "-export", "-inkey", s.Key, "-in", s.Cert, "-name", "Server-Cert", "-passout", "pass:x", "-out", bundle},
		{"certutil", "-N", "-d", s.dir, "-f", password},
		{"pk12util", "-i", bundle, "-d", s.dir, "-k", password, "-W", "x"},
		{"certutil", "-A", "-d", s.dir, "-f", password, "-n", "CA", "-t", "CT,,", "-a", "-i", s.CA},
	} {
		if err != nil {
			return err
		}
		args[0], err = find(args[0], install389)
		if err == nil {
			_, err = run(context.Background(), nil, args[0], args[1:]...)
		}
	}
	return err
}
