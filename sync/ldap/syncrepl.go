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

// syncrepl reads changes by the Content Synchronization Operation (RFC 4533) in its
// refreshOnly mode, one operation for each base of people, of groups, and of what is
// neither: below something else that is renamed, entries move without a word about
// them.
//
// Cookies are handed back byte for byte, and only the one of the final control is
// kept: that of a set of UUIDs may say more than is proven. When nothing changed,
// OpenLDAP sends none, and the old one stays.
//
// 389 Directory Server names entries by nsUniqueId, with the dashes elsewhere. Its
// cookies hold for one filter. It ends every answer as if whoever was not named were
// gone, and means nothing by it.
type syncrepl struct{ of389 bool }

const oidSync = "1.3.6.1.4.1.4203.1.9.1.1"

// resultRefreshRequired is e-syncRefreshRequired (RFC 4533 §2.5): the cookie says
// nothing to the server any more.
const resultRefreshRequired = 4096

func (syncrepl) name() string                              { return "syncrepl" }
func (syncrepl) removals() bool                            { return true }
func (syncrepl) ended(_ *reading, begun position) position { return begun }

// nothing is a filter that no entry matches.
const nothing = "(!(objectClass=*))"

// begin asks each operation for a cookie. In OpenLDAP that is the state of the whole
// database, whatever the filter.
func (w syncrepl) begin(ctx context.Context, r *reading) (position, error) {
	if !slices.Contains(r.c.root.controls, oidSync) {
		return nil, errors.New("the server does not offer content synchronization (RFC 4533)")
	}
	id := "entryUUID"
	if w.of389 {
		id = "nsUniqueId"
	}
	for _, h := range []*half{&r.users, &r.groups} {
		if !strings.EqualFold(h.where.Key, id) {
			return nil, fmt.Errorf("entries are told apart by %s, and content synchronization names them by %s", h.where.Key, id)
		}
	}
	var at position
	for _, o := range r.operations() {
		o.h, o.attrs = nil, []string{"1.1"}
		if !w.of389 {
			o.filter = nothing
		}
		out, err := w.refresh(ctx, r, o, "")
		if whole, ok := errors.AsType[*wholeRead](err); ok {
			return nil, errors.New(whole.because)
		}
		if err != nil {
			return nil, err
		}
		if out.cookie == "" {
			return nil, fmt.Errorf("content synchronization gives no cookie below %s", o.base)
		}
		at = append(at, out.cookie)
	}
	return at, nil
}

// operation is one synchronization.
type operation struct {
	region
	h *half // nil for what is neither a user nor a group
}

// operations lists those of a source, always in the same order.
func (r *reading) operations() []operation {
	var out []operation
	for _, h := range []*half{&r.users, &r.groups} {
		for _, g := range h.where.regions(h.m.request) {
			out = append(out, operation{g, h})
		}
	}
	other := region{scope: goldap.ScopeWholeSubtree, attrs: []string{"1.1"}, filter: r.neither()}
	for _, base := range r.contexts() {
		other.base = base
		out = append(out, operation{other, nil})
	}
	return out
}

// neither is the filter of what is neither a user nor a group.
func (r *reading) neither() string {
	either := r.users.where.Filter
	if len(r.groups.where.Bases) > 0 {
		either += r.groups.where.Filter
	}
	return fmt.Sprintf("(!(|%s))", either)
}

// contexts returns the naming contexts of the server that hold a base.
func (r *reading) contexts() []string {
	var out []string
	for _, base := range r.bases() {
		best := ""
		for _, c := range r.c.root.contexts {
			dn, err := canonicalDN(nil, []byte(c))
			if err == nil && withinDN(base, dn) && len(c) > len(best) {
				best = c
			}
		}
		if best != "" && !slices.Contains(out, best) {
			out = append(out, best)
		}
	}
	return out
}

