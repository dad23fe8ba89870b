package admin

import (
	"slices"
	"time"

	"github.com/rollcall-id/rollcall/identity"
	"github.com/rollcall-id/rollcall/state"
)

// LinkedRecord is what another source than the owning one says of a user.
type LinkedRecord struct {
	Source      identity.SourceID   `json:"source"`
	UserName    string              `json:"userName" doc:"In that source"`
	Key         identity.Key        `json:"key" doc:"The lasting key in the source"`
	DN          string              `json:"dn,omitzero"`
	Disabled    identity.Reason     `json:"disabled,omitzero" doc:"Why the source does not let the person in"`
	Decides     bool                `json:"decides" doc:"Whom this source keeps out, or has lost, is inactive"`
	MissingTime time.Time           `json:"missingTime,omitzero" doc:"Since when the source no longer has the person: then nothing of it counts"`
	Profile     map[string]string   `json:"profile"`
	Attributes  map[string][]string `json:"attributes"`
	Groups      []Subject           `json:"groups" doc:"Direct memberships that the source states"`
	Rule        string              `json:"rule,omitzero" doc:"By which rule the record joined the user; nothing: somebody linked it"`
	LinkedBy    string              `json:"linkedBy" doc:"The run or the person who linked it, as in the audit log"`
	LinkTime    time.Time           `json:"linkTime" doc:"When it was linked"`
}

func linkedOf(s *state.Snapshot, u *identity.User, groups []reached) []LinkedRecord {
	var out []LinkedRecord
	for i := range u.Linked {
		l := &u.Linked[i]
		out = append(out, LinkedRecord{
			Source: l.Record.Source, UserName: l.Record.Name, Key: l.Record.Key, DN: l.Record.DN, Disabled: l.Record.Disabled,
			Decides: l.Bars, MissingTime: l.Missing, Profile: profileOf(l.Record.Profile), Attributes: attributesOf(l.Record.Attributes),
			Groups: put(s, groups, isOf(l.Record.Source)), Rule: l.Rule, LinkedBy: l.By, LinkTime: l.Since,
		})
	}
	return out
}

// own explains what a user has of an attribute himself: what wins, what that shadows, and
// what was put on him here.
func (x *explained) own(key string, add func([]string, ValueOrigin)) {
	for i, by := range x.user.Says(key) {
		o := ValueOrigin{Origin: identity.Origin(by.Source), Counts: i == 0, Mapping: x.mapping(by.Source, "users.attributes."+key)}
		if !o.Counts {
			o.Reason = reasonShadowed
		}
		add(by.Values, o)
	}
	ordered := slices.Contains(x.user.First.Of(key), identity.Local)
	if here := x.local.Attributes[key]; len(here) > 0 && (!ordered || x.local.Barred) {
		o := ValueOrigin{Origin: identity.Origin(identity.Local), Counts: true}
		if x.local.Barred {
			o.Counts, o.Reason = false, reasonNotAllowed
		}
		add(here, o)
	}
	for i := range x.user.Linked {
		if l := &x.user.Linked[i]; !l.Missing.IsZero() {
			add(l.Record.Attributes[key], ValueOrigin{
				Origin: identity.Origin(l.Record.Source), Reason: string(identity.ReasonMissing), Time: l.Missing, Mapping: x.mapping(l.Record.Source, "users.attributes."+key),
			})
		}
	}
}

// ownField explains a field of a user's profile, as own does an attribute.
func (x *explained) ownField(field string) []ExplainedValue {
	values := []ExplainedValue{}
	for i, by := range x.user.SaysField(field) {
		o := ValueOrigin{Origin: identity.Origin(by.Source), Counts: i == 0, Mapping: x.mapping(by.Source, "users.profile."+field)}
		if !o.Counts {
			o.Reason = reasonShadowed
		}
		values = addOrigin(values, by.Values[0], o)
	}
	return values
}

// sources returns the sources that have a record of the subject, the owning one first.
func (x *explained) sources() []identity.SourceID {
	all := []identity.SourceID{x.record.Source}
	if x.user == nil {
		return all
	}
	for i := range x.user.Linked {
		all = append(all, x.user.Linked[i].Record.Source)
	}
	return slices.Compact(all)
}

// keptOut adds what linked records say against a user, those that decide about it.
func (x *explained) keptOut(add func(identity.Reason, ValueOrigin)) {
	if x.user == nil {
		return
	}
	for i := range x.user.Linked {
		l := &x.user.Linked[i]
		if !l.Bars {
			continue
		}
		o := ValueOrigin{Origin: identity.Origin(l.Record.Source)}
		switch {
		case !l.Missing.IsZero():
			o.Time = l.Missing
			add(identity.ReasonMissing, o)
		case l.Record.Disabled != identity.Active:
			o.Mapping = x.mapping(l.Record.Source, disabledEntry(l.Record.Disabled))
			add(l.Record.Disabled, o)
		}
	}
}

// ended adds the ends that are past, of the owning record and of those that decide.
func (x *explained) ended(add func(identity.Reason, ValueOrigin)) {
	past := func(r *identity.Record) {
		if end := r.Expires; !end.IsZero() && !x.now.Before(end) {
			add(identity.ReasonExpired, ValueOrigin{Origin: identity.Origin(r.Source), Time: end, Mapping: x.mapping(r.Source, "users.expires")})
		}
	}
	past(x.record)
	if x.user == nil {
		return
	}
	for i := range x.user.Linked {
		if l := &x.user.Linked[i]; l.Bars {
			past(&l.Record)
		}
	}
}

func disabledEntry(r identity.Reason) string {
	if r == identity.ReasonLocked {
		return "users.locked"
	}
	return "users.disabled"
}
