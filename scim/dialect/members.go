package dialect

import (
	"slices"
	"strconv"

	"github.com/rollcall-id/rollcall/scim/filter"
)

// Members is what a PATCH, or a PUT, does to the members of a group: Replace them all by
// Add, or take Remove out and what is Matching, and put Add in. No id is in both.
type Members struct {
	Replace     bool
	Add, Remove []string
	Matching    []*filter.Filter // of a group that has one member
}

// memberOp reads an operation on the members of a group.
func (r *patchReader) memberOp(kind Kind, p filter.Path, value any, given bool) error {
	if p.Filter != nil {
		return r.filteredMembers(kind, p, value)
	}
	if p.Sub != "" && fold(p.Sub) != "value" {
		r.noteOn(p, "what is said of a member beside his id is the server's: left out")
		return nil
	}
	none := value == nil || value == "" && r.k.Strict // RFC 7644, section 3.5.2.2, has a value in no removal
	if kind == Remove && (!given || none) || kind == Replace && value == nil {
		r.members.replace(nil)
		return nil
	}
	attr := r.t.Core.Find("members")
	v, err := r.value(attr, value, "members")
	if err != nil {
		return err
	}
	ids := memberIDs(v)
	switch kind {
	case Add:
		r.members.add(ids)
	case Remove:
		if r.k.Strict {
			return invalid("invalidValue", "a removal names what it removes by its path")
		}
		r.note("members", "the values of a removal were taken for those to be removed")
		r.members.remove(ids)
	case Replace:
		r.members.replace(ids)
	}
	return nil
}

// filteredMembers reads members[value eq "id"], with or between several.
func (r *patchReader) filteredMembers(kind Kind, p filter.Path, value any) error {
	ids, ok := idsOf(p.Filter)
	if !ok {
		return r.matchingMembers(kind, p)
	}
	switch {
	case kind == Remove && p.Sub == "":
		r.members.remove(ids)
	case kind == Remove:
		r.noteOn(p, "what is said of a member beside his id is the server's: left out")
	case fold(p.Sub) == "value":
		if id, isText := value.(string); !isText || !slices.Contains(ids, id) {
			return invalid("mutability", "the id of a member cannot be changed: remove the one, and add the other")
		}
		r.members.add(ids)
	default:
		if o, isObject := value.(object); isObject && p.Sub == "" {
			if v, has := o.get("value"); has {
				if id, isText := v.(string); isText && !slices.Contains(ids, id) {
					r.members.remove(ids)
					ids = []string{id}
				}
			}
		}
		r.members.add(ids)
	}
	return nil
}

// matchingMembers reads members[type eq "Group"] and the like. Who that is, is known
// where the members are.
func (r *patchReader) matchingMembers(kind Kind, p filter.Path) error {
	if kind != Remove || p.Sub != "" {
		return invalid("invalidFilter", "members are named by their value: members[value eq \"id\"]")
	}
	if r.members.changed() {
		return invalid("invalidFilter", "members that the same request adds are named by their value: members[value eq \"id\"]")
	}
	if len(r.members.matching) == maxMatching {
		return tooMuch("members are removed by more than " + strconv.Itoa(maxMatching) + " filters that do not name their ids: send them in several requests")
	}
	f, err := filter.Compile(filter.ValuePath{Path: filter.Path{Attr: "members"}, Filter: p.Filter}, r.t, r.options())
	if err != nil {
		return invalid("invalidFilter", "the path %s: %v", clip(p.String()), err)
	}
	r.members.matching = append(r.members.matching, f)
	return nil
}

func idsOf(e filter.Expr) ([]string, bool) {
	switch e := e.(type) {
	case filter.Compare:
		id, ok := e.Value.(string)
		return []string{id}, ok && e.Op == filter.Equal && fold(e.Path.Attr) == "value"
	case filter.Or:
		var all []string
		for _, t := range e.Terms {
			ids, ok := idsOf(t)
			if !ok {
				return nil, false
			}
			all = append(all, ids...)
		}
		return all, true
	}
	return nil, false
}

// memberPlan is what operations on members come to, one after another.
type memberPlan struct {
	whole bool
	in    map[string]bool // false: out
	order []string

	matching []*filter.Filter
}

func newMemberPlan() *memberPlan { return &memberPlan{in: map[string]bool{}} }

func (m *memberPlan) set(ids []string, in bool) {
	for _, id := range ids {
		if _, known := m.in[id]; !known {
			m.order = append(m.order, id)
		}
		m.in[id] = in
	}
}

func (m *memberPlan) add(ids []string)    { m.set(ids, true) }
func (m *memberPlan) remove(ids []string) { m.set(ids, false) }

func (m *memberPlan) replace(ids []string) {
	*m = memberPlan{whole: true, in: map[string]bool{}}
	m.set(ids, true)
}

// changed reports whether there are members that the group did not have before.
func (m *memberPlan) changed() bool {
	return m.whole || slices.ContainsFunc(m.order, func(id string) bool { return m.in[id] })
}

func (m *memberPlan) plan() Members {
	p := Members{Replace: m.whole, Matching: m.matching}
	for _, id := range m.order {
		switch {
		case m.in[id]:
			p.Add = append(p.Add, id)
		case !m.whole:
			p.Remove = append(p.Remove, id)
		}
	}
	return p
}

// Touches reports whether anything is done to members.
func (m *Members) Touches() bool { return m.Replace || len(m.Add)+len(m.Remove)+len(m.Matching) > 0 }
