package demo

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/rollcall-id/rollcall/internal/ldapserver"
)

// Groups of the company that a story may want by name.
const (
	GroupAllStaff  = "all-staff"   // most of the company, disabled people left out
	GroupMakers    = "makers"      // holds the groups of the departments that make things
	GroupOffice    = "office"      // holds those that do not
	GroupHouse     = "whole-house" // holds makers and office
	GroupITAdmins  = "it-admins"
	GroupPayroll   = "payroll"
	GroupBrass     = "guild-of-brass" // a member of GroupGlass, which is a member of it
	GroupGlass     = "guild-of-glass"
	GroupAlumni    = "regatta-1998" // nobody is left of it
	projectDangles = "Sextant"      // its member list names somebody long gone
)

// Logins of people who stay as long as the company does, so that a command in a
// demonstration finds them.
const (
	LoginDirector    = "henrietta.finch"
	LoginIT          = "juergen.mueller" // Jürgen Müller, head of information technology
	LoginSales       = "anna.smith"      // whose entry is named cn=Smith\, Anna
	LoginSecurity    = "tariq.nasser"    // of it-admins, along with Jürgen Müller
	LoginServiceDesk = "pia.sommer"
)

// Dangling is the one member in the directory that does not exist.
const Dangling = "uid=pip.quillfeather,ou=Workshop," + PeopleBase

// fill makes the tree, the people and the groups.
func (c *Company) fill(people int) error {
	steps := []func() error{
		c.fillTree,
		func() error { return c.fillPeople(people) },
		c.fillGroups,
	}
	for _, step := range steps {
		if err := step(); err != nil {
			return err
		}
	}
	return nil
}

func (c *Company) fillTree() error {
	entries := []ldapserver.Entry{
		{DN: Suffix, Attributes: []ldapserver.Attribute{
			ldapserver.Attr("objectClass", "top", "dcObject", "organization"),
			ldapserver.Attr("o", "Halyard & Finch, Weather Instruments"), ldapserver.Attr("dc", "halyard"),
		}},
		unit("people", Suffix), unit("groups", Suffix), unit("system", Suffix),
		role(readerDN, "Reads the directory for Rollcall."),
		role(nobody, "Stands in for the members of a group that has none."),
	}
	for _, d := range departments {
		entries = append(entries, unit(d.Name, PeopleBase))
	}
	for _, e := range entries {
		if err := c.dir.Add(e); err != nil {
			return err
		}
	}
	return nil
}

func unit(name, above string) ldapserver.Entry {
	return ldapserver.Entry{DN: "ou=" + name + "," + above, Attributes: []ldapserver.Attribute{
		ldapserver.Attr("objectClass", "top", "organizationalUnit"), ldapserver.Attr("ou", name),
	}}
}

func role(dn, description string) ldapserver.Entry {
	return ldapserver.Entry{DN: dn, Attributes: []ldapserver.Attribute{
		ldapserver.Attr("objectClass", "top", "organizationalRole"), ldapserver.Attr("description", description),
	}}
}

// fillPeople hires the cast and then so many more.
func (c *Company) fillPeople(people int) error {
	for _, m := range cast {
		p := Person{Given: m.given, Sur: m.sur, Department: departmentNamed(m.department), Site: m.site, Title: m.title}
		if _, err := c.hire(p); err != nil {
			return err
		}
	}
	for n := len(cast); n < people; n++ {
		p := c.somebody()
		// One in thirty is on leave or under notice, and the account is locked.
		p.Disabled = n%30 == 17
		if _, err := c.hire(p); err != nil {
			return err
		}
	}
	return nil
}

// somebody invents a person.
func (c *Company) somebody() Person {
	p := Person{
		Given: givenNames[c.rand.IntN(len(givenNames))], Sur: surnames[c.rand.IntN(len(surnames))],
		Department: weighted(c, departments, func(d Department) int { return d.Weight }),
	}
	p.Site = weighted(c, sites, func(s site) int { return s.weight }).name
	p.Title = p.Department.Titles[c.rand.IntN(len(p.Department.Titles))]
	return p
}

