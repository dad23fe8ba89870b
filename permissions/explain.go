package permissions

import (
	"cmp"
	"slices"
	"strings"
	"time"

	"github.com/rollcall-id/rollcall/fault"
	"github.com/rollcall-id/rollcall/identity"
)

// Explanation is the answer to a [Request] with everything that speaks for it and
// everything that would, were it not blocked. Taking away the grants of all Paths
// turns a yes into a no. Its JSON is the API's.
type Explanation struct {
	User       Ref             `json:"user"`
	UserName   string          `json:"userName,omitzero"` // filled by Named
	Permission Permission      `json:"permission"`
	At         time.Time       `json:"time"`
	Allowed    bool            `json:"allowed"`
	Why        Denial          `json:"why,omitzero"`    // as in Decision
	Status     identity.Reason `json:"status,omitzero"` // why the user is inactive
	// Withheld are the settings that keep the permission from a user who was granted it.
	Withheld []Withholding `json:"withheld,omitempty"`
	Paths    []Path        `json:"paths"`
	Blocked  []Path        `json:"blockedPaths"`
}

// Path is one way from the user to a grant of the permission: through one group
// that he is a direct member of, along a shortest chain of nestings, or by none.
type Path struct {
	Effective bool     `json:"effective"`
	BlockedBy []Denial `json:"blockedBy,omitempty"` // everything that blocks it
	Steps     []Step   `json:"steps"`               // any memberships, then the grant
}

// StepKind says what a step of a path is.
type StepKind string

// The kinds of step.
const (
	StepMembership StepKind = "MEMBERSHIP"
	StepGrant      StepKind = "GRANT"
)

// Step is one hop of a path: a membership of a user or a group in a group, or the
// grant at its end. Only the fields of its kind are set.
type Step struct {
	Kind StepKind `json:"kind"`

	Member    Ref               `json:"member,omitzero"`
	Group     Ref               `json:"group,omitzero"`
	GroupName string            `json:"groupName,omitzero"` // filled by Named
	Source    identity.SourceID `json:"source,omitzero"`    // of the group; filled by Named
	// Origins are who put the membership there; filled by Named.
	Origins []identity.SourceID `json:"origins,omitempty"`

	Grant     GrantRef        `json:"grant,omitzero"`
	Subject   Ref             `json:"subject,omitzero"`
	GrantedBy string          `json:"grantedBy,omitzero"`
	Time      time.Time       `json:"time,omitzero"`
	Reason    string          `json:"reason,omitzero"`
	Expires   time.Time       `json:"expireTime,omitzero"`
	Origin    identity.Origin `json:"origin,omitzero"`
	State     string          `json:"state,omitzero"` // EXPIRED, or nothing
}

// Explain answers like [Book.Check] and lists every path.
func (b *Book) Explain(m Members, r Request) Explanation {
	e := Explanation{
		User: Ref{identity.UserMember(r.User)}, Permission: r.Permission, At: r.Now,
		Paths: []Path{}, Blocked: []Path{},
	}
	var blocks []Denial // of every path alike
	who, ok := m.Subject(r.User)
	if !ok {
		blocks = append(blocks, UnknownUser)
	}
	if !b.known(r.Permission) {
		blocks = append(blocks, UnknownPermission)
	}
	if e.Status = who.Inactive(r.Now); ok && e.Status != identity.Active {
		blocks = append(blocks, InactiveUser)
	}
	if len(blocks) == 0 && b.settings.concern(r.Permission) {
		if e.Withheld = b.withholdings(nil, m, who.Handle, r); len(e.Withheld) > 0 {
			blocks = append(blocks, e.Withheld[0].why())
		}
	}
	e.add(b.given(e.User, r.Permission), nil, blocks)
	if ok {
		for _, direct := range m.DirectGroups(who.Handle) {
			e.through(b, m, direct, direct, blocks)
			for _, above := range m.Above(direct) {
				e.through(b, m, direct, above, blocks)
			}
		}
	}
	byLength := func(x, y Path) int {
		return cmp.Or(len(x.Steps)-len(y.Steps), cmp.Compare(x.grant().Grant, y.grant().Grant))
	}
	slices.SortStableFunc(e.Paths, byLength)
	slices.SortStableFunc(e.Blocked, byLength)
	e.conclude(blocks)
	return e
}

// ExplainSubscribe answers like [Book.CheckSubscribe]. There is no path to it, so the
// explanation has none; its permission is [Subscribe].
func (b *Book) ExplainSubscribe(m Members, user identity.UserID, now time.Time) Explanation {
	r := Request{User: user, Permission: Subscribe, Now: now}
	d := b.CheckSubscribe(m, user, now)
	e := Explanation{
		User: Ref{identity.UserMember(user)}, Permission: Subscribe, At: now,
		Allowed: d.Allowed, Why: d.Why, Status: d.Status, Paths: []Path{}, Blocked: []Path{},
	}
	if who, ok := m.Subject(user); ok && d.Why == Masked {
		e.Withheld = b.withholdings(nil, m, who.Handle, r)
	}
	return e
}

