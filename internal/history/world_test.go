package history

import (
	"bytes"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/rollcall-id/rollcall/internal/dirtest"
)

// kind is what a thing of the story is.
type kind int

const (
	unit kind = iota // an organizational unit
	person
	group
)

// thing is somebody or something of the story. The story remembers where it is only to
// be able to say so to the directory: what is true is what the directory's dump says.
type thing struct {
	kind  kind
	name  string // the login name or the name, which is the value of the RDN as well
	above *thing // nil: the suffix
	// members are what was written, by who was meant.
	members map[*thing]string
	first   *thing // the group that a person is in without being listed there
}

// world tells one story to one directory: each call writes the LDIF of one event.
type world struct {
	tongue
	ldif   bytes.Buffer
	things map[string]*thing
	// promised is what will be told later.
	promised string
}

// tongue is how one family of directories puts what happens.
type tongue interface {
	suffix() string
	// rdn is the RDN of a thing, not escaped.
	rdn(*thing) string
	// create writes all of a new entry but its DN.
	create(w io.Writer, x *thing)
	// attribute names the field of the story.
	attribute(field string) string
	// member returns how a group lists x, who is at dn; value "": it cannot.
	member(x *thing, dn string) (attribute, value string)
	// renamed writes what has to be said besides when x, now at dn, has a new name.
	renamed(w io.Writer, x *thing, dn string)
	disabled(w io.Writer, yes yesno)
	// expires writes the end of somebody's time; zero: never.
	expires(w io.Writer, at time.Time)
	// follows says whether the directory itself writes a new DN into its groups, and
	// takes out who is deleted.
	follows() bool
	// loose says whether a group may list what is not there.
	loose() bool
	// first makes a group that somebody is in already his first one. Families without
	// such groups write nothing and return false.
	first(w io.Writer, dn, group string) bool
}

type yesno string

const (
	yes yesno = "yes"
	no  yesno = "no"
)

func newWorld(t tongue) *world {
	w := &world{tongue: t, things: map[string]*thing{}}
	for _, ou := range []string{"people", "groups"} {
		w.things[ou] = &thing{kind: unit, name: ou}
	}
	return w
}

// told returns what was told since the last call.
func (w *world) told() string {
	defer w.ldif.Reset()
	return w.ldif.String()
}

func (w *world) get(id string) *thing {
	x, ok := w.things[id]
	if !ok {
		panic("the story has no " + id)
	}
	return x
}

func (w *world) dn(x *thing) string {
	if x.above == nil {
		return w.rdnOf(x) + "," + w.suffix()
	}
	return w.rdnOf(x) + "," + w.dn(x.above)
}

func (w *world) rdnOf(x *thing) string {
	attribute, value, _ := strings.Cut(w.rdn(x), "=")
	return attribute + "=" + escapeRDN(value)
}

func escapeRDN(value string) string {
	var b strings.Builder
	for i := range len(value) {
		c := value[i]
		if strings.IndexByte(`,+"\<>;=`, c) >= 0 || i == 0 && (c == ' ' || c == '#') || i == len(value)-1 && c == ' ' {
			b.WriteByte('\\')
		}
		b.WriteByte(c)
	}
	return b.String()
}

// change begins a record about somebody and returns where its lines go.
func (w *world) change(x *thing, how string) io.Writer {
	dirtest.LDIF(&w.ldif, "dn", w.dn(x))
	dirtest.LDIF(&w.ldif, "changetype", how)
	return &w.ldif
}

func (w *world) end() { w.ldif.WriteString("\n") }

func (w *world) add(id string, k kind, name, above string) *thing {
	x := &thing{kind: k, name: name, members: map[*thing]string{}}
	if above != "" {
		x.above = w.get(above)
	}
	w.things[id] = x
	w.create(w.change(x, "add"), x)
	return x
}

// unit adds an organizational unit; above "": at the top, where nobody looks.
func (w *world) unit(id, above string) {
	w.add(id, unit, id, above)
	w.end()
}

// person adds somebody.
func (w *world) person(id, above string) { w.personNamed(id, id, above) }

func (w *world) personNamed(id, name, above string) {
	w.add(id, person, name, above)
	w.end()
}

// group adds a group with members.
func (w *world) group(id, above string, members ...string) { w.groupNamed(id, id, above, members...) }

func (w *world) groupNamed(id, name, above string, members ...string) {
	g := w.add(id, group, name, above)
	for _, m := range members {
		w.list(g, m)
	}
	w.end()
}

