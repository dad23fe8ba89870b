package admin

import (
	"context"
	"iter"
	"net/http"
	"slices"
	"time"

	"github.com/rollcall-id/rollcall/fault"
	"github.com/rollcall-id/rollcall/identity"
	"github.com/rollcall-id/rollcall/state"
	"github.com/rollcall-id/rollcall/store"
)

// ValueExplanation tells why an attribute, or a field of a profile, is what it is.
type ValueExplanation struct {
	Subject  Subject          `json:"subject" doc:"Whose value it is"`
	Kind     string           `json:"kind" enum:"attribute,profile"`
	Key      string           `json:"key" doc:"Of the attribute, folded, or the name of the field"`
	Values   []ExplainedValue `json:"values" doc:"Those that count first"`
	Mappings []ValueMapping   `json:"mappings" doc:"What the source of the subject is read for, whether or not it has a value"`
	Sentence string           `json:"sentence" doc:"The same for people: one line for each origin of each value"`
	Revision store.Revision   `json:"revision"`
}

// ExplainedValue is a value with all that says it.
type ExplainedValue struct {
	Value  string        `json:"value"`
	Counts bool          `json:"counts" doc:"One of its origins counts"`
	From   []ValueOrigin `json:"from"`
}

// ValueOrigin is one that says a value.
type ValueOrigin struct {
	Origin  identity.Origin `json:"origin" doc:"The id of a source, or local"`
	Counts  bool            `json:"counts" doc:"It is one of those that make the value hold"`
	Reason  string          `json:"reason,omitzero" doc:"Why it does not count: group_missing, local_not_allowed: the source of what it was put on, or of a group on the way, does not allow it; or shadowed: something that goes before says otherwise"`
	Mapping *ValueMapping   `json:"mapping,omitzero" doc:"What the source was read for, where that is known"`
	Group   *Subject        `json:"group,omitzero" doc:"The group that has the value; nothing: the subject's own"`
	Through []ValueStep     `json:"through,omitempty" doc:"The memberships from the subject up to that group"`
	By      string          `json:"by,omitzero" doc:"Who did it here, where that is known"`
	Time    time.Time       `json:"time,omitzero" doc:"When it was done, or since when it holds"`
	Note    string          `json:"note,omitzero" doc:"What was said about it"`
}

// ValueMapping is an entry of a source's configuration and what it reads.
type ValueMapping struct {
	Source identity.SourceID `json:"source"`
	Entry  string            `json:"entry" doc:"Of the configuration of the source, such as users.attributes.department"`
	Raw    []string          `json:"raw" doc:"The attributes of the directory, with the test where there is one; or the expression"`
}

// ValueStep is a membership on the way to a group.
type ValueStep struct {
	Group   Subject             `json:"group"`
	Origins []identity.SourceID `json:"origins" doc:"Who says that the one before is in it"`
	// Inactive is for what is kept and counts for nothing.
	Inactive string `json:"inactive,omitzero" enum:"local_not_allowed" doc:"Why the membership does not count; nothing where it does"`
}

// reasonMissingGroup and reasonShadowed say why an origin does not count.
const (
	reasonMissingGroup = "group_missing"
	reasonShadowed     = "shadowed"
)

const (
	kindAttribute = "attribute"
	kindProfile   = "profile"

	fieldUserName = "userName"
	fieldName     = "name"
	fieldStatus   = "status"
)

type explainUserValueInput struct {
	UserPath
	AttributePath
}

type explainGroupValueInput struct {
	GroupPath
	AttributePath
}

// FieldPath names a field of a profile in a path.
type FieldPath struct {
	Field string `path:"field" minLength:"1" maxLength:"40" doc:"Of the profile, such as email; or userName (name of a group), or status"`
}

type explainUserFieldInput struct {
	UserPath
	FieldPath
}

type explainGroupFieldInput struct {
	GroupPath
	FieldPath
}

type explainValueOutput struct{ Body ValueExplanation }

func (a *API) explainValueRoutes() {
	unclear := []int{http.StatusNotFound, http.StatusConflict}
	register(a, operation{
		id: "explainUserAttribute", method: http.MethodGet, path: "/v1/users/{user}/attributes/{key}/explanation", tag: "Answers", need: readSelf,
		summary: "Tell why a user has the values of an attribute that he has", errors: unclear,
	}, func(_ context.Context, in *explainUserValueInput) (*explainValueOutput, error) {
		return a.explainValue(findUser(in.User), kindAttribute, in.Key)
	})
	register(a, operation{
		id: "explainUserProfile", method: http.MethodGet, path: "/v1/users/{user}/profile/{field}/explanation", tag: "Answers", need: readSelf,
		summary: "Tell why a field of a user's profile, his userName or his status is what it is", errors: unclear,
	}, func(_ context.Context, in *explainUserFieldInput) (*explainValueOutput, error) {
		return a.explainValue(findUser(in.User), kindProfile, in.Field)
	})
	register(a, operation{
		id: "explainGroupAttribute", method: http.MethodGet, path: "/v1/groups/{group}/attributes/{key}/explanation", tag: "Answers", need: readers,
		summary: "Tell why a group has the values of an attribute that it has", errors: unclear,
	}, func(_ context.Context, in *explainGroupValueInput) (*explainValueOutput, error) {
		return a.explainValue(findGroup(in.Group), kindAttribute, in.Key)
	})
	register(a, operation{
		id: "explainGroupProfile", method: http.MethodGet, path: "/v1/groups/{group}/profile/{field}/explanation", tag: "Answers", need: readers,
		summary: "Tell why a field of a group's profile, its name or its status is what it is", errors: unclear,
	}, func(_ context.Context, in *explainGroupFieldInput) (*explainValueOutput, error) {
		return a.explainValue(findGroup(in.Group), kindProfile, in.Field)
	})
}

