package identity

import (
	"bytes"
	"maps"
	"slices"
	"time"
)

// Attributes maps a folded key to a sorted set of values. Keys are lower case, a
// key without values does not exist, values keep their case.
type Attributes map[string][]string

// The profile fields, in the order in which they are shown. A profile field has at
// most one value, unlike an attribute. Name is not among them: it identifies.
const (
	DisplayName  = "displayName"
	GivenName    = "givenName"
	FamilyName   = "familyName"
	Email        = "email"
	Phone        = "phone"
	Organization = "organization"
	Position     = "position"
	Location     = "location"
	Description  = "description"
)

// ProfileFields lists the profile fields in the order in which they are shown.
func ProfileFields() []string {
	return []string{DisplayName, GivenName, FamilyName, Email, Phone, Organization, Position, Location, Description}
}

// Record is what one source says about one person or one group. It is a value:
// whoever gets one does not change its maps.
type Record struct {
	Source SourceID
	Key    Key
	// Name is the login name of a person and the name of a group, as the source
	// spells it. Names are compared by [FoldName].
	Name string
	// DN is where a directory last showed the entry. It is data and changes.
	DN string
	// Profile holds the fields that have a value, by the names of ProfileFields.
	Profile    map[string]string
	Attributes Attributes
	// Disabled is why the source does not let the person in: "" when it does, else
	// one of the reasons below that a source may state. Groups have none.
	Disabled Reason
	// Expires is the instant after which the source no longer lets the person in;
	// zero: never.
	Expires time.Time
	// Hash is of everything that was read for the entry and of how it was mapped:
	// equal hashes mean that reading again would give an equal Record.
	Hash uint64
	// Unresolved lists what a group's directory names as members and what is
	// neither a person nor a group of this source: shown and counted, never lost.
	Unresolved []string
	// Pushed is set of what an identity provider pushed.
	Pushed *Pushed
}

// Pushed is what a push holds beside what the roll makes of it.
type Pushed struct {
	// Body is the resource as JSON, as whoever accepted the push will answer with.
	Body []byte
	// External is the provider's own id of it, unique among the users, and among the
	// groups, of a source; "": none.
	External string
	// Terms are what it is found by, in whatever form who finds it asks for.
	Terms []string
	// At is when it was last pushed.
	At time.Time
}

// Equal reports whether two pushes hold the same. When they came is not compared.
func (p *Pushed) Equal(q *Pushed) bool {
	if p == nil || q == nil {
		return p == q
	}
	return p.External == q.External && slices.Equal(p.Terms, q.Terms) && bytes.Equal(p.Body, q.Body)
}

// Equal reports whether two records say the same. Hashes are not compared.
func (r *Record) Equal(s *Record) bool {
	return r.Source == s.Source && r.Key == s.Key && r.Name == s.Name && r.DN == s.DN &&
		r.Disabled == s.Disabled && r.Expires.Equal(s.Expires) && r.Pushed.Equal(s.Pushed) &&
		maps.Equal(r.Profile, s.Profile) && slices.Equal(r.Unresolved, s.Unresolved) &&
		maps.EqualFunc(r.Attributes, s.Attributes, slices.Equal[[]string])
}

// Reason is why a user is not active.
type Reason string

// The reasons. The first three are a source's to state.
const (
	Active            Reason = ""
	ReasonDisabled    Reason = "disabled_in_source"
	ReasonLocked      Reason = "locked_in_source"
	ReasonExpired     Reason = "expired"
	ReasonMissing     Reason = "missing_from_source"
	ReasonLocal       Reason = "disabled_locally"
	ReasonDeleted     Reason = "deleted"
	ReasonSourceGone  Reason = "source_removed"
	ReasonUnspecified Reason = "inactive"
)

// LocalLayer is the layer that administrators put over what the sources say.
type LocalLayer struct {
	// Disabled, when set, wins over every source until an administrator lifts it.
	Disabled *Disabled
	// Attributes are added to those of the record.
	Attributes Attributes
	// Barred says that the source of the user or group does not allow local attributes:
	// they are kept and count for nothing.
	Barred bool
}

// IsZero reports whether the layer says nothing.
func (l *LocalLayer) IsZero() bool { return l.Disabled == nil && len(l.Attributes) == 0 }

// Counting returns the attributes that count: none where they are barred.
func (l *LocalLayer) Counting() Attributes {
	if l.Barred {
		return nil
	}
	return l.Attributes
}

// Disabled is a local disable: by whom, when and why.
type Disabled struct {
	By     string
	At     time.Time
	Reason string
}

// User is a person as Rollcall knows him.
type User struct {
	ID     UserID
	Record Record // of the source that owns him
	// Linked is what other sources say of him, at most one record each, by source.
	Linked []Linked
	// First says whose values hold where several sources have some.
	First Precedence
	// Missing is when the owning source was first proven to have lost him; zero
	// while it has him.
	Missing time.Time
	Local   LocalLayer
	Created time.Time
}

// Status returns why the user is inactive at the given instant, or [Active]. The
// order says who wins: the local layer, then absence, then the source's word, then that
// of linked records whose sources may keep him out, then the clock.
func (u *User) Status(now time.Time) Reason {
	switch {
	case u.Local.Disabled != nil:
		return ReasonLocal
	case !u.Missing.IsZero():
		return ReasonMissing
	case u.Record.Disabled != Active:
		return u.Record.Disabled
	}
	for i := range u.Linked {
		if r := u.Linked[i].kept(); r != Active {
			return r
		}
	}
	if end := u.Expires(); !end.IsZero() && !now.Before(end) {
		return ReasonExpired
	}
	return Active
}

// Group is a group as Rollcall knows it.
type Group struct {
	ID     GroupID
	Record Record
	// Missing is when the owning source was first proven to have lost it. A group
	// that is missing has no effective members and carries nothing.
	Missing time.Time
	Local   LocalLayer
	Created time.Time
}
