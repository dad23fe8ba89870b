package identity

import "time"

// Observation is what one read of a source saw, with or without the proof that it
// saw everything. The order of Users, Groups, Members and Skipped means nothing.
type Observation struct {
	Source  SourceID
	Users   []Seen
	Groups  []Seen
	Skipped []Skipped
	Proof   Proof
	Cursor  Cursor
	Server  string // which server answered, as an administrator would name it
	Family  string // which kind of directory it is, and how that was found out
}

// Seen is one entry of an observation.
type Seen struct {
	Key Key
	// Record is what the source says of the entry, or nil when its hash equals the
	// one that is stored: then the entry is there and nothing about it changed.
	Record *Record
	// Members of a group, by their keys in the same source. They are always
	// complete, also when Record is nil, unless MembersUnknown is set. No key twice.
	Users  []Key
	Groups []Key
	// MembersUnknown says why the members of this group could not be read whole.
	// Then none are removed from it in this run.
	MembersUnknown string
}

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