// explained is whose value is being explained.
type explained struct {
	member  identity.Member
	user    *identity.User // nil: a group
	record  *identity.Record
	local   *identity.LocalLayer
	missing time.Time
	maps    map[identity.SourceID]map[string][]string
	now     time.Time
}

func (a *API) explainValue(who find, kind, key string) (*explainValueOutput, error) {
	s := a.db.View().Now()
	m, _, err := who(s)
	if err != nil {
		return nil, err
	}
	x := a.explainedOf(s, m)
	out := ValueExplanation{Subject: subjectOf(s, m), Kind: kind, Key: identity.FoldKey(key), Revision: s.Rev(), Mappings: []ValueMapping{}}
	if kind == kindAttribute {
		out.Values = x.attribute(s, out.Key)
		out.Mappings = x.configured(entryOf(m, "attributes."+out.Key))
	} else if out.Key, out.Values, out.Mappings, err = x.field(key); err != nil {
		return nil, err
	}
	slices.SortStableFunc(out.Values, func(a, b ExplainedValue) int { return last(a.Counts) - last(b.Counts) })
	out.Sentence = out.sentence(x.now)
	return &explainValueOutput{Body: out}, nil
}

// last puts what does not count behind what does.
func last(counts bool) int {
	if counts {
		return 0
	}
	return 1
}

func (a *API) explainedOf(s *state.Snapshot, m identity.Member) *explained {
	x := &explained{member: m, now: a.now(), maps: map[identity.SourceID]map[string][]string{}}
	for _, src := range a.sync.Sources() {
		x.maps[src.ID] = src.Mapping
	}
	if id, ok := m.Group(); ok {
		g, _, _ := s.Group(id)
		x.record, x.local, x.missing = &g.Record, &g.Local, g.Missing
		return x
	}
	id, _ := m.User()
	u, _, _ := s.User(id)
	x.user, x.record, x.local, x.missing = u, &u.Record, &u.Local, u.Missing
	return x
}

// entryOf is what the configuration of a source calls what it reads.
func entryOf(m identity.Member, entry string) string {
	if m.IsGroup() {
		return "groups." + entry
	}
	return "users." + entry
}

// mapping returns what a source reads for an entry; nil where that is not known.
func (x *explained) mapping(source identity.SourceID, entry string) *ValueMapping {
	if raw := x.maps[source][entry]; len(raw) > 0 {
		return &ValueMapping{Source: source, Entry: entry, Raw: raw}
	}
	return nil
}

// configured returns what the sources of the subject read for the entries.
func (x *explained) configured(entries ...string) []ValueMapping {
	out := []ValueMapping{}
	for _, source := range x.sources() {
		for _, e := range entries {
			if m := x.mapping(source, e); m != nil {
				out = append(out, *m)
			}
		}
	}
	return out
}

// attribute collects the values of the subject's own layers and of all groups above,
// those of groups that are missing or barred among them.
func (x *explained) attribute(s *state.Snapshot, key string) []ExplainedValue {
	values := []ExplainedValue{}
	add := func(all []string, o ValueOrigin) {
		for _, v := range all {
			values = addOrigin(values, v, o)
		}
	}
	layers := func(m identity.Member, r *identity.Record, l *identity.LocalLayer, o ValueOrigin) {
		o.Origin, o.Mapping = identity.Origin(r.Source), x.mapping(r.Source, entryOf(m, "attributes."+key))
		add(r.Attributes[key], o)
		o.Origin, o.Mapping = identity.Origin(identity.Local), nil
		if l.Barred && o.Counts {
			o.Counts, o.Reason = false, reasonNotAllowed
		}
		add(l.Attributes[key], o)
	}
	if x.user != nil {
		x.own(key, add)
	} else {
		layers(x.member, x.record, x.local, ValueOrigin{Counts: true})
	}
	above := groupsAbove(s, x.member)
	for _, r := range above {
		x.group(s, r.id, ValueOrigin{Counts: true, Through: steps(s, x.member, r.chain)}, layers)
	}
	for id, through := range barred(s, x.member, above) {
		x.group(s, id, ValueOrigin{Reason: reasonNotAllowed, Through: through}, layers)
	}
	for by, chain := range lost(s, x.member, above) {
		through := append(steps(s, x.member, chain), ValueStep{Group: subjectOf(s, identity.GroupMember(by.id)), Origins: by.origins})
		x.group(s, by.id, ValueOrigin{Counts: true, Through: through}, layers)
	}
	return values
}

