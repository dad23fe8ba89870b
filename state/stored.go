package state

import (
	"bytes"
	"fmt"
	"math/bits"
	"slices"
	"strconv"
	"time"

	"github.com/cespare/xxhash/v2"
	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/rollcall-id/rollcall/fault"
	"github.com/rollcall-id/rollcall/identity"
	"github.com/rollcall-id/rollcall/permissions"
)

// format is the version of the stored shapes. A store with a larger number was
// written by a newer Rollcall and is refused.
const format = 1

// maxObject is the size of the largest object that is stored, in bytes.
const maxObject = 256 << 10

// The structs below are what the store holds: twins of the model that change only
// together with format, or by adding fields. Fields that this version does not know
// are kept when it rewrites a value.

// storedObject is the value of a user or a group. The order of its fields is that
// in which they are written; the first ones are those that the view looks at.
type storedObject struct {
	V        int                 `json:"v"`
	Source   identity.SourceID   `json:"src"`
	Key      identity.Key        `json:"key"`
	Name     string              `json:"name"`
	Hash     hash64              `json:"hash,omitzero"`
	Disabled identity.Reason     `json:"off,omitzero"`
	Expires  time.Time           `json:"exp,omitzero"`
	Missing  time.Time           `json:"gone,omitzero"`
	Members  generation          `json:"mem,omitzero"` // groups only
	Terms    []string            `json:"terms,omitempty"`
	Size     int                 `json:"size,omitzero"` // of Body, which is the last of all
	Created  time.Time           `json:"made,omitzero"`
	Pushed   time.Time           `json:"mod,omitzero"`
	External string              `json:"ext,omitzero"`
	Locked   time.Time           `json:"lock,omitzero"` // when a push began to keep him out
	DN       string              `json:"dn,omitzero"`
	Profile  map[string]string   `json:"prof,omitempty"`
	Attrs    identity.Attributes `json:"attr,omitempty"`
	Loose    []string            `json:"loose,omitempty"` // members that nobody answers to
	Since    time.Time           `json:"since,omitzero"`  // of an owning record: when the user was made, if not with it
	Link     *storedLink         `json:"link,omitzero"`   // of a linked record
	Body     jsontext.Value      `json:"raw,omitzero"`    // of a push
	Unknown  jsontext.Value      `json:",embed"`
}

// generation says where the members of a group lie: in Buckets chunks of
// generation Gen. Without buckets there are none.
type generation struct {
	Gen     uint32 `json:"gen"`
	Buckets uint32 `json:"n"`
}

// storedLocal is the local layer of a user or a group.
type storedLocal struct {
	V       int                 `json:"v"`
	Off     *storedDisabled     `json:"off,omitzero"`
	Attrs   identity.Attributes `json:"attr,omitempty"`
	Members generation          `json:"mem,omitzero"`
	Unknown jsontext.Value      `json:",embed"`
}

type storedDisabled struct {
	By     string    `json:"by"`
	At     time.Time `json:"at"`
	Reason string    `json:"why,omitzero"`
}

type storedGrant struct {
	V       int             `json:"v"`
	ID      string          `json:"id"`
	By      string          `json:"by"`
	At      time.Time       `json:"at"`
	Reason  string          `json:"why,omitzero"`
	Expires time.Time       `json:"exp,omitzero"`
	Origin  identity.Origin `json:"from"`
	Known   bool            `json:"ack,omitzero"`  // that a directory decides who has it
	Told    bool            `json:"told,omitzero"` // its end stands in the audit log
	Unknown jsontext.Value  `json:",embed"`
}

type storedCustom struct {
	V           int            `json:"v"`
	Description string         `json:"text,omitzero"`
	By          string         `json:"by"`
	At          time.Time      `json:"at"`
	Unknown     jsontext.Value `json:",embed"`
}

// hash64 is a hash, stored as 16 hexadecimal digits: numbers beyond 2^53 do not
// survive every JSON reader.
type hash64 uint64