// conclude says what the paths amount to. A setting is the reason only where
// nothing else stands in the way: of an expired grant it is told that it expired.
func (e *Explanation) conclude(blocks []Denial) {
	expired := func(p Path) bool { return slices.Contains(p.BlockedBy, ExpiredGrant) }
	switch {
	case len(e.Paths) > 0:
		e.Allowed = true
	case len(blocks) > 0 && e.Withheld == nil, slices.ContainsFunc(e.Blocked, func(p Path) bool { return !expired(p) }):
		e.Why = blocks[0]
	case len(e.Blocked) > 0:
		e.Why = ExpiredGrant
	default:
		e.Why = NotGranted
	}
	if e.Why == NotGranted {
		e.Withheld = nil // there is nothing to withhold
	}
}

// given returns the grants of one permission to a user or group itself.
func (b *Book) given(to Ref, p Permission) []*Grant {
	of := b.Of(to.Member)
	from := slices.IndexFunc(of, func(g *Grant) bool { return g.Permission == p })
	if from < 0 {
		return nil
	}
	n := slices.IndexFunc(of[from:], func(g *Grant) bool { return g.Permission != p })
	if n < 0 {
		return of[from:]
	}
	return of[from : from+n]
}

// through lists the paths to what one group carries, from a group that the user is
// a direct member of. Most groups carry nothing, so the chain is asked for last.
func (e *Explanation) through(b *Book, m Members, direct, group uint32, blocks []Denial) {
	to := groupRef(m, group)
	if gs := b.given(to, e.Permission); len(gs) > 0 {
		e.add(gs, hops(e.User, m, m.Via(direct, group)), blocks)
	}
}

// add lists a path for each of the grants at the end of the same hops.
func (e *Explanation) add(gs []*Grant, hops []Step, blocks []Denial) {
	for _, g := range gs {
		p := Path{BlockedBy: slices.Clone(blocks), Steps: append(slices.Clone(hops), grantStep(g))}
		if !g.Effective(e.At) {
			p.BlockedBy = append(p.BlockedBy, ExpiredGrant)
			p.Steps[len(hops)].State = "EXPIRED"
		}
		if p.Effective = len(p.BlockedBy) == 0; p.Effective {
			e.Paths = append(e.Paths, p)
		} else {
			e.Blocked = append(e.Blocked, p)
		}
	}
}

// hops are the memberships from the user along a chain of nested groups.
func hops(user Ref, m Members, chain []uint32) []Step {
	out := make([]Step, len(chain))
	for i, group := range chain {
		out[i] = Step{Kind: StepMembership, Member: user, Group: groupRef(m, group)}
		user = out[i].Group
	}
	return out
}

func grantStep(g *Grant) Step {
	return Step{
		Kind: StepGrant, Grant: GrantRef(g.ID), Subject: Ref{g.Subject}, GrantedBy: g.By, Time: g.At,
		Reason: g.Reason, Expires: g.Expires, Origin: g.Origin,
	}
}

// grant returns the last step, which always is the grant.
func (p *Path) grant() *Step { return &p.Steps[len(p.Steps)-1] }

// Ref is a user or a group as the API names it: "users/<id>", "groups/<id>".
type Ref struct{ identity.Member }

func groupRef(m Members, group uint32) Ref { return Ref{identity.GroupMember(m.GroupID(group))} }

// String returns the name that the API uses.
func (r Ref) String() string {
	if g, ok := r.Group(); ok {
		return "groups/" + g.String()
	}
	u, _ := r.User()
	return "users/" + u.String()
}

// MarshalText implements encoding.TextMarshaler.
func (r Ref) MarshalText() ([]byte, error) { return []byte(r.String()), nil }

// AppendText implements encoding.TextAppender.
func (r Ref) AppendText(b []byte) ([]byte, error) { return append(b, r.String()...), nil }

// UnmarshalText reads what MarshalText wrote.
func (r *Ref) UnmarshalText(b []byte) error {
	kind, id, _ := strings.Cut(string(b), "/")
	switch kind {
	case "users":
		u, err := identity.ParseUserID(id)
		r.Member = identity.UserMember(u)
		return err
	case "groups":
		g, err := identity.ParseGroupID(id)
		r.Member = identity.GroupMember(g)
		return err
	}
	return fault.New(fault.Invalid, "bad_id", "a reference begins with users/ or groups/")
}

// GrantRef is a grant as the API names it: "grants/<id>".
type GrantRef GrantID

// MarshalText implements encoding.TextMarshaler.
func (g GrantRef) MarshalText() ([]byte, error) { return []byte("grants/" + g), nil }

// UnmarshalText reads what MarshalText wrote.
func (g *GrantRef) UnmarshalText(b []byte) error {
	id, ok := strings.CutPrefix(string(b), "grants/")
	if !ok {
		return fault.New(fault.Invalid, "bad_id", "a reference to a grant begins with grants/")
	}
	*g = GrantRef(id)
	return nil
}
