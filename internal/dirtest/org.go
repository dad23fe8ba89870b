package dirtest

import (
	"fmt"
	"io"
	"strings"
)

// Org is an organization made up from numbers: the same fields give the same LDIF,
// byte by byte. User i is the same in organizations of every size.
type Org struct {
	Suffix string // such as dc=example,dc=org
	Users  int
	Groups int
	// Members is how many users each group has; the first group has Huge instead.
	Members, Huge int
	// AD writes for Active Directory, below OU=People and OU=Groups; otherwise the
	// entries are inetOrgPerson, groupOfNames, some groupOfUniqueNames and posixGroup,
	// below ou=people and ou=groups.
	AD bool
}

// odd are RDNs that are hard to read. They are given to the first users.
var odd = []string{
	`Lee\, Ann`, `Smith+Jones`, `"The Boss"`, `Müller`, ` leading`, `trailing `, `#hash`, `back\slash`, `a=b`, `semi;colon<>`,
	"日本 太郎", "Zoe\u0308", "ﬁn", "100% / slash", "new\u00a0space", "İstanbul",
}

var (
	givenNames  = []string{"Ann", "Bob", "Cleo", "Dan", "Eve", "Finn", "Gül", "Hans", "Ida", "João", "Kim", "Lena", "Mo", "Nora", "Omar", "Pia"}
	familyNames = []string{"Lee", "Müller", "Okafor", "Singh", "García", "Novak", "Ito", "Smith", "Öztürk", "Dubois", "Rossi", "Kowalski", "Berg"}
	departments = []string{"Sales", "Engineering", "Finance", "Legal", "Support", "Research", "Operations"}
)

// Login returns the login name of user i.
func (o Org) Login(i int) string { return fmt.Sprintf("user%06d", i) }

// Disabled reports whether user i may not log in.
func (o Org) Disabled(i int) bool { return i%41 == 17 }

func (o Org) common(i int) string {
	if i < len(odd) {
		return odd[i]
	}
	return fmt.Sprintf("%s %s %d", givenNames[i%len(givenNames)], familyNames[i*7%len(familyNames)], i)
}

func escape(rdn string) string {
	var b strings.Builder
	for i := range len(rdn) {
		c := rdn[i]
		if strings.IndexByte(`,+"\<>;=`, c) >= 0 || i == 0 && (c == ' ' || c == '#') || i == len(rdn)-1 && c == ' ' {
			b.WriteByte('\\')
		}
		b.WriteByte(c)
	}
	return b.String()
}

// UserDN returns the DN of user i.
func (o Org) UserDN(i int) string {
	switch {
	case o.AD:
		return fmt.Sprintf("CN=%s,OU=People,%s", escape(o.common(i)), o.Suffix)
	case i < len(odd) && i%2 == 0:
		return fmt.Sprintf("cn=%s,ou=people,%s", escape(o.common(i)), o.Suffix)
	case i < len(odd):
		return fmt.Sprintf("cn=%s+uid=%s,ou=people,%s", escape(o.common(i)), o.Login(i), o.Suffix)
	}
	return fmt.Sprintf("uid=%s,ou=people,%s", o.Login(i), o.Suffix)
}

// GroupDN returns the DN of group j.
func (o Org) GroupDN(j int) string {
	if o.AD {
		return fmt.Sprintf("CN=group%05d,OU=Groups,%s", j, o.Suffix)
	}
	return fmt.Sprintf("cn=group%05d,ou=groups,%s", j, o.Suffix)
}

// MemberUsers returns the users that group j lists.
func (o Org) MemberUsers(j int) []int {
	n := o.Members
	if j == 0 && o.Huge > 0 {
		n = o.Huge
	}
	n = min(n, o.Users)
	out := make([]int, n)
	for m := range out {
		out[m] = (j*31 + m*(1+j%3)) % o.Users
	}
	if j%3 != 0 {
		out = distinct(out)
	}
	return out
}

func distinct(in []int) []int {
	had := make(map[int]bool, len(in))
	out := in[:0]
	for _, i := range in {
		if !had[i] {
			had[i] = true
			out = append(out, i)
		}
	}
	return out
}

// MemberGroups returns the groups that group j lists: chains of ten, and one cycle
// over the groups 2, 3 and 4.
func (o Org) MemberGroups(j int) []int {
	switch {
	case o.posix(j):
		return nil
	case j == 4 && o.Groups > 4:
		return []int{2}
	case j%10 != 9 && j+1 < o.Groups && (j == 2 || j == 3 || j > 9):
		return []int{j + 1}
	}
	return nil
}

func (o Org) posix(j int) bool  { return !o.AD && j%20 == 7 }
func (o Org) unique(j int) bool { return !o.AD && j%20 == 8 }

