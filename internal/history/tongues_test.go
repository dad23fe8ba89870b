package history

import (
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"
	"unicode"

	"github.com/rollcall-id/rollcall/internal/dirtest"
)

// posix is how OpenLDAP and 389 Directory Server are spoken to.
type posix struct {
	top     string
	key     string // the attribute that names an entry for good
	lock    string // the attribute and the value of who is disabled
	refint  bool
	someone string // whom every group lists, where it has to list somebody: nobody
	byName  bool   // groups list login names
}

func (p *posix) suffix() string { return p.top }
func (p *posix) follows() bool  { return p.refint }
func (p *posix) loose() bool    { return true }

func (p *posix) rdn(x *thing) string {
	return map[kind]string{unit: "ou", person: "uid", group: "cn"}[x.kind] + "=" + x.name
}

func (p *posix) create(w io.Writer, x *thing) {
	switch x.kind {
	case unit:
		fmt.Fprint(w, "objectClass: organizationalUnit\n")
	case person:
		fmt.Fprint(w, "objectClass: inetOrgPerson\nobjectClass: shadowAccount\nsn: Family\n")
		dirtest.LDIF(w, "cn", "Display "+x.name)
		dirtest.LDIF(w, "mail", strings.Fields(x.name + " x")[0]+"@example.test")
	case group:
		if p.byName {
			fmt.Fprint(w, "objectClass: posixGroup\ngidNumber: 1000\n")
			return
		}
		fmt.Fprint(w, "objectClass: groupOfNames\n")
		if p.someone != "" {
			dirtest.LDIF(w, "member", p.someone)
		}
	}
}

func (p *posix) member(x *thing, dn string) (attribute, value string) {
	switch {
	case !p.byName:
	case strings.ContainsFunc(x.name, func(c rune) bool { return c > unicode.MaxASCII }):
		return "memberUid", "" // its syntax is of ASCII
	default:
		return "memberUid", x.name
	}
	return "member", dn
}

func (p *posix) attribute(field string) string {
	switch field {
	case "tags":
		return "departmentNumber"
	case "displayName":
		return "cn"
	}
	return field
}

func (p *posix) renamed(io.Writer, *thing, string) {}

func (p *posix) disabled(w io.Writer, y yesno) {
	a, _, _ := strings.Cut(p.lock, ":")
	fmt.Fprintf(w, "replace: %s\n", a)
	if y == yes {
		fmt.Fprintln(w, p.lock)
	}
}

func (p *posix) expires(w io.Writer, at time.Time) {
	fmt.Fprint(w, "replace: shadowExpire\n")
	if !at.IsZero() {
		fmt.Fprintf(w, "shadowExpire: %d\n", at.Unix()/86400)
	}
}

func (p *posix) first(io.Writer, string, string) bool { return false }

func (p *posix) view() *view {
	return &view{
		key: p.key, displayName: "cn", organization: "o", tags: "departmentNumber",
		people: "(objectClass=inetOrgPerson)", groups: "(|(objectClass=groupOfNames)(objectClass=posixGroup))",
		peopleIn: "ou=people," + p.top, groupsIn: "ou=groups," + p.top, members: []string{"member"},
		ask: []string{"*", p.key, "pwdAccountLockedTime", "nsAccountLock"},
		disabled: func(e *dirtest.Entry) bool {
			return e.First("pwdAccountLockedTime") == "000001010000Z" || e.First("nsAccountLock") == "TRUE"
		},
		expires: func(e *dirtest.Entry) (time.Time, bool) {
			days, err := strconv.Atoi(e.First("shadowExpire"))
			return time.Unix(int64(days)*86400, 0), err == nil
		},
		name: "uid", groupName: "cn",
	}
}

// domain is how Active Directory is spoken to.
type domain struct {
	top   string
	token func(group string) string // the number of a group by its DN
}

func (d *domain) suffix() string { return d.top }
func (d *domain) follows() bool  { return true }
func (d *domain) loose() bool    { return false }

func (d *domain) rdn(x *thing) string {
	if x.kind == unit {
		return "OU=" + x.name
	}
	return "CN=" + x.name
}

// login is a name that Active Directory takes.
func login(name string) string {
	clean := strings.Map(func(c rune) rune {
		if strings.ContainsRune("\"/\\[]:;|=,+*?<>#", c) {
			return '_'
		}
		return c
	}, strings.TrimSpace(name))
	return clean[:min(len(clean), 20)]
}

func (d *domain) create(w io.Writer, x *thing) {
	switch x.kind {
	case unit:
		fmt.Fprint(w, "objectClass: organizationalUnit\n")
	case person:
		fmt.Fprint(w, "objectClass: user\nuserAccountControl: 544\nsn: Family\n")
		dirtest.LDIF(w, "sAMAccountName", login(x.name))
		dirtest.LDIF(w, "displayName", "Display "+x.name)
	case group:
		fmt.Fprint(w, "objectClass: group\n")
		dirtest.LDIF(w, "sAMAccountName", login(x.name))
	}
}

func (d *domain) member(_ *thing, dn string) (attribute, value string) { return "member", dn }

func (d *domain) attribute(field string) string {
	if field == "tags" {
		return "otherMobile"
	}
	return field
}

func (d *domain) renamed(w io.Writer, x *thing, dn string) {
	if x.kind == unit {
		return
	}
	dirtest.LDIF(w, "dn", dn)
	fmt.Fprint(w, "changetype: modify\nreplace: sAMAccountName\n")
	dirtest.LDIF(w, "sAMAccountName", login(x.name))
	fmt.Fprint(w, "-\n\n")
}

func (d *domain) disabled(w io.Writer, y yesno) {
	flags := 544
	if y == yes {
		flags |= 2
	}
	fmt.Fprintf(w, "replace: userAccountControl\nuserAccountControl: %d\n", flags)
}

// epoch is the first of January 1601, in seconds before 1970.
const epoch = 11644473600

func (d *domain) expires(w io.Writer, at time.Time) {
	v := int64(0)
	if !at.IsZero() {
		v = (at.Unix() + epoch) * 1e7
	}
	fmt.Fprintf(w, "replace: accountExpires\naccountExpires: %d\n", v)
}

func (d *domain) first(w io.Writer, dn, group string) bool {
	dirtest.LDIF(w, "dn", dn)
	fmt.Fprintf(w, "changetype: modify\nreplace: primaryGroupID\nprimaryGroupID: %s\n-\n\n", d.token(group))
	return true
}

func (d *domain) view() *view {
	return &view{
		key: "objectGUID", rawKey: true, displayName: "displayName", organization: "company", tags: "otherMobile",
		name: "sAMAccountName", groupName: "sAMAccountName",
		people: "(&(objectCategory=person)(objectClass=user))", groups: "(objectClass=group)",
		peopleIn: "OU=people," + d.top, groupsIn: d.top, members: []string{"member"}, primary: true, ask: []string{"*"},
		disabled: func(e *dirtest.Entry) bool {
			flags, _ := strconv.Atoi(e.First("userAccountControl"))
			return flags&2 != 0
		},
		expires: func(e *dirtest.Entry) (time.Time, bool) {
			v, err := strconv.ParseInt(e.First("accountExpires"), 10, 64)
			return time.Unix(v/1e7-epoch, 0), err == nil && v != 0 && v != 1<<63-1
		},
	}
}
