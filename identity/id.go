package identity

import (
	"bytes"
	"encoding/hex"
	"regexp"

	"github.com/google/uuid"

	"github.com/rollcall-id/rollcall/fault"
)

// id is a UUID (RFC 9562), kept as its 16 bytes so that a million of them are no
// work for the garbage collector.
type id [16]byte

// UserID is the lasting name of a user. It is never reused and means nothing.
type UserID struct{ id }

// GroupID is the lasting name of a group. It is never reused and means nothing.
type GroupID struct{ id }

// NewUserID returns a new id. Ids made later sort later (UUID version 7), which is
// what makes loading many of them fast.
func NewUserID() UserID { return UserID{newID()} }

// NewGroupID returns a new id, as [NewUserID] does.
func NewGroupID() GroupID { return GroupID{newID()} }

func newID() id { return id(uuid.Must(uuid.NewV7())) }

// ParseUserID reads the text form of an id, or returns fault.Invalid.
func ParseUserID(s string) (UserID, error) {
	var u UserID
	err := u.UnmarshalText([]byte(s))
	return u, err
}

// ParseGroupID reads the text form of an id, or returns fault.Invalid.
func ParseGroupID(s string) (GroupID, error) {
	var g GroupID
	err := g.UnmarshalText([]byte(s))
	return g, err
}

// String returns the id as 36 characters of lower-case hexadecimal and dashes.
func (x id) String() string {
	var b [36]byte
	x.encode(b[:])
	return string(b[:])
}

// IsZero reports whether no id was set.
func (x id) IsZero() bool { return x == id{} }

// Bytes returns the 16 bytes of the id.
func (x id) Bytes() [16]byte { return x }

// Compare orders ids as their text forms do: by the time they were made.
func (x id) compare(y id) int { return bytes.Compare(x[:], y[:]) }

// Compare orders user ids by the time they were made.
func (u UserID) Compare(v UserID) int { return u.compare(v.id) }

// Compare orders group ids by the time they were made.
func (g GroupID) Compare(h GroupID) int { return g.compare(h.id) }

// MarshalText implements encoding.TextMarshaler.
func (x id) MarshalText() ([]byte, error) {
	b := make([]byte, 36)
	x.encode(b)
	return b, nil
}

// AppendText implements encoding.TextAppender.
func (x id) AppendText(b []byte) ([]byte, error) {
	n := len(b)
	b = append(b, "00000000-0000-0000-0000-000000000000"...)
	x.encode(b[n:])
	return b, nil
}

func (x id) encode(b []byte) {
	hex.Encode(b[0:8], x[0:4])
	b[8] = '-'
	hex.Encode(b[9:13], x[4:6])
	b[13] = '-'
	hex.Encode(b[14:18], x[6:8])
	b[18] = '-'
	hex.Encode(b[19:23], x[8:10])
	b[23] = '-'
	hex.Encode(b[24:36], x[10:16])
}

// UnmarshalText implements encoding.TextUnmarshaler. It takes the form that String
// gives and no other, so that one id has one spelling.
func (x *id) UnmarshalText(b []byte) error {
	bad := len(b) != 36 || b[8] != '-' || b[13] != '-' || b[18] != '-' || b[23] != '-'
	at := 0
	for i := 0; !bad && i < 36; i += 2 {
		if i == 8 || i == 13 || i == 18 || i == 23 {
			i++
		}
		hi, lo := nibble(b[i]), nibble(b[i+1])
		if bad = hi > 15 || lo > 15; !bad {
			x[at] = hi<<4 | lo
			at++
		}
	}
	if bad {
		*x = id{}
		return fault.New(fault.Invalid, "bad_id", "an id is 36 characters of lower-case hexadecimal and dashes")
	}
	return nil
}

func nibble(c byte) byte {
	switch {
	case c >= '0' && c <= '9':
		return c - '0'
	case c >= 'a' && c <= 'f':
		return c - 'a' + 10
	}
	return 255
}

// Member is a user or a group as the member of a group. It is comparable, and
// exactly one of its two ids is set.
type Member struct {
	id    id
	group bool
}

// UserMember returns u as a member.
func UserMember(u UserID) Member { return Member{id: u.id} }

// GroupMember returns g as a member: a nested group.
func GroupMember(g GroupID) Member { return Member{id: g.id, group: true} }

// MemberOf returns the group, or the user, whose id has these bytes.
func MemberOf(group bool, b [16]byte) Member { return Member{id: b, group: group} }

// User returns the user that m is, if it is one.
func (m Member) User() (UserID, bool) { return UserID{m.id}, !m.group }

// Group returns the group that m is, if it is one.
func (m Member) Group() (GroupID, bool) { return GroupID{m.id}, m.group }

// IsGroup reports whether m is a nested group.
func (m Member) IsGroup() bool { return m.group }

// Bytes returns the 16 bytes of the id.
func (m Member) Bytes() [16]byte { return m.id }

// Compare orders users before groups, and each by id.
func (m Member) Compare(n Member) int {
	if m.group != n.group {
		if n.group {
			return -1
		}
		return 1
	}
	return m.id.compare(n.id)
}

// String returns the kind and the id: "user/0192..." or "group/0192...".
func (m Member) String() string {
	if m.group {
		return "group/" + m.id.String()
	}
	return "user/" + m.id.String()
}

// MarshalText writes "u" or "g" and the id: the form that is stored.
func (m Member) MarshalText() ([]byte, error) { return m.AppendText(make([]byte, 0, 37)) }

// AppendText implements encoding.TextAppender.
func (m Member) AppendText(b []byte) ([]byte, error) {
	if m.group {
		b = append(b, 'g')
	} else {
		b = append(b, 'u')
	}
	return m.id.AppendText(b)
}

// UnmarshalText reads what MarshalText wrote.
func (m *Member) UnmarshalText(b []byte) error {
	if len(b) == 0 || b[0] != 'u' && b[0] != 'g' {
		return fault.New(fault.Invalid, "bad_id", "a member begins with u or g")
	}
	m.group = b[0] == 'g'
	return m.id.UnmarshalText(b[1:])
}

// SourceID names a source. It is chosen once and never changed.
type SourceID string

// Local is the source of what is made here, by administrators.
const Local SourceID = "local"

var sourceID = regexp.MustCompile(`^[a-z][a-z0-9-]{0,38}[a-z0-9]$`)

// ParseSourceID accepts 2 to 40 lower-case letters, digits and dashes that begin
// with a letter, or returns fault.Invalid.
func ParseSourceID(s string) (SourceID, error) {
	if !sourceID.MatchString(s) {
		return "", fault.New(fault.Invalid, "bad_source",
			"a source is named by 2 to 40 lower-case letters, digits and dashes, beginning with a letter")
	}
	return SourceID(s), nil
}

// Key is what a source calls one of its people or groups for good: objectGUID,
// entryUUID, nsUniqueId or the id that we issued over SCIM. Never a DN, never a
// login name.
type Key string

// Origin is who put a row there: a source's id, "local", "default:<source>" or
// "bootstrap".
type Origin string

// OriginBootstrap marks what the first start made.
const OriginBootstrap Origin = "bootstrap"
