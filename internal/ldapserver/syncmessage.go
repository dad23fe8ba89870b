package ldapserver

import (
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
)

// Controls and messages of content synchronization (RFC 4533 §2).
const (
	oidSyncRequest = "1.3.6.1.4.1.4203.1.9.1.1"
	oidSyncState   = "1.3.6.1.4.1.4203.1.9.1.2"
	oidSyncDone    = "1.3.6.1.4.1.4203.1.9.1.3"
	oidSyncInfo    = "1.3.6.1.4.1.4203.1.9.1.4"

	opIntermediate = 0x79 // RFC 4511 §4.13

	infoRefreshDelete  = 0xa1
	infoRefreshPresent = 0xa2
	infoIDSet          = 0xa3
)

// syncRequest is the value of the control in a request.
type syncRequest struct {
	persist bool
	cookie  string
}

func parseSyncRequest(value []byte) (*syncRequest, error) {
	d := &decoder{rest: value}
	in := d.inside(tagSequence)
	mode := in.integer(tagEnumerated)
	r := &syncRequest{persist: mode == 3}
	if in.peek() == tagOctets {
		r.cookie = in.text()
	}
	if in.peek() == tagBoolean {
		in.boolean() // the hint to reload instead of asking is not taken
	}
	if err := errors.Join(d.err, in.err); err != nil {
		return nil, err
	}
	if mode != 1 && mode != 3 {
		return nil, fmt.Errorf("mode %d", mode)
	}
	return r, nil
}

// syncState is what a change did to an entry (RFC 4533 §2.2).
type syncState int64

const (
	stateAdd    syncState = 1
	stateModify syncState = 2
	stateDelete syncState = 3
)

// stateControl goes with an entry. An empty cookie is left out.
func stateControl(state syncState, uuid, cookie string) control {
	var b builder
	start := b.begin(tagSequence)
	b.integer(tagEnumerated, int64(state))
	b.octets(tagOctets, uuid)
	b.cookie(cookie)
	b.end(start)
	return control{oid: oidSyncState, value: b.buf}
}

// refreshKind says how the client learns what is gone (RFC 4533 §2.4).
type refreshKind int

const (
	refreshPresent refreshKind = iota // what was not named is gone
	refreshDeletes                    // what is gone was named
)

// doneControl ends a refresh that is not followed by persistence.
func doneControl(kind refreshKind, cookie string) control {
	var b builder
	start := b.begin(tagSequence)
	b.cookie(cookie)
	b.kind(kind)
	b.end(start)
	return control{oid: oidSyncDone, value: b.buf}
}

// cookie appends a cookie, unless it is empty.
func (b *builder) cookie(cookie string) {
	if cookie != "" {
		b.octets(tagOctets, cookie)
	}
}

// kind appends refreshDeletes, whose default is FALSE.
func (b *builder) kind(kind refreshKind) {
	if kind == refreshDeletes {
		b.octets(tagBoolean, "\xff")
	}
}

// info appends an intermediate response whose value content writes.
func (a *answer) info(content func(*builder)) {
	b := &a.out
	whole := b.begin(tagSequence)
	b.integer(tagInteger, int64(a.id))
	op := b.begin(opIntermediate)
	b.octets(0x80, oidSyncInfo)
	value := b.begin(0x81)
	content(b)
	b.end(value)
	b.end(op)
	b.end(whole)
	if len(b.buf) >= flushBytes {
		a.flush()
	}
}

// idSet appends the identifiers of what is present, or gone.
func (a *answer) idSet(kind refreshKind, cookie string, uuids []string) {
	a.info(func(b *builder) {
		start := b.begin(infoIDSet)
		b.cookie(cookie)
		b.kind(kind)
		set := b.begin(tagSet)
		for _, id := range uuids {
			b.octets(tagOctets, id)
		}
		b.end(set)
		b.end(start)
	})
}

// refreshed says that the refresh is over and persistence begins.
func (a *answer) refreshed(kind refreshKind, cookie string) {
	tag := byte(infoRefreshPresent)
	if kind == refreshDeletes {
		tag = infoRefreshDelete
	}
	a.info(func(b *builder) {
		start := b.begin(tag)
		b.cookie(cookie)
		b.end(start) // refreshDone is TRUE by default
	})
}

// uuidOctets returns the 16 octets of a UUID, wherever its dashes are.
func uuidOctets(text string) string {
	b, err := hex.DecodeString(strings.ReplaceAll(text, "-", ""))
	if err != nil || len(b) != 16 {
		return ""
	}
	return string(b)
}
