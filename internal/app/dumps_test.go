package app

import (
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/rollcall-id/rollcall/identity"
	"github.com/rollcall-id/rollcall/internal/dirtest"
)

// A mapping of the tests: our field or key, and the directory's attribute in lower
// case.
var (
	openLDAPPerson = map[string]string{
		identity.DisplayName: "cn", identity.GivenName: "givenname", identity.FamilyName: "sn", identity.Email: "mail",
		identity.Phone: "telephonenumber", identity.Organization: "o", identity.Position: "title", identity.Location: "l",
		identity.Description: "description",
	}
	adPerson = map[string]string{
		identity.DisplayName: "displayname", identity.GivenName: "givenname", identity.FamilyName: "sn", identity.Email: "mail",
		identity.Phone: "telephonenumber", identity.Organization: "company", identity.Position: "title", identity.Location: "l",
		identity.Description: "description",
	}
)

func (d *dumped) profile(names map[string]string) map[string]string {
	out := map[string]string{}
	for field, attribute := range names {
		if v := d.first(attribute); v != "" {
			out[field] = v
		}
	}
	return out
}

func (d *dumped) attributes(names map[string]string) map[string][]string {
	out := map[string][]string{}
	for key, attribute := range names {
		if v := d.values[attribute]; len(v) > 0 {
			out[key] = v
		}
	}
	return out
}

// openLDAP is how the tests read slapd: the template, and attributes of their own.
func openLDAPSource(s *dirtest.Slapd) string {
	return fmt.Sprintf(`
template: openldap
urls: [%s]
tls: {ca: %s}
bind: {dn: %q, password: {file: %s}}
users:
  bases: ["ou=people,%[5]s"]
  filter: "(&(objectClass=inetOrgPerson)(!(employeeType=left)))"
  attributes: {Department: departmentNumber, employee: employeeNumber, all_mail: mail, room: roomNumber}
groups:
  bases: ["ou=groups,%[5]s"]
  attributes: {gid: gidNumber, owner: owner}
`, s.LDAPS, s.CA, s.Reader.DN, s.Reader.PasswordFile, s.Suffix)
}

// openLDAPPicture is what the roll has to be, by the dump of slapd and the page of the
// template openldap.
func openLDAPPicture(t *testing.T, s *server, suffix string) picture {
	t.Helper()
	p := picture{map[identity.Key]*person{}, map[identity.Key]*clan{}}
	people, logins, clans := map[string]identity.Key{}, map[string]identity.Key{}, map[string]identity.Key{}
	for _, d := range s.search("ou=people,"+suffix, "(objectClass=inetOrgPerson)", "*", "+") {
		if d.first("employeetype") == "left" {
			continue
		}
		key := identity.Key(d.first("entryuuid"))
		people[plainDN(d.dn)], logins[strings.ToLower(d.first("uid"))] = key, key
		x := &person{
			Name: d.first("uid"), DN: d.dn, Profile: d.profile(openLDAPPerson),
			Attributes: d.attributes(map[string]string{
				"department": "departmentnumber", "employee": "employeenumber", "all_mail": "mail", "room": "roomnumber",
			}),
		}
		switch d.first("pwdaccountlockedtime") {
		case "":
		case "000001010000Z":
			x.Disabled = identity.ReasonDisabled
		default:
			x.Disabled = identity.ReasonLocked
		}
		if days, err := strconv.Atoi(d.first("shadowexpire")); err == nil && days > 0 {
			x.Expires = time.Date(1970, 1, 1+days, 0, 0, 0, 0, time.UTC)
		}
		p.people[key] = x
	}
	dump := s.search("ou=groups,"+suffix, "(|(objectClass=groupOfNames)(objectClass=groupOfUniqueNames)(objectClass=posixGroup))", "*", "+")
	for _, d := range dump {
		clans[plainDN(d.dn)] = identity.Key(d.first("entryuuid"))
	}
	for _, d := range dump {
		c := &clan{
			Name: d.first("cn"), DN: d.dn, Profile: d.profile(map[string]string{identity.Description: "description"}),
			Attributes: d.attributes(map[string]string{"gid": "gidnumber", "owner": "owner"}),
		}
		c.join(people, clans, append(append([]string(nil), d.values["member"]...), d.values["uniquemember"]...))
		for _, name := range d.values["memberuid"] {
			if key, ok := logins[strings.ToLower(name)]; ok {
				c.Users = append(c.Users, key)
			} else {
				c.Unresolved = append(c.Unresolved, name)
			}
		}
		p.clans[identity.Key(d.first("entryuuid"))] = c
	}
	return p
}

