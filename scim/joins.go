package scim

import (
	"crypto/sha256"
	"encoding/hex"
	"slices"
	"sync"

	"github.com/go-json-experiment/json"

	"github.com/rollcall-id/rollcall/identity"
	"github.com/rollcall-id/rollcall/scim/dialect"
	"github.com/rollcall-id/rollcall/state"
	"github.com/rollcall-id/rollcall/store"
	"github.com/rollcall-id/rollcall/sync/plan"
)

// joins says to whom what a source pushes belongs. An endpoint without a rule has none.
type joins struct {
	source identity.SourceID
	rule   plan.Rule
	use    string
	hash   string

	mu    sync.Mutex
	rev   store.Revision      // that of is as of; guarded by mu
	of    map[string][]uint32 // handles by value, of some who have it no more among them; guarded by mu
	extra int                 // how many entries were added since it was made; guarded by mu
	news  int                 // how often entries were added; guarded by mu
	away  map[uint32]bool     // who of those in of is not there; guarded by mu
}

// newJoins returns what a configuration says of it, or nil.
func newJoins(src *Source) *joins {
	if src.Config.Link.IsZero() {
		return nil
	}
	return &joins{source: src.ID, rule: src.Config.Link, use: src.Config.Use, hash: src.Config.LinkHash()}
}

// kept returns what the next configuration says, with what is known of people where that is
// the same.
func (j *joins) kept(next *joins) *joins {
	if j != nil && next != nil && j.hash == next.hash {
		return j
	}
	return next
}

// LinkHash changes whenever the records of a source may join others than before: with the
// rule, and with what the attribute that it compares is read from. It is "" without a rule.
func (c *Config) LinkHash() string {
	if c.Link.IsZero() {
		return ""
	}
	by := identity.FoldKey(c.Link.By)
	path := ""
	for key, from := range c.Attributes {
		if identity.FoldKey(key) == by {
			path = from
		}
	}
	b, err := json.Marshal(struct {
		Link plan.Rule
		Use  string
		By   string
	}{c.Link, c.Use, path}, json.Deterministic(true))
	if err != nil {
		return "?" // plain values cannot fail; nothing is joined by such a rule
	}
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:8])
}

// placed is where a record belongs by the rule.
type placed struct {
	user  identity.UserID // whom it joins
	apart state.Apart     // why it is nobody's; "" and no user: it makes a user
	takes bool            // the rule is new, and may be taken over: nothing hangs on it
}

// place decides where a new record belongs, or one that was nobody's.
func (j *joins) place(s *state.Snapshot, view *state.View, r *identity.Record) placed {
	var p placed
	held := false
	if !j.holds(s) {
		held = len(s.CarriedBy(j.source)) > 0
		p.takes = !held
	}
	st, settled := s.Settled(j.source, r.Key)
	if settled && st.Do == plan.Ignore {
		p.apart = state.ApartIgnored
		return p
	}
	found := j.answering(s, view, r)
	switch {
	case len(found) == 0 && j.use == plan.UseAttributes:
		p.apart = state.ApartNoUser
	case len(found) == 0:
	case len(found) > 1:
		p.apart = state.ApartAmbiguous
	case s.Pushes(j.source, found[0]):
		p.apart = state.ApartTaken
	case held:
		p.apart = state.ApartHeld
	default:
		p.user = found[0]
	}
	return p
}

// takeOver returns the change that makes the rule the one that holds, if it may be.
func (j *joins) takeOver(p placed) []state.Change {
	if !p.takes {
		return nil
	}
	return []state.Change{state.AcceptRule{Source: j.source, Hash: j.hash}}
}

// notePlace says in the log of requests that a record is nobody's.
func (c *call) notePlace(p placed) {
	n := dialect.Note{Text: "the record is kept and is nobody's: " + string(p.apart)}
	if !slices.Contains(c.notes, n) { // decided again
		c.notes = append(c.notes, n)
	}
}

// answering returns the present users of the rule's source who answer to a record.
func (j *joins) answering(s *state.Snapshot, view *state.View, r *identity.Record) (ids []identity.UserID) {
	values := j.rule.Values(r, identity.FoldKey(j.rule.By))
	if len(values) == 0 {
		return nil
	}
	theirs := j.rule.Theirs()
	for _, h := range j.candidates(s, view, values) {
		if h >= s.UserHandles() {
			continue // newer than what is decided on
		}
		id, rec, ok := s.OwnerAt(j.rule.To, h)
		if ok && slices.ContainsFunc(j.rule.Values(&rec, theirs), func(v string) bool { return slices.Contains(values, v) }) {
			ids = append(ids, id)
		}
	}
	slices.SortFunc(ids, identity.UserID.Compare)
	return slices.Compact(ids)
}

// candidates returns the handles of all who have one of the values, and of some who had.
func (j *joins) candidates(s *state.Snapshot, view *state.View, values []string) (all []uint32) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.follow(s, view)
	for _, v := range values {
		all = append(all, j.of[v]...)
	}
	return all
}

// heard returns a number that is another when somebody has come whom a record may join.
func (j *joins) heard(s *state.Snapshot, view *state.View) int {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.follow(s, view)
	return j.news
}

// follow brings the index up to a snapshot, or leaves it at a newer one.
func (j *joins) follow(s *state.Snapshot, view *state.View) {
	if j.of != nil && j.rev >= s.Rev() {
		return
	}
	if j.of != nil && j.extra < 1000+len(j.of) {
		if changes, _, ok := view.Changes(j.rev, mostChanges); ok && len(changes) < mostChanges {
			for _, c := range changes {
				if h, ok := s.HandleOf(c.Member); ok && c.Kind == state.UserChange && !c.Member.IsGroup() {
					n := j.add(s, h)
					if j.extra += n; n > 0 || j.back(s, h) {
						j.news++
					}
				}
			}
			j.rev = s.Rev()
			return
		}
	}
	j.of, j.away, j.extra, j.news = map[string][]uint32{}, map[uint32]bool{}, 0, j.news+1
	for h := range s.UserHandles() {
		j.add(s, h)
	}
	j.rev = s.Rev()
}

// back notes whether a user is there, and reports whether he has returned.
func (j *joins) back(s *state.Snapshot, h uint32) bool {
	_, _, there := s.OwnerAt(j.rule.To, h)
	if !there {
		if s.Owns(j.rule.To, h) {
			j.away[h] = true
		}
		return false
	}
	was := j.away[h]
	delete(j.away, h)
	return was
}

// add notes what a user has, and returns how much of it was not there.
func (j *joins) add(s *state.Snapshot, h uint32) (added int) {
	_, rec, ok := s.OwnerAt(j.rule.To, h)
	if !ok {
		return 0
	}
	for _, v := range j.rule.Values(&rec, j.rule.Theirs()) {
		if !slices.Contains(j.of[v], h) {
			j.of[v] = append(j.of[v], h)
			added++
		}
	}
	return added
}

// holds reports whether the rule is the one that was agreed to.
func (j *joins) holds(s *state.Snapshot) bool { return s.Source(j.source).Config == j.hash }

// disable is the rule's word on whether a linked record keeps its user out, for an
// [state.Update]; "" without a rule that holds: as it was.
func (j *joins) disable(s *state.Snapshot) string {
	switch {
	case j == nil || !j.holds(s):
		return ""
	case j.rule.Bars():
		return plan.DisableAny
	}
	return plan.DisableOwner
}