// WriteLDIF writes the organization. For Active Directory the nesting comes last, as
// changes: a member must be there before it is listed.
func (o Org) WriteLDIF(w io.Writer) error {
	e := &errWriter{w: w}
	if o.AD {
		for _, ou := range []string{"People", "Groups"} {
			fmt.Fprintf(e, "dn: OU=%[1]s,%[2]s\nchangetype: add\nobjectClass: organizationalUnit\nou: %[1]s\n\n", ou, o.Suffix)
		}
	}
	for i := range o.Users {
		if o.AD {
			o.writeADUser(e, i)
		} else {
			o.writeUser(e, i)
		}
	}
	for j := range o.Groups {
		if o.AD {
			o.writeADGroup(e, j)
		} else {
			o.writeGroup(e, j)
		}
	}
	if o.AD {
		for j := range o.Groups {
			for _, g := range o.MemberGroups(j) {
				fmt.Fprintf(e, "dn: %s\nchangetype: modify\nadd: member\nmember: %s\n-\n\n", o.GroupDN(j), o.GroupDN(g))
			}
		}
	}
	return e.err
}

func (o Org) writeUser(w io.Writer, i int) {
	given, family := givenNames[i%len(givenNames)], familyNames[i*7%len(familyNames)]
	LDIF(w, "dn", o.UserDN(i))
	LDIF(w, "objectClass", "inetOrgPerson")
	LDIF(w, "uid", o.Login(i))
	LDIF(w, "cn", o.common(i))
	LDIF(w, "sn", family)
	LDIF(w, "givenName", given)
	LDIF(w, "mail", o.Login(i)+"@example.org")
	LDIF(w, "telephoneNumber", fmt.Sprintf("+49 30 %07d", i))
	LDIF(w, "title", "Officer "+departments[i%len(departments)])
	LDIF(w, "employeeNumber", fmt.Sprint(100000+i))
	LDIF(w, "departmentNumber", departments[i%len(departments)])
	if i%5 == 0 {
		LDIF(w, "departmentNumber", departments[(i+3)%len(departments)])
	}
	if i%9 == 0 {
		LDIF(w, "description", "first line\nsecond line")
	}
	fmt.Fprintln(w)
}

func (o Org) writeGroup(w io.Writer, j int) {
	LDIF(w, "dn", o.GroupDN(j))
	LDIF(w, "cn", fmt.Sprintf("group%05d", j))
	LDIF(w, "description", fmt.Sprintf("Group number %d", j))
	switch {
	case o.posix(j):
		LDIF(w, "objectClass", "posixGroup")
		LDIF(w, "gidNumber", fmt.Sprint(5000+j))
		for _, i := range distinct(o.MemberUsers(j)) {
			LDIF(w, "memberUid", o.Login(i))
		}
		LDIF(w, "memberUid", "nobody-here")
	case o.unique(j):
		LDIF(w, "objectClass", "groupOfUniqueNames")
		o.writeMembers(w, "uniqueMember", j)
	default:
		LDIF(w, "objectClass", "groupOfNames")
		o.writeMembers(w, "member", j)
	}
	fmt.Fprintln(w)
}

// writeMembers spells every seventh DN differently than its entry does.
func (o Org) writeMembers(w io.Writer, attribute string, j int) {
	for m, i := range distinct(o.MemberUsers(j)) {
		dn := o.UserDN(i)
		if m%7 == 3 && i >= len(odd) {
			dn = strings.ToUpper(dn)
		}
		LDIF(w, attribute, dn)
	}
	for _, g := range o.MemberGroups(j) {
		LDIF(w, attribute, o.GroupDN(g))
	}
	if j%50 == 5 {
		LDIF(w, attribute, "uid=long-gone,ou=people,"+o.Suffix)
	}
}

func (o Org) writeADUser(w io.Writer, i int) {
	given, family := givenNames[i%len(givenNames)], familyNames[i*7%len(familyNames)]
	LDIF(w, "dn", o.UserDN(i))
	LDIF(w, "changetype", "add")
	LDIF(w, "objectClass", "user")
	LDIF(w, "sAMAccountName", o.Login(i))
	LDIF(w, "userPrincipalName", o.Login(i)+"@ad.example.test")
	LDIF(w, "displayName", given+" "+family)
	LDIF(w, "sn", family)
	LDIF(w, "givenName", given)
	LDIF(w, "mail", o.Login(i)+"@example.test")
	LDIF(w, "telephoneNumber", fmt.Sprintf("+49 30 %07d", i))
	LDIF(w, "title", "Officer "+departments[i%len(departments)])
	LDIF(w, "department", departments[i%len(departments)])
	LDIF(w, "company", "Example")
	control := "512"
	if o.Disabled(i) {
		control = "514"
	}
	LDIF(w, "userAccountControl", control)
	if i%101 == 50 {
		LDIF(w, "accountExpires", "133801632000000000") // 2025-01-01
	}
	fmt.Fprintln(w)
}

func (o Org) writeADGroup(w io.Writer, j int) {
	LDIF(w, "dn", o.GroupDN(j))
	LDIF(w, "changetype", "add")
	LDIF(w, "objectClass", "group")
	LDIF(w, "sAMAccountName", fmt.Sprintf("group%05d", j))
	LDIF(w, "description", fmt.Sprintf("Group number %d", j))
	for _, i := range distinct(o.MemberUsers(j)) {
		LDIF(w, "member", o.UserDN(i))
	}
	fmt.Fprintln(w)
}

// errWriter keeps the first error, so that every write need not be checked.
type errWriter struct {
	w   io.Writer
	err error
}

func (e *errWriter) Write(p []byte) (int, error) {
	if e.err != nil {
		return 0, e.err
	}
	n, err := e.w.Write(p)
	e.err = err
	return n, err
}
