package plan

import (
	"cmp"
	"fmt"
	"slices"

	"github.com/rollcall-id/rollcall/identity"
)

// A claim is one entry that asks for a login name it did not hold before the run:
// a new one, one that is renamed, or one that is back.
type claim struct {
	at     int32 // position in side.keys
	rank   rank
	known  *Known // nil for a new one
	record *identity.Record
	name   string // folded
}

// rank says which claim on a name goes first: who held it longest.
type rank uint8

const (
	returning rank = iota // under the name with which the user went missing
	renamed
	created
)

// nameState is who has one claimed name in the final state of the observation.
type nameState struct {
	holder   identity.Key // keeps the name: present before, and not renamed away
	held     bool
	winner   int          // index of the claim that gets it, or -1
	vanished identity.Key // had it, and was not seen or is missing
	gone     bool
}

// names settles who may have which login name. Names are judged as they will be
// after the run, so a swap works; but an entry that loses its claim is left as it
// was and takes its old name back from whoever claimed that.
type names struct {
	claims []claim
	states map[string]*nameState
	lost   []Conflict
	losers []int32 // positions in side.keys
	admit  map[identity.Key]bool
}

// newNames returns the contest for the names that the claims ask for. The claims
// come in the order of their keys.
func newNames(claims []claim, admit map[identity.Key]bool) *names {
	n := &names{claims: claims, states: make(map[string]*nameState, len(claims)), admit: admit}
	all := make([]nameState, len(claims))
	for i := range claims {
		if _, ok := n.states[claims[i].name]; !ok {
			all[i].winner = -1
			n.states[claims[i].name] = &all[i]
		}
	}
	slices.SortStableFunc(claims, func(a, b claim) int { return cmp.Compare(a.rank, b.rank) })
	return n
}

// keep notes that a user keeps the name, unless nobody claims it.
func (n *names) keep(name string, key identity.Key) {
	if s := n.states[name]; s != nil && (!s.held || key < s.holder) {
		s.holder, s.held = key, true
	}
}

// leave notes that the holder of the name was not seen, or has been missing.
func (n *names) leave(name string, key identity.Key) {
	if s := n.states[name]; s != nil && (!s.gone || key < s.vanished) {
		s.vanished, s.gone = key, true
	}
}

// settle decides every claim, in the order of their ranks and keys.
func (n *names) settle() {
	for i := range n.claims {
		c := &n.claims[i]
		switch s := n.states[c.name]; {
		case s.held:
			n.lose(i, DuplicateName, s.holder)
		case s.winner >= 0:
			n.lose(i, DuplicateName, n.claims[s.winner].record.Key)
		case s.gone && !n.admit[c.record.Key]:
			n.lose(i, Recreated, s.vanished)
		default:
			s.winner = i
		}
	}
}

// lose drops a claim. The loser stays what he was, under the name he had, and
// whoever had won that name loses in turn; each claim loses at most once.
func (n *names) lose(i int, code string, holder identity.Key) {
	for i >= 0 {
		c := &n.claims[i]
		n.losers = append(n.losers, c.at)
		n.lost = append(n.lost, c.conflict(code, holder))
		if c.rank != renamed {
			return
		}
		old := identity.FoldName(c.known.Name)
		s := n.states[old]
		if s == nil {
			return
		}
		code, holder = DuplicateName, c.record.Key
		if c.known.Missing {
			n.leave(old, holder)
			code = Recreated
			if s.winner >= 0 && n.admit[n.claims[s.winner].record.Key] {
				return
			}
		} else {
			n.keep(old, holder)
		}
		i, s.winner = s.winner, -1
	}
}

// conflict words the loss for the person who has to act.
func (c *claim) conflict(code string, holder identity.Key) Conflict {
	x := Conflict{Code: code, Key: c.record.Key, Name: c.record.Name, DN: c.record.DN, Holder: holder}
	switch {
	case code == DuplicateName && c.rank == created:
		x.Detail = fmt.Sprintf("not created: entry %s has this login name; give one of them another in the directory", holder)
	case code == DuplicateName:
		x.Detail = fmt.Sprintf("left as it was: entry %s has this login name; give one of them another in the directory", holder)
	case c.rank == created:
		x.Detail = fmt.Sprintf("not created: the name belonged to entry %s, which the directory no longer shows; "+
			"decide whether they are one person", holder)
	default:
		x.Code = DuplicateName
		x.Detail = fmt.Sprintf("left as it was: the name belonged to entry %s, which the directory no longer shows; "+
			"decide whether it may be given away", holder)
	}
	return x
}
