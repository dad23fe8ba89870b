package permissions

import (
	"iter"
	"time"

	"github.com/rollcall-id/rollcall/identity"
)

// Comparison says for very many users what differs between two views at one instant.
// It works what a group carries out once, so a user costs little. It belongs to one
// goroutine.
type Comparison struct {
	before, after *ledger
	numbers       *numbering
	gained, lost  []Permission
	raised        []Permission
}

// Compare returns the comparison of two views. They number groups alike.
func Compare(before, after View, now time.Time) *Comparison {
	numbers := newNumbering()
	return &Comparison{before: newLedger(before, numbers, now), after: newLedger(after, numbers, now), numbers: numbers}
}

// Difference is what differs for one user. The lists are the Comparison's own and hold
// until the next call.
type Difference struct {
	// Gained and Lost are what he may do in the one view and not in the other.
	Gained, Lost []Permission
	// Raised is what [Judge] means by raising: Gained, and what he would gain if he were
	// active and no setting withheld it.
	Raised []Permission
}

// User compares one user, who may be in one of the views only.
func (c *Comparison) User(user identity.UserID) Difference {
	was, is := c.before.abilities(user), c.after.abilities(user)
	c.gained = c.numbers.minus(c.gained[:0], is.may, was.may)
	c.lost = c.numbers.minus(c.lost[:0], was.may, is.may)
	c.raised = c.raised[:0]
	for n, name := range c.numbers.names {
		if is.may.has(n) && !was.may.has(n) || is.granted.has(n) && !was.granted.has(n) {
			c.raised = append(c.raised, name)
		}
	}
	return Difference{Gained: c.gained, Lost: c.lost, Raised: c.raised}
}

// minus appends the names of what is in s and not in t.
func (n *numbering) minus(to []Permission, s, t set) []Permission {
	if s.beyond(t) < 0 {
		return to
	}
	for i, name := range n.names {
		if s.has(i) && !t.has(i) {
			to = append(to, name)
		}
	}
	return to
}

// CarriesBefore reports whether members of a group, which the first view must have,
// are given anything by it.
func (c *Comparison) CarriesBefore(group uint32) bool { return c.before.carriedBy(group).beyond() >= 0 }

// CarriesAfter is CarriesBefore for the second view.
func (c *Comparison) CarriesAfter(group uint32) bool { return c.after.carriedBy(group).beyond() >= 0 }

// CarriesSame reports whether members of a group, which both views must have, are given
// the same by it.
func (c *Comparison) CarriesSame(group uint32) bool {
	was, is := c.before.carriedBy(group), c.after.carriedBy(group)
	return was.beyond(is) < 0 && is.beyond(was) < 0
}

// MayRaise returns fault.Denied, code grant_not_allowed, unless the writer may give
// each of these users that permission. A zero user is one who is yet to be made. It is
// for the approval of what something else will do, as [MayConfer] is for what is not
// aimed at anybody.
func MayRaise(v View, w Writer, now time.Time, raised iter.Seq2[identity.UserID, Permission]) error {
	j := newJudge(v, v, w, now)
	for user, p := range raised {
		if j.rules.ForbidSelfGrant && !w.System && !user.IsZero() && user == w.User {
			return j.refuse(user, p, SettingForbidSelfGrant)
		}
		if j.anything || j.confers.has(j.numbers.of(p)) {
			continue
		}
		if user.IsZero() {
			return refusal(&NotConferrable{Permission: p, Rule: j.rule()})
		}
		return j.refuse(user, p, j.rule())
	}
	return nil
}
