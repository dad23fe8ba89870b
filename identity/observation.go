package identity

import "time"

// Observation is what one read of a source saw, with or without the proof that it
// saw everything. The order of Users, Groups, Members and Skipped means nothing.
type Observation struct {
	Source SourceID
	// Reach is what was looked at. What an observation of changes does not name is as
	// it was; in a full one it is absent.
	Reach   Reach
	Users   []Seen
	Groups  []Seen
	Skipped []Skipped
	// Gone names what is not in the source any more, each on evidence of its own: a
	// tombstone, or a question to the same server that nothing answered. Only an
	// observation of changes has any. No entry of Users or Groups is among them.
	Gone   []Gone
	Proof  Proof
	Cursor Cursor
	// Withhold says why nothing is to be removed on this read, although it may be whole:
	// the next read, from its cursor, will show it again. Empty: nothing stands against it.
	Withhold string
	// Blind says that reads of changes from this source never name who is gone.
	Blind bool
	// Found names the entries that a sweep had to bring because the reads of changes had
	// not. Those that turn out to differ from the roll were missed.
	Found  []Gone
	Server string // which server answered, as an administrator would name it
	Family string // which kind of directory it is, and how that was found out
}

// Reach is how much of a source a read looked at.
type Reach string

// The reaches.
const (
	// ReachFull is a read of every entry.
	ReachFull Reach = ""
	// ReachChanges is a read of what changed since the cursor it began at. Its proof
	// says that the server accounted for every change in between.
	ReachChanges Reach = "changes"
	// ReachSweep is a read of changes that looked at the key and the change stamp of
	// every entry besides, and so proves as much as a full read does.
	ReachSweep Reach = "sweep"
)

// Everything reports whether the read compared every entry with the roll.
func (r Reach) Everything() bool { return r != ReachChanges }

// Gone names an entry that its source no longer has.
type Gone struct {
	Key   Key  `json:"key"`
	Group bool `json:"group,omitzero"`
}

// Seen is one entry of an observation.
type Seen struct {
	Key Key
	// Record is what the source says of the entry, or nil when its hash equals the
	// one that is stored: then the entry is there and nothing about it changed.
	Record *Record
	// Members of a group, by their keys in the same source. They are what Edges says:
	// by default all that it has, also when Record is nil, unless MembersUnknown is
	// set. No key twice.
	Users  []Key
	Groups []Key
	Edges  Edges
	// LostUsers and LostGroups are the members that a patch takes out.
	LostUsers, LostGroups []Key
	// MembersUnknown says why the members of this group could not be read whole.
	// Then none are removed from it in this run.
	MembersUnknown string
}

// Edges says what the members of a seen group are. Only an observation of changes has
// another than the first, and only of a group that is present in the roll.
type Edges uint8

// The forms.
const (
	EdgesWhole Edges = iota // all members
	EdgesSame               // nothing is said of the members: they are as they were
	EdgesPatch              // Users and Groups come in, LostUsers and LostGroups go
)

// Skipped is an entry that was read but not understood, or not to be used.
type Skipped struct {
	// Key is empty when not even that could be read, which takes the proof away:
	// the entry might be any of those that seem to be gone.
	Key    Key    `json:"key,omitempty"`
	Group  bool   `json:"group,omitzero"`
	DN     string `json:"dn,omitempty"`
	Reason string `json:"reason"` // in words an administrator understands
}

// Proof says whether the read can be trusted to have seen everything. The zero
// value proves nothing.
type Proof struct {
	Users  bool `json:"users"`  // every user of the source was seen
	Groups bool `json:"groups"` // every group of the source was seen, with its members
	// Why says what is missing when either is false, and what the proof rests on
	// when both are true.
	Why string `json:"why,omitempty"`
	// Pages and Entries count what the server sent.
	Pages   int `json:"pages,omitzero"`
	Entries int `json:"entries,omitzero"`
	// Verified counts the absent entries that were asked for one by one and were
	// really gone.
	Verified int       `json:"verified,omitzero"`
	At       time.Time `json:"at,omitzero"` // when the read ended
}

// Cursor is where the next read may continue. It is opaque to everyone but the
// source that made it; empty: read everything.
type Cursor string
