package permissions

import (
	"math/bits"
	"time"

	"github.com/rollcall-id/rollcall/identity"
)

// ledger answers for very many users of one view at one instant what each may do.
// What a group carries, with all that it is nested in, is worked out once; a user
// then costs a few words for each group that he is a direct member of, and no memory.
type ledger struct {
	view     View
	settings Settings
	now      time.Time
	numbers  *numbering
	carried  []set // by the handle of a group; nil until it is worked out
	scratch  abilities
}

// abilities are what one user has. may is what is effective. granted is what would
// be if he were active and no setting withheld anything: it decides nothing today,
// but a directory that brings him back may turn it into the other without a judge.
type abilities struct {
	may, granted set
	both         bool // effectively granted what makes an administrator, and GOVERNANCE
}

// numbering gives each permission that is met a small number. Two ledgers that are
// compared share one.
type numbering struct {
	custom map[Permission]int
	names  []Permission // by number: the built-in ones, then those met
}

func newNumbering() *numbering {
	n := &numbering{custom: map[Permission]int{}}
	for i := range builtIn {
		n.names = append(n.names, builtIn[i].Name)
	}
	return n
}

// of returns the number of a permission.
func (n *numbering) of(p Permission) int {
	if i := builtInIndex(p); i >= 0 {
		return i
	}
	i, ok := n.custom[p]
	if !ok {
		i = len(n.names)
		n.custom[p] = i
		n.names = append(n.names, p)
	}
	return i
}

func newLedger(v View, numbers *numbering, now time.Time) *ledger {
	return &ledger{view: v, settings: v.Book.Settings(), now: now, numbers: numbers}
}

// abilities returns what a user has. The sets are the ledger's own and hold until
// the next call.
func (l *ledger) abilities(user identity.UserID) abilities {
	a := &l.scratch
	a.may, a.granted, a.both = a.may[:0], a.granted[:0], false
	who, ok := l.view.Members.Subject(user)
	if !ok {
		return *a
	}
	a.granted = l.given(a.granted, identity.UserMember(user))
	for _, group := range l.view.Members.DirectGroups(who.Handle) {
		a.granted = a.granted.or(l.carriedBy(group))
	}
	if who.Inactive(l.now) == identity.Active {
		a.may = append(a.may, a.granted...)
		l.withhold(a)
	}
	return *a
}

// withhold takes out what the settings withhold from an active user.
func (l *ledger) withhold(a *abilities) {
	r := l.settings.roles(func(p Permission) bool { return a.granted.has(builtInIndex(p)) })
	a.both = r.admin != "" && a.granted.has(builtInIndex(Governance))
	for _, p := range withholdable {
		var room [2]Withholding
		if l.settings.concern(p) && len(l.settings.withhold(room[:0], p, r)) > 0 {
			a.may.remove(builtInIndex(p))
		}
	}
}

// withholdable are the permissions that a setting can withhold.
var withholdable = [...]Permission{Governance, CreateDataSource, CreateDataSourceInProject}

// carriedBy returns what the members of a group get by it.
func (l *ledger) carriedBy(group uint32) set {
	if n := int(group) + 1 - len(l.carried); n > 0 {
		l.carried = append(l.carried, make([]set, n)...)
	}
	if l.carried[group] == nil {
		m := l.view.Members
		out := l.given(set{}, identity.GroupMember(m.GroupID(group)))
		for _, above := range m.Above(group) {
			out = l.given(out, identity.GroupMember(m.GroupID(above)))
		}
		l.carried[group] = out
	}
	return l.carried[group]
}

// group returns what the members of a group get by it, nothing when it is missing.
func (l *ledger) group(id identity.GroupID) set {
	h, ok := l.view.Members.GroupHandle(id)
	if !ok {
		return nil
	}
	return l.carriedBy(h)
}

// given adds what was given to a user or a group itself.
func (l *ledger) given(to set, subject identity.Member) set {
	for _, g := range l.view.Book.Of(subject) {
		if g.Effective(l.now) && l.view.Book.known(g.Permission) {
			to = to.with(l.numbers.of(g.Permission))
		}
	}
	return to
}

// set is a set of numbers of permissions.
type set []uint64

func (s set) has(n int) bool { return n>>6 < len(s) && s[n>>6]&(1<<(n&63)) != 0 }

func (s set) with(n int) set {
	for n>>6 >= len(s) {
		s = append(s, 0)
	}
	s[n>>6] |= 1 << (n & 63)
	return s
}

func (s set) remove(n int) {
	if s.has(n) {
		s[n>>6] &^= 1 << (n & 63)
	}
}

// or adds what is in t to s, which it may change.
func (s set) or(t set) set {
	for len(s) < len(t) {
		s = append(s, 0)
	}
	for i, w := range t {
		s[i] |= w
	}
	return s
}

// and returns what is in both, in place of s.
func (s set) and(t set) set {
	s = s[:min(len(s), len(t))]
	for i := range s {
		s[i] &= t[i]
	}
	return s
}

// beyond returns the first number that is in s and in none of the others, or -1.
func (s set) beyond(others ...set) int {
	for i, w := range s {
		for _, o := range others {
			if i < len(o) {
				w &^= o[i]
			}
		}
		if w != 0 {
			return i<<6 + bits.TrailingZeros64(w)
		}
	}
	return -1
}
