package state

import (
	"strconv"
	"strings"

	"github.com/rollcall-id/rollcall/fault"
	"github.com/rollcall-id/rollcall/identity"
	"github.com/rollcall-id/rollcall/permissions"
)

// The keys, all of them. Ids are UUIDs in text form; a member is "u" or "g" and an
// id; <...> stands for one segment without a slash.
//
// Under v/, what the view holds and follows:
//
//	v/u/<user>                       the record that owns the user
//	v/r/<user>/<source>              the record that another source has of the user; where
//	                                 there is no such user, one that is nobody's
//	v/g/<group>                      the record that owns the group, and the
//	                                 generation of the members its source gave it
//	v/l/<member>                     the local layer of a user or a group, and the
//	                                 generation of a group's local members
//	v/m/<group>/<origin>/<gen>/<b>   members of a group, by origin: chunk b, in hex,
//	                                 of a generation, and when it was written; chunks are
//	                                 hashed by member id
//	v/o/<source>/<type>/<id>         what a provider pushed that is neither a user nor a
//	                                 group
//	v/c/<source>                     the configuration of a source that was made over the
//	                                 API
//	v/b/<source>                     what of the local layer does not count for what the
//	                                 source owns
//	v/n/<source>/<folded name>       the claim of a user on a login name, where two
//	                                 writers could race: local users, pushed ones
//	v/x/<source>/<kind>/<id>         the claim of what was pushed on the id that its
//	                                 provider has for it
//	v/first                          whose attributes hold where several sources have some
//	v/k/<source>/<key>               what a person settled about an entry of a source
//	v/p/epoch                        rewritten by every local write that can change
//	                                 what anyone may do
//	v/p/settings                     the settings that bear on permissions
//	v/p/g/<member>/<permission>      a grant
//	v/p/c/<permission>               a custom permission
//	v/s/<source>                     where a source stands: cursor, last proof, the
//	                                 plan that is held, its approval
//	v/term                           rewritten when a term of leadership begins, so
//	                                 that the leader can wait for all before it
//	v/t/<public id>                  a token: its hash, never the token
//	v/t/bootstrap                    the token of the first start
//
// Under w/, what is read on demand and never watched:
//
//	w/a/<uuid>                       an audit entry, until it is folded
//	w/s/<number>                     a segment of folded audit entries, in 12 digits
//	w/s/head                         where the chain of the segments begins and ends
//	w/k/<sink>                       up to where a sink has the audit log
//	w/c/<permission>                 that grants of a removed permission are left
//	w/i/<hash>                       a request that may come twice, and its answer, by
//	                                 who asked and the key that he chose for it
//	w/m/<user>/<source>              what a user who was merged into another had, until
//	                                 that is taken back
//	w/r/<source>/<run>               a run's record
//	w/q/<source>/<digest>/<part>     a held plan, in parts
//	w/d/<source>/<run>/<part>        what a run did, in parts, while it can be undone
//	w/u/<date>                       how often what was done on a day, see usage.go
//
// Beside them leader/..., written by the election, and meta/format.
//
// A key has one kind of writer: a source's run writes u, r, g and m of its own origin
// and s; administrators write l, m of origin "local", b, first, k,
// p and t. Who links, unlinks or migrates a user by hand writes u, r and m as the run of
// the source would.
const (
	viewPrefix   = "v/"
	keyUser      = "v/u/"
	keyLinked    = "v/r/"
	keyGroup     = "v/g/"
	keyLocal     = "v/l/"
	keyMembers   = "v/m/"
	keyName      = "v/n/"
	keyExternal  = "v/x/"
	keyOther     = "v/o/"
	keyConfig    = "v/c/"
	keyBar       = "v/b/"
	keyFirst     = "v/first"
	keySettled   = "v/k/"
	keyEpoch     = "v/p/epoch"
	keySettings  = "v/p/settings"
	keyGrant     = "v/p/g/"
	keyCustom    = "v/p/c/"
	keySource    = "v/s/"
	keyTerm      = "v/term"
	keyToken     = "v/t/"
	keyBootstrap = "v/t/bootstrap"
	keyAudit     = "w/a/"
	keySegment   = "w/s/"
	keyAuditHead = "w/s/head"
	keySink      = "w/k/"
	keyLeft      = "w/c/"
	keyRepeat    = "w/i/"
	keyMerged    = "w/m/"
	keyRun       = "w/r/"
	keyPlan      = "w/q/"
	keyDone      = "w/d/"
	keyFormat    = "meta/format"
)

func userKey(u identity.UserID) string   { return keyUser + u.String() }
func groupKey(g identity.GroupID) string { return keyGroup + g.String() }
func localKey(m identity.Member) string  { return keyLocal + memberText(m) }
func grantKey(m identity.Member, p permissions.Permission) string {
	return keyGrant + memberText(m) + "/" + string(p)
}

func nameKey(s identity.SourceID, name string) string {
	return keyName + string(s) + "/" + identity.FoldName(name)
}

// externalKey is of the id that the provider has for m: users and groups apart.
func externalKey(s identity.SourceID, m identity.Member, id string) string {
	return keyExternal + string(s) + "/" + memberText(m)[:1] + "/" + id
}

func memberText(m identity.Member) string {
	b, _ := m.AppendText(make([]byte, 0, 37)) // cannot fail
	return string(b)
}

// generationPrefix is what all chunks of one generation of members start with.
func generationPrefix(g identity.GroupID, o identity.SourceID, gen uint32) string {
	return keyMembers + g.String() + "/" + string(o) + "/" + strconv.FormatUint(uint64(gen), 10) + "/"
}

func chunkKey(g identity.GroupID, o identity.SourceID, gen, bucket uint32) string {
	return generationPrefix(g, o, gen) + strconv.FormatUint(uint64(bucket), 16)
}

// chunkName is a parsed chunk key.
type chunkName struct {
	group  identity.GroupID
	origin identity.SourceID
	gen    uint32
	bucket uint32
}

func parseChunkKey(key string) (chunkName, error) {
	parts := strings.Split(strings.TrimPrefix(key, keyMembers), "/")
	if len(parts) != 4 {
		return chunkName{}, badKey(key)
	}
	g, err := identity.ParseGroupID(parts[0])
	gen, err2 := strconv.ParseUint(parts[2], 10, 32)
	b, err3 := strconv.ParseUint(parts[3], 16, 32)
	if err != nil || err2 != nil || err3 != nil {
		return chunkName{}, badKey(key)
	}
	return chunkName{g, identity.SourceID(parts[1]), uint32(gen), uint32(b)}, nil
}

func badKey(key string) error {
	return fault.New(fault.Invalid, "bad_stored_key", "the store holds a key that this version does not understand: %s", key)
}
