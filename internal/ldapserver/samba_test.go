package ldapserver

import (
	"crypto/tls"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/go-ldap/ldap/v3"
	"github.com/google/go-cmp/cmp"

	"github.com/rollcall-id/rollcall/internal/dirtest"
)

// side is one of two domains that the same history is written to.
type side struct {
	conn   *ldap.Conn
	suffix string
	cookie []byte
	// undelete brings back what had this name and account name.
	undelete func(dn, account string) error
}

// history are writes, each step followed by a delta. A step's names are written
// without the domain.
var history = []struct {
	name string
	do   func(s *side) error
}{
	{"add", func(s *side) error {
		for _, name := range []string{"t-ann", "t-bob", "t-cid"} {
			if err := s.add("CN="+name+",OU=Staff", "user", "sAMAccountName", name, "mail", name+"@example.org", "description", "d"); err != nil {
				return err
			}
		}
		return s.add("CN=t-crew,OU=Staff", "group", "sAMAccountName", "t-crew", "member", "CN=t-ann,OU=Staff,"+s.suffix, "managedBy", "CN=t-bob,OU=Staff,"+s.suffix)
	}},
	{"nothing", func(*side) error { return nil }},
	{"modify", func(s *side) error { return s.replace("CN=t-ann,OU=Staff", "mail", "new@example.org") }},
	{"what is not asked for", func(s *side) error { return s.replace("CN=t-ann,OU=Staff", "title", "x") }},
	{"clear", func(s *side) error { return s.replace("CN=t-ann,OU=Staff", "mail") }},
	{"clear and set again", func(s *side) error {
		if err := s.replace("CN=t-bob,OU=Staff", "mail"); err != nil {
			return err
		}
		return s.replace("CN=t-bob,OU=Staff", "mail", "again@example.org")
	}},
	{"a manager", func(s *side) error { return s.replace("CN=t-ann,OU=Staff", "manager", "CN=t-bob,OU=Staff,"+s.suffix) }},
	{"another manager", func(s *side) error { return s.replace("CN=t-ann,OU=Staff", "manager", "CN=t-cid,OU=Staff,"+s.suffix) }},
	{"no manager", func(s *side) error { return s.replace("CN=t-ann,OU=Staff", "manager") }},
	// Samba stamps all values that a replacement names, also those that stay.
	{"members", func(s *side) error { return s.member("CN=t-ann,OU=Staff", "CN=t-bob,OU=Staff", "CN=t-cid,OU=Staff") }},
	{"a member leaves and comes back", func(s *side) error {
		if err := s.member("CN=t-cid,OU=Staff"); err != nil {
			return err
		}
		return s.member("", "CN=t-cid,OU=Staff")
	}},
	{"a member comes and leaves", func(s *side) error {
		if err := s.member("", "CN=t-ann,OU=Staff"); err != nil {
			return err
		}
		return s.member("CN=t-ann,OU=Staff")
	}},
	{"rename", func(s *side) error { return s.rename("CN=t-bob,OU=Staff", "CN=t-rob", "") }},
	{"move", func(s *side) error { return s.rename("CN=t-rob,OU=Staff", "CN=t-rob", "CN=Users") }},
	{"rename and member of a renamed", func(s *side) error {
		if err := s.rename("CN=t-rob,CN=Users", "CN=t-robert", ""); err != nil {
			return err
		}
		return s.member("CN=t-robert,CN=Users")
	}},
	// The groups have lost the member, and nobody is told.
	{"delete and undelete", func(s *side) error {
		if err := s.conn.Del(ldap.NewDelRequest("CN=t-cid,OU=Staff,"+s.suffix, nil)); err != nil {
			return err
		}
		return s.undelete("CN=t-cid,OU=Staff,"+s.suffix, "t-cid")
	}},
	{"rename of the unit", func(s *side) error { return s.rename("OU=Staff", "OU=Folk", "") }},
	{"delete a member", func(s *side) error { return s.conn.Del(ldap.NewDelRequest("CN=t-cid,OU=Folk,"+s.suffix, nil)) }},
	{"add and delete", func(s *side) error {
		if err := s.add("CN=t-dot,OU=Folk", "user", "sAMAccountName", "t-dot", "mail", "dot@example.org"); err != nil {
			return err
		}
		return s.conn.Del(ldap.NewDelRequest("CN=t-dot,OU=Folk,"+s.suffix, nil))
	}},
	{"delete the group", func(s *side) error { return s.conn.Del(ldap.NewDelRequest("CN=t-crew,OU=Folk,"+s.suffix, nil)) }},
}