// group hands on what a group gives along the memberships, unless it is missing.
func (x *explained) group(s *state.Snapshot, id identity.GroupID, o ValueOrigin, layers func(identity.Member, *identity.Record, *identity.LocalLayer, ValueOrigin)) {
	g, _, ok := s.Group(id)
	if !ok {
		return
	}
	m := identity.GroupMember(id)
	group := subjectOf(s, m)
	if o.Group = &group; o.Counts && !g.Missing.IsZero() {
		o.Counts, o.Reason, o.Time = false, reasonMissingGroup, g.Missing
	}
	layers(m, &g.Record, &g.Local, o)
}

// lost yields the groups that are missing and that the member, or a group above it, would
// be directly in, with the chain of groups up to there.
func lost(s *state.Snapshot, m identity.Member, above []reached) iter.Seq2[*reached, []identity.GroupID] {
	return func(yield func(*reached, []identity.GroupID) bool) {
		for id, by := range s.MissingGroupsOf(m) {
			if !yield(&reached{id: id, origins: by}, nil) {
				return
			}
		}
		for _, r := range above {
			for id, by := range s.MissingGroupsOf(identity.GroupMember(r.id)) {
				if !yield(&reached{id: id, origins: by}, r.chain) {
					return
				}
			}
		}
	}
}

func addOrigin(to []ExplainedValue, value string, o ValueOrigin) []ExplainedValue {
	i := slices.IndexFunc(to, func(v ExplainedValue) bool { return v.Value == value })
	if i < 0 {
		return append(to, ExplainedValue{Value: value, Counts: o.Counts, From: []ValueOrigin{o}})
	}
	to[i].Counts = to[i].Counts || o.Counts
	to[i].From = append(to[i].From, o)
	return to
}

// steps returns the memberships along a chain of groups, with who says each.
func steps(s *state.Snapshot, m identity.Member, chain []identity.GroupID) []ValueStep {
	out := make([]ValueStep, len(chain))
	for i, g := range chain {
		out[i] = ValueStep{Group: subjectOf(s, identity.GroupMember(g)), Origins: names{s}.Origins(m, g)}
		m = identity.GroupMember(g)
	}
	return out
}

// field explains what has one value: the name, a field of the profile, the status.
func (x *explained) field(key string) (string, []ExplainedValue, []ValueMapping, error) {
	named := fieldUserName
	if x.member.IsGroup() {
		named = fieldName
	}
	i := slices.IndexFunc(slices.Concat([]string{named, fieldStatus}, identity.ProfileFields()), func(f string) bool {
		return identity.FoldKey(f) == identity.FoldKey(key)
	})
	switch {
	case i < 0:
		return "", nil, nil, fault.New(fault.NotFound, "field_not_found", "there is no such field; there are %s, %s and those of the profile", named, fieldStatus)
	case i == 0:
		return named, x.single(x.record.Name, "name"), x.configured(entryOf(x.member, "name")), nil
	case i == 1:
		return fieldStatus, x.status(), x.configured("users.disabled", "users.locked", "users.expires"), nil
	}
	f := identity.ProfileFields()[i-2]
	values := x.single(x.record.Profile[f], "profile."+f)
	if x.user != nil {
		values = x.ownField(f)
	}
	return f, values, x.configured(entryOf(x.member, "profile."+f)), nil
}

// single is a value that only the owning source says.
func (x *explained) single(value, entry string) []ExplainedValue {
	if value == "" {
		return []ExplainedValue{}
	}
	return []ExplainedValue{{Value: value, Counts: true, From: []ValueOrigin{{
		Origin: identity.Origin(x.record.Source), Counts: true, Mapping: x.mapping(x.record.Source, entryOf(x.member, entry)),
	}}}}
}

// status lists all that keeps the subject out, in the order in which one goes before the
// other, which is that of identity.User.Status; only the first counts.
func (x *explained) status() []ExplainedValue {
	source := identity.Origin(x.record.Source)
	var out []ExplainedValue
	add := func(r identity.Reason, o ValueOrigin) {
		if o.Counts = len(out) == 0; !o.Counts {
			o.Reason = reasonShadowed
		}
		out = append(out, ExplainedValue{Value: string(r), Counts: o.Counts, From: []ValueOrigin{o}})
	}
	if d := x.local.Disabled; d != nil {
		add(identity.ReasonLocal, ValueOrigin{Origin: identity.Origin(identity.Local), By: d.By, Time: d.At, Note: d.Reason})
	}
	if !x.missing.IsZero() {
		add(identity.ReasonMissing, ValueOrigin{Origin: source, Time: x.missing})
	}
	if r := x.record.Disabled; r != identity.Active {
		add(r, ValueOrigin{Origin: source, Mapping: x.mapping(x.record.Source, disabledEntry(r))})
	}
	x.keptOut(add)
	x.ended(add)
	if len(out) == 0 {
		add("active", ValueOrigin{Origin: source})
	}
	return out
}