// hire gives a person a number, a login name and an entry.
func (c *Company) hire(p Person) (Person, error) {
	c.number++
	p.Number = c.number
	p.Login = c.newLogin(p.Given, p.Sur)
	p.Name = p.Given + " " + p.Sur
	p.DN = relativeName(p) + ",ou=" + p.Department.Name + "," + PeopleBase
	return p, c.dir.Add(ldapserver.Entry{DN: p.DN, Attributes: c.attributes(p)})
}

// relativeName names people by their login, but those called Smith as a
// predecessor of the directory did, whose "Surname, Given" nobody dares to mend.
func relativeName(p Person) string {
	if p.Sur == "Smith" {
		return "cn=" + ldapserver.EscapeRDN(filedName(p))
	}
	return "uid=" + p.Login
}

// filedName is "Surname, Given". The number that tells two logins apart tells
// these names apart as well.
func filedName(p Person) string {
	number := strings.TrimPrefix(p.Login, ascii(p.Given)+"."+ascii(p.Sur))
	return strings.TrimSpace(p.Sur + ", " + p.Given + " " + number)
}

// commonNames are a person's names, the one in the distinguished name included.
func commonNames(p Person) []string {
	if strings.HasPrefix(p.DN, "cn=") {
		return []string{p.Name, filedName(p)}
	}
	return []string{p.Name}
}

// newLogin returns a login name that nobody ever had.
func (c *Company) newLogin(given, sur string) string {
	base := ascii(given) + "." + ascii(sur)
	login := base
	for n := 2; c.logins[login]; n++ {
		login = base + strconv.Itoa(n)
	}
	c.logins[login] = true
	return login
}

func (c *Company) attributes(p Person) []ldapserver.Attribute {
	attrs := []ldapserver.Attribute{
		ldapserver.Attr("objectClass", "top", "person", "organizationalPerson", "inetOrgPerson"),
		ldapserver.Attr("uid", p.Login),
		ldapserver.Attr("cn", commonNames(p)...),
		ldapserver.Attr("sn", p.Sur),
		ldapserver.Attr("givenName", p.Given),
		ldapserver.Attr("displayName", p.Name),
		ldapserver.Attr("mail", p.Login+"@halyard.example"),
		ldapserver.Attr("title", p.Title),
		ldapserver.Attr("ou", p.Department.Name),
		ldapserver.Attr("departmentNumber", p.Department.Code),
		ldapserver.Attr("employeeNumber", strconv.Itoa(p.Number)),
		ldapserver.Attr("employeeType", "employee"),
		ldapserver.Attr("l", p.Site),
		ldapserver.Attr("telephoneNumber", c.phone(p)),
	}
	if head := headOf(p.Department); head != p.DN {
		attrs = append(attrs, ldapserver.Attr("manager", head))
	}
	if p.Disabled {
		// OpenLDAP's password policy: locked until an administrator unlocks it.
		attrs = append(attrs, ldapserver.Attr("pwdAccountLockedTime", "000001010000Z"))
	}
	return attrs
}

func (c *Company) phone(p Person) string {
	for _, s := range sites {
		if s.name == p.Site {
			return fmt.Sprintf("%s%04d", s.phone, p.Number%10000)
		}
	}
	return ""
}

// headOf returns the entry of a department's head: the first of the cast in it.
func headOf(d Department) string {
	for _, m := range cast {
		if m.department == d.Name {
			p := Person{Given: m.given, Sur: m.sur, Login: ascii(m.given) + "." + ascii(m.sur)}
			return relativeName(p) + ",ou=" + d.Name + "," + PeopleBase
		}
	}
	return ""
}

