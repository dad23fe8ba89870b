package app

import (
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/rollcall-id/rollcall/identity"
	"github.com/rollcall-id/rollcall/internal/dirtest"
	"github.com/rollcall-id/rollcall/internal/ldapserver"
	"github.com/rollcall-id/rollcall/state"
)

// calamity is something that happens to a directory, or on the way to it.
type calamity struct {
	strike, mend func()
	state        state.RunState // how a run ends meanwhile
	words        []string       // what its record has to say
}

// leave takes one person out of the directory and another out of the group staff, so
// that there is something that a run could wrongly do.
type leave func() (gone, out string)

// endures runs the source during a calamity and after it. Meanwhile nothing may be
// removed and nothing counts as proven; afterwards the next run heals.
func (d *running) endures(c calamity, leave leave) {
	d.t.Helper()
	gone, out := leave()
	was := d.db.View().Now().Source("corp")
	rows := d.stored("v/u/", "v/g/", "v/m/")
	c.strike()
	run := d.run()
	text := d.says(run.ID)
	if run.State != c.state {
		d.t.Errorf("the run ended as %s, want %s: %s", run.State, c.state, text)
	}
	for _, w := range c.words {
		if !strings.Contains(text, w) {
			d.t.Errorf("the record does not say %q: %s", w, text)
		}
	}
	if c.state == state.RunSucceeded {
		d.sameBytes(only(rows, "v/m/"), "v/m/") // what it did see it may take over
		if len(run.Withheld) == 0 || run.Proof.Users {
			d.t.Errorf("proof %+v, withheld %v, want removals that are withheld", run.Proof, run.Withheld)
		}
	} else {
		d.sameBytes(rows, "v/u/", "v/g/", "v/m/")
	}
	if now := d.db.View().Now().Source("corp"); now.Cursor != was.Cursor || !now.LastProven.Equal(was.LastProven) {
		d.t.Errorf("the cursor moved from %q, last proven %v, to %q, %v", was.Cursor, was.LastProven, now.Cursor, now.LastProven)
	}
	if got := d.status(gone); got != "active" || !d.inStaff(out) {
		d.t.Errorf("%s is %q, want active; %s is in staff: %v", gone, got, out, d.inStaff(out))
	}
	c.mend()
	d.good()
	if got := d.status(gone); got != "missing_from_source" || d.inStaff(out) {
		d.t.Errorf("after the next good run %s is %q, want missing; %s is in staff: %v", gone, got, out, d.inStaff(out))
	}
	if now := d.db.View().Now().Source("corp"); !now.LastProven.After(was.LastProven) || now.Held != nil {
		d.t.Errorf("after the next good run last proven is %v, held %+v", now.LastProven, now.Held)
	}
}

func only[V any](all map[string]V, prefix string) map[string]V {
	some := map[string]V{}
	for k, v := range all {
		if strings.HasPrefix(k, prefix) {
			some[k] = v
		}
	}
	return some
}

func (d *running) inStaff(name string) bool {
	d.t.Helper()
	for g := range d.db.View().Now().GroupsOf(identity.UserMember(d.user(name).ID)) {
		if called, _ := d.db.View().Now().Name(identity.GroupMember(g)); called == "staff" {
			return true
		}
	}
	return false
}

// says returns what the record of a run tells an administrator.
func (d *running) says(run string) string {
	d.t.Helper()
	r := d.call("GET", "/v1/sources/corp/runs/"+run, "", 200)
	return fmt.Sprint(r["state"], ": ", r["summary"], " | ", r["error"], " | ", r["proof"].(map[string]any)["why"], " | ", r["held"], " | ", r["withheld"])
}

// directory is a scripted server with a small company.
type directory struct {
	*ldapserver.Directory
	server *ldapserver.Server
	act    atomic.Pointer[func(*ldapserver.Search) ldapserver.Action]
	people int
	next   int // who leaves next
}

