package plan

import (
	"fmt"
	"iter"
	"slices"
	"strings"

	"github.com/rollcall-id/rollcall/identity"
)

// side is all entries of one kind, and what became of them.
type side struct {
	kind     Kind
	entries  []identity.Seen
	keys     *keySet // of the entries
	at       []int32 // by position in keys: position in entries
	fates    []fate  // by position in keys
	skipped  *keySet // entries that were seen, but say nothing
	gone     *keySet // entries that are named as gone, and were not seen
	known    []Known // those of the candidates that the roll has
	changes  []candidate
	absent   []Known     // present, not seen, not skipped
	kept     []Known     // present, left as they were
	groups   []candidate // present or to be created: their members are compared
	rejected map[int32]bool
}

// fate is what a run makes of an entry that was seen.
type fate uint8

const (
	unknown fate = iota // the roll has none with this key: to be created
	present
	missing // it was: to be returned
	unusable
	refused // not created or not returned, because of its name
)

// candidate is an entry that may need a step. It is small because a first run
// sorts a hundred thousand of them.
type candidate struct {
	key   int32 // position in side.keys
	known int32 // position in side.known, or none
}

// none is the position of what the roll does not have.
const none = -1

// index numbers the entries of one kind and sorts out those that say nothing.
func (p *planner) index(kind Kind, entries []identity.Seen) (*side, error) {
	s := &side{kind: kind, entries: entries, keys: newKeySet(), skipped: newKeySet(), gone: newKeySet(), rejected: map[int32]bool{}}
	s.keys.reset(len(entries))
	s.at = make([]int32, 0, len(entries))
	twice := map[int]bool{}
	for i := range entries {
		e := &entries[i]
		if r := e.Record; r != nil && (r.Source != p.seen.Source || r.Key != e.Key) {
			return nil, fmt.Errorf("observation of source %s: the entry %q holds a record of %s with the key %q",
				p.seen.Source, e.Key, r.Source, r.Key)
		}
		at, isNew := s.keys.add(e.Key)
		if isNew {
			s.at = append(s.at, int32(i))
		} else if !sameEntry(e, &entries[s.at[at]]) {
			twice[at] = true
		}
	}
	s.fates = make([]fate, len(s.at))
	s.name(p.seen)
	for at := range s.at {
		switch e := s.entry(at); {
		case twice[at]:
			p.skip(s, at, "", "it was read twice, with different content")
		case e.Record != nil && kind == User && e.Record.Name == "":
			p.skip(s, at, e.Record.DN, "it has no login name")
		case s.skipped.find(e.Key) >= 0:
			s.fates[at] = unusable
		}
	}
	p.count(s)
	return s, nil
}

// name takes in what the observation names without reading it.
func (s *side) name(seen *identity.Observation) {
	for _, x := range seen.Skipped {
		if x.Key != "" && x.Group == (s.kind == Group) {
			s.skipped.add(x.Key)
		}
	}
	for _, x := range seen.Gone {
		if x.Group == (s.kind == Group) && s.keys.find(x.Key) < 0 && s.skipped.find(x.Key) < 0 {
			s.gone.add(x.Key)
		}
	}
}

func (s *side) entry(at int) *identity.Seen { return &s.entries[s.at[at]] }

// sameEntry reports whether an entry that was read twice was the same both times.
// Groups that come twice are never trusted: their members may come in halves.
func sameEntry(a, b *identity.Seen) bool {
	if a.Record == nil || b.Record == nil {
		return a.Record == b.Record && len(a.Users)+len(a.Groups)+len(b.Users)+len(b.Groups) == 0
	}
	return a.Record.Equal(b.Record) && len(a.Users)+len(a.Groups)+len(b.Users)+len(b.Groups) == 0
}

// skip lists an entry that is left as it was.
func (p *planner) skip(s *side, at int, dn, reason string) {
	key := s.entry(at).Key
	p.plan.Skipped = append(p.plan.Skipped, identity.Skipped{Key: key, Group: s.kind == Group, DN: dn, Reason: reason})
	s.skipped.add(key)
	s.fates[at] = unusable
}

