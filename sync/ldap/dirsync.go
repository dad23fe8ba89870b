package ldap

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	goldap "github.com/go-ldap/ldap/v3"

	"github.com/rollcall-id/rollcall/identity"
)

// dirSync reads changes by the DirSync control (MS-ADTS §3.1.1.3.4.1.3) over the whole
// naming context, which is the only base it takes. What it sends of an object is a
// patch, and what its filter hides is never sent again. So it is asked without a filter
// for no more than which objects changed; those in reach are then read whole. Only of
// groups the patch is taken as it is: the members that came and went, by their GUIDs.
//
// The right "Replicating Directory Changes" shows everything, whatever the access
// control lists say. Without it the account sees what it may read, which is enough as
// long as that includes CN=Deleted Objects.
type dirSync struct {
	blind  bool
	secure bool
	silent []string // mapped attributes that change without a word
}

const (
	oidExtendedDN  = "1.2.840.113556.1.4.529"
	oidShowDeleted = goldap.ControlTypeMicrosoftShowDeleted
	// dirSyncBytes is how much one round may bring.
	dirSyncBytes = 4 << 20
)

func (*dirSync) name() string                              { return "dirsync" }
func (d *dirSync) removals() bool                          { return !d.blind }
func (d *dirSync) resume(at position)                      { d.blind = isBlind(at) }
func (*dirSync) ended(_ *reading, begun position) position { return begun }

// seesNoDeleted says what to do for an account that is not shown who is gone.
const seesNoDeleted = "the account does not see deleted objects: let it list and read CN=Deleted Objects (dsacls)"

func (d *dirSync) caveats() []string {
	var out []string
	if d.blind {
		out = append(out, seesNoDeleted)
	}
	return append(out, silently(d.silent)...)
}

// begin asks for a cookie with a filter that lets one object through: CN=Deleted
// Objects, which is deleted itself. Whoever gets it, or finds it by an ordinary search,
// sees what is deleted.
func (d *dirSync) begin(ctx context.Context, r *reading) (position, error) {
	if err := r.fitsDomain(); err != nil {
		return nil, err
	}
	if !slices.Contains(r.c.root.controls, goldap.ControlTypeDirSync) {
		return nil, errors.New("the server does not offer DirSync")
	}
	at, err := r.controller(ctx)
	if err != nil {
		return nil, err
	}
	if d.silent, err = r.silentAttributes(ctx); err != nil {
		return nil, err
	}
	p := &domainPosition{controller: at}
	err = d.cookies(ctx, r, p)
	if goldap.IsErrorWithCode(err, goldap.LDAPResultInsufficientAccessRights) {
		p.secured = true
		if err = d.cookies(ctx, r, p); err == nil && p.blind {
			return nil, errors.New("the account has not the right \"Replicating Directory Changes\", and does not see deleted objects")
		}
	}
	if err != nil {
		return nil, fmt.Errorf("DirSync cannot be used: %w", err)
	}
	d.blind, d.secure = p.blind, p.secured
	return p.encode(), nil
}

func (d *dirSync) cookies(ctx context.Context, r *reading, p *domainPosition) error {
	p.cookies, p.blind = nil, false
	for _, base := range r.contexts() {
		seen := false
		q := &dirSyncQuery{
			region: region{
				base: base, scope: goldap.ScopeWholeSubtree, attrs: []string{"isDeleted", "objectGUID"},
				filter: "(&(isDeleted=TRUE)(cn=Deleted Objects))",
			},
			secured: p.secured,
			entry:   func(*Entry) error { seen = true; return nil },
			broken:  func([]byte, string) error { return nil },
		}
		if err := q.run(ctx, r); err != nil {
			return err
		}
		p.cookies, p.blind = append(p.cookies, q.cookie), p.blind || !seen
	}
	if p.blind {
		var err error
		if p.blind, err = r.seesNoDeleted(ctx); err != nil {
			return err
		}
	}
	return nil
}

