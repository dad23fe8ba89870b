package history

import (
	"io"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rollcall-id/rollcall/config"
	"github.com/rollcall-id/rollcall/internal/dirtest"
	"github.com/rollcall-id/rollcall/sync/ldap"
)

// ground is a directory that a story is played on.
type ground struct {
	speaks tongue
	view   *view
	apply  func(ldif string)
	dump   dumper
	config ldap.Config
	// confused says that it does not itself know where people are whose unit has moved.
	confused bool
	// repairs says that it puts its groups in order after it has answered.
	repairs bool
	// mishaps are what may happen to it, besides changes.
	mishaps []mishap
	// backup and restore are nil where a directory cannot be put back.
	backup  func() string
	restore func(string)
}

// mishap is one thing that happens to a directory that loses nothing by it.
type mishap struct {
	name string
	do   func()
	// forgets says that it does not know of its last changes any more: slapd keeps how far
	// it has come (contextCSN) in memory, and its next session log begins before them.
	forgets bool
}

// crowd is what a directory holds at the start, as records that add; "": nothing.
type crowd string

func (c crowd) write(w io.Writer) error {
	_, err := io.WriteString(w, string(c))
	return err
}

// content returns the same without the words that a bulk load does not know.
func (c crowd) content() crowd { return crowd(strings.ReplaceAll(string(c), "changetype: add\n", "")) }

// family says how a ground is made, and how the changes of it are read.
type family struct {
	name string
	make func(testing.TB, func(tongue) crowd) *ground
	// changes is what the configuration says of them; way is what comes of it in words of
	// the proof, and blind whether only a comparison of everything finds who is gone.
	changes string
	blind   bool
	// patches says that what comes of a group is its new members and those it lost: whom
	// it lists out of sight is then known as of the last time it was read whole.
	patches bool
}

func families() []family {
	plain := dirtest.SlapdOptions{PPolicy: true}
	provider := dirtest.SlapdOptions{PPolicy: true, Provider: true, SessionLog: 1000, ServerID: 1}
	repairing := provider
	repairing.RefInt, repairing.MemberOf = true, true
	forgetful := provider
	forgetful.SessionLog = 0
	return []family{
		{name: "OpenLDAP whole", make: slapd(plain), changes: "none"},
		{name: "OpenLDAP", make: slapd(provider)},
		{name: "OpenLDAP that repairs groups", make: slapd(repairing)},
		{name: "OpenLDAP without a session log", make: slapd(forgetful)},
		{name: "OpenLDAP by name", make: names(provider)},
		{name: "OpenLDAP by name and time", make: names(plain), changes: "timestamps", blind: true},
		{name: "OpenLDAP by time", make: slapd(plain), changes: "timestamps", blind: true},
		{name: "389-ds whole", make: ds389(dirtest.DS389Options{NoSync: true}), changes: "none"},
		{name: "389-ds", make: ds389(dirtest.DS389Options{MemberOf: true, RefInt: true})},
		{name: "389-ds that repairs nothing", make: ds389(dirtest.DS389Options{})},
		{name: "389-ds by time", make: ds389(dirtest.DS389Options{NoSync: true, RefInt: true}), changes: "timestamps", blind: true},
		{name: "Active Directory whole", make: samba(reader), changes: "none"},
		{name: "Active Directory", make: samba(syncer), patches: true},
		{name: "Active Directory by numbers", make: samba(syncer), changes: "usn", patches: true},
	}
}

// names makes a directory whose groups list login names.
func names(o dirtest.SlapdOptions) func(testing.TB, func(tongue) crowd) *ground {
	return slapdSpeaking(o, func(p *posix) { p.byName = true })
}

func slapd(o dirtest.SlapdOptions) func(testing.TB, func(tongue) crowd) *ground {
	return slapdSpeaking(o, func(*posix) {})
}