func (p *planner) count(s *side) {
	n := &p.plan.Counts.UsersSeen
	if s.kind == Group {
		n = &p.plan.Counts.GroupsSeen
	}
	*n = len(s.at)
	for _, x := range p.seen.Skipped {
		if x.Group == (s.kind == Group) && (x.Key == "" || s.keys.find(x.Key) < 0) {
			*n++
		}
	}
}

// compare walks what the roll has of one kind, and finds the changed, the absent
// and the new.
func (p *planner) compare(s *side, have iter.Seq[Known]) {
	if s.kind == Group {
		s.groups = make([]candidate, 0, len(s.at))
		s.known = make([]Known, 0, len(s.at))
	}
	if p.partial() {
		p.lookUp(s)
	} else {
		p.walk(s, have)
	}
	p.addNew(s)
}

// lookUp finds in the roll what an observation of changes names.
func (p *planner) lookUp(s *side) {
	of := p.have.User
	if s.kind == Group {
		of = p.have.Group
	}
	for at, key := range s.keys.keys {
		if s.fates[at] == unusable {
			continue
		}
		k, ok := of(key)
		if e := s.entry(at); s.kind == Group && e.Edges != identity.EdgesWhole && (!ok || k.Missing) {
			p.skip(s, at, "", "only what changed of it was read, but it is not in the roll; the next full read brings it whole")
			continue
		}
		if ok {
			p.match(s, at, k)
		}
	}
	for _, key := range s.gone.keys {
		if k, ok := of(key); ok && !k.Missing {
			s.absent = append(s.absent, k)
		}
	}
}

// walk goes through all that the roll has.
func (p *planner) walk(s *side, have iter.Seq[Known]) {
	known, gone := 0, 0
	for k := range have {
		if k.Missing {
			gone++
		} else {
			known++
		}
		if at := s.keys.find(k.Key); at >= 0 && s.fates[at] != unusable {
			p.match(s, at, k)
		} else if !k.Missing {
			s.overlook(k)
		}
	}
	if s.kind == User {
		p.plan.Counts.UsersKnown, p.plan.Counts.UsersMissing = known, gone
	} else {
		p.plan.Counts.GroupsKnown = known
	}
}

// match notes what became of an entry that the roll has and that was seen.
func (p *planner) match(s *side, at int, k Known) {
	if k.Missing {
		s.fates[at] = missing
	} else {
		s.fates[at] = present
		p.plan.Counts.Unchanged++ // until a step says otherwise
	}
	r := s.entry(at).Record
	changes := k.Missing || r != nil && !r.Equal(p.stored(k))
	if !changes && s.kind == User {
		return
	}
	c := candidate{key: int32(at), known: int32(len(s.known))}
	s.known = append(s.known, k)
	if changes {
		s.changes = append(s.changes, c)
	}
	if s.kind == Group {
		s.groups = append(s.groups, c)
	}
}

// overlook notes a present one of whom the read has nothing to say.
func (s *side) overlook(k Known) {
	if s.skipped.find(k.Key) < 0 {
		s.absent = append(s.absent, k)
	} else {
		s.kept = append(s.kept, k)
	}
}

// addNew finds the entries whose key the roll does not have.
func (p *planner) addNew(s *side) {
	s.changes = slices.Grow(s.changes, s.count(unknown))
	for at, f := range s.fates {
		switch {
		case f != unknown:
		case s.entry(at).Record == nil:
			p.skip(s, at, "", "it was read as unchanged, but is not in the roll; the next read brings it whole")
		default:
			c := candidate{key: int32(at), known: none}
			s.changes = append(s.changes, c)
			if s.kind == Group {
				s.groups = append(s.groups, c)
			}
		}
	}
	for _, cs := range [][]candidate{s.changes, s.groups} {
		slices.SortFunc(cs, func(a, b candidate) int {
			return strings.Compare(string(s.keys.keys[a.key]), string(s.keys.keys[b.key]))
		})
	}
}

// knownOf returns what the roll has of a candidate, or the zero value.
func (s *side) knownOf(c candidate) Known {
	if c.known == none {
		return Known{}
	}
	return s.known[c.known]
}

func (s *side) count(f fate) (n int) {
	for _, x := range s.fates {
		if x == f {
			n++
		}
	}
	return n
}