func (w *world) list(g *thing, member string) {
	m := w.get(member)
	attribute, value := w.member(m, w.dn(m))
	if value != "" {
		g.members[m] = value
		dirtest.LDIF(&w.ldif, attribute, value)
	}
}

// lists begins a change of the members of a group.
func (w *world) lists(g *thing, how string) {
	attribute, _ := w.member(g, "")
	dirtest.LDIF(w.change(g, "modify"), how, attribute)
}

// set gives a field other values; none: it is cleared.
func (w *world) set(id, field string, values ...string) {
	to, a := w.change(w.get(id), "modify"), w.attribute(field)
	dirtest.LDIF(to, "replace", a)
	for _, v := range values {
		dirtest.LDIF(to, a, v)
	}
	fmt.Fprint(to, "-\n\n")
}

// rename gives a new name, and move another place; place does both at once.
func (w *world) rename(id, name string) { w.relocate(id, name, w.get(id).above) }
func (w *world) move(id, above string)  { w.relocate(id, w.get(id).name, w.get(above)) }
func (w *world) place(id, name, above string) {
	w.relocate(id, name, w.get(above))
}

func (w *world) relocate(id, name string, above *thing) {
	x := w.get(id)
	to := w.change(x, "modrdn")
	changed, moved := x.name != name, x.above != above
	x.name, x.above = name, above
	dirtest.LDIF(to, "newrdn", w.rdnOf(x))
	dirtest.LDIF(to, "deleteoldrdn", "1")
	if moved {
		superior := w.suffix()
		if above != nil {
			superior = w.dn(above)
		}
		dirtest.LDIF(to, "newsuperior", superior)
	}
	w.end()
	if changed {
		w.renamed(&w.ldif, x, w.dn(x))
	}
	if w.follows() {
		for _, g := range w.things {
			for m := range g.members {
				g.members[m] = w.dn(m)
			}
		}
	}
}

func (w *world) disable(id string, y yesno) {
	w.disabled(w.change(w.get(id), "modify"), y)
	fmt.Fprint(&w.ldif, "-\n\n")
}

func (w *world) expire(id string, at time.Time) {
	w.expires(w.change(w.get(id), "modify"), at)
	fmt.Fprint(&w.ldif, "-\n\n")
}

func (w *world) join(id string, members ...string) {
	g := w.get(id)
	w.lists(g, "add")
	for _, m := range members {
		w.list(g, m)
	}
	fmt.Fprint(&w.ldif, "-\n\n")
}

func (w *world) leave(id string, members ...string) {
	g := w.get(id)
	w.lists(g, "delete")
	for _, member := range members {
		m := w.get(member)
		attribute, _ := w.member(m, "")
		dirtest.LDIF(&w.ldif, attribute, g.members[m])
		delete(g.members, m)
	}
	fmt.Fprint(&w.ldif, "-\n\n")
}

// primary makes a group that somebody is a member of his first one.
func (w *world) primary(id, to string) {
	x, g := w.get(id), w.get(to)
	if !w.first(&w.ldif, w.dn(x), w.dn(g)) {
		return
	}
	delete(g.members, x)
	if x.first != nil {
		x.first.members[x] = w.dn(x)
	}
	x.first = g
}

// remove deletes somebody, or a unit with all that is below it.
func (w *world) remove(id string) {
	x := w.get(id)
	for _, below := range w.ids() {
		if y, ok := w.things[below]; ok && y.above == x {
			w.remove(below)
		}
	}
	w.change(x, "delete")
	w.end()
	delete(w.things, id)
	if w.follows() {
		for _, g := range w.things {
			delete(g.members, x)
		}
	}
}

// ids lists everything in a fixed order.
func (w *world) ids() []string {
	ids := make([]string, 0, len(w.things))
	for id := range w.things {
		ids = append(ids, id)
	}
	slices.Sort(ids)
	return ids
}

// snapshot remembers how everything is, to return to it when a backup is put back.
func (w *world) snapshot() map[string]*thing {
	twins := map[*thing]*thing{}
	var twin func(x *thing) *thing
	twin = func(x *thing) *thing {
		if x == nil {
			return nil
		}
		if y, ok := twins[x]; ok {
			return y
		}
		y := &thing{kind: x.kind, name: x.name, members: map[*thing]string{}}
		twins[x] = y
		y.above, y.first = twin(x.above), twin(x.first)
		for m, value := range x.members {
			y.members[twin(m)] = value
		}
		return y
	}
	out := map[string]*thing{}
	for id, x := range w.things {
		out[id] = twin(x)
	}
	return out
}