func (s *side) add(dn, class string, attrs ...string) error {
	r := ldap.NewAddRequest(dn+","+s.suffix, nil)
	r.Attribute("objectClass", []string{class})
	for i := 0; i < len(attrs); i += 2 {
		r.Attribute(attrs[i], []string{attrs[i+1]})
	}
	return s.conn.Add(r)
}

func (s *side) replace(dn, name string, values ...string) error {
	r := ldap.NewModifyRequest(dn+","+s.suffix, nil)
	r.Replace(name, values)
	return s.conn.Modify(r)
}

// member lets one leave the group and others join it.
func (s *side) member(leaves string, joins ...string) error {
	r := ldap.NewModifyRequest("CN=t-crew,OU=Staff,"+s.suffix, nil)
	if leaves != "" {
		r.Delete("member", []string{leaves + "," + s.suffix})
	}
	for _, name := range joins {
		r.Add("member", []string{name + "," + s.suffix})
	}
	return s.conn.Modify(r)
}

func (s *side) rename(dn, rdn, above string) error {
	if above != "" {
		above += "," + s.suffix
	}
	return s.conn.ModifyDN(ldap.NewModifyDNRequest(dn+","+s.suffix, rdn, true, above))
}

// delta asks for what changed and writes it down, without what differs by nature.
func (s *side) delta(t *testing.T, flags int64, attrs []string) []string {
	t.Helper()
	req := ldap.NewSearchRequest(s.suffix, ldap.ScopeWholeSubtree, 0, 0, 0, false, "(|(sAMAccountName=t-*)(ou=*))", attrs, nil)
	r, err := s.conn.DirSync(req, flags, 0, s.cookie)
	if err != nil {
		t.Fatal(err)
	}
	s.cookie = ldap.FindControl(r.Controls, ldap.ControlTypeDirSync).(*ldap.ControlDirSync).Cookie
	var out []string
	for _, e := range r.Entries {
		guid := guidText(string(e.GetRawAttributeValue("objectGUID")))
		var parts []string
		for _, a := range e.Attributes {
			v := strings.Join(slices.Sorted(slices.Values(a.Values)), " ")
			if strings.HasSuffix(a.Name, "GUID") || strings.HasPrefix(a.Name, "whenC") || strings.HasPrefix(a.Name, "objectSid") {
				v = fmt.Sprint(len(v))
			}
			parts = append(parts, a.Name+"="+v)
		}
		slices.Sort(parts)
		out = append(out, strings.ReplaceAll(strings.ToLower(e.DN+": "+strings.Join(parts, "; ")), guid, "guid"))
	}
	slices.Sort(out)
	return out
}

