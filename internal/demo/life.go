package demo

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/rollcall-id/rollcall/internal/ldapserver"
)

// EventKind is what happened to somebody.
type EventKind string

// The kinds of events.
const (
	Joined  EventKind = "joined"
	Moved   EventKind = "moved"   // to another department
	Married EventKind = "married" // has another surname, mail address and often login
	Left    EventKind = "left"
)

// Event is one thing that happened in the company.
type Event struct {
	Kind     EventKind
	At       time.Time
	Person   Person // as the person is after it
	Before   Person // as the person was before it; the zero value for who joined
	Sentence string
}

// chance is how often a kind of event happens.
type chance struct {
	kind   EventKind
	weight int
}

// kinds lets the company grow a little.
var kinds = []chance{{Joined, 32}, {Moved, 28}, {Married, 15}, {Left, 25}}

// Live lets something happen at every interval until the context ends, which is
// no error.
func (c *Company) Live(ctx context.Context, every time.Duration) error {
	tick := time.NewTicker(every)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
		e, err := c.Next()
		if err != nil {
			return err
		}
		c.log.InfoContext(ctx, "demo company", "event", string(e.Kind), "user", e.Person.Login, "says", e.Sentence)
	}
}

// Next lets the next thing happen. It changes one person's entry and the groups
// that name it.
func (c *Company) Next() (Event, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	kind := weighted(c, kinds, func(k chance) int { return k.weight }).kind
	who, ok := c.anybody()
	if !ok {
		kind = Joined
	}
	var e Event
	var err error
	switch kind {
	case Joined:
		e, err = c.join()
	case Moved:
		e, err = c.move(who)
	case Married:
		e, err = c.marry(who)
	case Left:
		e, err = c.leave(who)
	}
	if err != nil {
		return Event{}, fmt.Errorf("somebody of the demo's company %s: %w", kind, err)
	}
	e.Kind, e.At = kind, c.now()
	if c.onEvent != nil {
		c.onEvent(e)
	}
	return e, nil
}

// anybody draws a person who is not of the cast.
func (c *Company) anybody() (Person, bool) {
	people := slices.DeleteFunc(c.People(), func(p Person) bool { return p.Number <= len(cast) })
	if len(people) == 0 {
		return Person{}, false
	}
	return people[c.rand.IntN(len(people))], true
}

func (c *Company) join() (Event, error) {
	p, err := c.hire(c.somebody())
	if err != nil {
		return Event{}, err
	}
	joins := []string{GroupAllStaff, p.Department.Group, siteGroup(p.Site)}
	if c.rand.IntN(2) == 0 {
		joins = append(joins, projectGroup(projects[c.rand.IntN(len(projects))]))
	}
	for _, g := range joins {
		if err := c.swap(groupDN(g), "", p.DN); err != nil {
			return Event{}, err
		}
	}
	return Event{Person: p, Sentence: fmt.Sprintf("%s joined %s in %s as %s.", p.Name, p.Department.Name, p.Site, p.Title)}, nil
}

func (c *Company) move(p Person) (Event, error) {
	before := p
	others := slices.DeleteFunc(slices.Clone(departments), func(d Department) bool { return d.Code == p.Department.Code })
	p.Department = weighted(c, others, func(d Department) int { return d.Weight })
	p.Title = p.Department.Titles[c.rand.IntN(len(p.Department.Titles))]
	rdn, _, _ := strings.Cut(before.DN, ",ou=")
	if err := c.rename(&p, rdn); err != nil {
		return Event{}, err
	}
	err := c.dir.Modify(p.DN,
		set("ou", p.Department.Name), set("departmentNumber", p.Department.Code),
		set("title", p.Title), set("manager", headOf(p.Department)))
	if err != nil {
		return Event{}, err
	}
	if err := c.swap(groupDN(before.Department.Group), p.DN, ""); err != nil {
		return Event{}, err
	}
	if err := c.swap(groupDN(p.Department.Group), "", p.DN); err != nil {
		return Event{}, err
	}
	return Event{Person: p, Before: before, Sentence: fmt.Sprintf("%s moved from %s to %s and is %s now.",
		p.Name, before.Department.Name, p.Department.Name, p.Title)}, nil
}

func (c *Company) marry(p Person) (Event, error) {
	before := p
	for p.Sur == before.Sur {
		p.Sur = surnames[c.rand.IntN(len(surnames))]
	}
	p.Name = p.Given + " " + p.Sur
	sentence := fmt.Sprintf("%s married and is called %s now.", before.Name, p.Name)
	// Most take a login name to match; who is named by the old surname has to.
	if named := strings.HasPrefix(p.DN, "cn="); named || c.rand.IntN(3) > 0 {
		p.Login = c.newLogin(p.Given, p.Sur)
		sentence = fmt.Sprintf("%s married and is %s (%s) now.", before.Name, p.Name, p.Login)
		if err := c.rename(&p, relativeName(p)); err != nil {
			return Event{}, err
		}
	}
	changes := []ldapserver.Change{
		set("sn", p.Sur), set("displayName", p.Name), set("cn", commonNames(p)...),
		set("uid", p.Login), set("mail", p.Login+"@halyard.example"),
	}
	if err := c.dir.Modify(p.DN, changes...); err != nil {
		return Event{}, err
	}
	return Event{Person: p, Before: before, Sentence: sentence}, nil
}

func (c *Company) leave(p Person) (Event, error) {
	for _, g := range c.groupsOf(p.DN) {
		if err := c.swap(g, p.DN, ""); err != nil {
			return Event{}, err
		}
	}
	if err := c.dir.Delete(p.DN); err != nil {
		return Event{}, err
	}
	return Event{Person: p, Before: p, Sentence: fmt.Sprintf("%s left %s.", p.Name, p.Department.Name)}, nil
}

// rename gives a person's entry another name, in the unit of the person's
// department, and mends the groups that held the old one.
func (c *Company) rename(p *Person, rdn string) error {
	old := p.DN
	above := "ou=" + p.Department.Name + "," + PeopleBase
	p.DN = rdn + "," + above
	if err := c.dir.Rename(old, rdn, above); err != nil {
		return err
	}
	for _, g := range c.groupsOf(old) {
		if err := c.swap(g, old, p.DN); err != nil {
			return err
		}
	}
	return nil
}

// groupsOf returns the names of the groups that hold the member directly.
func (c *Company) groupsOf(member string) []string {
	var out []string
	for e := range c.dir.All() {
		if strings.HasSuffix(e.DN, ","+GroupsBase) && slices.Contains(e.Values("member"), member) {
			out = append(out, e.DN)
		}
	}
	return out
}

// swap takes out one member of a group and puts in another; either may be empty.
func (c *Company) swap(group, out, in string) error {
	e, ok := c.dir.Lookup(group)
	if !ok {
		// Somebody with the administrator's account took it away; so be it.
		return nil
	}
	members := e.Values("member")
	next := slices.DeleteFunc(slices.Clone(members), func(m string) bool { return m == out || m == nobody || m == in })
	if in != "" {
		next = append(next, in)
	}
	if len(next) == 0 {
		next = []string{nobody}
	}
	return c.dir.Modify(group, set("member", next...))
}

func set(name string, values ...string) ldapserver.Change {
	return ldapserver.Change{Kind: ldapserver.ReplaceValues, Name: name, Values: values}
}

func siteGroup(name string) string {
	for _, s := range sites {
		if s.name == name {
			return s.group
		}
	}
	return ""
}
