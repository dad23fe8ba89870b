package ldapserver

import (
	"context"
	"slices"
)

// flushBytes is how much of an answer is gathered before it is sent.
const flushBytes = 64 << 10

// answer is one search on its way out.
type answer struct {
	c      *conn
	ctx    context.Context // ends with the connection, or when the client abandons the search
	id     int32
	query  searchRequest
	pick   selection
	seen   Search
	action Action
	paging *pageRequest
	domain *adQuery     // what the server's AD makes of it; nil without one
	sync   *syncRequest // content synchronization, if it is asked for

	out    builder
	sent   int  // entries of this answer
	more   bool // another page follows
	broken bool
}

// send sends one entry, or the ending that comes in its place, and says whether
// the answer goes on.
func (a *answer) send(e *stored) bool {
	attrs, err := a.selected(e)
	if err != nil {
		a.finish(err)
		return false
	}
	return a.sendAs(a.domain.name(e), attrs)
}

// sendAs sends an entry with the attributes given, and the controls that belong to
// it.
func (a *answer) sendAs(name string, attrs []Attribute, controls ...control) bool {
	if a.ctx.Err() != nil {
		return false
	}
	next := func() { a.encode(name, attrs, controls...) }
	if a.action.Ending != EndAsUsual && a.sent == a.action.After {
		if !a.end(next) {
			return false
		}
	}
	next()
	a.sent++
	if len(a.out.buf) >= flushBytes {
		a.flush()
	}
	return !a.broken
}

// flush sends what was gathered.
func (a *answer) flush() {
	if len(a.out.buf) > 0 && !a.broken {
		a.broken = a.c.write(a.out.buf) != nil
	}
	a.out.buf = a.out.buf[:0]
}

// finish ends the answer as the action wants it, or with the result and controls
// given.
func (a *answer) finish(result *Error, controls ...control) {
	if a.action.Ending != EndAsUsual && a.sent <= a.action.After && !a.end(nil) {
		return
	}
	referrals := a.action.Referrals
	if a.domain != nil && result == nil {
		referrals = slices.Concat(referrals, a.domain.referrals(a))
	}
	if len(referrals) > 0 {
		whole := a.out.begin(tagSequence)
		a.out.integer(tagInteger, int64(a.id))
		ref := a.out.begin(opSearchReference)
		for _, uri := range referrals {
			a.out.octets(tagOctets, uri)
		}
		a.out.end(ref)
		a.out.end(whole)
	}
	if a.action.Ending == EndAsUsual {
		a.out.buf = append(a.out.buf, a.action.Raw...)
	}
	if a.action.Paging == PagingDropped {
		controls = nil
	}
	if a.ctx.Err() != nil { // abandoned: no answer
		return
	}
	a.out.result(a.id, opSearchDone, result, controls...)
	a.flush()
}

// end carries out the action's ending, where next would have been sent (nil at
// the answer's end), and says whether the answer goes on as usual after it.
func (a *answer) end(next func()) bool {
	a.out.buf = append(a.out.buf, a.action.Raw...)
	switch a.action.Ending {
	case EndResult:
		a.out.result(a.id, opSearchDone, a.action.Result)
		a.flush()
		return false
	case EndMidMessage:
		whole := len(a.out.buf)
		if next != nil {
			next()
		} else {
			a.out.result(a.id, opSearchDone, nil)
		}
		half := (len(a.out.buf) - whole) / 2
		a.out.buf = a.out.buf[:whole+half]
	case EndStall:
		a.flush()
		select {
		case <-a.action.Release:
			a.action.Ending, a.action.Raw = EndAsUsual, nil
			return !a.broken
		case <-a.ctx.Done():
			return false
		}
	}
	a.flush()
	a.c.cut()
	return false
}