func TestDirSyncAsSambaDoes(t *testing.T) {
	theirs := dirtest.StartSamba(t, dirtest.SambaOptions{})
	root := theirs.Admin
	for _, row := range []struct {
		name  string
		flags int64
		attrs []string
	}{
		{"incremental", dirSyncIncremental, []string{"name", "parentGUID", "isDeleted", "objectGUID", "cn", "mail", "member", "manager", "managedBy", "sAMAccountName", "description"}},
		{"few attributes", 0, []string{"cn", "mail", "member"}},
	} {
		t.Run(row.name, func(t *testing.T) {
			conn, err := ldap.DialURL(theirs.LDAPS, ldap.DialWithTLSConfig(&tls.Config{InsecureSkipVerify: true}))
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = conn.Close() }()
			if err := conn.Bind(root.DN, root.Password); err != nil {
				t.Fatal(err)
			}
			samba := &side{conn: conn, suffix: theirs.Suffix}
			samba.undelete = func(dn, account string) error {
				show := []ldap.Control{ldap.NewControlMicrosoftShowDeleted()}
				r := ask(t, conn, theirs.Suffix, "(&(isDeleted=TRUE)(sAMAccountName="+account+")(!(lastKnownParent=OU=Folk,"+theirs.Suffix+")))", []string{"uSNChanged"}, show...)
				last := slices.MaxFunc(r.Entries, func(a, b *ldap.Entry) int {
					return order(a.GetAttributeValue("uSNChanged"), b.GetAttributeValue("uSNChanged"))
				})
				m := ldap.NewModifyRequest(last.DN, show)
				m.Delete("isDeleted", nil)
				m.Replace("distinguishedName", []string{dn})
				return conn.Modify(m)
			}
			ours := ourDomain(t, theirs.Suffix)
			for _, s := range []*side{samba, ours} {
				if err := s.conn.Del(ldap.NewDelRequest("OU=Folk,"+s.suffix, []ldap.Control{ldap.NewControlSubtreeDelete()})); err != nil && code(err) != 32 && code(err) != 66 {
					t.Fatal(err)
				}
				_ = s.conn.Del(ldap.NewDelRequest("CN=t-robert,CN=Users,"+s.suffix, nil))
				if err := s.add("OU=Staff", "organizationalUnit"); err != nil {
					t.Fatal(err)
				}
				s.delta(t, row.flags, row.attrs)
			}
			for _, step := range history {
				var got [2][]string
				for i, s := range []*side{samba, ours} {
					if err := step.do(s); err != nil {
						t.Fatalf("%s: %v", step.name, err)
					}
					got[i] = s.delta(t, row.flags, row.attrs)
				}
				if diff := cmp.Diff(got[0], got[1]); diff != "" {
					t.Errorf("%s (-Samba +ours):\n%s", step.name, diff)
				}
			}
		})
	}
}

// ourDomain is an empty domain of ours.
func ourDomain(t *testing.T, suffix string) *side {
	t.Helper()
	d, err := NewDirectory(DirectoryOptions{Suffixes: []string{suffix}, Seed: 3, References: ReferencesMend})
	if err != nil {
		t.Fatal(err)
	}
	admin := "CN=admin,CN=Users," + suffix
	for _, e := range []Entry{
		{DN: suffix, Attributes: []Attribute{Attr("objectClass", "domain")}},
		{DN: "CN=Users," + suffix, Attributes: []Attribute{Attr("objectClass", "container")}},
		{DN: admin, Attributes: []Attribute{Attr("objectClass", "user"), Attr("userPassword", "secret")}},
	} {
		if err := d.Put(e); err != nil {
			t.Fatal(err)
		}
	}
	ad, err := NewAD(d, ADOptions{Replicators: []string{admin}, DeletedReaders: []string{admin}})
	if err != nil {
		t.Fatal(err)
	}
	s := start(t, d, func(o *Options) { o.AD, o.Writers = ad, []string{admin} })
	return &side{conn: dial(t, s, admin), suffix: suffix, undelete: func(dn, account string) error {
		r := ask(t, dial(t, s, admin), suffix, "(&(isDeleted=TRUE)(sAMAccountName="+account+"))", nil, ldap.NewControlMicrosoftShowDeleted())
		// A directory knows what it was by its entryUUID.
		return d.Add(Entry{DN: dn, Attributes: []Attribute{
			Attr("objectClass", "top", "person", "organizationalPerson", "user"), Attr("sAMAccountName", account), Attr("entryUUID", guidText(string(r.Entries[0].GetRawAttributeValue("objectGUID")))),
		}})
	}}
}