const (
	people = "ou=people,dc=example,dc=org"
	groups = "ou=groups,dc=example,dc=org"
)

func pupil(i int) string { return fmt.Sprintf("pupil%03d", i) }

// scripted starts a server with that many people, all of them in the group staff.
func scripted(t *testing.T, n int) *directory {
	t.Helper()
	mem, err := ldapserver.NewDirectory(ldapserver.DirectoryOptions{Suffixes: []string{"dc=example,dc=org"}, Seed: 1})
	if err != nil {
		t.Fatal(err)
	}
	s := &directory{Directory: mem, people: n, next: 1}
	s.put(t, "dc=example,dc=org", ldapserver.Attr("objectClass", "dcObject", "organization"), ldapserver.Attr("dc", "example"))
	s.put(t, people, ldapserver.Attr("objectClass", "organizationalUnit"), ldapserver.Attr("ou", "people"))
	s.put(t, groups, ldapserver.Attr("objectClass", "organizationalUnit"), ldapserver.Attr("ou", "groups"))
	var all []string
	for i := range n {
		s.person(t, i, ldapserver.Attr("title", "Pupil"))
		all = append(all, "uid="+pupil(i)+","+people)
	}
	s.staff(t, all)
	s.server, err = ldapserver.Start(t.Context(), ldapserver.Options{
		Directory: mem, Accounts: map[string]string{"cn=reader": "secret-of-the-reader"},
		Intercept: func(q *ldapserver.Search) ldapserver.Action {
			if act := s.act.Load(); act != nil && q.Base != "" {
				return (*act)(q)
			}
			return ldapserver.Action{}
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.server.Close() })
	return s
}

func (s *directory) put(t *testing.T, dn string, attributes ...ldapserver.Attribute) {
	t.Helper()
	if err := s.Put(ldapserver.Entry{DN: dn, Attributes: attributes}); err != nil {
		t.Fatal(err)
	}
}

func (s *directory) person(t *testing.T, i int, more ...ldapserver.Attribute) {
	t.Helper()
	s.put(t, "uid="+pupil(i)+","+people, append(more, ldapserver.Attr("objectClass", "inetOrgPerson"),
		ldapserver.Attr("uid", pupil(i)), ldapserver.Attr("cn", "Pupil"), ldapserver.Attr("sn", "Pupil"))...)
}

func (s *directory) staff(t *testing.T, members []string) {
	t.Helper()
	s.put(t, "cn=staff,"+groups, ldapserver.Attr("objectClass", "groupOfNames"), ldapserver.Attr("cn", "staff"),
		ldapserver.Attr("member", members...))
}

// leave is a [leave] for the scripted company.
func (s *directory) leave(t *testing.T) (gone, out string) {
	t.Helper()
	gone, out = pupil(s.next), pupil(s.next+1)
	if err := s.Delete("uid=" + gone + "," + people); err != nil {
		t.Fatal(err)
	}
	e, _ := s.Lookup("cn=staff," + groups)
	var stay []string
	for _, dn := range e.Values("member") {
		if !strings.Contains(dn, out) {
			stay = append(stay, dn)
		}
	}
	s.staff(t, stay)
	s.next += 2
	return gone, out
}

func (s *directory) onEvery(f func(*ldapserver.Search) ldapserver.Action) func() {
	return func() { s.act.Store(&f) }
}

// onPage acts on one page of the people.
func (s *directory) onPage(n int, a ldapserver.Action) func() {
	return s.onEvery(func(q *ldapserver.Search) ldapserver.Action {
		if q.Base == people && q.Page == n {
			return a
		}
		return ldapserver.Action{}
	})
}

func (s *directory) source(t *testing.T) string {
	t.Helper()
	return fmt.Sprintf(`
template: openldap
urls: [%s]
allow_plaintext: true
page_size: 20
bind: {dn: cn=reader, password: {file: %s}}
users: {bases: [%q], attributes: {room: roomNumber}}
groups: {bases: [%q]}
`, s.server.URL(), dirtest.WriteFile(t, "password", "secret-of-the-reader"), people, groups)
}

func TestABrokenAnswerRemovesNobody(t *testing.T) {
	t.Parallel()
	s := scripted(t, 80)
	d := daemonOf(t, s.source(t))
	d.good()
	ended := func(code ldapserver.ResultCode, after int) ldapserver.Action {
		return ldapserver.Action{Ending: ldapserver.EndResult, After: after, Result: &ldapserver.Error{Code: code, Message: "so it is"}}
	}
	elsewhere := []string{"ldap://branch.example.org/ou=far," + people + "??sub"}
	for name, c := range map[string]calamity{
		"cut in the middle of an entry": {
			s.onPage(2, ldapserver.Action{Ending: ldapserver.EndMidMessage, After: 3}), nil, state.RunFailed, []string{"closed the connection", people},
		},
		"cut between two pages": {
			s.onPage(3, ldapserver.Action{Ending: ldapserver.EndClose}), nil, state.RunFailed, []string{"closed the connection"},
		},
		"other bytes than LDAP": {
			s.onPage(2, ldapserver.Action{Raw: []byte("HTTP/1.1 400 Bad Request\r\n\r\n"), Ending: ldapserver.EndClose, After: 4}), nil,
			state.RunFailed,
			[]string{s.server.URL()},
		},
		"busy":                  {s.onPage(2, ended(ldapserver.Busy, 2)), nil, state.RunFailed, []string{"Busy"}},
		"the account is locked": {s.onPage(1, ended(ldapserver.InsufficientAccess, 0)), nil, state.RunFailed, []string{"the account may not search there"}},
		"the base is gone":      {s.onPage(1, ended(ldapserver.NoSuchObject, 0)), nil, state.RunFailed, []string{"no such entry", "bases"}},
		"the same page for ever": {
			s.onEvery(func(q *ldapserver.Search) (a ldapserver.Action) {
				if q.Page >= 2 {
					a.Paging = ldapserver.PagingRepeats
				}
				return a
			}), nil, state.RunFailed, []string{"same page again"},
		},
		"size limit":           {s.onPage(2, ended(ldapserver.SizeLimitExceeded, 5)), nil, state.RunSucceeded, []string{"size limit", "raise", "left unchanged"}},
		"time limit":           {s.onPage(2, ended(ldapserver.TimeLimitExceeded, 5)), nil, state.RunSucceeded, []string{"time limit", "left unchanged"}},
		"administrative limit": {s.onPage(2, ended(ldapserver.AdminLimitExceeded, 0)), nil, state.RunSucceeded, []string{"administrative limit", "page_size"}},
		"a referral instead":   {s.onPage(1, ended(ldapserver.Referral, 0)), nil, state.RunSucceeded, []string{"another server", "urls"}},
		"a referral beside":    {s.onPage(4, ldapserver.Action{Referrals: elsewhere}), nil, state.RunSucceeded, []string{"branch.example.org", "referrals: ignore"}},
		"no word about pages":  {s.onPage(3, ldapserver.Action{Paging: ldapserver.PagingDropped}), nil, state.RunSucceeded, []string{"without pages"}},
		"empty, and all is well": {
			s.onEvery(func(*ldapserver.Search) ldapserver.Action { return ldapserver.Action{Hide: true} }), nil,
			state.RunHeld,
			[]string{"no users at all", "rights of the bind account", "nothing was applied"},
		},
	} {
		if c.mend == nil {
			c.mend = func() { s.act.Store(nil) }
		}
		t.Run(name, func(t *testing.T) {
			at := *d
			at.t = t
			at.endures(c, func() (string, string) { return s.leave(t) })
		})
	}
}

// TestATroubledServerRemovesNobody does the same with a real server, and with the
// ways to it.
func TestATroubledServerRemovesNobody(t *testing.T) {
	t.Parallel()
	org := dirtest.Org{Suffix: "dc=example,dc=org", Users: 600, Groups: 10, Members: 10}
	slapd := dirtest.StartSlapd(t, dirtest.SlapdOptions{LDIF: org.WriteLDIF, CertificateUntil: time.Now().AddDate(0, 0, -1)})
	s := &server{t, slapd.LDAPI, slapd.CA, slapd.Root}
	var all []string
	for i := range org.Users {
		all = append(all, "member: "+org.UserDN(i))
	}
	s.modify("dn: cn=staff," + groups + "\nchangetype: add\nobjectClass: groupOfNames\ncn: staff\n" + strings.Join(all, "\n"))
	next := 100
	leave := func() (string, string) {
		next += 2
		s.modify("dn: "+org.UserDN(next)+"\nchangetype: delete",
			"dn: cn=staff,"+groups+"\nchangetype: modify\ndelete: member\nmember: "+org.UserDN(next+1)+"\n-")
		return org.Login(next), org.Login(next + 1)
	}
	dir := t.TempDir()
	config := func(urls, more string, who dirtest.Account) string {
		return configOf(t, dir, fmt.Sprintf(`
template: openldap
urls: [%s]
%s
bind: {dn: %q, password: {file: %s}}
users: {bases: [%q]}
groups: {bases: [%q]}
`, urls, more, who.DN, who.PasswordFile, people, groups))
	}
	usual := config(slapd.URL, "allow_plaintext: true", slapd.Reader)
	d := start(t, usual)
	d.bootstrapped()
	d.good()
	reload := func(file string) func() {
		return func() {
			next, err := LoadConfig(file, nil)
			if err == nil {
				_, err = d.Reload(t.Context(), next)
			}
			if err != nil {
				t.Fatal(err)
			}
		}
	}
	password := func(p string) func() {
		return func() {
			s.modify("dn: " + slapd.Reader.DN + "\nchangetype: modify\nreplace: userPassword\nuserPassword: " + p + "\n-")
		}
	}
	branch := "dn: ou=branch," + people + "\nchangetype: "
	for name, c := range map[string]calamity{
		"wrong password": {password("another"), password(slapd.Reader.Password), state.RunFailed, []string{"wrong password", slapd.Reader.DN, "bind.password"}},
		"server gone":    {slapd.Kill, slapd.Start, state.RunFailed, []string{"connection refused", slapd.URL}},
		"expired certificate": {
			reload(config(slapd.LDAPS, "tls: {ca: "+slapd.CA+"}", slapd.Reader)), reload(usual),
			state.RunFailed,
			[]string{"certificate", "has expired", "renew it"},
		},
		"expired certificate of StartTLS": {
			reload(config(slapd.URL, "starttls: true\ntls: {ca: "+slapd.CA+"}", slapd.Reader)), reload(usual),
			state.RunFailed,
			[]string{"certificate", "has expired"},
		},
		"size limit":     {reload(config(slapd.URL, "allow_plaintext: true", slapd.Limited)), reload(usual), state.RunSucceeded, []string{"size limit", "raise"}},
		"no more rights": {reload(config(slapd.URL, "allow_plaintext: true", slapd.Blind)), reload(usual), state.RunHeld, []string{"no users at all", "rights"}},
		"unfollowed referral": {
			func() {
				s.modify(branch + "add\nobjectClass: referral\nobjectClass: extensibleObject\nou: branch\nref: ldap://branch.example.org/ou=branch," + people)
			},
			func() { s.tool(branch+"delete\n", "ldapmodify", "-M") },
			state.RunSucceeded,
			[]string{"another server", "branch.example.org"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			at := *d
			at.t = t
			at.endures(c, leave)
			for _, secret := range []string{slapd.Reader.Password, slapd.Blind.Password} {
				if strings.Contains(d.log.String(), secret) {
					t.Error("the log holds a password")
				}
			}
		})
	}
}