func slapdSpeaking(o dirtest.SlapdOptions, as func(*posix)) func(testing.TB, func(tongue) crowd) *ground {
	return func(tb testing.TB, at func(tongue) crowd) *ground {
		p := &posix{
			top: "dc=example,dc=org", key: "entryUUID", lock: "pwdAccountLockedTime: 000001010000Z",
			refint: o.RefInt, someone: "cn=nobody,dc=example,dc=org",
		}
		as(p)
		o.LDIF = at(p).content().write
		s := dirtest.StartSlapd(tb, o)
		g := &ground{speaks: p, view: p.view(), apply: s.Apply, dump: s.Dump, repairs: o.RefInt, backup: s.Backup, restore: s.Restore}
		g.mishaps = []mishap{
			{name: "the server restarts", do: func() { s.Stop(); s.Start() }},
			{name: "the server is killed", do: func() { s.Kill(); s.Start() }, forgets: true},
		}
		if o.Provider {
			id := o.ServerID
			g.mishaps = append(g.mishaps, mishap{name: "another provider writes", do: func() { id = 3 - id; s.SetServerID(id) }})
		}
		g.config.Template = ldap.TemplateOpenLDAP
		g.config.URLs, g.config.TLS.CA = []string{s.LDAPS}, s.CA
		g.config.Bind = ldap.Bind{DN: s.Reader.DN, Password: config.SecretRef{File: s.Reader.PasswordFile}}
		return g.mapped()
	}
}

func ds389(o dirtest.DS389Options) func(testing.TB, func(tongue) crowd) *ground {
	return func(tb testing.TB, at func(tongue) crowd) *ground {
		p := &posix{top: "dc=example,dc=org", key: "nsUniqueId", lock: "nsAccountLock: TRUE", refint: o.RefInt}
		o.LDIF = at(p).content().write
		s := dirtest.Start389(tb, o)
		g := &ground{speaks: p, view: p.view(), confused: o.RefInt}
		must := func(err error) {
			tb.Helper()
			if err != nil {
				tb.Fatal(err)
			}
		}
		g.mishaps = []mishap{{name: "the server restarts", do: func() { s.Stop(); must(s.Start()) }}}
		g.backup = func() string {
			to := filepath.Join(tb.TempDir(), "backup")
			must(s.Backup(to))
			return to
		}
		g.restore = func(backup string) { must(s.Restore(backup)) }
		g.apply = func(ldif string) { tb.Helper(); s.Apply(tb, ldif) }
		g.dump = func(base, filter string, attributes ...string) []dirtest.Entry {
			tb.Helper()
			return s.Dump(tb, base, filter, attributes...)
		}
		g.config.Template = ldap.Template389
		g.config.URLs, g.config.TLS.CA = []string{s.LDAPS}, s.CA
		g.config.Bind = ldap.Bind{DN: s.Reader.DN, Password: config.SecretRef{File: s.Reader.PasswordFile}}
		return g.mapped()
	}
}

// The accounts that read a domain.
func reader(s *dirtest.Samba) dirtest.Account { return s.Reader }
func syncer(s *dirtest.Samba) dirtest.Account { return s.Sync }

func samba(as func(*dirtest.Samba) dirtest.Account) func(testing.TB, func(tongue) crowd) *ground {
	return func(tb testing.TB, at func(tongue) crowd) *ground {
		s := dirtest.StartSamba(tb, dirtest.SambaOptions{})
		d := &domain{top: s.Suffix}
		g := &ground{speaks: d, view: d.view()}
		g.mishaps = []mishap{{name: "the server restarts", do: func() {
			s.Close()
			if err := s.Start(); err != nil {
				tb.Fatal(err)
			}
		}}}
		g.apply = func(ldif string) { tb.Helper(); s.Apply(tb, ldif) }
		g.dump = func(base, filter string, attributes ...string) []dirtest.Entry {
			tb.Helper()
			return s.Dump(tb, base, filter, attributes...)
		}
		d.token = func(group string) string {
			tb.Helper()
			found := s.Dump(tb, group, "(objectClass=group)", "primaryGroupToken")
			if len(found) != 1 {
				tb.Fatalf("%d groups at %s", len(found), group)
			}
			return found[0].First("primaryGroupToken")
		}
		s.Apply(tb, "dn: OU=people,"+s.Suffix+"\nobjectClass: organizationalUnit\n\ndn: OU=groups,"+s.Suffix+"\nobjectClass: organizationalUnit\n")
		if err := s.Load(at(d).write); err != nil {
			tb.Fatal(err)
		}
		g.config.Template = ldap.TemplateAD
		g.config.URLs, g.config.TLS.CA = []string{s.LDAPS}, s.CA
		account := as(s)
		g.config.Bind = ldap.Bind{DN: account.DN, Password: config.SecretRef{File: account.PasswordFile}}
		return g.mapped()
	}
}

func (g *ground) mapped() *ground {
	g.config.Users.Bases, g.config.Groups.Bases = []string{g.view.peopleIn}, []string{g.view.groupsIn}
	g.config.Users.Attributes = map[string]ldap.Mapping{"tags": {Attribute: g.view.tags}}
	return g
}
