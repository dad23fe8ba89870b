package app

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"github.com/rollcall-id/rollcall/internal/dirtest"
)

// server is a real directory, reached as its administrator with the tools that come
// with OpenLDAP.
type server struct {
	t     *testing.T
	url   string
	ca    string
	admin dirtest.Account
}

func (s *server) tool(stdin, name string, args ...string) []byte {
	s.t.Helper()
	path, err := exec.LookPath(name)
	if err != nil {
		s.t.Fatalf("%s is not installed: apt-get install slapd ldap-utils", name)
	}
	cmd := exec.CommandContext(s.t.Context(), path, append([]string{"-x", "-H", s.url, "-D", s.admin.DN, "-w", s.admin.Password}, args...)...)
	var out, errs bytes.Buffer
	cmd.Stdin, cmd.Stdout, cmd.Stderr = strings.NewReader(stdin), &out, &errs
	cmd.Env = append(os.Environ(), "LDAPTLS_CACERT="+s.ca)
	if err := cmd.Run(); err != nil {
		s.t.Fatalf("%s: %v\n%s", name, err, errs.Bytes())
	}
	return out.Bytes()
}

// modify applies change records.
func (s *server) modify(ldif ...string) {
	s.t.Helper()
	s.tool(strings.Join(ldif, "\n\n")+"\n", "ldapmodify")
}

// search returns what ldapsearch prints.
func (s *server) search(base, filter string, attributes ...string) []dumped {
	s.t.Helper()
	out := s.tool("", "ldapsearch", append([]string{"-LLL", "-E", "pr=500/noprompt", "-b", base, filter}, attributes...)...)
	entries, err := parseDump(string(out))
	if err != nil {
		s.t.Fatal(err)
	}
	return entries
}

// dumped is an entry that ldapsearch printed: its values by the lower-case names of
// their attributes, in the order in which the server gave them.
type dumped struct {
	dn     string
	values map[string][]string
}

func (d *dumped) first(attribute string) string {
	if v := d.values[attribute]; len(v) > 0 {
		return v[0]
	}
	return ""
}

// parseDump reads LDIF (RFC 2849) with its folded lines. Nothing here is shared with
// what reads directories, so that they cannot be wrong together.
func parseDump(text string) ([]dumped, error) {
	var all []dumped
	text = strings.ReplaceAll(text, "\n ", "") // a folded line goes on after one space
	for record := range strings.SplitSeq(text, "\n\n") {
		var d dumped
		for line := range strings.SplitSeq(record, "\n") {
			if line == "" || line[0] == '#' {
				continue
			}
			name, value, ok := strings.Cut(line, ":")
			if !ok {
				return nil, fmt.Errorf("LDIF line without a colon: %q", line)
			}
			if encoded, is64 := strings.CutPrefix(value, ":"); is64 {
				b, err := base64.StdEncoding.DecodeString(strings.TrimSpace(encoded))
				if err != nil {
					return nil, fmt.Errorf("LDIF line %q: %w", line, err)
				}
				value = string(b)
			} else {
				value = strings.TrimPrefix(value, " ")
			}
			if name == "dn" {
				d = dumped{value, map[string][]string{}}
				continue
			}
			name, _, _ = strings.Cut(strings.ToLower(name), ";")
			if d.values != nil { // not a reference to another server
				d.values[name] = append(d.values[name], value)
			}
		}
		if d.values != nil {
			all = append(all, d)
		}
	}
	return all, nil
}

// plainDN spells a DN in one way (RFC 4514): its types and values in lower case, its
// values without escapes and without the spaces between them, those of one RDN
// sorted.
func plainDN(dn string) string {
	var rdns []string
	var rdn []string
	var ava []byte
	escaped := 0 // how much of ava must stay, spaces included
	end := func() {
		kept := ava[:escaped]
		rdn = append(rdn, strings.ToLower(string(kept)+strings.TrimRight(string(ava[escaped:]), " ")))
		ava, escaped = nil, 0
	}
	for i := 0; i < len(dn); i++ {
		switch c := dn[i]; c {
		case '\\':
			var b byte
			if n, err := fmt.Sscanf(dn[i+1:min(i+3, len(dn))], "%02x", &b); n == 1 && err == nil && i+2 < len(dn) && isHexDigit(dn[i+2]) {
				ava = append(ava, b)
				i += 2
			} else {
				ava = append(ava, dn[i+1])
				i++
			}
			escaped = len(ava)
		case '+':
			end()
		case ',':
			end()
			slices.Sort(rdn)
			rdns = append(rdns, strings.Join(rdn, "\x01"))
			rdn = nil
		case ' ':
			if len(ava) > 0 {
				ava = append(ava, c)
			}
		default:
			ava = append(ava, c)
		}
	}
	end()
	slices.Sort(rdn)
	return strings.Join(append(rdns, strings.Join(rdn, "\x01")), "\x00")
}

func isHexDigit(c byte) bool { return strings.IndexByte("0123456789abcdefABCDEF", c) >= 0 }

// daemonOf starts a daemon with one source called corp.
func daemonOf(t *testing.T, source string) *running {
	t.Helper()
	d := start(t, configOf(t, t.TempDir(), source))
	d.bootstrapped()
	return d
}

// configOf writes a configuration with one source called corp.
func configOf(t *testing.T, dir, source string) string {
	t.Helper()
	text := fmt.Sprintf("listen: 127.0.0.1:0\nhealth: 127.0.0.1:0\nstore: {dir: %s}\nlog: {format: json}\nsources:\n  - name: corp\n    type: ldap\n    schedule: manual\n", dir)
	for line := range strings.SplitSeq(strings.TrimSpace(source), "\n") {
		text += "    " + line + "\n"
	}
	return dirtest.WriteFile(t, "rollcall.yaml", text)
}