func (h hash64) IsZero() bool { return h == 0 }

func (h hash64) MarshalText() ([]byte, error) { return fmt.Appendf(nil, "%016x", uint64(h)), nil }

func (h *hash64) UnmarshalText(b []byte) error {
	n, err := strconv.ParseUint(string(b), 16, 64)
	*h = hash64(n)
	return err
}

// encode writes a stored shape. Maps are written in key order, so that equal values
// have equal bytes.
func encode(v any) ([]byte, error) {
	b, err := marshal(v)
	if err != nil {
		return nil, fmt.Errorf("encode %T: %w", v, err)
	}
	if len(b) > maxObject {
		return nil, fault.New(fault.Invalid, "too_large", "an object of %d bytes is over the limit of %d bytes", len(b), maxObject)
	}
	return b, nil
}

func marshal(v any) ([]byte, error) {
	if o, ok := v.(*storedObject); ok && len(o.Unknown) == 0 {
		return o.append(make([]byte, 0, 512+2*len(o.Body))) // what is derived of a body is shorter than it
	}
	return json.Marshal(v, json.Deterministic(true))
}

func decode(key string, b []byte, into any, how ...json.Options) error {
	if err := json.Unmarshal(b, into, how...); err != nil {
		return fault.New(fault.Invalid, "bad_stored_value", "the store holds under %s what this version does not understand: %w", key, err)
	}
	return nil
}

// put copies a record over what is stored and leaves the rest as it is.
func (o *storedObject) put(r *identity.Record) {
	o.V, o.Source, o.Key, o.Name, o.Hash = format, r.Source, r.Key, r.Name, hash64(r.Hash)
	o.Disabled, o.Expires, o.DN = r.Disabled, r.Expires.UTC(), r.DN
	o.Profile, o.Attrs, o.Loose = r.Profile, r.Attributes, r.Unresolved
	o.Body, o.Size, o.Terms, o.External, o.Pushed = nil, 0, nil, "", time.Time{}
	if p := r.Pushed; p != nil {
		o.Body, o.Size, o.Terms, o.External, o.Pushed = p.Body, len(p.Body), p.Terms, p.External, p.At.UTC()
	}
}

// begin says of what is made now and was pushed that it was pushed now: its request was
// read a moment before, and nothing is changed before it is made.
func (o *storedObject) begin() {
	if o.Size > 0 {
		o.Pushed = o.Created
	}
}

// locked notes since when a push keeps a user out.
func (o *storedObject) locked(before identity.Reason, now time.Time) {
	switch {
	case o.Size == 0 || o.Disabled == identity.Active:
		o.Locked = time.Time{}
	case before == identity.Active:
		o.Locked = now
	}
}

func (o *storedObject) record() identity.Record {
	r := identity.Record{
		Source: o.Source, Key: o.Key, Name: o.Name, DN: o.DN, Profile: o.Profile, Attributes: o.Attrs,
		Disabled: o.Disabled, Expires: o.Expires, Hash: uint64(o.Hash), Unresolved: o.Loose,
	}
	if o.Size > 0 {
		r.Pushed = &identity.Pushed{Body: o.Body, External: o.External, Terms: o.Terms, At: o.Pushed}
	}
	return r
}

func (l *storedLocal) layer() identity.LocalLayer {
	n := identity.LocalLayer{Attributes: l.Attrs}
	if l.Off != nil {
		n.Disabled = &identity.Disabled{By: l.Off.By, At: l.Off.At, Reason: l.Off.Reason}
	}
	return n
}

func (g *storedGrant) grant(m identity.Member, p permissions.Permission) permissions.Grant {
	return permissions.Grant{
		ID: permissions.GrantID(g.ID), Permission: p, Subject: m, By: g.By, At: g.At,
		Reason: g.Reason, Expires: g.Expires, Origin: g.Origin, Acknowledged: g.Known, Told: g.Told,
	}
}