// changes implements follower.
func (d *dirSync) changes(ctx context.Context, r *reading, since position) (position, error) {
	p, err := decodeDomainPosition(since)
	bases := r.contexts()
	if err != nil || len(p.cookies) != len(bases) {
		return nil, readAll("the naming contexts of the server are not those of the last read")
	}
	d.blind, d.secure = p.blind, p.secured
	now, err := r.controller(ctx)
	if err != nil {
		return nil, readAll("%v", err)
	}
	if why := now.follows(&p.controller, false); why != "" {
		return nil, &wholeRead{because: why, behind: why + stillGone}
	}
	if err := r.sameStamps(&now, &p.controller); err != nil {
		return nil, err
	}
	p.controller = now
	r.links = &links{changed: map[identity.Key]*objectChange{}}
	for i, base := range bases {
		q := &dirSyncQuery{
			region: region{
				base: base, scope: goldap.ScopeWholeSubtree, attrs: r.dirSyncAttributes(), filter: "(objectClass=*)",
				with: []goldap.Control{extendedDN()},
			},
			secured: p.secured, cookie: p.cookies[i],
			entry:  func(e *Entry) error { return r.links.take(r, e) },
			broken: r.links.unreadable,
		}
		if err := q.run(ctx, r); err != nil {
			return nil, r.dirSyncRefused(err)
		}
		p.cookies[i] = q.cookie
	}
	if d.blind {
		r.note(seesNoDeleted)
	}
	return p.encode(), r.links.follow(ctx, r)
}

// dirSyncRefused tells an answer that means a full read from a failure.
func (r *reading) dirSyncRefused(err error) error {
	le, answered := r.refusal(err)
	switch {
	case !answered:
		return err
	case le.ResultCode == goldap.LDAPResultBusy, le.ResultCode == goldap.LDAPResultUnavailable:
		return fmt.Errorf("read the changes: %w", err)
	case le.ResultCode == goldap.LDAPResultInsufficientAccessRights:
		return readAll("the account may not ask for changes any more: %s", orServer(err))
	}
	return readAll("the server cannot tell the changes since the last read: %s", orServer(err))
}

// extendedDN asks for names with GUID and SID in front, as text (MS-ADTS
// §3.1.1.3.4.1.5).
func extendedDN() goldap.Control {
	return goldap.NewControlString(oidExtendedDN, true, "\x30\x03\x02\x01\x01")
}

// dirSyncAttributes lists those whose change matters. An object is sent only when one
// that was asked for changed: also those of the filters, which decide who is in reach,
// and those that make up the DN.
func (r *reading) dirSyncAttributes() []string {
	var out []string
	add := func(list ...string) {
		for _, a := range list {
			if !slices.ContainsFunc(out, func(b string) bool { return strings.EqualFold(a, b) }) {
				out = append(out, a)
			}
		}
	}
	add("objectGUID", "name", "parentGUID", "isDeleted", "lastKnownParent", "objectClass")
	for _, h := range []*half{&r.users, &r.groups} {
		if len(h.where.Bases) > 0 {
			add(h.m.request...)
			add(filterAttributes(h.where.Filter)...)
		}
	}
	if slices.ContainsFunc(out, func(a string) bool { return strings.EqualFold(a, computedControl) }) {
		add("lockoutTime") // which the lock is computed from
	}
	return out
}

// dirSyncQuery is one search with the control, over as many rounds as the server
// makes of it.
type dirSyncQuery struct {
	region
	secured bool
	cookie  []byte
	entry   func(*Entry) error
	broken  func(dn []byte, reason string) error
}

// run asks until there is no more, and leaves the last cookie in q.
func (q *dirSyncQuery) run(ctx context.Context, r *reading) error {
	flags := goldap.DirSyncIncrementalValues
	if q.secured {
		flags |= goldap.DirSyncObjectSecurity
	}
	for silent := 0; silent < stalled; {
		received := 0
		h := &handler{
			entry: func(e *Entry) error { received++; return q.entry(e) },
			broken: func(dn []byte, reason string) error {
				received++
				return q.broken(dn, reason)
			},
		}
		// A new control each time: the cookie of one that was sent is not sent again.
		control := goldap.NewRequestControlDirSync(flags, dirSyncBytes, q.cookie)
		res, err := r.c.search(ctx, q.request(control), h)
		if err != nil {
			return err
		}
		r.pages++
		r.tell(r.stage)
		answer, ok := goldap.FindControl(res.Controls, goldap.ControlTypeDirSync).(*goldap.ControlDirSync)
		if !ok || len(answer.Cookie) == 0 {
			return readAll("the server does not say where its account of the changes below %s ends", q.base)
		}
		if received == 0 && bytes.Equal(answer.Cookie, q.cookie) {
			silent++
		} else {
			silent = 0
		}
		q.cookie = bytes.Clone(answer.Cookie)
		if answer.Flags == 0 {
			return nil
		}
	}
	return readAll("the server's account of the changes below %s does not end", q.base)
}
