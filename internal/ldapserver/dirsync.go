package ldapserver

import (
	"cmp"
	"encoding/binary"
	"errors"
	"slices"
	"sort"
	"strings"
)

// The flags of DirSync (MS-ADTS §3.1.1.3.4.1.3).
const (
	dirSyncObjectSecurity   = 0x1
	dirSyncAncestorsFirst   = 0x800
	dirSyncIncremental      = 0x80000000
	dirSyncCookieMagic      = "MSDS\x03\x00\x00\x00"
	dirSyncCookieOctets     = len(dirSyncCookieMagic) + 16 + 4*8
	dirSyncAddedSuffix      = ";range=1-1"
	dirSyncRemovedSuffix    = ";range=0-0"
	dirSyncOctetsAnAttrCost = 32
)

// dirSyncRequest is the value of the control in a request.
type dirSyncRequest struct {
	flags    uint32
	maxBytes int
	cookie   string
}

func parseDirSync(value []byte) (*dirSyncRequest, error) {
	d := &decoder{rest: value}
	in := d.inside(tagSequence)
	flags, limit, cookie := in.integer(tagInteger), in.integer(tagInteger), in.text()
	if err := errors.Join(d.err, in.err); err != nil {
		return nil, err
	}
	// Clients write the highest flag as a negative number or with a fifth octet.
	return &dirSyncRequest{flags: uint32(flags & 0xffffffff), maxBytes: int(max(0, limit)), cookie: cookie}, nil
}

// dirSyncPosition is what a cookie holds. As in replication (MS-DRSR §5.216,
// USN_VECTOR) there are two marks: up to the one, objects were looked at; up to the
// other, attributes were sent. Only the end of the last round lets the second catch
// up, or what changes between two rounds would lose what it was before.
type dirSyncPosition struct {
	invocation string
	objects    uint64
	attributes uint64
	partial    uint64 // the change of an object that was sent in part
	values     uint64 // how many values of its links were
}

func (p dirSyncPosition) cookie() string {
	b := []byte(dirSyncCookieMagic + p.invocation)
	for _, n := range []uint64{p.objects, p.attributes, p.partial, p.values} {
		b = binary.LittleEndian.AppendUint64(b, n)
	}
	return string(b)
}

func readDirSyncCookie(cookie string) (dirSyncPosition, bool) {
	if len(cookie) != dirSyncCookieOctets || !strings.HasPrefix(cookie, dirSyncCookieMagic) {
		return dirSyncPosition{}, false
	}
	rest := []byte(cookie[len(dirSyncCookieMagic):])
	at := func(i int) uint64 { return binary.LittleEndian.Uint64(rest[i:]) }
	return dirSyncPosition{string(rest[:16]), at(16), at(24), at(32), at(40) % (1 << 31)}, true
}

// checkDirSync says why a controller refuses, if it does.
func (ad *AD) checkDirSync(q *adQuery, a *answer) error {
	replicator := ad.listed(ad.o.Replicators, a.c.bound)
	secured := q.sync.flags&dirSyncObjectSecurity != 0
	if replicator && !secured && ad.o.DeletedByRight {
		q.mayDeleted = true
	}
	q.showDeleted = true
	base, err := parseDN(a.query.base)
	switch {
	case !replicator && !secured:
		return failf(InsufficientAccess, "00002105: SecErr: DSID-031A1190, problem 4003 (INSUFF_ACCESS_RIGHTS), data 0")
	case err != nil || base.folded != ad.suffix.folded:
		return failf(InsufficientAccess, "00002105: the base of DirSync is the naming context, %s", ad.suffix.text)
	case a.query.scope != ScopeSub:
		return failf(UnwillingToPerform, "00002105: the scope of DirSync is the subtree")
	}
	if _, ok := readDirSyncCookie(q.sync.cookie); !ok && q.sync.cookie != "" {
		return failf(ad.o.CookieRefusal, "00000057: LdapErr: DSID-0C0909E2, comment: Error processing control, data 0, v4563")
	}
	return nil
}