// changes implements follower.
func (w syncrepl) changes(ctx context.Context, r *reading, since position) (position, error) {
	ops := r.operations()
	if len(ops) != len(since) {
		return nil, readAll("the naming contexts of the server are not those of the last read")
	}
	next := slices.Clone(since)
	var moved []string
	silent, passed := true, false
	for i, o := range ops {
		out, err := w.refresh(ctx, r, o, since[i])
		if err != nil {
			return nil, err
		}
		r.tell("changes")
		switch {
		case out.cookie != "":
			next[i] = out.cookie
		case out.received > 0:
			// What is read by a cookie that the server cannot make out never ends in one
			// that it can.
			return nil, readAll("the server sends everything below %s, and no new cookie: it does not know the one it was given", o.base)
		}
		silent = silent && out.received == 0
		passed = passed || next[i] != since[i]
		if o.h == nil {
			moved = append(moved, out.dns...)
			continue
		}
		if r.mostOf(o.h, out.sent) {
			// So a server answers a cookie that it cannot make out, and says of nobody that
			// he is gone.
			return nil, readAll("the server sends most of what is below %s: it may not know the cookie that it was given", o.base)
		}
		for _, key := range out.deleted {
			o.h.lose(key)
		}
		if !out.present {
			continue
		}
		// The server has forgotten what was deleted, and names all that is there.
		if err := r.unnamed(ctx, o.h, out.keys); err != nil {
			return nil, err
		}
	}
	if w.of389 && silent && passed {
		// Every entry is in one of the operations. A retro changelog that does not note
		// nsuniqueid looks just like this, and loses everything.
		r.suspect = "its cookie moved on and it named no entry: is nsuniqueid:targetUniqueId among nsslapd-attribute of the retro changelog?"
	}
	return next, r.below(ctx, moved)
}

// mostOf reports whether so many entries are more than half of those that the roll has.
func (r *reading) mostOf(h *half, sent int) bool {
	const few = 10
	if sent <= few {
		return false
	}
	known := 0
	for range r.known.Present(h.group) {
		if known++; known >= 2*sent {
			return false
		}
	}
	return true
}

// unnamed asks for those of whom a present phase did not speak, and loses who does
// not answer. With several bases, each phase speaks of its own only.
func (r *reading) unnamed(ctx context.Context, h *half, present map[identity.Key]bool) error {
	want := map[identity.Key]bool{}
	for key := range r.known.Present(h.group) {
		if !present[key] && !h.has(key) && !h.gone[key] {
			want[key] = true
		}
	}
	h.verified += len(want)
	return r.askFor(ctx, h, want)
}

// refreshed is the outcome of one operation.
type refreshed struct {
	of389    bool
	cookie   string
	received int                   // entries and UUIDs
	sent     int                   // entries that are new or changed
	deleted  []identity.Key        // named as gone
	keys     map[identity.Key]bool // named as present
	present  bool                  // what is not named is gone
	dns      []string              // of what is neither a user nor a group
}

