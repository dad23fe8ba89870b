package plan

// Limits say how much one run of a source may change before a person has to look.
// They are the section `limits` of a source's configuration; what is not set there
// is as [DefaultLimits] has it.
type Limits struct {
	// Deactivations limits users who become inactive because they are not in the
	// source any more.
	Deactivations Limit `yaml:"deactivations" json:"deactivations"`
	// GroupsRemoved limits groups that are not in the source any more.
	GroupsRemoved Limit `yaml:"groups_removed" json:"groupsRemoved"`
	// MembersRemoved limits memberships that end, over all groups together.
	MembersRemoved Limit `yaml:"members_removed" json:"membersRemoved"`
	// OneGroup limits the memberships of one group that end.
	OneGroup GroupLimit `yaml:"members_of_one_group" json:"membersOfOneGroup"`
	// Creations limits new users: a filter that was removed by mistake imports the
	// whole forest.
	Creations Limit `yaml:"creations" json:"creations"`
	// NamesChanged limits users whose login name changes: a mapping that was changed
	// by mistake renames everybody.
	NamesChanged Limit `yaml:"names_changed" json:"namesChanged"`
	// FieldChanged limits users of whom one field of the profile, or one attribute, is
	// replaced or emptied, for each field by itself: a mapping that was changed by mistake
	// changes it of everybody. "disabled" is one: users whom the source no longer lets in.
	// Login names have a limit of their own, and where an entry stands has none.
	FieldChanged Limit `yaml:"field_changed" json:"fieldChanged"`
	// GroupsCreated and MembersAdded limit growth, of a source that has groups already.
	GroupsCreated Limit `yaml:"groups_created" json:"groupsCreated"`
	MembersAdded  Limit `yaml:"members_added" json:"membersAdded"`
	// FirstRun is "apply" (a source without users may be filled without asking) or
	// "ask".
	FirstRun string `yaml:"first_run" json:"firstRun"`
}

// The values of Limits.FirstRun.
const (
	FirstRunApply = "apply"
	FirstRunAsk   = "ask"
)

// Limit is crossed by more than Share percent and at least AtLeast, or by more than
// Count. Small rolls need AtLeast: there one leaver is a large share.
type Limit struct {
	Share   float64 `yaml:"share" json:"share"`
	AtLeast int     `yaml:"at_least" json:"atLeast"`
	Count   int     `yaml:"count" json:"count"` // 0: no such limit
}

// GroupLimit is crossed by more than Share percent of a group that has more than
// LargerThan members.
type GroupLimit struct {
	Share      float64 `yaml:"share" json:"share"`
	LargerThan int     `yaml:"larger_than" json:"largerThan"`
}

// DefaultLimits returns the limits that hold where nothing is configured.
func DefaultLimits() Limits {
	return Limits{
		Deactivations:  Limit{Share: 10, AtLeast: 10, Count: 500},
		GroupsRemoved:  Limit{Share: 10, AtLeast: 5},
		MembersRemoved: Limit{Share: 10, AtLeast: 10},
		OneGroup:       GroupLimit{Share: 50, LargerThan: 20},
		Creations:      Limit{Share: 50, AtLeast: 1001},
		NamesChanged:   Limit{Share: 30, AtLeast: 10},
		FieldChanged:   Limit{Share: 50, AtLeast: 20},
		GroupsCreated:  Limit{Share: 50, AtLeast: 201},
		MembersAdded:   Limit{Share: 50, AtLeast: 5001},
		FirstRun:       FirstRunApply,
	}
}

// Validate calls add for everything that is wrong with the limits, with the path of
// the setting below the section.
func (l *Limits) Validate(add func(path, format string, args ...any)) {
	for _, x := range []struct {
		path  string
		limit Limit
	}{
		{"deactivations", l.Deactivations},
		{"groups_removed", l.GroupsRemoved},
		{"members_removed", l.MembersRemoved},
		{"creations", l.Creations},
		{"names_changed", l.NamesChanged},
		{"field_changed", l.FieldChanged},
		{"groups_created", l.GroupsCreated},
		{"members_added", l.MembersAdded},
	} {
		checkShare(add, x.path, x.limit.Share)
		if x.limit.AtLeast < 0 {
			add(x.path+".at_least", "%d is negative; use 0 to let the share alone decide", x.limit.AtLeast)
		}
		if x.limit.Count < 0 {
			add(x.path+".count", "%d is negative; use 0 for no limit on the count", x.limit.Count)
		}
	}
	checkShare(add, "members_of_one_group", l.OneGroup.Share)
	if l.OneGroup.LargerThan < 0 {
		add("members_of_one_group.larger_than", "%d is negative; use 0 to guard every group", l.OneGroup.LargerThan)
	}
	if l.FirstRun != FirstRunApply && l.FirstRun != FirstRunAsk {
		add("first_run", "%q is neither %q nor %q", l.FirstRun, FirstRunApply, FirstRunAsk)
	}
}

// checkShare accepts more than 100, which only what grows can reach: it means that
// the share decides nothing. What is not a number is refused too.
func checkShare(add func(path, format string, args ...any), path string, share float64) {
	if !(share >= 0 && share <= 100_000) {
		add(path+".share", "%v is not a percentage; use a number from 0 (hold every one) to 100 (hold none)", share)
	}
}

// over reports whether n of so many cross the limit.
func (l Limit) over(n, of int) bool {
	if n == 0 {
		return false
	}
	return l.Count > 0 && n > l.Count || n >= l.AtLeast && float64(n)*100 > l.Share*float64(of)
}

// over reports whether n of the members of a group cross the limit.
func (l GroupLimit) over(n, of int) bool {
	return of > l.LargerThan && float64(n)*100 > l.Share*float64(of)
}