// dirSync answers one round.
func (ad *AD) dirSync(q *adQuery, a *answer) {
	r := &dirSyncRound{ad: ad, q: q, a: a, limit: max(q.sync.maxBytes, ad.o.RoundBytes)}
	r.gather()
	for _, p := range r.patches {
		if !a.sendAs(p.name, p.attrs) {
			return
		}
	}
	var b builder
	start := b.begin(tagSequence)
	more := int64(0)
	if r.more {
		more = 1
	}
	b.integer(tagInteger, more)
	b.integer(tagInteger, 0)
	b.octets(tagOctets, r.to.cookie())
	b.end(start)
	a.finish(nil, control{oid: oidDirSync, value: b.buf})
}

// dirSyncRound gathers the entries of one round.
type dirSyncRound struct {
	ad    *AD
	q     *adQuery
	a     *answer
	limit int

	since   uint64 // attributes were sent up to here, before the first round
	looking uint64 // objects were looked at up to here, before this round
	to      dirSyncPosition
	patches []patch
	size    int
	looked  int
	more    bool
	early   map[*adObject]bool // sent before their turn, as ancestors
}

// patch is what one entry of a round says.
type patch struct {
	name  string
	attrs []Attribute
}

// gather walks the journal from the cookie's place on. A cookie of another
// controller, or of a former life of this one, begins at the beginning: nothing is
// missed then, and much comes again.
func (r *dirSyncRound) gather() {
	ad := r.ad
	ad.mu.RLock()
	defer ad.mu.RUnlock()
	from, _ := readDirSyncCookie(r.q.sync.cookie)
	if from.invocation != ad.invocation {
		from = dirSyncPosition{}
	}
	r.since, r.looking = from.attributes, from.objects
	r.to = dirSyncPosition{invocation: ad.invocation, objects: from.objects, attributes: from.attributes}
	begin := sort.Search(len(ad.journal), func(i int) bool { return ad.journal[i].usn > from.objects })
	for _, record := range ad.journal[begin:] {
		if record.object.usn != record.usn {
			continue // it changed again, and comes later
		}
		if r.full() {
			r.more = true
			return
		}
		r.looked++
		skip := 0
		if record.usn == from.partial {
			skip = int(from.values)
		}
		if rest := r.take(record.object, skip); rest > 0 {
			r.to.partial, r.to.values, r.more = record.usn, uint64(rest), true
			return
		}
		r.to.objects = record.usn
	}
	// If the count fell back unnoticed, the client is never told of the changes up to
	// the number that it had come to.
	r.to.objects, r.to.attributes = ad.usn, ad.usn
}

func (r *dirSyncRound) full() bool {
	return r.ad.o.RoundObjects > 0 && r.looked >= r.ad.o.RoundObjects || r.size >= r.limit
}

// take adds an object's patch to the round, without the first values of its links
// when they went out before, and returns how many went out when there are more.
func (r *dirSyncRound) take(o *adObject, skip int) (rest int) {
	if r.early[o] {
		return 0
	}
	e := o.view.entry.Load()
	if e.deleted && !r.q.mayDeleted || r.a.action.Hide || r.a.query.filter.eval(e) != yes {
		return 0
	}
	if r.q.sync.flags&dirSyncAncestorsFirst != 0 {
		r.ancestors(e)
	}
	attrs, rest := r.changed(o, e, skip)
	if len(attrs) == 0 {
		return 0
	}
	for _, always := range []string{"objectGUID", "instanceType"} {
		if !slices.ContainsFunc(attrs, func(a Attribute) bool { return a.Name == always }) {
			attrs = append(attrs, Attr(always, e.first(typeKey(always))))
		}
	}
	for _, a := range attrs {
		r.size += dirSyncOctetsAnAttrCost
		for _, v := range a.Values {
			r.size += len(v)
		}
	}
	r.patches = append(r.patches, patch{r.q.name(e), attrs})
	return rest
}

// ancestors takes the objects above e that have yet to come, the highest first.
// Their own turn finds them done, or in another round sends them again.
func (r *dirSyncRound) ancestors(e *stored) {
	above, ok := r.ad.byName[e.parent]
	if !ok || above.dead || above.usn <= r.to.objects || r.early[above] {
		return
	}
	r.ancestors(above.view.entry.Load())
	r.take(above, 0)
	if r.early == nil {
		r.early = map[*adObject]bool{}
	}
	r.early[above] = true
}