// refresh runs one operation to its end.
func (w syncrepl) refresh(ctx context.Context, r *reading, o operation, cookie string) (*refreshed, error) {
	out := &refreshed{of389: w.of389, keys: map[identity.Key]bool{}}
	var raw []byte
	if cookie != "" {
		raw = []byte(cookie)
	}
	receive := &handler{entry: func(e *Entry) error { return out.entry(e, o) }, interim: out.interim}
	receive.broken = func(dn []byte, reason string) error {
		out.received++
		if o.h == nil {
			out.dns = append(out.dns, string(dn))
			return nil
		}
		return o.h.handler().broken(dn, reason)
	}
	if o.h != nil {
		o.h.sweep++
	}
	request := o.request(goldap.NewControlSyncRequest(goldap.SyncRequestModeRefreshOnly, raw, false))
	res, err := r.c.search(ctx, request, receive)
	if err != nil {
		return nil, r.refused(o, err)
	}
	done, ok := goldap.FindControl(res.Controls, goldap.ControlTypeSyncDone).(*goldap.ControlSyncDone)
	if !ok {
		return nil, readAll("the server does not say where its account of the changes below %s ends", o.base)
	}
	out.cookie = string(done.Cookie)
	// RFC 4533 §3.3.1: without refreshDeletes, whoever was not named is gone.
	out.present = !done.RefreshDeletes && !w.of389 && cookie != "" && out.received > 0
	if o.h != nil {
		if err := r.identify(ctx, o.h); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// refused tells an answer that means a full read from a failure.
func (r *reading) refused(o operation, err error) error {
	le, ok := errors.AsType[*goldap.Error](err)
	if !ok || r.c.conn.err() != nil {
		return fmt.Errorf("read the changes below %s: %w", o.base, err)
	}
	switch le.ResultCode {
	case resultRefreshRequired:
		return readAll("the server does not know the cookie any more")
	case goldap.LDAPResultUnwillingToPerform:
		return &wholeRead{
			because: fmt.Sprintf("the server knows less than the cookie says, as after the restore of a backup (%s)", orServer(le.Err)),
			behind:  "the server knows less than what was read before, as after the restore of a backup or when it has not heard of everything yet" + stillGone,
		}
	}
	if le.ResultCode == goldap.LDAPResultUnavailableCriticalExtension {
		return readAll("the server does not offer content synchronization (RFC 4533) below %s: load the overlay syncprov there", o.base)
	}
	return readAll("the server does not tell the changes below %s: %s", o.base, orServer(err))
}

// The states of an entry (RFC 4533 §2.2).
const (
	statePresent = 0
	stateAdd     = 1
	stateModify  = 2
	stateDelete  = 3
)

// entry takes one entry with its Sync State control.
func (out *refreshed) entry(e *Entry, o operation) error {
	out.received++
	state, uuid, err := syncState(e.controls)
	if err != nil {
		return fmt.Errorf("the entry %q came without a state that can be read: %w", e.DN, err)
	}
	key := out.key(uuid)
	switch state {
	case statePresent:
		out.keys[key] = true
		return nil
	case stateDelete:
		out.deleted = append(out.deleted, key)
		return nil
	}
	out.sent++
	if o.h == nil {
		out.dns = append(out.dns, string(e.DN))
		return nil
	}
	if out.of389 { // which leaves nsUniqueId out of what it sends
		o.h.want(key)
		return nil
	}
	o.h.t.received++
	return o.h.entry(e)
}

// key returns the key of an entry by its UUID.
func (out *refreshed) key(uuid [16]byte) identity.Key {
	d := dashed(uuid)
	if out.of389 { // 0f127125-efe3-4643-a109-2a6f75136e1b is 0f127125-efe34643-a1092a6f-75136e1b there
		d = d[:13] + d[14:23] + d[24:28] + "-" + d[28:]
	}
	return identity.Key(d)
}

// syncState reads the Sync State control of an entry (RFC 4533 §2.2).
func syncState(controls []byte) (state int64, uuid [16]byte, err error) {
	value, err := controlValue(controls, goldap.ControlTypeSyncState)
	if err != nil {
		return 0, uuid, err
	}
	seq, _, err := want(tagSequence, value)
	if err != nil {
		return 0, uuid, err
	}
	v, seq, err := want(tagEnumerated, seq)
	if err != nil {
		return 0, uuid, err
	}
	if state, err = integer(v); err != nil {
		return 0, uuid, err
	}
	id, _, err := want(tagOctets, seq)
	if err != nil {
		return 0, uuid, err
	}
	if len(id) != 16 || state > stateDelete {
		return 0, uuid, errTag
	}
	return state, [16]byte(id), nil
}

var errNoControl = errors.New("the control is missing")

// controlValue returns the value of a control (RFC 4511 §4.1.11).
func controlValue(controls []byte, oid string) ([]byte, error) {
	for len(controls) > 0 {
		control, rest, err := want(tagSequence, controls)
		if err != nil {
			return nil, err
		}
		controls = rest
		name, control, err := want(tagOctets, control)
		if err != nil {
			return nil, err
		}
		if !bytes.Equal(name, []byte(oid)) {
			continue
		}
		for len(control) > 0 {
			tag, v, rest, err := element(control)
			if err != nil {
				return nil, err
			}
			if tag == tagOctets {
				return v, nil
			}
			control = rest // the criticality
		}
	}
	return nil, errNoControl
}

// The tags of an IntermediateResponse and of a Sync Info message in it (RFC 4533
// §2.5).
const (
	tagResponseName  = 0x80
	tagResponseValue = 0x81
	tagSyncIDSet     = 0xa3
	tagBoolean       = 0x01
)

// interim takes one Sync Info message. Only sets of UUIDs matter in this mode.
func (out *refreshed) interim(op []byte) error {
	for len(op) > 0 {
		tag, v, rest, err := element(op)
		if err != nil {
			return fmt.Errorf("an intermediate response: %w", err)
		}
		op = rest
		if tag == tagResponseName && string(v) != goldap.ControlTypeSyncInfo {
			return nil
		}
		if tag != tagResponseValue {
			continue
		}
		tag, set, _, err := element(v)
		if err != nil {
			return fmt.Errorf("a Sync Info message: %w", err)
		}
		if tag == tagSyncIDSet {
			return out.idSet(set)
		}
	}
	return nil
}

// idSet reads a syncIdSet.
func (out *refreshed) idSet(b []byte) error {
	deletes := false
	for len(b) > 0 {
		tag, v, rest, err := element(b)
		if err != nil {
			return fmt.Errorf("a set of UUIDs: %w", err)
		}
		b = rest
		switch tag {
		case tagBoolean:
			deletes = len(v) == 1 && v[0] != 0
		case tagSet:
			if err := out.uuids(v, deletes); err != nil {
				return err
			}
		}
	}
	return nil
}

func (out *refreshed) uuids(set []byte, deletes bool) error {
	for len(set) > 0 {
		id, rest, err := want(tagOctets, set)
		if err != nil || len(id) != 16 {
			return fmt.Errorf("a set of UUIDs: %w", orTag(err))
		}
		set = rest
		out.received++
		key := out.key([16]byte(id))
		if deletes {
			out.deleted = append(out.deleted, key)
		} else {
			out.keys[key] = true
		}
	}
	return nil
}