// chunkTarget is the number of members that a chunk is meant to hold: adding one member
// rewrites one chunk of about 5 kB. In a large group they are smaller, since a hundred
// members that come at once are in a hundred of them: that rewrites 130 kB, and would
// rewrite 500.
const (
	chunkTarget = 128
	largeGroup  = 1024
	largeTarget = 32
	leastMean   = 8 // members in a chunk; fewer, and the group has shrunk far below
)

func targetFor(n int) int {
	if n > largeGroup {
		return largeTarget
	}
	return chunkTarget
}

// bucketsFor returns the number of chunks for n members: a power of two.
func bucketsFor(n int) uint32 {
	if n <= chunkTarget {
		return 1
	}
	return 1 << bits.Len(uint((n-1)/targetFor(n)))
}

// crowded reports whether n members have outgrown, or shrunk far below, their chunks.
func (g generation) crowded(n int) bool {
	mean := n / int(max(g.Buckets, 1))
	return mean > 2*targetFor(n) || g.Buckets > 1 && mean < leastMean
}

// bucket returns the chunk of a member. The hash is part of the stored format.
func (g generation) bucket(m identity.Member) uint32 {
	b := m.Bytes()
	return uint32(xxhash.Sum64(b[:])) & (g.Buckets - 1)
}

// encodeChunk writes a chunk: when it was written, in milliseconds of the epoch, and a JSON
// array of member texts, sorted.
func encodeChunk(members []identity.Member, when int64) []byte {
	slices.SortFunc(members, identity.Member.Compare)
	b := make([]byte, 0, 32+40*len(members))
	b = append(b, chunkHead...)
	b = strconv.AppendInt(b, when, 10)
	b = append(b, chunkBody...)
	for i, m := range members {
		if i > 0 {
			b = append(b, ',')
		}
		b = append(b, '"')
		b, _ = m.AppendText(b) // cannot fail
		b = append(b, '"')
	}
	return append(b, ']', '}')
}

// What stands around the time and the members in what encodeChunk writes.
const (
	chunkHead = `{"at":`
	chunkBody = `,"in":[`
)

// decodeChunk reads what encodeChunk wrote, and a bare array of members, which is from
// before chunks had a time. It refuses what it does not know: what is left out here would
// be lost with the next write.
func decodeChunk(key string, b []byte) (members []identity.Member, when int64, err error) {
	if members, when, ok := decodeChunkFast(b); ok {
		return members, when, nil
	}
	if jsontext.Value(b).Kind() == '[' {
		err = decode(key, b, &members)
		return members, 0, err
	}
	var c struct {
		When    int64             `json:"at"`
		Members []identity.Member `json:"in"`
	}
	err = decode(key, b, &c, json.RejectUnknownMembers(true))
	return c.Members, c.When, err
}

// decodeChunkFast reads the form that encodeChunk writes.
func decodeChunkFast(b []byte) (members []identity.Member, when int64, ok bool) {
	if !bytes.HasPrefix(b, []byte(chunkHead)) || !bytes.HasSuffix(b, []byte("]}")) {
		return nil, 0, false
	}
	at := bytes.IndexByte(b, ',')
	if at < 0 || !bytes.HasPrefix(b[at:], []byte(chunkBody)) {
		return nil, 0, false
	}
	when, err := strconv.ParseInt(string(b[len(chunkHead):at]), 10, 64)
	if err != nil {
		return nil, 0, false
	}
	b = b[at+len(chunkBody)-1 : len(b)-1]
	if len(b) != 2 && (len(b)-1)%40 != 0 {
		return nil, 0, false
	}
	members = make([]identity.Member, 0, len(b)/40)
	for at := 1; at+39 < len(b); at += 40 {
		var m identity.Member
		if b[at] != '"' || b[at+38] != '"' || m.UnmarshalText(b[at+1:at+38]) != nil {
			return nil, 0, false
		}
		members = append(members, m)
	}
	return members, when, true
}