// join sorts the DNs that a group lists into people, groups and nobody.
func (c *clan) join(people, clans map[string]identity.Key, members []string) {
	for _, dn := range members {
		if key, ok := people[plainDN(dn)]; ok {
			c.Users = append(c.Users, key)
		} else if key, ok := clans[plainDN(dn)]; ok {
			c.Groups = append(c.Groups, key)
		} else {
			c.Unresolved = append(c.Unresolved, dn)
		}
	}
}

func adSource(s *dirtest.Samba) string {
	return fmt.Sprintf(`
template: active_directory
urls: [%s]
tls: {ca: %s}
bind: {dn: %q, password: {file: %s}}
users:
  bases: [%q]
  attributes: {department: department, sid: objectSid, upn: userPrincipalName}
groups:
  bases: [%[5]q]
  attributes: {sid: objectSid}
`, s.LDAPS, s.CA, s.Reader.DN, s.Reader.PasswordFile, s.Suffix)
}

const adPeople = "(&(objectCategory=person)(objectClass=user))"

// adPicture is what the roll has to be, by the dump of Samba and the page of the
// template active_directory.
func adPicture(t *testing.T, s *server, suffix string) picture {
	t.Helper()
	p := picture{map[identity.Key]*person{}, map[identity.Key]*clan{}}
	people, clans, primary := map[string]identity.Key{}, map[string]identity.Key{}, map[string][]identity.Key{}
	for _, d := range s.search(suffix, adPeople, "*", "msDS-User-Account-Control-Computed") {
		key, sid := guidText(d.first("objectguid")), sidText(d.first("objectsid"))
		people[plainDN(d.dn)] = key
		domain := sid[:strings.LastIndexByte(sid, '-')+1]
		primary[domain+d.first("primarygroupid")] = append(primary[domain+d.first("primarygroupid")], key)
		x := &person{
			Name: d.first("samaccountname"), DN: d.dn, Profile: d.profile(adPerson),
			Attributes: d.attributes(map[string]string{"department": "department", "upn": "userprincipalname"}),
		}
		x.Attributes["sid"] = []string{sid}
		flags, err := strconv.Atoi(d.first("useraccountcontrol"))
		computed, err2 := strconv.Atoi(d.first("msds-user-account-control-computed"))
		if err != nil || err2 != nil {
			t.Fatalf("%s has the flags %q and %q", d.dn, d.first("useraccountcontrol"), d.first("msds-user-account-control-computed"))
		}
		switch {
		case flags&0x2 != 0: // ACCOUNTDISABLE
			x.Disabled = identity.ReasonDisabled
		case computed&0x10 != 0: // UF_LOCKOUT
			x.Disabled = identity.ReasonLocked
		}
		if ticks, err := strconv.ParseInt(d.first("accountexpires"), 10, 64); err == nil && ticks != 0 && ticks != 1<<63-1 {
			x.Expires = time.Date(1601, 1, 1, 0, 0, 0, 0, time.UTC)
			const day = 24 * 60 * 60 * 10_000_000 // of 100 ns; a Duration does not reach that far
			x.Expires = x.Expires.AddDate(0, 0, int(ticks/day)).Add(time.Duration(ticks%day) * 100)
		}
		p.people[key] = x
	}
	dump := s.search(suffix, "(objectClass=group)", "*")
	for _, d := range dump {
		clans[plainDN(d.dn)] = guidText(d.first("objectguid"))
	}
	for _, d := range dump {
		sid := sidText(d.first("objectsid"))
		c := &clan{
			Name: d.first("samaccountname"), DN: d.dn,
			Profile: d.profile(map[string]string{
				identity.DisplayName: "displayname", identity.Description: "description", identity.Email: "mail",
			}),
			Attributes: map[string][]string{"sid": {sid}}, Users: primary[sid],
		}
		c.join(people, clans, d.values["member"])
		p.clans[guidText(d.first("objectguid"))] = c
	}
	return p
}

// guidText writes the bytes of an objectGUID as Microsoft's tools do.
func guidText(raw string) identity.Key {
	b := []byte(raw)
	return identity.Key(fmt.Sprintf("%08x-%04x-%04x-%s-%s", binary.LittleEndian.Uint32(b), binary.LittleEndian.Uint16(b[4:]),
		binary.LittleEndian.Uint16(b[6:]), hex.EncodeToString(b[8:10]), hex.EncodeToString(b[10:])))
}

// sidText writes the bytes of a security identifier (MS-DTYP 2.4.2).
func sidText(raw string) string {
	out := fmt.Sprintf("S-%d-%d", raw[0], raw[7])
	for sub := []byte(raw)[8:]; len(sub) >= 4; sub = sub[4:] {
		out += fmt.Sprintf("-%d", binary.LittleEndian.Uint32(sub))
	}
	return out
}