// changed returns what was asked for and written since the cookie; an attribute
// that was cleared without values.
func (r *dirSyncRound) changed(o *adObject, e *stored, skip int) (out []Attribute, rest int) {
	if skip == 0 { // else it went out before
		for _, a := range e.attrs {
			if r.stampOf(o, a.key) > r.since && !slices.Contains(linkKeys, a.key) && r.wants(o, a) {
				out = append(out, Attribute{a.name, a.values})
			}
		}
		for _, s := range o.stamps {
			a := storedAttr{name: s.name, key: s.key}
			if s.usn > r.since && valuesOf(e, s.name) == nil && !slices.Contains(linkKeys, s.key) && r.wants(o, a) {
				out = append(out, Attribute{Name: s.name})
			}
		}
	}
	if o.dead {
		return out, 0
	}
	if r.q.sync.flags&dirSyncIncremental == 0 {
		return append(out, r.wholeLinks(o, e)...), 0
	}
	links, rest := r.links(o, skip)
	return append(out, links...), rest
}

// stampOf returns the change that an attribute was last written with.
func (r *dirSyncRound) stampOf(o *adObject, key string) uint64 {
	for _, s := range o.stamps {
		if s.key == key {
			return s.usn
		}
	}
	return o.born
}

// wants says whether an attribute is asked for, and replicated. The attribute that
// names an object is not: its value goes as the name.
func (r *dirSyncRound) wants(o *adObject, a storedAttr) bool {
	switch a.key {
	case "distinguishedname", "memberof", "usnchanged", "usncreated", "whenchanged", "primarygrouptoken":
		return false
	}
	for _, naming := range lowestRDN(o.raw.name) {
		if typeKey(naming.kind) == a.key {
			return false
		}
	}
	return r.a.pick.wants(a, isConstructed(a.key))
}

// wholeLinks returns all values of the linked attributes that changed.
func (r *dirSyncRound) wholeLinks(o *adObject, e *stored) (out []Attribute) {
	for _, key := range linkKeys {
		a := storedAttr{name: key, key: key}
		for held := range e.all(key) {
			a = held
		}
		stamp := r.stampOf(o, key)
		if !r.wants(o, a) || stamp <= r.since || stamp == o.born && len(a.values) == 0 {
			continue
		}
		out = r.a.pick.appendTo(out, r.q.extendLocked(a))
	}
	return out
}

// links returns the values of linked attributes that came and those that went,
// without the first ones; and how many went out, if the round is too short for
// the rest.
func (r *dirSyncRound) links(o *adObject, skip int) (out []Attribute, rest int) {
	values := r.linkValues(o)
	end := len(values)
	if cut := r.ad.o.RoundValues; cut > 0 {
		end = min(end, skip+cut)
	}
	for _, v := range values[min(skip, end):end] {
		if n := len(out); n == 0 || out[n-1].Name != v.name {
			out = append(out, Attribute{Name: v.name})
		}
		last := &out[len(out)-1]
		last.Values = append(last.Values, v.value)
	}
	if end < len(values) {
		return out, end
	}
	return out, 0
}

// linkValue is one value that came or went, under the name that says which.
type linkValue struct {
	name, value string
	usn         uint64
}

// linkValues returns the values that came and went since the cookie: those of one
// name together, in the order of their changes. What an object no longer has that
// no round has sent yet, it never had.
func (r *dirSyncRound) linkValues(o *adObject) (out []linkValue) {
	for target, l := range o.links {
		a := storedAttr{name: r.nameOf(o, target.key), key: target.key}
		if l.usn <= r.since || l.gone && o.born > r.looking || !r.wants(o, a) {
			continue
		}
		v := linkValue{name: a.name + dirSyncAddedSuffix, value: l.value, usn: l.usn}
		if l.gone {
			v.name = a.name + dirSyncRemovedSuffix
		}
		if named, ok := r.ad.byID[target.id]; ok {
			v.value = named.view.entry.Load().name.text
		}
		a.values = []string{v.value}
		v.value = r.q.extendLocked(a).values[0]
		out = append(out, v)
	}
	slices.SortFunc(out, func(x, y linkValue) int {
		return cmp.Or(cmp.Compare(x.name, y.name), cmp.Compare(x.usn, y.usn), cmp.Compare(x.value, y.value))
	})
	return out
}

// nameOf returns an attribute's name as it was written.
func (r *dirSyncRound) nameOf(o *adObject, key string) string {
	for _, s := range o.stamps {
		if s.key == key {
			return s.name
		}
	}
	for a := range o.raw.all(key) {
		return a.name
	}
	return key
}
