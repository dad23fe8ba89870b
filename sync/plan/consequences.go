package plan

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/rollcall-id/rollcall/identity"
)

// A step of a plan cannot give a permission, but what it does to members, nestings and
// people who come, go and return decides whom grants reach that administrators made.
// Package state works that out, since it knows the grants; here it is shown and held.

// Consequence is what a plan would change of who may do one thing.
type Consequence struct {
	Permission string `json:"permission"`
	Gain       int    `json:"gain,omitzero"` // how many would be able to, and are not now
	Lose       int    `json:"lose,omitzero"`
	// People are the first few of those who gain, by name.
	People []Person `json:"people,omitempty"`
}

// Person is somebody who gains something, and by what.
type Person struct {
	Name string `json:"name"`
	// Through is the name of the group that was granted it, or "default:<source>" where
	// everybody new is; "" when the person was.
	Through string `json:"through,omitzero"`
}

// Raised is one thing that one person could do after a run and cannot do before it.
// Who would be able to only once he is active, or once no setting stands against it,
// counts: nobody is asked when that happens.
type Raised struct {
	Permission string       `json:"permission"`
	Key        identity.Key `json:"key,omitzero"` // of one whom the source owns or will
	ID         Ref          `json:"id,omitzero"`  // zero for one whom the plan creates
	Person
}

// FewPeople is how many people a consequence and a reason name.
const FewPeople = 5

// compareRaised orders as they are shown.
func compareRaised(a, b Raised) int {
	return cmp.Or(strings.Compare(a.Permission, b.Permission), strings.Compare(a.Name, b.Name),
		strings.Compare(string(a.Key), string(b.Key)), slices.Compare(a.ID[:], b.ID[:]))
}

// SortRaised brings them into the order in which a plan holds them.
func SortRaised(all []Raised) { slices.SortFunc(all, compareRaised) }

// raiseLimit says in words when raising somebody holds a plan.
const raiseLimit = "never without approval after a change of how the source is read"

// raises holds a marked plan for each permission that somebody gains by it. Nothing
// but an approval of one who may confer it lets such a plan run.
func (p *Plan) raises() []check {
	if !p.Marked {
		return nil
	}
	var cs []check
	for i := 0; i < len(p.Raised); {
		name, from := p.Raised[i].Permission, i
		var few []Person
		for ; i < len(p.Raised) && p.Raised[i].Permission == name; i++ {
			if len(few) < FewPeople {
				few = append(few, p.Raised[i].Person)
			}
		}
		n := i - from
		gain := "gain"
		if n == 1 {
			gain = "gains"
		}
		cs = append(cs, check{over: true, Reason: Reason{
			Kind: Raises, Count: n, Limit: raiseLimit,
			Text: fmt.Sprintf("%s %s %s: %s", count(n, "person", "people"), gain, quote(name), people(few, n)),
		}})
	}
	return cs
}

// RaisedPeople returns how many people a marked plan raises.
func (p *Plan) RaisedPeople() int {
	type who struct {
		key identity.Key
		id  Ref
	}
	all := map[who]struct{}{}
	for i := range p.Raised {
		all[who{p.Raised[i].Key, p.Raised[i].ID}] = struct{}{}
	}
	return len(all)
}

// people says the first few of n people, each with what leads to him.
func people(few []Person, n int) string {
	var parts []string
	for rest := few; len(rest) > 0; {
		through := rest[0].Through
		var names []string
		next := rest[:0:0]
		for _, x := range rest {
			if x.Through == through {
				names = append(names, quote(x.Name))
			} else {
				next = append(next, x)
			}
		}
		parts, rest = append(parts, strings.Join(names, ", ")+by(through)), next
	}
	if more := n - len(few); more > 0 {
		parts = append(parts, "and "+thousands(more)+" more")
	}
	return strings.Join(parts, "; ")
}

func by(through string) string {
	if source, ok := strings.CutPrefix(through, "default:"); ok {
		return " by default of " + quote(source)
	}
	if through == "" {
		return " by a grant of their own"
	}
	return " through group " + quote(through)
}

// consequenceLines says each consequence in a line.
func (p *Plan) consequenceLines() []string {
	lines := make([]string, 0, len(p.Consequences))
	for _, c := range p.Consequences {
		var parts []string
		if c.Gain > 0 {
			parts = append(parts, "+"+thousands(c.Gain)+" "+people(c.People, c.Gain))
		}
		if c.Lose > 0 {
			parts = append(parts, "-"+thousands(c.Lose))
		}
		lines = append(lines, quote(c.Permission)+"  "+strings.Join(parts, "  "))
	}
	return lines
}

// raiseTexts yields what an approval of raising is about: who, by his key where
// the source has one for him, and what.
func (p *Plan) raiseTexts(yield func([]byte) bool) {
	for i := range p.Raised {
		r := &p.Raised[i]
		who := string(r.Key)
		if who == "" {
			who = r.ID.String()
		}
		if !yield(spell("raise", r.Permission, kindOfKey(r), who)) {
			return
		}
	}
}

// kindOfKey keeps a key that looks like an id from passing for one.
func kindOfKey(r *Raised) string {
	if r.Key == "" {
		return "id"
	}
	return "key"
}