// fillGroups makes the groups from the people that are there.
func (c *Company) fillGroups() error {
	people := c.People()
	enabled := slices.DeleteFunc(slices.Clone(people), func(p Person) bool { return p.Disabled })
	g := &groupMaker{dir: c.dir}
	g.add(GroupAllStaff, "Everybody with a working account.", namesOf(enabled)...)
	for _, d := range departments {
		g.add(d.Group, "The department "+d.Name+".", namesOf(people, func(p Person) bool { return p.Department.Code == d.Code })...)
	}
	for _, s := range sites {
		g.add(s.group, "Everybody who works in "+s.name+".", namesOf(people, func(p Person) bool { return p.Site == s.name })...)
	}
	for _, name := range projects {
		team := c.team(enabled)
		if name == projectDangles {
			team = append(team, Dangling)
		}
		g.add(projectGroup(name), "The project "+name+".", team...)
	}
	g.add(GroupMakers, "Departments that make things.", groups("workshop", "engineering", "quality", "forecasting")...)
	g.add(GroupOffice, "Departments that keep the house.", groups("sales", "logistics", "finance", "people-and-culture", "it", "management")...)
	g.add(GroupHouse, "The whole house, by its departments.", groups(GroupMakers, GroupOffice)...)
	g.add(GroupITAdmins, "Administrators of the systems.", personDN(LoginIT, people), personDN(LoginSecurity, people))
	g.add(GroupPayroll, "Those who pay the wages.", append(c.team(enabled)[:3], groups("finance")...)...)
	// The two guilds admitted each other in 2004; neither will be the first to leave.
	g.add(GroupBrass, "The guild of brass.", append(c.team(enabled), groups(GroupGlass)...)...)
	g.add(GroupGlass, "The guild of glass.", append(c.team(enabled), groups(GroupBrass)...)...)
	g.add(GroupAlumni, "The crew of the 1998 regatta. All have retired.", nobody)
	return g.err
}

// groupMaker adds groups until one fails.
type groupMaker struct {
	dir *ldapserver.Directory
	err error
}

func (g *groupMaker) add(name, description string, members ...string) {
	if g.err != nil {
		return
	}
	if len(members) == 0 {
		members = []string{nobody}
	}
	g.err = g.dir.Add(ldapserver.Entry{DN: groupDN(name), Attributes: []ldapserver.Attribute{
		ldapserver.Attr("objectClass", "top", "groupOfNames"), ldapserver.Attr("cn", name),
		ldapserver.Attr("description", description), ldapserver.Attr("member", members...),
	}})
}

func groupDN(name string) string { return "cn=" + name + "," + GroupsBase }

func projectGroup(name string) string {
	return "project-" + strings.ReplaceAll(strings.ToLower(name), " ", "-")
}

func groups(names ...string) []string {
	for i := range names {
		names[i] = groupDN(names[i])
	}
	return names
}

// namesOf returns the names of those whom all conditions admit.
func namesOf(people []Person, admit ...func(Person) bool) []string {
	var out []string
	for _, p := range people {
		if !slices.ContainsFunc(admit, func(ok func(Person) bool) bool { return !ok(p) }) {
			out = append(out, p.DN)
		}
	}
	return out
}

func personDN(login string, people []Person) string {
	at := slices.IndexFunc(people, func(p Person) bool { return p.Login == login })
	return people[at].DN
}

// team draws between 4 and 23 people.
func (c *Company) team(from []Person) []string {
	var out []string
	for _, i := range c.rand.Perm(len(from))[:4+c.rand.IntN(20)] {
		out = append(out, from[i].DN)
	}
	return out
}

func departmentNamed(name string) Department {
	at := slices.IndexFunc(departments, func(d Department) bool { return d.Name == name })
	return departments[at]
}

// weighted draws one of the choices.
func weighted[T any](c *Company, choices []T, weight func(T) int) T {
	total := 0
	for _, choice := range choices {
		total += weight(choice)
	}
	n := c.rand.IntN(total)
	for _, choice := range choices {
		if n -= weight(choice); n < 0 {
			return choice
		}
	}
	return choices[len(choices)-1]
}
