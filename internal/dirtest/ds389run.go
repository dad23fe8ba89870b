package dirtest

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/sha1"
	"encoding/base64"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
)

// ssha writes a password as the directory stores it.
func ssha(password string) string {
	salt := []byte(rand.Text()[:8])
	sum := sha1.Sum(append([]byte(password), salt...))
	return "{SSHA}" + base64.StdEncoding.EncodeToString(append(sum[:], salt...))
}

func (s *DS389) base(w io.Writer) {
	_, _ = fmt.Fprintf(w, "dn: %[1]s\nobjectClass: top\nobjectClass: domain\ndc: example\n"+
		"aci: (targetattr != \"userPassword || aci\")(version 3.0; acl \"readers\"; allow (read, search, compare) userdn = \"ldap:///cn=*,ou=service,%[1]s\";)\n\n", s.Suffix)
	for _, ou := range []string{"people", "groups", "service"} {
		_, _ = fmt.Fprintf(w, "dn: ou=%[2]s,%[1]s\nobjectClass: organizationalUnit\nou: %[2]s\n\n", s.Suffix, ou)
	}
	for _, a := range []Account{s.Reader, s.Limited} {
		cn, _, _ := strings.Cut(strings.TrimPrefix(a.DN, "cn="), ",")
		_, _ = fmt.Fprintf(w, "dn: %[1]s\nobjectClass: person\ncn: %[2]s\nsn: %[2]s\nuserPassword: %[3]s\n", a.DN, cn, a.Password)
		limit := "-1"
		if a.DN == s.Limited.DN {
			limit = "500"
		} else {
			_, _ = io.WriteString(w, "nsLookThroughLimit: -1\nnsPagedLookThroughLimit: -1\nnsTimeLimit: -1\nnsIdleTimeout: 0\n")
		}
		_, _ = fmt.Fprintf(w, "nsSizeLimit: %[1]s\nnsPagedSizeLimit: %[1]s\n\n", limit)
	}
}

// load imports what there is at the start.
func (s *DS389) load() error {
	path := s.at("start.ldif")
	file, err := os.OpenFile(path, os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	if err := buffered(file, func(w io.Writer) error {
		s.base(w)
		if s.options.LDIF == nil {
			return nil
		}
		return s.options.LDIF(w)
	}); err != nil {
		return err
	}
	if _, err := run(context.Background(), nil, s.program, "ldif2db", "-D", s.dir, "-n", "userRoot", "-i", path); err != nil {
		return fmt.Errorf("%w\n%s", err, s.log())
	}
	// What an import does not like it leaves out, and says so in its log only.
	if log := s.log(); bytes.Contains(bytes.ToLower(log), []byte("skipping")) {
		return fmt.Errorf("the import left entries out:\n%s", log)
	}
	return os.Remove(path)
}

// log returns the end of the server's log of errors.
func (s *DS389) log() []byte {
	text, err := os.ReadFile(s.at("log/errors"))
	if err != nil {
		return []byte(err.Error())
	}
	return tail(text)
}

// Start starts a server that was stopped or killed, on the ports that it had.
func (s *DS389) Start() error {
	const tries = 5
	var err error
	for range tries {
		if s.ports == nil {
			if s.ports, err = tryPorts(2); err != nil {
				return err
			}
		}
		if err = s.start(); err == nil {
			return nil
		}
		err = fmt.Errorf("%w\n%s", err, s.log())
		s.Stop()
		s.ports = nil
	}
	return err
}

func (s *DS389) start() error {
	text, err := os.ReadFile(s.at("dse.ldif"))
	if err != nil {
		return err
	}
	for i, name := range []string{"nsslapd-port", "nsslapd-securePort"} {
		text = regexp.MustCompile(`(?im)^`+name+`: \d+$`).ReplaceAll(text, fmt.Appendf(nil, "%s: %d", name, s.ports[i]))
	}
	if err := os.WriteFile(s.at("dse.ldif"), text, 0o600); err != nil {
		return err
	}
	s.URL = fmt.Sprintf("ldap://127.0.0.1:%d", s.ports[0])
	s.LDAPS = fmt.Sprintf("ldaps://127.0.0.1:%d", s.ports[1])
	_ = os.Remove(s.socket)
	if s.proc, err = startProcess(nil, s.program, "-D", s.dir, "-i", s.at("pid"), "-d", "0"); err != nil {
		return err
	}
	// Only this server has the socket, while a port may have been taken by somebody else.
	if err := s.proc.await("unix", s.socket); err != nil {
		return err
	}
	for _, p := range s.ports {
		if err := s.proc.await("tcp", fmt.Sprintf("127.0.0.1:%d", p)); err != nil {
			return err
		}
	}
	return nil
}

// openChangelog lets the reader see the changelog, which exists only now.
func (s *DS389) openChangelog() error {
	if s.options.NoSync {
		return nil
	}
	return s.modify(context.Background(), fmt.Sprintf("dn: cn=changelog\nchangetype: modify\nreplace: aci\n"+
		"aci: (targetattr != \"aci\")(version 3.0; acl \"reader\"; allow (read, search, compare) userdn = \"ldap:///%s\";)\n", s.Reader.DN))
}

// Backup copies the database, the changelog included, to a directory that is not there
// yet. The server is down meanwhile.
func (s *DS389) Backup(to string) error {
	s.Stop()
	if err := os.CopyFS(to, os.DirFS(s.at("db"))); err != nil {
		return err
	}
	return s.Start()
}

// Restore puts the database back to what it was: what was done since is undone, and
// nobody is told.
func (s *DS389) Restore(backup string) error {
	s.Stop()
	if err := os.RemoveAll(s.at("db")); err != nil {
		return err
	}
	if err := os.CopyFS(s.at("db"), os.DirFS(backup)); err != nil {
		return err
	}
	return s.Start()
}

// Stop ends the server in good order.
func (s *DS389) Stop() { s.end(syscall.SIGTERM) }

// Kill ends the server as a crash would.
func (s *DS389) Kill() { s.end(syscall.SIGKILL) }

func (s *DS389) end(sig syscall.Signal) {
	if s.proc != nil {
		s.proc.stop(sig)
		s.proc = nil
	}
}

// Close ends the server for good, without the two seconds that good order takes.
func (s *DS389) Close() {
	s.Kill()
	_ = os.RemoveAll(filepath.Dir(s.socket))
	_ = os.Remove("/dev/shm/sem." + filepath.Base(s.dir) + ".stats")
}

// Apply changes the directory, or cn=config, with ldapmodify, as the Directory
// Manager. Records without a changetype are added.
func (s *DS389) Apply(tb testing.TB, ldif string) {
	tb.Helper()
	if err := s.modify(tb.Context(), ldif); err != nil {
		tb.Fatal(err)
	}
}

func (s *DS389) modify(ctx context.Context, ldif string) error {
	tool, err := find("ldapmodify", install389)
	if err != nil {
		return err
	}
	_, err = run(ctx, strings.NewReader(ldif), tool, "-a", "-x", "-H", s.LDAPI, "-D", s.Root.DN, "-w", s.Root.Password)
	return err
}

// Dump returns what ldapsearch prints, as the Directory Manager.
func (s *DS389) Dump(tb testing.TB, base, filter string, attributes ...string) []Entry {
	tb.Helper()
	entries, err := dump(tb.Context(), nil, append([]string{"-x", "-H", s.LDAPI, "-D", s.Root.DN, "-w", s.Root.Password}, search(base, filter, attributes)...)...)
	if err != nil {
		tb.Fatal(err)
	}
	return entries
}
